# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Client tools of the host: processes that end with the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ansible.module_utils.pmsops.client_tools.base import ClientTools, ToolProcess, read_version
from ansible.module_utils.pmsops.common.children import end_with_parent
from ansible.module_utils.pmsops.common.errors import OpsError

BLOCK_BYTES = 1 << 18
STOP_GRACE_SECONDS = 5


class HostProcess(ToolProcess):
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
            preexec_fn=end_with_parent,
        )

    def ended(self, within: float) -> int | None:  # noqa: D102
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(within)
        return None

    def errors(self) -> str:  # noqa: D102
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def output(self) -> Iterator[bytes]:  # noqa: D102
        stdout = self._process.stdout
        if stdout is None:
            return
        # read1 returns what is there; read would wait for a whole block.
        while block := os.read(stdout.fileno(), BLOCK_BYTES):
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


class HostTools(ClientTools):
    """Client tools installed on the managed host."""

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
        environment = self.environment(database, self.database.host, self.database.port, settings)
        environment["PATH"] = self._path()
        environment["HOME"] = os.environ.get("HOME", "/")
        try:
            return HostProcess(tool, [tool, *args], environment, stream=stream)
        except FileNotFoundError as exc:
            raise self._missing(tool) from exc

    def version(self, tool: str) -> str:  # noqa: D102
        environment = {"PATH": self._path(), "LC_ALL": "C"}
        try:
            answer = subprocess.run(
                [tool, "--version"], env=environment, capture_output=True, text=True, timeout=20
            )
        except FileNotFoundError as exc:
            raise self._missing(tool) from exc
        return read_version(tool, answer.stdout)

    def _path(self) -> str:
        if self.database.bin_dir:
            return self.database.bin_dir
        there = [folder for folder in self.folders if Path(folder).is_dir()]
        return os.pathsep.join([*there, os.environ.get("PATH", os.defpath)])

    def _missing(self, tool: str) -> OpsError:
        return OpsError(
            f"{tool} is not in {self._path()}.",
            "Install the server version's postgresql-client package, or set pms_db_bin_dir to"
            " the folder that holds it (often /usr/lib/postgresql/<version>/bin).",
            code="clients.missing",
        )
