# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Single tables of a set, restored into a schema of their own in the live database.

In a dump, the rows of a hypertable belong to its chunks. So the tables are restored into a staging
database, read there as the application would read them, and copied as plain tables. The live
database receives all of them in one transaction, or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common import file_system
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.postgresql import fingerprint, timescaledb_chunks
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    become_superuser,
    fetch_all,
    fetch_value,
    quote_ident,
)
from ansible.module_utils.pmsops.repository import manifest, reading
from ansible.module_utils.pmsops.restore import database_lock, staging_database
from ansible.module_utils.pmsops.restore.journal import Journal
from ansible.module_utils.pmsops.restore.phases import PhasedRestore
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import StagedRestore
from ansible.module_utils.pmsops.restore.table_copy import copy_table
from ansible.module_utils.pmsops.verify import differences

# A table and all tables that hold its rows: partitions and chunks.
WITH_PARTS = """
WITH RECURSIVE parts(oid) AS (
    SELECT to_regclass(format('%%I.%%I', %s::text, %s::text))::oid
    UNION SELECT i.inhrelid FROM parts JOIN pg_inherits i ON i.inhparent = parts.oid
)
SELECT c.oid::int8, n.nspname, c.relname FROM parts JOIN pg_class c ON c.oid = parts.oid
  JOIN pg_namespace n ON n.oid = c.relnamespace
"""
BY_OID = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = ANY(%s::int8[]::oid[])
"""


TableName = tuple[str, str]


@dataclass(frozen=True)
class TableRequest:
    """The tables to restore, as (schema, name), and the schema to restore them into."""

    tables: tuple[TableName, ...]
    into: str

    @classmethod
    def parse(cls, tables: list[str], into: str) -> TableRequest:
        """Parse table names as an operator writes them; ``public.`` may be omitted."""
        named = []
        for each in tables:
            schema, dot, name = each.partition(".")
            named.append((schema, name) if dot else ("public", each))
        return cls(tuple(dict.fromkeys(named)), into)


def plan(database: Database, request: Request, wanted: TableRequest) -> dict[str, Any]:
    """Return which tables would be restored; nothing is changed."""
    restore = StagedRestore(database, request, Progress())
    restore.check()
    _check(restore, wanted)
    return _result(restore, wanted, {name: _recorded_rows(restore, name) for name in wanted.tables})


def run(
    database: Database, request: Request, wanted: TableRequest, *, progress: Progress
) -> dict[str, Any]:
    """Restore the tables; return how many rows each has.

    :raises OpsError: restore.no-table, restore.into-taken and those of a restore.
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
                restore.fill(staging, lambda phases: _restore_tables(phases, wanted))
                with progress.phase("prove", total=len(wanted.tables), unit="tables"):
                    _prove(restore, staging, wanted)
                with progress.phase("copy", total=len(wanted.tables), unit="tables"):
                    rows = _copy_all(restore, staging, wanted)
            except OpsError as exc:
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
    return _result(restore, wanted, rows) | {
        "phases": progress.seconds,
        "warnings": [stays] if stays else [],
    }


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


def _restore_tables(phases: PhasedRestore, wanted: TableRequest) -> None:
    """Restore all definitions, and the rows of the wanted tables."""
    phases.prepare()
    with phases.target.session(read_only=True) as cursor:
        parts = {part for name in wanted.tables for part in _parts(cursor, name)}
    with phases.progress.phase("data"):
        phases.section("data", phases.contents.data_of(parts), jobs=phases.jobs)
    phases.end_restoring()


def _parts(cursor: Any, name: TableName) -> list[TableName]:
    """Return the table and all tables with its rows, compressed ones too.

    No inheritance leads to the relation with the compressed rows of a chunk: only TimescaleDB's
    catalogue does, which is restored before.
    """
    found = fetch_all(cursor, WITH_PARTS, name)
    compressed = timescaledb_chunks.compressed(cursor)
    stored = [compressed[oid] for oid, *_name in found if oid in compressed]
    names = [(schema, table) for _oid, schema, table in found]
    return names + [(schema, table) for schema, table in fetch_all(cursor, BY_OID, (stored,))]


def _prove(restore: StagedRestore, staging: Database, wanted: TableRequest) -> None:
    """Compare the rows of the restored tables with the set.

    :raises OpsError: restore.different
    """
    if restore.contents:
        return
    with staging.session(read_only=True) as cursor:
        parts = {part for name in wanted.tables for part in _parts(cursor, name)}
        formula = manifest.formula(restore.document)
        relations = [
            each
            for each in fingerprint.relations(cursor, formula)
            if (each.schema, each.name) in parts
        ]
        found = fingerprint.fingerprints([cursor], relations, formula=formula)
    recorded = restore.document["contents"]
    problems = differences.of_contents({name: recorded[name] for name in found}, found)
    if problems:
        raise OpsError(
            f"The restored tables differ from the set: {'; '.join(differences.lines(problems))}.",
            "The live database was not changed. Take another set.",
            code="restore.different",
        )


def _copy_all(
    restore: StagedRestore, staging: Database, wanted: TableRequest
) -> dict[tuple[str, str], int]:
    """Copy the tables into the live database in one transaction, and compare them."""
    rows = {}
    source = staging.connect(read_only=True)
    target = restore.database.connect()
    try:
        with source.cursor() as reading, target.cursor() as writing:
            become_superuser(writing)
            owner = fetch_value(
                writing,
                "SELECT pg_get_userbyid(datdba) FROM pg_database"
                " WHERE datname = current_database()",
            )
            writing.execute(
                f"CREATE SCHEMA IF NOT EXISTS {quote_ident(wanted.into)}"
                f" AUTHORIZATION {quote_ident(owner)}"
            )
            for done, name in enumerate(wanted.tables):
                restore.progress.update(done)
                rows[name] = copy_table(
                    reading, writing, name, wanted.into, owner, restore.backup_set.id
                )
        target.commit()
    finally:
        source.close()
        target.close()
    return rows
