# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of a part in the folder of its set: written, and read back by their record."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import encryption, manifest, set_parts, sets


def store(partial: Path, name: str, content: bytes, recipients: Sequence[Any]) -> str:
    """Write a file of a part, encrypted where there are recipients; return its name in the set."""
    stored = f"{set_parts.FOLDER}/{name}" + (encryption.SUFFIX if recipients else "")
    path = partial / stored
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if recipients:
        with encryption.encrypted(path, recipients) as stream:
            stream.write(content)
    else:
        with path.open("xb") as stream:
            stream.write(content)
    return stored


def check(folder: Path, document: Mapping[str, Any], part: Mapping[str, Any]) -> None:
    """Compare the files of a part with their record in the manifest, which was verified.

    :raises OpsError: parts.damaged
    """
    recorded = document["files"]
    if lost := [name for name in part["files"] if name not in recorded]:
        wrong = [f"{name} is not in the manifest" for name in lost]
    else:
        wanted = {name: recorded[name] for name in part["files"]}
        wrong = list(sets.inspect(folder, wanted)[1].values())
    if wrong:
        raise OpsError(
            f"A part of set {folder} is damaged: {'; '.join(wrong[: set_parts.SHOWN])}. Nothing was"
            " changed.",
            "Take another set, or restore without this part. playbooks/dr_bad_backup.yml mends a"
            " set whose files another set has, too.",
            code="parts.damaged",
        )


def read(folder: Path, name: str, identity: Path | None) -> bytes:
    """Return the plain content of a file of a part.

    :raises OpsError: encryption.no-identity, encryption.*
    """
    path = folder / name
    if not name.endswith(encryption.SUFFIX):
        return path.read_bytes()
    if identity is None:
        raise OpsError(
            f"{path} is encrypted.",
            "Give the identity file of one of its recipients: -e restore_identity_file=...",
            code="encryption.no-identity",
        )
    with encryption.decrypted(path, identity) as stream:
        content: bytes = stream.read()
    return content


class Earlier:
    """The encrypted files of the parts of an earlier set, which the next one may share.

    What is encrypted anew has other bytes each time, so what is as before is taken as it is.
    """

    def __init__(self, folder: Path | None) -> None:
        self._paths: dict[str, Path] = {}
        if folder is None:
            return
        with suppress(OpsError):
            for name, entry in manifest.read(folder)["files"].items():
                if name.startswith(f"{set_parts.FOLDER}/") and name.endswith(encryption.SUFFIX):
                    self._paths[entry["sha256"]] = folder / name

    def content(self, digest: str) -> bytes | None:
        """Return the bytes with this SHA-256; None if there are none, or they are damaged."""
        try:
            found = self._paths[digest].read_bytes()
        except (KeyError, OSError):
            return None
        return found if hashlib.sha256(found).hexdigest() == digest else None
