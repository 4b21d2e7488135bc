# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Dagster as the recovery uses it: a session of its own, and errors with a remedy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, from_iso
from ansible.module_utils.pmsops.pms import dagster
from ansible.module_utils.pmsops.pms.dagster import DagsterError
from ansible.module_utils.pmsops.recovery import dagster_gaps

REQUEST_SECONDS = 20.0
PING_SECONDS = 3.0


class Dagster:
    """One Dagster at a URL. Each method raises OpsError dagster.refused if it fails."""

    def __init__(self, url: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        import requests

        self.url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False
        self._dagster = dagster.Dagster(self._send, sleep=sleep)

    def ping(self) -> None:
        """Check that the web server answers a query."""
        with self._refusals():
            dagster.Dagster(lambda body: self._send(body, PING_SECONDS)).graphql("{ version }")

    def locations(self) -> list[dict[str, Any]]:
        """Return the code locations: name, status and error."""
        with self._refusals():
            return self._dagster.locations()

    def scheduler_beats(self, since: datetime | None = None) -> bool:
        """Tell whether the scheduler sent a heartbeat since then, by default for two minutes.

        Dagster itself calls a daemon healthy for half an hour after its last one.
        """
        since = since or datetime.now(UTC) - timedelta(seconds=dagster.SILENT_SECONDS)
        with self._refusals():
            daemons = self._dagster.daemons()
        return any(
            each["type"] == "SCHEDULER"
            and each["healthy"]
            and from_iso(each["heartbeat_at"]) >= since
            for each in daemons
            if each["heartbeat_at"]
        )

    def trouble(self, minutes: float) -> dict[str, Any]:
        """Return ``failed_jobs``, ``lost_runs``, and ``stuck_runs`` older than *minutes*."""
        with self._refusals():
            return self._dagster.trouble(datetime.now(UTC), minutes)

    def days_left_out(self) -> dict[str, list[date]]:
        """Return, for each job, the days of its schedule on which it had no run."""
        with self._refusals():
            return dagster_gaps.read(self._dagster, datetime.now(UTC))

    def reload(self, location: str) -> str | None:
        """Reload a code location; return why it does not load, or None if it does."""
        with self._refusals():
            return self._dagster.reload(location)

    def stopped_schedules(self) -> list[dict[str, str]]:
        """Return the selectors of the schedules that are off."""
        with self._refusals():
            return self._dagster.stopped_schedules()

    def start_schedule(self, selector: dict[str, str]) -> None:
        """Switch a schedule on."""
        with self._refusals():
            self._dagster.start_schedule(selector)

    def end_run(self, run_id: str, *, seconds: float) -> str:
        """End a run, by force if it does not end within *seconds*; return its status."""
        with self._refusals():
            return self._dagster.end_run(run_id, seconds=seconds)

    def run_job(self, job: str, *, seconds: float) -> dict[str, Any]:
        """Run a job and wait for its end; return id, status and seconds."""
        with self._refusals():
            return self._dagster.run_job(job, until=time.monotonic() + seconds)

    def _send(self, body: dict[str, Any], seconds: float = REQUEST_SECONDS) -> tuple[int, Any]:
        import requests

        try:
            answer = self._session.post(f"{self.url}/graphql", json=body, timeout=seconds)
        except requests.RequestException as exc:
            raise DagsterError(f"no answer ({type(exc).__name__})") from exc
        try:
            return answer.status_code, answer.json()
        except ValueError:
            return answer.status_code, None

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except DagsterError as exc:
            raise OpsError(
                f"Dagster at {self.url} failed a request: {exc}.",
                "Read the log of its web server (`docker logs`); its pages show the same.",
                code="dagster.refused",
            ) from exc
