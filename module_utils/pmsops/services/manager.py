# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stop and start services under Compose or systemd, and read their state."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.services import docker_engine as containers

STOP_SECONDS = 20
HEALTHY_SECONDS = 90


@dataclass(frozen=True)
class Services:
    """Services by name, and their manager: compose, systemd or none."""

    manager: str
    names: tuple[str, ...]
    project: str | None = None
    # The service of each part of the PMS (dagster, daemon, ...): systems name them differently.
    parts: dict[str, str] = field(default_factory=dict, kw_only=True)

    @classmethod
    def from_options(cls, options: dict[str, Any] | None) -> Services:
        """Return the services that a module's option ``services`` describes."""
        options = options or {"manager": "none", "app_services": []}
        return cls(
            manager=options["manager"],
            names=tuple(options["app_services"]),
            project=options.get("compose_project"),
            parts={part: name for part, name in (options.get("parts") or {}).items() if name},
        )

    def running(self) -> list[str]:
        """Return the names of the running services.

        :raises OpsError: services.missing, clients.engine.
        """
        if self.manager == "compose":
            return [name for name, each in self.containers() if each.status == "running"]
        if self.manager == "systemd":
            return [name for name in self.names if self._systemctl("is-active", name) == 0]
        return []

    def stop(self, names: list[str]) -> None:
        """Stop the services *names* and wait until they are down."""
        if self.manager == "compose":
            wanted = [container for name, container in self.containers() if name in names]
            with ThreadPoolExecutor(max_workers=max(len(wanted), 1)) as pool:
                list(pool.map(lambda each: each.stop(timeout=STOP_SECONDS), wanted))
        if self.manager == "systemd":
            self._all("stop", names)

    def start(self, names: list[str]) -> None:
        """Start the services *names* and wait until those with a health check are healthy.

        :raises OpsError: services.unhealthy
        """
        if self.manager == "compose":
            for name, container in self.containers():
                if name in names:
                    container.start()
            self._wait_healthy(names)
        if self.manager == "systemd":
            self._all("start", names)

    def restart(self, names: list[str]) -> None:
        """Restart the systemd services *names*; one that is down is started."""
        self._all("restart", names)

    def containers(self) -> list[tuple[str, Any]]:
        """Return name and container of each service of the Compose project.

        :raises OpsError: services.missing, clients.engine.
        """
        engine = containers.engine()
        found = []
        for name in self.names:
            labels = [
                f"com.docker.compose.project={self.project}",
                f"com.docker.compose.service={name}",
            ]
            made = engine.containers.list(all=True, filters={"label": labels}, ignore_removed=True)
            if not made:
                raise OpsError(
                    f"Compose project {self.project} has no container of service {name}.",
                    "Correct pms_compose_project and pms_app_services; `docker compose ls` and"
                    " `docker ps -a` show what there is.",
                    code="services.missing",
                )
            found += [(name, container) for container in made]
        return found

    def _wait_healthy(self, names: list[str]) -> None:
        deadline = time.monotonic() + HEALTHY_SECONDS
        while True:
            waiting = [
                name
                for name, container in self.containers()
                if name in names
                and (
                    container.status != "running"
                    or container.attrs["State"].get("Health", {}).get("Status", "healthy")
                    != "healthy"
                )
            ]
            if not waiting:
                return
            if time.monotonic() > deadline:
                raise OpsError(
                    f"{', '.join(waiting)} did not become healthy within {HEALTHY_SECONDS} s.",
                    f"Read their log (docker logs), service {waiting[0]} first.",
                    code="services.unhealthy",
                )
            time.sleep(0.5)

    def _all(self, verb: str, names: list[str]) -> None:
        for name in names:
            if self._systemctl(verb, name):
                raise OpsError(
                    f"systemctl {verb} {name} failed.",
                    f"See systemctl status {name} for the cause, then run again.",
                    code="services.unhealthy",
                )

    def _systemctl(self, verb: str, name: str) -> int:
        return subprocess.run(
            ["systemctl", verb, "--quiet", name], timeout=120, capture_output=True
        ).returncode
