# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gate's results as a table for a terminal: sections first, failures last."""

from __future__ import annotations

import textwrap
from typing import Any

from ansible.module_utils.pmsops.reports import root_causes as causes

MARKS = {
    "pass": "ok",
    "fail": "FAIL",
    "unknown": "UNKNOWN",
    "waived": "WAIVED",
    "attested": "attested",
}
ORDER = ("waived", "unknown", "fail")
WIDTH = 100
MARK_WIDTH = 8


def table(gate: dict[str, Any], *, report: str | None = None) -> list[str]:
    """Return the lines: every section with its checks, then what is wrong, then the verdict."""
    lines: list[str] = []
    results = gate["results"]
    for section in gate["sections"]:
        mine = [result for result in results if result["section"] == section["id"]]
        good = sum(result["status"] in ("pass", "attested") for result in mine)
        lines += ["", f"{section['title']}  {good} of {len(mine)}"]
        lines += [_line(result) for result in mine]
    wrong = [result for result in results if result["status"] in ORDER]
    if wrong:
        lines += ["", "What is not right"]
        held = causes.held_up(results)
        waiting = sum(bool(result["needs"]) for result in wrong)
        if waiting:
            text = "1 check waits" if waiting == 1 else f"{waiting} checks wait"
            lines.append(f"  {MARKS['unknown']:<{MARK_WIDTH}} {text} for what follows")
        counted = [(result, len(held.get(result["id"], ()))) for result in wrong]
        for result, holds_up in sorted(counted, key=_urgency):
            if not result["needs"] or result["status"] == "waived":
                lines += _explained(result, holds_up)
    lines += ["", *verdict(gate)]
    if report:
        lines.append(f"Report: {report}")
    return lines[1:]


def verdict(gate: dict[str, Any]) -> list[str]:
    """Return the verdict with the numbers that it rests on."""
    counts = gate["counts"]
    numbers = ", ".join(
        f"{counts[status]} {name}"
        for status, name in (
            ("pass", "passed"),
            ("attested", "attested"),
            ("waived", "waived"),
            ("unknown", "unknown"),
            ("fail", "failed"),
        )
        if counts[status]
    )
    flaky = f" ({counts['flaky']} flaky)" if counts.get("flaky") else ""
    partial = " Only a part of the checklist was run: no go-live." if gate.get("partial") else ""
    blocking = len(gate["blocking"])
    because = f" because of {blocking} blocker{'s' if blocking != 1 else ''}" if blocking else ""
    return [
        f"{headline(gate)}{because}: {numbers}{flaky} in {gate['duration_seconds']:.1f} s.{partial}"
    ]


def headline(gate: dict[str, Any]) -> str:
    """Return the verdict in capitals; a part that is well must not be read as a go."""
    well = gate["verdict"] == "go"
    return "PART OF IT WELL" if well and gate.get("partial") else gate["verdict"].upper()


def _line(result: dict[str, Any]) -> str:
    mark = MARKS[result["status"]]
    text = f"  {mark:<{MARK_WIDTH}} {result['title']}"
    if result["status"] in ("pass", "attested") and result["finding"]:
        text += f": {result['finding']}"
    if result["flaky"]:
        text += f" (flaky: passed at try {result['attempts']})"
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def _urgency(counted: tuple[dict[str, Any], int]) -> tuple[int, int, int]:
    """Order by what stops the go-live: that comes last, and what holds most up at the very end."""
    result, holds_up = counted
    severity = ("info", "warning", "blocker").index(result["severity"])
    rank = 0 if result["status"] == "waived" else 1 + severity
    return (rank, ORDER.index(result["status"]), holds_up)


def _explained(result: dict[str, Any], holds_up: int) -> list[str]:
    mark = MARKS[result["status"]]
    held = f", holds up {holds_up}" if holds_up else ""
    lines = [
        f"  {mark:<{MARK_WIDTH}} {result['title']}  [{result['severity']}, {result['id']}{held}]"
    ]
    if result["status"] == "waived":
        waiver = result["waiver"]
        text = f"Waived by {waiver['who']} until {waiver['until']}: {waiver['why']}"
    else:
        text = f"-> {result['remedy']}"
    indent = " " * (MARK_WIDTH + 3)
    for paragraph in (result["finding"], text):
        lines += textwrap.wrap(paragraph, WIDTH, initial_indent=indent, subsequent_indent=indent)
    return lines
