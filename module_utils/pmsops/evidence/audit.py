# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fields of a record that auditors ask for: one block, ``audit``, the same for every kind.

A run's ``record.json`` and each line of the ledger about a gate, backup, drill, restore, proof,
incident or deficiency have it. What was not measured says NOT MEASURED, and is never a zero. The
control node gives what only it knows (the code, the playbook, the ticket); the record itself says
what was proved and how long it took; the host that writes adds its clock.

``of`` gives the block of lines of older releases too, from what they say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common import host_clock, timestamps
from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.common.version import TOOL
from ansible.module_utils.pmsops.evidence import not_covered, verdicts
from ansible.module_utils.pmsops.evidence.verdicts import NOT_MEASURED

FIELD = "audit"
SCHEMA_VERSION = 2
# The kinds whose lines have the block; the others are acts of a person on a record that has it.
KINDS = frozenset(
    {
        *("gate", "backup", "restore", "swap", "rollback", "drill", "incident"),
        *("proof", "offsite", "host", "deficiency"),
    }
)
# The phases of a recovery, in their order.
PHASES = ("detect", "decide", "fetch", "restore", "verify", "resume")
# Where the bytes came from: sets of this host, a site, the live database.
LOCAL, OFFSITE, LIVE = "local", "offsite", "live"
# What the control node says, each with what stands for it where it says nothing.
GIVEN: dict[str, Any] = {
    "code": {
        "name": TOOL["name"],
        "version": TOOL["version"],
        "commit": NOT_MEASURED,
        "dirty": NOT_MEASURED,
        "sha256": NOT_MEASURED,
    },
    "playbook": {"name": NOT_MEASURED, "sha256": NOT_MEASURED},
    "checklist_sha256": NOT_MEASURED,
    "environment": NOT_MEASURED,
    "ordered_by": {"ticket": None, "by": NOT_MEASURED},
    "started_at": NOT_MEASURED,
    "started_local": NOT_MEASURED,
    "zone": str(BUSINESS_ZONE),
    "not_covered": [],
}
NO_CLOCK = {
    "source": NOT_MEASURED, "server": None, "stratum": None, "offset_seconds": NOT_MEASURED,
}  # fmt: skip
# Phases of which a record says the seconds itself, by the names that records have.
_SECONDS = {
    # From the plan being shown to its approval by a second person; who is alone waits for nobody.
    "decide": ("decide_seconds",),
    "fetch": ("fetch_seconds",),
    "restore": ("restore_seconds",),
    "verify": ("proof_seconds",),
    "resume": ("down_seconds",),
}
_NOW: ContextVar[Mapping[str, Any] | None] = ContextVar("audit", default=None)


@contextmanager
def given(facts: Mapping[str, Any] | None) -> Iterator[None]:
    """Let each line that the ``with`` block adds to the ledger have the block, with these facts.

    None: the lines have none, as those of older releases.
    """
    token = _NOW.set(facts)
    try:
        yield
    finally:
        _NOW.reset(token)


def added(kind: str, record: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Return a record for the ledger, with the block where this run gives one."""
    facts = _NOW.get()
    if facts is None or kind not in KINDS or FIELD in record:
        return record
    return record | {FIELD: block(kind, record, facts, now=now)}


def block(
    kind: str, record: Mapping[str, Any], facts: Mapping[str, Any], *, now: datetime
) -> dict[str, Any]:
    """Return the block of a record that is written now, with the clock of this host."""
    return _block(kind, record, facts) | {
        "written_at": timestamps.utc_stamp(now),
        "clock": host_clock.measure() or dict(NO_CLOCK),
    }


def of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the block of a ledger's line; of an older release, what its record says."""
    record = entry["record"]
    known = record.get(FIELD)
    if isinstance(known, dict):
        return known
    return _block(str(entry["kind"]), record, {}) | {
        "schema_version": 1,
        "written_at": entry["at"],
        "clock": dict(NO_CLOCK),
    }


def _block(kind: str, record: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    known = GIVEN | {name: facts[name] for name in GIVEN if facts.get(name) is not None}
    if record.get("checklist_sha256"):
        known["checklist_sha256"] = record["checklist_sha256"]
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": verdicts.of(kind, record),
        **known,
        "not_covered": not_covered.lines(kind, record, known["not_covered"]),
        "segregated": _segregated(record),
        "source": _source(kind, record),
        "rto": _rto(record),
        "rpo_seconds": _measured(record.get("rpo_seconds")),
    }


def _segregated(record: Mapping[str, Any]) -> bool | str:
    said = record.get("segregated")
    return said if isinstance(said, bool) else NOT_MEASURED


def _source(kind: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return where the bytes came from; *site* and *snapshot* are null unless from off-site."""
    said = record.get("source")
    if isinstance(said, Mapping) and said.get("kind"):
        return {"kind": said["kind"], "site": said.get("site"), "snapshot": said.get("snapshot")}
    if record.get("site") and kind in ("offsite", "host"):
        return {"kind": OFFSITE, "site": record["site"], "snapshot": record.get("snapshot")}
    where = NOT_MEASURED
    if kind == "backup" and record.get("set"):
        where = LIVE
    elif kind in ("drill", "restore", "swap", "proof") and record.get("set"):
        where = LOCAL
    return {"kind": where, "site": None, "snapshot": None}


def _rto(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the seconds of each phase, each NOT MEASURED unless it was."""
    said = record.get("recovery_phases")
    said = said if isinstance(said, Mapping) else {}
    found = {}
    for phase in PHASES:
        seconds = [said.get(phase), *(record.get(name) for name in _SECONDS.get(phase, ()))]
        found[phase] = next(
            (each for each in map(_measured, seconds) if each != NOT_MEASURED), NOT_MEASURED
        )
    return found


def _measured(seconds: Any) -> float | str:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return NOT_MEASURED
    return round(float(seconds), 3)
