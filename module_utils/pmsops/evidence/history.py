# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The history of a run: earlier runs, backups and drills, and the changes since the last run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import from_iso
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.repository import manifest, sets, warm_note

RECORD = "record.json"
MAX_BACKUPS = 30
MAX_DRILLS = 30
MAX_RUNS = 20
RANK = {"pass": 2, "attested": 2, "waived": 1, "unknown": 0, "fail": 0}


def previous(evidence_root: Path, *, whole: bool) -> dict[str, Any] | None:
    """Return the record of the newest run that can be read, None without one.

    With *whole*, partial runs are skipped: they say nothing about the other checks.
    """
    records = sorted(evidence_root.glob(f"[0-9]*/{RECORD}"), reverse=True)
    for path in records:
        try:
            found: dict[str, Any] = json.loads(path.read_bytes())
            if whole and found["partial"]:
                continue
            if found["run"] and isinstance(found["results"], list):
                return found
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def red_before(
    evidence_root: Path, checks: list[str], *, anchor: str, before: str | None = None
) -> dict[str, str]:
    """Return which *checks* did not pass in the newest run that speaks for the healthy system.

    That is a run in which *anchor* passed and which has the check. Each red one comes with the run
    and the finding; one that passed comes with an empty text, and one without a run not at all.
    *before* is a time stamp: later runs do not count.
    """
    found: dict[str, str] = {}
    for path in sorted(evidence_root.glob(f"[0-9]*/{RECORD}"), reverse=True):
        try:
            record: dict[str, Any] = json.loads(path.read_bytes())
            results = {result["id"]: result for result in record["results"]}
            late = before is not None and record["started_at"] >= before
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if late or RANK.get(results.get(anchor, {}).get("status"), 0) < RANK["pass"]:
            continue
        for name in set(checks) & set(results) - set(found):
            result = results[name]
            good = RANK.get(result["status"], 0) == RANK["pass"]
            found[name] = "" if good else f"{result.get('finding')} (run {record['run']})"
        if len(found) == len(set(checks)):
            break
    return found


def compare(gate: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return which checks got better or worse, came new or are gone since the run *before*."""
    if before is None:
        return None
    old = {result["id"]: result for result in before["results"]}
    new = {result["id"]: result for result in gate["results"]}
    better: list[dict[str, str]] = []
    worse: list[dict[str, str]] = []
    for name in new:
        if name not in old:
            continue
        change = RANK[new[name]["status"]] - RANK[old[name]["status"]]
        if change:
            entry = {
                "id": name,
                "title": new[name]["title"],
                "was": old[name]["status"],
                "is": new[name]["status"],
            }
            (better if change > 0 else worse).append(entry)
    skipped = set() if gate.get("partial") else set(old) - set(new)
    return {
        "run": before["run"],
        "verdict": before["verdict"],
        "started_at": before["started_at"],
        "better": better,
        "worse": worse,
        "added": sorted(set(new) - set(old)) if not before.get("partial") else [],
        "removed": sorted(skipped),
    }


def backups(backup_root: Path | None) -> list[dict[str, Any]]:
    """Return the newest sets, oldest first."""
    found: list[dict[str, Any]] = []
    for folder in sets.listed(backup_root)[-MAX_BACKUPS:] if backup_root else []:
        try:
            document = manifest.read(folder)
        except OpsError as exc:
            found.append({"id": folder.name, "problem": str(exc)})
            continue
        proof = sets.verification(folder)
        totals = document.get("totals", {})
        found.append(
            {
                "id": document["id"],
                "snapshot_at": document["snapshot_at"],
                "size_bytes": totals.get("bytes"),
                "new_bytes": totals.get("bytes", 0) - totals.get("saved_bytes", 0),
                "rows": totals.get("rows") if manifest.counts_are_logical(document) else None,
                "duration_seconds": seconds_between(
                    document.get("started_at"), document.get("finished_at")
                ),
                "verified_at": (proof or {}).get("verified_at"),
                "warm": warm_note.is_of(folder.parent, folder),
            }
        )
    return found


def seconds_between(start: str | None, end: str | None) -> float | None:
    """Return the seconds between two time stamps, None where one is missing."""
    if not start or not end:
        return None
    return round((from_iso(end) - from_iso(start)).total_seconds(), 3)


def drills(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the newest drills of a ledger, oldest first."""
    names = (
        *("set", "proved", "rto_seconds", "rpo_seconds", "rpo_moment_seconds"),
        *("rto_target_seconds", "rpo_target_seconds", "size_bytes", "differences"),
        *("broken", "negative_control"),
        *("drill_host", "segregated", "rto_with_fetch_seconds"),
    )
    found = ledger.of_kind(entries, "drill")[-MAX_DRILLS:]
    return [
        {"at": entry["at"], **{name: entry["record"].get(name) for name in names}}
        for entry in found
    ]


def runs(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the newest gates of a ledger, oldest first."""
    found = [entry for entry in entries if entry["kind"] == "gate"][-MAX_RUNS:]
    return [
        {"run": entry["record"].get("run"), "verdict": entry["record"].get("verdict")}
        for entry in found
    ]
