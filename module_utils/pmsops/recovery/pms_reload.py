# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The PMS after its database was down: it keeps its book in memory, and that may be empty."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import ActionRecorder
from ansible.module_utils.pmsops.pms import health, redis_cache
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.recovery import dagster_services
from ansible.module_utils.pmsops.recovery.services import DesiredState, bring_up
from ansible.module_utils.pmsops.services.manager import Services

# Within this time a PMS that reconnects by itself has done so.
GRACE_SECONDS = 4.0
# Within this time a restarted PMS has to work.
START_SECONDS = 60.0
POLL_SECONDS = 0.3


def reload(
    database: Database,
    services: Services,
    url: str | None,
    *,
    redis: dict[str, Any] | None = None,
    sessions: bool = False,
    record: ActionRecorder,
    grace_seconds: float = GRACE_SECONDS,
    start_seconds: float = START_SECONDS,
) -> list[str]:
    """Start stopped services, and restart a PMS that does not work; return the steps.

    With *sessions* the PMS is restarted anyway, since its open sessions keep an old setting.
    Dagster is restarted if it is older than the database server.

    :raises OpsError: care.application, services.*.
    """
    desired = DesiredState(names=services.names, unhealthy=False)
    done = bring_up(services, desired, record=record) if services.names else []
    done += dagster_services.restart_outdated(services, database, record=record)
    problems = _problems(database, url, grace_seconds)
    if problems or sessions:
        names = serving(services, url)
        if not names:
            if problems:
                raise _does_not_work(problems)
            return done
        if problem := redis_cache.forget(redis).problem:
            with record("Delete the keys of the PMS from Redis") as action:
                action.result = problem
        done += bring_up(services, DesiredState(names=names, restart=True), record=record)
        problems = _problems(database, url, start_seconds)
    if problems:
        raise _does_not_work(problems)
    return done


def serving(services: Services, url: str | None) -> tuple[str, ...]:
    """Return the services that publish the port of *url*, or all if none does."""
    port = str(urlsplit(url).port or "") if url else ""
    if services.manager != "compose" or not port:
        return services.names
    found = tuple(
        name
        for name, container in services.containers()
        if any(
            binding.get("HostPort") == port
            for bindings in (container.attrs["HostConfig"].get("PortBindings") or {}).values()
            for binding in bindings or []
        )
    )
    return found or services.names


def _problems(database: Database, url: str | None, seconds: float) -> list[str]:
    """Return the problems that last for *seconds*; an empty list as soon as there are none."""
    deadline = time.monotonic() + seconds
    while problems := health.problems(database, url):
        if time.monotonic() > deadline:
            return problems
        time.sleep(POLL_SECONDS)
    return []


def _does_not_work(problems: list[str]) -> OpsError:
    return OpsError(
        f"The database answers, but the PMS does not work: {'; '.join(problems[:3]).rstrip('.')}.",
        "Read the PMS's log (`docker logs`); playbooks/dr_api.yml recovers the PMS itself.",
        code="care.application",
    )
