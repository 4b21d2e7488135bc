# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The messages of a failed client tool as an error with a remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import known_causes
from ansible.module_utils.pmsops.postgresql.connection import Database

KILLED = (-9, 137)
SESSION_ENDED = "database.session-ended"
# TimescaleDB's catalogue tables have circular foreign keys; pg_dump warns about each of them. The
# warning is harmless: a restore loads that catalogue with its triggers off.
_CIRCULAR = re.compile(
    r"pg_dump: warning: there are circular foreign-key constraints [^\n]*\n"
    r"(pg_dump: (detail|hint): [^\n]*\n?)+"
)


def warnings(errors: str) -> list[str]:
    """Return the lines of pg_dump's messages without the known harmless ones."""
    return [line for line in _CIRCULAR.sub("", errors).splitlines() if line.strip()]


def to_error(tool: str, status: int, errors: str, database: Database | None = None) -> OpsError:
    """Return the OpsError for a failed run of a client tool on *database*."""
    lines = warnings(errors)
    said = " / ".join(lines[-6:]) or "it gave no message"
    code, remedy = (
        _look_up(_OF_TOOL.get(tool, ()), errors)
        or known_causes.find(errors)
        or _look_up(_KNOWN, errors)
        or ("clients.failed", "Correct what it names and run again; nothing was kept.")
    )
    if database and code == SESSION_ENDED:
        return database.broken(f"{tool} ended with status {status}: {said}")
    if status in KILLED and code == "clients.failed":
        remedy = "It was killed: look for memory pressure (dmesg), then run again."
    return OpsError(f"{tool} ended with status {status}: {said}", remedy, code=code)


def _look_up(table: Iterable[tuple[str, str, str]], errors: str) -> tuple[str, str] | None:
    """Return code and remedy of the first row whose pattern is in *errors*, None without one."""
    return next(
        ((code, remedy) for pattern, code, remedy in table if re.search(pattern, errors)), None
    )


# pg_dump names objects that its snapshot shows: one that does not exist was dropped since.
_OF_TOOL = {
    "pg_dump": (
        (
            r'ERROR: +(relation|schema|type|function|view) "[^\n]*" does not exist'
            r"|with OID \d+ does not exist|could not open relation with OID|cache lookup failed",
            "database.locked",
            "It was dropped while the dump was made. Let the session that changes tables"
            " (pg_stat_activity shows it) pause, then run again.",
        ),
    ),
}
_KNOWN = (
    (
        # "Success": a short write without an error number, which PostgreSQL takes for a full disk.
        r"No space left on device|could not write to (output )?file.*space"
        r"|could not (write|close)[^\n]*: Success",
        "disk.full",
        "Free space on the file system of backup_root, or lower the backup_keep_* numbers.",
    ),
    (
        r"permission denied for|query would be affected by row-level security",
        "database.rights",
        "Grant the maintenance role what docs/database-rights.sql gives it.",
    ),
    (
        r"could not obtain lock on relation|canceling statement due to lock timeout|deadlock",
        "database.locked",
        "Another session changes tables (pg_stat_activity shows it). Let it pause meanwhile, and"
        " run again.",
    ),
    (
        r"server version mismatch|aborting because of server version",
        "clients.old",
        "Use client tools of the server's major version or a newer one: pms_db_bin_dir.",
    ),
    (
        r"password authentication failed|no password supplied|fe_sendauth",
        "database.auth",
        "Set pms_db_user and pms_db_password to those of the maintenance role.",
    ),
    (
        r"due to (statement|transaction|idle-in-transaction|idle-session) timeout",
        "database.timeout",
        "The database runs. Find out what keeps it busy (pg_stat_activity), or what sets this"
        " time-out in the toolkit's sessions (a pooler?), then run again.",
    ),
    (
        r"server closed the connection|terminating connection",
        "database.session-ended",
        "If the database answers, look in its log for who or what ended the session, and run again."
        " If not, bring it back (docs/DR_PLAYBOOK.md, scenario 1).",
    ),
    (
        r"Connection refused|connection to server|could not connect|the database system is",
        "database.unreachable",
        "Bring the database back (docs/DR_PLAYBOOK.md, scenario 1), then run again.",
    ),
    (
        r"Permission denied|could not (create|open) (directory|output|file)",
        "files.unwritable",
        "Give the user of the playbook write access below backup_root.",
    ),
)
