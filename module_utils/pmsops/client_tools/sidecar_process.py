# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs of client tools in sidecars: a container for one tool, or one container for several."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ansible.module_utils.pmsops.client_tools.base import ToolProcess
from ansible.module_utils.pmsops.common.errors import OpsError

END_SECONDS = 0.02
UNKNOWN = 255  # an exit status that the engine lost is no success
NOT_STARTED = (126, 127)  # the engine's own exit statuses


class ContainerProcess(ToolProcess):
    """A client tool that is the only process of its sidecar."""

    def __init__(self, tool: str, container: Any, *, stream: bool = False) -> None:
        self.tool = tool
        self._container = container
        self._status: int | None = None
        self._stderr: list[bytes] = []
        # Streamed output needs no log file; the attachment has to exist before the tool starts.
        self._stream = (
            container.attach(stdout=True, stderr=True, stream=True, demux=True) if stream else None
        )

    def ended(self, within: float) -> int | None:  # noqa: D102
        import docker.errors
        import requests.exceptions

        if self._status is None:
            # A time-out is one of these, depending on how far the engine's answer has come. If the
            # engine or the container is gone, the next request fails.
            late = (requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError)
            with suppress(docker.errors.NotFound, *late):
                self._container.wait(timeout=within)
            with asking_of(self.tool):
                self._container.reload()
            state = self._container.attrs["State"]
            if state["Status"] in ("exited", "dead"):
                self._status = state["ExitCode"]
        return self._status

    def errors(self) -> str:  # noqa: D102
        if self._stream is not None:
            return b"".join(self._stderr).decode(errors="replace")
        logs: bytes = self._container.logs(stdout=True, stderr=True)
        return logs.decode(errors="replace")

    def output(self) -> Iterator[bytes]:  # noqa: D102
        if self._stream is None:
            return
        with closing(self._stream) as frames:
            for out, err in frames:
                if err:
                    self._stderr.append(err)
                if out:
                    yield out

    def stop(self) -> None:  # noqa: D102
        remove(self._container)


class ExecProcess(ToolProcess):
    """A client tool in a sidecar which other tools use before and after it."""

    def __init__(
        self,
        tool: str,
        container: Any,
        argv: Sequence[str],
        *,
        database_container: str | None,
        environment: dict[str, str],
        stream: bool = False,
    ) -> None:
        self.tool = tool
        self._database_container = database_container
        self._container = container
        self._api = container.client.api
        self._status: int | None = None
        self._messages: list[bytes] = []
        self._id = self._api.exec_create(
            container.id, list(argv), environment=environment, user=this_user()
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
            with asking_of(self.tool):
                state = self._api.exec_inspect(self._id)
            if state["Running"]:  # the engine notices the end a moment after the output ends
                time.sleep(END_SECONDS)
                return None
            self._status = UNKNOWN if state["ExitCode"] is None else state["ExitCode"]
            with suppress(OSError, AttributeError):  # it may be closed already
                self._frames.close()
            if self._status in NOT_STARTED and "executable file not found" in self.errors():
                raise not_in_image(self.tool, self._database_container)
        return self._status

    def errors(self) -> str:  # noqa: D102
        return b"".join(self._messages).decode(errors="replace")

    def output(self) -> Iterator[bytes]:  # noqa: D102
        with closing(self._frames) as frames:
            for out, err in frames:
                if err:
                    self._messages.append(err)
                if out:
                    yield out

    def stop(self) -> None:  # noqa: D102
        # The engine ends a process of a container only together with the container.
        if self._status is None:
            remove(self._container)

    def _read(self) -> None:
        # If the engine is gone, the next request fails.
        with suppress(OSError, ValueError), closing(self._frames) as frames:
            for out, err in frames:
                self._messages += [each for each in (out, err) if each]


def this_user() -> str:
    """Return user and group of this process for the engine, so that files keep this owner."""
    return f"{os.getuid()}:{os.getgid()}"


@contextmanager
def closing(stream: Any) -> Iterator[Any]:
    """Close the connection of a stream after its end: the library leaves the socket open.

    Only for who reads it: another thread would read on from a descriptor that is somebody else's.
    """
    try:
        yield stream
    finally:
        with suppress(OSError, AttributeError):
            stream._response.close()


def remove(container: Any) -> None:
    """Remove a container, running or not; one that is gone is no error."""
    import docker.errors

    try:
        container.remove(force=True, v=True)
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as exc:
        if exc.status_code != 409:  # already being removed
            raise


@contextmanager
def asking_of(tool: str) -> Iterator[None]:
    """Turn a lost container or a lost engine into an error, while *tool* runs.

    :raises OpsError: clients.engine
    """
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
            f"The Docker Engine stopped answering while {tool} ran: {exc}",
            "Bring the engine back (systemctl status docker), then run again.",
            code="clients.engine",
        ) from exc


def not_in_image(tool: str, container: str | None) -> OpsError:
    """Return the error for an image that lacks *tool*."""
    return OpsError(
        f"The image of container {container} has no {tool}.",
        "Set pms_db_bin_dir to its folder inside the image, or pms_db_access to host.",
        code="clients.missing",
    )


def engine_refused(tool: str, exc: Exception) -> OpsError:
    """Return the error for an engine that does not start *tool*."""
    return OpsError(
        f"The Docker Engine would not start {tool} beside the database: {exc}",
        "Check the engine and the database's container (docker ps); then run again.",
        code="clients.engine",
    )
