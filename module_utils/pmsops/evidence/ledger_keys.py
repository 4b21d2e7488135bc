# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The keys that sign ledger lines.

``<keys>/ledger-<16 digits of the id>.key`` is a private key, mode 0600; the newest begins new
ledgers. ``<keys>/trusted/ledger/<id>.pub`` is a public half that counts here: in a folder of its
own, where no set is looked up. Which key has to sign is told by the ledger; ``ledger.keys`` beside
it names the folder, for writers that are not told.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

POINTER = "ledger.keys"
TRUSTED = ("trusted", "ledger")
DIGITS = 16


def folders(evidence_root: Path, keys: Path | None) -> list[Path]:
    """Return where keys may be: *keys*, and the folder that was used before."""
    noted = _noted(evidence_root)
    return [each for each in dict.fromkeys((keys, noted)) if each is not None]


def note(evidence_root: Path, folder: Path) -> None:
    """Note the folder for writers that are not told."""
    if _noted(evidence_root) != folder:
        text = json.dumps({"keys": str(folder)}) + "\n"
        files.replace(evidence_root / POINTER, text.encode())


def trusted_folder(folder: Path) -> Path:
    """Return the folder of the public halves that count."""
    return folder.joinpath(*TRUSTED)


def is_trusted(key: str, places: list[Path]) -> bool:
    """Tell whether a key is pinned in one of the key folders."""
    return any((trusted_folder(each) / f"{key}.pub").is_file() for each in places)


def create(folder: Path) -> Ed25519PrivateKey:
    """Make a new key, and pin its public half.

    :raises OpsError: ledger.key-unreadable, ledger.no-cryptography
    """
    signing = _signing()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    name = signing.key_id(signing.raw_public(key))
    try:
        files.make_private_folder(folder)
        files.create_once(_path(folder, name), pem, mode=0o600)
    except OSError as exc:
        raise _unreadable(folder, exc.strerror or exc) from exc
    pin(folder, key)
    return key


def newest_or_new(folder: Path) -> Ed25519PrivateKey:
    """Return the key that begins a ledger: the newest one, made where there is none.

    :raises OpsError: ledger.key-unreadable, ledger.no-cryptography
    """
    found = sorted(folder.glob("ledger-*.key"), key=lambda each: each.stat().st_mtime)
    if not found:
        return create(folder)
    key = _load(found[-1])
    pin(folder, key)
    return key


def load(name: str, places: list[Path]) -> tuple[Ed25519PrivateKey, Path]:
    """Return the private key of an id, and its folder.

    :raises OpsError: ledger.key-missing, ledger.key-unreadable, ledger.no-cryptography
    """
    for folder in places:
        path = _path(folder, name)
        try:
            if path.exists():
                return _load(path), folder
        except PermissionError as exc:
            raise _unreadable(path, exc.strerror) from exc
    where = " or ".join(str(each) for each in places) or "any folder that was named"
    raise OpsError(
        f"The ledger's key {name[:DIGITS]} is not in {where}.",
        f"Put ledger-{name[:DIGITS]}.key back from its copy. If it is lost: pms-ops ledger"
        ' replace-key --reason "..." begins a new one, which the old one did not sign.',
        code="ledger.key-missing",
    )


def pin(folder: Path, key: Ed25519PrivateKey) -> None:
    """Let the lines of a key count here.

    :raises OpsError: ledger.key-unreadable, ledger.no-cryptography
    """
    signing = _signing()
    raw = signing.raw_public(key)
    path = trusted_folder(folder) / f"{signing.key_id(raw)}.pub"
    try:
        if not path.exists():
            files.make_private_folder(path.parent)
            files.replace(path, f"{encoded(key)} pms-ops ledger\n".encode(), mode=0o644)
    except OSError as exc:
        raise _unreadable(folder, exc.strerror or exc) from exc


def encoded(key: Ed25519PrivateKey) -> str:
    """Return the public half of a key in Base64."""
    import base64

    return base64.b64encode(_signing().raw_public(key)).decode()


def identity(key: Ed25519PrivateKey) -> dict[str, str]:
    """Return the id of a key, and its public half, for a line that brings it."""
    signing = _signing()
    return {"key": signing.key_id(signing.raw_public(key)), "public_key": encoded(key)}


def _load(path: Path) -> Ed25519PrivateKey:
    try:
        key: Ed25519PrivateKey = _signing().load_private(path)
    except OSError as exc:
        raise _unreadable(path, exc.strerror or exc) from exc
    except OpsError as exc:
        if exc.code == "signing.key":
            raise _unreadable(path, exc) from exc
        raise
    return key


def _unreadable(path: Path, reason: object) -> OpsError:
    return OpsError(
        f"The ledger's key cannot be read or kept at {path}: {reason}",
        "Give the file to the user of the playbooks, with mode 0600. Lines that were written"
        " meanwhile say that they are not signed.",
        code="ledger.key-unreadable",
    )


def _signing() -> ModuleType:
    """Return the module with the primitives, which need a package that a host may lack.

    :raises OpsError: ledger.no-cryptography
    """
    try:
        from ansible.module_utils.pmsops.repository import signing
    except ImportError as exc:
        raise OpsError(
            "This Python has no package cryptography, so lines of the ledger cannot be signed.",
            "Run pms-ops prepare, which brings the packages of the modules up to date.",
            code="ledger.no-cryptography",
        ) from exc
    return signing


def _path(folder: Path, name: str) -> Path:
    return folder / f"ledger-{name[:DIGITS]}.key"


def _noted(evidence_root: Path) -> Path | None:
    try:
        return Path(json.loads((evidence_root / POINTER).read_bytes())["keys"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
