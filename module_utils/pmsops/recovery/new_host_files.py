# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of a copy, put where they were on the machine that is gone; none is overwritten."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.parts import placing, storage
from ansible.module_utils.pmsops.repository import encryption
from ansible.module_utils.pmsops.services.project_files import SYSTEM_PATHS

SHOWN = 5


@dataclass(frozen=True)
class Parts:
    """The parts of a set that are files, by name; *document* is its manifest, verified."""

    folder: Path
    document: Mapping[str, Any]
    parts: Mapping[str, Mapping[str, Any]]


def place(
    folder: Path, document: Mapping[str, Any], parts: Parts, identity: Path | None
) -> list[str]:
    """Write the files of *document* and of the *parts* that are missing; return their paths.

    A file that *document* has is not taken from a part: it was another one then. Nothing is written
    if one is there with other content.

    :raises OpsError: host.file-differs, host.file-damaged, host.no-identity, encryption.*, parts.*
    """
    wanted: list[tuple[Mapping[str, Any], bytes]] = []
    different, others = [], list[Mapping[str, Any]]()
    seen = set[Path]()
    for each, content in _files(folder, document, parts, identity):
        path = Path(each["path"])
        if content is None:
            others.append(each)
        elif path not in seen:
            seen.add(path)
            if not path.exists():
                wanted.append((each, content))
            elif path.read_bytes() != content:
                different.append(str(path))
    if different:
        more = f" and {len(different) - SHOWN} more" if len(different) > SHOWN else ""
        raise OpsError(
            f"Files are there with other content than in the copy: {', '.join(different[:SHOWN])}"
            f"{more}. None was overwritten.",
            "Compare them with those in the folder parts of the set, and below"
            " .pms-ops/host-fetched/pms/system beside it, move the ones that are wrong away, and"
            " run again. Files of the toolkit's own clone differ if its version does: check out"
            " the commit that the plan names.",
            code="host.file-differs",
        )
    for each in others:
        _folder_or_link(each)
    for each, content in wanted:
        path = Path(each["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        files.replace(path, content, mode=each["mode"])
        _own(path, each)
    return [each["path"] for each, _ in wanted]


def _files(
    folder: Path, document: Mapping[str, Any], parts: Parts, identity: Path | None
) -> Iterator[tuple[Mapping[str, Any], bytes | None]]:
    """Yield each entry and its content, that of *document* first; folders and links have none."""
    for each in document["files"]:
        path = Path(each["path"])
        if not path.is_absolute() or any(path == it or it in path.parents for it in SYSTEM_PATHS):
            continue
        if "stored" in each:
            yield each, _content(folder, document, each["stored"], identity)
        elif "part" not in each:
            yield each, None
    for name, part in parts.parts.items():
        if part["encrypted"] and identity is None:
            raise _no_identity()
        storage.check(parts.folder, parts.document, part)
        steps, others = placing.steps(parts.folder, name, part, identity)
        yield from ((step.entry, step.content) for step in steps)
        yield from ((each, None) for each in others)


def _content(folder: Path, document: Mapping[str, Any], name: str, identity: Path | None) -> bytes:
    stored = folder / name
    if files.sha256(stored) != document["sha256"].get(name):
        raise OpsError(
            f"{stored} is not the file that was copied: its SHA-256 differs from the signed list.",
            "Do not use this copy. Take an older one (-e host_set=...), or another site, and find"
            " out who changed this one.",
            code="host.file-damaged",
        )
    if not document["encrypted"]:
        return stored.read_bytes()
    if identity is None:
        raise _no_identity()
    with encryption.decrypted(stored, identity) as stream:
        return stream.read()


def _no_identity() -> OpsError:
    return OpsError(
        "The files of this copy are encrypted, as its sets are.",
        "Set restore_identity_file to the identity file of age that lies in the envelope.",
        code="host.no-identity",
    )


def _folder_or_link(each: Mapping[str, Any]) -> None:
    path = Path(each["path"])
    if os.path.lexists(path):
        return
    if "link" in each:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(each["link"])
    elif each.get("folder"):
        path.mkdir(parents=True)
        files.set_mode(path, each["mode"])
        _own(path, each)


def _own(path: Path, each: Mapping[str, Any]) -> None:
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):  # of a file system without owners
            os.chown(path, each["uid"], each["gid"])
