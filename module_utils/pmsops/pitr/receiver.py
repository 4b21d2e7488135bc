# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The receiver awaited, and begun anew where the server no longer has the WAL that it asks for."""

from __future__ import annotations

import time
from collections.abc import Callable

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import window
from ansible.module_utils.pmsops.pitr.barman import Runner
from ansible.module_utils.pmsops.postgresql.connection import Database

START_SECONDS = 60
# The server's message to a receiver that asks for WAL before its oldest; PostgreSQL translates it
# only for clients that ask for another language.
GONE = "has already been removed"
LOG_LINES = 5


def follow(database: Database, engine: Runner, slot: str, break_off: Callable[[], None]) -> bool:
    """Wait for the receiver; tell whether the stream had to begin anew, which leaves a gap.

    A slot that somebody dropped and made again keeps no WAL of before. The receiver then asks for
    a segment that the server has removed, for ever.

    :raises OpsError: pitr.not-streaming
    """
    try:
        await_stream(database, engine, slot)
    except OpsError:
        if GONE not in _log(engine):
            raise
        break_off()
        await_stream(database, engine, slot)
        return True
    return False


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
