# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The services of Dagster, under the names that the inventory gives them."""

from __future__ import annotations

from ansible.module_utils.pmsops.incidents.record import ActionRecorder
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.recovery.services import (
    DesiredState,
    bring_up,
    older_than_server,
)
from ansible.module_utils.pmsops.services.manager import Services

# The parts of Dagster: its web server and its daemon.
WEBSERVER, DAEMON = "dagster", "daemon"


def names(services: Services, *parts: str) -> tuple[str, ...]:
    """Return the services of Dagster's *parts*, all without any, that the inventory names."""
    wanted = parts or (WEBSERVER, DAEMON)
    return tuple(dict.fromkeys(services.parts[each] for each in wanted if each in services.parts))


def restart_outdated(
    services: Services, database: Database, *, record: ActionRecorder
) -> list[str]:
    """Restart the services of Dagster that are older than the database server.

    While the database was down, the daemon may have loaded its code, failed, and kept the error. It
    then fails every run, although it is healthy and the web server shows the code as loaded. The
    web server's connections are dead too, and each fails one request.

    :raises OpsError: services.*, clients.engine, database.*.
    """
    outdated = tuple(
        name
        for name in names(services)
        if name in services.names and older_than_server(services, name, database)
    )
    if not outdated:
        return []
    desired = DesiredState(names=outdated, restart=True, stop_seconds=5)
    return bring_up(services, desired, record=record)
