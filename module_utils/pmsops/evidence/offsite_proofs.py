# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the ledger tells of sets that came back from other sites."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible.module_utils.pmsops.evidence import ledger

KIND = "offsite"
NAMES = ("set", "proved", "code", "why", "fetch_seconds", "proof_seconds", "size_bytes")


def last(entries: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the newest proof of each site, good or not."""
    found = {}
    for entry in ledger.of_kind(list(entries), KIND):
        record = entry["record"]
        if record.get("act") == "proof":
            facts = {name: record.get(name) for name in NAMES}
            facts["proved"] = record.get("proved") is True
            found[str(record.get("site"))] = {"at": entry["at"]} | facts
    return found
