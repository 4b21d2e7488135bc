# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""PostgreSQL's client tools: how one is started, watched and ended, wherever it runs.

The password travels by environment, never in argv.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import psycopg2
from ansible.module_utils.pmsops.client_tools import versions
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import session_settings
from ansible.module_utils.pmsops.postgresql.connection import Database

T = TypeVar("T")
POLL_SECONDS = 1.0  # as often as progress is written


class ToolProcess(ABC):
    """One run of a client tool."""

    tool: str

    @abstractmethod
    def ended(self, within: float) -> int | None:
        """Wait at most *within* seconds for the tool's end; return its exit status, else None.

        :raises OpsError: clients.engine
        """

    @abstractmethod
    def errors(self) -> str:
        """Return the tool's standard error."""

    @abstractmethod
    def stop(self) -> None:
        """End the tool if it runs, and remove what the run leaves behind."""

    @abstractmethod
    def output(self) -> Iterator[bytes]:
        """Yield the standard output of a tool started with ``stream``, until the tool ends."""

    def watch(self) -> Iterator[None]:
        """Yield every second until the tool has ended."""
        while self.ended(POLL_SECONDS) is None:
            yield

    def wait(self) -> int:
        """Wait for the tool's end and return its exit status."""
        while (status := self.ended(POLL_SECONDS)) is None:
            pass
        return status


class ClientTools(ABC):
    """Starts client tools for one database server."""

    def __init__(self, database: Database) -> None:
        self.database = database
        # Folders of Debian's and of PostgreSQL's own packages.
        self.folders: tuple[str, ...] = ()

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
    ) -> ToolProcess:
        """Start *tool*, connected to *database* (by default the PMS's) by environment.

        *folders* are the absolute folders that the tool reads (``ro``) or writes (``rw``); it
        sees them under the same paths. With *stream* its standard output is for ``output``, and
        touches no disk on the way. *settings* are server settings for the tool's sessions.

        :raises OpsError: clients.missing, clients.engine.
        """

    @abstractmethod
    def version(self, tool: str) -> str:
        """Return the tool's version, ``17.12`` for example.

        :raises OpsError: clients.missing
        """

    def major(self, tool: str) -> int:
        """Return the tool's major version.

        :raises OpsError: clients.missing
        """
        return versions.parts(self.version(tool))[0]

    def prefer(self, major: int) -> None:
        """Look for the tools of this major version, the server's own, before any others."""
        self.folders = (f"/usr/lib/postgresql/{major}/bin", f"/usr/pgsql-{major}/bin")

    @contextmanager
    def together(self, folders: dict[Path, str]) -> Iterator[ClientTools]:
        """Give tools for several runs on the same *folders*, in one sidecar where there are any.

        :raises OpsError: clients.engine
        """
        yield self

    def settle(self) -> None:  # noqa: B027
        """Wait until earlier runs have left nothing behind."""

    def run(self, tool: str, args: Sequence[str], **options: Any) -> tuple[int, str]:
        """Run *tool* to its end; return exit status and output."""
        process = self.start(tool, args, **options)
        try:
            return process.wait(), process.errors()
        finally:
            process.stop()

    def capture(self, tool: str, args: Sequence[str], **options: Any) -> tuple[int, bytes, str]:
        """Run *tool* to its end; return exit status, standard output and standard error."""
        process = self.start(tool, args, stream=True, **options)
        try:
            output = b"".join(process.output())
            return process.wait(), output, process.errors()
        finally:
            process.stop()

    def capture_lines(
        self, tool: str, args: Sequence[str], take: Callable[[Iterator[bytes]], T], **options: Any
    ) -> tuple[int, T, str]:
        """Run *tool* to its end; return exit status, what *take* made of its lines, and its errors.

        The lines keep their ends, and are never in memory together.
        """
        process = self.start(tool, args, stream=True, **options)
        try:
            made = take(_lines(process.output()))
            return process.wait(), made, process.errors()
        finally:
            process.stop()

    @cached_property
    def _no_timeouts(self) -> dict[str, str]:
        """Return the settings that turn off the time-outs that the server knows."""
        try:
            with self.database.session(
                name=self.database.maintenance_name, read_only=True
            ) as cursor:
                return session_settings.known_timeouts(cursor)
        except (OpsError, psycopg2.Error):
            # The tool itself says what is wrong with the server, unless it only reads an archive.
            return dict.fromkeys(session_settings.TIMEOUTS_AT_START, "0")

    def environment(
        self, database: str | None, host: str, port: int, settings: dict[str, str] | None = None
    ) -> dict[str, str]:
        """Return libpq's variables for the connection, so that argv holds none of it."""
        variables = {
            "PGHOST": host,
            "PGPORT": str(port),
            "PGUSER": self.database.user,
            "PGDATABASE": database or self.database.name,
            "PGAPPNAME": "pms-ops",
            "PGCONNECT_TIMEOUT": "10",
            "PGOPTIONS": session_settings.options(self._no_timeouts | (settings or {})),
            "LC_ALL": "C",
        }
        if self.database.password:
            variables["PGPASSWORD"] = self.database.password
        return variables


def _lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of an output that comes in blocks, each with its end."""
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        yield from (line + b"\n" for line in whole)
    if rest:
        yield rest


def read_version(tool: str, output: str) -> str:
    """Read ``17.11`` in ``pg_dump (PostgreSQL) 17.11 (Debian ...)``."""
    match = re.search(rf"\(PostgreSQL\) ({versions.NUMBER.pattern})", output)
    if match is None:
        raise OpsError(
            f"{tool} --version answered {output.strip()[:200]!r}, not a version.",
            "Point pms_db_bin_dir at PostgreSQL's own client tools.",
            code="clients.missing",
        )
    return match[1]
