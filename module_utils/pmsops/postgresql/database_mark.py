# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The mark of a database or a role of ours: a comment of JSON that says what it is."""

from __future__ import annotations

import json
from typing import Any

MARK = "pms-ops: "
# The key of the mark of a database that was live: its own default of the setting, None for none.
READ_ONLY, SETTING = "read_only", "default_transaction_read_only"


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


def as_live(settings: dict[str, list[str]], mark: dict[str, Any]) -> dict[str, list[str]]:
    """Return the *settings* of a former database as they were: since then it is read-only."""
    if READ_ONLY not in mark:
        return settings
    kept = [each for each in settings.get("", []) if each.partition("=")[0] != SETTING]
    if mark[READ_ONLY] is not None:
        kept = sorted([*kept, f"{SETTING}={mark[READ_ONLY]}"])
    others = {role: values for role, values in settings.items() if role}
    return others | ({"": kept} if kept else {})
