# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""TimescaleDB's chunks: the rows of a hypertable, and the relations that are mere storage.

A chunk is named by its hypertable and range, since that is what a restore has to bring back: its
own name is TimescaleDB's choice. Chunks, compressed relations and internal compressed hypertables
are physical: what an application sees of them are the rows of the hypertable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible.module_utils.pmsops.postgresql.connection import fetch_all, fetch_value

# A condition on {oid}: the relation is no chunk and no compressed relation. It holds for all
# relations where leave_out was not called, or with False.
NOT_PHYSICAL = (
    "NOT EXISTS (SELECT FROM pg_catalog.unnest(pg_catalog.current_setting("
    "'pms_ops.physical', true)::pg_catalog.oid[]) x(oid) WHERE x.oid = {oid})"
)

# The view has the range of the first dimension, in all versions; ranges end before their end.
_CHUNKS = """
SELECT c.oid::int8, k.hypertable_schema || '.' || k.hypertable_name,
       coalesce(k.range_start_integer::text, (k.range_start AT TIME ZONE 'UTC')::text),
       coalesce(k.range_end_integer::text, (k.range_end AT TIME ZONE 'UTC')::text)
  FROM timescaledb_information.chunks k
  JOIN pg_catalog.pg_namespace n ON n.nspname = k.chunk_schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = k.chunk_name
"""
_HAS = """
SELECT count(*) > 0 FROM pg_catalog.pg_attribute
 WHERE attrelid = pg_catalog.to_regclass('_timescaledb_catalog.' || %s) AND attname = %s
   AND NOT attisdropped
"""
# TimescaleDB 2.29 replaced the names of chunks by their OIDs.
_BY_NAME = """
SELECT pg_catalog.to_regclass(pg_catalog.format('%I.%I', schema_name, table_name))::pg_catalog.oid
  FROM _timescaledb_catalog.chunk"""
_BY_OID = "SELECT relid::pg_catalog.oid FROM _timescaledb_catalog.chunk"
_COMPRESSED = """
SELECT compress_relid::pg_catalog.oid FROM _timescaledb_catalog.compression_settings"""
# A chunk and the relation that holds its compressed rows.
_PAIRS_BY_OID = """
SELECT relid::pg_catalog.int8, compress_relid::pg_catalog.int8
  FROM _timescaledb_catalog.compression_settings WHERE compress_relid IS NOT NULL"""
_PAIRS_BY_NAME = """
SELECT pg_catalog.to_regclass(pg_catalog.format('%I.%I', k.schema_name, k.table_name))::int8,
       pg_catalog.to_regclass(pg_catalog.format('%I.%I', c.schema_name, c.table_name))::int8
  FROM _timescaledb_catalog.chunk k
  JOIN _timescaledb_catalog.chunk c ON c.id = k.compressed_chunk_id"""
# State 2 is that of a hypertable whose chunks are the compressed relations of another one.
_INTERNAL = """
SELECT pg_catalog.to_regclass(pg_catalog.format('%I.%I', schema_name, table_name))::pg_catalog.oid
  FROM _timescaledb_catalog.hypertable WHERE compression_state = 2"""


@dataclass(frozen=True)
class Chunk:
    """A chunk that holds rows of *hypertable*, from *start* until before *end*."""

    oid: int
    hypertable: str
    start: str
    end: str

    @property
    def key(self) -> str:
        """Return the name of the chunk's rows in a manifest; space partitions share it."""
        return f"{self.hypertable} [{self.start} .. {self.end})"


def exists(cursor: Any) -> bool:
    """Return whether the database has TimescaleDB."""
    return bool(fetch_value(cursor, "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"))


def chunks(cursor: Any) -> dict[int, Chunk]:
    """Return the chunks of all hypertables by OID, those of continuous aggregates included."""
    if not exists(cursor):
        return {}
    cursor.execute(_CHUNKS)
    names: dict[str, str] = {}
    return {
        oid: Chunk(oid, names.setdefault(hypertable, hypertable), start, end)
        for oid, hypertable, start, end in cursor
    }


def relations(cursor: Any) -> list[int]:
    """Return the OIDs of chunks, compressed relations and internal compressed hypertables."""
    if not exists(cursor):
        return []
    parts = [_BY_OID if _has(cursor, "chunk", "relid") else _BY_NAME, _INTERNAL]
    if _has(cursor, "compression_settings", "compress_relid"):
        parts.append(_COMPRESSED)
    found = fetch_all(cursor, " UNION ".join(parts))
    return sorted(int(oid) for (oid,) in found if oid is not None)


def compressed(cursor: Any) -> dict[int, int]:
    """Return the OID of the relation with the compressed rows of each compressed chunk."""
    if not exists(cursor):
        return {}
    by_oid = _has(cursor, "compression_settings", "compress_relid")
    pairs = fetch_all(cursor, _PAIRS_BY_OID if by_oid else _PAIRS_BY_NAME)
    return {chunk: relation for chunk, relation in pairs if chunk and relation}


def leave_out(cursor: Any, wanted: bool = True) -> None:
    """Have NOT_PHYSICAL leave out the physical relations in this session, or none of them."""
    oids = relations(cursor) if wanted else []
    text = "{" + ",".join(map(str, oids)) + "}"
    cursor.execute("SELECT pg_catalog.set_config('pms_ops.physical', %s, false)", (text,))


def _has(cursor: Any, table: str, column: str) -> bool:
    return bool(fetch_value(cursor, _HAS, (table, column)))
