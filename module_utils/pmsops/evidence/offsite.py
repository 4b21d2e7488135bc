# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the status says of other sites: their newest copy, check and proof, and what is due."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.timestamps import age
from ansible.module_utils.pmsops.evidence import offsite_proofs, restores
from ansible.module_utils.pmsops.repository import site_notes

DELETES = 'docs/OFFSITE.md, "Let old copies go": the site\'s operator takes that right away'
CHECK_SECONDS, PROOF_SECONDS = 3 * 86400, 8 * 86400  # a check is due daily, a proof weekly


def collect(
    backup_root: Path, entries: Sequence[dict[str, Any]], sites: Sequence[str], now: datetime
) -> list[dict[str, Any]]:
    """Return what is known of each site, with the newest proof and ages."""
    proofs = offsite_proofs.last(entries)
    found = []
    for each in site_notes.assess(backup_root, sites):
        proof = proofs.get(each["site"])
        found.append(
            each
            | {
                "proof": proof,
                "proof_age_seconds": restores.age_seconds(proof["at"], now) if proof else None,
                "check_age_seconds": _age(each["check"], now),
                "upload_age_seconds": _age(each["upload"], now),
            }
        )
    return found


def due(found: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return what is wrong with each site, and the command for it; signs of ransomware first."""
    return [*_signs(found), *(entry for each in found for entry in _due(each))]


def _signs(found: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [
        (f"site {each['site']}, a sign of ransomware: {sign}", "pms-ops offsite list")
        for each in found
        for sign in each["signs"]
    ]


def _due(each: Mapping[str, Any]) -> list[tuple[str, str]]:
    site, entries = f"site {each['site']}", []
    if each["behind"]:
        entries.append((f"{site}: {each['behind']}", "pms-ops offsite upload"))
    for act, error in each["errors"].items():
        if act != "upload":
            entries.append((f"{site}: {act} failed ({error['code']})", error["remedy"]))
    if "check" not in each["errors"] and _older(each["check_age_seconds"], CHECK_SECONDS):
        entries.append((f"{site}: its data was not checked for days", "pms-ops offsite check"))
    proof = each["proof"]
    if proof is None:
        entries.append((f"{site}: no set that came from it was proved", "pms-ops offsite prove"))
    elif not proof["proved"]:
        entries.append((f"{site}: the last proof failed: {proof['why']}", "pms-ops offsite prove"))
    elif _older(each["proof_age_seconds"], PROOF_SECONDS):
        entries.append((f"{site}: the last proof is old", "pms-ops offsite prove"))
    refused = each["immutable"]
    if refused and not refused["refused"]:
        entries.append((f"{site}: this machine can delete copies there", DELETES))
    return entries


def describe(found: Sequence[Mapping[str, Any]], say: Callable[[str, str], None]) -> None:
    """Report it to people, each line as a name and a text."""
    for each in found:
        upload, proof = each["upload"], each["proof"]
        if not upload:
            say("site", f"{each['site']}: {site_notes.NOTHING}")
            continue
        verdict = "never"
        if proof:
            verdict = f"{age(each['proof_age_seconds'])} ago"
            verdict += "" if proof["proved"] else f", FAILED ({proof['code']})"
        say(
            "site",
            f"{each['site']}: set {upload['set']}, {age(each['upload_age_seconds'])} ago; checked"
            f" {age(each['check_age_seconds'])} ago; proved {verdict}",
        )


def _age(act: Mapping[str, Any] | None, now: datetime) -> float | None:
    return restores.age_seconds(act["at"], now) if act else None


def _older(seconds: float | None, limit: float) -> bool:
    return seconds is None or seconds > limit
