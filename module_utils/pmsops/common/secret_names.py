# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which variables and entries hold a secret, by their names; which secrets are plain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_SECRET = re.compile(
    r"pass(word|phrase|wd|code)|pass$|(^|_)pass_|secret|token|private|credential|api_key|webhook",
    re.IGNORECASE,
)
# Where a secret lies is none.
_PLACE = re.compile(r"_(file|dir|path)$", re.IGNORECASE)

SHORTEST = 8
# A number, a date, a moment or the id of a set
_NUMBER = re.compile(r"[0-9][0-9 :._/TZ+-]*")


def is_plain(text: str) -> bool:
    """Tell whether a secret is so short, or so much of a number, that other texts have it, too."""
    return len(text) < SHORTEST or _NUMBER.fullmatch(text) is not None


def holds_secret(name: str) -> bool:
    """Tell by its name whether something holds a secret, such as ``pms_db_password``."""
    return bool(_SECRET.search(name)) and not _PLACE.search(name)


def leaves(value: Any) -> Iterator[Any]:
    """Yield the values in mappings and lists, however deep; of another value itself."""
    if isinstance(value, Mapping):
        for each in value.values():
            yield from leaves(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from leaves(each)
    else:
        yield value
