# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hash of a row, as an SQL expression.

A row's hash is the hash of the XOR of its columns' hashes, and each column has constants of its
own. PostgreSQL's built-in hash of a row (``hash_record_extended``) does not suffice:

- it is linear in its columns, so a sum over rows does not change when two rows swap a value;
- it folds a bigint or a timestamp to 32 bits first, so 1 and 2^32 have one hash;
- it does not distinguish values that PostgreSQL calls equal (0 and -0, 1.0 and 1.00 as numeric,
  json with another spacing, 1 month and 30 days), and it hashes an enum by its OID, which a restore
  changes.

The hash functions are those of hash partitioning: a release of the server may not change their
results.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from ansible.module_utils.pmsops.postgresql.connection import quote_ident

# {c} is the column, {k} and {l} are its constants. Types without an entry are hashed as text.
# 0 and -0 have one hash, so -0 gets the other constant; atan2 distinguishes the two.
_FLOAT = (
    "CASE WHEN {c} = 0 AND pg_catalog.atan2({c}, -1) < 0 THEN {l}"
    " ELSE pg_catalog.hashfloat%sextended({c}, {k}) END"
)
_BYTES = "pg_catalog.hash_record_extended(ROW(%s), {k})"
_DATE = (
    "pg_catalog.hashint4extended(CASE WHEN pg_catalog.isfinite({c}) THEN {c} - '2000-01-01'"
    " WHEN {c} > '2000-01-01' THEN 2147483647 ELSE -2147483647 END, {k})"
)
_TEXT = 'pg_catalog.hashtextextended({c}::pg_catalog.text COLLATE "C", {k})'
HASHES = {
    "boolean": "pg_catalog.hashint4extended({c}::pg_catalog.int4, {k})",
    "smallint": "pg_catalog.hashint2extended({c}, {k})",
    "integer": "pg_catalog.hashint4extended({c}, {k})",
    "bigint": "pg_catalog.hashint8extended({c}, {k})"
    " # pg_catalog.hashint4extended(({c} >> 32)::pg_catalog.int4, {l})",
    "real": _FLOAT % 4,
    "double precision": _FLOAT % 8,
    "date": _DATE,
    "timestamp without time zone": _BYTES % "pg_catalog.timestamp_send({c})",
    "timestamp with time zone": _BYTES % "pg_catalog.timestamptz_send({c})",
    "uuid": "pg_catalog.uuid_hash_extended({c}, {k})",
    "bytea": _BYTES % "{c}",
}


def row_hash(columns: list[tuple[str, str]]) -> str:
    """Return the SQL expression that hashes a row of columns given by name and base type."""
    hashes = [hashed(*column, number) for number, column in enumerate(columns)]
    # The outer hash ties the columns together: without it the sum would be linear in them.
    return f"pg_catalog.hashint4extended(0, {' # '.join(hashes) or _constant('none')})"


def hashed(column: str, of_type: str, number: int) -> str:
    """Return the SQL expression that hashes a column of a base type, NULL included."""
    expression = HASHES.get(of_type, _TEXT).format(
        c=quote_ident(column), k=_constant(f"{number}"), l=_constant(f"{number} other")
    )
    return f"coalesce({expression}, {_constant(f'{number} null')})"


@lru_cache(maxsize=4096)  # the same for each of 20,000 chunks
def _constant(name: str) -> str:
    value = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    return f"'{value}'::pg_catalog.int8"
