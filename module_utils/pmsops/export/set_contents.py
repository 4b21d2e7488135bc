# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a backup set has beside the rows: encryption, files left out, the time to the next set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.pairs import neighbours
from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.evidence import audit
from ansible.module_utils.pmsops.export import rows, set_history
from ansible.module_utils.pmsops.export.segment import Line, Segment
from ansible.module_utils.pmsops.repository import manifest, set_parts

ENCRYPTED, LEFT_OUT = "encrypted", "left_out"
# How a line of the ledger names a part that is not whole; see repository/set_parts.py.
_SIGNS = (": NOT TAKEN, ", ", without ")


def described(folder: Path) -> dict[str, Any]:
    """Return whether a set is encrypted, and what its parts lack; None where nobody can tell."""
    try:
        document = manifest.read(folder)
        out = []
        for name, part in set_parts.of(document).items():
            if part["not_taken"]:
                out.append(f"{name}: {part['not_taken']}")
            out += [f"{name}: {each}" for each in part["left_out"]]
        return {ENCRYPTED: bool(document["dump"].get("encrypted")), LEFT_OUT: out}
    except (OpsError, KeyError, TypeError, AttributeError):
        return {ENCRYPTED: None, LEFT_OUT: None}


def of_set(line: Line, now: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the same of a set of the ledger; *now* is the set as it is on the disk, if it is."""
    found = {name: (now or {}).get(name) for name in (ENCRYPTED, LEFT_OUT)}
    if found[LEFT_OUT] is None:
        said = line.record.get(set_parts.FIELD)
        if isinstance(said, list):
            found[LEFT_OUT] = [each for each in said if any(sign in each for sign in _SIGNS)]
    return found


def not_proved(proofs: Iterable[Line]) -> list[str]:
    """Return what the proofs of a set say that none of them covered.

    The line of an off-site proof does not say it: the drill's line before it does.
    """
    told = [e for e in proofs if e.entry and e.kind != "offsite"]
    said = [rows.names(audit.of(e.entry).get("not_covered")) for e in told if e.entry]
    return [each for each in said[0] if all(each in other for other in said)] if said else []


def longest_interval(segment: Segment, now: datetime | None) -> dict[str, Any] | None:
    """Return the longest time without a set in the period; None with fewer than two moments.

    The time from the last set to the end of the period, or to *now*, counts: data of it would be
    lost just as well.
    """
    made = set_history.made_moments(segment, segment.period.end)
    if made and now is not None:
        made.append(max(min(now, segment.period.end), made[-1]))
    spans = [(later - before, before, later) for before, later in neighbours(made)]
    if not spans:
        return None
    longest, since, until = max(spans)
    return {
        "seconds": longest.total_seconds(),
        "since": utc_stamp(since),
        "until": utc_stamp(until),
    }
