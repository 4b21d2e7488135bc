# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Attestations of items that no probe can see, and waivers of checks that fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from ansible.module_utils.pmsops.checks.checklist import Check, Checklist, read_document
from ansible.module_utils.pmsops.checks.comparison import parse_age
from ansible.module_utils.pmsops.common.errors import OpsError

MAX_WAIVER = timedelta(days=90)
MIN_REASON_CHARACTERS = 10
ATTESTATION = {"check", "who", "role", "when", "until", "why"}
WAIVER = {"check", "who", "role", "when", "until", "why"}


@dataclass(frozen=True)
class Statement:
    """Who says what of which check, since when, until when, and why."""

    check: str
    who: str
    when: str
    why: str
    until: str | None = None
    role: str | None = None

    def plain(self) -> dict[str, Any]:
        """Return the statement as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Statements:
    """The valid statements, by check."""

    attestations: dict[str, Statement]
    waivers: dict[str, Statement]


def load(source: Any, checklist: Checklist, today: date) -> Statements:
    """Return the statements of a mapping, or of the YAML or JSON file that *source* names.

    :raises OpsError: gate.attestations, with everything that is wrong: an expired, future-dated or
        nameless statement, or one about a check that does not exist, is an error and never ignored.
    """
    document = read_document(source, "gate.attestations") if source else {}
    document = {} if document is None else document
    problems: list[str] = []
    if not isinstance(document, dict) or not set(document) <= {"attestations", "waivers"}:
        problems.append("it is no mapping with the lists `attestations` and `waivers`")
        document = {}
    known = {check.id: check for check in checklist.checks}
    found: dict[str, dict[str, Statement]] = {"attestations": {}, "waivers": {}}
    for kind, fields in (("attestations", ATTESTATION), ("waivers", WAIVER)):
        entries = [] if document.get(kind) is None else document[kind]
        if not isinstance(entries, list):
            problems.append(f"{kind} is no list")
            continue
        for number, entry in enumerate(entries, 1):
            where = f"{kind} {number}"
            faults = list(_faults(kind, entry, fields, known, today))
            if isinstance(entry, dict) and entry.get("check"):
                where += f" ({entry['check']})"
                if str(entry["check"]) in found[kind]:
                    faults.append("the check has one already")
            problems += [f"{where}: {fault}" for fault in faults]
            if not faults:
                statement = _statement(entry)
                found[kind][statement.check] = statement
    if problems:
        raise OpsError(
            "The attestations cannot be used: " + "; ".join(problems[:20]) + ".",
            "Correct or renew them in the attestations file; nothing was checked.",
            code="gate.attestations",
        )
    return Statements(**found)


def _statement(entry: dict[str, Any]) -> Statement:
    return Statement(
        check=entry["check"],
        who=str(entry["who"]).strip(),
        when=_day(entry["when"]).isoformat(),
        until=_day(entry["until"]).isoformat() if entry.get("until") else None,
        why=" ".join(str(entry["why"]).split()),
        role=str(entry["role"]) if entry.get("role") else None,
    )


def _faults(
    kind: str, entry: Any, fields: set[str], known: dict[str, Check], today: date
) -> Iterator[str]:
    """Yield each reason why a statement is void."""
    if not isinstance(entry, dict):
        yield "it is no mapping"
        return
    if unknown := sorted(str(name) for name in set(entry) - fields):
        yield f"unknown field {', '.join(unknown)}"
    needed = ["check", "who", "when", "why", *(["until"] if kind == "waivers" else [])]
    for name in needed:
        if not str(entry.get(name) or "").strip():
            yield f"{name} is missing"
    # A number of YAML is no id: the statement would be accepted, and found by no check.
    named = entry.get("check")
    check = known.get(named) if isinstance(named, str) else None
    if named and check is None:
        yield "there is no such check"
    if check is not None and (check.probe == "attest") != (kind == "attestations"):
        yield (
            "a probe answers this check, so nobody can attest it; a waiver would do"
            if kind == "attestations"
            else "this check is attested, so it takes an attestation and no waiver"
        )
    if entry.get("why") and len(str(entry["why"]).strip()) < MIN_REASON_CHARACTERS:
        yield f"why says too little: {entry['why']!r}"
    yield from _date_faults(kind, entry, check, today)


def _date_faults(
    kind: str, entry: dict[str, Any], check: Check | None, today: date
) -> Iterator[str]:
    days = {}
    for name in ("when", "until"):
        if entry.get(name):
            try:
                days[name] = _day(entry[name])
            except ValueError:
                yield f"{name} is no date: {entry[name]!r}"
    when, until = days.get("when"), days.get("until")
    if when and when > today:
        yield f"it is dated {when}, which lies in the future"
    if until and until < today:
        yield f"it expired on {until}"
    if when and until and until < when:
        yield "it ends before it begins"
    if kind == "waivers" and when and until and until - when > MAX_WAIVER:
        yield f"a waiver lasts at most {MAX_WAIVER.days} days"
    if kind == "attestations" and when and check is not None and check.window:
        window = parse_age(check.window)
        if isinstance(window, timedelta) and today - when > window:
            yield f"it is {(today - when).days} days old, and counts for {check.window}"


def _day(value: Any) -> date:
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(str(value).strip())
