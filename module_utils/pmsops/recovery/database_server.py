# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Recover a database server that does not answer: wait, start, free slots, restart, in this order.

The actions are in server_control.py; this file decides which one comes next.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.recovery.server_control import Server, ServerControl
from ansible.module_utils.pmsops.recovery.services import log_end
from ansible.module_utils.pmsops.services import docker_engine

ANSWERS, MISSING, CLOSED = "answers", "missing", "closed"
STARTING, STOPPING, SLOTS, REFUSED, AWAY = "starting", "stopping", "slots", "refused", "away"
LIBRARY = "database.library"
# In these states the server works; whether the database does is another question.
WORKING = frozenset({ANSWERS, MISSING, CLOSED})
CONNECT_SECONDS = 4
POLL_SECONDS = 0.5
# A container that keeps ending is not started more often than this.
MAX_STARTS = 3
# A server that was just started, or whose slots are all taken, gets this long by itself.
GRACE_SECONDS = 6.0
_REFUSALS = (
    (SLOTS, r"too many clients|remaining connection slots|too many connections for"),
    (STARTING, r"starting up|not yet accepting|in recovery mode|recovery state"),
    (STOPPING, r"shutting down"),
    (CLOSED, r"not currently accepting connections"),
)


@dataclass(frozen=True)
class ServerState:
    """The server's response to a connection: its kind, and the server's own words."""

    kind: str
    message: str

    @property
    def works(self) -> bool:
        """Tell whether the server itself works."""
        return self.kind in WORKING


def look(database: Database) -> ServerState:
    """Return how the server responds to a connection to the database.

    :raises OpsError: database.library, which no restart and no restore would change.
    """
    try:
        database.connect(seconds=CONNECT_SECONDS).close()
    except OpsError as exc:
        if exc.code == LIBRARY:
            raise
        return ServerState(judge(exc.code, str(exc)), str(exc))
    return ServerState(ANSWERS, "it answers")


def judge(code: str, message: str) -> str:
    """Return the kind of a refused connection, by the error code and the server's words."""
    if code in ("database.auth", "database.connect-right", "database.no-entry"):
        return REFUSED
    if code == "database.missing":
        return MISSING
    return next((kind for kind, words in _REFUSALS if re.search(words, message)), AWAY)


def bring_back(
    server: Server,
    control: ServerControl,
    *,
    look: Callable[[Database], ServerState] = look,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Return the steps until the server answers; none if it already does.

    :raises OpsError: care.password, care.starting, care.away, care.slots, services.*.
    """
    done: list[str] = []
    began = now()
    grace_ends = began + POLL_SECONDS  # short: the detection has already waited for an answer
    restarted = False
    pools: list[str] | None = None
    # Before the first attempt to connect: a paused server would only cost its time-out.
    if started := control.start():
        done += started
        grace_ends = now() + GRACE_SECONDS
    starts = 1
    try:
        while not (state := look(server.database)).works:
            if state.kind == REFUSED:
                raise _password(server.database, state)
            if state.kind in (STARTING, STOPPING) and now() - began < server.recovery_seconds:
                sleep(POLL_SECONDS)
                continue
            if state.kind == STARTING:
                raise _starting(server, state)
            if starts < MAX_STARTS and (started := control.start()):
                done += started
                starts += 1
            elif now() < grace_ends:
                sleep(POLL_SECONDS)
                continue
            elif state.kind == SLOTS and pools is None:
                pools = control.running_services()
                done += control.free_pools(pools)
            elif not restarted:
                done += control.restart()
                restarted = True
            else:
                raise _away(server, state, done)
            grace_ends = now() + GRACE_SECONDS
    finally:
        # Also after a failure: a stopped PMS would make it worse.
        if pools:
            control.start_services(pools)
    return done


def plan(database: Database) -> list[str]:
    """Return the first step of a recovery; each further step depends on its result."""
    state = look(database)
    if state.works:
        return []
    steps = "Wait for the server; start it; free idle connections; restart it"
    return [f"{steps}, until it answers ({state.message})"]


def _password(database: Database, state: ServerState) -> OpsError:
    return OpsError(
        f"The server answers but rejects the login of role {database.user}: {state.message}",
        "If it names no other cause, set pms_db_password to the password of that role, or set it"
        " again in the database (docs/database-rights.sql, which also gives it the right to"
        " connect). A restart does not help.",
        code="care.password",
    )


def _starting(server: Server, state: ServerState) -> OpsError:
    return OpsError(
        f"The server is still replaying its log after {server.recovery_seconds} s"
        f" ({state.message}){_log(server)}",
        "Wait: its log shows the progress, and a kill would make it start over. Then run again;"
        " -e incident_recovery_seconds=3600 waits longer. Never run pg_resetwal.",
        code="care.starting",
    )


def _away(server: Server, state: ServerState, done: list[str]) -> OpsError:
    if not done:
        return OpsError(
            f"The server does not answer, and nothing was started: {_no_means(server)}"
            f" ({state.message})",
            f"Start the server by hand, then run this again. {_unit_to_name(server)}".strip(),
            code="care.away",
        )
    return OpsError(
        f"The server does not answer after these steps: {'; '.join(done)}. {state.message}"
        f"{_log(server)}",
        "If its log names the disk, run playbooks/dr_disk.yml. If it names damaged files of the"
        " server, keep the volume unchanged, start a new server on an empty volume, run"
        " docs/database-rights.sql there, and restore with dr_restore.yml. Never run pg_resetwal.",
        code="care.away",
    )


def _no_means(server: Server) -> str:
    """Return why a server could not be started."""
    if server.database.access == "container":
        return f"container {server.database.container} was up, or is none that can be started"
    if server.services.by_hand:
        return "nothing manages the services (pms_services_manager: none)"
    return "the inventory names no systemd unit for it"


def _unit_to_name(server: Server) -> str:
    """Return the setting that would let the next run start the server, "" if all are set."""
    if server.database.access == "container" or server.services.by_hand:
        return ""
    if server.services.manager == "systemd":
        return "Name its unit in golive_services.database, and the next run starts it."
    return "Name its unit in incident_database_unit, and the next run starts it."


def _log(server: Server) -> str:
    if server.database.access != "container" or not server.database.container:
        return "."
    try:
        container = docker_engine.engine().containers.get(server.database.container)
        return f"; its log ends: {log_end(container)}"
    except Exception as exc:  # noqa: BLE001 -- the log only adds to the message
        return f" (its log cannot be read: {type(exc).__name__})."
