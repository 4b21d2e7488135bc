# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The mark of a database or a role of ours: a comment of JSON that says what it is."""

from __future__ import annotations

import json
from typing import Any

MARK = "pms-ops: "


def text(mark: dict[str, Any]) -> str:
    """Return the comment that carries *mark*."""
    return MARK + json.dumps(mark, sort_keys=True)


def read(comment: str | None) -> dict[str, Any]:
    """Return the mark that a comment carries, empty for any other comment."""
    if not comment or not comment.startswith(MARK):
        return {}
    try:
        found = json.loads(comment.removeprefix(MARK))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
