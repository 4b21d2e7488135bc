# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hypertables among single tables that are put in place of the live ones.

pg_dump writes a hypertable as a plain table. In the schema of transit it is made a hypertable while
it is empty, with the dimensions that the set has; its rows then make chunks of its own. By SET
SCHEMA it takes a name like any table. What hangs on the number of the live hypertable stays with
it: aggregates, policies, compression. Such a table is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import (
    fetch_all,
    fetch_value,
    quote_literal,
)
from ansible.module_utils.pmsops.restore.table_definitions import TRANSIT, TableName, full_name
from ansible.module_utils.pmsops.verify.differences import NUMBERED_PREFIX

_HAS_TIMESCALEDB = "SELECT count(*) > 0 FROM pg_catalog.pg_extension WHERE extname = 'timescaledb'"
_DIMENSIONS = """
SELECT d.column_name, d.interval_length, d.num_slices,
       d.partitioning_func_schema || '.' || d.partitioning_func,
       d.integer_now_func_schema, d.integer_now_func,
       h.associated_schema_name, h.associated_table_prefix
  FROM _timescaledb_catalog.dimension d
  JOIN _timescaledb_catalog.hypertable h ON h.id = d.hypertable_id
 WHERE h.schema_name = %s AND h.table_name = %s ORDER BY d.id"""
# Each of these names the hypertable by its number, which the restored one does not have.
_BOUND = """
SELECT 'continuous aggregate ' || view_schema || '.' || view_name || ' reads it'
  FROM timescaledb_information.continuous_aggregates
 WHERE hypertable_schema = %(schema)s AND hypertable_name = %(name)s
UNION ALL
SELECT 'job ' || job_id || ' (' || proc_name || ') works on it'
  FROM timescaledb_information.jobs
 WHERE hypertable_schema = %(schema)s AND hypertable_name = %(name)s
UNION ALL
SELECT CASE WHEN compression_enabled THEN 'it is compressed' ELSE 'it has tablespaces' END
  FROM timescaledb_information.hypertables
 WHERE hypertable_schema = %(schema)s AND hypertable_name = %(name)s
   AND (compression_enabled OR tablespaces IS NOT NULL)
ORDER BY 1"""
_HOLDER = """
SELECT min(format('%%I.%%I', schema_name, table_name)) FROM _timescaledb_catalog.hypertable
 WHERE associated_schema_name = %s AND associated_table_prefix = %s"""
_HASH = "_timescaledb_functions.get_partition_hash"
_OLD_HASH = "_timescaledb_internal.get_partition_hash"


@dataclass(frozen=True)
class Dimension:
    """A dimension of a hypertable: an interval of time, or a number of slices."""

    column: str
    interval: int | None
    slices: int | None
    function: str | None
    now_schema: str | None
    now: str | None
    # Of the hypertable: where its chunks are, and how their names begin.
    schema: str
    prefix: str


Hypertables = dict[str, tuple[Dimension, ...]]


def is_one(cursor: Any, name: TableName) -> bool:
    """Tell whether a table is a hypertable."""
    return bool(fetch_value(cursor, _HAS_TIMESCALEDB)) and bool(_dimensions(cursor, name))


def problems(cursor: Any, name: TableName) -> list[str]:
    """Return why a hypertable cannot be exchanged by its name; none for a plain table."""
    if not fetch_value(cursor, _HAS_TIMESCALEDB):
        return []
    found = _dimensions(cursor, name)
    reasons = [
        row[0] for row in fetch_all(cursor, _BOUND, {"schema": name[0], "name": name[1]}) if found
    ]
    reasons += [
        f"dimension {each.column} has a function of its own"
        for each in found
        if each.function not in (None, _HASH, _OLD_HASH)
    ]
    spelled = ".".join(name)
    return [f"{spelled} is a hypertable: {', '.join(reasons)}"] if reasons else []


def of_set(cursor: Any, names: Iterable[TableName]) -> Hypertables:
    """Return the dimensions of the hypertables among *names*, by the name of the table."""
    if not fetch_value(cursor, _HAS_TIMESCALEDB):
        return {}
    found = {name: _dimensions(cursor, (schema, name)) for schema, name in names}
    return {name: dimensions for name, dimensions in found.items() if dimensions}


def make(cursor: Any, found: Hypertables) -> None:
    """Make hypertables of the empty tables in the schema of transit.

    :raises OpsError: restore.in-place if the live database has no TimescaleDB, or another
        hypertable whose chunks begin with the same prefix of somebody's choice
    """
    if not found:
        return
    schema = fetch_value(
        cursor,
        "SELECT extnamespace::regnamespace::text FROM pg_catalog.pg_extension"
        " WHERE extname = 'timescaledb'",
    )
    if schema is None:
        raise OpsError(
            f"The live database has no TimescaleDB, and {', '.join(found)} would be a hypertable.",
            "CREATE EXTENSION timescaledb there, or restore the tables into a schema (--into).",
            code="restore.in-place",
        )
    for name, dimensions in found.items():
        table = f"{quote_literal(full_name((TRANSIT, name)))}::regclass"
        first, *others = dimensions
        prefix = quote_literal(chosen) if (chosen := _prefix(cursor, name, first)) else "NULL"
        cursor.execute(
            f"SELECT {schema}.create_hypertable({table}, {quote_literal(first.column)}::name,"
            f" chunk_time_interval => {first.interval}::bigint,"
            f" associated_schema_name => {quote_literal(first.schema)}::name,"
            f" associated_table_prefix => {prefix}::name,"
            " create_default_indexes => false)"
        )
        for each in others:
            kind = (
                f"number_partitions => {each.slices}"
                if each.slices
                else f"chunk_time_interval => {each.interval}::bigint"
            )
            column = f"{quote_literal(each.column)}::name"
            cursor.execute(f"SELECT {schema}.add_dimension({table}, {column}, {kind})")
        if first.now:
            function = quote_literal(full_name((str(first.now_schema), first.now)))
            cursor.execute(f"SELECT {schema}.set_integer_now_func({table}, {function}::regproc)")


def spelled(script: str, found: Hypertables) -> str:
    """Return statements of pg_dump as a hypertable takes them: it refuses ONLY."""
    if not found:
        return script
    names = "|".join(re.escape(name.replace('"', '""')) for name in found)
    only = rf'^ALTER TABLE ONLY ({TRANSIT}\."?(?:{names})"?)(?=\s)'
    return re.sub(only, r"ALTER TABLE \1", script, flags=re.M)


def _prefix(cursor: Any, name: str, wanted: Dimension) -> str | None:
    """Return how the names of the chunks begin; None leaves that to TimescaleDB.

    No two hypertables have the same, and the former one keeps its own.
    """
    if NUMBERED_PREFIX.fullmatch(wanted.prefix):
        return None
    holder = fetch_value(cursor, _HOLDER, (wanted.schema, wanted.prefix))
    if holder:
        raise OpsError(
            f"The chunks of hypertable {holder} begin with {wanted.prefix}, as those of {name} in"
            " the set do, and TimescaleDB lets only one hypertable have that prefix.",
            "Nothing was changed. Restore the whole set, or bring the table into a schema"
            " (--into), and copy the rows that you need.",
            code="restore.in-place",
        )
    return wanted.prefix


def _dimensions(cursor: Any, name: TableName) -> tuple[Dimension, ...]:
    return tuple(Dimension(*row) for row in fetch_all(cursor, _DIMENSIONS, name))
