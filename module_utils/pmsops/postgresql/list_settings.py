# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings whose value is a list of names, each of which is quoted by itself.

The catalogue spells such a value ``app, "odd one"``. Written back as one literal it would be one
name: a search_path of the schema "app, public". PostgreSQL tells nobody which settings these are
(no flag of pg_settings_get_flags says it), so a server is asked by trying.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    become_superuser,
    fetch_value,
    quote_ident,
    quote_literal,
)

# Source: PostgreSQL's variable_is_guc_list_quote(), and output_plugin_libraries of 17.12.
KNOWN = frozenset(
    {"local_preload_libraries", "search_path", "session_preload_libraries"}
    | {"shared_preload_libraries", "temp_tablespaces", "unix_socket_directories"}
    | {"output_plugin_libraries"}
)
_ELEMENT = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^",]*))\s*(?:,|$)')


def elements(value: str) -> list[str]:
    """Return the names in a list, which the catalogue spells ``a, "b c", "d""e"``."""
    found = []
    position = 0
    while position < len(value):
        match = _ELEMENT.match(value, position)
        if match is None or match.end() == position:
            break
        quoted, plain = match[1], match[2]
        found.append(quoted.replace('""', '"') if quoted is not None else plain.strip())
        position = match.end()
    return found


def spelled(name: str, value: str, lists: Iterable[str] = KNOWN) -> str:
    """Return *value* as SET takes it; *lists* names the settings that are lists."""
    if name.lower() not in lists:
        return quote_literal(value)
    return ", ".join(quote_literal(each) for each in elements(value)) or "''"


def among(database: Database, settings: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Return which settings are lists: the known ones, and those that the server takes as such.

    *settings* are names and values as the catalogue has them.
    """
    unknown = [
        (name, value)
        for name, value in settings
        if name.lower() not in KNOWN and "." not in name and ("," in value or '"' in value)
    ]
    if not unknown:
        return KNOWN
    connection = database.connect(name=database.maintenance_name)
    try:
        with connection.cursor() as cursor:
            become_superuser(cursor)
            found = [name.lower() for name, value in unknown if _is_list(cursor, name, value)]
        return KNOWN.union(found)
    finally:
        connection.rollback()
        connection.close()


def _is_list(cursor: Any, name: str, value: str) -> bool:
    """Tell whether the server reads *value* back when it is set name by name."""
    cursor.execute("SAVEPOINT probe")
    try:
        listed = ", ".join(quote_literal(each) for each in elements(value))
        cursor.execute(f"SET LOCAL {quote_ident(name)} TO {listed}")
        return bool(fetch_value(cursor, "SELECT current_setting(%s)", (name,)) == value)
    except psycopg2.Error:  # takes one value, or may not be set by this role: one literal
        return False
    finally:
        cursor.execute("ROLLBACK TO SAVEPOINT probe")
