# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Client tools in sidecars: throw-away containers beside the database's container.

A sidecar has the image and the network namespace of the database's container, so versions always
match and nothing has to be installed on the host.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.client_tools.base import ClientTools, ToolProcess, read_version
from ansible.module_utils.pmsops.client_tools.sidecar_process import (
    ContainerProcess,
    ExecProcess,
    asking_of,
    engine_refused,
    not_in_image,
    remove,
    this_user,
)
from ansible.module_utils.pmsops.common import process_lock
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value
from ansible.module_utils.pmsops.services import docker_engine

SIDECAR_LABEL = "pms-ops.client-of"
KEEPER = ("tail", "-f", "/dev/null")  # ends with its container alone
NO_LOG = {"type": "none"}


class SidecarTools(ClientTools):
    """Client tools from the image of the database's container."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._engine = docker_engine.engine()
        self._container = docker_engine.database_container(self._engine, database.container)
        self._versions: dict[str, str] = {}
        self._listens: tuple[str, int] | None = None
        self._removals: list[threading.Thread] = []

    def start(  # noqa: D102
        self,
        tool: str,
        args: Sequence[str],
        *,
        database: str | None = None,
        folders: dict[Path, str] | None = None,
        stream: bool = False,
        settings: dict[str, str] | None = None,
    ) -> ToolProcess:
        # Streamed output needs no log file.
        log = NO_LOG if stream else {"type": "json-file", "config": {"max-size": "16m"}}
        container = self._create(
            tool,
            [tool, *args],
            environment=self.variables(database, settings),
            folders=folders or {},
            log=log,
        )
        client = ContainerProcess(tool, container, stream=stream)
        self._start(tool, container)
        return client

    @contextmanager
    def together(self, folders: dict[Path, str]) -> Iterator[ClientTools]:  # noqa: D102
        # When a container ends, the engine unmounts its root file system, which waits for all dirty
        # pages of the disk: a second or two after a load. Inside a running container, the end of a
        # tool is noticed at once.
        container = self._create("tail", KEEPER, environment={}, folders=folders, log=NO_LOG)
        self._start("tail", container)
        try:
            yield SharedTools(self, container)
        finally:
            # The next step need not wait for the disk.
            removal = threading.Thread(target=_try_to_remove, args=(container,))
            self._removals.append(removal)
            removal.start()

    def settle(self) -> None:  # noqa: D102
        while self._removals:
            self._removals.pop().join()

    def variables(self, database: str | None, settings: dict[str, str] | None) -> dict[str, str]:
        """Return the environment of a tool inside a sidecar."""
        environment = self.environment(database, *self._address(), settings)
        environment["PATH"] = ":".join(
            [
                *([self.database.bin_dir] if self.database.bin_dir else self.folders),
                *(f"/usr/lib/postgresql/{major}/bin" for major in range(20, 13, -1)),
                "/usr/local/bin:/usr/bin:/bin",
            ]
        )
        return environment

    def _create(
        self,
        tool: str,
        argv: Sequence[str],
        *,
        environment: dict[str, str],
        folders: dict[Path, str],
        log: dict[str, Any],
    ) -> Any:
        import docker.errors

        try:
            return self._engine.containers.create(
                self._container.image.id,
                entrypoint=[argv[0]],
                command=list(argv[1:]),
                environment=environment,
                network_mode=f"container:{self._container.id}",
                user=this_user(),
                volumes={
                    str(path): {"bind": str(path), "mode": mode} for path, mode in folders.items()
                },
                labels={SIDECAR_LABEL: process_lock.this_process().text()},
                log_config=log,
                healthcheck={"test": ["NONE"]},
            )
        except docker.errors.APIError as exc:
            raise engine_refused(tool, exc) from exc

    def _start(self, tool: str, container: Any) -> None:
        import docker.errors

        try:
            container.start()
        except docker.errors.APIError as exc:
            remove(container)
            if "executable file not found" in str(exc) or "no such file" in str(exc):
                raise not_in_image(tool, self.database.container) from exc
            raise engine_refused(tool, exc) from exc

    def prefer(self, major: int) -> None:  # noqa: D102
        before = self.folders
        super().prefer(major)
        if self.folders != before:
            self._versions.clear()

    def version(self, tool: str) -> str:  # noqa: D102
        if tool not in self._versions:
            _status, output = self.run(tool, ["--version"])
            self._versions[tool] = read_version(tool, output)
        return self._versions[tool]

    def _address(self) -> tuple[str, int]:
        """Return where the server listens, seen from the network of its container.

        That is the port which is published as the database's port. A container on the host's
        network publishes none and is where the host sees it; without either, the server itself
        says its port.
        """
        if self._listens is None:
            self._listens = self._published() or self._of_host() or ("127.0.0.1", self._asked())
        return self._listens

    def _published(self) -> tuple[str, int] | None:
        ports = (self._container.attrs.get("NetworkSettings") or {}).get("Ports") or {}
        for inside, bindings in ports.items():
            for binding in bindings or []:
                if int(binding["HostPort"]) == self.database.port:
                    return "127.0.0.1", int(inside.split("/")[0])
        return None

    def _of_host(self) -> tuple[str, int] | None:
        mode = (self._container.attrs.get("HostConfig") or {}).get("NetworkMode")
        return (self.database.host, self.database.port) if mode == "host" else None

    def _asked(self) -> int:
        with self.database.session(name=self.database.maintenance_name) as cursor:
            return int(fetch_value(cursor, "SELECT current_setting('port')"))


class SharedTools(ClientTools):
    """Client tools that run in one sidecar, which has the folders of all of them."""

    def __init__(self, tools: SidecarTools, container: Any) -> None:
        super().__init__(tools.database)
        self._tools = tools
        self._container = container

    def start(  # noqa: D102
        self,
        tool: str,
        args: Sequence[str],
        *,
        database: str | None = None,
        folders: dict[Path, str] | None = None,
        stream: bool = False,
        settings: dict[str, str] | None = None,
    ) -> ToolProcess:
        import docker.errors

        environment = self._tools.variables(database, settings)
        try:
            with asking_of(tool):
                return ExecProcess(
                    tool,
                    self._container,
                    [tool, *args],
                    database_container=self.database.container,
                    environment=environment,
                    stream=stream,
                )
        except docker.errors.APIError as exc:
            raise engine_refused(tool, exc) from exc

    def version(self, tool: str) -> str:  # noqa: D102
        return self._tools.version(tool)


def remove_dead() -> list[str]:
    """Remove sidecars whose starting process is gone; return their names."""
    removed = []
    for container in docker_engine.engine().containers.list(
        all=True, filters={"label": SIDECAR_LABEL}, ignore_removed=True
    ):
        owner = process_lock.ProcessId.parse(container.labels[SIDECAR_LABEL])
        if (
            owner is not None
            and owner.host == process_lock.this_process().host
            and not owner.alive()
        ):
            remove(container)
            removed.append(container.name)
    return removed


def _try_to_remove(container: Any) -> None:
    """Remove a container; one that cannot be removed now is left to ``remove_dead``."""
    import docker.errors
    import requests.exceptions

    with suppress(docker.errors.APIError, requests.exceptions.RequestException):
        remove(container)
