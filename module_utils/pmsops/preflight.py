# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Everything that can be known to be in a restore's way before anything is changed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops import sets
from ansible.module_utils.pmsops.clients import ClientTools
from ansible.module_utils.pmsops.database import (
    Database,
    fetch_all,
    fetch_value,
    superuser_role,
)
from ansible.module_utils.pmsops.errors import OpsError
from ansible.module_utils.pmsops.progress import size as human

# A copy needs what the database needed, and WAL while it is written.
SPACE_SHARE = 1.2
FREE_CONNECTIONS = 6


def check(
    database: Database,
    backup_set: sets.BackupSet,
    tools: ClientTools,
    *,
    keys: Path,
    trust: str | None = None,
    force_name: bool = False,
    create_roles: bool = False,
    data_folder: Path | None = None,
) -> dict[str, Any]:
    """Return what is known of the set and the server; nothing is changed.

    *data_folder* is the server's data directory where it can be seen from here.

    :raises OpsError: signing.*, set.*, restore.*
    """
    known: dict[str, Any] = {"verified": "not at all: no manifest"}
    if not backup_set.naive:
        known |= sets.check(backup_set, keys, trust=trust)
        known["verified"] = "signature and every file"
    with database.session(name=database.maintenance_name, read_only=True) as cursor:
        known |= _server(cursor, backup_set, tools, database)
        if backup_set.manifest:
            _fits(cursor, backup_set.manifest, database, force_name=force_name)
            known["missing_roles"] = _missing_roles(cursor, backup_set.manifest)
            if known["missing_roles"] and not create_roles:
                raise _lacks_roles(known["missing_roles"])
        _space(cursor, database, backup_set, data_folder)
    return known


def _server(
    cursor: Any, backup_set: sets.BackupSet, tools: ClientTools, database: Database
) -> dict[str, Any]:
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
    return {"server_major": version}


def _fits(cursor: Any, manifest: dict[str, Any], database: Database, *, force_name: bool) -> None:
    """Refuse a set that this server cannot hold, or that is another database's."""
    server = manifest["server"]["version_num"] // 10000
    here = fetch_value(cursor, "SELECT current_setting('server_version_num')::int") // 10000
    if here < server:
        raise OpsError(
            f"The set is of PostgreSQL {server}; this server is {here}, older.",
            f"Restore on PostgreSQL {server} or newer.",
            code="restore.server-old",
        )
    if manifest["database_name"] != database.name and not force_name:
        raise OpsError(
            f"The set is of database {manifest['database_name']}, not of {database.name}.",
            "Take a set of this database; -e restore_force_name=true if you mean it.",
            code="restore.other-database",
        )
    wanted = manifest["facts"]["extensions"]
    available = {
        (name, version)
        for name, version in fetch_all(
            cursor, "SELECT name, version FROM pg_available_extension_versions"
        )
    }
    for name, facts in sorted(wanted.items()):
        if name == "timescaledb" and (name, facts["version"]) not in available:
            have = sorted(version for each, version in available if each == name)
            raise OpsError(
                f"The set needs TimescaleDB {facts['version']}; the server has"
                f" {', '.join(have) or 'none'}.",
                f"Install TimescaleDB {facts['version']} beside it (its files only), restore, then"
                " ALTER EXTENSION timescaledb UPDATE.",
                code="restore.timescaledb-version",
            )
        if not any(each == name for each, _version in available):
            raise OpsError(
                f"The set needs extension {name}, which the server does not have.",
                f"Install the package of extension {name} on the server.",
                code="restore.extension",
            )
    encoding = manifest["database"]["encoding"]
    if fetch_value(cursor, "SELECT pg_char_to_encoding(%s)", (encoding,)) == -1:
        raise OpsError(
            f"The server does not know encoding {encoding}.",
            "Restore on a server of the release that the set names.",
            code="restore.locale",
        )
    collate = manifest["database"]["collate"]
    known = fetch_value(
        cursor,
        "SELECT count(*) FROM pg_collation WHERE collprovider = 'c' AND collcollate IN (%s, %s)",
        (collate, collate.replace("UTF-8", "utf8")),
    )
    if not known and collate not in ("C", "POSIX", "C.UTF-8"):
        raise OpsError(
            f"The server's system lacks locale {collate}.",
            f"Install it there (locale-gen {collate}), restart the server, and run again.",
            code="restore.locale",
        )


def _missing_roles(cursor: Any, manifest: dict[str, Any]) -> list[str]:
    """Return the owners and grantees that the server does not know; job owners count too."""
    roles = {row[0] for row in fetch_all(cursor, "SELECT rolname FROM pg_roles")}
    owners = {job["owner"] for job in manifest["facts"]["jobs"].values()}
    return sorted((set(manifest["required_roles"]) | owners) - roles)


def _lacks_roles(missing: list[str]) -> OpsError:
    return OpsError(
        f"The server lacks roles that the set needs: {', '.join(missing)}.",
        "Create them (globals.sql of the set has each CREATE ROLE, without passwords), or allow it"
        " with -e restore_create_roles=true.",
        code="restore.roles",
    )


def _space(
    cursor: Any, database: Database, backup_set: sets.BackupSet, data_folder: Path | None
) -> None:
    """Refuse a copy that the server's disk cannot hold, where that disk can be seen."""
    if backup_set.manifest:
        needed = backup_set.manifest["server"]["size_bytes"]
    else:
        needed = fetch_value(
            cursor,
            "SELECT coalesce((SELECT pg_database_size(oid) FROM pg_database"
            " WHERE datname = %s), 0)",
            (database.name,),
        )
    if data_folder is None or not data_folder.exists():
        return
    free = shutil.disk_usage(data_folder).free
    if free < needed * SPACE_SHARE:
        raise OpsError(
            f"The copy needs about {human(needed * SPACE_SHARE)}; {data_folder} has"
            f" {human(free)} free.",
            "Free space, or drop former databases (<database>__before_...) that nobody needs.",
            code="restore.space",
        )


def data_folder(database: Database) -> Path | None:
    """Return the folder whose disk the server writes to, as this host sees it, or None."""
    if database.access == "container":
        from ansible.module_utils.pmsops import clients

        container = clients.database_container(clients.engine(), database)
        mounts = container.attrs.get("Mounts", [])
        for mount in mounts:
            if "postgres" in mount.get("Destination", "") and mount.get("Source"):
                return Path(mount["Source"])
        return None
    try:
        with database.session(name=database.maintenance_name, read_only=True) as cursor:
            folder = Path(fetch_value(cursor, "SELECT current_setting('data_directory', true)"))
    except (OpsError, TypeError):
        return None
    return folder if os.path.isdir(folder) else None  # noqa: PTH112  # may not be readable
