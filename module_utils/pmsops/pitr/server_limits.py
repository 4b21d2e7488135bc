# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a server needs for a stream, and how much WAL a slot may keep on its disk."""

from __future__ import annotations

KEEP = "max_slot_wal_keep_size"
MIN_KEEP_BYTES = 1 << 30
KEEP_SHARE = 5  # of the free room: a fifth
SENDERS = 2  # the stream, and a base backup beside it


def default_keep_bytes(free: int) -> int:
    """Return how much WAL the slot may keep where so many bytes are free, if nobody says it."""
    return max(MIN_KEEP_BYTES, free // KEEP_SHARE)


def lacking(settings: dict[str, str], senders: int, slots: int) -> list[str]:
    """Return what the server's settings lack for a stream; each needs a restart."""
    lacks = []
    if settings["wal_level"] == "minimal":
        lacks.append("wal_level = minimal, and it needs replica")
    free = int(settings["max_wal_senders"]) - senders
    if free < SENDERS:
        lacks.append(f"max_wal_senders leaves {max(free, 0)}, and it needs {SENDERS}")
    if int(settings["max_replication_slots"]) - slots < 1:
        lacks.append("max_replication_slots leaves none, and it needs 1")
    return lacks
