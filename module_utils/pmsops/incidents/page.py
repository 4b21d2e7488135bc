# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Markdown page of an incident, for the post-mortem and the auditor."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.pmsops.common.timestamps import moment
from ansible.module_utils.pmsops.incidents.record import Incident

NAME = "incident.md"
NONE_LOST = "Not measured: this run noted no loss, and did not compare each row."
UNKNOWN = "Not measured: nobody recorded it."


def page(incident: Incident) -> str:
    """Return the page: times, symptoms, cause, actions, data loss, checks."""
    document = incident.document
    facts = document.get("facts") or {}
    lines = [
        f"# Incident {incident.id}: {document['title']}",
        "",
        *_table(
            ("", ""),
            [
                ("System", _system(document.get("system") or {})),
                ("The failure began", UNKNOWN),
                ("The playbook began", document["began_at"]),
                ("Verified", document.get("verified_at")),
                ("Recovery", _seconds(document)),
                ("Outcome", _outcome(document)),
                ("Runs of the playbook", str(len(document.get("runs", [])))),
            ],
        ),
    ]
    lines += _subject(document.get("subject") or {})
    lines += ["", "## Symptoms", ""]
    lines += [f"- {symptom['title']}: {symptom['finding']}" for symptom in document["signs"]] or [
        "- none"
    ]
    lines += [
        "",
        "## Cause",
        "",
        str(facts.get("cause") or "Unknown to the playbook; add it here."),
    ]
    lines += ["", "## Actions", ""]
    lines += _actions(document)
    lines += ["", "## Data loss", "", str(facts.get("data_loss") or NONE_LOST)]
    if facts.get("why"):
        lines += ["", "## Why it is still open", "", str(facts["why"])]
    lines += ["", "## Checks afterwards", ""]
    rows = [
        (check["id"], check["status"], str(check.get("finding", "")))
        for check in document.get("checks") or []
    ]
    lines += _table(("check", "result", "finding"), rows) if rows else ["No checks were run."]
    if facts.get("not_demanded"):
        lines += ["", f"Failed before the incident, too: {facts['not_demanded']}"]
    lines += ["", "## Decision journal", "", str(facts.get("journal") or "No entry was written.")]
    return "\n".join(lines) + "\n"


def _system(system: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(system.items()) if value)


def _seconds(document: dict[str, Any]) -> str:
    seconds = document.get("recovery_seconds")
    return "" if seconds is None else f"{seconds:g} s from detection to the end of the checks"


def _outcome(document: dict[str, Any]) -> str:
    return str(document.get("outcome", "in progress")).replace("_", " ")


def _subject(subject: dict[str, Any]) -> list[str]:
    if not subject:
        return []
    rows = [(name, str(value)) for name, value in subject.items()]
    return ["", "## Subject", "", *_table(("", ""), rows)]


def _actions(document: dict[str, Any]) -> list[str]:
    """Return the table of actions with start, duration and result."""
    actions: list[dict[str, Any]] = document["actions"]
    if not actions:
        return ["None were needed."]
    # A run that was killed wrote no outcome. One that failed in the action did, after it.
    ended = document.get("outcome") and document.get("verified_at")
    rows = []
    for action in actions:
        took = ""
        result = "in progress when the run was killed"
        if ended and moment(action["began_at"]) <= moment(ended):
            result = "it did not end: the run failed"
        if action.get("ended_at"):
            seconds = (moment(action["ended_at"]) - moment(action["began_at"])).total_seconds()
            took = f"{seconds:.1f} s"
            result = str(action.get("result") or action["status"])
        rows.append((action["began_at"], action["movement"], action["action"], took, result))
    return _table(("at", "phase", "action", "took", "result"), rows)


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[str]:
    """Return a Markdown table; bars and line ends inside cells are escaped."""

    def line(cells: tuple[Any, ...]) -> str:
        texts = (" ".join(str(cell or "").split()).replace("|", "\\|") for cell in cells)
        return "| " + " | ".join(texts) + " |"

    return [line(head), "|" + " --- |" * len(head), *map(line, rows)]
