# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""PostgreSQL's client tools: where they run, and how a run of one is watched and ended.

With access ``container`` a tool runs in a throw-away sidecar of the very image of the database's
container, on its network namespace: versions always match and nothing is installed on the host.
With access ``host`` it runs on the host. The password travels by environment, never in argv.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops import locks
from ansible.module_utils.pmsops.database import Database
from ansible.module_utils.pmsops.errors import OpsError

SIDECAR_LABEL = "pms-ops.client-of"
NO_TIMEOUTS = {"statement_timeout": "0", "lock_timeout": "0"}
POLL_SECONDS = 0.1
BLOCK_BYTES = 1 << 18
STOP_GRACE_SECONDS = 5
PR_SET_PDEATHSIG = 1


class Client(ABC):
    """One run of a client tool."""

    tool: str

    @abstractmethod
    def poll(self) -> int | None:
        """Return the exit status, None while the tool runs."""

    @abstractmethod
    def errors(self) -> str:
        """Return what the tool wrote to its standard error."""

    @abstractmethod
    def stop(self) -> None:
        """End the tool if it runs, and remove what the run leaves behind."""

    @abstractmethod
    def output(self) -> Iterator[bytes]:
        """Yield the standard output of a tool started with ``stream``, until the tool ends."""

    def watch(self) -> Iterator[None]:
        """Yield ten times a second until the tool has ended."""
        while self.poll() is None:
            yield
            time.sleep(POLL_SECONDS)

    def wait(self) -> int:
        """Wait for the tool's end and return its exit status."""
        while (status := self.poll()) is None:
            time.sleep(POLL_SECONDS)
        return status


class HostClient(Client):
    """A client tool as a process of this host; it ends with the process that started it."""

    def __init__(
        self, tool: str, argv: Sequence[str], environment: dict[str, str], *, stream: bool
    ) -> None:
        self.tool = tool
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop()
        self._process = subprocess.Popen(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if stream else self._errors,
            stderr=self._errors,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )

    def poll(self) -> int | None:  # noqa: D102
        return self._process.poll()

    def errors(self) -> str:  # noqa: D102
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def output(self) -> Iterator[bytes]:  # noqa: D102
        while block := self._process.stdout.read1(BLOCK_BYTES):
            yield block

    def stop(self) -> None:  # noqa: D102
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(STOP_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(STOP_GRACE_SECONDS)
        if self._process.stdout:
            self._process.stdout.close()
        self._errors.close()


class SidecarClient(Client):
    """A client tool in a container of its own beside the database's."""

    def __init__(self, tool: str, container: Any, *, stream: bool = False) -> None:
        self.tool = tool
        self._container = container
        self._status: int | None = None
        self._said: list[bytes] = []
        # Streamed output passes no log file, so it is attached to before the tool starts.
        self._stream = (
            container.attach(stdout=True, stderr=True, stream=True, demux=True) if stream else None
        )

    def poll(self) -> int | None:  # noqa: D102
        import docker.errors

        if self._status is None:
            try:
                self._container.reload()
            except docker.errors.NotFound as exc:
                raise OpsError(
                    f"The container of {self.tool} was removed while it ran.",
                    "Find out who removes containers (docker events), then run again.",
                    code="clients.engine",
                ) from exc
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
        import docker.errors

        try:
            self._container.remove(force=True, v=True)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as exc:
            if exc.status_code != 409:  # already being removed
                raise


class ClientTools(ABC):
    """Starts client tools for one database server."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @abstractmethod
    def start(
        self,
        tool: str,
        args: Sequence[str],
        *,
        database: str | None = None,
        folders: dict[Path, str] | None = None,
        stream: bool = False,
        settings: dict[str, str] | None = None,
    ) -> Client:
        """Start *tool*, connected to *database* (by default the PMS's) by environment.

        *folders* are the absolute folders that the tool reads (``ro``) or writes (``rw``); it
        sees them under the same paths. With *stream* its standard output is for ``output``, and
        touches no disk on the way. *settings* are server settings for the tool's sessions.

        :raises OpsError: clients.missing, clients.engine.
        """

    @abstractmethod
    def major(self, tool: str) -> int:
        """Return the tool's major version."""

    def run(self, tool: str, args: Sequence[str], **options: Any) -> tuple[int, str]:
        """Run *tool* to its end; return exit status and output."""
        client = self.start(tool, args, **options)
        try:
            return client.wait(), client.errors()
        finally:
            client.stop()

    def capture(self, tool: str, args: Sequence[str], **options: Any) -> tuple[int, bytes, str]:
        """Run *tool* to its end; return exit status, standard output and complaints."""
        client = self.start(tool, args, stream=True, **options)
        try:
            output = b"".join(client.output())
            return client.wait(), output, client.errors()
        finally:
            client.stop()

    def environment(
        self, database: str | None, host: str, port: int, settings: dict[str, str] | None = None
    ) -> dict[str, str]:
        """Return libpq's variables: the whole connection, so argv names none of it."""
        variables = {
            "PGHOST": host,
            "PGPORT": str(port),
            "PGUSER": self.database.user,
            "PGDATABASE": database or self.database.name,
            "PGAPPNAME": "pms-ops",
            "PGCONNECT_TIMEOUT": "10",
            "PGOPTIONS": " ".join(
                f"-c {name}={_escaped(value)}"
                for name, value in (
                    {"statement_timeout": "0", "lock_timeout": "0"} | (settings or {})
                ).items()
            ),
            "LC_ALL": "C",
        }
        if self.database.password:
            variables["PGPASSWORD"] = self.database.password
        return variables


class HostTools(ClientTools):
    """Client tools installed on the managed host."""

    def start(  # noqa: D102
        self, tool, args, *, database=None, folders=None, stream=False, settings=None
    ):
        environment = self.environment(database, self.database.host, self.database.port, settings)
        environment["PATH"] = self._path()
        environment["HOME"] = os.environ.get("HOME", "/")
        try:
            return HostClient(tool, [tool, *args], environment, stream=stream)
        except FileNotFoundError as exc:
            raise self._missing(tool) from exc

    def major(self, tool):  # noqa: D102
        environment = {"PATH": self._path(), "LC_ALL": "C"}
        try:
            answer = subprocess.run(
                [tool, "--version"], env=environment, capture_output=True, text=True, timeout=20
            )
        except FileNotFoundError as exc:
            raise self._missing(tool) from exc
        return _major(tool, answer.stdout)

    def _path(self) -> str:
        return self.database.bin_dir or os.environ.get("PATH", os.defpath)

    def _missing(self, tool: str) -> OpsError:
        return OpsError(
            f"{tool} is not in {self._path()}.",
            "Install the server version's postgresql-client package, or set pms_db_bin_dir to"
            " the folder that holds it (often /usr/lib/postgresql/<version>/bin).",
            code="clients.missing",
        )


class SidecarTools(ClientTools):
    """Client tools from the image of the database's container."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._engine = engine()
        self._container = database_container(self._engine, database)
        self._majors: dict[str, int] = {}

    def start(  # noqa: D102
        self, tool, args, *, database=None, folders=None, stream=False, settings=None
    ):
        import docker.errors

        environment = self.environment(database, "127.0.0.1", self._port(), settings)
        environment["PATH"] = ":".join(
            [
                *([self.database.bin_dir] if self.database.bin_dir else []),
                *(f"/usr/lib/postgresql/{major}/bin" for major in range(20, 13, -1)),
                "/usr/local/bin:/usr/bin:/bin",
            ]
        )
        try:
            container = self._engine.containers.create(
                self._container.image.id,
                entrypoint=[tool],
                command=list(args),
                environment=environment,
                network_mode=f"container:{self._container.id}",
                user=f"{os.getuid()}:{os.getgid()}",
                volumes={
                    str(path): {"bind": str(path), "mode": mode}
                    for path, mode in (folders or {}).items()
                },
                labels={SIDECAR_LABEL: locks.this_process().text()},
                log_config=(
                    {"type": "none"}
                    if stream
                    else {"type": "json-file", "config": {"max-size": "16m"}}
                ),
                healthcheck={"test": ["NONE"]},
            )
        except docker.errors.APIError as exc:
            raise _engine_refused(tool, exc) from exc
        client = SidecarClient(tool, container, stream=stream)
        try:
            container.start()
        except docker.errors.APIError as exc:
            client.stop()
            if "executable file not found" in str(exc) or "no such file" in str(exc):
                raise OpsError(
                    f"The image of container {self.database.container} has no {tool}.",
                    "Set pms_db_bin_dir to its folder inside the image, or pms_db_access to host.",
                    code="clients.missing",
                ) from exc
            raise _engine_refused(tool, exc) from exc
        return client

    def major(self, tool):  # noqa: D102
        if tool not in self._majors:
            _status, output = self.run(tool, ["--version"])
            self._majors[tool] = _major(tool, output)
        return self._majors[tool]

    def _port(self) -> int:
        """Return the port inside the container that is published as the database's port."""
        ports = self._container.attrs["NetworkSettings"]["Ports"] or {}
        for inside, bindings in ports.items():
            for binding in bindings or []:
                if int(binding["HostPort"]) == self.database.port:
                    return int(inside.split("/")[0])
        return 5432


def client_tools(database: Database) -> ClientTools:
    """Return the client tools for the way in which *database* is reached.

    :raises OpsError: clients.engine, clients.container.
    """
    return HostTools(database) if database.access == "host" else SidecarTools(database)


def engine() -> Any:
    """Return the Docker Engine's client.

    :raises OpsError: clients.engine where no engine answers.
    """
    import docker
    import docker.errors

    try:
        return docker.from_env(timeout=120)
    except docker.errors.DockerException as exc:
        raise OpsError(
            f"The Docker Engine does not answer: {exc}",
            "Start it (systemctl start docker), or set pms_db_access to host if the database"
            " does not run in a container.",
            code="clients.engine",
        ) from exc


def database_container(docker_engine: Any, database: Database) -> Any:
    """Return the running container of *database*.

    :raises OpsError: clients.container where there is none or it does not run.
    """
    import docker.errors

    try:
        container = docker_engine.containers.get(database.container)
    except docker.errors.NotFound as exc:
        raise OpsError(
            f"There is no container {database.container}.",
            "Set pms_db_container to the database's container; `docker ps -a` lists them.",
            code="clients.container",
        ) from exc
    if container.status != "running":
        verb = "unpause" if container.status == "paused" else "start"
        raise OpsError(
            f"Container {database.container} is {container.status}, not running.",
            f"Run docker {verb} {database.container}, or see docs/DR_PLAYBOOK.md, scenario 1.",
            code="clients.container",
        )
    return container


def remove_dead_sidecars() -> list[str]:
    """Remove sidecars whose starting process is gone; return their names."""
    docker_engine = engine()
    removed = []
    for container in docker_engine.containers.list(
        all=True, filters={"label": SIDECAR_LABEL}, ignore_removed=True
    ):
        owner = locks.ProcessId.parse(container.labels[SIDECAR_LABEL])
        if owner is not None and owner.host == locks.this_process().host and not owner.alive():
            SidecarClient("sidecar", container).stop()
            removed.append(container.name)
    return removed


def _escaped(value: str) -> str:
    """Return a setting as PGOPTIONS takes it: a blank ends one unless it is escaped."""
    return re.sub(r"([\\\s])", r"\\\1", value)


def _major(tool: str, output: str) -> int:
    """Read ``pg_dump (PostgreSQL) 17.11 (Debian ...)``."""
    match = re.search(r"\(PostgreSQL\) (\d+)", output)
    if match is None:
        raise OpsError(
            f"{tool} --version answered {output.strip()[:200]!r}, not a version.",
            "Point pms_db_bin_dir at PostgreSQL's own client tools.",
            code="clients.missing",
        )
    return int(match[1])


def _engine_refused(tool: str, exc: Exception) -> OpsError:
    return OpsError(
        f"The Docker Engine would not start {tool} beside the database: {exc}",
        "Check the engine and the database's container (docker ps); then run again.",
        code="clients.engine",
    )


def _end_with_parent() -> None:
    """Have the kernel end this process when the one that started it dies, even by SIGKILL."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
