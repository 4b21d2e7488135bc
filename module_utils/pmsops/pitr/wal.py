# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of WAL segments and positions in the WAL: plain arithmetic.

A segment is called by timeline, log and number, eight hexadecimal digits each; source:
src/include/access/xlog_internal.h of PostgreSQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

SEGMENT = re.compile(r"^[0-9A-F]{24}$")
PARTIAL = ".partial"
DEFAULT_BYTES = 16 << 20
MIN_BYTES, MAX_BYTES = 1 << 20, 1 << 30


def position(lsn: str) -> int:
    """Return the byte that an LSN such as ``0/A068B20`` names."""
    high, _, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def number(segment: str, size: int = DEFAULT_BYTES) -> int:
    """Return the number of a segment, counted from the beginning of the WAL."""
    return int(segment[8:16], 16) * ((1 << 32) // size) + int(segment[16:], 16)


def name(timeline: int, count: int, size: int = DEFAULT_BYTES) -> str:
    """Return the name of the segment of a number."""
    per_log = (1 << 32) // size
    return f"{timeline:08X}{count // per_log:08X}{count % per_log:08X}"


def of_lsn(lsn: str, timeline: int, size: int = DEFAULT_BYTES) -> str:
    """Return the segment that holds a position."""
    return name(timeline, position(lsn) // size, size)


def timeline(segment: str) -> int:
    """Return the timeline of a segment."""
    return int(segment[:8], 16)


def is_segment_size(size: int) -> bool:
    """Tell whether a server can have WAL segments of so many bytes: initdb's --wal-segsize."""
    return MIN_BYTES <= size <= MAX_BYTES and size & (size - 1) == 0


def first_gap(segments: Iterable[str], begin: str, size: int = DEFAULT_BYTES) -> str | None:
    """Return the first segment from *begin* on that is missing before a later one, else None.

    Only the timeline of *begin* counts: a base backup leads along that one.
    """
    held = {number(each, size) for each in segments if timeline(each) == timeline(begin)}
    count = number(begin, size)
    last = max((each for each in held if each >= count), default=count)
    for each in range(count, last + 1):
        if each not in held:
            return name(timeline(begin), each, size)
    return None
