# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of the tables about decisions, restores and changes; facts.py has the others."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.evidence import audit, chain, deficiencies, verdicts
from ansible.module_utils.pmsops.export.period import read_moment
from ansible.module_utils.pmsops.export.segment import DEFICIENCY, HOLD, WAIVER, Line, Segment


def base(line: Line) -> dict[str, Any]:
    """Return what every row has: its line, its time, its verdict."""
    said = audit.of(line.entry) if line.entry else {}
    verdict = verdicts.of(line.kind, line.record)
    ordered = said.get("ordered_by")
    return {
        "line": line.number,
        "at": line.entry["at"] if line.entry else None,
        "kind": line.kind,
        "verdict": verdict.lower().replace(" ", "_"),
        "ticket": ordered.get("ticket") if isinstance(ordered, dict) else None,
        "ran_by": _person(ordered.get("by")) if isinstance(ordered, dict) else None,
    }


def _person(value: Any) -> str | None:
    return value if isinstance(value, str) and value != verdicts.NOT_MEASURED else None


def phases(line: Line) -> dict[str, Any]:
    """Return the phases of a recovery: the seconds of those measured, the others, and the sum."""
    said = audit.of(line.entry)["rto"] if line.entry else {}
    took = {name: number(said.get(name)) for name in audit.PHASES}
    known = {name: seconds for name, seconds in took.items() if seconds is not None}
    return {
        "phases": known,
        "missing": [name for name in audit.PHASES if name not in known],
        "phases_seconds": sum(known.values()) if known else None,
        "elapsed_seconds": _elapsed(line),
    }


def _elapsed(line: Line) -> float | None:
    """Return the seconds from the start of a run to its line, pauses between phases included."""
    began = read_moment(audit.of(line.entry).get("started_at")) if line.entry else None
    if began is None or line.at is None:
        return None
    return duration((line.at - began).total_seconds())


def number(value: Any) -> float | None:
    """Return a number, None for whatever else a record has."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < float("inf") else None


def duration(value: Any) -> float | None:
    """Return a number of seconds; a negative one was never measured."""
    found = number(value)
    return found if found is not None and found >= 0 else None


def names(value: Any) -> list[str]:
    """Return the texts of a list."""
    return [str(each) for each in value] if isinstance(value, list) else []


def waivers(segment: Segment) -> list[dict[str, Any]]:
    """Return the waivers that were in force on a day of the period."""
    since = segment.period.since.isoformat()
    return [
        base(each)
        | {name: each.record.get(name) for name in ("check", "who", "why", "when", "until")}
        for each in segment.until_end(WAIVER)
        if str(each.record.get("until") or "9999") >= since
    ]


def hold_acts(segment: Segment) -> list[dict[str, Any]]:
    """Return each hold that was in force on a day of the period: set, lifted, or both."""
    acts = [
        base(each)
        | {"set": said.get("set"), "other": said.get("other_database") or None}
        | {"act": said.get("act"), "reason": said.get("reason") or None}
        | {"ran_by": _person(said.get("by")), "ticket": said.get("ticket") or None}
        for each in segment.until_end(HOLD)
        for said in (each.record,)
    ]
    start = segment.period.start
    ended = {
        (each["set"], each["other"]): each["line"]
        for each in acts
        if each["act"] == "lifted" and (at := read_moment(each["at"])) is not None and at < start
    }
    return [each for each in acts if each["line"] > ended.get((each["set"], each["other"]), 0)]


def deletions(segment: Segment) -> list[dict[str, Any]]:
    """Return the sets that retention or a person removed."""
    return [
        base(each)
        | {
            "sets": removed,
            "other": each.record.get("other_database") or None,
            "by": "policy" if each.record.get("set") or each.kind == "offsite" else "person",
            "reason": each.record.get("reason"),
            "site": each.kind == "offsite",
        }
        for each in segment.of_kind("backup", "offsite")
        if (removed := names(each.record.get("removed")))
    ]


def restore(line: Line) -> dict[str, Any]:
    """Return the row of a restore, a swap, a rollback or a new machine."""
    said = line.record
    control = said.get("negative_control")
    return (
        base(line)
        | phases(line)
        | {
            "set": said.get("set") or said.get("brought_back") or said.get("incoming"),
            "other": said.get("other_database") or None,
            "down_seconds": number(said.get("down_seconds")),
            "former": said.get("former") or said.get("undone") or said.get("kept_volume"),
            "why": said.get("why"),
            "tables": said["tables"] if isinstance(said.get("tables"), list) else None,
            "rpo_seconds": duration(said.get("rpo_seconds")),
            "rpo_target_seconds": duration(said.get("rpo_target_seconds")),
            "control": control.get("outcome") if isinstance(control, dict) else None,
            "not_covered": names(audit.of(line.entry).get("not_covered")) if line.entry else [],
        }
    )


def incidents(files: Mapping[str, bytes], segment: Segment) -> list[dict[str, Any]]:
    """Return the incidents of the export, with the phases that the last line of each has."""
    ended = {each.record.get("incident"): each for each in segment.lines if each.kind == "incident"}
    found = []
    for name, content in sorted(files.items()):
        if not (name.startswith("incidents/") and name.endswith("/incident.json")):
            continue
        try:
            said = json.loads(content)
        except (ValueError, RecursionError):
            said = None
        said = said if isinstance(said, dict) else {}
        facts = _object(said.get("facts"))
        name = name.split("/")[1]
        line = ended.get(name)
        found.append(
            phases(line or Line(0, b"", None))
            | {
                "id": name,
                "line": line.number if line else None,
                "title": said.get("title"),
                "began_at": said.get("began_at"),
                "closed_at": said.get("closed_at"),
                "recovery_seconds": number(said.get("recovery_seconds")),
                "cause": facts.get("cause"),
                "data_loss": facts.get("data_loss"),
                "readable": bool(said),
            }
        )
    return found


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def open_deficiencies(segment: Segment, now: datetime | None = None) -> list[dict[str, Any]]:
    """Return those that were open on a day of the period, as they were at its end.

    The end is *now* where the period is not over: what is due later is not overdue yet.
    """
    lines = segment.until_end(DEFICIENCY)
    entries = [each.entry for each in lines if each.entry and each.record]
    end = segment.period.end - timedelta(seconds=1)
    end = min(end, now) if now else end
    return [
        each
        | {
            "closed_line": ((each["closed"] or {}).get("record") or {}).get("line"),
            "days_late": _days_late(each, end),
        }
        for each in deficiencies.collect(entries, end)
        if not _closed_before(each, segment)
    ]


def _days_late(each: Mapping[str, Any], end: datetime) -> int | None:
    """Return the days from the due date to the closing, or to *end*; None: no date can be read."""
    closed = read_moment(each["closed"]["at"]) if each["closed"] else end
    try:
        due = date.fromisoformat(str(each["due"]))
    except ValueError:
        return None
    return max((closed.astimezone(BUSINESS_ZONE).date() - due).days, 0) if closed else None


def _closed_before(each: Mapping[str, Any], segment: Segment) -> bool:
    closed = each["closed"]
    at = read_moment(closed["at"]) if closed else None
    return at is not None and at < segment.period.start


def changes(segment: Segment) -> list[dict[str, Any]]:
    """Return changes of keys, of the machine, and lines that a person accepted."""
    found = []
    for line in segment.of_kind(chain.SIGNING, "host", "merge"):
        said = line.record
        what = str(said.get("event")) if line.kind == chain.SIGNING else line.kind
        found.append(
            base(line)
            | {
                "what": what,
                "key": said.get("key"),
                "who": said.get("who"),
                "why": said.get("why"),
                "lines": said.get("lines") if what == chain.ACCEPTED else None,
                "machine": said.get("machine") or said.get("folder"),
            }
        )
    return found


def person(line: Line) -> dict[str, Any]:
    """Return the row of what a person signed or attested."""
    said = line.record
    said_of = ("role", "name", "decision", "run", "task", "check", "when", "until", "why")
    return base(line) | {name: said.get(name) for name in said_of}


def not_covered(segment: Segment) -> list[tuple[str, int]]:
    """Return what records say that they do not cover, with the number of records."""
    found: Counter[str] = Counter()
    for line in segment.inside:
        said = line.record.get(audit.FIELD)
        missing = said.get("not_covered") if isinstance(said, dict) else None
        for each in missing if isinstance(missing, list) else []:
            found[each if isinstance(each, str) else json.dumps(each, sort_keys=True)] += 1
    return sorted(found.items())
