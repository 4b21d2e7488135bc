# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page over all runs: facts as texts, and the HTML that is rendered from them.

The facts may come from damaged files, so each value is looked at before it is used.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from functools import cache
from typing import TYPE_CHECKING, Any

from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.common.timestamps import from_iso
from ansible.module_utils.pmsops.reports import charts
from ansible.module_utils.pmsops.reports.site_template import SCRIPT, TEMPLATE

if TYPE_CHECKING:
    from jinja2 import Template

UNDATED = "without a date"
LONGEST = 160  # characters of a value in a line about an entry; its record has all of them
# What an entry of the ledger says first; then come its other plain values, without hashes.
FIRST = ("run", "verdict", "set", "proved", "database", "other_database", "incident", "scenario")
MONTH = len("2026-11")


def page(facts: Mapping[str, Any]) -> str:
    """Return the page. The same facts give the same page."""
    runs = [_run(each) for each in facts["runs"]]
    sets = [_set(number, each) for number, each in enumerate(facts["sets"])]
    incidents = [_incident(each) for each in facts["incidents"]]
    links = {"gate": _links(facts["runs"]), "incident": _links(facts["incidents"])}
    anchors = {each["id"]: each["anchor"] for each in sets}
    entries = facts["entries"]
    drills = [_drill(each, anchors) for each in entries if each["kind"] == "drill"]
    return _template().render(
        system=facts["system"],
        ledger=facts["ledger"],
        newest=_moment(entries[0]["at"]) if entries else None,
        problems=facts["problems"],
        runs=runs,
        sets=sets,
        drills=drills,
        fetched=any(each["fetched"] for each in drills),
        elsewhere=any(each["where"] for each in drills),
        incidents=incidents,
        deficiencies=[_deficiency(each) for each in facts["deficiencies"]],
        months=_months(entries, links),
        proved=sum(bool(each["verified_at"]) for each in facts["sets"]),
        open=sum(not each["closed"] for each in incidents),
        script=SCRIPT,
        script_hash=_hash(SCRIPT),
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(TEMPLATE)


def _hash(script: str) -> str:
    """Return by which hash the page's policy lets this script run, and no other."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _run(run: Mapping[str, Any]) -> dict[str, Any]:
    verdict = str(run["verdict"]) if run["verdict"] else "unknown"
    counts = {name: number for name, each in _items(run["counts"]) if (number := _number(each))}
    counts.pop("flaky", None)
    good = counts.get("pass", 0) + counts.get("attested", 0)
    blocking = run["blocking"] if isinstance(run["blocking"], list) else []
    partial_go = verdict == "go" and run["partial"]
    return {
        "id": run["id"],
        "at": _moment(run["at"]),
        "verdict": "partial run passed" if partial_go else verdict.upper(),
        "tone": {"go": "good", "unknown": "warn"}.get(verdict, "bad"),
        "checks": f"{good:.0f} of {sum(counts.values()):.0f}" if counts else "unknown",
        "blocking": ", ".join(map(str, blocking)),
        "control": _control(run["negative_control"]),
        "problem": run["problem"],
        "record": run["record"],
        "report": run["report"],
    }


def _set(number: int, found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": found["id"],
        "anchor": f"set-{number}",
        "other": found["other_database"],
        "made": _moment(found["snapshot_at"]),
        "size": charts.size(_number(found["size_bytes"])),
        "verified": _moment(found["verified_at"]),
        "held": found["hold_reason"],
        "problem": found["problem"],
        "manifest": found["manifest"],
    }


def _drill(entry: Mapping[str, Any], anchors: Mapping[str, str]) -> dict[str, Any]:
    said = entry["record"]
    proved = said.get("proved") is True
    host, name = said.get("drill_host"), str(said.get("set"))
    apart = "segregated" if said.get("segregated") is True else "not segregated"
    took, target = _number(said.get("rto_seconds")), _number(said.get("rto_target_seconds"))
    other = said.get("other_database")
    return {
        "line": f"line-{entry['number']}",
        "seq": entry["seq"],
        "at": _moment(entry["at"]),
        "set": f"{name} of {other}" if other else name,
        "anchor": anchors.get(name) if not other else None,
        "outcome": "proved" if proved else "broken proof" if said.get("broken") else "failed",
        "tone": "good" if proved else "bad",
        "rto": charts.duration(took),
        "target": charts.duration(target) if target else None,
        "late": bool(target and took and took > target),
        "rpo": charts.duration(_number(said.get("rpo_seconds"))),
        "fetched": _duration(said.get("rto_with_fetch_seconds")),
        "where": f"{host}, {apart}" if host else "",
        "control": _control(said.get("negative_control")),
    }


def _incident(found: Mapping[str, Any]) -> dict[str, Any]:
    closed = bool(found["closed_at"]) and not found["problem"]
    outcome = str(found["outcome"] or "").replace("_", " ")
    return {
        "id": found["id"],
        "title": str(found["title"] or found["scenario"] or found["id"]),
        "at": _moment(found["at"]),
        "closed": closed,
        "state": (outcome or "closed") if closed else f"open{f', {outcome}' if outcome else ''}",
        "took": _duration(found["recovery_seconds"]),
        "cause": _plain(found["cause"]),
        "lost": _plain(found["data_loss"]),
        "problem": found["problem"],
        "record": found["record"],
        "report": found["report"],
    }


def _deficiency(found: Mapping[str, Any]) -> dict[str, Any]:
    closed = found["closed"]
    shown = closed["record"] if closed and isinstance(closed["record"], dict) else {}
    return {
        "id": found["id"],
        "title": _plain(found["title"]),
        "finding": _plain(found["finding"]),
        "owner": _plain(found["owner"]),
        "opened": _moment(found["opened_at"]),
        "due": _plain(found["due"]),
        "ends": None if closed else _end_of_day(found["due"]),
        "closed": _moment(closed["at"]) if closed else None,
        "shown": shown.get("line"),
    }


def _end_of_day(day: Any) -> str | None:
    """Return the last second of a day in the fund's zone; None for what is no day."""
    try:
        end = datetime.combine(date.fromisoformat(str(day)), time(23, 59, 59), BUSINESS_ZONE)
    except ValueError:
        return None
    return end.isoformat(timespec="seconds")


def _months(
    entries: Iterable[Mapping[str, Any]], links: Mapping[str, Mapping[str, str]]
) -> list[dict[str, Any]]:
    """Return the lines of the ledger by month, in the order that they came in."""
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        at = _moment(entry["at"])
        month = at["text"][:MONTH] if at and at["stamp"] else UNDATED
        said = entry["record"]
        name = str(said.get("run") if entry["kind"] == "gate" else said.get("incident"))
        found.setdefault(month, []).append(
            {
                "anchor": f"line-{entry['number']}",
                "seq": entry["seq"],
                "at": at,
                "kind": entry["kind"],
                "text": _text(said),
                "link": links.get(entry["kind"], {}).get(name),
                "record": json.dumps(said, ensure_ascii=False, sort_keys=True),
            }
        )
    return [{"month": month, "lines": lines} for month, lines in found.items()]


def _text(record: Mapping[str, Any]) -> str:
    """Return the plain values of a record, the telling ones first; hashes are left out."""
    names = [name for name in FIRST if name in record]
    names += [name for name in record if name not in FIRST and not name.endswith("sha256")]
    return "; ".join(
        f"{name.replace('_', ' ')}: {text}" for name in names if (text := _plain(record[name]))
    )


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or isinstance(value, (dict, list)):
        return ""
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _control(found: Any) -> str:
    """Return what a negative control found; nothing where the release had none."""
    if not isinstance(found, dict) or not found.get("outcome"):
        return ""
    what = found.get("table") or found.get("check")
    return f"{found['outcome']}{f' ({what})' if what else ''}"


def _links(found: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {each["id"]: each["report"] or each["record"] for each in found if each["record"]}


def _items(found: Any) -> Iterable[tuple[str, Any]]:
    return found.items() if isinstance(found, dict) else ()


def _number(value: Any) -> float | None:
    """Return a number that can be shown; None for whatever else a damaged file has."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if math.isfinite(value) else None


def _duration(value: Any) -> str:
    number = _number(value)
    return "" if number is None else charts.duration(number)


def _moment(value: Any) -> dict[str, str] | None:
    """Return a moment for people, in the fund's zone, and its stamp; None without one."""
    if not value:
        return None
    try:
        at = from_iso(value).astimezone(BUSINESS_ZONE)
    except (TypeError, ValueError, OverflowError):
        return {"text": str(value), "stamp": ""}
    return {"text": at.strftime("%Y-%m-%d %H:%M"), "stamp": at.isoformat(timespec="seconds")}
