# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The text of a message. Without ``details`` it has names, codes, counts and times only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE

KINDS = ("failure", "recovery", "digest", "test")
HEADS = {
    "failure": "FAILED",
    "recovery": "recovered",
    "digest": "digest",
    "test": "test message",
    "heartbeat": "succeeded",  # pinged, never sent as a text
}
MAX_CHARACTERS = 6000


@dataclass(frozen=True)
class Event:
    """An event that people should know about.

    *facts* are safe for anybody: names of jobs, error codes, counts. *details* may hold the text of
    an error, so they are sent only where the configuration allows it.
    """

    kind: str
    source: str
    summary: str
    at: datetime
    code: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Message:
    """An event as it is sent."""

    event: Event
    system: str
    text: str
    subject: str
    suppressed: int

    @property
    def at(self) -> datetime:
        """Return the time of the event."""
        return self.event.at

    def document(self) -> dict[str, Any]:
        """Return the message as data."""
        return {
            "version": 1,
            "kind": self.event.kind,
            "system": self.system,
            "source": self.event.source,
            "code": self.event.code,
            "at": self.event.at.isoformat(timespec="seconds"),
            "subject": self.subject,
            "text": self.text,
            "facts": dict(self.event.facts),
            "suppressed": self.suppressed,
        }


def compose(
    event: Event, system: str, *, details: bool, suppressed: int, secrets: frozenset[str]
) -> Message:
    """Return the message about an event; a secret in it is replaced by asterisks."""
    head = f"[{system}] {event.source}: {HEADS[event.kind]}"
    if event.kind == "digest":
        head = f"[{system}] {event.summary}"
    lines = [head, "", f"{_local(event.at)}: {event.summary}"]
    lines += [f"{name}: {value}" for name, value in event.facts.items()]
    if suppressed:
        lines.append(f"Messages suppressed since the last one: {suppressed}.")
    if details and event.details:
        lines += ["", *event.details]
    text = redacted("\n".join(lines), secrets)
    if len(text) > MAX_CHARACTERS:
        text = text[: MAX_CHARACTERS - 1] + "…"
    return Message(
        event=event,
        system=system,
        text=text + "\n",
        subject=redacted(" ".join(head.split()), secrets),
        suppressed=suppressed,
    )


def redacted(text: str, secrets: frozenset[str]) -> str:
    """Return a text with each of the secrets replaced by asterisks."""
    # The longest first: one secret may be the beginning of another.
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "********")
    return text


def _local(at: datetime) -> str:
    return f"{at.astimezone(BUSINESS_ZONE):%Y-%m-%d %H:%M} São Paulo"
