# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Everything that can be known to be in a restore's way before anything is changed."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.client_tools.base import ClientTools
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import size as human
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
    superuser_role,
)
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.services import docker_engine

# A copy needs what the database needed, and WAL while it is written.
SPACE_SHARE = 1.2
FREE_CONNECTIONS = 6
# The copy's scheduler, the one that it has after the swap, and one for a job.
FREE_WORKERS = 3
TIMESCALEDB = "timescaledb"
LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost")


@dataclass
class Wanted:
    """What a restore needs of a server, whether a manifest or a bare dump says so."""

    database_name: str | None
    server_major: int | None
    # name -> {"version": str | None, "schema": str}
    extensions: dict[str, dict[str, Any]]
    described: dict[str, Any]
    roles: set[str] = field(default_factory=set)
    size_bytes: int | None = None
    # The cluster that the set was made of, as pg_control_system() names it.
    system_identifier: str | None = None


@dataclass
class Server:
    """What the checks found out on the way."""

    missing_roles: list[str]
    # Extensions to create before the dump does, at these versions.
    extensions: dict[str, dict[str, Any]]
    # Extensions of which another version than the recorded one has to do.
    other_versions: list[str]
    notes: list[str]


def wanted_by(backup_set: sets.BackupSet) -> Wanted:
    """Return what a set of ours needs."""
    manifest = backup_set.manifest
    if manifest is None:
        raise ValueError(f"{backup_set.dump} has no manifest")
    schemas = manifest["facts"]["schemas"]
    return Wanted(
        database_name=manifest["database_name"],
        server_major=manifest["server"]["version_num"] // 10000,
        extensions={
            name: facts | {"owner": schemas.get(facts["schema"], {}).get("owner")}
            for name, facts in manifest["facts"]["extensions"].items()
        },
        described=manifest["database"],
        roles=set(manifest["required_roles"])
        | {job["owner"] for job in manifest["facts"]["jobs"].values()}
        | {role for role in manifest["database"]["settings"] if role},
        size_bytes=manifest["server"]["size_bytes"],
        system_identifier=manifest["server"].get("system_identifier"),
    )


def check(
    database: Database,
    wanted: Wanted,
    tools: ClientTools,
    *,
    force_name: bool = False,
    create_roles: bool = False,
) -> Server:
    """Return what is known of the server; nothing is changed.

    :raises OpsError: clients.old, restore.*
    """
    with database.session(name=database.maintenance_name, read_only=True) as cursor:
        notes: list[str] = []
        _can_restore(cursor, tools, database)
        _same_database(wanted, database, force_name=force_name)
        _new_enough(cursor, wanted)
        extensions, other_versions = _extensions(cursor, wanted.extensions)
        missing = _missing_roles(cursor, wanted.roles)
        if missing and not create_roles:
            raise _lacks_roles(missing)
        if TIMESCALEDB in wanted.extensions:
            _workers(cursor)
        here = fetch_value(cursor, "SELECT system_identifier::text FROM pg_control_system()")
        if wanted.system_identifier not in (None, here):
            # No reason to refuse: after the loss of all files the server is a new one.
            notes.append(
                f"The set is of another server (system {wanted.system_identifier}; this one is"
                f" {here}): one that was made anew since, or another PMS."
            )
        needed = wanted.size_bytes or _size(cursor, database.name)
        free = _free_bytes(cursor, database)
    _locale(database, wanted.described)
    if free is None:
        notes.append("The free space on the server's disk cannot be seen from here.")
    elif free < needed * SPACE_SHARE:
        raise OpsError(
            f"The copy needs about {human(needed * SPACE_SHARE)}; the server's disk has"
            f" {human(free)} free.",
            f"Free space, or drop databases beside {database.name} that nobody needs.",
            code="restore.space",
        )
    if other_versions:
        notes.append(f"Other versions than recorded: {', '.join(other_versions)}.")
    return Server(missing, extensions, other_versions, notes)


def _can_restore(cursor: Any, tools: ClientTools, database: Database) -> None:
    version = fetch_value(cursor, "SELECT current_setting('server_version_num')::int") // 10000
    if tools.major("pg_restore") < version:
        raise OpsError(
            f"pg_restore is version {tools.major('pg_restore')}, older than the server's"
            f" {version}.",
            "Install the server version's client tools and set pms_db_bin_dir to them.",
            code="clients.old",
        )
    if superuser_role(cursor) is None:
        raise OpsError(
            f"Role {database.user} is no superuser and may become none by SET ROLE.",
            "Grant it pms_restore as docs/database-rights.sql does: TimescaleDB's catalogue cannot"
            " be restored otherwise.",
            code="restore.rights",
        )
    if fetch_value(cursor, "SELECT pg_is_in_recovery()"):
        raise OpsError(
            "The server is a standby or still in recovery; nothing can be written to it.",
            "Point pms_db_host at the primary, or wait until recovery has ended.",
            code="restore.standby",
        )
    free = fetch_value(
        cursor,
        "SELECT current_setting('max_connections')::int"
        " - current_setting('superuser_reserved_connections')::int - count(*)"
        " FROM pg_stat_activity WHERE backend_type = 'client backend'",
    )
    if free < FREE_CONNECTIONS:
        raise OpsError(
            f"The server has {free} free connections; a restore needs {FREE_CONNECTIONS}.",
            "End idle sessions, or raise max_connections.",
            code="restore.connections",
        )


def _same_database(wanted: Wanted, database: Database, *, force_name: bool) -> None:
    if wanted.database_name not in (None, database.name) and not force_name:
        raise OpsError(
            f"The set is of database {wanted.database_name}, not of {database.name}.",
            "Take a set of this database; -e restore_force_name=true if you mean it.",
            code="restore.other-database",
        )


def _new_enough(cursor: Any, wanted: Wanted) -> None:
    here = fetch_value(cursor, "SELECT current_setting('server_version_num')::int") // 10000
    if wanted.server_major and here < wanted.server_major:
        raise OpsError(
            f"The set is of PostgreSQL {wanted.server_major}; this server is {here}, older.",
            f"Restore on PostgreSQL {wanted.server_major} or newer.",
            code="restore.server-old",
        )


def _extensions(
    cursor: Any, wanted: dict[str, dict[str, Any]]
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the extensions to create beforehand, and those that will have another version."""
    available: dict[str, set[str]] = {}
    for name, version in fetch_all(
        cursor, "SELECT name, version FROM pg_available_extension_versions"
    ):
        available.setdefault(name, set()).add(version)
    defaults = dict(fetch_all(cursor, "SELECT name, default_version FROM pg_available_extensions"))
    before, other = {}, []
    for name, facts in sorted(wanted.items()):
        version = facts["version"]
        if name not in available:
            raise OpsError(
                f"The set needs extension {name}, which the server does not have.",
                f"Install the package of extension {name} on the server.",
                code="restore.extension",
            )
        if version and version not in available[name]:
            if name == TIMESCALEDB:
                raise OpsError(
                    f"The set needs TimescaleDB {version}; the server has"
                    f" {', '.join(sorted(available[name]))}.",
                    f"Install TimescaleDB {version} beside it (its files only), restore, then"
                    " ALTER EXTENSION timescaledb UPDATE.",
                    code="restore.timescaledb-version",
                )
            other.append(name)
        elif name == TIMESCALEDB or (version and version != defaults[name]):
            before[name] = facts
    return before, other


def _locale(database: Database, described: dict[str, Any]) -> None:
    """Have the server's system look the locale up; nothing of it is kept.

    :raises OpsError: restore.locale
    """
    connection = database.connect(name=database.maintenance_name)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_char_to_encoding(%s)", (described["encoding"],))
            if cursor.fetchone()[0] == -1:
                raise OpsError(
                    f"The server does not know encoding {described['encoding']}.",
                    "Restore on a server of the release that the set names.",
                    code="restore.locale",
                )
            if described["provider"] == "b":
                return  # it is part of the server
            provider = {"i": "icu"}.get(described["provider"], "libc")
            locale = described["locale"] if provider == "icu" else described["collate"]
            cursor.execute(
                f"CREATE COLLATION pg_temp.pms_ops_probe (provider = {provider}, locale = %s)",
                (locale,),
            )
    except psycopg2.Error as exc:
        # A locale of another encoding cannot be tried from here: CREATE DATABASE will say.
        if "could not create locale" in str(exc) or "could not open collator" in str(exc):
            raise OpsError(
                f"The server's system lacks locale {locale}.",
                f"Install it there (locale-gen {locale}), restart the server, and run again.",
                code="restore.locale",
            ) from exc
    finally:
        connection.rollback()
        connection.close()


def _missing_roles(cursor: Any, wanted: set[str]) -> list[str]:
    """Return the owners and grantees that the server does not know; job owners count too."""
    roles = {row[0] for row in fetch_all(cursor, "SELECT rolname FROM pg_roles")}
    return sorted(wanted - roles - {"PUBLIC"})


def _lacks_roles(missing: list[str]) -> OpsError:
    return OpsError(
        f"The server lacks roles that the set needs: {', '.join(missing)}.",
        "Create them (globals.sql of the set has each CREATE ROLE, without passwords), or allow it"
        " with -e restore_create_roles=true.",
        code="restore.roles",
    )


def _workers(cursor: Any) -> None:
    """Refuse where the copy's scheduler would find no free background worker."""
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
            f"The server has {free} free background workers; the copy needs {FREE_WORKERS}, or its"
            " jobs would silently not run.",
            "Raise max_worker_processes (and timescaledb.max_background_workers) and restart the"
            " server, or drop databases that are kept beside the live one.",
            code="restore.workers",
        )


def _size(cursor: Any, name: str) -> int:
    return fetch_value(
        cursor,
        "SELECT coalesce((SELECT pg_database_size(oid) FROM pg_database WHERE datname = %s), 0)",
        (name,),
    )


def _free_bytes(cursor: Any, database: Database) -> int | None:
    """Return what is free where the server keeps its data, None where that cannot be seen."""
    folder = fetch_value(cursor, "SELECT current_setting('data_directory', true)")
    if not folder:
        return None
    if database.access == "container":
        container = docker_engine.database_container(docker_engine.engine(), database.container)
        for user in ("postgres", "root"):  # a container may have taken root its rights
            status, output = container.exec_run(
                ["df", "-PB1", f"{folder}/base", f"{folder}/pg_wal/"], user=user
            )
            if status == 0:
                return smallest_free(output.decode(errors="replace"))
        return None
    if database.host not in LOCAL_HOSTS and not database.host.startswith("/"):
        return None
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def smallest_free(output: str) -> int | None:
    """Return the least free space of what ``df -P -B1`` lists: data and log may be on two disks."""
    found = []
    for line in output.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 6 and fields[3].isdigit():
            found.append(int(fields[3]))
    return min(found) if found else None
