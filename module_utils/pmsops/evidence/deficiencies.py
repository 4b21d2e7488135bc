# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Deficiencies: each has an owner and a due date, and is closed by the record that shows it.

They are lines of the ledger and nothing else: one that opens (``act: opened``), and one that closes
(``act: closed``), which names the line that shows the remedy by number and SHA-256.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import audit, ledger, verdicts

KIND = "deficiency"
OPENED, CLOSED = "opened", "closed"
SHOWN = 5
# What names a record beside the number of its line.
_NAMES = ("run", "incident", "set")
_FACTS = ("title", "owner", "due", "finding", "opened_by")


@dataclass(frozen=True)
class Request:
    """A deficiency to open."""

    title: str
    owner: str
    due: str  # a day, as 2026-12-15
    finding: str = ""  # what was found, and where
    by: str = ""  # who opens it


def collect(entries: Iterable[Mapping[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """Return all deficiencies of a ledger, in the order in which they were opened.

    *closed* is None while one is open; *overdue* is counted by the fund's day.
    """
    today = now.astimezone(BUSINESS_ZONE).date()
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        record = entry["record"]
        if entry["kind"] != KIND or not isinstance(record, dict):
            continue
        if not isinstance(record.get("id"), str):
            continue
        name = record["id"]
        if record.get("act") == OPENED:
            facts = {fact: record.get(fact) for fact in _FACTS}
            found[name] = {"id": name, "opened_at": entry["at"], "line": entry["seq"]}
            found[name] |= facts | {"closed": None, "overdue": _passed(facts["due"], today)}
        elif record.get("act") == CLOSED and name in found:
            closed = {fact: record.get(fact) for fact in ("closed_by", "record", "note")}
            found[name] |= {"closed": {"at": entry["at"]} | closed, "overdue": False}
    return list(found.values())


def open_ones(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those that are open, those that are due first before the others."""
    return sorted(
        (each for each in found if each["closed"] is None), key=lambda each: str(each["due"])
    )


def overdue(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those that are open past their due date, the oldest date first."""
    return [each for each in open_ones(found) if each["overdue"]]


def text(each: Mapping[str, Any]) -> str:
    """Return one as a line for people."""
    return f"deficiency {each['id']} ({each['title']}) of {each['owner']}, due {each['due']}"


def due(found: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return what is due of them, and the command for it."""
    return [
        (f"{text(each)}, is overdue", f"pms-ops deficiency close {each['id']} --record LINE")
        for each in overdue(found)
    ]


def describe(found: Iterable[dict[str, Any]], say: Callable[[str, str], None]) -> None:
    """Report the open ones to people, as a name and a text; nothing where none is open."""
    still = open_ones(found)
    if still:
        late = len(overdue(still))
        names = ", ".join(each["id"] for each in still[:SHOWN])
        more = f" and {len(still) - SHOWN} more" if len(still) > SHOWN else ""
        say("deficiency", f"{len(still)} open, {late} overdue: {names}{more}")


def open_new(
    evidence_root: Path,
    request: Request,
    *,
    now: datetime,
    keys: Path | None = None,
    check: bool = False,
) -> tuple[dict[str, Any], bool]:
    """Open a deficiency; return it, and whether it is new: the same one is not opened twice.

    :raises OpsError: deficiency.incomplete, deficiency.due or ledger.unwritable
    """
    _require_complete(request, now)
    wanted = {"title": request.title, "owner": request.owner, "due": request.due}
    for each in open_ones(_read(evidence_root, now)):
        if all(each[name] == value for name, value in wanted.items()):
            return each, False
    record = {"act": OPENED, **wanted, "finding": request.finding, "opened_by": request.by}
    if check:
        return _planned(record), True
    facts = audit.added(KIND, record, now)
    with ledger.writing(evidence_root) as tail:
        signer = tail.signer(keys, now)
        # The line has its own number as the name: unique, and found at once.
        name = f"D-{tail.count + 1}"
        tail.add(KIND, facts | {"id": name}, now, signer)
    return _named(evidence_root, name, now), True


def close(
    evidence_root: Path,
    name: str,
    shown_by: str,
    *,
    by: str,
    now: datetime,
    note: str = "",
    keys: Path | None = None,
    check: bool = False,
) -> tuple[dict[str, Any], bool]:
    """Close a deficiency by the record that shows it; return it, and whether that is new.

    *shown_by* is the number of a line, or the name of a run, an incident or a set.

    :raises OpsError: deficiency.unknown, deficiency.record or ledger.unwritable
    """
    chain = ledger.inspect(evidence_root)
    known = _named(evidence_root, name, now, chain)
    entry = _shown(chain.entries, known, shown_by)
    shown = {
        "line": entry["seq"],
        "kind": entry["kind"],
        "at": entry["at"],
        "sha256": chain.line_hashes[entry["seq"] - 1],
    }
    if known["closed"] is not None:
        if known["closed"]["record"] == shown:
            return known, False
        raise OpsError(
            f"Deficiency {name} was closed on {known['closed']['at']} by another record.",
            "Open a new one if the fault is back; pms-ops deficiency list --all shows both.",
            code="deficiency.unknown",
        )
    record = {"act": CLOSED, "id": name, "record": shown, "closed_by": by, "note": note}
    if not check:
        ledger.append(evidence_root, KIND, record, now=now, keys=keys)
        return _named(evidence_root, name, now), True
    closed = {"at": None, "closed_by": by, "record": shown, "note": note}
    return known | {"closed": closed, "overdue": False}, True


def _require_complete(request: Request, now: datetime) -> None:
    lacking = [name for name in ("title", "owner") if not getattr(request, name).strip()]
    if lacking:
        raise OpsError(
            f"The deficiency has no {' and no '.join(lacking)}.",
            'pms-ops deficiency open --title "..." --owner "Maria Silva" --due 2026-12-15',
            code="deficiency.incomplete",
        )
    try:
        day = date.fromisoformat(request.due)
    except ValueError:
        day = None
    if day is None or day < now.astimezone(BUSINESS_ZONE).date():
        raise OpsError(
            f"{request.due!r} is no due date: it has to be a day, today or later, as 2026-12-15.",
            "Give the day by which the owner has the remedy shown, with --due.",
            code="deficiency.due",
        )


def _shown(
    entries: Sequence[dict[str, Any]], known: Mapping[str, Any], shown_by: str
) -> dict[str, Any]:
    """Return the line that shows the remedy: a later one, of another kind, that did not fail."""
    fitting = [
        each
        for each in entries
        if (shown_by.isdigit() and each["seq"] == int(shown_by))
        or any(str(each["record"].get(name)) == shown_by for name in _NAMES)
    ]
    later = [each for each in fitting if each["seq"] > known["line"]]
    good = [each for each in later if each["kind"] != KIND and _counts(each)]
    if good:
        return good[-1]
    why = (
        "the ledger has no such record"
        if not fitting
        else f"it is older than the deficiency, which is line {known['line']}"
        if not later
        else f"line {later[-1]['seq']} ({later[-1]['kind']}) did not pass"
    )
    raise OpsError(
        f"Record {shown_by} does not show that deficiency {known['id']} is remedied: {why}.",
        "Run what shows it (a gate, a drill, a backup), or let a person attest it; then name the"
        " number of that line, the run, the incident or the set.",
        code="deficiency.record",
    )


def _counts(entry: Mapping[str, Any]) -> bool:
    """Tell whether a line shows a remedy; what a person attested or signed has no verdict."""
    verdict = verdicts.of(str(entry["kind"]), entry["record"])
    return verdict == verdicts.PASS or str(entry["kind"]) in ("attestation", "signoff")


def _named(
    evidence_root: Path, name: str, now: datetime, chain: ledger.Chain | None = None
) -> dict[str, Any]:
    entries = (chain or ledger.inspect(evidence_root)).entries
    for each in collect(entries, now):
        if each["id"] == name:
            return each
    raise OpsError(
        f"The ledger has no deficiency {name}.",
        "pms-ops deficiency list names those that are open.",
        code="deficiency.unknown",
    )


def _read(evidence_root: Path, now: datetime) -> list[dict[str, Any]]:
    return collect(ledger.inspect(evidence_root).entries, now)


def _planned(record: Mapping[str, Any]) -> dict[str, Any]:
    facts = {name: record.get(name) for name in _FACTS}
    return (
        {"id": None, "opened_at": None, "line": None} | facts | {"closed": None, "overdue": False}
    )


def _passed(day: Any, today: date) -> bool:
    try:
        return date.fromisoformat(str(day)) < today
    except ValueError:
        return True  # a date that cannot be read must not hide the deficiency
