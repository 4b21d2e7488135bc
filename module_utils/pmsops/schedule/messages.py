# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Messages about scheduled jobs, and their state as a table."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, moment
from ansible.module_utils.pmsops.notify.message import Event
from ansible.module_utils.pmsops.notify.notifier import Delivery, Notifier
from ansible.module_utils.pmsops.schedule import timers, watch
from ansible.module_utils.pmsops.schedule.state import Schedule

CONFIG = "notify.json"
# How a service ended: systemd's name, and words. Source: systemd.exec(5), $SERVICE_RESULT.
RESULTS = {
    "exit-code": "ended with an error",
    "signal": "was killed",
    "core-dump": "crashed",
    "timeout": "timed out",
    "oom-kill": "was killed because memory ran out",
    "resources": "could not be started",
}


@dataclass(frozen=True)
class JobNotifier:
    """Sends the messages about a schedule."""

    schedule: Schedule
    notifier: Notifier
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    say: Callable[[str], None] = print

    @classmethod
    def from_config(cls, path: Path, schedule: Schedule) -> JobNotifier:
        """Return it with the configuration next to *path*; without one it sends nothing.

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
        """Report the failure or recovery of one job, and every other job that is late."""
        record = self._record(name)
        if record and record["result"] == "success":
            since = f"The run that began at {_local(record['succeeded_start'])} succeeded."
            for source in (name, f"{name} (late)"):
                self._send("recovery", source, since)
            for line in lines("heartbeat", name, self.notifier.beat(name, self.now())):
                self.say(line)
        elif record and record["result"] is not None:
            self._failed(name, record)
        for late in self.schedule.late(self.now()):
            if late["failing_since"]:
                continue  # reported when it failed, with its reason
            error = OpsError(
                f"{late['title']} has not succeeded by {_local(late['fresh_until'])}.",
                f"Look at systemctl list-timers and journalctl -u"
                f" {self.schedule.unit_prefix}{late['name']}.service.",
                code="schedule.late",
            )
            facts = {"last success": _local(late["succeeded_at"])}
            self._send_error(f"{late['name']} (late)", error, facts)
        self._watch_late()

    def after_look(self, record: dict[str, Any]) -> None:
        """Report what the watch saw, or that the stream is whole again."""
        problem = record["problem"]
        if problem is None:
            self._send("recovery", watch.SOURCE, "The stream of WAL runs, and is whole.")
            return
        if problem["code"] == watch.UNREPAIRED:
            return  # the job reports its own failure
        error = OpsError(problem["text"], problem["remedy"], code=problem["code"])
        self._send_error(watch.SOURCE, error, {"since": _local(record["since"])})

    def digest(self) -> None:
        """Report the state of all jobs, and the messages that did not arrive."""
        now = self.now()
        facts = {}
        failed = 0
        for record in self._records():
            state, is_well = _state(record, now, timers.problem(self.schedule, record["name"]))
            failed += not is_well
            facts[record["name"]] = state
        watched = watch.state(self.schedule, now)
        if watched is not None:
            facts[watch.SOURCE] = watched[0]
            failed += not watched[1]
        for name, channel in self.notifier.state.read()["channels"].items():
            if channel["undelivered"]:
                facts[f"channel {name}"] = (
                    f"{channel['undelivered']} messages undelivered since"
                    f" {_local(channel['failing_since'])}: {channel['problem']}"
                )
                failed += 1
        summary = f"{failed} need attention" if failed else "all scheduled jobs succeeded"
        self._send("digest", "digest", summary, facts=facts)

    def _watch_late(self) -> None:
        """Report a watch that no longer looks, and its return."""
        source, now = f"{watch.SOURCE} (late)", self.now()
        if self.schedule.watch is None:
            return
        if not watch.is_late(self.schedule, now):
            self._send("recovery", source, "The watch over continuous protection looks again.")
            return
        error = OpsError(
            "The watch over continuous protection has not looked for five minutes.",
            f"Look at systemctl list-timers and journalctl -u"
            f" {self.schedule.unit_prefix}{watch.SOURCE}.service.",
            code="schedule.late",
        )
        self._send_error(source, error, {"last look": _local(watch.read(self.schedule)["at"])})

    def _failed(self, name: str, record: dict[str, Any]) -> None:
        known = record["failure"] or {}
        how = RESULTS.get(record["result"], record["result"])
        facts = {"exit status": str(record["exit_status"])}
        facts |= {key: known[key] for key in ("playbook", "host", "task") if known.get(key)}
        facts["last success"] = _local(record["succeeded_at"])
        error = OpsError(
            f"{record['title']} {how}.",
            f"Read journalctl -u {self.schedule.unit_prefix}{name}.service.",
            code="schedule.failed",
        )
        # The code of the playbook's own error is closer to the cause.
        error.code = known.get("code") or error.code
        self._send_error(name, error, facts, tuple(known.get("details") or ()))

    def _send_error(
        self, source: str, error: OpsError, facts: dict[str, str], details: tuple[str, ...] = ()
    ) -> None:
        facts = {"error": error.code} | facts | {"next": error.remedy}
        self._send("failure", source, str(error), code=error.code, facts=facts, details=details)

    def _send(self, kind: str, source: str, summary: str, **more: Any) -> None:
        delivery = self.notifier.send(Event(kind, source, summary, self.now(), **more))
        for line in lines(kind, source, delivery):
            self.say(line)

    def _records(self) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = self.schedule.planned(self.now())["jobs"]
        return records

    def _record(self, name: str) -> dict[str, Any] | None:
        self.schedule.job(name)
        return next((record for record in self._records() if record["name"] == name), None)


def lines(kind: str, source: str, delivery: Delivery) -> list[str]:
    """Return the result of a delivery as lines for a log."""
    found = [
        f"{kind} of {source}: {name}: {problem or 'delivered'}"
        for name, problem in delivery.problems.items()
    ]
    if not delivery.sent and delivery.suppressed:
        found.append(f"{kind} of {source}: already sent, {delivery.suppressed} suppressed since")
    if delivery.unrecorded:
        found.append(f"{kind} of {source}: could not be recorded ({delivery.unrecorded})")
    return found


def show(schedule: Schedule, now: datetime, say: Callable[[str], None]) -> int:
    """Print the state of each job; return 1 if one is late or failed, else 0."""
    states = {
        record["name"]: (
            record["when"],
            *_state(record, now, timers.problem(schedule, record["name"])),
        )
        for record in schedule.planned(now)["jobs"]
    }
    if (watched := watch.state(schedule, now)) is not None:
        states[watch.SOURCE] = ("twice a minute", *watched)
    for name, (when, state, is_well) in states.items():
        say(f"{'ok    ' if is_well else 'FAILED'} {name:<16} {when:<28} {state}")
    return int(not all(is_well for _, _, is_well in states.values()))


def _state(record: dict[str, Any], now: datetime, unstarted: str) -> tuple[str, bool]:
    """Return the state of a job, and whether it is well; *unstarted* says why nothing starts it."""
    until = moment(record["fresh_until"])
    if record["failing_since"]:
        how = RESULTS.get(record["result"], record["result"] or "failed")
        return f"{how}; failing since {_local(record['failing_since'])}", False
    if until < now:
        return f"late: no success by {_local(record['fresh_until'])}", False
    if unstarted:
        return f"{unstarted}; last success {_local(record['succeeded_at'])}", False
    if record["succeeded_at"] is None:
        return f"not due yet; must succeed by {_local(record['fresh_until'])}", True
    return f"succeeded {_local(record['succeeded_at'])}", True


def _local(text: str | None) -> str:
    if text is None:
        return "never"
    return f"{moment(text).astimezone(BUSINESS_ZONE):%Y-%m-%d %H:%M}"
