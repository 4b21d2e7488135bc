# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of the copies on other sites: a note beside the sets.

For each site the note has the last good upload, check, fetch, proof and trial of a deletion, and
the last error of each. The sites themselves are asked only by who works with them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.repository import sets

NAME = "offsite.json"
# Others may have: the lost machine whose place this one took, or this one sets of other databases,
# which have notes of their own.
NOTHING = "this machine uploaded no set of the database yet"
ACTS = ("upload", "check", "fetch", "proof", "immutable", "prune")


def read(backup_root: Path) -> dict[str, Any]:
    """Return ``{sites, accepted}``; both are empty without a note, and if it is damaged."""
    try:
        found = json.loads((backup_root / sets.STATE / NAME).read_bytes())
    except (OSError, ValueError):
        found = None
    known = found if isinstance(found, dict) else {}
    return {
        name: known[name] if isinstance(known.get(name), dict) else {}
        for name in ("sites", "accepted")
    }


def write(backup_root: Path, note: Mapping[str, Any]) -> None:
    """Write the note.

    :raises OSError: if it cannot be written.
    """
    folder = sets.state_folder(backup_root)
    files.replace(folder / NAME, json.dumps(note, indent=1, sort_keys=True).encode(), mode=0o600)


def done(backup_root: Path, site: str, act: str, facts: Mapping[str, Any], now: datetime) -> None:
    """Note what an act on a site did, and that it has no error any more."""
    note = read(backup_root)
    entry = note["sites"].setdefault(site, {})
    entry[act] = {"at": utc_stamp(now)} | dict(facts)
    entry.setdefault("errors", {}).pop(act, None)
    write(backup_root, note)


def failed(backup_root: Path, site: str, act: str, error: OpsError, now: datetime) -> None:
    """Note why an act on a site failed; what it did before stays noted."""
    note = read(backup_root)
    known = note["sites"].setdefault(site, {}).setdefault("errors", {})
    known[act] = {
        "at": utc_stamp(now),
        "code": error.code,
        "why": str(error),
        "remedy": error.remedy,
    }
    write(backup_root, note)


def assess(backup_root: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return for each site whether it has the newest set, what it last did, and what is wrong."""
    note = read(backup_root)
    folders = sets.listed(backup_root)
    newest = folders[-1] if folders else None
    return [_assessed(name, note["sites"].get(name, {}), newest) for name in names]


def _assessed(name: str, known: Mapping[str, Any], newest: Path | None) -> dict[str, Any]:
    upload = known.get("upload") or {}
    errors = known.get("errors") or {}
    behind = None
    if not upload:
        behind = NOTHING
    elif newest is not None and upload.get("set") != newest.name:
        behind = f"it has set {upload.get('set')}, the newest is {newest.name}"
    elif newest is not None and sets.verification(newest) and not upload.get("proved"):
        behind = f"it has set {newest.name} without its proof"
    failed_upload = errors.get("upload")
    if behind and failed_upload:
        behind = f"{behind} ({failed_upload['code']}: {failed_upload['why']})"
    return {
        "site": name,
        "current": behind is None,
        "behind": behind,
        "signs": list(upload.get("signs") or []),
        "errors": errors,
        **{act: known.get(act) for act in ACTS},
    }
