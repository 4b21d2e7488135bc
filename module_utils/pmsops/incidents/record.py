# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Incidents on disk: what was seen, what was done about it and when, until it is over.

``evidence_root/incidents/<moment>_<scenario>/incident.json`` is written with every step, so that a
run that was killed leaves an open incident, and the next run of the same scenario goes on with it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.version import TOOL

FOLDER = "incidents"
NAME = "incident.json"
SCHEMA_VERSION = 1
MOVEMENTS = ("detect", "contain", "recover", "verify", "record")
OUTCOMES = ("recovered", "not_recovered")
_SCENARIO = re.compile(r"[a-z][a-z_]*")


@dataclass(frozen=True)
class Incident:
    """One incident: its folder, and what is written of it there."""

    folder: Path
    document: dict[str, Any]

    @property
    def id(self) -> str:
        """Return the name that ledger, journal and page give it."""
        return self.folder.name

    @property
    def is_open(self) -> bool:
        """Tell whether it is still to be recovered from, or to be recorded."""
        return self.document.get("closed_at") is None


def listed(evidence_root: Path) -> list[Incident]:
    """Return all incidents that can be read, the oldest first."""
    found = []
    for path in sorted((evidence_root / FOLDER).glob(f"*/{NAME}")):
        try:
            document = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        if isinstance(document, dict):
            found.append(Incident(path.parent, document))
    return found


def open_one(
    evidence_root: Path, scenario: str, subject: dict[str, Any] | None = None
) -> Incident | None:
    """Return the newest open incident of a scenario about the same subject, None without one."""
    return next(
        (
            incident
            for incident in reversed(listed(evidence_root))
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
    signs: list[dict[str, Any]],
    began_at: datetime,
    subject: dict[str, Any] | None = None,
    system: dict[str, Any] | None = None,
) -> tuple[Incident, bool]:
    """Return the open incident of this kind, and whether an earlier run had opened it.

    *signs* are what the detection found: ``{"id", "title", "finding"}`` each.

    :raises OpsError: incident.scenario, incident.unwritable.
    """
    if not _SCENARIO.fullmatch(scenario):
        raise OpsError(
            f"{scenario!r} is no scenario's name.",
            "Use a name of roles/incident/files/scenarios.yml.",
            code="incident.scenario",
        )
    if known := open_one(evidence_root, scenario, subject):
        with edited(known.folder) as document:
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
        "signs": signs,
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
            "It is written by pms_incident with state open; name the folder that this returned.",
            code="incident.unreadable",
        ) from exc


@contextmanager
def edited(folder: Path) -> Iterator[dict[str, Any]]:
    """Give what is written of an incident, alone, and write it back at the end.

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
    """An action under way; *result* is what the page says of its end."""

    result: str = ""


@contextmanager
def noted(folder: Path | None, movement: str, text: str) -> Iterator[Action]:
    """Write an action down before it begins and when it has ended; without a folder nowhere.

    An action that was begun and has no end was under way when its run was killed.
    """
    action = Action()
    if folder is None:
        yield action
        return
    with edited(folder) as document:
        number = len(document["actions"])
        document["actions"].append(
            {"movement": movement, "action": text, "began_at": stamp(), "ended_at": None}
        )
    status = "failed"
    try:
        yield action
        status = "done"
    except OpsError as exc:
        action.result = action.result or str(exc)
        raise
    finally:
        with edited(folder) as document:
            document["actions"][number] |= {
                "ended_at": stamp(),
                "status": status,
                "result": action.result,
            }


def note(
    folder: Path,
    movement: str,
    text: str,
    *,
    finished: bool,
    facts: dict[str, Any] | None = None,
) -> Incident:
    """Write down an action that something else does, and facts that the next run has to know.

    One that was begun is ended by its own text.

    :raises OpsError: incident.unreadable, incident.unwritable.
    """
    with edited(folder) as document:
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
    """Write down how it ended. One that was not recovered from stays open for the next run.

    *facts* are what the page says besides: cause, data_loss, journal, why.

    :raises OpsError: incident.unreadable, incident.unwritable.
    """
    with edited(folder) as document:
        began = parse(document["began_at"])
        if outcome == "recovered":
            (document.get("facts") or {}).pop("why", None)  # of a run before, which did not
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
    """Return the facts known before, and the new ones that say something."""
    return (document.get("facts") or {}) | {name: text for name, text in facts.items() if text}


def stamp(moment: datetime | None = None) -> str:
    """Return a moment, by default this one, as ISO 8601 in UTC, to the millisecond."""
    moment = (moment or datetime.now(UTC)).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def parse(text: str) -> datetime:
    """Return the moment that ``stamp`` wrote."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _write(folder: Path, document: dict[str, Any]) -> None:
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, default=str)
    files.replace(folder / NAME, text.encode() + b"\n")


def _unwritable(folder: Path, exc: OSError) -> OpsError:
    return OpsError(
        f"The incident in {folder} cannot be written: {exc.strerror or exc}.",
        "Give the user that runs the playbook the right to write below evidence_root, and room.",
        code="incident.unwritable",
    )
