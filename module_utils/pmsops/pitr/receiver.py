# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The receiver awaited, and begun anew where the server no longer has the WAL that it asks for."""

from __future__ import annotations

import time

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import engine as engines
from ansible.module_utils.pmsops.pitr import wal, window
from ansible.module_utils.pmsops.pitr.barman import Barman, Runner
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value

START_SECONDS = 60
LOG_LINES = 5


def follow(database: Database, engine: Runner, slot: str, archive: Barman) -> bool:
    """Wait for the receiver; tell whether the stream had to begin anew, which leaves a gap.

    A slot that somebody dropped and made again keeps no WAL of before. The receiver then asks for
    a segment that the server has removed, for ever.

    :raises OpsError: pitr.not-streaming
    """
    try:
        await_stream(database, engine, slot)
    except OpsError:
        if not lies_before(archive.info(), _oldest_segment(database)):
            raise
        archive.break_off()
        await_stream(database, engine, slot)
        return True
    return False


def lies_before(info: engines.Info, oldest: str | None) -> bool:
    """Tell whether the segment that the archive needs next lies before the server's *oldest* one.

    The server says so too, in the log of the receiver, but in the language of its lc_messages.
    """
    newest = info.partial or (info.segments[-1] if info.segments else None)
    if newest is None or oldest is None:
        return False
    size = info.segment_bytes
    wanted = wal.number(newest, size) + (0 if info.partial else 1)
    return wanted < wal.number(oldest, size)


def _oldest_segment(database: Database) -> str | None:
    """Return the oldest segment of the server; segments are recycled under later names.

    :raises OpsError: database.*
    """
    with database.session(name=database.maintenance_name, read_only=True) as cursor:
        found: str | None = fetch_value(
            cursor,
            "SELECT name FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'"
            " ORDER BY substr(name, 9) LIMIT 1",
        )
    return found


def await_stream(database: Database, engine: Runner, slot: str) -> None:
    """Wait until the receiver streams.

    :raises OpsError: pitr.not-streaming
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if window.stream(database, slot).active:
            return
        time.sleep(0.5)
    raise OpsError(
        f"The receiver has not begun to stream within {START_SECONDS} s: {_log(engine)[-600:]}",
        "Barman's log names the cause. Run again, or take all of it away: pms-ops pitr disable.",
        code="pitr.not-streaming",
    )


def _log(engine: Runner) -> str:
    said = engine.run(["tail", "-n", str(LOG_LINES), engine.home.log]).output
    return " ".join(said.split())
