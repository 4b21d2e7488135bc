# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The staging database: created as the backed-up one was, given its settings, and dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.client_tools import globals_sql
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import bound_objects, event_triggers, list_settings
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    quote_ident,
    quote_literal,
    superuser_role,
)
from ansible.module_utils.pmsops.repository import encryption
from ansible.module_utils.pmsops.restore import registry

PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}


def create(live: Database, name: str, described: dict[str, Any], comment: str) -> None:
    """Create database *name* on the server of *live*, with encoding, locale, owner and comment.

    Its event triggers are off.

    :raises OpsError: restore.locale where the server refuses the locale.
    """
    options = [
        "TEMPLATE template0",
        f"ENCODING {quote_literal(described['encoding'])}",
        f"OWNER {quote_ident(described['owner'])}",
        *locale_options(described),
    ]
    with _session(live) as cursor:
        try:
            cursor.execute(f"CREATE DATABASE {quote_ident(name)} {' '.join(options)}")
        except (psycopg2.errors.WrongObjectType, psycopg2.errors.InvalidParameterValue) as exc:
            raise OpsError(
                f"The server cannot create a database with locale {described['collate']}: "
                + str(exc).strip(),
                "Install the locale on the server's system (locale-gen), restart the server, and"
                " run again.",
                code="restore.locale",
            ) from exc
        cursor.execute(f"COMMENT ON DATABASE {quote_ident(name)} IS {quote_literal(comment)}")
        if event_triggers.known(cursor):
            cursor.execute(event_triggers.off(quote_ident(name)))


def drop(live: Database, name: str) -> None:
    """Drop a database, ending its sessions; does nothing if it does not exist.

    Subscriptions that a restore made, which are disabled, go with it.

    :raises OpsError: restore.not-dropped if something that is bound to it would be lost.
    """
    with _session(live) as cursor:
        bound = bound_objects.read(cursor, name)
        found = registry.read(cursor).get(name)
        restored = found is not None and found.kind in registry.RESTORED
        if restored and not any(enabled for _, enabled in bound.subscriptions):
            names = [each for each, _ in bound.subscriptions]
            if names:
                cursor.execute(f"ALTER DATABASE {quote_ident(name)} ALLOW_CONNECTIONS true")
                bound_objects.detach_subscriptions(live.named(name), names)
            bound = replace(bound, subscriptions=())
        bound_objects.require_droppable(bound, name)
        cursor.execute(f"DROP DATABASE IF EXISTS {quote_ident(name)} WITH (FORCE)")


def drop_or_explain(live: Database, name: str) -> str | None:
    """Drop a database; return None, or why it stays and what to type."""
    try:
        drop(live, name)
    except psycopg2.Error as exc:
        error = live.to_error(exc)
    except OpsError as exc:
        error = exc
    else:
        return None
    return f"The database {name} stays: {error} {error.remedy}"


def apply_settings(live: Database, name: str, described: dict[str, Any]) -> None:
    """Apply what a dump leaves out: connection limit, settings and grants of the database."""
    quoted = quote_ident(name)
    with live.session(name=live.maintenance_name, read_only=True) as cursor:
        me = superuser_role(cursor)
        grants = _grants(cursor, name, described["grants"])
    settings = [each.split("=", 1) for values in described["settings"].values() for each in values]
    lists = list_settings.among(live, [(key, value) for key, value in settings])
    with _maintenance(live) as run:
        run(f"ALTER DATABASE {quoted} CONNECTION LIMIT {int(described['connection_limit'])}")
        for statement in setting_statements(name, described["settings"], lists):
            run(statement)
        run(f"REVOKE ALL ON DATABASE {quoted} FROM PUBLIC, {quote_ident(described['owner'])}")
        for grantor, grant in grants:
            # A superuser's grant counts as the owner's; another grantor has to grant as itself.
            own = grantor == described["owner"]
            run(f"SET ROLE {quote_ident(me if own else grantor)}" if me else "SELECT 1")
            run(grant)
        if me:
            run(f"SET ROLE {quote_ident(me)}")


def apply_properties(live: Database, name: str, properties: list[tuple[str, str]]) -> None:
    """Apply what a bare dump says about its database to database *name*."""
    execute(
        live,
        [
            f"{before}{quote_ident(name)}{after}"
            for before, after in properties
            if event_triggers.own_of_statement(before, after) is None
        ],
    )


def create_roles(
    live: Database, names: list[str], folder: Path, identity: Path | None = None
) -> None:
    """Create roles as the globals.sql in a set's *folder* describes them, without passwords.

    :raises OpsError: restore.roles if globals.sql does not describe one of them.
    """
    if not names:
        return
    described = globals_sql.roles(_globals(folder, identity))
    for name in names:
        if name not in described:
            raise OpsError(
                f"The set's {globals_sql.NAME} does not say how to create role {name}.",
                f"Create role {name} by hand, then run again.",
                code="restore.roles",
            )
        execute(live, described[name])


def _globals(folder: Path, identity: Path | None) -> str:
    """Return the content of globals.sql, decrypted if necessary; empty if it cannot be read."""
    path = folder / globals_sql.NAME
    if path.exists():
        return path.read_text()
    path = folder / (globals_sql.NAME + encryption.SUFFIX)
    if identity is None or not path.exists():
        return ""
    with encryption.decrypted(path, identity) as stream:
        return stream.read().decode()


def execute(live: Database, statements: list[str]) -> None:
    """Run statements on the server as a superuser, each in a transaction of its own."""
    with _maintenance(live) as run:
        for statement in statements:
            run(statement)


def setting_statements(
    name: str, recorded: dict[str, list[str]], lists: frozenset[str] = list_settings.KNOWN
) -> list[str]:
    """Return the statements that set the recorded settings of database *name* and its roles."""
    quoted = quote_ident(name)
    statements = []
    for role, values in recorded.items():
        target = f"ROLE {quote_ident(role)} IN DATABASE {quoted}" if role else f"DATABASE {quoted}"
        for setting in values:
            key, _, value = setting.partition("=")
            if key == "timescaledb.restoring":  # left by an unfinished restore
                continue
            if key == event_triggers.SETTING and not role:  # given back by the swap
                continue
            spelled = list_settings.spelled(key, value, lists)
            dotted = ".".join(quote_ident(part) for part in key.split("."))
            statements.append(f"ALTER {target} SET {dotted} TO {spelled}")
    return statements


def locale_options(described: dict[str, Any]) -> list[str]:
    """Return the options of CREATE DATABASE for a recorded locale."""
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
    """Return grantor and GRANT of each recorded privilege; grantable ones come last."""
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


def _session(live: Database) -> AbstractContextManager[Any]:
    return live.session(name=live.maintenance_name, superuser=True, autocommit=True)


@contextmanager
def _maintenance(live: Database) -> Iterator[Callable[..., None]]:
    with _session(live) as cursor:
        yield cursor.execute
