# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The people who may approve, by their public keys; and who ordered a run."""

from __future__ import annotations

import base64
import os
import pwd
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import signing
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_BYTES = 32
# The kernel keeps who logged in, through sudo and su; this value says that nobody did.
LOGIN_UID, NOBODY = Path("/proc/self/loginuid"), 2**32 - 1


@dataclass(frozen=True)
class Approver:
    """A person, the id of their key, and their login on the managed host if it is known."""

    name: str
    key: str
    login: str = ""

    def is_person(self, name: str, login: str) -> bool:
        """Tell whether that name or login is this person."""
        names = {_plain(self.name), _plain(self.login)} - {""}
        return bool(names & {_plain(name), _plain(login)})


def of_options(given: Sequence[dict[str, Any]]) -> tuple[Approver, ...]:
    """Return the approvers of an inventory.

    :raises OpsError: approval.approvers
    """
    found = [
        Approver(str(each["name"]).strip(), _key_id(each), str(each.get("login") or "").strip())
        for each in given
    ]
    twice = {"name": [_plain(each.name) for each in found], "key": [each.key for each in found]}
    for what, values in twice.items():
        if len(set(values)) < len(values) or "" in values:
            raise _wrong(f"two entries have one {what}, or one has none")
    if not found:
        raise _wrong("it is empty, so nobody could approve")
    return tuple(found)


def whose(approvers: Sequence[Approver], key: str) -> Approver:
    """Return the person of a key.

    :raises OpsError: approval.unknown-key
    """
    for each in approvers:
        if each.key == key:
            return each
    raise OpsError(
        f"Key {key[:16]} is of nobody in restore_approvers. Nothing was changed.",
        "Approve the plan with the key of a person whom the inventory names; a new person is added"
        " there, under version control.",
        code="approval.unknown-key",
    )


def require_second(
    person: Approver, plan: Mapping[str, Any], approvers: Sequence[Approver]
) -> None:
    """Refuse an approval by whoever ordered the plan: by name, login or key.

    :raises OpsError: approval.own-plan
    """
    ordered, login = str(plan["ordered_by"]), str(plan["login"])
    operators = [each for each in approvers if each.is_person(ordered, login)]
    if person in operators or person.key in [each.key for each in operators]:
        raise OpsError(
            f"{person.name} ordered this plan, and cannot approve it as well. Nothing was changed.",
            "Let another person of restore_approvers approve it, with their own key.",
            code="approval.own-plan",
        )


def make_key(path: Path, *, check: bool) -> tuple[bool, str]:
    """Make a private key unless it is there; return whether it was made, and its public half.

    :raises OpsError: approval.no-key, signing.key
    """
    try:
        if made := not path.exists():
            key = Ed25519PrivateKey.generate()
            if not check:
                files.make_private_folder(path.parent)
                files.create_once(path, signing.pem(key), mode=0o600)
        else:
            key = signing.load_private(path)
    except OSError as exc:
        raise OpsError(
            f"The private key {path} cannot be kept: {exc.strerror or exc}.",
            "Name a file in a folder of yours: pms-ops approve --new-key --key FILE",
            code="approval.no-key",
        ) from exc
    return made, "" if made and check else base64.b64encode(signing.raw_public(key)).decode()


def login() -> str:
    """Return who logged in to this machine for this process, by the kernel if it knows."""
    try:
        uid = int(LOGIN_UID.read_text())
    except (OSError, ValueError):
        uid = NOBODY
    if uid == NOBODY:
        if sudo := os.environ.get("SUDO_USER"):
            return sudo
        uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _key_id(entry: dict[str, Any]) -> str:
    try:
        raw = base64.b64decode(str(entry["public_key"]).strip(), validate=True)
    except ValueError:
        raw = b""
    if len(raw) != KEY_BYTES:
        raise _wrong(f"the public_key of {entry['name']} is no Ed25519 key in Base64")
    return signing.key_id(raw)


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


def _wrong(why: str) -> OpsError:
    return OpsError(
        f"restore_approvers cannot be used: {why}. Nothing was changed.",
        "List each person who may approve with name and public_key, as"
        " pms-ops approve --new-key --key FILE prints them.",
        code="approval.approvers",
    )
