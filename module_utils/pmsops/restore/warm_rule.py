# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which warm copies stay: that of the newest checkpoint that has one, and the newest other one.

So no drill takes away what makes the way back to a checkpoint short.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ansible.module_utils.pmsops.common.progress import size as human
from ansible.module_utils.pmsops.repository import checkpoints
from ansible.module_utils.pmsops.restore.registry import ManagedDatabase

# A copy is kept where the disk has room for twice the database and a tenth more: the copy, and the
# staging database of the next drill.
KEEP_SHARE = 2.1


def of_checkpoint(copies: Sequence[ManagedDatabase], root: Path) -> ManagedDatabase | None:
    """Return the copy of the newest checkpoint that has one; *copies* begin with the oldest."""
    order = [each.id for each in checkpoints.listed(root)]
    found = [each for each in copies if each.mark.get("set") in order]
    # Stable: of two copies of one set the newer one comes last.
    return max(reversed(found), key=lambda each: order.index(str(each.mark["set"])), default=None)


def staying(copies: Sequence[ManagedDatabase], root: Path) -> list[str]:
    """Return the names of the copies that stay; *copies* begin with the oldest."""
    kept = of_checkpoint(copies, root)
    others = [each for each in copies if kept is None or each.mark["set"] != kept.mark["set"]]
    return [each.name for each in (kept, *others[-1:]) if each is not None]


def going(copies: Sequence[ManagedDatabase], root: Path, wanted: str) -> list[ManagedDatabase]:
    """Return the copies that go once there is a new one of the set *wanted*."""
    kept = of_checkpoint(copies, root)
    return [each for each in copies if each is not kept or each.mark["set"] == wanted]


def too_little_room(free_bytes: int | None, kept_bytes: int, needed_bytes: int) -> str | None:
    """Return why no copy is kept, None if the disk has the room.

    *kept_bytes* is what the present copies take: they go once the new one is proved.
    """
    if free_bytes is None:
        return "No warm copy is kept: the free space on the server's disk is unknown."
    wanted = round(needed_bytes * KEEP_SHARE)
    if free_bytes + kept_bytes >= wanted:
        return None
    return (
        f"No warm copy is kept: it needs {human(wanted)}, twice the database and a tenth more; the"
        f" server's disk has {human(free_bytes + kept_bytes)}."
    )
