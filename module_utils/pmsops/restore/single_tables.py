# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Single tables of a set, brought into a schema of their own beside the live ones.

A dump has no row of a hypertable: its rows are its chunks'. So the tables are restored into a
database aside, read there as the application would, and copied as plain tables. The live database
gets all of them in one transaction, or none.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common import process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.postgresql import fingerprint
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    become_superuser,
    fetch_all,
    fetch_value,
    quote_ident,
    quote_literal,
)
from ansible.module_utils.pmsops.repository import manifest, sets
from ansible.module_utils.pmsops.restore import journal as restore_journal
from ansible.module_utils.pmsops.restore import phases as restore
from ansible.module_utils.pmsops.restore import run as aside
from ansible.module_utils.pmsops.restore import staging_database as side
from ansible.module_utils.pmsops.verify import differences

# A table and all tables whose rows are its own: partitions, chunks, and chunks' compressed rows.
WITH_PARTS = """
WITH RECURSIVE parts(oid) AS (
    SELECT to_regclass(format('%%I.%%I', %s::text, %s::text))::oid
    UNION SELECT i.inhrelid FROM parts JOIN pg_inherits i ON i.inhparent = parts.oid
)
SELECT n.nspname, c.relname FROM parts JOIN pg_class c ON c.oid = parts.oid
  JOIN pg_namespace n ON n.oid = c.relnamespace
"""
COMPRESSED = """
SELECT b.schema_name, b.table_name
  FROM _timescaledb_catalog.hypertable a
  JOIN _timescaledb_catalog.hypertable b ON b.id = a.compressed_hypertable_id
 WHERE a.schema_name = %s AND a.table_name = %s
"""
HAS_COMPRESSED = """
SELECT 1 FROM pg_attribute
 WHERE attrelid = to_regclass('_timescaledb_catalog.hypertable')
   AND attname = 'compressed_hypertable_id'
"""
COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
 WHERE a.attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text)) AND a.attnum > 0
   AND NOT a.attisdropped ORDER BY a.attnum
"""


@dataclass(frozen=True)
class Wish:
    """The tables to bring, as (schema, name), and the schema to bring them into."""

    tables: tuple[tuple[str, str], ...]
    into: str

    @classmethod
    def parse(cls, tables: list[str], into: str) -> Wish:
        """Read tables as an operator writes them; ``public.`` may be left out."""
        named = [tuple(each.split(".", 1)) if "." in each else ("public", each) for each in tables]
        return cls(tuple(dict.fromkeys(named)), into)


def plan(database: Database, request: aside.Request, wish: Wish) -> dict[str, Any]:
    """Return what would be brought; nothing is changed."""
    run_ = aside.Run(database, request, request.chosen(), Progress())
    run_.check()
    _check(run_, wish)
    return _result(run_, wish, {name: _recorded_rows(run_, name) for name in wish.tables})


def run(
    database: Database, request: aside.Request, wish: Wish, *, progress: Progress
) -> dict[str, Any]:
    """Bring the tables; return how many rows each has.

    :raises OpsError: restore.no-table, restore.into-taken and those of a restore.
    """
    state = sets.state_folder(request.root)
    with (
        process_lock.exclusive(state / aside.LOCK, "restore of tables"),
        aside.one_of_this_server(database),
    ):
        try:
            run_ = aside.Run(database, request, request.chosen(), progress)
            with progress.phase("preflight"):
                run_.check()
                _check(run_, wish)
            journal = restore_journal.Journal.open(state / restore_journal.NAME)
            run_.begin(journal)
            copy = database.named(run_.side)
            try:
                run_.fill(copy, lambda one: _restore_tables(one, wish))
                with progress.phase("prove", total=len(wish.tables), unit="tables"):
                    _prove(run_, copy, wish)
                with progress.phase("copy", total=len(wish.tables), unit="tables"):
                    rows = _bring(run_, copy, wish)
            finally:
                with suppress(OpsError, psycopg2.Error):
                    side.drop(database, run_.side)
                    journal.close()
                run_.close()
        except psycopg2.Error as exc:
            raise database.to_error(exc) from exc
        finally:
            progress.close()
    return _result(run_, wish, rows) | {"phases": progress.seconds}


def _result(run_: aside.Run, wish: Wish, rows: dict[tuple[str, str], int | None]) -> dict[str, Any]:
    return {
        "set": str(run_.chosen.folder or run_.chosen.dump),
        "snapshot_at": (run_.chosen.manifest or {}).get("snapshot_at"),
        "into": wish.into,
        "tables": [
            {"name": f"{schema}.{name}", "rows": rows[schema, name]} for schema, name in wish.tables
        ],
        "phases": {},
    }


def _recorded_rows(run_: aside.Run, name: tuple[str, str]) -> int | None:
    """Return the rows that the set records of a plain table; chunks' are only known by name."""
    entry = run_.document.get("contents", {}).get(".".join(name))
    hypertables = run_.document.get("facts", {}).get("hypertables", {})
    return entry["rows"] if entry and ".".join(name) not in hypertables else None


def _check(run_: aside.Run, wish: Wish) -> None:
    """Refuse tables that the set does not have, or that the schema has already."""
    if run_.naive:
        has = {f" TABLE {schema} {name} " for schema, name in wish.tables}
        lines = [f"{line} " for line in run_.contents.lines]
        missing = [each.split()[2] for each in has if not any(each in line for line in lines)]
    else:
        known = run_.document["facts"]["tables"]
        missing = [".".join(each) for each in wish.tables if ".".join(each) not in known]
    if missing:
        raise OpsError(
            f"The set has no table {', '.join(sorted(missing))}.",
            "Name tables as schema.table (public. may be left out), views are not restored.",
            code="restore.no-table",
        )
    names = [name for _schema, name in wish.tables]
    if len(set(names)) < len(names):
        raise OpsError(
            "Two of the tables have the same name, and one schema holds a name once.",
            "Bring them one after the other, into schemas of their own.",
            code="restore.into-taken",
        )
    with run_.database.session(read_only=True) as cursor:
        taken = [
            row[0]
            for row in fetch_all(
                cursor,
                """SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = %s AND c.relname = ANY(%s) ORDER BY 1""",
                (wish.into, names),
            )
        ]
    if taken:
        raise OpsError(
            f"Schema {wish.into} of {run_.database.name} has {', '.join(taken)} already.",
            f"Give another schema with -e into=..., or drop {wish.into} if nobody needs it.",
            code="restore.into-taken",
        )


def _restore_tables(one: restore.Restore, wish: Wish) -> None:
    """Restore the definitions of everything, and the rows of the wished tables."""
    one.prepare()
    with one.target.session(read_only=True) as cursor:
        parts = {part for name in wish.tables for part in _parts(cursor, name)}
    with one.progress.phase("data"):
        one.section("data", one.contents.data_of(parts), jobs=one.jobs)
    one.end_restoring()


def _parts(cursor: Any, name: tuple[str, str]) -> list[tuple[str, str]]:
    found = fetch_all(cursor, WITH_PARTS, name)
    if fetch_value(cursor, HAS_COMPRESSED):
        for compressed in fetch_all(cursor, COMPRESSED, name):
            found += fetch_all(cursor, WITH_PARTS, compressed)
    return found


def _prove(run_: aside.Run, copy: Database, wish: Wish) -> None:
    """Compare the rows of the tables aside with the set.

    :raises OpsError: restore.different
    """
    if run_.naive:
        return
    with copy.session(read_only=True) as cursor:
        wanted = {".".join(part) for name in wish.tables for part in _parts(cursor, name)}
        relations = [each for each in fingerprint.relations(cursor) if each.key in wanted]
        formula = manifest.formula(run_.document)
        found = fingerprint.fingerprints([cursor], relations, formula=formula)
    recorded = run_.document["contents"]
    problems = differences.of_contents({name: recorded[name] for name in found}, found)
    if problems:
        raise OpsError(
            f"What was restored differs from the set: {'; '.join(differences.lines(problems))}.",
            "Nothing was brought into the live database. Take another set.",
            code="restore.different",
        )


def _bring(run_: aside.Run, copy: Database, wish: Wish) -> dict[tuple[str, str], int]:
    """Copy the tables into the live database in one transaction, and compare them there."""
    rows = {}
    source = copy.connect(read_only=True)
    target = run_.database.connect()
    try:
        with source.cursor() as reading, target.cursor() as writing:
            become_superuser(writing)
            owner = fetch_value(
                writing,
                "SELECT pg_get_userbyid(datdba) FROM pg_database"
                " WHERE datname = current_database()",
            )
            writing.execute(
                f"CREATE SCHEMA IF NOT EXISTS {quote_ident(wish.into)}"
                f" AUTHORIZATION {quote_ident(owner)}"
            )
            for done, name in enumerate(wish.tables):
                run_.progress.update(done)
                rows[name] = _copy(reading, writing, name, wish.into, owner, run_.chosen.id)
        target.commit()
    finally:
        source.close()
        target.close()
    return rows


def _copy(
    reading: Any, writing: Any, name: tuple[str, str], into: str, owner: str, set_id: str
) -> int:
    """Copy one table; return its rows once both sides are seen to be equal."""
    columns = fetch_all(reading, COLUMNS, name)
    here = f"{quote_ident(into)}.{quote_ident(name[1])}"
    there = ".".join(quote_ident(each) for each in name)
    listed = ", ".join(quote_ident(each) for each, _type in columns)
    spelled = ", ".join(f"{quote_ident(each)} {of_type}" for each, of_type in columns)
    writing.execute(f"CREATE TABLE {here} ({spelled})")
    writing.execute(f"ALTER TABLE {here} OWNER TO {quote_ident(owner)}")
    said = f"{'.'.join(name)} as in backup set {set_id}"
    writing.execute(f"COMMENT ON TABLE {here} IS {quote_literal(said)}")
    if columns:
        _stream(
            reading,
            f"COPY (SELECT {listed} FROM {there}) TO STDOUT",
            writing,
            f"COPY {here} ({listed}) FROM STDIN",
        )
    writing.execute(f"ANALYZE {here}")
    relation = next(
        each
        for each in fingerprint.relations(writing)
        if (each.schema, each.name) == (into, name[1])
    )
    found = fingerprint.fingerprint(writing, relation)
    # Of the table as the application reads it: with its chunks or partitions.
    whole = replace(relation, schema=name[0], name=name[1]).sql().replace(" FROM ONLY ", " FROM ")
    reading.execute(whole)
    count, total = reading.fetchone()
    if found != {"rows": count, "fingerprint": format(int(total) % 2**64, "016x")}:
        raise OpsError(
            f"{into}.{name[1]} has {found['rows']} rows, the restored table {count}, or others.",
            "Nothing was brought into the live database. Run again; if it stays, report it.",
            code="restore.different",
        )
    return count


def _stream(reading: Any, out: str, writing: Any, into: str) -> None:
    """Have one session read what another one writes; no row is kept on the way."""
    source, sink = os.pipe()
    failures: list[BaseException] = []

    def read() -> None:
        try:
            with os.fdopen(sink, "wb") as stream:
                reading.copy_expert(out, stream)
        except (psycopg2.Error, OSError) as exc:
            failures.append(exc)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        with os.fdopen(source, "rb") as stream:
            writing.copy_expert(into, stream)
    finally:
        thread.join()
    if failures:
        raise failures[0]
