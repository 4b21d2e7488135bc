# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of pgBackRest's archive of WAL, as ``repo-ls`` lists them: its own check is none.

``pgbackrest check``, ``info`` and ``verify`` end with 0 where a segment is missing or cut short. So
the chain is looked at here, by the names and sizes of the files.
"""

from __future__ import annotations

import re
from typing import Any

from ansible.module_utils.pmsops.pitr import wal
from ansible.module_utils.pmsops.pitr.external_catalogue import PGBACKREST, Catalogue

# 17-1/0000000100000000/000000010000000000000005-<SHA-1 of its content>[.gz, .zst, ...]
_FILE = re.compile(r"(?:^|/)(\d+)-(\d+)/[0-9A-F]{16}/([0-9A-F]{24})-[0-9a-f]{40}(?:\.\w+)?$")
# The smallest that a compressed segment can be; one that was cut to nothing has none.
SMALLEST_BYTES = 1


def is_listing(document: Any) -> bool:
    """Tell whether a document lists files, with a segment of WAL among them."""
    return (
        isinstance(document, dict)
        and bool(document)
        and all(isinstance(each, dict) and "type" in each for each in document.values())
        and any(_FILE.search(name) for name in document)
    )


def catalogues(document: dict[str, dict[str, Any]]) -> list[Catalogue]:
    """Return the files of the archive, which do not say of which stanza they are."""
    held = segments(document)
    return [Catalogue(PGBACKREST, held=held, newest_wal=max(held, default=None), listed=True)]


def segments(document: dict[str, dict[str, Any]]) -> tuple[str, ...]:
    """Return the segments of the newest database that the archive holds, in order.

    A stanza that was upgraded has a folder for each of its databases, with a number that grows.
    """
    found: dict[int, set[str]] = {}
    for name, entry in document.items():
        match = _FILE.search(name)
        if match and entry["type"] == "file" and int(entry.get("size") or 0) >= SMALLEST_BYTES:
            found.setdefault(int(match[2]), set()).add(match[3])
    return tuple(sorted(found[max(found)])) if found else ()


def lacking(held: tuple[str, ...], begin: str | None, timeline: int, size: int) -> tuple[str, ...]:
    """Return the segments that are missing between *begin* and the newest one.

    Without a *begin* the oldest one counts: an engine keeps none of before its backups.

    A server that was promoted goes on with the numbers of its former timeline: one of a number is
    enough, on any timeline up to its own. Those above it are of another server.
    """
    own = [each for each in held if wal.timeline(each) <= timeline]
    numbers = {wal.number(each, size) for each in own}
    first = wal.number(begin, size) if begin else min(numbers, default=0)
    last = max((each for each in numbers if each >= first), default=first)
    return tuple(
        wal.name(timeline, each, size) for each in range(first, last + 1) if each not in numbers
    )
