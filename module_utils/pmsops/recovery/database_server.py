# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring a database server back to answering: wait, start, restart, free slots, in this order.

Nothing in here writes to the PMS's tables, and nothing ends a session that is at work.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import ActionRecorder
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
)
from ansible.module_utils.pmsops.recovery import services as service_care
from ansible.module_utils.pmsops.recovery.services import DesiredState
from ansible.module_utils.pmsops.services import docker_engine
from ansible.module_utils.pmsops.services.manager import Services

ANSWERS, MISSING, CLOSED = "answers", "missing", "closed"
STARTING, STOPPING, SLOTS, REFUSED, AWAY = "starting", "stopping", "slots", "refused", "away"
# The server works where it says one of these; what of the database is another question.
WORKING = frozenset({ANSWERS, MISSING, CLOSED})
CONNECT_SECONDS = 4
POLL_SECONDS = 0.5
# A container that ends again each time is not started for ever.
MAX_STARTS = 3
# A server that was just started, or whose slots are all taken, gets this long by itself.
GRACE_SECONDS = 6
# Slots in use after sessions were ended, in percent: the PMS's own pools have to fit in too.
SLOTS_PERCENT = 60
# A transaction that nobody has touched for this long is left over.
IDLE_TRANSACTION_SECONDS = 300
_REFUSALS = (
    (SLOTS, r"too many clients|remaining connection slots|too many connections for"),
    (STARTING, r"starting up|not yet accepting|in recovery mode|recovery state"),
    (STOPPING, r"shutting down"),
    (CLOSED, r"not currently accepting connections"),
)


@dataclass(frozen=True)
class ServerState:
    """What a server said to an attempt to connect: its kind, and its words."""

    kind: str
    said: str

    @property
    def works(self) -> bool:
        """Tell whether the server does its part."""
        return self.kind in WORKING


@dataclass(frozen=True)
class Server:
    """The server, what runs it, and how long it may take to replay its log."""

    database: Database
    services: Services
    # A systemd unit, where no container is given.
    unit: str = ""
    recovery_seconds: int = 600


def look(database: Database) -> ServerState:
    """Return how the server answers whoever wants to connect to the database."""
    try:
        database.connect(seconds=CONNECT_SECONDS).close()
    except OpsError as exc:
        return ServerState(judge(exc.code, str(exc)), str(exc))
    return ServerState(ANSWERS, "it answers")


def judge(code: str, said: str) -> str:
    """Return the kind of a refused connection, by our code and the server's words."""
    if code == "database.auth":
        return REFUSED
    if code == "database.missing":
        return MISSING
    return next((kind for kind, words in _REFUSALS if re.search(words, said)), AWAY)


def bring_back(
    server: Server,
    *,
    record: ActionRecorder,
    look: Callable[[Database], ServerState] = look,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Return what was done until the server answered; nothing where it does already.

    :raises OpsError: care.password, care.starting, care.away, care.slots, services.*.
    """
    done: list[str] = []
    began = now()
    patience = began + POLL_SECONDS  # that it does not answer, others have seen already
    restarted = False
    pools: list[str] | None = None
    # Before anything is asked: one that is paused only costs the time of an answer.
    if started := _start(server, record):
        done += started
        patience = now() + GRACE_SECONDS
    starts = 1
    try:
        while not (seen := look(server.database)).works:
            if seen.kind == REFUSED:
                raise _password(server.database, seen)
            if seen.kind in (STARTING, STOPPING) and now() - began < server.recovery_seconds:
                sleep(POLL_SECONDS)
                continue
            if seen.kind == STARTING:
                raise _starting(server, seen)
            if starts < MAX_STARTS and (started := _start(server, record)):
                done += started
                starts += 1
            elif now() < patience:
                sleep(POLL_SECONDS)
                continue
            elif seen.kind == SLOTS and pools is None:
                pools = server.services.running()
                done += _without_pools(server, pools, record)
            elif not restarted:
                done += _restart(server, record)
                restarted = True
            else:
                raise _away(server, seen)
            patience = now() + GRACE_SECONDS
    finally:
        # Also where it fails: that the PMS is down as well would help nobody.
        if pools:
            _start_again(server, pools, record)
    return done


def free_slots(database: Database, *, record: ActionRecorder) -> list[str]:
    """End idle sessions until two of five slots are free; return what was done.

    Whoever holds the most of them goes first: that is where they leak. A session at work, and a
    transaction that somebody still uses, is left alone.

    :raises OpsError: care.slots, database.*.
    """
    with database.session(
        name=database.maintenance_name, superuser=True, autocommit=True
    ) as cursor:
        limit = int(fetch_value(cursor, "SELECT current_setting('max_connections')::int"))
        used = _used(cursor)
        excess = used - limit * SLOTS_PERCENT // 100
        if excess <= 0:
            return []
        idle = fetch_all(cursor, _IDLE, (IDLE_TRANSACTION_SECONDS,))[:excess]
        text = f"End {len(idle)} idle sessions; {used} of {limit} connections were in use"
        with record(text) as action:
            for pid, _who in idle:
                cursor.execute("SELECT pg_terminate_backend(%s)", (pid,))
            counts: dict[str, int] = {}
            for _pid, who in idle:
                counts[who] = counts.get(who, 0) + 1
            action.result = ", ".join(f"{count} of {who}" for who, count in counts.items())
            deadline = time.monotonic() + GRACE_SECONDS
            while (left := _used(cursor)) > used - len(idle) and time.monotonic() < deadline:
                time.sleep(0.1)
        if left >= limit - 5:
            raise OpsError(
                f"{left} of {limit} connections are in use, and hardly any of them is idle.",
                "`SELECT usename, application_name, client_addr, count(*) FROM pg_stat_activity"
                " GROUP BY 1, 2, 3` shows who holds them: stop that program. What is at work is"
                " not ended here.",
                code="care.slots",
            )
    return [text]


def _used(cursor: Any) -> int:
    cursor.execute("SELECT pg_stat_clear_snapshot()")
    return int(
        fetch_value(
            cursor, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        )
    )


def _wish(server: Server, *, restart: bool) -> DesiredState:
    container = server.database.container if server.database.access == "container" else None
    return DesiredState(
        names=() if container or not server.unit else (server.unit,),
        containers=(container,) if container else (),
        restart=restart,
        unhealthy=False,  # slots that are used up make it unhealthy too
        # One that hangs never stops by itself; killed, it replays its log and loses nothing.
        stop_seconds=5,
        healthy_seconds=server.recovery_seconds,
    )


def _start(server: Server, record: ActionRecorder) -> list[str]:
    """Let the container go on or start it, where that is what it needs."""
    return service_care.bring_up(
        _manager(server), _wish(server, restart=False), record=record, wait_healthy=False
    )


def _restart(server: Server, record: ActionRecorder) -> list[str]:
    return service_care.bring_up(
        _manager(server), _wish(server, restart=True), record=record, wait_healthy=False
    )


def _manager(server: Server) -> Services:
    return Services("systemd", (), None) if server.unit else server.services


def _without_pools(server: Server, pools: list[str], record: ActionRecorder) -> list[str]:
    """Stop the PMS's services, so that their pools' slots are free, and end idle sessions.

    Nobody can connect otherwise: the slots that are kept back are for a superuser.
    """
    text = f"Stop {', '.join(pools) or 'no service'} for a moment; their pools hold connections"
    with record(text):
        server.services.stop(pools)
    try:
        return [text, *free_slots(server.database, record=record)]
    except OpsError as exc:
        if exc.code not in ("database.unreachable", "care.slots"):
            raise
        return [text]  # somebody else holds them all: only a restart takes them away


def _start_again(server: Server, pools: list[str], record: ActionRecorder) -> None:
    """Start what was stopped; whether it works is seen when the database does."""
    service_care.bring_up(
        server.services,
        DesiredState(names=tuple(pools), unhealthy=False),
        record=record,
        wait_healthy=False,
    )


def _password(database: Database, seen: ServerState) -> OpsError:
    return OpsError(
        f"The server answers and refuses the toolkit: {seen.said}",
        f"Set pms_db_password to what role {database.user} has, or give the role its password again"
        " (docs/database-rights.sql). No restart helps.",
        code="care.password",
    )


def _starting(server: Server, seen: ServerState) -> OpsError:
    return OpsError(
        f"The server is still replaying its log after {server.recovery_seconds} s"
        f" ({seen.said}){_log(server)}",
        "Wait: its log says how far it is, and whoever kills it makes it begin anew. Then run"
        " again; -e incident_recovery_seconds=3600 waits longer. Never run pg_resetwal.",
        code="care.starting",
    )


def _away(server: Server, seen: ServerState) -> OpsError:
    return OpsError(
        f"The server does not answer, though it was started: {seen.said}{_log(server)}",
        "Where its log names the disk, run playbooks/dr_disk.yml. Where it names damaged files of"
        " its own, keep the volume as it is, start a new server on an empty one, run"
        " docs/database-rights.sql there, and restore with dr_restore.yml. Never run pg_resetwal.",
        code="care.away",
    )


def _log(server: Server) -> str:
    if server.database.access != "container" or not server.database.container:
        return "."
    try:
        container = docker_engine.engine().containers.get(server.database.container)
        return f"; its log ends: {service_care.log_end(container)}"
    except Exception as exc:  # noqa: BLE001 -- the log only serves the message
        return f" (its log cannot be read: {type(exc).__name__})."


_IDLE = """
WITH idle AS (
    SELECT pid, state_change,
           concat_ws(' ', usename, nullif(application_name, ''), host(client_addr)) AS who
      FROM pg_stat_activity
     WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
       AND application_name <> 'pms-ops'
       AND (state = 'idle'
            OR (state LIKE 'idle in transaction%%'
                AND state_change < now() - make_interval(secs => %s))))
SELECT pid, who FROM idle
 ORDER BY count(*) OVER (PARTITION BY who) DESC, who, state_change"""
