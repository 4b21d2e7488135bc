# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The PMS after its database was away: it keeps its book in memory, and may hold an empty one."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import ActionRecorder
from ansible.module_utils.pmsops.pms import health
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.recovery import pipeline
from ansible.module_utils.pmsops.recovery import services as service_care
from ansible.module_utils.pmsops.recovery.services import DesiredState
from ansible.module_utils.pmsops.services.manager import Services

# A PMS that reconnects by itself does so within this.
GRACE_SECONDS = 4
WORKS_SECONDS = 60
POLL_SECONDS = 0.3


def reload(
    database: Database,
    services: Services,
    url: str | None,
    *,
    redis: dict[str, Any] | None = None,
    sessions: bool = False,
    record: ActionRecorder,
) -> list[str]:
    """Start what is down, restart the PMS where it does not work or *sessions* must be new.

    Dagster is started anew where the server was: see pipeline_care. Return what was done.

    :raises OpsError: care.application, services.*.
    """
    wish = DesiredState(names=services.names, unhealthy=False)
    done = service_care.bring_up(services, wish, record=record) if services.names else []
    done += pipeline.restart_outdated(services, database, record=record)
    problems = _problems(database, url, GRACE_SECONDS)
    if problems or sessions:
        names = serving(services, url)
        if not names:
            if problems:
                raise _does_not_work(problems)
            return done
        health.forget_cache(redis)
        done += service_care.bring_up(
            services, DesiredState(names=names, restart=True), record=record
        )
        problems = _problems(database, url, WORKS_SECONDS)
    if problems:
        raise _does_not_work(problems)
    return done


def serving(services: Services, url: str | None) -> tuple[str, ...]:
    """Return the services that publish the port of *url*; all of them where none does."""
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
    """Return what is wrong for that long; an empty list as soon as nothing is."""
    deadline = time.monotonic() + seconds
    while problems := health.problems(database, url):
        if time.monotonic() > deadline:
            return problems
        time.sleep(POLL_SECONDS)
    return []


def _does_not_work(problems: list[str]) -> OpsError:
    return OpsError(
        "The database answers, and the PMS does not work: " + "; ".join(problems[:3]),
        "Read the PMS's log (`docker logs`); playbooks/dr_api.yml is about the PMS itself.",
        code="care.application",
    )
