# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""pg_dump on an exported snapshot, and its messages as errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.pmsops.client_tools.base import ClientTools, ToolProcess
from ansible.module_utils.pmsops.common.errors import OpsError

# zstd level 1 is about five times as fast as pg_dump's default gzip at the same size.
ZSTD = "zstd:1"
GZIP = "gzip:1"
ZSTD_SINCE = 16  # since pg_dump 16; a build may still lack it
KILLED = (-9, 137)
NO_ZSTD = "this build does not support compression with"

# TimescaleDB's catalogue tables have circular foreign keys; pg_dump warns about each of them. The
# warning is harmless: a restore loads that catalogue with its triggers off.
_CIRCULAR = re.compile(
    r"pg_dump: warning: there are circular foreign-key constraints [^\n]*\n"
    r"(pg_dump: (detail|hint): [^\n]*\n?)+"
)


@dataclass(frozen=True)
class DumpOptions:
    """The options of a run of pg_dump."""

    target: Path
    snapshot: str
    format: str = "directory"
    jobs: int = 2
    role: str | None = None
    stream: bool = False

    def arguments(self, compression: str) -> list[str]:
        """Return pg_dump's arguments; the connection travels by environment."""
        return [
            f"--format={self.format}",
            *([] if self.stream else [f"--file={self.target}"]),
            f"--compress={compression}",
            f"--snapshot={self.snapshot}",
            "--no-password",
            *([f"--jobs={self.jobs}"] if self.format == "directory" else []),
            *([f"--role={self.role}"] if self.role else []),
        ]


def start(tools: ClientTools, job: DumpOptions, *, compression: str) -> ToolProcess:
    """Start pg_dump for *job*."""
    folders = {} if job.stream else {job.target.parent: "rw"}
    arguments = job.arguments(compression)
    return tools.start("pg_dump", arguments, folders=folders, stream=job.stream)


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
) -> tuple[str, list[str]]:
    """Dump; return the compression used and the warnings.

    *watch* is called with the running tool; it returns at the tool's end, or raises to stop it.

    :raises OpsError: those of to_error().
    """
    errors = ""
    for compression in compressions(tools, wanted):
        client = start(tools, job, compression=compression)
        try:
            watch(client)
            status, errors = client.wait(), client.errors()
        finally:
            client.stop()
        if status == 0:
            return compression, warnings(errors)
        if NO_ZSTD not in errors:
            raise to_error("pg_dump", status, errors)
        if job.target.is_dir():
            job.target.rmdir()
    raise to_error("pg_dump", 1, errors)


def warnings(errors: str) -> list[str]:
    """Return the lines of pg_dump's messages without the known harmless ones."""
    return [line for line in _CIRCULAR.sub("", errors).splitlines() if line.strip()]


def to_error(tool: str, status: int, errors: str) -> OpsError:
    """Return the OpsError for a failed run of a client tool."""
    lines = warnings(errors)
    said = " / ".join(lines[-6:]) or "it gave no message"
    code, remedy = next(
        ((code, remedy) for pattern, code, remedy in _KNOWN if re.search(pattern, errors)),
        ("clients.failed", "Correct what it names and run again; nothing was kept."),
    )
    if status in KILLED and code == "clients.failed":
        remedy = "It was killed: look for memory pressure (dmesg), then run again."
    return OpsError(f"{tool} ended with status {status}: {said}", remedy, code=code)


_KNOWN = (
    (
        r"No space left on device|could not write to (output )?file.*space",
        "disk.full",
        "Free space on the file system of backup_root, or lower what retention keeps.",
    ),
    (
        r"permission denied for|query would be affected by row-level security",
        "database.rights",
        "Grant the maintenance role what docs/database-rights.sql gives it.",
    ),
    (
        r"could not obtain lock on relation|canceling statement due to lock timeout|deadlock",
        "database.locked",
        "Something changed the schema meanwhile (a compression or DDL job): run again.",
    ),
    (
        r"server version mismatch|aborting because of server version",
        "clients.old",
        "Use client tools of the server's major version or a newer one: pms_db_bin_dir.",
    ),
    (
        r"password authentication failed|no password supplied|fe_sendauth",
        "database.auth",
        "Set pms_db_user and pms_db_password to the maintenance role's.",
    ),
    (
        r"Connection refused|server closed the connection|terminating connection"
        r"|connection to server|could not connect|the database system is",
        "database.unreachable",
        "Bring the database back (docs/DR_PLAYBOOK.md, scenario 1), then run again.",
    ),
    (
        r"Permission denied|could not (create|open) (directory|output|file)",
        "files.unwritable",
        "Let the user that runs the toolkit write below backup_root.",
    ),
)
