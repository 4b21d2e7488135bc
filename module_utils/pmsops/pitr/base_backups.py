# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which base backup is due, and whether the archive has room for it."""

from __future__ import annotations

from datetime import datetime, timedelta

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import size
from ansible.module_utils.pmsops.pitr import engine, wal, window

# A scheduled run begins some minutes earlier or later than the one before.
FULL_AFTER = timedelta(days=7) - timedelta(hours=1)
INCREMENT_AFTER = timedelta(hours=23)


def needed_bytes(info: engine.Info, kind: str, cluster_bytes: int) -> int:
    """Return the room that a base backup may need, beside the stream.

    An increment may be as large as the server, and is as a rule a small part of it.
    """
    wanted = cluster_bytes if kind == engine.FULL else 0
    return wanted + window.ROOM * info.segment_bytes


def require_room(info: engine.Info, kind: str, cluster_bytes: int) -> None:
    """Refuse a base backup that would fill the disk of the archive: the stream needs it too.

    :raises OpsError: pitr.archive-full
    """
    wanted = needed_bytes(info, kind, cluster_bytes)
    if info.free_bytes is not None and info.free_bytes < wanted:
        raise OpsError(
            f"The disk of the archive has {size(info.free_bytes)} free, and a base backup needs"
            f" {size(wanted)}. None was made: the stream of WAL would have stopped too.",
            "Give the archive's volume more room, or let older moments go: a smaller"
            " pitr_window_days or pitr_window_floor_days, then pms-ops pitr expire.",
            code="pitr.archive-full",
        )


def leads_on(info: engine.Info, newest: engine.Detail, timeline: int | None) -> bool:
    """Tell whether the newest base backup leads to the moments of now.

    It does not if the server writes another *timeline*, or a segment of WAL after it is missing.
    """
    if timeline not in (None, newest.timeline):
        return False
    segments = [*info.segments, *([info.partial] if info.partial else [])]
    return wal.first_gap(segments, newest.begin_wal, info.segment_bytes) is None


def due(info: engine.Info, now: datetime, *, incremental: bool) -> str | None:
    """Return the kind of base backup that is due: a full one a week, and an increment a day."""
    full = [each for each in info.usable if each.kind == engine.FULL]
    if not full or now - full[-1].ended_at > FULL_AFTER:
        return engine.FULL
    if incremental and now - info.usable[-1].ended_at > INCREMENT_AFTER:
        return engine.INCREMENTAL
    return None
