# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""pg_dump on an exported snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ansible.module_utils.pmsops.client_tools import tool_errors
from ansible.module_utils.pmsops.client_tools.base import ClientTools, ToolProcess

# zstd level 1 is about five times as fast as pg_dump's default gzip at the same size.
ZSTD = "zstd:1"
GZIP = "gzip:1"
ZSTD_SINCE = 16  # since pg_dump 16; a build may still lack it
STATISTICS_SINCE = 18  # of the planner: since this pg_dump and this server
# The shell becomes pg_dump, which then needs only to connect, once a file names the snapshot.
# Of other programs only absolute paths: with pms_db_bin_dir, PATH has nothing else.
SHELL = "/bin/sh"
# Ten minutes at most, so that nothing of a killed backup goes on for ever.
WAIT = (
    'n=0; until [ -s "$0" ]; do n=$((n + 1)); [ $n -lt 60000 ] && /bin/sleep 0.01 || exit 1; done;'
    ' read -r snapshot <"$0"; exec pg_dump --snapshot="$snapshot" "$@"'
)
GATE = ".snapshot"
NO_ZSTD = "this build does not support compression with"


@dataclass(frozen=True)
class DumpOptions:
    """The options of a run of pg_dump."""

    target: Path
    # Empty for a run that waits for its snapshot.
    snapshot: str = ""
    format: str = "directory"
    jobs: int = 2
    role: str | None = None
    stream: bool = False
    # Those of the planner, too.
    statistics: bool = False

    def arguments(self, compression: str) -> list[str]:
        """Return pg_dump's arguments; the connection travels by environment."""
        return [
            f"--format={self.format}",
            *([] if self.stream else [f"--file={self.target}"]),
            f"--compress={compression}",
            *([f"--snapshot={self.snapshot}"] if self.snapshot else []),
            "--no-password",
            # A copy would be a second subscriber at the publisher's slot, and could not be dropped.
            "--no-subscriptions",
            *([f"--jobs={self.jobs}"] if self.format == "directory" else []),
            *([f"--role={self.role}"] if self.role else []),
            *(["--statistics"] if self.statistics else []),
        ]


def start(tools: ClientTools, job: DumpOptions, *, compression: str) -> ToolProcess:
    """Start pg_dump for *job*."""
    folders = {} if job.stream else {job.target.parent: "rw"}
    arguments = job.arguments(compression)
    return tools.start("pg_dump", arguments, folders=folders, stream=job.stream)


class Waiting:
    """A pg_dump that is started already, and begins as soon as it is told its snapshot."""

    def __init__(self, tools: ClientTools, job: DumpOptions, wanted: str | None) -> None:
        self._gate = job.target.parent / GATE
        arguments = job.arguments(compressions(tools, wanted)[0])
        folders = {job.target.parent: "rw"}
        self.process = tools.start(
            SHELL, ["-c", WAIT, str(self._gate), *arguments], folders=folders, stream=job.stream
        )
        self.taken = False

    def go(self, snapshot: str) -> None:
        """Let it begin."""
        new = self._gate.with_suffix(".new")
        new.write_text(f"{snapshot}\n")
        new.rename(self._gate)

    def take(self) -> ToolProcess:
        """Return the process to whoever watches and ends it; the name of its snapshot is read."""
        self.taken = True
        return self.process

    def close(self) -> None:
        """Remove the file, and end a process that nobody has taken."""
        if not self.taken:
            self.process.stop()
        self._gate.unlink(missing_ok=True)


@contextmanager
def waiting(tools: ClientTools, job: DumpOptions, wanted: str | None = None) -> Iterator[Waiting]:
    """Give a pg_dump that waits for its snapshot, so that no change comes between the two."""
    process = Waiting(tools, job, wanted)
    try:
        yield process
    finally:
        process.close()


def schema(tools: ClientTools, job: DumpOptions) -> bytes:
    """Return a dump of the schema that *job* dumps, in memory: it touches no disk on the way.

    It is in custom format, and has what a dump of everything has outside the section of the rows.

    :raises OpsError: those of tool_errors.to_error.
    """
    wanted = replace(job, format="custom", stream=True, statistics=False)
    arguments = [*wanted.arguments("0"), "--section=pre-data", "--section=post-data"]
    status, output, errors = tools.capture("pg_dump", arguments)
    if status:
        raise tool_errors.to_error("pg_dump", status, errors)
    return output


def compressions(tools: ClientTools, wanted: str | None = None) -> list[str]:
    """Return the compressions to try, in order; the first that this build supports is used."""
    if wanted:
        return [wanted]
    return [ZSTD, GZIP] if tools.major("pg_dump") >= ZSTD_SINCE else ["1"]


def run(
    tools: ClientTools,
    job: DumpOptions,
    *,
    watch: Callable[[ToolProcess], None],
    wanted: str | None = None,
    begun: Waiting | None = None,
) -> tuple[str, list[str]]:
    """Dump; return the compression used and the warnings.

    *watch* is called with the running tool; it returns at the tool's end, or raises to stop it.
    *begun* is one that is at work already.

    :raises OpsError: those of tool_errors.to_error.
    """
    errors = ""
    for compression in compressions(tools, wanted):
        if begun and not begun.taken:
            client = begun.take()
        else:
            client = start(tools, job, compression=compression)
        try:
            watch(client)
            status, errors = client.wait(), client.errors()
        finally:
            client.stop()
        if status == 0:
            return compression, tool_errors.warnings(errors)
        if NO_ZSTD not in errors:
            raise tool_errors.to_error("pg_dump", status, errors, tools.database)
        if job.target.is_dir():
            job.target.rmdir()
    raise tool_errors.to_error("pg_dump", 1, errors)
