# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The PostgreSQL of a drill on another host: one of its own in a container, or one that is there.

A server of its own has no network: it is reached by a socket in a folder that this user alone can
enter, and goes with its data when the drill ends. On a server that is there, the drill drops its
staging database and the roles that it made.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common import files, process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
    quote_ident,
)
from ansible.module_utils.pmsops.restore import requirements, staging_database
from ansible.module_utils.pmsops.restore.journal import Journal
from ansible.module_utils.pmsops.services import docker_engine

LABEL = "pms-ops.drill-of"
USER = "pms_ops_drill"  # no role of a set
SOCKET, DATA = "/run/pms-drill", "/var/lib/pms-drill"
START_SECONDS, POLL_SECONDS = 120, 0.1
ROLES = "drill-roles.json"
# Its argument: the preloaded libraries. Settings that cost or save time are those of a new server.
_SERVER = rf"""
set -eu
umask 077
PATH=$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':'):/usr/local/bin
chown postgres {DATA}
plain='--reuid=postgres --regid=postgres --clear-groups'
if command -v setpriv >/dev/null; then as="setpriv $plain"
elif command -v gosu >/dev/null; then as="gosu postgres"
else as="su-exec postgres"; fi
$as initdb -D {DATA}/data -U {USER} --auth=trust --encoding=UTF8 --locale=C >/dev/null
exec $as postgres -D {DATA}/data -c unix_socket_directories={SOCKET} \
    -c listen_addresses=127.0.0.1 -c port=5432 -c "shared_preload_libraries=$1" \
    -c max_worker_processes=32 -c max_locks_per_transaction=1024 \
    -c logging_collector=off -c log_destination=stderr -c timescaledb.telemetry_level=off
"""


def clean() -> list[str]:
    """Remove the servers of drills that were killed; return their names."""
    removed = []
    for each in docker_engine.engine().containers.list(all=True, filters={"label": LABEL}):
        owner = process_lock.ProcessId.parse(each.labels[LABEL])
        if owner is not None and not owner.alive():
            removed.append(each.name)
            _remove(each)
    return removed


def require_image(name: str) -> str:
    """Return the id of the image *name* of this host; none is pulled.

    :raises OpsError: drill.no-image
    """
    import docker.errors

    try:
        if name:
            found: str = docker_engine.engine().images.get(name).id
            return found
    except docker.errors.ImageNotFound:
        pass
    raise OpsError(
        f"The host of the drill has no image {name or 'whose name is known'}.",
        "Load the image of the source's database there (docker save, docker load), name another one"
        " with restore_drill_image, or a PostgreSQL with restore_drill_database.",
        code="drill.no-image",
    )


@contextmanager
def own(image: str, folder: Path, name: str, libraries: str) -> Iterator[Database]:
    """Give database *name* on a new server from *image*; it goes with all data afterwards.

    *folder* is private to this user, and gets the socket.

    :raises OpsError: drill.server
    """
    socket = folder / "s"
    socket.mkdir()
    socket.chmod(0o777)  # the server's user is another one
    container = docker_engine.engine().containers.create(
        image,
        entrypoint=["/bin/sh", "-c", _SERVER, "sh"],
        command=[libraries],
        user="0",
        network_mode="none",
        volumes={str(socket): {"bind": SOCKET, "mode": "rw"}},
        mounts=_data(),
        shm_size="256m",
        stop_signal="SIGINT",
        labels={LABEL: process_lock.this_process().text()},
        log_config={"type": "json-file", "config": {"max-size": "64m"}},
        healthcheck={"test": ["NONE"]},
    )
    try:
        container.start()
        database = Database(str(socket), 5432, name, USER, container=container.name)
        _await(database, container)
        yield database
    finally:
        _remove(container)


def note_roles(database: Database, folder: Path, document: Mapping[str, Any]) -> None:
    """Note which roles a drill will make on a server that is there, for ``drop_remains``."""
    wanted = requirements.of_manifest(dict(document))
    with database.session(name=database.maintenance_name, read_only=True) as cursor:
        there = {row[0] for row in fetch_all(cursor, "SELECT rolname FROM pg_roles")}
    new = sorted((wanted.roles | {*wanted.role_facts}) - there)
    files.replace(folder / ROLES, json.dumps(new).encode())


def drop_remains(database: Database, folder: Path) -> list[str]:
    """Drop what a drill on a server that is there left: staging database, roles; name what stays.

    :raises OpsError: database.* if the server does not answer
    """
    stays = []
    side = Journal.of_root(folder).state.get("side")
    if side and (text := staging_database.drop_or_explain(database, side)):
        stays.append(text)
    try:
        names = json.loads((folder / ROLES).read_bytes())
    except (OSError, ValueError):
        return stays
    with database.session(
        name=database.maintenance_name, superuser=True, autocommit=True
    ) as cursor:
        for name in names:
            try:
                cursor.execute(f"DROP ROLE IF EXISTS {quote_ident(name)}")
            except psycopg2.Error as exc:
                stays.append(f"role {name} stays: {' '.join(str(exc).split())}")
    return stays


def require_versions(database: Database, document: Mapping[str, Any]) -> str:
    """Return the server's version; it is that of the set, to the major and TimescaleDB's own.

    :raises OpsError: drill.version, drill.same-machine
    """
    wanted = document["server"]["version_num"] // 10000
    extension = document["facts"]["extensions"].get(requirements.TIMESCALEDB)
    with database.session(name=database.maintenance_name, read_only=True) as cursor:
        version: str = fetch_value(cursor, "SELECT current_setting('server_version')")
        major = fetch_value(cursor, "SELECT current_setting('server_version_num')::int") // 10000
        there = {
            row[0]
            for row in fetch_all(
                cursor,
                "SELECT version FROM pg_available_extension_versions WHERE name = %s",
                (requirements.TIMESCALEDB,),
            )
        }
        system = fetch_value(cursor, "SELECT system_identifier::text FROM pg_control_system()")
    if system == document["server"].get("system_identifier"):
        raise OpsError(
            f"The server of the drill is the one that the set comes from (system {system}), or a"
            " copy of its files.",
            "Name another server with restore_drill_database, or leave it out: then the drill"
            " starts one of its own.",
            code="drill.same-machine",
        )
    if major != wanted:
        raise _other_version(f"PostgreSQL {major}", f"PostgreSQL {wanted}")
    if extension and extension["version"] not in there:
        raise _other_version(
            f"TimescaleDB {', '.join(sorted(there)) or 'not at all'}",
            f"TimescaleDB {extension['version']}",
        )
    return version


def _other_version(here: str, wanted: str) -> OpsError:
    return OpsError(
        f"The server of the drill has {here}; the set is of {wanted}.",
        "Give the drill the version of the source: its image (restore_drill_image), or the"
        " packages of that version on the server (restore_drill_database).",
        code="drill.version",
    )


def _data() -> list[Any]:
    """Return a volume without a name for the data: it goes with its container."""
    from docker.types import Mount

    return [Mount(target=DATA, source="", type="volume")]


def _await(database: Database, container: Any) -> None:
    """Wait until the server answers.

    :raises OpsError: drill.server
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            database.connect(name=database.maintenance_name).close()
            return
        except OpsError as exc:
            container.reload()
            if container.status == "running" and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
                continue
            said = container.logs(tail=3).decode(errors="replace")
            raise OpsError(
                f"The server of the drill does not start: {' '.join(said.split()) or exc}",
                "Its message names the cause. The image has to have PostgreSQL's server, initdb and"
                " the extensions of the set.",
                code="drill.server",
            ) from exc


def _remove(container: Any) -> None:
    import docker.errors

    with suppress(docker.errors.APIError):
        container.remove(force=True, v=True)
