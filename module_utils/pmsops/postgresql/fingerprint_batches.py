# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which tables are read by one statement.

A statement costs half a millisecond whatever it reads: most of the work of a small table.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

MOST = 64  # relations of one statement: the server plans all of them at once
MOST_BYTES = 8_000_000
PER_READER = 8  # batches, so that no reader waits long for another one's last batch


class Sized(Protocol):
    """What a batch has to know of a relation."""

    @property
    def size_bytes(self) -> int:
        """Return the bytes of its own rows."""
        ...

    @property
    def condition(self) -> str:
        """Return the filter of its rows, empty without one."""
        ...

    @property
    def generated(self) -> tuple[str, ...]:
        """Return the columns without which it has a second fingerprint."""
        ...

    @property
    def chunk(self) -> Any:
        """Return the chunk that it is, None if it is none."""
        ...


Table = TypeVar("Table", bound=Sized)


def of(expected: Iterable[Table], readers: int) -> list[list[Table]]:
    """Return the relations in batches, in their order."""
    known = list(expected)
    most = max(1, min(MOST, len(known) // (PER_READER * readers)))
    found: list[list[Table]] = []
    room = 0
    for each in known:
        if _alone(each):
            found.append([each])
            room = 0
            continue
        if not room or each.size_bytes > room or len(found[-1]) >= most:
            found.append([])
            room = MOST_BYTES
        found[-1].append(each)
        room = max(room - each.size_bytes, 0)
    return found


def _alone(relation: Sized) -> bool:
    """Tell whether a relation has a statement of its own.

    A chunk without bytes of its own may be compressed, with millions of rows.
    """
    compressed = relation.chunk is not None and not relation.size_bytes
    return compressed or bool(relation.generated) or bool(relation.condition)
