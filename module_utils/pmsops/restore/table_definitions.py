# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The definitions of single tables, as pg_dump writes them of the staging database.

There the tables are moved into a schema of their own, with their partitions, indexes, sequences and
statistics. So the text of pg_dump names them in that schema, and needs no editing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ansible.module_utils.pmsops.client_tools import tool_errors
from ansible.module_utils.pmsops.client_tools.base import ClientTools
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
    quote_ident,
    quote_literal,
)
from ansible.module_utils.pmsops.restore.phases import PhasedRestore

TableName = tuple[str, str]
# The schema that the tables pass through, in the staging and in the live database.
TRANSIT = "pms_ops_transit"
# Begins the comment of that schema, which names the schema that each table had.
HOME = "pms-ops: home of "
_NOTE = "SELECT obj_description(to_regnamespace(%s), 'pg_namespace')"

# Not the chunks of a hypertable, which are no partitions to PostgreSQL.
_WITH_PARTITIONS = """
SELECT c.oid::int8, n.nspname, c.relname FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND c.oid IN (
       SELECT oid FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass(%(name)s)
       UNION SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass(%(name)s)))
 ORDER BY c.oid
"""
_PARENTS = """
SELECT i.inhparent::regclass::text, c.relispartition FROM pg_catalog.pg_inherits i
  JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
 WHERE i.inhrelid = pg_catalog.to_regclass(%s)
"""
_STATISTICS = """
SELECT n.nspname, s.stxname FROM pg_catalog.pg_statistic_ext s
  JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace
 WHERE s.stxrelid = ANY(%s::int8[]::oid[]) ORDER BY 1, 2
"""
OWNED_SEQUENCES = """
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
   AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
 WHERE c.relkind = 'S' AND d.refobjid = ANY(%s::int8[]::oid[]) ORDER BY 1, 2
"""
_OUTSIDE_KEYS = """
SELECT conrelid::regclass::text, conname, confrelid::regclass::text
  FROM pg_catalog.pg_constraint
 WHERE contype = 'f' AND conparentid = 0 AND conrelid = ANY(%(oids)s::int8[]::oid[])
   AND NOT confrelid = ANY(%(oids)s::int8[]::oid[]) ORDER BY 1, 2
"""
# What belongs to no table, would act by itself, or is TimescaleDB's own.
_NOT_OF_TABLES = re.compile(
    r"^\d+; \d+ \d+ (?:.*EVENT TRIGGER|(?:COMMENT - )?PUBLICATION|SUBSCRIPTION"
    r"|MATERIALIZED VIEW DATA|(?:[A-Z]+ )+_timescaledb_"
    r"|TRIGGER .* (?:ts_insert_blocker|ts_cagg_invalidation_trigger) )"
)


class Dumped(Protocol):
    """A database, and the tools with which its definitions are dumped."""

    @property
    def target(self) -> Database:
        """Return the database."""
        ...

    @property
    def tools(self) -> ClientTools:
        """Return the client tools."""
        ...

    @property
    def superuser(self) -> str | None:
        """Return the role to dump as, if there is one."""
        ...


def full_name(name: TableName) -> str:
    """Return a name as SQL spells it."""
    return ".".join(quote_ident(each) for each in name)


@dataclass(frozen=True)
class Pieces:
    """Tables with their partitions, and what ALTER TABLE SET SCHEMA does not take along."""

    oids: tuple[int, ...]
    tables: tuple[TableName, ...]
    statistics: tuple[TableName, ...]

    @classmethod
    def of(cls, cursor: Any, names: Iterable[TableName]) -> Pieces:
        """Return the pieces of the tables *names*; a table that is missing has none."""
        found = [
            row
            for name in names
            for row in fetch_all(cursor, _WITH_PARTITIONS, {"name": full_name(name)})
        ]
        oids = tuple(oid for oid, *_name in found)
        statistics = fetch_all(cursor, _STATISTICS, (list(oids),))
        return cls(oids, tuple((schema, name) for _oid, schema, name in found), tuple(statistics))

    @property
    def names(self) -> tuple[TableName, ...]:
        """Return the names of all pieces."""
        return self.tables + self.statistics

    def moves(self, to: Mapping[TableName, str]) -> list[str]:
        """Return the statements that move each piece into the schema that *to* gives for it."""
        return [
            f"ALTER {kind} {full_name(each)} SET SCHEMA {quote_ident(to[each])}"
            for kind, names in (("TABLE", self.tables), ("STATISTICS", self.statistics))
            for each in names
        ]

    def renamed(self, to: Mapping[TableName, str]) -> Pieces:
        """Return the pieces as they are called after ``moves``."""
        return Pieces(
            self.oids,
            tuple((to[each], each[1]) for each in self.tables),
            tuple((to[each], each[1]) for each in self.statistics),
        )


def sequence_entries(phases: PhasedRestore, names: Iterable[TableName]) -> list[str]:
    """Return the entries of a dump that set the sequences that the tables own."""
    with phases.target.session(read_only=True) as cursor:
        oids = list(Pieces.of(cursor, names).oids)
        owned = {" ".join(each) for each in fetch_all(cursor, OWNED_SEQUENCES, (oids,))}
    marks = [f" SEQUENCE SET {each} " for each in owned]
    return [line for line in phases.contents.lines if any(mark in f"{line} " for mark in marks)]


def into_transit(
    staging: Database, names: Iterable[TableName], *, noted: bool = False
) -> dict[TableName, str]:
    """Move the tables of the staging database into the schema of transit.

    Return the schema that each of them had, partitions and statistics included, by its new name.
    With *noted* the schema of transit says so, too, for ``bring_home``.
    """
    with staging.session(superuser=True) as cursor:
        for name in names:
            for parent, is_partition in fetch_all(cursor, _PARENTS, (full_name(name),)):
                cursor.execute(
                    f"ALTER TABLE {parent} DETACH PARTITION {full_name(name)}"
                    if is_partition
                    else f"ALTER TABLE {full_name(name)} NO INHERIT {parent}"
                )
        pieces = Pieces.of(cursor, names)
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {quote_ident(TRANSIT)}")
        for statement in pieces.moves(dict.fromkeys(pieces.names, TRANSIT)):
            cursor.execute(statement)
        home = {(TRANSIT, name): schema for schema, name in pieces.names}
        if noted:
            note = quote_literal(_note(home))
            cursor.execute(f"COMMENT ON SCHEMA {quote_ident(TRANSIT)} IS {note}")
    return home


def _note(home: Mapping[TableName, str]) -> str:
    """Return what the schema of transit says of its tables, for a run after one that was killed."""
    return HOME + json.dumps([[*name, schema] for name, schema in home.items()])


def bring_home(staging: Database) -> bool:
    """Undo an ``into_transit`` whose run was killed; tell whether there was one."""
    with staging.session(read_only=True) as cursor:
        note = fetch_value(cursor, _NOTE, (quote_ident(TRANSIT),))
    if not str(note or "").startswith(HOME):
        return False
    listed = json.loads(str(note).removeprefix(HOME))
    out_of_transit(staging, {(transit, name): schema for transit, name, schema in listed})
    return True


def out_of_transit(staging: Database, home: Mapping[TableName, str]) -> None:
    """Undo ``into_transit`` in a copy that has to stay as it is; *home* is what that returned."""
    with staging.session(superuser=True) as cursor:
        pieces = Pieces.of(cursor, list(home))
        for statement in pieces.moves(home):
            cursor.execute(statement)
        cursor.execute(f"DROP SCHEMA {quote_ident(TRANSIT)}")


def add_rest(
    phases: PhasedRestore, names: Iterable[TableName], home: Mapping[TableName, str]
) -> None:
    """Add what a dump makes after the rows: keys, constraints, indexes, triggers, policies.

    The tables are emptied before: the rows that foreign keys refer to were not restored. In the
    restoring mode of TimescaleDB hypertables are plain tables, as in every restore.

    :raises OpsError: restore.failed
    """
    with phases.target.session(superuser=True, autocommit=True) as cursor:
        if phases.has_timescaledb:
            cursor.execute("SELECT timescaledb_pre_restore()")
    with phases.target.session(superuser=True) as cursor:
        if phases.has_timescaledb:
            cursor.execute("SET timescaledb.restoring = on")
        pieces = Pieces.of(cursor, [(TRANSIT, name) for _schema, name in names])
        if pieces.tables:
            cursor.execute(f"TRUNCATE {', '.join(full_name(each) for each in pieces.tables)}")
        for statement in pieces.moves(home):
            cursor.execute(statement)
    phases.section("post-data", entries_of_tables(phases.contents.lines))


def entries_of_tables(lines: Iterable[str]) -> list[str]:
    """Return the entries of a dump that tables may bring; a plain table has no use for others."""
    return [line for line in lines if not _NOT_OF_TABLES.match(line)]


def without_outside_keys(staging: Database, names: Iterable[TableName]) -> list[str]:
    """Drop, in the staging database, foreign keys of the tables to other tables; return them.

    Beside the live tables, they would keep the PMS from deleting rows there.
    """
    dropped = []
    with staging.session(superuser=True) as cursor:
        cursor.execute("SET search_path = ''")
        oids = list(Pieces.of(cursor, names).oids)
        for table, key, other in fetch_all(cursor, _OUTSIDE_KEYS, {"oids": oids}):
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {quote_ident(key)}")
            dropped.append(f"{key} of {table.removeprefix(f'{TRANSIT}.')} to {other}")
    return dropped


def script(phases: Dumped, section: str) -> str:
    """Return the statements of a section, ``pre-data`` or ``post-data``, of the schema of transit.

    :raises OpsError: those of tool_errors.to_error.
    """
    arguments = [
        f"--schema={TRANSIT}",
        f"--section={section}",
        "--no-password",
        "--no-publications",
        "--no-subscriptions",
        *([f"--role={phases.superuser}"] if phases.superuser else []),
    ]
    status, output, errors = phases.tools.capture("pg_dump", arguments, database=phases.target.name)
    if status:
        raise tool_errors.to_error("pg_dump", status, errors)
    return runnable(output.decode())


def runnable(text: str) -> str:
    """Return a script of pg_dump without psql's own commands and the time-outs of its session.

    Other versions of the server lack some of the time-outs, and the toolkit sets its own.
    """
    text = re.sub(r"\n\\unrestrict \w+\s*$", "\n", text)
    head, name, rest = text.partition("\n-- Name: ")
    kept = [
        line for line in head.splitlines() if not re.match(r"\\restrict |SET \w+_timeout = ", line)
    ]
    return "\n".join(kept) + name + rest
