# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plain tables in the place of those of an extension that a restore leaves out.

They are made after the proof, which is about what the dump has, and counted by themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value, quote_ident
from ansible.module_utils.pmsops.postgresql.extension_rows import BATCH_ROWS, NAME
from ansible.module_utils.pmsops.repository import encryption
from ansible.module_utils.pmsops.restore import left_out
from ansible.module_utils.pmsops.restore.request import Request

_OWNER = """SELECT pg_catalog.pg_get_userbyid(datdba) FROM pg_catalog.pg_database
             WHERE datname = pg_catalog.current_database()"""


@contextmanager
def of_left_out(staging: Database, request: Request) -> Iterator[None]:
    """Make the tables of extensions that are left out, after the proof in the ``with`` block.

    What an earlier run made in the staging database is dropped before it is proved again.

    :raises OpsError: restore.extension-rows if not all rows arrive; encryption.*
    """
    names = request.without_extensions
    if not names:
        yield
        return
    with staging.session(superuser=True) as cursor:
        for each in names:
            cursor.execute(f"DROP SCHEMA IF EXISTS {quote_ident(left_out.schema_of(each))} CASCADE")
    yield
    document, folder = request.backup_set.manifest or {}, request.backup_set.folder
    wanted = {each: left_out.kept_tables(document, each) for each in names}
    if folder is None or not any(wanted.values()):
        return
    rows = _read(folder, request)
    with staging.session(superuser=True) as cursor:
        owner = quote_ident(fetch_value(cursor, _OWNER))
        for extension, tables in wanted.items():
            schema = quote_ident(left_out.schema_of(extension))
            if tables:
                cursor.execute(f"CREATE SCHEMA {schema} AUTHORIZATION {owner}")
            for name, table in tables.items():
                place = f"{schema}.{quote_ident(table['name'])}"
                _make_one(cursor, place, table, rows[extension][name])
                cursor.execute(f"ALTER TABLE {place} OWNER TO {owner}")


def _make_one(cursor: Any, place: str, table: dict[str, Any], rows: list[Any]) -> None:
    columns = ", ".join(f"{quote_ident(name)} {kind}" for name, kind in table["columns"])
    cursor.execute(f"CREATE TABLE {place} ({columns})")
    for start in range(0, len(rows), BATCH_ROWS):
        cursor.execute(
            f"INSERT INTO {place} SELECT *"
            f" FROM pg_catalog.jsonb_populate_recordset(NULL::{place}, %s::jsonb)",
            (json.dumps(rows[start : start + BATCH_ROWS]),),
        )
    count = fetch_value(cursor, f"SELECT count(*) FROM {place}")
    if count != table["rows"]:
        raise OpsError(
            f"{place} has {count} rows, and the set has {table['rows']}.",
            f"The set's {NAME} is not the one of its manifest: take another set.",
            code="restore.extension-rows",
        )


def _read(folder: Path, request: Request) -> dict[str, dict[str, list[Any]]]:
    encrypted = folder / (NAME + encryption.SUFFIX)
    if encrypted.is_file():
        with encryption.decrypted(encrypted, request.identity_for(encrypted)) as stream:
            text = stream.read()
    else:
        text = (folder / NAME).read_bytes()
    found: dict[str, dict[str, list[Any]]] = json.loads(text)
    return found
