# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read the newest backup set, the drills of the ledger, and the ledger itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, NotGiven, Unanswerable
from ansible.module_utils.pmsops.checks.probes.context import Context
from ansible.module_utils.pmsops.checks.probes.sql import run as query
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import from_iso
from ansible.module_utils.pmsops.evidence import anchor_notes, deficiencies, drills, ledger
from ansible.module_utils.pmsops.repository import manifest, set_parts, sets, shrinkage
from ansible.module_utils.pmsops.repository.growth import growth_bytes_per_day

SYSTEM = "SELECT system_identifier::text FROM pg_control_system()"

SHOWN_FINDINGS = 3


def backup(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return the facts of the newest backup set: age, size, growth, whether it is verified."""
    root = Path(params["root"]) if params.get("root") else context.folder("backup_root")
    try:
        folder = sets.newest(root)
        document = manifest.read(folder)
    except OpsError as exc:
        raise Failed(str(exc)) from exc
    proof = sets.verification(folder)
    totals = document.get("totals", {})
    growth = growth_bytes_per_day(root)
    free = shutil.disk_usage(root).free
    return {
        "id": document["id"],
        "set": str(folder),
        "sets": len(sets.listed(root)),
        "snapshot_at": document["snapshot_at"],
        "size_bytes": totals.get("bytes"),
        "duration_seconds": _seconds(document.get("started_at"), document.get("finished_at")),
        "database": document["database_name"],
        "same_server": _of_this_server(document, context, deadline),
        **_trial(document),
        "parts_not_taken": "; ".join(set_parts.warnings(document)) or "nothing",
        "shrunk": "; ".join(shrinkage.standing(root, document)[:SHOWN_FINDINGS]) or "nothing",
        "verified": proof is not None,
        "verified_at": (proof or {}).get("verified_at"),
        "manifest_sha256": _manifest_sha256(folder),
        "free_bytes": free,
        "growth_bytes_per_day": growth,
        "days_of_space": round(free / growth, 1) if growth > 0 else 3650.0,
    }


def _trial(document: dict[str, Any]) -> dict[str, Any]:
    """Return whether the set would restore, as the trial of its backup found."""
    found = document.get("trial") or {"status": "not run", "reason": None, "findings": []}
    named = [f"{each['object']}: {each['what']}" for each in found["findings"]]
    return {
        "trial": found["status"] if found["reason"] is None else "not run in full",
        "trial_reason": found["reason"],
        "refused": "; ".join(named[:SHOWN_FINDINGS]) or "nothing",
    }


def _of_this_server(document: dict[str, Any], context: Context, deadline: Deadline) -> bool | None:
    """Tell whether the set was made on the server that runs now, None where that is unknown."""
    recorded = document.get("server", {}).get("system_identifier")
    if recorded is None:
        return None
    try:
        return str(recorded) == str(query(context, deadline, SYSTEM)["value"])
    except (Failed, Unanswerable):
        return None


def _seconds(start: str | None, end: str | None) -> float | None:
    if not start or not end:
        return None
    return (from_iso(end) - from_iso(start)).total_seconds()


def _manifest_sha256(folder: Path) -> str:
    from ansible.module_utils.pmsops.common import files

    return files.sha256(folder / manifest.NAME)


def drill(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return the newest drill of the newest set on this system, else the newest drill."""
    entries = drills.here(ledger.inspect(context.folder("evidence_root")).entries)
    if not entries:
        raise Failed("the ledger has no drill")
    system = query(context, deadline, SYSTEM).get("value")
    try:
        folder = sets.newest(context.folder("backup_root"))
        document = manifest.read(folder)
        newest = {document["id"], str(folder), _manifest_sha256(folder)}
    except OpsError as exc:
        raise Failed(str(exc)) from exc
    described = [_drill(entry, newest, system) for entry in entries]
    if params.get("any_set"):
        fitting = [found for found in described if found["same_system"]]
    else:
        fitting = [
            found for found in described if found["same_system"] and found["names_newest_set"]
        ]
    # Where none fits, the fields of the newest one say why.
    return (fitting or described)[-1]


def _drill(entry: dict[str, Any], newest: set[str], system: Any) -> dict[str, Any]:
    record = entry["record"]
    named = {str(record.get(name)) for name in ("set", "manifest_sha256") if record.get(name)}
    named |= {Path(str(record["set"])).name} if record.get("set") else set()
    return {
        "at": entry["at"],
        "set": record.get("set"),
        "names_newest_set": bool(named & newest),
        "same_system": system is not None and str(record.get("system_identifier")) == str(system),
        "proved": record.get("proved") is True,
        "rto_seconds": record.get("rto_seconds"),
        "rpo_seconds": record.get("rpo_seconds"),
        "rto_target_seconds": record.get("rto_target_seconds"),
        "rpo_target_seconds": record.get("rpo_target_seconds"),
    }


def chain(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return the state of the ledger's chain and of its signatures."""
    found = ledger.inspect(
        context.folder("evidence_root"),
        head=params.get("head"),
        keys=Path(params["keys"]).expanduser() if params.get("keys") else None,
        signed=True,
    )
    return {
        "lines": found.lines,
        "signed_lines": found.signed_lines,
        "head": found.sha256,
        "problems": list(found.problems),
        "notes": list(found.notes),
    }


def anchors(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return which anchors of the ledger are overdue, and what their last heads contradict.

    :raises NotGiven: where the system has no anchor.
    """
    given = context.settings.facts.get("anchors") or {}
    if not given.get("names"):
        raise NotGiven("evidence_anchors is empty")
    root = context.folder("evidence_root")
    found = anchor_notes.assess(
        root,
        given["names"],
        ledger.inspect(root),
        now=context.settings.now,
        hours=float(given["hours"]),
    )
    return {
        "anchors": len(given["names"]),
        **{name: "; ".join(texts[:SHOWN_FINDINGS]) or "none" for name, texts in found.items()},
    }


def open_deficiencies(
    params: dict[str, Any], context: Context, deadline: Deadline
) -> dict[str, Any]:
    """Return how many deficiencies of the ledger are open, and which are past their due date."""
    entries = ledger.inspect(context.folder("evidence_root")).entries
    found = deficiencies.collect(entries, context.settings.now)
    late = deficiencies.overdue(found)
    return {
        "lines": len(entries),
        "open": len(deficiencies.open_ones(found)),
        "overdue": "; ".join(deficiencies.text(each) for each in late[:SHOWN_FINDINGS]) or "none",
    }
