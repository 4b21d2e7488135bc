# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the page over all runs shows: runs, sets, drills, incidents and each line of the ledger.

The files may be damaged, or of any older release. Whatever cannot be read is named in place of
what it should have said. Nothing here depends on the time of day, so the same evidence gives the
same page.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible.module_utils.pmsops.evidence import deficiencies, history, ledger, set_list
from ansible.module_utils.pmsops.incidents import record as incidents
from ansible.module_utils.pmsops.repository import manifest

FOLDER = "site"
REPORT = "report.html"
# Findings of one kind that the head of the page repeats; the tables have all of them.
SHOWN = 20


@dataclass(frozen=True)
class Sources:
    """The folders that the page is about, and the name of the system."""

    evidence_root: Path
    backup_root: Path | None = None
    keys: Path | None = None  # with it, the signatures of the ledger are checked
    system: str = ""


@dataclass
class Facts:
    """What the page shows. *problems* are named at its head, newest first."""

    system: str
    ledger: dict[str, Any]
    entries: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    sets: list[dict[str, Any]] = field(default_factory=list)
    incidents: list[dict[str, Any]] = field(default_factory=list)
    deficiencies: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def collect(sources: Sources, *, now: datetime) -> Facts:
    """Return what the page shows, each list newest first. Nothing is changed."""
    root = sources.evidence_root
    chain = ledger.inspect(root, keys=sources.keys, signed=sources.keys is not None)
    entries = [_entry(number, each) for number, each in enumerate(chain.entries, 1)]
    facts = Facts(
        system=sources.system,
        ledger={
            "lines": chain.lines,
            "signed_lines": chain.signed_lines,
            "key": chain.key,
            "sha256": chain.sha256,
            "checked": sources.keys is not None,
            "problems": list(chain.problems),
            "notes": list(chain.notes),
        },
        entries=entries[::-1],
        runs=_runs(root, entries),
        sets=_sets(sources, now),
        incidents=_incidents(root, entries),
    )
    facts.deficiencies = deficiencies.collect(chain.entries, now)[::-1]
    named = [f"The ledger is damaged: {text}" for text in chain.problems]
    for noun, rows in (
        ("Run", facts.runs),
        ("Set", facts.sets),
        ("Incident", facts.incidents),
    ):
        wrong = [f"{noun} {each['id']}: {each['problem']}" for each in rows if each["problem"]]
        named += wrong[:SHOWN]
        if len(wrong) > SHOWN:
            named.append(f"{len(wrong) - SHOWN} more of this kind are in the table below")
    facts.problems = named
    return facts


def _entry(number: int, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of the ledger; *number* counts those that can be read."""
    record = entry["record"]
    return {
        "number": number,
        "seq": entry["seq"],
        "at": str(entry["at"]),
        "kind": str(entry["kind"]),
        "record": record if isinstance(record, dict) else {"record": record},
    }


def _runs(root: Path, entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each run that has a folder or a line in the ledger, newest first."""
    recorded = {
        each["record"]["run"]: each["record"]
        for each in entries
        if each["kind"] == "gate" and isinstance(each["record"].get("run"), str)
    }
    found = {
        folder.name: _run(folder, recorded.get(folder.name))
        for folder in _folders(root, "[0-9]*")
        if not folder.is_symlink()
    }
    for name in set(recorded) - set(found):
        gone = "the ledger has this run, and its folder is gone"
        found[name] = _shown_run(name, recorded[name]) | {"problem": gone}
    return [found[name] for name in sorted(found, reverse=True)]


def _run(folder: Path, recorded: Mapping[str, Any] | None) -> dict[str, Any]:
    path = folder / history.RECORD
    document, digest, problem = _read(path)
    shown = _shown_run(folder.name, document or recorded or {})
    if problem is None and recorded is None:
        problem = "the ledger has no line about this run"
    elif problem is None and recorded and recorded.get("record_sha256") not in (None, digest):
        problem = f"{path.name} was altered after the run: the ledger has another SHA-256"
    links = [_link(name, root=folder.parent, folder=folder) for name in (history.RECORD, REPORT)]
    return shown | {"problem": problem, "record": links[0], "report": links[1]}


def _shown_run(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": name,
        "at": said.get("started_at"),
        "verdict": said.get("verdict"),
        "partial": said.get("partial") is True,
        "counts": said.get("counts"),
        "blocking": said.get("blocking"),
        "negative_control": said.get("negative_control"),
        "record": None,
        "report": None,
    }


def _sets(sources: Sources, now: datetime) -> list[dict[str, Any]]:
    if sources.backup_root is None:
        return []
    found = set_list.collect(sources.backup_root, now=now)
    start = (sources.evidence_root / FOLDER).resolve()
    for each in found:
        path = Path(each["folder"]).resolve() / manifest.NAME
        each["manifest"] = _quoted(os.path.relpath(path, start)) if path.is_file() else None
    return found


def _incidents(root: Path, entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each incident that has a folder or a line in the ledger, newest first."""
    recorded = {
        each["record"]["incident"]: each["record"]
        for each in entries
        if each["kind"] == "incident" and isinstance(each["record"].get("incident"), str)
    }
    # Incidents begin with their day; requests/ beside them is the log of requests to the PMS.
    folders = {folder.name: folder for folder in _folders(root / incidents.FOLDER, "2*")}
    found = {name: _incident(root, folder, recorded.get(name)) for name, folder in folders.items()}
    for name in set(recorded) - set(found):
        gone = "the ledger has this incident, and its folder is gone"
        # The record itself says when it ended.
        found[name] = _shown_incident(name, recorded[name]) | {"problem": gone}
    return [found[name] for name in sorted(found, reverse=True)]


def _incident(root: Path, folder: Path, recorded: Mapping[str, Any] | None) -> dict[str, Any]:
    document, digest, problem = _read(folder / incidents.NAME)
    # After a failed attempt the incident stays open, and its file goes on.
    ended = (recorded or {}).get("outcome") == "recovered"
    if problem is None and document and document.get("closed_at") and not ended:
        problem = "the ledger has no line about the end of this incident"
    elif problem is None and recorded and ended and recorded.get("incident_sha256") != digest:
        problem = (
            f"{incidents.NAME} was altered after the incident was closed: the ledger has another"
            " SHA-256"
        )
    return _shown_incident(folder.name, document or {}) | {
        "problem": problem,
        "record": _link(incidents.NAME, root=root, folder=folder),
        "report": _link("incident.md", root=root, folder=folder),
    }


def _shown_incident(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    facts = said.get("facts")
    facts = facts if isinstance(facts, dict) else {}
    return {
        "id": name,
        "title": said.get("title"),
        "scenario": said.get("scenario"),
        "at": said.get("began_at"),
        "closed_at": said.get("closed_at"),
        "outcome": said.get("outcome"),
        "recovery_seconds": said.get("recovery_seconds"),
        "cause": facts.get("cause"),
        "data_loss": facts.get("data_loss"),
        "record": None,
        "report": None,
    }


def _folders(root: Path, pattern: str) -> list[Path]:
    """Return the folders of that name, by name; none where *root* cannot be listed."""
    return sorted(path for path in root.glob(pattern) if path.is_dir())


def _read(path: Path) -> tuple[dict[str, Any] | None, str | None, str | None]:
    """Return a JSON object, the SHA-256 of its file, and why it cannot be read."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None, None, f"it has no {path.name}"
    except OSError as exc:
        return None, None, f"{path.name} cannot be read: {exc.strerror or exc}"
    digest = hashlib.sha256(content).hexdigest()
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as exc:
        return None, digest, f"{path.name} cannot be read: {exc}"
    if not isinstance(document, dict):
        return None, digest, f"{path.name} is no JSON object"
    return document, digest, None


def _link(name: str, *, root: Path, folder: Path) -> str | None:
    """Return the way from the page to a file of a folder below *root*; None where it is missing."""
    path = folder / name
    return _quoted(f"../{path.relative_to(root)}") if path.is_file() else None


def _quoted(path: str) -> str:
    return quote(os.fsencode(path))
