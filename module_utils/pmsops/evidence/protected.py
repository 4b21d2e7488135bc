# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the status says of continuous protection: window, lag, slot, canary rows, newest proof."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import progress
from ansible.module_utils.pmsops.common.timestamps import age
from ansible.module_utils.pmsops.evidence import proofs, restores
from ansible.module_utils.pmsops.repository import protection

PROOF_SECONDS = 8 * 86400  # it is due each week
OLD_SECONDS = 2 * 3600  # the schedule looks every hour
SHOWN = 3
DROP = "pms-ops rollback --drop-server"


def collect(backup_root: Path, entries: Sequence[dict[str, Any]], now: datetime) -> dict[str, Any]:
    """Return what was last seen, and the newest proof."""
    seen = protection.read(backup_root)
    proof = proofs.last(entries)
    if proof:
        proof["age_seconds"] = restores.age_seconds(proof["at"], now)
    return {
        "seen": seen,
        "age_seconds": restores.age_seconds(seen["at"], now) if seen else None,
        "proof": proof,
    }


def due(found: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Return what is wrong with it, and the command for each."""
    if found is None:
        return []
    seen, proof = found["seen"], found["proof"]
    if seen is None:
        return [("continuous protection is to be on, and was never seen", "pms-ops pitr enable")]
    external = seen.get("engine")
    remedy = f"the commands of {external}" if external else "pms-ops pitr maintain"
    wrong = [(text, remedy) for text in seen["problems"]]
    if (found["age_seconds"] or 0) > OLD_SECONDS:
        wrong.append(("nobody looked at continuous protection for hours", "pms-ops pitr status"))
    if seen.get("unprovable"):
        return wrong
    if proof is None:
        wrong.append(("base backup and WAL were never proved", "pms-ops pitr prove"))
    elif not proof["proved"]:
        why = f": {proof['why']}" if proof["why"] else ""
        wrong.append((f"the last proof of base backup and WAL failed{why}", "pms-ops pitr prove"))
    elif (proof["age_seconds"] or 0) > PROOF_SECONDS:
        wrong.append(("the last proof of base backup and WAL is old", "pms-ops pitr prove"))
    return wrong


def describe(found: dict[str, Any] | None, say: Callable[[str, str], None]) -> None:
    """Report it to people, each line as a name and a text."""
    if found is None:
        say("any moment", "off: only the moments of backup sets can be restored")
        return
    seen, proof = found["seen"], found["proof"]
    if seen is None:
        say("any moment", "never seen")
        return
    window = f"{seen['earliest']} to {seen['latest']}" if seen["earliest"] else "none"
    gap = f", WAL segment {seen['gap']} is missing" if seen["gap"] else ""
    say("any moment", f"{window}{gap}, seen {age(found['age_seconds'])} ago")
    for began, ended in seen["unwitnessed"][-SHOWN:]:
        say("no witness", f"{began} to {ended}")
    lag = "of unknown lag" if seen["lag_seconds"] is None else f"{age(seen['lag_seconds'])} behind"
    size = "" if seen["lag_bytes"] is None else f", {progress.size(seen['lag_bytes'])}"
    slot = f", slot {seen['slot'] or 'unknown'}" if not seen.get("engine") else ""
    say("stream", f"{'active' if seen['active'] else 'down'}, {lag}{size}{slot}")
    for name, why in (seen.get("unknown") or {}).items():
        say("not known", f"{name}: {why}")
    if seen.get("engine"):
        say("engine", f"{seen['engine']}, which is not operated by pms-ops")
    if seen.get("unprovable"):
        say("last proof", f"none: {seen['unprovable']}")
        return
    for each in seen.get("former_servers", []):  # a note of an earlier release has none
        goes = f"goes {each['goes_at']}" if each["goes_at"] else "stays"
        kept = f"{progress.size(each['size_bytes'])}, kept {each['kept_at'] or 'long ago'}, {goes}"
        say("former server", f"{each['volume']}, {kept}; {DROP} {each['volume']}")
    if proof is None:
        say("last proof", "none")
    else:
        verdict = f"equal to set {proof['set']}" if proof["set"] else f"of {proof['moment']}"
        verdict = verdict if proof["proved"] else f"FAILED ({proof['code']})"
        say("last proof", f"{age(proof['age_seconds'])} ago, {verdict}")
