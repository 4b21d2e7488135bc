# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""By what a checkpoint is reached again: the quickest means for which the server has room.

A copy of the live database by CREATE DATABASE ... TEMPLATE is none of them, however quick a file
system clones: PostgreSQL makes it only while nobody is connected, so the PMS would have to stop,
and it would be of another moment than the set that it has to equal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.restore import room, warm_copy, warm_rule
from ansible.module_utils.pmsops.restore.request import Request

# Values of ``means``, which the ledger keeps.
WARM, ALONE = "set and warm copy", "set alone"


def choose(live: Database, root: Path, *, keep: bool) -> dict[str, Any]:
    """Return ``means``, why they are chosen, whether the set can be proved, and the long way.

    *keep* is whether drills keep their copies at all.
    """
    copies = warm_copy.listed(live)
    go = warm_rule.going(copies, root, "")
    spare, all_spare = warm_copy.size_bytes(live, go), warm_copy.size_bytes(live, copies)
    with live.session(name=live.maintenance_name, read_only=True) as cursor:
        needed = int(fetch_value(cursor, "SELECT pg_database_size(%s::name)", (live.name,)))
        free = room.free_bytes(cursor, live)
    why = None if keep else "drill_keep is false."
    why = why or warm_rule.too_little_room(free, spare, needed)
    seconds = last_seconds(root)
    if why is None:
        reason = "The set is held, and its proved copy kept: the way back needs no load."
    else:
        last = f"{seconds:.0f} s the last time" if seconds else "it was never timed"
        reason = f"The set is held alone; the way back is a restore from its files, {last}. {why}"
    return {
        "means": ALONE if why else WARM,
        "reason": reason,
        "provable": free is None or free + all_spare >= needed * room.SPACE_SHARE,
        "restore_seconds": seconds,
    }


def last_seconds(root: Path, folder: Path | None = None) -> float | None:
    """Return how long a restore from files takes, as the last one did, scaled to the set's size."""
    try:
        return Request(root=root, keys=root, file=folder).expected_seconds()
    except OpsError:
        return None  # no set yet, or none that can be read


def warm(live: Database, folder: Path) -> str | None:
    """Return the warm copy of a set, by the server's own marks."""
    sha256 = sets.resolve(folder).manifest_sha256
    found = {each.name: each for each in warm_copy.listed(live)}
    copy = warm_copy.of_set(found, live.name, sha256)
    return copy.name if copy else None
