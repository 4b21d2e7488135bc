# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The results of a gate as a table for a terminal: sections first, failures last."""

from __future__ import annotations

import textwrap
from typing import Any

from ansible.module_utils.pmsops.reports import root_causes

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
BROKEN = (
    "The gate says nothing about the system: check {check} had a wrong expectation, and was not"
    " seen to fail."
)
PARTIAL = "Partial run passed (no go-live verdict)"


def table(gate: dict[str, Any], *, report: str | None = None, short: bool = False) -> list[str]:
    """Return the lines: every section with its checks, then the failures, then the verdict.

    A *short* table has one line for each section, so that it fits on a screen.
    """
    lines: list[str] = []
    results = gate["results"]
    width = max((len(section["title"]) for section in gate["sections"]), default=0)
    for section in gate["sections"]:
        mine = [
            result
            for result in results
            if result["section"] == section["id"] and not _is_absent(result)
        ]
        good = sum(result["status"] in ("pass", "attested") for result in mine)
        if short:
            lines += [
                *([] if lines else [""]),
                f"{section['title']:<{width}}  {good} of {len(mine)}",
            ]
            continue
        lines += ["", f"{section['title']}  {good} of {len(mine)}"]
        lines += [_line(result) for result in mine]
    missed = [result for result in results if result["status"] in ORDER and not _is_absent(result)]
    if missed:
        lines += ["", "Not passed"]
        dependents = root_causes.dependents_of_root_causes(results)
        if waiting := sum(bool(result["needs"]) for result in missed):
            text = f"{waiting} check{'s' if waiting != 1 else ''} not run, blocked by those below"
            lines.append(f"  {MARKS['unknown']:<{MARK_WIDTH}} {text}")
        lines += _shared(gate)
        counted = [(result, len(dependents.get(result["id"], ()))) for result in missed]
        for result, blocks in sorted(counted, key=_severity):
            if result.get("cause") and result["status"] == "unknown":
                continue
            if not result["needs"] or result["status"] == "waived":
                lines += _describe(result, blocks)
    if absent := [result["id"] for result in results if _is_absent(result)]:
        text = f"Not in the inventory, so not checked: {', '.join(absent)}"
        lines += ["", *textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)]
    lines += ["", *verdict(gate)]
    if report:
        lines.append(f"Report: {report}")
    return lines[1:]


def verdict(gate: dict[str, Any]) -> list[str]:
    """Return the verdict with the number of checks by status."""
    absent = sum(_is_absent(result) for result in gate.get("results") or [])
    counts = gate["counts"] | {"absent": absent}
    counts["unknown"] -= absent
    numbers = ", ".join(
        f"{counts[status]} {name}"
        for status, name in (
            ("pass", "passed"),
            ("attested", "attested"),
            ("waived", "waived"),
            ("unknown", "unknown"),
            ("fail", "failed"),
            ("absent", "not in the inventory"),
        )
        if counts[status]
    )
    flaky = f" ({counts['flaky']} flaky)" if counts.get("flaky") else ""
    is_no_go = gate["verdict"] != "go"
    partial = " Partial run of the checklist." if is_no_go and gate.get("partial") else ""
    if gate["verdict"] == "broken":
        partial += f" {BROKEN.format(check=gate['negative_control']['check'])}"
    blocking = len(gate["blocking"])
    because = f" because of {blocking} blocker{'s' if blocking != 1 else ''}" if blocking else ""
    return [
        # The run as a whole has a time of its own, with backup and drill: two would be compared.
        f"{headline(gate)}{because}: {numbers}{flaky}.{partial}"
    ]


def headline(gate: dict[str, Any]) -> str:
    """Return the verdict in capitals; a partial run that passes must not be read as a go."""
    if gate["verdict"] == "go" and gate.get("partial"):
        return PARTIAL
    return str(gate["verdict"]).upper()


def _is_absent(result: dict[str, Any]) -> bool:
    """Tell whether a check is about a part that the system does not have."""
    return bool(result.get("absent")) and result["status"] == "unknown"


def _shared(gate: dict[str, Any]) -> list[str]:
    """Return each cause that several results share, with their ids: one remedy for all of them."""
    lines = []
    indent = " " * (MARK_WIDTH + 3)
    for shared in gate.get("causes") or []:
        count = len(shared["checks"])
        checks = f"{count} check{'s' if count != 1 else ''}"
        lines.append(
            f"  {MARKS['unknown']:<{MARK_WIDTH}} {checks} without an answer: {shared['cause']}"
        )
        text = f"-> Run this again when the host is quiet: {', '.join(shared['checks'])}"
        lines += textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)
    return lines


def _line(result: dict[str, Any]) -> str:
    mark = MARKS[result["status"]]
    text = f"  {mark:<{MARK_WIDTH}} {result['title']}"
    if result["status"] in ("pass", "attested") and result["finding"]:
        text += f": {result['finding']}"
    if result["flaky"]:
        text += f" (flaky: passed at attempt {result['attempts']})"
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def _severity(counted: tuple[dict[str, Any], int]) -> tuple[int, int, int]:
    """Sort least severe first; the blocker with the most dependents last."""
    result, blocks = counted
    severity = ("info", "warning", "blocker").index(result["severity"])
    rank = 0 if result["status"] == "waived" else 1 + severity
    return (rank, ORDER.index(result["status"]), blocks)


def _describe(result: dict[str, Any], blocks: int) -> list[str]:
    mark = MARKS[result["status"]]
    others = f", blocks {blocks} other check{'s' if blocks != 1 else ''}" if blocks else ""
    lines = [
        f"  {mark:<{MARK_WIDTH}} {result['title']}  [{result['severity']}, {result['id']}{others}]"
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
