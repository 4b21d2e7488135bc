# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Containers of the database's own image, thrown away afterwards: a scan, and a recovered server.

The recovered server has no network. It is reached by a socket in a folder that only this user can
enter. It stops at the moment and pauses; there its state is looked at, and then recovery ends:

- While it is paused, the locks of transactions that were running at the moment are held. The reader
  of a table that one of them was about to drop waits for ever, and that is the very table that the
  restore is for. The end of recovery undoes such transactions.
- No job of TimescaleDB or pg_cron runs in it then, autovacuum is off, and sessions are read-only
  unless they ask for more. So it stays what it was at that moment.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr.container import HOME, RESTORES
from ansible.module_utils.pmsops.pitr.recovered_server import RecoveredServer
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.services import docker_engine

LABEL = "pms-ops.pitr-copy-of"
SOCKET = "/run/pms-recovery"
# Libraries that start work of their own once recovery has ended.
JOB_RUNNERS = ("pg_cron", "pg_partman_bgw")
# Arguments: data directory, WAL folder, preloaded libraries, target setting.
_SERVER = rf"""
set -eu
umask 077
PATH=$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':'):/usr/local/bin
cd "$1"
rm -f recovery.signal postmaster.pid
touch standby.signal
printf 'local all all trust\nhost all all 127.0.0.1/32 trust\n' >pms_ops_hba.conf
chown -R postgres "$1"
of() {{ pg_controldata -D "$1" | sed -n "s/^$2 setting: *//p"; }}
plain='--reuid=postgres --regid=postgres --clear-groups'
if command -v setpriv >/dev/null; then as="setpriv $plain"
elif command -v gosu >/dev/null; then as="gosu postgres"
else as="su-exec postgres"; fi
exec $as postgres -D "$1" -c "unix_socket_directories={SOCKET}" -c listen_addresses=127.0.0.1 \
    -c port=5432 -c "hba_file=$1/pms_ops_hba.conf" -c ssl=off -c "shared_preload_libraries=$3" \
    -c "max_connections=$(of "$1" max_connections)" \
    -c "max_worker_processes=$(of "$1" max_worker_processes)" \
    -c "max_wal_senders=$(of "$1" max_wal_senders)" \
    -c "max_prepared_transactions=$(of "$1" 'max_prepared_xacts')" \
    -c "wal_level=$(of "$1" wal_level)" \
    -c "max_replication_slots=$(($(ls "$1/pg_replslot" | wc -l) + 4))" \
    -c "max_locks_per_transaction=$(of "$1" max_locks_per_xact)" \
    -c hot_standby=on -c primary_conninfo= -c archive_mode=off -c logging_collector=off \
    -c log_destination=stderr -c fsync=off -c full_page_writes=off -c autovacuum=off \
    -c default_transaction_read_only=on -c timescaledb.max_background_workers=0 -c jit=off \
    -c "restore_command=test -f $2/%f && cp $2/%f %p" \
    -c synchronous_standby_names= \
    -c recovery_target= -c recovery_target_time= -c recovery_target_lsn= -c recovery_target_xid= \
    -c recovery_target_name= -c recovery_target_action=pause -c recovery_target_inclusive=on \
    -c recovery_end_command= -c recovery_target_timeline=current -c "$4"
"""


@dataclass(frozen=True)
class Done:
    """What a script in a throw-away container ended with."""

    status: int
    text: str  # standard output and errors


class ThrowAway:
    """Makes throw-away containers of the image of the database's container."""

    def __init__(self, database: Database, archive_volume: str, restores_volume: str) -> None:
        import docker.errors

        self._database = database
        self._archive = archive_volume
        self.restores = restores_volume
        self._docker = docker_engine.engine_here()
        try:
            # It may be stopped: only its image is needed.
            self._container = self._docker.containers.get(database.container)
        except docker.errors.NotFound as exc:
            raise OpsError(
                f"There is no container {database.container}, whose image a recovery needs.",
                "Make it anew from its Compose file, empty and even stopped; then run again.",
                code="pitr.no-image",
            ) from exc

    def clean(self) -> list[str]:
        """Remove the containers of runs that were killed; return their names."""
        removed = []
        for each in self._docker.containers.list(all=True, filters={"label": LABEL}):
            owner = process_lock.ProcessId.parse(each.labels[LABEL])
            if owner is not None and not owner.alive():
                removed.append(each.name)
                _remove(each)
        return removed

    def remove_restores(self) -> None:
        """Remove what was restored. The engine's user may not: the files are the server's."""
        volumes = {self.restores: {"bind": RESTORES, "mode": "rw"}}
        self._output(f"rm -rf {RESTORES}/*", [], volumes)

    def output(self, script: str, arguments: list[str]) -> str:
        """Run a script that reads the archive; return its standard output."""
        return self._output(script, arguments, {self._archive: {"bind": HOME, "mode": "ro"}})

    def carried_out(self, script: str, arguments: list[str], volumes: dict[str, Any]) -> Done:
        """Run a script that has these volumes to work on."""
        container = self._create(script, arguments, volumes=volumes)
        try:
            status = docker_engine.run_to_end(container, 6 * 3600)
            said: bytes = container.logs(stdout=True, stderr=True)
            return Done(status, said.decode(errors="replace"))
        finally:
            _remove(container)

    def _output(self, script: str, arguments: list[str], volumes: dict[str, Any]) -> str:
        container = self._create(script, arguments, volumes=volumes)
        try:
            docker_engine.run_to_end(container, 6 * 3600)
            said: bytes = container.logs(stdout=True, stderr=False)
            return said.decode(errors="replace")
        finally:
            _remove(container)

    @contextmanager
    def server(
        self,
        folder: str,
        wal_folder: str,
        libraries: str,
        target_lsn: str | None,
        *,
        to_its_end: bool = False,
    ) -> Iterator[RecoveredServer]:
        """Give a server that recovers *folder* up to the target, and remove it afterwards.

        *to_its_end* is for a folder that has all of its WAL: it has no target.
        """
        target = f"recovery_target_lsn={target_lsn}" if target_lsn else "recovery_target=immediate"
        target = "recovery_target=" if to_its_end else target
        with tempfile.TemporaryDirectory(prefix="pms-pitr-") as private:
            # Whoever may enter the outer folder, and that is this user alone, may connect.
            socket = Path(private) / "s"
            socket.mkdir()
            socket.chmod(0o777)  # the server's user is another one
            container = self._create(
                _SERVER,
                [folder, wal_folder, libraries, target],
                volumes={
                    self.restores: {"bind": RESTORES, "mode": "rw"},
                    str(socket): {"bind": SOCKET, "mode": "rw"},
                },
            )
            try:
                container.start()
                reached = replace(
                    self._database,
                    host=str(socket),
                    port=5432,
                    container=container.name,
                    password=None,
                )
                yield RecoveredServer(reached, container, folder)
            finally:
                _remove(container)

    def _create(self, script: str, arguments: list[str], *, volumes: dict[str, Any]) -> Any:
        import docker.errors

        try:
            return self._docker.containers.create(
                self._container.image.id,
                entrypoint=["/bin/sh", "-c", script, "sh"],
                command=arguments,
                user="0",
                network_mode="none",
                volumes=volumes,
                shm_size="256m",
                stop_signal="SIGINT",
                labels={LABEL: process_lock.this_process().text()},
                log_config={"type": "json-file", "config": {"max-size": "64m"}},
                healthcheck={"test": ["NONE"]},
            )
        except docker.errors.APIError as exc:
            raise OpsError(
                f"The Docker Engine would not make a throw-away container: {exc}",
                "Its message names the cause. Nothing was changed; run again.",
                code="pitr.container",
            ) from exc


def libraries_of(value: str) -> str:
    """Return the preloaded libraries without those that would start work of their own."""
    names = [each.strip() for each in value.split(",")]
    return ",".join(each for each in names if each and each not in JOB_RUNNERS)


def libraries_in(arguments: list[str]) -> str:
    """Return shared_preload_libraries from the arguments of a container, empty without."""
    found = [m[1] for each in arguments if (m := re.match(r"shared_preload_libraries=(.*)", each))]
    return found[-1] if found else ""


def _remove(container: Any) -> None:
    import docker.errors

    with suppress(docker.errors.APIError):
        container.remove(force=True, v=True)
