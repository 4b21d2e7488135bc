# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One table copied from the staging database into a schema of the live one, and compared."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import fingerprint
from ansible.module_utils.pmsops.postgresql.connection import fetch_all, quote_ident, quote_literal

COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
 WHERE a.attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text)) AND a.attnum > 0
   AND NOT a.attisdropped ORDER BY a.attnum
"""


def copy_table(
    reading: Any, writing: Any, name: tuple[str, str], into: str, owner: str, set_id: str
) -> int:
    """Copy one table into schema *into*; return its rows once both sides are equal.

    :raises OpsError: restore.different
    """
    columns = fetch_all(reading, COLUMNS, name)
    here = f"{quote_ident(into)}.{quote_ident(name[1])}"
    there = ".".join(quote_ident(each) for each in name)
    names = ", ".join(quote_ident(each) for each, _type in columns)
    spelled = ", ".join(f"{quote_ident(each)} {of_type}" for each, of_type in columns)
    writing.execute(f"CREATE TABLE {here} ({spelled})")
    writing.execute(f"ALTER TABLE {here} OWNER TO {quote_ident(owner)}")
    comment = f"{'.'.join(name)} as in backup set {set_id}"
    writing.execute(f"COMMENT ON TABLE {here} IS {quote_literal(comment)}")
    if columns:
        _stream(
            reading,
            f"COPY (SELECT {names} FROM {there}) TO STDOUT",
            writing,
            f"COPY {here} ({names}) FROM STDIN",
        )
    writing.execute(f"ANALYZE {here}")
    relation = next(
        each
        for each in fingerprint.relations(writing)
        if (each.schema, each.name) == (into, name[1])
    )
    found = fingerprint.fingerprint(writing, relation)
    # The table as the application reads it: with its chunks or partitions.
    reading.execute(replace(relation, schema=name[0], name=name[1]).sql(whole=True))
    count: int
    count, total = reading.fetchone()
    if found != {"rows": count, "fingerprint": format(int(total) % 2**64, "016x")}:
        raise OpsError(
            f"{into}.{name[1]} has {found['rows']} rows and differs from the restored table, which"
            f" has {count}.",
            "The live database was not changed. Run again; if it happens again, report it.",
            code="restore.different",
        )
    return count


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
