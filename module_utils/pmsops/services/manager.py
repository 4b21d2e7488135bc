# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stop and start services under Compose or systemd, and read their state."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.pmsops.common import signals
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.services import docker_engine as containers

STOP_SECONDS, POLL_SECONDS = 20, 0.5
SYSTEMCTL_SECONDS, TIMED_OUT = 120, 124
# States of a service that is not ready.
STARTING, UNHEALTHY, DOWN = "starting", "unhealthy", "down"


@dataclass(frozen=True)
class Services:
    """Services by name, and their manager: compose, systemd or none."""

    manager: str
    names: tuple[str, ...]
    project: str | None = None
    # The service of each part of the PMS (dagster, daemon, ...): systems name them differently.
    parts: dict[str, str] = field(default_factory=dict)

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
        """Start the services *names*; ``unready`` tells how far they have come.

        :raises OpsError: services.unhealthy if one cannot be started; the others are all the same.
        """
        if self.manager == "compose":
            refused = []
            with signals.deferred():  # a signal after the first of them leaves the others down
                for name, container in self.containers():
                    try:
                        if name in names:
                            container.start()
                    except Exception as exc:  # noqa: BLE001  the other services are still due
                        refused.append(f"{name}: {exc}")
            if refused:
                raise OpsError(
                    f"Services do not start: {'; '.join(refused)}.",
                    "Mend what the engine names, then start them: docker compose start.",
                    code="services.unhealthy",
                )
        if self.manager == "systemd":
            self._all("start", names)

    def unready(self, names: list[str]) -> dict[str, str]:
        """Return STARTING, UNHEALTHY or DOWN for each of *names* that does not serve yet."""
        if self.manager == "compose":
            found = [(name, _state(each)) for name, each in self.containers() if name in names]
            return {name: state for name, state in found if state}
        if self.manager == "systemd":
            return {name: DOWN for name in names if self._systemctl("is-active", name)}
        return {}

    def settle(self, names: list[str], seconds: float, tell: Callable[..., None]) -> dict[str, str]:
        """Wait up to *seconds* until *names* serve; what is down is started a second time.

        Return those that do not serve, as ``unready`` does; *tell* hears what is waited for.
        """
        deadline = time.monotonic() + seconds
        again = False
        while (unready := self.unready(names)) and time.monotonic() < deadline:
            down = [name for name, state in unready.items() if state == DOWN]
            if down and not again:
                again = True
                with suppress(Exception):  # what stays down is told at the end
                    self.start(down)
            tell(0, note=f"waits for {', '.join(unready)}")
            time.sleep(POLL_SECONDS)
        return unready

    @property
    def by_hand(self) -> bool:
        """Tell whether a person stops and starts the services."""
        return self.manager == "none"

    def explain(self, name: str, state: str) -> str:
        """Return what an operator is told of service *name* in a *state* that does not end."""
        if self.manager == "systemd":
            return (
                f"Service {name} is {state}: read journalctl -u {name}, then start it again:"
                f" systemctl restart {name}."
            )
        return (
            f"Service {name} is {state}: read its log (docker logs), then start it again:"
            f" docker compose -p {self.project} restart {name}."
        )

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

    def _all(self, verb: str, names: list[str]) -> None:
        failed = [name for name in names if self._systemctl(verb, name)]
        if failed:
            raise OpsError(
                f"systemctl {verb} {' '.join(failed)} failed.",
                f"See systemctl status {failed[0]} for the cause, then run again.",
                code="services.unhealthy",
            )

    def _systemctl(self, verb: str, name: str) -> int:
        try:
            return subprocess.run(
                ["systemctl", verb, "--quiet", name],
                timeout=SYSTEMCTL_SECONDS,
                capture_output=True,
            ).returncode
        except subprocess.TimeoutExpired:
            return TIMED_OUT


def _state(container: Any) -> str | None:
    """Return in which state a container does not serve, None if it does."""
    if container.status != "running":
        return DOWN
    health = containers.health(container.attrs["State"])
    return {"healthy": None, "none": None, "starting": STARTING}.get(health, UNHEALTHY)
