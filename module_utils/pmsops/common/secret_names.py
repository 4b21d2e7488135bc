# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which names of variables and of their entries hold a secret."""

from __future__ import annotations

import re

_SECRET = re.compile(
    r"pass(word|phrase|wd|code)|pass$|(^|_)pass_|secret|token|private|credential|api_key|webhook",
    re.IGNORECASE,
)
# Where a secret lies is none.
_PLACE = re.compile(r"_(file|dir|path)$", re.IGNORECASE)


def holds_secret(name: str) -> bool:
    """Tell by its name whether something holds a secret, such as ``pms_db_password``."""
    return bool(_SECRET.search(name)) and not _PLACE.search(name)
