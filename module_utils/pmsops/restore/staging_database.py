# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The database aside that a restore fills: made as the backed-up one was, and dropped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    quote_ident,
    quote_literal,
    superuser_role,
)

PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}
# Settings whose value is a list of identifiers: quoted one by one, or they become one name.
# Source: PostgreSQL's variable_is_guc_list_quote().
LISTS = frozenset(
    {"local_preload_libraries", "search_path", "session_preload_libraries"}
    | {"shared_preload_libraries", "temp_tablespaces", "unix_socket_directories"}
)
_ELEMENT = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^",]*))\s*(?:,|$)')


def create(live: Database, name: str, described: dict[str, Any], comment: str) -> None:
    """Create database *name* on the server of *live*, with encoding, locale and owner.

    :raises OpsError: restore.locale where the server refuses the locale.
    """
    options = [
        "TEMPLATE template0",
        f"ENCODING {quote_literal(described['encoding'])}",
        f"OWNER {quote_ident(described['owner'])}",
        *locale_options(described),
    ]
    with _maintenance(live) as run:
        try:
            run(f"CREATE DATABASE {quote_ident(name)} {' '.join(options)}")
        except (psycopg2.errors.WrongObjectType, psycopg2.errors.InvalidParameterValue) as exc:
            raise OpsError(
                f"The server cannot make a database of locale {described['collate']}: "
                + str(exc).strip(),
                "Install that locale on the server's system (locale-gen), restart the server, and"
                " run again.",
                code="restore.locale",
            ) from exc
        run(f"COMMENT ON DATABASE {quote_ident(name)} IS {quote_literal(comment)}")


def drop(live: Database, name: str) -> None:
    """Drop a database beside the live one, whoever is connected; nothing where there is none."""
    with _maintenance(live) as run:
        run(f"DROP DATABASE IF EXISTS {quote_ident(name)} WITH (FORCE)")


def bring_settings(live: Database, name: str, described: dict[str, Any]) -> None:
    """Bring back what a dump leaves out: limit, settings and grants of the database itself."""
    quoted = quote_ident(name)
    with live.session(name=live.maintenance_name, read_only=True) as cursor:
        me = superuser_role(cursor)
        grants = _grants(cursor, name, described["grants"])
    with _maintenance(live) as run:
        run(f"ALTER DATABASE {quoted} CONNECTION LIMIT {int(described['connection_limit'])}")
        for statement in settings(name, described["settings"]):
            run(statement)
        run(f"REVOKE ALL ON DATABASE {quoted} FROM PUBLIC, {quote_ident(described['owner'])}")
        for grantor, grant in grants:
            # The owner grants what a superuser grants; for anybody else one has to be them.
            own = grantor == described["owner"]
            run(f"SET ROLE {quote_ident(me if own else grantor)}" if me else "SELECT 1")
            run(grant)
        if me:
            run(f"SET ROLE {quote_ident(me)}")


def bring_properties(live: Database, name: str, properties: list[tuple[str, str]]) -> None:
    """Run what a bare dump says of its database on database *name*."""
    run(live, [f"{before}{quote_ident(name)}{after}" for before, after in properties])


def run(live: Database, statements: list[str]) -> None:
    """Run statements on the server as a superuser, each in a transaction of its own."""
    with _maintenance(live) as execute:
        for statement in statements:
            execute(statement)


def settings(name: str, recorded: dict[str, list[str]]) -> list[str]:
    """Return the statements that give database *name* its settings, and its roles theirs."""
    quoted = quote_ident(name)
    statements = []
    for role, values in recorded.items():
        target = f"ROLE {quote_ident(role)} IN DATABASE {quoted}" if role else f"DATABASE {quoted}"
        for setting in values:
            key, _, value = setting.partition("=")
            if key == "timescaledb.restoring":  # of a restore that nobody ended
                continue
            spelled = (
                ", ".join(quote_literal(each) for each in elements(value)) or "''"
                if key.lower() in LISTS
                else quote_literal(value)
            )
            dotted = ".".join(quote_ident(part) for part in key.split("."))
            statements.append(f"ALTER {target} SET {dotted} TO {spelled}")
    return statements


def elements(value: str) -> list[str]:
    """Return the names of a list setting as the catalogue spells it: ``a, "b c", "d""e"``."""
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


def locale_options(described: dict[str, Any]) -> list[str]:
    """Return CREATE DATABASE's options for a recorded locale."""
    provider = PROVIDERS[described["provider"]]
    options = [
        f"LOCALE_PROVIDER {provider}",
        f"LC_COLLATE {quote_literal(described['collate'])}",
        f"LC_CTYPE {quote_literal(described['ctype'])}",
    ]
    if provider == "icu":
        options.append(f"ICU_LOCALE {quote_literal(described['locale'])}")
        if described.get("icu_rules"):
            options.append(f"ICU_RULES {quote_literal(described['icu_rules'])}")
    if provider == "builtin":
        options.append(f"BUILTIN_LOCALE {quote_literal(described['locale'])}")
    return options


def _grants(cursor: Any, name: str, recorded: list[str]) -> list[tuple[str, str]]:
    """Return grantor and GRANT of each recorded privilege; owners' own come first."""
    return [
        (grantor, grant)
        for grantor, grant in fetch_all(
            cursor,
            """SELECT pg_get_userbyid(a.grantor), format('GRANT %%s ON DATABASE %%I TO %%s%%s',
                      a.privilege_type, %s::text,
                      CASE WHEN a.grantee = 0 THEN 'PUBLIC'
                           ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
                      CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
                 FROM aclexplode(%s::aclitem[]) a
                ORDER BY a.is_grantable DESC""",
            (name, recorded),
        )
    ]


@contextmanager
def _maintenance(live: Database) -> Iterator[Callable[..., None]]:
    with live.session(name=live.maintenance_name, superuser=True, autocommit=True) as cursor:
        yield cursor.execute
