# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Roles that a server lacks, made as the set describes them, and compared with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import list_settings, roles
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
    quote_ident,
    quote_literal,
)
from ansible.module_utils.pmsops.restore import staging_database
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.requirements import Requirements

MEMBERSHIP_OPTIONS_SINCE = 160000
_ATTRIBUTES = {
    "superuser": "SUPERUSER",
    "inherit": "INHERIT",
    "create_role": "CREATEROLE",
    "create_db": "CREATEDB",
    "login": "LOGIN",
    "replication": "REPLICATION",
    "bypass_rls": "BYPASSRLS",
}


def create(
    live: Database,
    missing: list[str],
    recorded: roles.Roles,
    folder: Path,
    identity: Path | None = None,
) -> list[str]:
    """Create the *missing* roles, compare them with the set, and return what is left to be done.

    An older set does not describe its roles; there the globals.sql in *folder* does, in part. No
    set has a password: ``give_passwords`` does that.

    :raises OpsError: restore.roles
    """
    described = [name for name in missing if name in recorded]
    others = [name for name in missing if name not in recorded]
    staging_database.create_roles(live, others, folder, identity)
    left = [
        f"Role {name} was made from globals.sql: its settings and memberships are not restored."
        for name in others
    ]
    if described:
        _create_described(live, described, recorded)
    return left


def _create_described(live: Database, described: list[str], recorded: roles.Roles) -> None:
    values = [
        setting.partition("=") for name in described for setting in recorded[name]["settings"]
    ]
    lists = list_settings.among(live, [(name, value) for name, _, value in values])
    with live.session(name=live.maintenance_name, superuser=True) as cursor:
        version = fetch_value(cursor, "SELECT current_setting('server_version_num')::int")
        for statement in statements(described, recorded, lists):
            cursor.execute(statement)
        there = {row[0] for row in _names(cursor)}
        for statement in grants(described, recorded, there, version):
            cursor.execute(statement)
        found = roles.describe(cursor, described)
        if wrong := differences({name: recorded[name] for name in described}, found, there):
            raise OpsError(
                f"Roles were not made as the set describes them: {'; '.join(wrong)}.",
                "Create them by hand, as the set's manifest.json has them under roles.",
                code="restore.roles",
            )


def give_passwords(live: Database, required: Requirements, request: Request) -> list[str]:
    """Give the set's login roles that have no password theirs; return a line of those left.

    A role that has a password keeps it. The roles that an earlier run made are among them: that run
    may have failed because no password was in the inventory. A drill gives none, unless it makes
    roles, too.
    """
    if not (request.keep or request.create_roles):
        return []
    names = {*required.roles, *required.role_facts}
    given = {name: each for name, each in request.role_passwords.items() if each and name in names}
    if not given and not request.create_roles:
        return []
    with live.session(name=live.maintenance_name, superuser=True) as cursor:
        lacking = without_password(cursor, names)
        if lacking and given:
            # Neither the server's log nor another session's view of a statement shows it.
            cursor.execute("SET LOCAL log_statement = 'none'")
            cursor.execute("SET LOCAL log_min_duration_statement = -1")
        for name in lacking:
            if name in given:
                cursor.execute(f"ALTER ROLE {quote_ident(name)} PASSWORD %s", (given[name],))
    left = [name for name in lacking if name not in given]
    return [password_words(left)] if left and request.create_roles else []


def without_password(cursor: Any, names: Iterable[str] | None = None) -> list[str]:
    """Return the login roles without a password, of *names* or of the server.

    Neither the session's own role is among them nor the server's first one, which both log in by
    other means. Only a superuser sees pg_authid; a restore needs one.
    """
    wanted = None if names is None else sorted(names)
    rows = fetch_all(
        cursor,
        """SELECT rolname FROM pg_catalog.pg_authid
            WHERE rolcanlogin AND rolpassword IS NULL AND oid <> 10 AND rolname !~ '^pg_'
              AND rolname <> session_user AND (%s::text[] IS NULL OR rolname = ANY(%s::text[]))
            ORDER BY rolname""",
        (wanted, wanted),
    )
    return [row[0] for row in rows]


def suspected(live: Database) -> str:
    """Return the line of the server's login roles without a password; empty if none is known.

    A PMS that logs in as one of them does not work on any database.
    """
    try:
        with live.session(name=live.maintenance_name, superuser=True) as cursor:
            return password_words(without_password(cursor))
    except (OpsError, psycopg2.Error):
        return ""  # the failure that is being explained matters more


def password_words(lacking: list[str]) -> str:
    """Return what is said of roles that cannot log in by a password; empty without any."""
    if not lacking:
        return ""
    return (
        f"Roles without a password: {', '.join(lacking)}. No set has passwords: set"
        " restore_role_passwords in the inventory, and run the same command again."
    )


def statements(
    names: Iterable[str],
    recorded: roles.Roles,
    lists: frozenset[str] = list_settings.KNOWN,
) -> Iterator[str]:
    """Yield the statements that make roles with attributes, settings and comments."""
    for name in names:
        role, quoted = recorded[name], quote_ident(name)
        words = [word if role[key] else f"NO{word}" for key, word in _ATTRIBUTES.items()]
        words.append(f"CONNECTION LIMIT {int(role['connection_limit'])}")
        if role["valid_until"] is not None:
            words.append(f"VALID UNTIL {quote_literal(role['valid_until'])}")
        yield f"CREATE ROLE {quoted} {' '.join(words)}"
        for setting in role["settings"]:
            key, _, value = setting.partition("=")
            dotted = ".".join(quote_ident(part) for part in key.split("."))
            spelled = list_settings.spelled(key, value, lists).strip()
            yield f"ALTER ROLE {quoted} SET {dotted} TO {spelled}"
        if role["comment"] is not None:
            yield f"COMMENT ON ROLE {quoted} IS {quote_literal(role['comment'])}"


def grants(
    created: Iterable[str], recorded: roles.Roles, there: set[str], version: int
) -> Iterator[str]:
    """Yield the memberships of and in the *created* roles, between roles that are *there*."""
    new = set(created)
    for name, role in recorded.items():
        for parent, options in role["member_of"].items():
            if not {name, parent} & new or not {name, parent} <= there:
                continue
            grant = f"GRANT {quote_ident(parent)} TO {quote_ident(name)}"
            if version < MEMBERSHIP_OPTIONS_SINCE:
                yield grant + (" WITH ADMIN OPTION" if options["admin"] else "")
                continue
            words = [
                f"{option.upper()} {'TRUE' if options[option] else 'FALSE'}"
                for option in ("admin", "inherit", "set")
                if options[option] is not None
            ]
            yield f"{grant} WITH {', '.join(words)}"


def notes(cursor: Any, recorded: roles.Roles) -> list[str]:
    """Return how roles that are there differ from the set; a restore leaves them as they are."""
    found = roles.describe(cursor, recorded)
    there = {row[0] for row in _names(cursor)}
    known = {name: role for name, role in recorded.items() if name in found}
    return [
        f"{line}; roles belong to the server, and stay as they are."
        for line in differences(known, found, there)
    ]


def differences(recorded: roles.Roles, found: roles.Roles, there: set[str]) -> list[str]:
    """Return what is otherwise than recorded, a line for each role; *there* are the server's."""
    lines = []
    for name, role in recorded.items():
        actual = found.get(name)
        if actual is None:
            lines.append(f"role {name} is missing")
            continue
        wrong = [
            f"{key} is {actual[key]!r}, not {role[key]!r}"
            for key in role
            if key != "member_of" and actual[key] != role[key]
        ]
        wrong += _memberships(role["member_of"], actual["member_of"], there)
        if wrong:
            lines.append(f"role {name}: {', '.join(wrong)}")
    return lines


def _memberships(
    recorded: dict[str, dict[str, Any]], found: dict[str, dict[str, Any]], there: set[str]
) -> Iterator[str]:
    for parent in sorted({*recorded, *found}):
        if parent not in found:
            if parent in there:
                yield f"is no member of {parent}"
        elif parent not in recorded:
            yield f"is a member of {parent}"
        else:
            for option, value in recorded[parent].items():
                # Servers before 16 have neither INHERIT nor SET of a membership.
                if None not in (value, found[parent][option]) and value != found[parent][option]:
                    yield f"{option} of its membership in {parent} is {found[parent][option]}"


def _names(cursor: Any) -> list[tuple[str]]:
    cursor.execute("SELECT rolname FROM pg_catalog.pg_roles")
    names: list[tuple[str]] = cursor.fetchall()
    return names
