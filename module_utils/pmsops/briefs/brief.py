# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The brief of a time block: readings, checks and manual tasks on one page."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.briefs import book, operations
from ansible.module_utils.pmsops.briefs.reading import Reading, Source
from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.pairs import together
from ansible.module_utils.pmsops.common.timestamps import from_iso, utc_stamp
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.reports.html_style import STYLE

FOLDER = "ops"
READINGS: dict[str, Callable[[Source], Reading]] = {
    "pipeline": operations.pipeline,
    "pack": operations.pack,
    "snapshot": operations.snapshot,
    "proposals": book.proposals,
    "alerts": book.alerts,
    "marks": book.marks,
    "result": book.result,
    "theses": book.theses,
    "journal": book.journal,
    "attribution": book.attribution,
    "backups": operations.backups,
    "disk": operations.disk,
    "chain": operations.chain,
    "access": operations.access,
}
PERIODS: dict[str, Callable[[datetime], Any]] = {
    "day": lambda moment: moment.date(),
    "week": lambda moment: moment.isocalendar()[:2],
    "month": lambda moment: (moment.year, moment.month),
}
WELL = ("pass", "attested", "waived")
TABLE_WIDTH = 110
LEAST_COLUMN = 20


def read(names: list[str], source: Source) -> list[Reading]:
    """Return the readings; one that fails holds its reason and does not stop the others.

    :raises OpsError: ops.reading for an unknown name.
    """
    if unknown := sorted(set(names) - set(READINGS)):
        raise OpsError(
            f"There is no reading {', '.join(unknown)}.",
            f"roles/ops/files/blocks.yml takes {', '.join(READINGS)}.",
            code="ops.reading",
        )
    found = []
    for name in names:
        try:
            found.append(READINGS[name](source))
        except (OpsError, KeyError, TypeError, AttributeError) as exc:
            # An answer that breaks the contract counts as none.
            why = str(exc) if isinstance(exc, OpsError) else f"unexpected answer: {exc!r}"
            found.append(Reading(name.capitalize(), failed=why))
    return found


def open_tasks(
    tasks: list[dict[str, Any]], evidence_root: Path, now: datetime
) -> list[dict[str, Any]]:
    """Return the tasks with ``done_by``: who attested each in its period, or None."""
    entries = ledger.records(evidence_root, "attestation")
    found = []
    for task in tasks:
        same = PERIODS[task.get("every", "day")]
        period = same(now.astimezone(BUSINESS_ZONE))
        by = [
            entry["record"].get("name")
            for entry in entries
            if entry["record"].get("task") == task["id"]
            and same(from_iso(entry["at"]).astimezone(BUSINESS_ZONE)) == period
        ]
        found.append(task | {"done_by": by[-1] if by else None})
    return found


def compose(
    block: dict[str, Any],
    readings: list[Reading],
    checks: list[dict[str, Any]],
    tasks: list[dict[str, Any]],
    now: datetime,
) -> dict[str, Any]:
    """Return the brief as plain data; *attention* lists what a person must check first."""
    attention = [
        f"{check['title']}: {check['finding']}"
        for check in checks
        if check["status"] not in WELL and not check.get("needs") and not check.get("absent")
    ]
    for reading in readings:
        attention += reading.attention
        attention += [f"{reading.title} could not be read: {reading.failed}"] * bool(reading.failed)
    return {
        "block": block["id"],
        "title": block["title"],
        "time": block["time"],
        "at": utc_stamp(now),
        "verdict": "attention" if attention else "well",
        "attention": attention,
        "readings": [reading.plain() for reading in readings],
        "checks": [
            {name: check[name] for name in ("id", "title", "status", "finding")} for check in checks
        ],
        "tasks": tasks,
    }


def keep(brief: dict[str, Any], evidence_root: Path, now: datetime) -> dict[str, str]:
    """Write the brief as Markdown and HTML; return the paths. A later brief replaces it.

    :raises OpsError: evidence.unwritable.
    """
    day = now.astimezone(BUSINESS_ZONE).date()
    folder = evidence_root / FOLDER / f"{day}_{brief['block']}"
    try:
        files.make_private_folder(evidence_root)
        files.make_private_folder(evidence_root / FOLDER)
        files.make_private_folder(folder)
        files.replace(folder / "brief.md", markdown(brief).encode())
        files.replace(folder / "brief.html", html(brief).encode())
    except OSError as exc:
        raise OpsError(
            f"The brief cannot be written below {evidence_root}: {exc.strerror or exc}.",
            "Let the user that runs the playbook write there, and check for free space.",
            code="evidence.unwritable",
        ) from exc
    return {"markdown": str(folder / "brief.md"), "html": str(folder / "brief.html")}


def markdown(brief: dict[str, Any]) -> str:
    """Return the brief as a page of Markdown."""
    lines = [f"# {brief['time']} {brief['title']}", "", f"Made {brief['at']}.", ""]
    lines += ["## Needs attention", "", *_bullets(brief["attention"], "Nothing.")]
    lines += ["", "## Manual tasks", ""]
    lines += [
        f"- [{'x' if task['done_by'] else ' '}] {task['title']}"
        + (f" ({task['done_by']})" if task["done_by"] else f": {task['how']}")
        for task in brief["tasks"]
    ] or ["Nothing."]
    for reading in brief["readings"]:
        lines += ["", f"## {reading['title']}", ""]
        if reading["failed"]:
            lines.append(f"Could not be read: {reading['failed']}")
            continue
        lines += reading["lines"]
        if reading["rows"]:
            lines += ["", "| " + " | ".join(reading["head"]) + " |"]
            lines.append("|" + " --- |" * len(reading["head"]))
            lines += [
                "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
                for row in reading["rows"]
            ]
    if brief["checks"]:
        lines += ["", "## Checks", "", "| check | result | finding |", "| --- | --- | --- |"]
        lines += [
            f"| {check['title']} | {check['status']} | {check['finding'].replace('|', ' ')} |"
            for check in brief["checks"]
        ]
    return "\n".join(lines) + "\n"


def html(brief: dict[str, Any]) -> str:
    """Return the brief as one self-contained HTML page."""
    well = brief["verdict"] == "well"
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(brief['title'])}</title><style>{STYLE}",
        ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}",
        "td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line)}</style>",
        f'<header><div class="verdict {"go" if well else "no-go"}" role="status">',
        f'<p class="what">{escape(brief["time"])} · {escape(brief["at"])}</p>',
        f"<h1>{escape(brief['title'])}</h1><p>",
        "Nothing needs attention." if well else f"{len(brief['attention'])} points need attention.",
        '</p></div></header><main id="content">',
    ]
    if not well:
        parts += ["<h2>Needs attention</h2><ul>"]
        parts += [f"<li>{escape(line)}</li>" for line in brief["attention"]] + ["</ul>"]
    parts.append("<h2>Manual tasks</h2><ul>")
    for task in brief["tasks"]:
        more = f"done: {task['done_by']}" if task["done_by"] else task["how"]
        mark = "☑" if task["done_by"] else "☐"
        parts.append(f"<li>{mark} <strong>{escape(task['title'])}</strong> — {escape(more)}</li>")
    parts.append("</ul>")
    for reading in brief["readings"]:
        parts.append(f"<h2>{escape(reading['title'])}</h2>")
        text = reading["lines"] or []
        if reading["failed"]:
            text = [f"Could not be read: {reading['failed']}"]
        parts += [f"<p>{escape(line)}</p>" for line in text]
        parts.append(_html_table(reading["head"], reading["rows"]))
    rows = [[check["title"], check["status"], check["finding"]] for check in brief["checks"]]
    if rows:
        parts += ["<h2>Checks</h2>", _html_table(["check", "result", "finding"], rows)]
    return "".join(parts) + "</main></html>\n"


def terminal(brief: dict[str, Any]) -> list[str]:
    """Return the brief as lines for a terminal, points of attention last."""
    lines = [f"{brief['time']} {brief['title']}"]
    for reading in brief["readings"]:
        lines += ["", reading["title"]]
        if reading["failed"]:
            lines.append(f"  could not be read: {reading['failed']}")
            continue
        lines += [f"  {line}" for line in reading["lines"]]
        lines += _columns(reading["head"], reading["rows"])
    good = sum(check["status"] in WELL for check in brief["checks"])
    if brief["checks"]:
        lines += ["", f"Checks  {good} of {len(brief['checks'])} passed"]
    if brief["tasks"]:
        lines += ["", "Manual tasks"]
    for task in brief["tasks"]:
        mark = "[x]" if task["done_by"] else "[ ]"
        more = f" ({task['done_by']})" if task["done_by"] else f": {task['how']}"
        lines.append(f"  {mark} {task['title']}{more}  [{task['id']}]")
    lines += ["", "Needs attention"] + [f"  {line}" for line in brief["attention"] or ["nothing"]]
    return lines


def _bullets(lines: list[str], none: str) -> list[str]:
    return [f"- {line}" for line in lines] or [none]


def _columns(head: list[str], rows: list[list[str]]) -> list[str]:
    """Return a table in columns; a last column that is too wide goes on in the next line."""
    if not rows:
        return []
    widths = [max(len(row[n]) for row in [head, *rows]) for n in range(len(head))]
    lines = []
    for row in [head, *rows]:
        cells = together(row[:-1], widths[:-1])
        start = "  " + "".join(f"{cell.ljust(width)}  " for cell, width in cells)
        room = max(TABLE_WIDTH - len(start), LEAST_COLUMN)
        first, *rest = textwrap.wrap(row[-1], room) or [""]
        lines += [f"{start}{first}".rstrip(), *(" " * len(start) + each for each in rest)]
    return lines


def _html_table(head: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
