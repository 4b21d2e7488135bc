# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Continuous protection at a glance, whatever of it is down.

``Protection.status`` asks the engine, and fails where that does not answer. An overview is what
the status, metrics and the go-live checklist show: it names such a failure as one problem among
others, and says up to which moment WAL had been received before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.evidence import ledger, proofs
from ansible.module_utils.pmsops.pitr import damage, window
from ansible.module_utils.pmsops.repository import protection

EMPTY: dict[str, Any] = {
    "earliest": None,
    "latest": None,  # of what can be restored: now, or when the newest WAL was received
    "gap": None,  # a WAL segment that is missing
    "missing": None,  # one that is missing now, so that no moment after it can be had
    "backups": 0,
    "newest_backup": None,
    "lag_seconds": None,
    "lag_bytes": None,
    "active": False,
    "slot": None,
    "slot_lost": False,
    "kept_bytes": None,
    "canary": None,
    "unwitnessed": [],  # times without a canary row
    "engine": None,  # another engine that protects the server; None: ours
    "unknown": {},  # of window and stream: why nobody can say
    "former_servers": [],  # what whole servers replaced
    "unprovable": None,  # why base backups and WAL cannot be proved here
    "problems": [],
}
# What was so when it was last seen, and still is.
LASTING = (
    *("earliest", "latest", "gap", "missing", "backups", "newest_backup"),
    *("canary", "unwitnessed", "engine", "unprovable", "former_servers"),
)


@dataclass(frozen=True)
class Place:
    """Where an overview is noted; each folder may be None."""

    database: str
    root: Path | None
    evidence_root: Path | None
    metrics: Path | None
    system: str = ""

    def before(self) -> dict[str, Any] | None:
        """Return what was seen before."""
        return protection.read(self.root) if self.root else None

    def keep(self, seen: Mapping[str, Any]) -> None:
        """Note it, and publish its gauges. A note that cannot be written hinders nobody."""
        with suppress(OSError):
            if self.root and self.root.is_dir():
                protection.write(self.root, seen)
            if self.metrics:
                entries = ledger.inspect(self.evidence_root).entries if self.evidence_root else ()
                proof = proofs.last(entries)
                protection.publish(self.metrics, self.database, seen, proof, self.system)

    def forget(self) -> None:
        """Remove notes and gauges."""
        if self.root:
            protection.forget(self.root, self.metrics, self.system)
            damage.forget(self.root)


def take(
    ask: Callable[[], dict[str, Any]], before: Mapping[str, Any] | None, now: datetime
) -> tuple[dict[str, Any], dict[str, Any] | OpsError]:
    """Return the overview, and the answer of *ask* (``Protection.status``) or its error."""
    try:
        answer = ask()
    except OpsError as exc:
        known = {name: (before or EMPTY).get(name, EMPTY[name]) for name in LASTING}
        lag = protection.seconds_since(known["latest"], now)
        problems = [f"{exc} {exc.remedy}".strip()]
        whole = EMPTY | known | {"lag_seconds": lag, "problems": problems, "at": utc_stamp(now)}
        return whole, exc
    return of(answer, before, now), answer


def of(
    answer: Mapping[str, Any], before: Mapping[str, Any] | None, now: datetime
) -> dict[str, Any]:
    """Return the overview of an answer of ``Protection.status``."""
    found, stream, canary = answer["window"], answer["stream"] or {}, answer["canary"]
    unknown = answer.get("unknown") or {}
    live = found["latest"] is not None
    latest = found["latest"] or found["received"]
    if "window" not in unknown:
        latest = latest or (before or {}).get("latest")
    caught_up = live and stream.get("behind_bytes") == 0
    arrived = latest if not live else (found["received"] or latest)
    lag = 0.0 if caught_up else protection.seconds_since(arrived, now)
    if answer.get("engine"):
        lag = stream.get("seconds")  # it was judged where both sides are known
    return EMPTY | {
        "at": utc_stamp(now),
        "earliest": found["earliest"],
        "latest": latest if found["earliest"] else None,
        "gap": found["gap"],
        "missing": found["missing"],
        "backups": found["backups"],
        "newest_backup": found["newest_backup"],
        "lag_seconds": lag,
        "lag_bytes": stream.get("behind_bytes"),
        "active": bool(stream.get("active")),
        "slot": stream.get("slot"),
        "slot_lost": stream.get("slot") in window.LOST,
        "kept_bytes": stream.get("kept_bytes"),
        "canary": canary["newest"],
        "unwitnessed": canary["gaps"],
        "engine": answer.get("engine"),
        "unknown": unknown,
        "former_servers": answer.get("former_servers", []),
        "unprovable": answer.get("unprovable"),
        "problems": [*found["problems"], *([] if stream else ["The server does not answer."])],
    }
