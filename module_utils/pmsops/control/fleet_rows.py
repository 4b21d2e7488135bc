# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A fleet as rows: of each system a verdict, how old that is, and what is due, worst first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.textfile_metrics import Gauge
from ansible.module_utils.pmsops.common.timestamps import age, utc_stamp
from ansible.module_utils.pmsops.control.end_table import COULD_NOT_RUN, DONE, FAILED
from ansible.module_utils.pmsops.control.fleet_record import Seen

HEAD = ("system", "verdict", "seen", "newest set", "drill", "gate", "due")
SILENT = "silent"
NOW_SECONDS = 60  # what was seen since is of this run


@dataclass(frozen=True)
class Row:
    """One system: an exit status, the verdict in a word, when it was seen, and what is due."""

    system: str
    label: str  # of its Prometheus series
    status: int
    verdict: str
    seen_at: str | None
    age_seconds: float | None
    newest_set: str | None = None
    set_age_seconds: float | None = None
    drill: str | None = None
    gate: str | None = None
    lines: int | None = None
    sha256: str | None = None
    evidence_root: str | None = None
    due: list[str] = field(default_factory=list)


def row(seen: Seen, *, label: str, now: datetime, silent_seconds: float, failure: str = "") -> Row:
    """Return the row of a system.

    :param failure: why it could not be looked at now; what was seen before is shown with its age.
    """
    if seen.status is None or seen.at is None:
        why = failure or "never seen from here: pms-ops fleet status --ask looks at other machines"
        return Row(seen.system, label, COULD_NOT_RUN, "not seen", None, None, due=[why])
    seconds = (now - seen.at).total_seconds()
    status, verdict, due = _verdict(seen, seconds, silent_seconds, failure)
    found = seen.status
    newest, drill, gate = found["newest_set"], found["drill"], found["gate"]
    return Row(
        system=seen.system,
        label=label,
        status=status,
        verdict=verdict,
        seen_at=utc_stamp(seen.at),
        age_seconds=round(seconds, 1),
        newest_set=newest["id"] if newest else None,
        # What was seen a day ago has become a day older.
        set_age_seconds=_later(newest, seconds),
        drill=_drill(drill, seconds),
        gate=f"{gate['verdict'].upper()} {age(_later(gate, seconds))}" if gate else None,
        lines=found["ledger"]["lines"],
        sha256=found["ledger"]["sha256"],
        evidence_root=found["evidence_root"],
        due=due,
    )


def _verdict(
    seen: Seen, seconds: float, silent_seconds: float, failure: str
) -> tuple[int, str, list[str]]:
    due = [str(each["what"]) for each in (seen.status or {})["due"]]
    if failure:
        return COULD_NOT_RUN, "no answer", [failure, *due]
    if seen.cut:
        return FAILED, "LEDGER CUT", [seen.cut, *due]
    if seconds > silent_seconds:
        return COULD_NOT_RUN, SILENT, [f"nothing was seen of it for {age(seconds)}", *due]
    return (FAILED, "due", due) if due else (DONE, "fine", [])


def _later(found: dict[str, Any] | None, seconds: float) -> float | None:
    if found is None or found.get("age_seconds") is None:
        return None
    return float(found["age_seconds"]) + seconds


def _drill(drill: dict[str, Any] | None, seconds: float) -> str | None:
    if drill is None:
        return None
    return f"{'proved' if drill['proved'] else 'failed'} {age(_later(drill, seconds))}"


def ordered(rows: Iterable[Row]) -> list[Row]:
    """Return the rows, worst first; among equals those with most due."""
    return sorted(rows, key=lambda each: (-each.status, -len(each.due), each.system))


def documents(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return the rows as plain data."""
    return [asdict(each) for each in rows]


def lines(rows: Iterable[Row]) -> list[str]:
    """Return one screen for people: a line for each system, and of what is due the first."""
    cells = [HEAD, *(_cells(each) for each in rows)]
    widths = [max(len(each[n]) for each in cells) for n in range(len(HEAD) - 1)]
    return [
        "  ".join([*(f"{c:<{w}}" for c, w in zip(each, widths, strict=False)), each[-1]]).rstrip()
        for each in cells
    ]


def _cells(found: Row) -> tuple[str, ...]:
    first = found.due[0] if found.due else "-"
    more = f" (and {len(found.due) - 1} more)" if len(found.due) > 1 else ""
    return (
        found.system,
        found.verdict,
        "never" if found.age_seconds is None else _ago(found.age_seconds),
        f"{found.newest_set}, {age(found.set_age_seconds)}" if found.newest_set else "none",
        found.drill or "none",
        found.gate or "none",
        first + more,
    )


def _ago(seconds: float) -> str:
    return "now" if seconds < NOW_SECONDS else f"{age(seconds)} ago"


def gauges(rows: Iterable[Row]) -> list[Gauge]:
    """Return the fleet for Prometheus, each sample with the label `system` and the host's name."""
    found = list(rows)

    def of(name: str, about: str, value: str) -> Gauge:
        samples = [
            ({"system": each.label, "host": each.system}, float(getattr(each, value)))
            for each in found
            if getattr(each, value) is not None
        ]
        return Gauge(name, about, samples)

    due = [({"system": e.label, "host": e.system}, float(len(e.due))) for e in found]
    return [
        of("pms_fleet_status", "0 fine, 1 something is due, 3 nothing is known.", "status"),
        Gauge("pms_fleet_due", "Number of tasks that are due.", due),
        of("pms_fleet_seen_age_seconds", "Age of what is known of the system.", "age_seconds"),
        of("pms_fleet_set_age_seconds", "Age of the newest set.", "set_age_seconds"),
        of("pms_fleet_ledger_lines", "Lines of the ledger.", "lines"),
    ]
