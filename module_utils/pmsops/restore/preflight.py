# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks before a restore changes anything: rights, versions, extensions, roles, locale, space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.client_tools.base import ClientTools
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
    superuser_role,
)
from ansible.module_utils.pmsops.restore import role_restore, room, tablespaces, versions
from ansible.module_utils.pmsops.restore.requirements import TIMESCALEDB, Requirements

FREE_CONNECTIONS = 6
# The staging database's scheduler, its scheduler after the swap, and one worker for a job.
FREE_WORKERS = 3


@dataclass
class ServerState:
    """What the checks found out about the server."""

    missing_roles: list[str]
    # Extensions to create before pg_restore would, in these versions.
    extensions: dict[str, dict[str, Any]]
    # Extensions that the server does not have in their recorded version.
    other_versions: list[str]
    notes: list[str]
    # Of the database, and of the server's disk; None where it cannot be seen.
    needed_bytes: int = 0
    free_bytes: int | None = None


def check(
    database: Database,
    required: Requirements,
    tools: ClientTools,
    *,
    force_name: bool = False,
    create_roles: bool = False,
    spare_bytes: int = 0,
) -> ServerState:
    """Refuse a server that the restore would fail on; nothing is changed.

    *spare_bytes* count as free: the restore may drop what takes them.

    :raises OpsError: clients.old, restore.*
    """
    with database.session(name=database.maintenance_name, read_only=True) as cursor:
        notes: list[str] = []
        _require_rights(cursor, tools, database)
        _require_same_name(required, database, force_name=force_name)
        notes += versions.check(cursor, required, tools)
        notes += [f"The trial at backup time found: {line}" for line in required.refused]
        extensions, other_versions = extensions_to_create(cursor, required.extensions)
        missing = _missing_roles(cursor, required.roles)
        if missing and not create_roles:
            raise _lacks_roles(missing)
        if create_roles:
            missing = _missing_roles(cursor, required.roles | {*required.role_facts})
        notes += role_restore.notes(cursor, required.role_facts) if required.role_facts else []
        tablespaces.require(cursor, required.tablespaces)
        if TIMESCALEDB in required.extensions:
            require_workers(cursor)
        here = fetch_value(cursor, "SELECT system_identifier::text FROM pg_control_system()")
        if required.system_identifier not in (None, here):
            # Not refused: after the loss of all files, the server is a new one.
            notes.append(
                f"The set comes from another server (system {required.system_identifier}; this"
                f" one is {here}): one that was rebuilt since, or another PMS."
            )
        needed = required.size_bytes or _size(cursor, database.name)
        free = room.free_bytes(cursor, database)
    _require_locale(database, required.described)
    if free is None:
        notes.append("The free space on the server's disk could not be determined.")
    else:
        room.require(database, needed, free + spare_bytes)
    if other_versions:
        notes.append(f"Other versions than recorded: {', '.join(other_versions)}.")
    return ServerState(missing, extensions, other_versions, notes, needed, free)


def _require_rights(cursor: Any, tools: ClientTools, database: Database) -> None:
    version = fetch_value(cursor, "SELECT current_setting('server_version_num')::int") // 10000
    tools.prefer(version)
    if tools.major("pg_restore") < version:
        raise OpsError(
            f"pg_restore is version {tools.major('pg_restore')}, older than the server's"
            f" {version}.",
            "Install the server version's client tools and set pms_db_bin_dir to them.",
            code="clients.old",
        )
    if superuser_role(cursor) is None:
        raise OpsError(
            f"Role {database.user} is not a superuser and cannot become one by SET ROLE.",
            "Grant it pms_restore as docs/database-rights.sql does. Only a superuser can restore"
            " TimescaleDB's catalogue.",
            code="restore.rights",
        )
    if fetch_value(cursor, "SELECT pg_is_in_recovery()"):
        raise OpsError(
            "The server is a standby or still in recovery, so it accepts no writes.",
            "Point pms_db_host at the primary, or wait until recovery has ended.",
            code="restore.standby",
        )
    free = free_connections(cursor)
    if free < FREE_CONNECTIONS:
        raise OpsError(
            f"The server has {free} free connections; a restore needs {FREE_CONNECTIONS}.",
            "End idle sessions, or raise max_connections.",
            code="restore.connections",
        )


def free_connections(cursor: Any) -> int:
    """Return how many more connections the server, and the session's own role, would take."""
    free: int = fetch_value(
        cursor,
        """SELECT least(
               current_setting('max_connections')::int
               - current_setting('superuser_reserved_connections')::int
               - coalesce(current_setting('reserved_connections', true), '0')::int
               - count(*) FILTER (WHERE backend_type = 'client backend'),
               (SELECT CASE WHEN rolconnlimit < 0 THEN 2147483647 ELSE rolconnlimit END
                  FROM pg_roles WHERE rolname = session_user)
               - count(*) FILTER (WHERE usename = session_user))::int
             FROM pg_stat_activity""",
    )
    return free


def _require_same_name(required: Requirements, database: Database, *, force_name: bool) -> None:
    if required.database_name not in (None, database.name) and not force_name:
        raise OpsError(
            f"The set is of database {required.database_name}, not of {database.name}.",
            "Take a set of this database, or force this one with -e restore_force_name=true.",
            code="restore.other-database",
        )


def extensions_to_create(
    cursor: Any, required: dict[str, dict[str, Any]]
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the extensions to create before pg_restore, and those that get another version."""
    available: dict[str, set[str]] = {}
    for name, version in fetch_all(
        cursor, "SELECT name, version FROM pg_available_extension_versions"
    ):
        available.setdefault(name, set()).add(version)
    defaults = dict(fetch_all(cursor, "SELECT name, default_version FROM pg_available_extensions"))
    before, other = {}, []
    for name, facts in sorted(required.items()):
        version = facts["version"]
        if name not in available:
            raise OpsError(
                f"The set needs extension {name}, which the server does not have.",
                f"Install the package of extension {name} on the server, or restore without it:"
                f""" -e '{{"restore_without_extensions": ["{name}"]}}'.""",
                code="restore.extension",
            )
        if version and version not in available[name]:
            if name == TIMESCALEDB:
                raise OpsError(
                    f"The set needs TimescaleDB {version}; the server has"
                    f" {', '.join(sorted(available[name]))}.",
                    f"Install the files of TimescaleDB {version} as well, restore, then run ALTER"
                    " EXTENSION timescaledb UPDATE.",
                    code="restore.timescaledb-version",
                )
            other.append(name)
        elif name == TIMESCALEDB or (version and version != defaults[name]):
            before[name] = facts
    return before, other


def _require_locale(database: Database, described: dict[str, Any]) -> None:
    """Let the server's system look the locale up, in a transaction that is rolled back.

    :raises OpsError: restore.locale
    """
    connection = database.connect(name=database.maintenance_name)
    try:
        with connection.cursor() as cursor:
            known = fetch_value(cursor, "SELECT pg_char_to_encoding(%s)", (described["encoding"],))
            if known == -1:
                raise OpsError(
                    f"The server does not know encoding {described['encoding']}.",
                    "Restore on a server of the PostgreSQL version that the set names.",
                    code="restore.locale",
                )
            if described["provider"] == "b":
                return  # built into the server
            provider = {"i": "icu"}.get(described["provider"], "libc")
            locale = described["locale"] if provider == "icu" else described["collate"]
            cursor.execute(
                f"CREATE COLLATION pg_temp.pms_ops_probe (provider = {provider}, locale = %s)",
                (locale,),
            )
    except psycopg2.Error as exc:
        # A locale of another encoding cannot be tried from here; CREATE DATABASE checks it.
        if "could not create locale" in str(exc) or "could not open collator" in str(exc):
            raise OpsError(
                f"The server's system lacks locale {locale}.",
                f"Install it there (locale-gen {locale}), restart the server, and run again.",
                code="restore.locale",
            ) from exc
    finally:
        connection.rollback()
        connection.close()


def _missing_roles(cursor: Any, required: set[str]) -> list[str]:
    """Return the owners (of jobs too) and grantees that the server does not know."""
    roles = {row[0] for row in fetch_all(cursor, "SELECT rolname FROM pg_roles")}
    return sorted(required - roles - {"PUBLIC"})


def _lacks_roles(missing: list[str]) -> OpsError:
    return OpsError(
        f"The server lacks roles that the set needs: {', '.join(missing)}.",
        "Create them (the set's globals.sql has each CREATE ROLE, without passwords), or let the"
        " restore do it with -e restore_create_roles=true.",
        code="restore.roles",
    )


def require_workers(cursor: Any) -> None:
    """Refuse a server without a free background worker for the staging database's scheduler."""
    free = fetch_value(
        cursor,
        """SELECT current_setting('max_worker_processes')::int - count(*)
             FROM pg_stat_activity
            WHERE backend_type LIKE 'TimescaleDB%%' OR backend_type = 'parallel worker'
               OR backend_type LIKE 'logical replication%%'""",
        (),
    )
    if free < FREE_WORKERS:
        raise OpsError(
            f"The server has {free} free background workers; a restore needs {FREE_WORKERS}, or"
            " TimescaleDB's jobs would silently not run.",
            "Raise max_worker_processes (and timescaledb.max_background_workers) and restart the"
            " server, or drop former databases that are no longer needed.",
            code="restore.workers",
        )


def _size(cursor: Any, name: str) -> int:
    size: int = fetch_value(
        cursor,
        "SELECT coalesce((SELECT pg_database_size(oid) FROM pg_database WHERE datname = %s), 0)",
        (name,),
    )
    return size
