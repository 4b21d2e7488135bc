# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restore the parts of a set: plan, put back, undo. Databases are restored as every database is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import file_system, files, process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.evidence import ledger, restores
from ansible.module_utils.pmsops.parts import packs, placing, storage
from ansible.module_utils.pmsops.repository import manifest, reading, set_parts, sets, signing

LOCK = "parts.lock"
NEXT = {
    "compose": "Compose reads its files when it starts services: docker compose up --detach in"
    " their folder. A container keeps the file that it mounted until it is made anew.",
    "grafana": "Grafana reads dashboards of its provisioning by itself, data sources at its start.",
}


@dataclass(frozen=True)
class Request:
    """What an operator asks for."""

    root: Path
    keys: Path
    names: tuple[str, ...]
    file: Path | None = None
    trust: str | None = None
    evidence: Path | None = None
    identity: Path | None = None
    redis: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass
class Plan:
    """The parts of a verified set, and what becomes of each."""

    backup_set: sets.BackupSet
    parts: dict[str, dict[str, Any]]
    steps: list[placing.Step] = field(default_factory=list)
    others: list[Mapping[str, Any]] = field(default_factory=list)
    packs: bytes | None = None
    outcome: dict[str, str] = field(default_factory=dict)  # of each pack
    databases: list[dict[str, str]] = field(default_factory=list)

    @property
    def changes(self) -> bool:
        """Tell whether a file or a pack is not as in the set."""
        of_files = any(each.what != placing.SAME for each in self.steps)
        return of_files or packs.WRITTEN in self.outcome.values()

    def lines(self) -> list[str]:
        """Return what becomes of each part, for people."""
        found = []
        for name, part in self.parts.items():
            found.append(f"{name}, of {part['read_at']}:")
            found += [f"  {each}" for each in self._of(name, part)]
            found += [f"  not in the set: {each}" for each in part["left_out"]]
        return found

    def _of(self, name: str, part: Mapping[str, Any]) -> list[str]:
        if part["kind"] == set_parts.DATABASE:
            of_it = (each for each in self.databases if each["part"] == name)
            return [
                f"database {each['database']}: set {Path(each['file']).name}, by the same proof and"
                " swap as the PMS's"
                for each in of_it
            ]
        if part["kind"] == set_parts.REDIS:
            return [f"{key}: {what}" for key, what in self.outcome.items()] or ["no pack"]
        steps = [each for each in self.steps if each.part == name]
        same = sum(each.what == placing.SAME for each in steps)
        differ = [each.text for each in steps if each.what != placing.SAME]
        return differ + ([f"{same} of {len(steps)} files are as in the set"] if same else [])


def run(request: Request, *, check: bool) -> dict[str, Any]:
    """Put the parts of a set back, except databases; return what was done, or would be.

    :raises OpsError: parts.*, set.*, signing.*, encryption.*, redis.*, disk.*, files.unwritable
    """
    found = sets.resolve(request.file or sets.newest(request.root))
    with reading.held(found.folder):
        plan = _plan(request, found)
    stamp, changes = _stamp(), plan.changes
    if not check and changes:
        _execute(request, plan, stamp)
    replaced = [each.path for each in plan.steps if each.what == placing.REPLACES]
    touched = {each.part for each in plan.steps if each.what != placing.SAME}
    return {
        "changed": changes,
        "set": found.id,
        "snapshot_at": (found.manifest or {}).get("snapshot_at"),
        "names": list(plan.parts),
        "lines": plan.lines(),
        "databases": plan.databases,
        "kept": [] if check else [str(placing.former(path, stamp)) for path in replaced],
        "next_steps": [text for name, text in NEXT.items() if name in touched],
    }


def _plan(request: Request, found: sets.BackupSet) -> Plan:
    if found.folder is None or found.manifest is None:
        raise OpsError(
            f"{found.dump} is a dump without a manifest: it has no parts. Nothing was changed.",
            "Name a set's folder below backup_root.",
            code="parts.none",
        )
    signing.check(found.manifest, request.keys, trust=request.trust)
    plan = Plan(found, set_parts.chosen(found.manifest, request.names))
    for name, part in plan.parts.items():
        storage.check(found.folder, found.manifest, part)
        _look(request, plan, found.folder, name, part)
    return plan


def _look(request: Request, plan: Plan, folder: Path, name: str, part: Mapping[str, Any]) -> None:
    if part["kind"] == set_parts.DATABASE:
        there = _set_of(request, folder, part)
        database = str(part["database"])
        plan.databases.append({"part": name, "database": database, "file": str(there)})
    elif part["kind"] == set_parts.REDIS:
        plan.packs = storage.read(folder, part["files"][0], request.identity)
        plan.outcome = packs.planned(request.redis, plan.packs)
    else:
        steps, others = placing.steps(folder, name, part, request.identity)
        plan.steps += steps
        plan.others += others


def _set_of(request: Request, folder: Path, part: Mapping[str, Any]) -> Path:
    """Return the set of another database to which a part refers.

    It is beside the set, which may have been fetched, or below backup_root.

    :raises OpsError: parts.set-gone, parts.other-set
    """
    database, name = str(part["database"]), str(part["set"])
    for root in (folder.parent, request.root):
        there = root / sets.OTHERS / database / name
        if not (there / manifest.NAME).is_file():
            continue
        if files.sha256(there / manifest.NAME) != part["manifest_sha256"]:
            raise OpsError(
                f"{there} is not the set of database {database} that set {folder.name} refers to:"
                " its manifest is another one. Nothing was changed.",
                "Name the set to restore yourself: pms-ops restore SET --database"
                f" {database}; `pms-ops drill --database {database}` proves one.",
                code="parts.other-set",
            )
        return there
    raise OpsError(
        f"Set {name} of database {database}, to which set {folder.name} refers, is gone. Nothing"
        " was changed.",
        f"Fetch it from another site (pms-ops offsite fetch), or restore another set of it:"
        f" pms-ops restore latest --database {database}.",
        code="parts.set-gone",
    )


def _execute(request: Request, plan: Plan, stamp: str) -> None:
    state = sets.state_folder(request.root)
    try:
        with process_lock.exclusive(state / LOCK, "restore of parts"):
            if plan.steps:
                placing.place(request.root, stamp, plan.steps, plan.others)
            if plan.packs is not None:
                plan.outcome = packs.put_back(request.redis, plan.packs)
    except OSError as exc:
        raise file_system.error_of(
            exc,
            request.root,
            then="What was replaced is kept: pms-ops rollback --parts-only --parts undoes it.",
        ) from exc
    changed = [str(each.path) for each in plan.steps if each.what != placing.SAME]
    _record(request, "restore", plan.backup_set.id, list(plan.parts), changed)


def undo(request: Request, *, check: bool) -> dict[str, Any]:
    """Put back the files that the last restore of parts replaced; return a line for each.

    The databases among the parts are named, for whoever rolls them back.

    :raises OpsError: parts.no-rollback, parts.unknown, parts.nothing-to-undo
    """
    if "redis" in request.names:
        raise OpsError(
            "A restore of Redis's packs is not undone: it overwrites no key, and a pack goes by"
            " itself within minutes. Nothing was changed.",
            "Name the other parts only. A pack that has to go now: redis-cli DEL its key.",
            code="parts.no-rollback",
        )
    databases = _known_databases(request)
    of_files = [
        each.name
        for each in set_parts.TABLE
        if each.kind == set_parts.FILES and {each.name, set_parts.ALL} & {*request.names}
    ]
    stamp, lines = _stamp(), []
    state = sets.state_folder(request.root)
    if of_files:
        with process_lock.exclusive(state / LOCK, "rollback of parts"):
            lines = placing.undo(request.root, stamp, of_files, check=check)
        if not check:
            _record(request, "rollback", None, of_files, lines)
    return {
        "changed": bool(lines),
        "lines": lines,
        "names": list(request.names),
        "databases": databases,
    }


def _known_databases(request: Request) -> list[dict[str, str]]:
    """Return the databases among the parts that are asked for, as the newest set names them."""
    document = sets.resolve(sets.newest(request.root)).manifest or {}
    there = {name: part for name, part in set_parts.of(document).items() if "database" in part}
    known = {each.name for each in set_parts.TABLE} | {set_parts.ALL, *there}
    known |= {part["database"] for part in there.values()}
    if unknown := [name for name in request.names if name not in known]:
        raise OpsError(
            f"There is no part {unknown[0]!r}. Nothing was changed.",
            f"Parts are {', '.join(sorted(known))}.",
            code="parts.unknown",
        )
    return [
        {"part": name, "database": part["database"]}
        for name, part in there.items()
        if {name, part["database"], set_parts.DATABASES, set_parts.ALL} & {*request.names}
    ]


def _record(
    request: Request, kind: str, backup_set: str | None, parts: Sequence[str], changed: list[str]
) -> None:
    if request.evidence is not None:
        record = {"set": backup_set, restores.PARTS: list(parts), "files": changed}
        ledger.append(request.evidence, kind, record, now=datetime.now(UTC))


def _stamp() -> str:
    now = datetime.now(UTC)
    return now.strftime("%Y%m%dT%H%M%S") + f"{now.microsecond // 1000:03d}Z"
