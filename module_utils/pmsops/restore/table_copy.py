# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of one table copied from the staging database into the live one, and compared."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import fingerprint
from ansible.module_utils.pmsops.postgresql.connection import fetch_all, quote_ident
from ansible.module_utils.pmsops.restore.table_definitions import (
    OWNED_SEQUENCES,
    Pieces,
    TableName,
    full_name,
)

# Generated columns are computed, not copied.
COLUMNS = """
SELECT a.attname FROM pg_catalog.pg_attribute a
 WHERE a.attrelid = pg_catalog.to_regclass(%s) AND a.attnum > 0 AND a.attgenerated = ''
   AND NOT a.attisdropped ORDER BY a.attnum
"""
SEQUENCES = "SELECT last_value, is_called FROM "


def copy_table(
    reading: Any, writing: Any, name: TableName, *, source: TableName | None = None
) -> int:
    """Copy the rows of a table, *source* where it is read; return their number once equal.

    :raises OpsError: restore.different
    """
    table, at = full_name(name), source or name
    columns = [column for (column,) in fetch_all(reading, COLUMNS, (full_name(at),))]
    if columns:
        copy_rows(reading, full_name(at), writing, table, columns)
    relation = fingerprint.table(writing, name)
    # As the application reads it: with its chunks or partitions.
    found = fingerprint.answer(writing, relation.sql(whole=True))
    there = replace(relation, schema=at[0], name=at[1])
    wanted = fingerprint.answer(reading, there.sql(whole=True))
    compared = ("rows", "others" if relation.generated else "fingerprint")
    if any(found[each] != wanted[each] for each in compared):
        raise OpsError(
            f"{name[1]} has {found['rows']} rows and differs from the restored table, which"
            f" has {wanted['rows']}.",
            "The live database was not changed. Run again; if it happens again, report it.",
            code="restore.different",
        )
    count: int = found["rows"]
    return count


def copy_sequences(reading: Any, writing: Any, names: Iterable[TableName], to: str) -> None:
    """Set the sequences of schema *to* as those are that the tables own where they are read."""
    oids = list(Pieces.of(reading, names).oids)
    for schema, name in fetch_all(reading, OWNED_SEQUENCES, (oids,)):
        ((last, called),) = fetch_all(reading, SEQUENCES + full_name((schema, name)))
        writing.execute(
            "SELECT pg_catalog.setval(%s::regclass, %s, %s)", (full_name((to, name)), last, called)
        )


def copy_rows(reading: Any, source: str, writing: Any, table: str, columns: list[str]) -> None:
    """Copy these columns of all rows of *source* into *table*, both as SQL spells them."""
    names = ", ".join(quote_ident(each) for each in columns)
    _stream(
        reading,
        f"COPY (SELECT {names} FROM {source}) TO STDOUT",
        writing,
        f"COPY {table} ({names}) FROM STDIN",
    )


def _stream(reading: Any, out: str, writing: Any, into: str) -> None:
    """Copy from one session into another through a pipe, without storing rows."""
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
