# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the report for a period tells, as rows that are of no language.

Everything comes from lines of the ledger and from files that the export has, so a reader can look
each row up. A value that nobody measured is None.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.evidence import set_list, verdicts
from ansible.module_utils.pmsops.export import (
    anchored,
    gate_results,
    heading,
    persons,
    rows,
    set_contents,
    set_history,
)
from ansible.module_utils.pmsops.export.segment import Line, Segment

RESTORES = ("restore", "swap", "rollback", "host")
PERSONS = ("signoff", "attestation")
# Names in records of what a drill or a proof says of time and data, and of their targets.
TIMES = ("rto_seconds", "rpo_seconds", "rto_target_seconds", "rpo_target_seconds")


@dataclass
class Facts:
    """The rows of each table of the report."""

    runs: list[dict[str, Any]] = field(default_factory=list)
    sets: list[dict[str, Any]] = field(default_factory=list)
    drills: list[dict[str, Any]] = field(default_factory=list)
    waivers: list[dict[str, Any]] = field(default_factory=list)
    holds: list[dict[str, Any]] = field(default_factory=list)
    hold_acts: list[dict[str, Any]] = field(default_factory=list)
    deletions: list[dict[str, Any]] = field(default_factory=list)
    restores: list[dict[str, Any]] = field(default_factory=list)
    incidents: list[dict[str, Any]] = field(default_factory=list)
    deficiencies: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    persons: list[dict[str, Any]] = field(default_factory=list)
    approvals: list[dict[str, Any]] = field(default_factory=list)
    # Roles that have to sign a run, each with the whole runs that it did not sign.
    unsigned: list[tuple[str, int, int]] = field(default_factory=list)
    checklists: list[dict[str, Any]] = field(default_factory=list)
    not_covered: list[tuple[str, int]] = field(default_factory=list)
    # The moment of the ledger's first line, where the period began before it.
    begins: str | None = None
    interval: dict[str, Any] | None = None
    # The newest set that was proved and not found damaged at the end of the period.
    newest_good: dict[str, Any] | None = None
    ages: list[dict[str, Any]] = field(default_factory=list)
    anchors: dict[str, Any] = field(default_factory=dict)  # see anchored.py
    # Lines about copies on other sites.
    offsite: int = 0
    environments: list[tuple[str | None, int]] = field(default_factory=list)
    code: list[tuple[str | None, int]] = field(default_factory=list)
    clock: dict[str, Any] = field(default_factory=dict)


def collect(
    segment: Segment,
    files: Mapping[str, bytes],
    present: Iterable[Mapping[str, Any]],
    now: datetime | None = None,
) -> Facts:
    """Return the rows; *present* are the sets that are on the disk, as set_list has them."""
    present = list(present)
    records = _records(files)
    sets = _sets(segment, present)
    acts = rows.hold_acts(segment)
    return Facts(
        runs=[_run(each, records) for each in segment.of_kind("gate")],
        sets=sets,
        drills=[_drill(each) for each in _proofs(segment.inside)],
        waivers=rows.waivers(segment),
        holds=[
            {
                "set": each["id"],
                "other": each.get("other_database"),
                "reason": each["hold_reason"],
                "made": each["snapshot_at"],
                "since": _held_since(acts, each["id"], each.get("other_database")),
            }
            for each in present
            if each["held"]
        ],
        hold_acts=acts,
        deletions=rows.deletions(segment),
        restores=[rows.restore(each) for each in segment.of_kind(*RESTORES)],
        incidents=rows.incidents(files, segment),
        deficiencies=rows.open_deficiencies(segment, now),
        changes=rows.changes(segment),
        persons=[
            *(rows.person(each) for each in segment.of_kind(*PERSONS)),
            *persons.attested(segment, records),
        ],
        approvals=persons.approvals(segment),
        unsigned=persons.unsigned(segment),
        checklists=checklists(records),
        not_covered=rows.not_covered(segment),
        begins=segment.begins.isoformat() if segment.begins and segment.begins_inside else None,
        interval=set_contents.longest_interval(segment, now),
        newest_good=set_history.newest_good(segment, sets, now),
        ages=set_history.ages(segment, now),
        anchors=anchored.of(files, segment),
        offsite=sum(each.record.get("failed") in (None, []) for each in segment.of_kind("offsite")),
        environments=heading.environments(segment),
        code=heading.code(segment),
        clock=heading.clock(segment),
    )


def _held_since(acts: Iterable[Mapping[str, Any]], name: str, other: str | None) -> str | None:
    """Return when the hold of a set began, by the newest line of it; None where none says so."""
    of_set = [each for each in acts if (each["set"], each["other"]) == (name, other or None)]
    return of_set[-1]["at"] if of_set and of_set[-1]["act"] == "held" else None


def checklists(records: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each version of the checklist that ran whole, with its checks, oldest first."""
    found: dict[str, dict[str, Any]] = {}
    before: set[str] = set()
    for name, record in sorted(records.items()):
        digest = record.get("checklist_sha256")
        if not isinstance(digest, str) or record.get("partial") is not False:
            continue
        checks = _checks(record)
        if digest not in found:
            ids = {each["id"] for each in checks}
            found[digest] = {
                "sha256": digest,
                "first": name,
                "runs": 0,
                "checks": checks,
                "blockers": sum(each["severity"] == "blocker" for each in checks),
                "added": sorted(ids - before) if before else [],
                "removed": sorted(before - ids),
            }
            before = ids
        found[digest]["last"] = name
        found[digest]["runs"] += 1
    return list(found.values())


def _checks(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    results = record.get("results")
    results = results if isinstance(results, list) else []
    names = ("id", "title", "section", "severity")
    return [
        {name: str(each.get(name)) for name in names} for each in results if isinstance(each, dict)
    ]


def _records(files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """Return the records of the runs that can be read, by run."""
    found = {}
    for name, content in files.items():
        if name.startswith("records/") and name.endswith("/record.json"):
            try:
                document = json.loads(content)
            except (ValueError, RecursionError):
                continue
            if isinstance(document, dict):
                found[name.split("/")[1]] = document
    return found


def _run(line: Line, records: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    said = line.record
    counts = said.get("counts")
    counts = counts if isinstance(counts, dict) else {}
    known = {name: each for name, each in counts.items() if isinstance(each, int)}
    known.pop("flaky", None)
    control = said.get("negative_control")
    record = records.get(str(said.get("run")))
    found = gate_results.of(record) if record else gate_results.Result(None)
    return rows.base(line) | {
        "run": str(said.get("run")),
        "partial": said.get("partial") is True,
        "result": found.result,
        "unanswered": found.unanswered,
        "failed": found.failed,
        "waived": found.waived,
        "flaky": found.flaky,
        "passed": known.get("pass", 0) if known else None,
        "attested": known.get("attested", 0) if known else None,
        "checks": sum(known.values()) if known else None,
        "not_measured": known.get("unknown"),
        "blocking": [str(each) for each in said.get("blocking") or []],
        "control": control.get("outcome") if isinstance(control, dict) else None,
        "has_record": str(said.get("run")) in records,
    }


def _proofs(lines: Iterable[Line]) -> list[Line]:
    """Return the drills, proofs of continuous protection, and proofs of other sites."""
    return [
        each
        for each in lines
        if each.kind in ("drill", "proof") or (each.kind == "offsite" and "proved" in each.record)
    ]


def _drill(line: Line) -> dict[str, Any]:
    said = line.record
    numbers = {name: rows.duration(said.get(name)) for name in TIMES}
    control = said.get("negative_control")
    return (
        rows.base(line)
        | rows.phases(line)
        | numbers
        | {
            "set": said.get("set") or said.get("moment") or set_history.named_in_error(line),
            "set_of_error": set_history.named_in_error(line) is not None,
            "where": said.get("drill_host") or said.get("site"),
            "segregated": said.get("segregated") is True,
            "other": said.get("other_database") or None,
            "control": control.get("outcome") if isinstance(control, dict) else None,
            "why": said.get("why"),
        }
    )


def _sets(segment: Segment, present: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the sets that were made in the period: which were proved, and where they are."""
    there = {str(each["id"]): each for each in present}
    proofs: dict[str, list[Line]] = {}
    gone: dict[str, Line] = {}
    for line in segment.lines:
        for name in rows.names(line.record.get("removed")):
            gone[name] = line
    for line in (*_proofs(segment.lines), *(e for e in segment.lines if e.kind == "restore")):
        if of := set_history.set_of(line):
            proofs.setdefault(of, []).append(line)
    found = []
    for line in segment.of_kind("backup"):
        if not line.record.get("set"):
            continue
        name = str(line.record["set"])
        good = [e for e in proofs.get(name, []) if verdicts.of(e.kind, e.record) == verdicts.PASS]
        happened = set_history.events(proofs.get(name, []))
        now, aside = there.get(name), there.get(name + set_list.DAMAGED)
        found.append(
            rows.base(line)
            | {
                "set": name,
                "other": line.record.get("other_database") or None,
                "size_bytes": rows.number(line.record.get("size_bytes")),
                "rows": rows.number(line.record.get("rows")),
                "proved_by": [each.number for each in good],
                "events": happened,
                "shown": set_history.shown(happened),
                "state": "damaged" if now and now["problem"] else "held" if now and now["held"]
                else "there" if now else "set_aside" if aside
                else "removed" if name in gone else "unknown",
                "removed_by": gone[name].number if name in gone else None,
                "not_covered": set_contents.not_proved(good),
            }
            | set_contents.of_set(line, now or aside)
        )  # fmt: skip
    return found
