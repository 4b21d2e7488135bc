# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The record of messages: a failure is reported once, and so is its end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files, process_lock, textfile_metrics
from ansible.module_utils.pmsops.common.files import hand_over
from ansible.module_utils.pmsops.common.textfile_metrics import Gauge
from ansible.module_utils.pmsops.common.timestamps import moment, stamp
from ansible.module_utils.pmsops.notify.message import Event

STATE = "notify.json"
LOCK = ".notify.lock"
METRICS = "pms_notify.prom"
LOCK_SECONDS = 10.0
MAX_MESSAGES = 50


class State:
    """The record of the notifications, in a folder."""

    def __init__(self, folder: Path, metrics_folder: Path | None = None, system: str = "") -> None:
        self.folder = folder
        self.system = system
        self.metrics_folder = metrics_folder

    def read(self) -> dict[str, Any]:
        """Return the record; an unreadable one counts as empty."""
        try:
            document = json.loads((self.folder / STATE).read_text(encoding="utf-8"))
            kept = {name: document[name] for name in ("open", "channels", "messages")}
        except (OSError, ValueError, KeyError, TypeError):
            return {"open": {}, "channels": {}, "messages": []}
        return kept

    @contextmanager
    def changed(self) -> Iterator[dict[str, Any]]:
        """Lock the record for a ``with`` block, then write it as the block left it.

        :raises OpsError: lock.held
        """
        files.make_private_folder(self.folder)
        lock = self.folder / LOCK
        with process_lock.awaited(lock, "record of the notifications", seconds=LOCK_SECONDS):
            hand_over(lock)
            document = self.read()
            yield document
            content = json.dumps({"version": 1} | document, indent=2).encode() + b"\n"
            files.replace(self.folder / STATE, content)
            hand_over(self.folder / STATE)
            if self.metrics_folder is not None:
                found = gauges(document["channels"])
                hand_over(textfile_metrics.write(self.metrics_folder, found, METRICS, self.system))


def decide(document: dict[str, Any], event: Event, repeat: timedelta) -> tuple[bool, int]:
    """Return whether an event is to be sent, and how many like it were suppressed; record it.

    The same failure of the same source is sent once in *repeat*. A recovery is sent if a failure
    was open.
    """
    if event.kind not in ("failure", "recovery"):
        return True, 0
    found = document["open"].get(event.source)
    if event.kind == "recovery":
        document["open"].pop(event.source, None)
        return found is not None, 0 if found is None else found["suppressed"]
    if found is None:
        found = {"since": stamp(event.at), "told_at": None, "suppressed": 0, "code": event.code}
        document["open"][event.source] = found
    sent = None if found["told_at"] is None else moment(found["told_at"])
    # A time in the future was written before the clock was set back.
    if found["code"] == event.code and sent and sent <= event.at < sent + repeat:
        found["suppressed"] += 1
        return False, found["suppressed"]
    suppressed = found["suppressed"]
    found |= {"told_at": stamp(event.at), "suppressed": 0, "code": event.code}
    return True, suppressed


def record(
    document: dict[str, Any], event: Event, problems: Mapping[str, str | None], suppressed: int
) -> None:
    """Record the delivery to each channel: a problem, or None where the message arrived.

    A failure that reached nobody counts as not sent, so the next one is sent at once.
    """
    at = stamp(event.at)
    for name, problem in problems.items():
        channel = document["channels"].setdefault(
            name, {"delivered_at": None, "undelivered": 0, "problem": None, "failing_since": None}
        )
        if problem is None:
            channel |= {"delivered_at": at, "undelivered": 0}
            channel |= {"problem": None, "failing_since": None}
        else:
            channel |= {"undelivered": channel["undelivered"] + 1, "problem": problem}
            channel["failing_since"] = channel["failing_since"] or at
    if event.kind == "heartbeat":
        return  # no message, and one for each run of a job
    message = {
        "at": at,
        "kind": event.kind,
        "source": event.source,
        "code": event.code,
        "undelivered": {name: problem for name, problem in problems.items() if problem},
    }
    document["messages"] = [*document["messages"], message][-MAX_MESSAGES:]
    reached = any(problem is None for problem in problems.values())
    if event.kind == "failure" and not reached and event.source in document["open"]:
        found = document["open"][event.source]
        found |= {"told_at": None, "suppressed": found["suppressed"] + suppressed + 1}


def gauges(channels: Mapping[str, dict[str, Any]]) -> list[Gauge]:
    """Return the gauges about the channels."""
    delivered = [
        ({"channel": name}, moment(channel["delivered_at"]).timestamp())
        for name, channel in channels.items()
        if channel["delivered_at"]
    ]
    undelivered = [
        ({"channel": name}, float(channel["undelivered"])) for name, channel in channels.items()
    ]
    return [
        Gauge("pms_notify_last_delivered_timestamp_seconds",
              "When a message last arrived at the channel.", delivered),
        Gauge("pms_notify_undelivered",
              "Messages that did not arrive at the channel since one last did.", undelivered),
    ]  # fmt: skip
