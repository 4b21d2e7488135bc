# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The states of an incident: found, open, noted, closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files, timestamps
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.incidents import page, record
from ansible.module_utils.pmsops.incidents.record import Incident

CHECK_FIELDS = ("id", "title", "status", "finding")


@dataclass(frozen=True)
class Transition:
    """The incident after a change of state; without an incident there was none to change."""

    incident: Incident | None
    resumed: bool
    changed: bool = False

    def describe(self) -> dict[str, Any]:
        """Return the result of the module pms_incident."""
        folder = self.incident.folder if self.incident else None
        document = self.incident.document if self.incident else {}
        written = folder / page.NAME if folder else None
        return {
            "changed": self.changed,
            "id": self.incident.id if self.incident else None,
            "folder": str(folder) if folder else None,
            "resumed": self.resumed,
            "began_at": document.get("began_at"),
            "actions": document.get("actions", []),
            "page": str(written) if written and written.exists() else None,
            "recovery_seconds": document.get("recovery_seconds"),
            "data_loss": (document.get("facts") or {}).get("data_loss"),
        }


def change(
    evidence_root: Path,
    options: Mapping[str, Any],
    *,
    append: Callable[[dict[str, Any]], object],
    check_mode: bool = False,
) -> Transition:
    """Bring the incident into the state that the module's *options* name.

    *append* adds a record to the evidence ledger; only the state closed does.

    :raises OpsError: incident.none if there is nothing to close; incident.*, ledger.*.
    """
    state = options["state"]
    known = record.find_open(evidence_root, options["scenario"], options["subject"])
    if state == "found" or check_mode:
        return Transition(known, resumed=known is not None)
    if state == "open":
        incident, resumed = record.begin(
            evidence_root,
            options["scenario"],
            title=options["title"],
            symptoms=options["signs"],
            began_at=_moment(options["began_at"]),
            subject=options["subject"],
            system=options["system"],
        )
        return Transition(incident, resumed=resumed, changed=True)
    if state == "noted":
        if known is None:  # a full disk kept it from being opened
            return Transition(None, resumed=False)
        incident = record.record_action(
            known.folder,
            options["movement"],
            options["action"],
            finished=options["finished"],
            facts=options["facts"],
        )
        return Transition(incident, resumed=True, changed=True)
    if known is None:
        raise OpsError(
            f"There is no open incident of scenario {options['scenario']} to close.",
            "Open it first (state: open); a closed incident cannot be closed again.",
            code="incident.none",
        )
    incident = _close(known, options)
    append(ledger_content(incident))
    return Transition(incident, resumed=True, changed=True)


def ledger_content(incident: Incident) -> dict[str, Any]:
    """Return what the ledger records of an incident's end."""
    document = incident.document
    return {
        "incident": incident.id,
        "incident_sha256": files.sha256(incident.folder / record.NAME),
        "scenario": document["scenario"],
        "subject": document["subject"],
        "signs": [symptom.get("id") for symptom in document["signs"]],
        "actions": [action["action"] for action in document["actions"]],
        "outcome": document["outcome"],
        "recovery_seconds": document["recovery_seconds"],
        "recovery_phases": phases(document),
        "data_loss": document["facts"].get("data_loss"),
    }


def phases(document: Mapping[str, Any]) -> dict[str, float]:
    """Return the seconds of the phases that the incident's own moments tell.

    From its start to its first action it was *detect*ed, from there to the end of the last one
    *restore*d, and then *verify*ed. Of several runs nobody knows how long people waited between
    them, and an action without an end was killed: then nothing is told.
    """
    actions = document.get("actions") or []
    if len(document.get("runs") or ()) > 1 or not actions:
        return {}
    if any(action.get("ended_at") is None for action in actions):
        return {}
    first = timestamps.moment(min(action["began_at"] for action in actions))
    last = timestamps.moment(max(action["ended_at"] for action in actions))
    began = timestamps.moment(document["began_at"])
    verified = timestamps.moment(document["verified_at"])
    spans = {"detect": first - began, "restore": last - first, "verify": verified - last}
    # A clock that was set meanwhile measured nothing.
    return {
        name: round(span.total_seconds(), 3)
        for name, span in spans.items()
        if span.total_seconds() >= 0
    }


def _close(known: Incident, options: Mapping[str, Any]) -> Incident:
    """Write the outcome to incident.json, and the page."""
    incident = record.end(
        known.folder,
        options["outcome"],
        facts=options["facts"],
        checks=[{name: check.get(name) for name in CHECK_FIELDS} for check in options["checks"]],
        verified_at=_moment(options["verified_at"]),
        now=datetime.now(UTC),
    )
    files.replace(incident.folder / page.NAME, page.page(incident).encode())
    return incident


def _moment(seconds: float | None) -> datetime:
    """Return the moment at *seconds* since 1970, or now."""
    return datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
