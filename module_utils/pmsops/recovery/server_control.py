# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The actions on a database server: start, restart, and free connection slots.

Nothing here writes to the PMS's tables or ends a session that is working.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import ActionRecorder
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
)
from ansible.module_utils.pmsops.recovery.services import DesiredState, bring_up
from ansible.module_utils.pmsops.services.manager import Services

# Ended sessions free their slots within this time.
GRACE_SECONDS = 6.0
POLL_SECONDS = 0.1
# Slots in use after sessions were ended, in percent: the PMS's own pools must fit in too.
SLOTS_PERCENT = 60
# A transaction that has been idle for this long is abandoned.
IDLE_TRANSACTION_SECONDS = 300
# With fewer free slots than this, the PMS cannot connect.
MIN_FREE_SLOTS = 5


@dataclass(frozen=True)
class Server:
    """The server, what runs it, and how long it may take to replay its log."""

    database: Database
    services: Services
    # The systemd unit of a server that runs in no container.
    unit: str = ""
    recovery_seconds: int = 600


class ServerControl:
    """The actions on one server, each recorded; every method returns the steps it took."""

    def __init__(self, server: Server, record: ActionRecorder) -> None:
        self._server = server
        self._record = record

    def start(self) -> list[str]:
        """Start or unpause the server if it is stopped or paused."""
        return self._bring_up(restart=False)

    def restart(self) -> list[str]:
        """Restart the server."""
        return self._bring_up(restart=True)

    def running_services(self) -> list[str]:
        """Return the running services of the PMS: they hold connection pools."""
        return self._server.services.running()

    def free_pools(self, names: list[str]) -> list[str]:
        """Stop the services *names* and end idle sessions.

        Without this nobody could connect: the remaining slots are reserved for superusers.
        """
        text = f"Stop {', '.join(names) or 'no service'} for a moment to free their connections"
        with self._record(text):
            self._server.services.stop(names)
        try:
            return [text, *free_slots(self._server.database, record=self._record)]
        except OpsError as exc:
            if exc.code not in ("database.unreachable", "care.slots"):
                raise
            return [text]  # other clients hold the slots: only a restart frees them

    def start_services(self, names: list[str]) -> list[str]:
        """Start the services *names* again, without waiting for them."""
        return bring_up(
            self._server.services,
            DesiredState(names=tuple(names), unhealthy=False),
            record=self._record,
            wait_healthy=False,
        )

    def _bring_up(self, *, restart: bool) -> list[str]:
        server = self._server
        container = server.database.container if server.database.access == "container" else None
        desired = DesiredState(
            names=() if container or not server.unit else (server.unit,),
            containers=(container,) if container else (),
            restart=restart,
            unhealthy=False,  # used-up slots make it unhealthy too
            # One that hangs never stops by itself; after a kill it replays its log, without loss.
            stop_seconds=5,
            healthy_seconds=server.recovery_seconds,
        )
        manager = Services("systemd", (), None) if server.unit else server.services
        return bring_up(manager, desired, record=self._record, wait_healthy=False)


def free_slots(database: Database, *, record: ActionRecorder) -> list[str]:
    """End idle sessions until two of five slots are free; return the steps.

    The client with the most idle sessions goes first, since it leaks them. A session that works,
    and a transaction in use, stays.

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
            counts = Counter(who for _pid, who in idle)
            action.result = ", ".join(f"{count} of {who}" for who, count in counts.items())
            deadline = time.monotonic() + GRACE_SECONDS
            while (left := _used(cursor)) > used - len(idle) and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
        if left >= limit - MIN_FREE_SLOTS:
            raise OpsError(
                f"{left} of {limit} connections are in use, and hardly any of them is idle.",
                "`SELECT usename, application_name, client_addr, count(*) FROM pg_stat_activity"
                " GROUP BY 1, 2, 3` shows who holds them: stop that program. Working sessions are"
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
