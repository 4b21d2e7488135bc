# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The proof of a staging database: liveness, objects, rows, canary row, and the PMS's queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible.module_utils.pmsops.client_tools import archive_contents
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.postgresql import (
    canary,
    timescaledb_held_jobs,
    timescaledb_workers,
)
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import manifest, sets
from ansible.module_utils.pmsops.restore import staging_database
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.verify import causes, differences, queries
from ansible.module_utils.pmsops.verify import database as comparison
from ansible.module_utils.pmsops.verify.negative_control import Control

OF_SET = "signature, every file, every object and every row"
OF_OLD_SET = (
    "signature, every file, every row as it is stored, and the kinds of objects that its release"
    " knew; the next backup is proved as queries read it, with every kind of object"
)
OF_ARCHIVE = (
    "the archive is complete and every table has as many rows as the archive; without a manifest,"
    " changed values and a changed dump go unnoticed"
)


@dataclass(frozen=True)
class Proof:
    """What was compared; its fields are keys of the result."""

    verified: str
    tables: int
    rows: int
    # Whether the canary row was found; None if the set records none.
    canary: bool | None
    queries: list[dict[str, Any]]
    jobs: list[int]
    # Of the fingerprints; None without a manifest.
    formula: int | None = None
    # What no restore of the set brings back, a line each.
    not_restored: list[str] = field(default_factory=list)
    # What became of the negative control.
    negative_control: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    # Of every object as it was read; None without a manifest. Two proofs of one copy have the same.
    objects_sha256: str | None = None


def again(prove: Callable[[Database], Proof], live: Database, staging: Database) -> Proof | None:
    """Prove the database that an earlier run kept; drop it and return None if it differs now.

    It was live for the time of a probe, in which sequences may have moved on.
    """
    timescaledb_held_jobs.hold(staging)  # the swap had released them
    try:
        return prove(staging)
    except OpsError as exc:
        if exc.code != "restore.different":
            raise
    staging_database.drop(live, staging.name)
    return None


def require_liveness(staging: Database) -> None:
    """Check that TimescaleDB's scheduler runs, and that hypertables accept rows.

    :raises OpsError: restore.no-scheduler, restore.not-writable
    """
    timescaledb_workers.start_workers(staging)
    # Each worker occupies a slot of the server, and nothing needs them before the swap.
    timescaledb_workers.workers(staging, "stop")
    refused = timescaledb_workers.insert_test(staging)
    if refused:
        raise OpsError(
            "The staging database refuses rows: " + "; ".join(refused[:5]),
            "Restore another set; the live database was not touched.",
            code="restore.not-writable",
        )


def of_set(
    staging: Database,
    document: dict[str, Any],
    request: Request,
    progress: Progress,
    other_versions: Sequence[str],
    *,
    restored: bool = True,
) -> Proof:
    """Compare a staging database with the manifest *document*, and see that it could fail.

    *restored*: it is as it was restored; a former database is not, and gets no allowance for that.

    :raises OpsError: restore.different, restore.canary, proof.broken, and those of queries.ask.
    """
    total = len(document["contents"])
    control = Control()
    with progress.phase("prove", total=total, unit="tables"):
        deviations: list[str] = []
        digests: list[str] = []
        found = comparison.differences(
            staging,
            document,
            progress=progress,
            other_versions=other_versions,
            deviations=deviations,
            restored=restored,
            control=control,
            digests=digests,
        )
    _require_none(found, request.shown, document.get("losses", []))
    control.require_found()
    seen = _require_canary(staging, document.get("canary"))
    verified = OF_SET if manifest.schema(document) >= 3 else OF_OLD_SET
    made = _proof(staging, request, progress, verified, total, manifest.rows(document), seen)
    return replace(
        made,
        formula=manifest.formula(document),
        not_restored=deviations,
        negative_control=control.record,
        warnings=control.warnings(),
        objects_sha256=next(iter(digests), None),
    )


def of_archive(
    staging: Database,
    contents: archive_contents.Contents,
    request: Request,
    progress: Progress,
) -> Proof:
    """Compare a staging database with a bare dump; objects that are not valid become warnings.

    :raises OpsError: restore.different, proof.broken, and those of queries.ask.
    """
    total = len(contents.rows)
    control = Control()
    with progress.phase("prove", total=total, unit="tables"):
        found = comparison.naive_differences(staging, contents, progress=progress, control=control)
        warnings = comparison.invalid_objects(staging)
    _require_none(found, request.shown)
    control.require_found()
    rows = sum(contents.rows.values())
    made = _proof(staging, request, progress, OF_ARCHIVE, total, rows, None)
    warnings += control.warnings()
    return replace(made, negative_control=control.record, warnings=warnings)


def _proof(
    staging: Database,
    request: Request,
    progress: Progress,
    verified: str,
    tables: int,
    rows: int,
    seen: bool | None,
) -> Proof:
    with progress.phase("queries", total=len(request.queries), unit="queries"):
        answers = queries.ask(staging, request.queries)
    with staging.session(read_only=True) as cursor:
        held = timescaledb_held_jobs.held(cursor)
    return Proof(verified, tables, rows, seen, answers, held)


def _require_none(
    found: list[differences.Difference], shown: int, losses: Sequence[dict[str, Any]] = ()
) -> None:
    """Refuse a staging database that differs; *losses* are those that the set records.

    :raises OpsError: restore.different
    """
    if not found:
        return
    lost = {each["table"] for each in losses}
    known = [each["what"] for each in losses] if lost & {each.table for each in found} else []
    raise OpsError(
        f"The staging database differs from the set in {len(found)} points: "
        + "; ".join(causes.lines(found, shown=shown))
        + ("; known since the backup: " + " ".join(known) if known else ""),
        (
            "The live database was not touched. "
            + (
                "No set made before the remedy has these values. On the live database: "
                + " ".join(each["remedy"] for each in losses)
                if known
                else "Take another set, and keep this one to find the cause."
            )
        ),
        code="restore.different",
    )


def _require_canary(staging: Database, token: str | None) -> bool | None:
    """Refuse a database without the row that was written just before this very backup.

    :raises OpsError: restore.canary
    """
    if not token:
        return None
    with staging.session(read_only=True) as cursor:
        if not canary.seen(cursor, token):
            raise OpsError(
                f"The staging database lacks the canary row {token} written before the backup.",
                "The set does not hold this backup. Take another set.",
                code="restore.canary",
            )
    return True


def noted(
    backup_set: sets.BackupSet, proved: Proof, duration: float | None, request: Request
) -> list[str]:
    """Note in a set's folder that it was verified; return why that cannot be noted.

    Without a *duration* of its own the note keeps the one that it has.
    """
    document = backup_set.manifest
    if backup_set.folder is None or document is None:
        return []
    if duration is None:
        duration = (sets.verification(backup_set.folder) or {}).get("duration_seconds")
    record = {
        "canary": proved.canary,
        "rows": manifest.rows(document),
        "tables": len(document["contents"]),
        "duration_seconds": None if duration is None else round(duration, 3),
        "size_bytes": document["server"].get("size_bytes"),
    }
    if request.without_extensions:
        record["without_extensions"] = list(request.without_extensions)
    try:
        sets.mark_verified(backup_set.folder, record)
    except OpsError as exc:
        return [
            f"Set {backup_set.id} is verified, and its folder cannot say so: {exc} status asks for"
            " a drill until it does."
        ]
    return []
