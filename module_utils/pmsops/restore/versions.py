# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a server takes what a set of another version, in the small too, has in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.client_tools import versions
from ansible.module_utils.pmsops.client_tools.archive_parameters import (
    COLUMN,
    INDEX,
    SETTING,
    TABLE,
    VIEW,
    Parameter,
    Parameters,
)
from ansible.module_utils.pmsops.client_tools.base import ClientTools
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value, quote_ident
from ansible.module_utils.pmsops.restore.requirements import Requirements

SHOWN = 6
SHOWN_OBJECTS = 3
_UNKNOWN = re.compile(r"unrecognized (?:\w+ )*parameter \"")
# A type that the access method has a default operator class for; others are not tried.
_TYPES = {
    **dict.fromkeys(("btree", "hash", "brin"), "int"),
    "gin": "int[]",
    **dict.fromkeys(("gist", "spgist"), "point"),
}


def check(cursor: Any, required: Requirements, tools: ClientTools) -> list[str]:
    """Refuse a server that is older in the major than the set's; return what differs otherwise.

    :raises OpsError: restore.server-old, clients.missing
    """
    server: str = fetch_value(cursor, "SELECT current_setting('server_version')")
    here = versions.parts(server)[0]
    if required.server_major and here < required.server_major:
        raise OpsError(
            f"The set is of PostgreSQL {required.server_major}; this server has the older {here}.",
            f"Restore on PostgreSQL {required.server_major} or newer.",
            code="restore.server-old",
        )
    return notes(required.made_by, server, tools.version("pg_restore"))


def notes(of_set: Mapping[str, str | int], server: str, pg_restore: str) -> list[str]:
    """Return what differs between the versions *of_set* (server, pg_dump) and those here."""
    found = []
    made = of_set.get("server")
    if made and versions.short(str(made)) != versions.short(server):
        found.append(
            f"The set was made on PostgreSQL {versions.short(str(made))}; this server is"
            f" {versions.short(server)}."
        )
    if versions.older_minor(pg_restore, server):
        found.append(
            f"pg_restore {pg_restore} is older than the server, PostgreSQL"
            f" {versions.short(server)}: install the server's own client tools (pms_db_bin_dir)."
        )
    dumped = of_set.get("pg_dump")
    if dumped and versions.newer(dumped, pg_restore):
        found.append(f"The set was dumped by pg_dump {dumped}; pg_restore here is {pg_restore}.")
    return found


def of_settings(described: dict[str, Any]) -> Parameters:
    """Return the settings of a recorded database as parameters; no dump has them."""
    found: Parameters = {}
    for role, settings in (described.get("settings") or {}).items():
        for each in settings:
            name, _, value = each.partition("=")
            owner = f"role {role} in the database" if role else "the database"
            found.setdefault(Parameter(SETTING, name, value), []).append(owner)
    return found


def require_known(
    database: Database, parameters: Parameters, made: str | int | None = None
) -> None:
    """Refuse a dump that sets a parameter which the server does not know; nothing is changed.

    *made* is the version of the server that the dump was made on.

    :raises OpsError: restore.archive-parameter
    """
    if not parameters:
        return
    refused = _unknown(database, parameters)
    unknown = {each: objects for each, objects in parameters.items() if each in refused}
    if not unknown:
        return
    lines = [
        f"{parameter.kind} parameter {parameter.name} of {', '.join(objects[:SHOWN_OBJECTS])}"
        + (f" and {len(objects) - SHOWN_OBJECTS} more" * (len(objects) > SHOWN_OBJECTS))
        for parameter, objects in unknown.items()
    ]
    more = f"; and {len(lines) - SHOWN} more" * (len(lines) > SHOWN)
    with database.session(name=database.maintenance_name, read_only=True) as cursor:
        here = versions.short(fetch_value(cursor, "SELECT current_setting('server_version')"))
    raise OpsError(
        f"The dump sets parameters that this server, PostgreSQL {here}, does not know:"
        f" {'; '.join(lines[:SHOWN])}{more}.",
        "Restore "
        + (f"on PostgreSQL {versions.short(str(made))}, or " if made else "")
        + "with client tools of the server's own version to the minor (pms_db_bin_dir), or take a"
        " new set with those.",
        code="restore.archive-parameter",
    )


def _unknown(database: Database, parameters: Parameters) -> set[Parameter]:
    """Return the parameters that the server refuses, each tried in a transaction rolled back."""
    connection = database.connect(name=database.maintenance_name)
    try:
        with connection.cursor() as cursor:
            return {each for each in parameters if not _known(cursor, each)}
    finally:
        connection.rollback()
        connection.close()


def _known(cursor: Any, parameter: Parameter) -> bool:
    name, value, kind = parameter.name, parameter.value, parameter.kind
    if kind == SETTING:
        # Any prefixed name is taken: it may belong to a library that is loaded later.
        return "." in name or fetch_value(
            cursor, "SELECT current_setting(%s, true) IS NOT NULL", (name,)
        )
    namespace, dot, bare = name.rpartition(".")
    if dot and namespace != "toast":
        return True  # an extension's, which is not in the maintenance database
    option = f"({namespace}{dot}{quote_ident(bare)} = {value})"
    table = "CREATE TEMP TABLE pms_ops_probe (c {type})"
    statements = {
        TABLE: f"{table.format(type='text')} WITH {option}",
        COLUMN: f"{table.format(type='int')}; ALTER TABLE pms_ops_probe ALTER c SET {option}",
        VIEW: f"CREATE TEMP VIEW pms_ops_probe WITH {option} AS SELECT 1 AS c",
        INDEX: f"{table.format(type=_TYPES.get(parameter.method))}; CREATE INDEX ON pms_ops_probe"
        f" USING {parameter.method} (c) WITH {option}",
    }
    if kind == INDEX and parameter.method not in _TYPES:
        return True
    cursor.execute("SAVEPOINT probe")
    try:
        cursor.execute(statements[kind])
    except psycopg2.Error as exc:
        # A value that is refused here, a restore names with its object.
        return not _UNKNOWN.search(str(exc))
    finally:
        cursor.execute("ROLLBACK TO SAVEPOINT probe")
    return True
