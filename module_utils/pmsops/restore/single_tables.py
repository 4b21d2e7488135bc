# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Single tables of a set, restored into a schema of the live database, or in place.

In a dump, the rows of a hypertable belong to its chunks. So the tables are restored into a staging
database, read there as the application would read them, and copied. They bring all that belongs to
them; a hypertable becomes a plain table, but in place it is one again. The live database receives
all of them in one transaction, or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common import file_system
from ansible.module_utils.pmsops.common.errors import InterruptError, OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.evidence import ledger, restores
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all
from ansible.module_utils.pmsops.repository import manifest, reading
from ansible.module_utils.pmsops.restore import (
    database_lock,
    staging_database,
    table_rows,
)
from ansible.module_utils.pmsops.restore.journal import Journal
from ansible.module_utils.pmsops.restore.phases import PhasedRestore
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import StagedRestore
from ansible.module_utils.pmsops.restore.table_definitions import TableName
from ansible.module_utils.pmsops.restore.table_surroundings import require_exchangeable
from ansible.module_utils.pmsops.restore.table_transfer import TableRequest, Transfer


def plan(database: Database, request: Request, wanted: TableRequest) -> dict[str, Any]:
    """Return which tables would be restored; nothing is changed."""
    restore = StagedRestore(database, request, Progress())
    restore.check()
    _check(restore, wanted)
    return _result(restore, wanted, {name: _recorded_rows(restore, name) for name in wanted.tables})


def run(
    database: Database, request: Request, wanted: TableRequest, *, progress: Progress
) -> dict[str, Any]:
    """Restore the tables; return how many rows each has, and where the former ones are.

    :raises OpsError: restore.no-table, restore.into-taken, restore.in-place,
        restore.table-definition and those of a restore.
    """
    with (
        file_system.coded(request.root),
        database_lock.exclusive(database, request.root, "restore of tables"),
        reading.held(request.backup_set.folder),
    ):
        try:
            restore = StagedRestore(database, request, progress)
            with progress.phase("preflight"):
                restore.check()
                _check(restore, wanted)
            journal = Journal.of_root(request.root)
            restore.begin(journal)
            staging = database.named(restore.staging)
            stays: str | None = None
            try:
                transfer = Transfer(restore, staging, wanted)
                restore.fill(staging, lambda phases: _bring(phases, transfer))
                unrecorded = _record(request, transfer)
            except (OpsError, InterruptError) as exc:
                stays = staging_database.drop_or_explain(database, restore.staging)
                exc.args = (" ".join([str(exc), *([stays] if stays else [])]),)
                raise
            finally:
                stays = stays or staging_database.drop_or_explain(database, restore.staging)
                if stays is None:
                    journal.close()
                restore.close()
        except psycopg2.Error as exc:
            raise database.to_error(exc) from exc
        finally:
            progress.close()
    return (
        _result(restore, wanted, transfer.rows)
        | transfer.outcome
        | {
            "phases": progress.seconds,
            "warnings": [*transfer.warnings, *([stays] if stays else []), *unrecorded],
        }
    )


def _record(request: Request, transfer: Transfer) -> list[str]:
    """Add the line of tables in place to the ledger; return a warning where that fails."""
    if transfer.wanted.into is not None or request.evidence is None:
        return []
    record = {
        "set": transfer.restore.backup_set.id,
        restores.TABLES: [".".join(each) for each in transfer.wanted.tables],
        "former_schema": transfer.outcome["former_schema"],
        "former_bytes": transfer.outcome["former_bytes"],
        "negative_control": transfer.outcome.get("negative_control"),
    }
    try:
        ledger.append(request.evidence, "restore", record, now=datetime.now(UTC))
    except OpsError as exc:
        return [f"The ledger lacks this restore: {exc}"]
    return []


def _result(
    restore: StagedRestore, wanted: TableRequest, rows: Mapping[TableName, int | None]
) -> dict[str, Any]:
    return {
        "set": str(restore.backup_set.path),
        "snapshot_at": restore.document.get("snapshot_at"),
        "into": wanted.into,
        "tables": [
            {"name": f"{schema}.{name}", "rows": rows[schema, name]}
            for schema, name in wanted.tables
        ],
        "left_out": [],
        "former_schema": None,
        "former": [],
        "undo": None,
        "notes": [],
        "negative_control": None,
        "phases": {},
    }


def _recorded_rows(restore: StagedRestore, name: TableName) -> int | None:
    """Return the recorded rows of a table with its chunks; None if the set does not tell."""
    table, document = ".".join(name), restore.document
    if not document or table not in document["facts"]["tables"]:
        return None
    return manifest.rows_of(document, table)


def _check(restore: StagedRestore, wanted: TableRequest) -> None:
    """Refuse tables that the set lacks, or that exist in the schema already."""
    if restore.toc:
        has = {f" TABLE {schema} {name} " for schema, name in wanted.tables}
        lines = [f"{line} " for line in restore.toc.lines]
        missing = [each.split()[2] for each in has if not any(each in line for line in lines)]
    else:
        known = restore.document["facts"]["tables"]
        missing = [".".join(each) for each in wanted.tables if ".".join(each) not in known]
    if missing:
        raise OpsError(
            f"The set has no table {', '.join(sorted(missing))}.",
            "Name tables as schema.table (public. may be omitted); views are not restored.",
            code="restore.no-table",
        )
    names = [name for _schema, name in wanted.tables]
    if len(set(names)) < len(names):
        raise OpsError(
            "Two of the tables have the same name, which one schema cannot hold twice.",
            "Restore them one after the other, into schemas of their own.",
            code="restore.into-taken",
        )
    with restore.database.session(read_only=True) as cursor:
        if wanted.into is None:
            require_exchangeable(cursor, wanted.tables, "the live database")
        taken = [
            row[0]
            for row in fetch_all(
                cursor,
                """SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = %s AND c.relname = ANY(%s) ORDER BY 1""",
                (wanted.into, names),
            )
        ]
    if taken:
        raise OpsError(
            f"Schema {wanted.into} of {restore.database.name} already has {', '.join(taken)}.",
            f"Give another schema with -e into=..., or drop schema {wanted.into}.",
            code="restore.into-taken",
        )


def _bring(phases: PhasedRestore, transfer: Transfer) -> None:
    wanted = transfer.wanted
    _restore_tables(phases, wanted)
    with phases.progress.phase("prove", total=len(wanted.tables), unit="tables"):
        control = table_rows.prove(transfer.restore, transfer.staging, _parts_of(wanted))
    if control:
        transfer.outcome["negative_control"] = control.record
        transfer.warnings += control.warnings()
    transfer.bring(phases)


def _restore_tables(phases: PhasedRestore, wanted: TableRequest) -> None:
    """Restore all definitions, and the rows of the wanted tables."""
    table_rows.load(phases, wanted.tables, _parts_of(wanted))


def _parts_of(wanted: TableRequest) -> table_rows.Parts:
    return lambda cursor: table_rows.of_tables(cursor, wanted.tables)
