# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backup sets on disk: find one, and check its files against its manifest."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import file_system, files, in_parallel
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.pairs import together
from ansible.module_utils.pmsops.common.timestamps import UTC, utc_stamp
from ansible.module_utils.pmsops.repository import manifest, shared_files, signing

NAME = re.compile(r"\d{4}-\d{2}-\d{2}_\d{4}(-\d+)?")
PARTIAL = ".partial-"
STATE = ".pms-ops"
# Below backup_root: a backup_root for each other database of the server, by its name. No operator
# gives a folder this name, as one may with "databases".
OTHERS = "other_databases"
BACKUP_LOCK = "backup.lock"
RESTORE_LOCK = "restore.lock"
VERIFIED = "verified.json"
HOLD = "hold.json"
# Notes are written beside the signed files; none of them is restored. A note is written under a
# temporary name first, which a kill may leave behind.
NEW = ".new"
NOTES = frozenset({manifest.NAME, VERIFIED, HOLD, VERIFIED + NEW, HOLD + NEW})
CUSTOM_MAGIC = b"PGDMP"
SHOWN = 10


@dataclass(frozen=True)
class BackupSet:
    """A backup set, or a bare dump without a manifest (*folder* and *manifest* are None)."""

    dump: Path
    folder: Path | None = None
    manifest: dict[str, Any] | None = None

    @property
    def naive(self) -> bool:
        """Return whether this is a bare dump, without a manifest to compare with."""
        return self.manifest is None

    @property
    def id(self) -> str:
        """Return the set's name for operators."""
        return str(self.manifest["id"]) if self.manifest else self.dump.name

    @property
    def path(self) -> Path:
        """Return what an operator finds on disk: the set's folder, or the bare dump."""
        return self.folder or self.dump

    @property
    def encrypted(self) -> bool:
        """Tell whether the dump has to be decrypted before pg_restore can read it."""
        return bool(self.manifest and self.manifest.get("dump", {}).get("encrypted"))

    @cached_property
    def manifest_sha256(self) -> str | None:
        """Return the SHA-256 of the manifest's file, by which evidence and journal name a set."""
        return files.sha256(self.folder / manifest.NAME) if self.folder else None


def state_folder(backup_root: Path) -> Path:
    """Return the folder for locks and journals; create it if it is missing."""
    path = backup_root / STATE
    files.make_private_folder(path)
    return path


def listed(backup_root: Path) -> list[Path]:
    """Return the folders of the finished sets, oldest first."""
    if not backup_root.is_dir():
        return []
    found = [
        path
        for path in backup_root.iterdir()
        if NAME.fullmatch(path.name) and (path / manifest.NAME).is_file()
    ]
    return sorted(found, key=_age_order)


def of_others(backup_root: Path) -> dict[str, Path]:
    """Return the folders of the sets of the server's other databases, by their names."""
    folder = backup_root / OTHERS
    if not folder.is_dir():
        return {}
    return {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}


def other_database(backup_root: Path) -> str:
    """Return whose sets *backup_root* holds, if not the PMS's; else an empty text."""
    return backup_root.name if backup_root.parent.name == OTHERS else ""


def newest(backup_root: Path, *, verified: bool = False) -> Path:
    """Return the folder of the newest set; with *verified*, of the newest verified set.

    :raises OpsError: set.none, set.none-verified
    """
    found = listed(backup_root)
    if verified:  # from the newest on: each look reads a manifest
        newest_first = (path for path in reversed(found) if verification(path))
        found = [*islice(newest_first, 1)]
    if not found and verified:
        raise OpsError(
            f"{backup_root} holds no verified backup set.",
            "Run playbooks/drill.yml, which verifies the newest set.",
            code="set.none-verified",
        )
    if not found:
        raise OpsError(
            f"{backup_root} holds no backup set.", "Run playbooks/backup.yml.", code="set.none"
        )
    return found[-1]


def resolve(path: Path) -> BackupSet:
    """Return the set that *path* names: its folder, its dump, or a bare dump.

    :raises OpsError: set.missing, set.plain-sql, set.not-a-dump, and those of manifest.read.
    """
    path = path.absolute()
    if not path.exists():
        there = [each.name for each in listed(path.parent)]
        raise OpsError(
            f"{path} does not exist.",
            "Give file= a set's name, its folder, its dump, or a .pgdump file;"
            + (
                f" the newest sets of {path.parent} are {', '.join(there[-3:])}."
                if there
                else " `pms-ops status` names the newest set."
            ),
            code="set.missing",
        )
    for folder in (path, path.parent):
        if folder.is_dir() and (folder / manifest.NAME).is_file():
            return _ours(folder)
    if path.is_dir():
        if (path / "toc.dat").is_file():
            return BackupSet(dump=path)
        return _ours(path)  # says that the manifest is missing
    with path.open("rb") as stream:
        head = stream.read(4096)
    if head.startswith(CUSTOM_MAGIC):
        return BackupSet(dump=path)
    if _looks_like_sql(head):
        raise OpsError(
            f"{path} is a plain SQL script. psql would run every command in it, shell commands"
            " included, against the server.",
            "Read it, load it by hand into an empty database of a throw-away server, and back"
            " up this database with playbooks/backup.yml. Then restore the new set.",
            code="set.plain-sql",
        )
    raise OpsError(
        f"{path} is not a dump of pg_dump (size {path.stat().st_size} bytes)"
        + (": it is empty." if not head else "."),
        "Give file= a set's folder, its dump, or a file made by `pg_dump -Fc`.",
        code="set.not-a-dump",
    )


def check(
    backup_set: BackupSet, keys: Path, *, trust: str | None = None, jobs: int = 2
) -> dict[str, Any]:
    """Check the set's files against its signed manifest; return ``{key_id, files, bytes}``.

    :raises OpsError: set.damaged, and those of signing.check.
    """
    if backup_set.folder is None or backup_set.manifest is None:
        raise ValueError(f"{backup_set.dump} has no manifest to be checked against")
    signer = signing.check(backup_set.manifest, keys, trust=trust)
    unknown, faulty = inspect(backup_set.folder, backup_set.manifest["files"], jobs=jobs)
    problems = unknown + list(faulty.values())
    if problems:
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        others = shared_files.Others(
            each for each in listed(backup_set.folder.parent) if each != backup_set.folder
        )
        faults = others.faults(backup_set.folder, backup_set.manifest["files"], list(faulty))
        mendable = len(faults) == len(problems) and all(fault.copy for fault in faults)
        whole = None if mendable else others.whole(keys, trust=trust)
        shared, remedy = shared_files.explain(backup_set.folder, faults, whole)
        raise OpsError(
            f"Set {backup_set.folder} is damaged: {'; '.join(problems[:SHOWN])}{more}.{shared}",
            f"Do not restore it as it is. {remedy}",
            code="set.damaged",
        )
    recorded = backup_set.manifest["files"]
    return {
        "key_id": signer,
        "files": len(recorded),
        "bytes": sum(entry["size_bytes"] for entry in recorded.values()),
    }


def damage(folder: Path, recorded: dict[str, dict[str, Any]], *, jobs: int = 2) -> list[str]:
    """Return every difference between the files of *folder* and the manifest's record of them."""
    unknown, faulty = inspect(folder, recorded, jobs=jobs)
    return unknown + list(faulty.values())


def inspect(
    folder: Path, recorded: dict[str, dict[str, Any]], *, jobs: int = 2
) -> tuple[list[str], dict[str, str]]:
    """Return which files are not recorded, and what is wrong with those that are, by name."""
    found = {name for name in files.walk(folder) if name not in NOTES}
    unknown = [f"{name} is not in the manifest" for name in sorted(found - set(recorded))]

    def problem(name: str) -> str | None:
        path, wanted = folder / name, recorded[name]
        if name not in found:
            return f"{name} is missing"
        if path.is_symlink() or not path.is_file():
            return f"{name} is not a plain file"
        size = path.stat().st_size
        if size != wanted["size_bytes"]:
            return f"{name} has {size} bytes, not {wanted['size_bytes']}"
        try:
            digest = files.sha256(path)
        except OSError as exc:
            return f"{name} cannot be read ({exc.strerror or exc})"
        if digest != wanted["sha256"]:
            return f"{name} has another content than was signed"
        return None

    names = sorted(recorded)
    told = in_parallel.each(problem, names, jobs)
    return unknown, {name: text for name, text in together(names, told) if text}


def verification(
    folder: Path, digest: Callable[[Path], str] | None = None
) -> dict[str, Any] | None:
    """Return the record of the set's last proof, None if it was never verified.

    A record counts only for the manifest that it names by hash; *digest* gives that of a set's
    folder, where it is known.
    """
    try:
        record: dict[str, Any] = json.loads((folder / VERIFIED).read_bytes())
        known = digest(folder) if digest else files.sha256(folder / manifest.NAME)
        if record["manifest_sha256"] == known:
            return record
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def mark_verified(folder: Path, record: dict[str, Any]) -> None:
    """Record that the set was restored and found equal to its manifest."""
    content = record | {
        "manifest_sha256": files.sha256(folder / manifest.NAME),
        "verified_at": utc_stamp(datetime.now(UTC)),
    }
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"
    write_note(folder / VERIFIED, text)


def write_note(path: Path, text: str) -> None:
    """Write a note beside a set's files; a kill meanwhile does not harm the set.

    :raises OpsError: disk.*, files.unwritable
    """
    with file_system.coded(path.parent):
        files.replace(path, text.encode(), aside=path.with_name(path.name + NEW))


def _ours(folder: Path) -> BackupSet:
    document = manifest.read(folder)
    return BackupSet(dump=folder / document["dump"]["path"], folder=folder, manifest=document)


def _age_order(folder: Path) -> tuple[str, int]:
    stamp, _, number = folder.name.partition("_")[2].partition("-")
    return f"{folder.name[:10]}_{stamp}", int(number or 0)


def _looks_like_sql(head: bytes) -> bool:
    if b"\0" in head:
        return False
    text = head.decode(errors="replace").upper()
    return any(word in text for word in ("POSTGRESQL DATABASE DUMP", "CREATE ", "SET ", "--", "\\"))
