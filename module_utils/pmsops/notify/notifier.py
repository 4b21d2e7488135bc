# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Send messages: through all channels at the same time, with bounded attempts and time.

A failed delivery is recorded. It is no error of the run that the message is about.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.pmsops.common import retry_after
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.notify import state as notify_state
from ansible.module_utils.pmsops.notify.channels import (
    KINDS,
    Channel,
    Email,
    Heartbeat,
    Undelivered,
)
from ansible.module_utils.pmsops.notify.message import Event, Message, compose, redacted

LOOPBACK = ("localhost", "127.0.0.1", "::1")
DEFAULTS: dict[str, Any] = {
    "channels": [],
    "system": "pms-ops",
    "details": False,
    "repeat_minutes": 60,
    "timeout_seconds": 10,
    "attempts": 3,
    "deadline_seconds": 45,
    "state_dir": "~/.local/state/pms-ops",
    "metrics_dir": None,
}
FIRST_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Delivery:
    """The delivery of an event: whether it was sent, and each channel's problem or None."""

    sent: bool
    suppressed: int
    problems: Mapping[str, str | None]
    # Why the record could not be written; the message was sent all the same.
    unrecorded: str | None = None

    def require(self) -> None:
        """Refuse a delivery that did not reach every channel, or had none.

        :raises OpsError: notify.undelivered
        """
        missed = [f"{name}: {problem}" for name, problem in self.problems.items() if problem]
        if missed or not self.problems:
            reasons = "; ".join(missed) or "there is no channel for messages"
            raise OpsError(
                f"The message did not reach every channel: {reasons}.",
                "Correct notify_channels in the inventory, then run playbooks/notify_test.yml.",
                code="notify.undelivered",
            )


@dataclass(frozen=True)
class Notifier:
    """The channels for messages, and the limits of their delivery."""

    channels: tuple[Channel, ...]
    system: str
    details: bool
    repeat: timedelta
    timeout_seconds: float
    attempts: int
    deadline_seconds: float
    state: notify_state.State
    secrets: frozenset[str]
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def from_options(
        cls, options: Mapping[str, Any], *, secrets: Iterable[str] = (), **given: Any
    ) -> Notifier:
        """Return the notifier of a mapping of options; *secrets* are kept out of messages too.

        :raises OpsError: notify.channel
        """
        chosen = DEFAULTS | {k: v for k, v in options.items() if v is not None and k in DEFAULTS}
        channels = tuple(channel(entry) for entry in chosen["channels"])
        names = [each.name for each in channels]
        if len(set(names)) != len(names):
            raise _refused("two channels have the same name", ", ".join(names))
        own = {getattr(each, name, None) for each in channels for name in ("password", "token")}
        own |= {getattr(each, "url", None) for each in channels}
        metrics_dir = chosen["metrics_dir"]
        return cls(
            channels=channels,
            system=" ".join(str(chosen["system"]).split()) or "pms-ops",
            details=bool(chosen["details"]),
            repeat=timedelta(minutes=chosen["repeat_minutes"]),
            timeout_seconds=float(chosen["timeout_seconds"]),
            attempts=int(chosen["attempts"]),
            deadline_seconds=float(chosen["deadline_seconds"]),
            state=notify_state.State(
                Path(chosen["state_dir"]).expanduser(),
                Path(metrics_dir).expanduser() if metrics_dir else None,
                " ".join(str(chosen["system"]).split()),
            ),
            secrets=frozenset(text for text in (*own, *secrets) if text),
            **given,
        )

    def redacted(self, text: str) -> str:
        """Return a text with every secret replaced by asterisks."""
        return redacted(text, self.secrets)

    @property
    def people(self) -> list[Channel]:
        """Return the channels of messages; the others are heartbeats."""
        return [each for each in self.channels if not isinstance(each, Heartbeat)]

    def would_send(self, event: Event) -> bool:
        """Tell whether the event would be sent now; nothing is recorded."""
        due, _ = notify_state.decide(self.state.read(), event, self.repeat)
        return due and bool(self.people)

    def beat(self, job: str, at: datetime) -> Delivery:
        """Ping the heartbeats of a job that succeeded, and record what did not arrive."""
        chosen = [each for each in self.channels if isinstance(each, Heartbeat) and each.is_of(job)]
        if not chosen:
            return Delivery(sent=False, suppressed=0, problems={})
        event = Event("heartbeat", job, "The job succeeded.", at)
        return self._recorded(event, chosen, suppressed=0)

    def send(self, event: Event) -> Delivery:
        """Send the message about an event if it is due, and record the delivery."""
        if not self.people:
            return Delivery(sent=False, suppressed=0, problems={})
        unrecorded = None
        try:
            with self.state.changed() as document:
                due, suppressed = notify_state.decide(document, event, self.repeat)
        except (OpsError, OSError) as exc:
            # Sent once too often is better than not at all.
            due, suppressed, unrecorded = True, 0, type(exc).__name__
        if not due:
            return Delivery(False, suppressed, {}, unrecorded)
        return self._recorded(event, self.people, suppressed, unrecorded)

    def _recorded(
        self,
        event: Event,
        channels: Sequence[Channel],
        suppressed: int,
        unrecorded: str | None = None,
    ) -> Delivery:
        message = compose(
            event,
            self.system,
            details=self.details,
            suppressed=suppressed,
            secrets=self.secrets,
        )
        problems = self._deliver(message, channels)
        try:
            with self.state.changed() as document:
                notify_state.record(document, event, problems, suppressed)
        except (OpsError, OSError) as exc:
            unrecorded = type(exc).__name__
        return Delivery(True, suppressed, problems, unrecorded)

    def _deliver(self, message: Message, channels: Sequence[Channel]) -> dict[str, str | None]:
        """Return the problem of each channel, None where the message arrived by the deadline."""
        problems: dict[str, str | None] = {}
        # What a server asked for comes on top of the deadline, up to a limit.
        waits = dict.fromkeys((each.name for each in channels), 0.0)

        def send(each: Channel) -> None:
            problems[each.name] = self._attempt(each, message, waits)

        # Daemons: a server that sends one byte a second must not keep this process alive.
        threads = {
            each.name: threading.Thread(target=send, args=(each,), daemon=True) for each in channels
        }
        for thread in threads.values():
            thread.start()
        last = time.monotonic() + self.deadline_seconds
        for name, thread in threads.items():
            while thread.is_alive() and (left := last + waits[name] - time.monotonic()) > 0:
                thread.join(left)
        late = f"no end within {self.deadline_seconds:g} s"
        return {each.name: problems.get(each.name, late) for each in channels}

    def _attempt(self, each: Channel, message: Message, waits: dict[str, float]) -> str | None:
        attempt = 0
        while True:
            try:
                each.deliver(message, self.timeout_seconds)
            except Undelivered as exc:
                if not exc.retry:
                    return str(exc)
                asked = None if exc.wait is None else max(exc.wait, FIRST_PAUSE_SECONDS)
                if asked is not None and waits[each.name] + asked <= retry_after.MOST_SECONDS:
                    # It said when it would answer: to ask before would be refused again.
                    waits[each.name] += asked
                    self.sleep(asked)
                    continue
                attempt += 1
                if attempt >= self.attempts:
                    return str(exc)
                self.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
            except Exception as exc:  # noqa: BLE001 -- a notification must not fail its run
                # The exception's text may hold an address; its type does not.
                return f"it failed unexpectedly ({type(exc).__name__})"
            else:
                return None


def channel(options: Mapping[str, Any]) -> Channel:
    """Return the channel of a mapping; its values never appear in an error.

    :raises OpsError: notify.channel
    """
    given = {key: value for key, value in dict(options).items() if value not in (None, "", [])}
    name = str(given.get("name", ""))
    if not name:
        raise _refused("it has no name", "one")
    kind = KINDS.get(str(given.pop("type", "")))
    if kind is None:
        raise _refused(f"its type is not one of {', '.join(KINDS)}", name)
    known = {each.name for each in fields(kind)}
    if unknown := sorted(set(given) - known):
        raise _refused(f"its type has no {', '.join(unknown)}", name)
    needed = ("host", "sender", "recipients") if kind is Email else ("url",)
    if missing := [field for field in needed if field not in given]:
        raise _refused(f"{', '.join(missing)} is missing", name)
    if kind is Email:
        return _email(given, name)
    try:
        address = urlsplit(str(given["url"]))
        plain = address.scheme == "http" and address.hostname in LOOPBACK
        usable = address.hostname is not None and (address.scheme == "https" or plain)
    except ValueError:
        usable = False
    if not usable:
        raise _refused("its url must begin with https:// (http:// only for this machine)", name)
    if kind is Heartbeat:
        given["jobs"] = tuple(given.get("jobs") or ())
    return kind(**given)


def _email(given: dict[str, Any], name: str) -> Email:
    recipients = given.pop("recipients")
    made = Email(**given, recipients=tuple(recipients))
    if made.security not in ("starttls", "tls", "none"):
        raise _refused("its security is not one of starttls, tls, none", name)
    if made.security == "none" and made.username and made.host not in LOOPBACK:
        raise _refused("without security the password would be sent in clear text", name)
    if any(sign in text for text in (made.sender, *made.recipients) for sign in "\r\n"):
        raise _refused("an address has a line break", name)
    return made


def _refused(why: str, name: str) -> OpsError:
    return OpsError(
        f"The notification channel {name} cannot be used: {why}.",
        "Correct notify_channels in the inventory; roles/notify/README.md shows each type.",
        code="notify.channel",
    )
