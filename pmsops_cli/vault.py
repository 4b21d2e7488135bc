# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The vault of an inventory that `init` writes."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Any

from pmsops_cli import inventory
from pmsops_cli.exit_status import Stop

MARK = "$ANSIBLE_VAULT"
PASSWORD_BYTES = 32
# Ansible would fill in what looks like a template; this tag says that it is none.
UNSAFE = "!unsafe"
TEMPLATE = re.compile(r"\{[{%#]")


class Vault:
    """Encrypts the secrets of one inventory; *file* is the operator's own password file, if any."""

    def __init__(self, name: str, file: Path | None) -> None:
        self.label = name if file is None else "default"
        self.file = file or inventory.vault_password_file(name)
        self._own = file is not None

    def content(self, values: dict[str, str]) -> bytes:
        """Return the encrypted text of the secrets; the password is made where there is none.

        :raises Stop: where the password cannot be read.
        """
        label = None if self._own else self.label
        plain = plain_text(values)
        encrypted: bytes = self._lib().encrypt(plain.encode(), vault_id=label)
        return encrypted

    def read(self, path: Path) -> dict[str, str]:
        """Return the secrets that a file holds, encrypted or not; none where it cannot be read."""
        import yaml
        from ansible.errors import AnsibleError

        try:
            raw = path.read_bytes()
            if raw.startswith(MARK.encode()):
                raw = self._lib().decrypt(raw)
            found = yaml.load(raw, Loader=_loader())  # noqa: S506  (a SafeLoader)
        except (OSError, AnsibleError, yaml.YAMLError, Stop):
            return {}
        return {str(key): str(value) for key, value in (found or {}).items()}

    def make_password(self) -> bool:
        """Make the password file, 0600, where it is missing; tell whether it was made."""
        if self._own or self.file.exists():
            return False
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_urlsafe(PASSWORD_BYTES) + "\n")
        return True

    def _lib(self) -> Any:
        from ansible.parsing.vault import VaultLib, VaultSecret

        try:
            password = self.file.read_bytes().strip()
        except OSError as exc:
            raise Stop(
                f"{self.file}, the password of the vault, cannot be read: {exc.strerror}.",
                "Give another by --vault-password-file.",
            ) from exc
        if not password:
            raise Stop(f"{self.file} is empty.", "Write the vault's password into it.")
        return VaultLib([(self.label, VaultSecret(password))])


def plain_text(values: dict[str, str]) -> str:
    """Return the secrets as YAML; one that looks like a template is marked as none."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def represent_str(self, text: str) -> Any:
            tag = UNSAFE if TEMPLATE.search(text) else "tag:yaml.org,2002:str"
            return self.represent_scalar(tag, text, style="'" if tag == UNSAFE else None)

    Dumper.add_representer(str, Dumper.represent_str)
    return "---\n" + yaml.dump(values, Dumper=Dumper, sort_keys=True, allow_unicode=True)


def _loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        def plain(self, node: Any) -> Any:
            return self.construct_scalar(node)

    Loader.add_constructor(UNSAFE, Loader.plain)
    return Loader
