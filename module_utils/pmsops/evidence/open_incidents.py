# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Incidents without a record of their end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CLOSED = frozenset({"closed", "recovered", "resolved"})


def find(evidence_root: Path) -> list[dict[str, Any]]:
    """Return the incidents without a record of their end."""
    found = []
    # Incidents begin with their day; requests/ beside them is the log of requests to the PMS.
    for folder in sorted((evidence_root / "incidents").glob("2*/")):
        state = _state(folder)
        if state not in CLOSED:
            found.append({"id": folder.name, "folder": str(folder), "state": state})
    return found


def _state(folder: Path) -> str:
    for name in ("incident.json", "record.json"):
        try:
            document = json.loads((folder / name).read_bytes())
        except (OSError, ValueError):
            continue
        if not isinstance(document, dict):
            continue
        if document.get("closed_at"):
            return "closed"
        return str(document.get("state") or document.get("status") or "open")
    return "open"
