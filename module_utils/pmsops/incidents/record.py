# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Incidents on disk: symptoms, actions with their times, and how each incident ended.

``evidence_root/incidents/<moment>_<scenario>/incident.json`` is written at every step. A killed run
therefore leaves an open incident, and the next run of the same scenario resumes it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files, timestamps
from ansible.module_utils.pmsops.common.errors import InterruptError, OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.common.version import TOOL

FOLDER = "incidents"
NAME = "incident.json"
SCHEMA_VERSION = 1
OUTCOMES = ("recovered", "not_recovered")
_SCENARIO = re.compile(r"[a-z][a-z_]*")


@dataclass(frozen=True)
class Incident:
    """One incident: its folder, and the content of its incident.json."""

    folder: Path
    document: dict[str, Any]

    @property
    def id(self) -> str:
        """Return the name used in the ledger, the journal and the page."""
        return self.folder.name

    @property
    def is_open(self) -> bool:
        """Tell whether the recovery or its record is still unfinished."""
        return self.document.get("closed_at") is None


def read_all(evidence_root: Path) -> list[Incident]:
    """Return all readable incidents, oldest first."""
    found = []
    for path in sorted((evidence_root / FOLDER).glob(f"*/{NAME}")):
        try:
            document = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        if isinstance(document, dict):
            found.append(Incident(path.parent, document))
    return found


def find_open(
    evidence_root: Path, scenario: str, subject: dict[str, Any] | None = None
) -> Incident | None:
    """Return the newest open incident of a scenario about *subject*, or None."""
    return next(
        (
            incident
            for incident in reversed(read_all(evidence_root))
            if incident.is_open
            and incident.document.get("scenario") == scenario
            and incident.document.get("subject", {}) == (subject or {})
        ),
        None,
    )


def begin(
    evidence_root: Path,
    scenario: str,
    *,
    title: str,
    symptoms: list[dict[str, Any]],
    began_at: datetime,
    subject: dict[str, Any] | None = None,
    system: dict[str, Any] | None = None,
) -> tuple[Incident, bool]:
    """Return the open incident of this scenario and subject, and whether an earlier run opened it.

    *symptoms* are the findings of the detection, each ``{"id", "title", "finding"}``.

    :raises OpsError: incident.scenario, incident.unwritable.
    """
    if not _SCENARIO.fullmatch(scenario):
        raise OpsError(
            f"{scenario!r} is not the name of a scenario.",
            "Use a name from roles/incident/files/scenarios.yml.",
            code="incident.scenario",
        )
    if known := find_open(evidence_root, scenario, subject):
        with editing(known.folder) as document:
            document["runs"].append(stamp(began_at))
        return read(known.folder), True
    name = f"{began_at.astimezone(UTC):%Y-%m-%d_%H%M%S}_{scenario}_{secrets.token_hex(2)}"
    folder = evidence_root / FOLDER / name
    document = {
        "schema_version": SCHEMA_VERSION,
        "tool": TOOL,
        "id": name,
        "scenario": scenario,
        "title": title,
        "system": system or {},
        "subject": subject or {},
        "began_at": stamp(began_at),
        "runs": [stamp(began_at)],
        "signs": symptoms,
        "actions": [],
        "closed_at": None,
    }
    try:
        files.make_private_folder(evidence_root)
        files.make_private_folder(evidence_root / FOLDER)
        folder.mkdir(mode=0o700)
        _write(folder, document)
    except OSError as exc:
        raise _unwritable(folder, exc) from exc
    return Incident(folder, document), False


def read(folder: Path) -> Incident:
    """Return the incident of a folder.

    :raises OpsError: incident.unreadable.
    """
    try:
        return Incident(folder, json.loads((folder / NAME).read_text()))
    except (OSError, ValueError) as exc:
        raise OpsError(
            f"{folder / NAME} cannot be read: {exc}.",
            "Name the folder that pms_incident returned with state=open.",
            code="incident.unreadable",
        ) from exc


@contextmanager
def editing(folder: Path) -> Iterator[dict[str, Any]]:
    """Lock an incident, yield its document for editing, and write it back at the end.

    :raises OpsError: incident.unreadable, incident.unwritable.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise _unwritable(folder, exc) from exc
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        document = read(folder).document
        yield document
        try:
            _write(folder, document)
        except OSError as exc:
            raise _unwritable(folder, exc) from exc
    finally:
        os.close(descriptor)


@dataclass
class Action:
    """An action in progress; the page shows *result* as its outcome."""

    result: str = ""


# Opens an action of an incident by its text; the block is the action itself.
ActionRecorder = Callable[[str], AbstractContextManager[Action]]


def action_recorder(folder: Path | None, movement: str) -> ActionRecorder:
    """Return a recorder of actions of one phase; without a folder it records nothing."""
    return lambda text: action(folder, movement, text)


@contextmanager
def action(folder: Path | None, movement: str, text: str) -> Iterator[Action]:
    """Record an action before it begins and when it ends.

    An action without an end was in progress when its run was killed.
    """
    current = Action()
    if folder is None:
        yield current
        return
    with editing(folder) as document:
        number = len(document["actions"])
        document["actions"].append(
            {"movement": movement, "action": text, "began_at": stamp(), "ended_at": None}
        )
    status = "failed"
    try:
        yield current
        status = "done"
    except (OpsError, InterruptError) as exc:
        current.result = current.result or str(exc)
        raise
    finally:
        with editing(folder) as document:
            document["actions"][number] |= {
                "ended_at": stamp(),
                "status": status,
                "result": current.result,
            }


def record_action(
    folder: Path,
    movement: str,
    text: str,
    *,
    finished: bool,
    facts: dict[str, Any] | None = None,
) -> Incident:
    """Record an action that another role does, and facts for the next run.

    An action in progress is found again by its text, and then ends if *finished*.

    :raises OpsError: incident.unreadable, incident.unwritable.
    """
    with editing(folder) as document:
        document["facts"] = _merged(document, facts or {})
        begun = [
            each
            for each in document["actions"]
            if each["action"] == text and each["ended_at"] is None
        ]
        if text and not begun:
            begun = [{"movement": movement, "action": text, "began_at": stamp(), "ended_at": None}]
            document["actions"] += begun
        if begun and finished:
            begun[-1] |= {"ended_at": stamp(), "status": "done", "result": ""}
    return read(folder)


def end(
    folder: Path,
    outcome: str,
    *,
    facts: dict[str, Any],
    checks: list[dict[str, Any]],
    verified_at: datetime,
    now: datetime,
) -> Incident:
    """Record the outcome. An incident that is not recovered stays open for the next run.

    *facts* are further entries of the page: cause, data_loss, journal, why.

    :raises OpsError: incident.unreadable, incident.unwritable.
    """
    with editing(folder) as document:
        began = timestamps.moment(document["began_at"])
        if outcome == "recovered":
            (document.get("facts") or {}).pop("why", None)  # an earlier run failed for that reason
        document |= {
            "outcome": outcome,
            "facts": _merged(document, facts),
            "checks": checks,
            "verified_at": stamp(verified_at),
            "recovery_seconds": round((verified_at - began).total_seconds(), 1),
            "closed_at": stamp(now) if outcome == "recovered" else None,
        }
    return read(folder)


def _merged(document: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts known before, updated by those of *facts* that are not empty."""
    return (document.get("facts") or {}) | {name: text for name, text in facts.items() if text}


def stamp(moment: datetime | None = None) -> str:
    """Return a moment, by default now, as ISO 8601 in UTC, to the millisecond."""
    return timestamps.utc_stamp_milliseconds(moment or datetime.now(UTC))


def _write(folder: Path, document: dict[str, Any]) -> None:
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, default=str)
    files.replace(folder / NAME, text.encode() + b"\n")


def _unwritable(folder: Path, exc: OSError) -> OpsError:
    return OpsError(
        f"The incident in {folder} cannot be written: {exc.strerror or exc}.",
        "Let the user that runs the playbook write below evidence_root, and check for free space.",
        code="incident.unwritable",
    )
