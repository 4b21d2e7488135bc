# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What people are told about scheduled jobs, and the same as a table."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import moment
from ansible.module_utils.pmsops.notify.message import Event
from ansible.module_utils.pmsops.notify.notifier import Notifier, Outcome
from ansible.module_utils.pmsops.schedule.state import Schedule

CONFIG = "notify.json"
# systemd's words for how a service ended, in ours. Source: systemd.exec(5), $SERVICE_RESULT.
RESULTS = {
    "exit-code": "ended with an error",
    "signal": "was killed",
    "core-dump": "crashed",
    "timeout": "took longer than it may",
    "oom-kill": "was killed because memory ran out",
    "resources": "could not be started",
}


@dataclass(frozen=True)
class Notifying:
    """A schedule, and whom to tell about it."""

    schedule: Schedule
    notifier: Notifier
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    say: Callable[[str], None] = print

    @classmethod
    def beside(cls, path: Path, schedule: Schedule) -> Notifying:
        """Return it with the configuration that lies beside the schedule; without one, silent.

        :raises OpsError: notify.config, notify.channel
        """
        config = path.with_name(CONFIG)
        try:
            options = json.loads(config.read_text(encoding="utf-8"))
        except FileNotFoundError:
            options = {}
        except (OSError, ValueError) as exc:
            raise OpsError(
                f"The configuration of the notifications, {config}, cannot be read"
                f" ({type(exc).__name__}).",
                "Run playbooks/schedule.yml, which writes it.",
                code="notify.config",
            ) from exc
        return cls(schedule, Notifier.from_options(options))

    def after_run(self, name: str) -> None:
        """Tell of a failure or a recovery of one job, and of every other one that is late."""
        record = self._record(name)
        ended = record["result"] if record else None
        if ended == "success":
            since = f"A run that began at {_local(record['succeeded_start'])} was good."
            for source in (name, f"{name} (late)"):
                self._tell("recovery", source, since)
        elif ended is not None:
            self._failed(name, record)
        for late in self.schedule.late(self.now()):
            if late["failing_since"]:
                continue  # told when it failed, with its reason
            error = OpsError(
                f"{late['title']} has had no good run by {_local(late['fresh_until'])}.",
                f"Look at systemctl list-timers and journalctl -u pms-ops-{late['name']}.service.",
                code="schedule.late",
            )
            facts = {"last success": _local(late["succeeded_at"])}
            self._tell_error(f"{late['name']} (late)", error, facts)

    def digest(self) -> None:
        """Tell how all jobs are, and which messages did not arrive."""
        now = self.now()
        facts = {}
        wrong = 0
        for record in self._records():
            state, well = _state(record, now)
            wrong += not well
            facts[record["name"]] = state
        for name, channel in self.notifier.state.read()["channels"].items():
            if channel["undelivered"]:
                facts[f"channel {name}"] = (
                    f"{channel['undelivered']} messages undelivered since"
                    f" {_local(channel['failing_since'])}: {channel['problem']}"
                )
                wrong += 1
        summary = "all scheduled jobs are well" if not wrong else f"{wrong} need attention"
        self._tell("digest", "digest", summary, facts=facts)

    def _failed(self, name: str, record: dict[str, Any]) -> None:
        known = record["failure"] or {}
        how = RESULTS.get(record["result"], record["result"])
        facts = {"exit status": str(record["exit_status"])}
        facts |= {key: known[key] for key in ("playbook", "host", "task") if known.get(key)}
        facts["last success"] = _local(record["succeeded_at"])
        error = OpsError(
            f"{record['title']} {how}.",
            f"Read journalctl -u pms-ops-{name}.service.",
            code="schedule.failed",
        )
        # What the playbook itself said is nearer to the cause.
        error.code = known.get("code") or error.code
        self._tell_error(name, error, facts, tuple(known.get("details") or ()))

    def _tell_error(
        self, source: str, error: OpsError, facts: dict[str, str], details: tuple[str, ...] = ()
    ) -> None:
        facts = {"error": error.code} | facts | {"next": error.remedy}
        self._tell("failure", source, str(error), code=error.code, facts=facts, details=details)

    def _tell(self, kind: str, source: str, summary: str, **more: Any) -> None:
        outcome = self.notifier.tell(Event(kind, source, summary, self.now(), **more))
        for line in lines(kind, source, outcome):
            self.say(line)

    def _records(self) -> list[dict[str, Any]]:
        return self.schedule.planned(self.now())["jobs"]

    def _record(self, name: str) -> dict[str, Any] | None:
        self.schedule.job(name)
        return next((record for record in self._records() if record["name"] == name), None)


def lines(kind: str, source: str, outcome: Outcome) -> list[str]:
    """Return what became of a message, for a log."""
    found = [
        f"{kind} of {source}: {name}: {problem or 'delivered'}"
        for name, problem in outcome.problems.items()
    ]
    if not outcome.told and outcome.suppressed:
        found.append(f"{kind} of {source}: told already, {outcome.suppressed} held back since")
    if outcome.unrecorded:
        found.append(f"{kind} of {source}: could not be remembered ({outcome.unrecorded})")
    return found


def show(schedule: Schedule, now: datetime, say: Callable[[str], None]) -> int:
    """Say how each job is; return 1 where one is late or failed, 0 otherwise."""
    states = {
        record["name"]: (record["when"], *_state(record, now))
        for record in schedule.planned(now)["jobs"]
    }
    for name, (when, state, well) in states.items():
        say(f"{'ok    ' if well else 'WRONG '} {name:<16} {when:<28} {state}")
    return int(not all(well for _, _, well in states.values()))


def _state(record: dict[str, Any], now: datetime) -> tuple[str, bool]:
    until = moment(record["fresh_until"])
    if record["failing_since"]:
        how = RESULTS.get(record["result"], record["result"] or "fails")
        return f"{how}; fails since {_local(record['failing_since'])}", False
    if until < now:
        return f"late: no success by {_local(record['fresh_until'])}", False
    if record["succeeded_at"] is None:
        return f"not due yet; to succeed by {_local(record['fresh_until'])}", True
    return f"good, {_local(record['succeeded_at'])}", True


def _local(text: str | None) -> str:
    if text is None:
        return "never"
    return f"{moment(text).astimezone(BUSINESS_ZONE):%Y-%m-%d %H:%M}"
