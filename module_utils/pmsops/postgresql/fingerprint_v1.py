# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The first formula of fingerprints, for sets of schema 1.

It misses two rows that swap the values of one column, and a bigint or timestamp whose two halves
change alike; see row_hash.py. New sets use the formula there.
"""

from __future__ import annotations

from ansible.module_utils.pmsops.postgresql.connection import quote_ident

_AS_IS = frozenset(
    {"boolean", "smallint", "integer", "bigint", "date", "uuid", "bytea", "text"}
    | {"character varying", "timestamp without time zone", "timestamp with time zone"}
)
_AS_SENT = {"double precision": "float8send", "real": "float4send"}


def row_hash(columns: list[tuple[str, str]]) -> str:
    """Return the expression that hashes a row of columns given by name and base type."""
    values = ", ".join(_hashed(*column) for column in columns)
    return f"pg_catalog.hash_record_extended(ROW({values}), 0)"


def _hashed(column: str, of_type: str) -> str:
    name = quote_ident(column)
    if of_type in _AS_IS:
        return name
    if of_type in _AS_SENT:
        return f"pg_catalog.{_AS_SENT[of_type]}({name})"
    return f'{name}::pg_catalog.text COLLATE "C"'
