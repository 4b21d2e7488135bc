# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rows and fingerprints of some tables and chunks, read once more."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ansible.module_utils.pmsops.postgresql import catalog, fingerprint, timescaledb_chunks
from ansible.module_utils.pmsops.postgresql.connection import fetch_all

_NAMES = """
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = ANY(%s::int8[]::oid[])"""


def read(cursor: Any, keys: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return rows and fingerprints of tables and chunks, by their names in a manifest."""
    parts: dict[str, list[dict[str, Any]]] = {}
    catalog.prepare(cursor)
    for each in fingerprint.relations(cursor, fingerprint.FORMULA):
        if each.key in keys:
            parts.setdefault(each.key, []).append(fingerprint.fingerprint(cursor, each))
    return {key: fingerprint.summed(found) for key, found in parts.items()}


def keys_of(cursor: Any, oids: Collection[int]) -> set[str]:
    """Return the names in a manifest of what relations hold, compressed rows of a chunk too."""
    holds = {stored: chunk for chunk, stored in timescaledb_chunks.compressed(cursor).items()}
    names = {*fetch_all(cursor, _NAMES, ([holds.get(oid, oid) for oid in oids],))}
    catalog.prepare(cursor)
    return {
        each.key
        for each in fingerprint.relations(cursor, fingerprint.FORMULA)
        if (each.schema, each.name) in names
    }
