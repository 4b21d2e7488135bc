# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Client tools in throw-away containers beside the database's, sidecars.

They are of the very image of the database's container, on its network namespace: versions always
match and nothing is installed on the host.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.client_tools.base import Client, ClientTools, read_major
from ansible.module_utils.pmsops.common import process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.services import docker_engine as containers

SIDECAR_LABEL = "pms-ops.client-of"
END_SECONDS = 0.02
KEEPER = ("tail", "-f", "/dev/null")  # ends with its container alone
NO_LOG = {"type": "none"}
UNKNOWN = 255  # an exit status that the engine lost is no success
NOT_STARTED = (126, 127)  # the engine's own exit statuses


class SidecarClient(Client):
    """A client tool in a container of its own beside the database's, a sidecar."""

    def __init__(self, tool: str, container: Any, *, stream: bool = False) -> None:
        self.tool = tool
        self._container = container
        self._status: int | None = None
        self._said: list[bytes] = []
        # Streamed output passes no log file, so it is attached to before the tool starts.
        self._stream = (
            container.attach(stdout=True, stderr=True, stream=True, demux=True) if stream else None
        )

    def ended(self, within: float) -> int | None:  # noqa: D102
        import docker.errors
        import requests.exceptions

        if self._status is None:
            # Which of them a time-out is depends on how far the engine's answer has come. Where the
            # engine is gone, or the container, the next question says so.
            late = (requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError)
            with suppress(docker.errors.NotFound, *late):
                self._container.wait(timeout=within)
            with _asking_of(self.tool):
                self._container.reload()
            state = self._container.attrs["State"]
            if state["Status"] in ("exited", "dead"):
                self._status = state["ExitCode"]
        return self._status

    def errors(self) -> str:  # noqa: D102
        if self._stream is not None:
            return b"".join(self._said).decode(errors="replace")
        return self._container.logs(stdout=True, stderr=True).decode(errors="replace")

    def output(self) -> Iterator[bytes]:  # noqa: D102
        for out, err in self._stream or ():
            if err:
                self._said.append(err)
            if out:
                yield out

    def stop(self) -> None:  # noqa: D102
        _remove(self._container)


class SidecarProcess(Client):
    """A client tool in a sidecar that others run in before and after it."""

    def __init__(
        self,
        tool: str,
        container: Any,
        argv: Sequence[str],
        *,
        beside: str,
        environment: dict[str, str],
        stream: bool = False,
    ) -> None:
        self.tool = tool
        self._beside = beside
        self._container = container
        self._api = container.client.api
        self._status: int | None = None
        self._said: list[bytes] = []
        self._id = self._api.exec_create(
            container.id, list(argv), environment=environment, user=_this_user()
        )["Id"]
        self._frames = self._api.exec_start(self._id, stream=True, demux=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        if not stream:
            self._reader.start()

    def ended(self, within: float) -> int | None:  # noqa: D102
        if self._status is None:
            if self._reader.ident is not None:
                self._reader.join(within)
                if self._reader.is_alive():
                    return None
            with _asking_of(self.tool):
                state = self._api.exec_inspect(self._id)
            if state["Running"]:  # the engine learns of the end a moment after the output's
                time.sleep(END_SECONDS)
                return None
            self._status = UNKNOWN if state["ExitCode"] is None else state["ExitCode"]
            with suppress(OSError, AttributeError):  # it may have closed itself
                self._frames.close()
            if self._status in NOT_STARTED and "executable file not found" in self.errors():
                raise _not_in_image(self.tool, self._beside)
        return self._status

    def errors(self) -> str:  # noqa: D102
        return b"".join(self._said).decode(errors="replace")

    def output(self) -> Iterator[bytes]:  # noqa: D102
        for out, err in self._frames:
            if err:
                self._said.append(err)
            if out:
                yield out

    def stop(self) -> None:  # noqa: D102
        # The engine ends a process of a container only together with the container.
        if self._status is None:
            _remove(self._container)

    def _read(self) -> None:
        # Where the engine is gone, so is the container, and the next question says so.
        with suppress(OSError, ValueError):
            for out, err in self._frames:
                self._said += [each for each in (out, err) if each]


class SidecarTools(ClientTools):
    """Client tools from the image of the database's container."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._engine = containers.engine()
        self._container = containers.database_container(self._engine, database.container)
        self._majors: dict[str, int] = {}
        self._removals: list[threading.Thread] = []

    def start(  # noqa: D102
        self, tool, args, *, database=None, folders=None, stream=False, settings=None
    ):
        # Streamed output passes no log file.
        log = NO_LOG if stream else {"type": "json-file", "config": {"max-size": "16m"}}
        container = self._create(
            tool,
            [tool, *args],
            environment=self.variables(database, settings),
            folders=folders or {},
            log=log,
        )
        client = SidecarClient(tool, container, stream=stream)
        self._start(tool, container)
        return client

    @contextmanager
    def together(self, folders):  # noqa: D102
        # A container that ends takes its root file system along, and the engine unmounts that only
        # when all of the disk's dirty pages are written: a second or two where a database was
        # filled. Within one container a tool's end is seen at once.
        container = self._create("tail", KEEPER, environment={}, folders=folders, log=NO_LOG)
        self._start("tail", container)
        try:
            yield SharedTools(self, container)
        finally:
            # What comes next need not wait for the disk.
            removal = threading.Thread(target=_try_to_remove, args=(container,))
            self._removals.append(removal)
            removal.start()

    def settle(self):  # noqa: D102
        while self._removals:
            self._removals.pop().join()

    def variables(self, database: str | None, settings: dict[str, str] | None) -> dict[str, str]:
        """Return the environment of a tool inside a sidecar."""
        environment = self.environment(database, "127.0.0.1", self._port(), settings)
        environment["PATH"] = ":".join(
            [
                *([self.database.bin_dir] if self.database.bin_dir else []),
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
                user=_this_user(),
                volumes={
                    str(path): {"bind": str(path), "mode": mode} for path, mode in folders.items()
                },
                labels={SIDECAR_LABEL: process_lock.this_process().text()},
                log_config=log,
                healthcheck={"test": ["NONE"]},
            )
        except docker.errors.APIError as exc:
            raise _engine_refused(tool, exc) from exc

    def _start(self, tool: str, container: Any) -> None:
        import docker.errors

        try:
            container.start()
        except docker.errors.APIError as exc:
            _remove(container)
            if "executable file not found" in str(exc) or "no such file" in str(exc):
                raise _not_in_image(tool, self.database.container) from exc
            raise _engine_refused(tool, exc) from exc

    def major(self, tool):  # noqa: D102
        if tool not in self._majors:
            _status, output = self.run(tool, ["--version"])
            self._majors[tool] = read_major(tool, output)
        return self._majors[tool]

    def _port(self) -> int:
        """Return the port inside the container that is published as the database's port."""
        ports = self._container.attrs["NetworkSettings"]["Ports"] or {}
        for inside, bindings in ports.items():
            for binding in bindings or []:
                if int(binding["HostPort"]) == self.database.port:
                    return int(inside.split("/")[0])
        return 5432


class SharedTools(ClientTools):
    """Client tools that run in one sidecar, which has the folders of all of them."""

    def __init__(self, tools: SidecarTools, container: Any) -> None:
        super().__init__(tools.database)
        self._tools = tools
        self._container = container

    def start(  # noqa: D102
        self, tool, args, *, database=None, folders=None, stream=False, settings=None
    ):
        import docker.errors

        environment = self._tools.variables(database, settings)
        try:
            with _asking_of(tool):
                return SidecarProcess(
                    tool,
                    self._container,
                    [tool, *args],
                    beside=self.database.container,
                    environment=environment,
                    stream=stream,
                )
        except docker.errors.APIError as exc:
            raise _engine_refused(tool, exc) from exc

    def major(self, tool):  # noqa: D102
        return self._tools.major(tool)


def remove_dead() -> list[str]:
    """Remove sidecars whose starting process is gone; return their names."""
    docker_engine = containers.engine()
    removed = []
    for container in docker_engine.containers.list(
        all=True, filters={"label": SIDECAR_LABEL}, ignore_removed=True
    ):
        owner = process_lock.ProcessId.parse(container.labels[SIDECAR_LABEL])
        if (
            owner is not None
            and owner.host == process_lock.this_process().host
            and not owner.alive()
        ):
            _remove(container)
            removed.append(container.name)
    return removed


def _this_user() -> str:
    return f"{os.getuid()}:{os.getgid()}"


def _remove(container: Any) -> None:
    import docker.errors

    try:
        container.remove(force=True, v=True)
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as exc:
        if exc.status_code != 409:  # already being removed
            raise


def _try_to_remove(container: Any) -> None:
    """Remove it, or leave it to ``remove_dead_sidecars``."""
    import docker.errors
    import requests.exceptions

    with suppress(docker.errors.APIError, requests.exceptions.RequestException):
        _remove(container)


@contextmanager
def _asking_of(tool: str) -> Iterator[None]:
    """Name what it means that the engine does not know of a running tool any more."""
    import docker.errors
    import requests.exceptions

    try:
        yield
    except docker.errors.NotFound as exc:
        raise OpsError(
            f"The container of {tool} was removed while it ran.",
            "Find out who removes containers (docker events), then run again.",
            code="clients.engine",
        ) from exc
    except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as exc:
        raise OpsError(
            f"The Docker Engine no longer answers, and {tool} ran: {exc}",
            "Bring the engine back (systemctl status docker), then run again.",
            code="clients.engine",
        ) from exc


def _not_in_image(tool: str, container: str) -> OpsError:
    return OpsError(
        f"The image of container {container} has no {tool}.",
        "Set pms_db_bin_dir to its folder inside the image, or pms_db_access to host.",
        code="clients.missing",
    )


def _engine_refused(tool: str, exc: Exception) -> OpsError:
    return OpsError(
        f"The Docker Engine would not start {tool} beside the database: {exc}",
        "Check the engine and the database's container (docker ps); then run again.",
        code="clients.engine",
    )
