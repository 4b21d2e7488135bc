# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the ledger tells of proofs of continuous protection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible.module_utils.pmsops.evidence import ledger

KIND = "proof"
NAMES = ("of", "set", "moment", "proved", "code", "why", "base_backup", "rows", "duration_seconds")


def last(entries: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the newest proof, good or not; None without one."""
    found = ledger.of_kind(entries, KIND)
    if not found:
        return None
    entry = found[-1]
    record = {name: entry["record"].get(name) for name in NAMES}
    return {"at": entry["at"]} | record | {"proved": record["proved"] is True}
