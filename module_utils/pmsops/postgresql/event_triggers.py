# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Event triggers are off in every database that restores manage, until it is live.

A login trigger that fills an audit table would otherwise write with each of the toolkit's sessions,
and in a former database, which is read-only, refuse everybody. The setting of a database is the one
place that counts before a session can say anything, and only a superuser may set it. Before
PostgreSQL 17 there is neither the setting nor a login trigger.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ansible.module_utils.pmsops.postgresql.connection import fetch_value

SETTING = "event_triggers"
# The key of a mark that holds the database's own value, None where it has none.
MARKED = SETTING
_STATEMENT = re.compile(r"SET \"?event_triggers\"? TO '?(on|off)'?;?")


def known(cursor: Any) -> bool:
    """Tell whether the server has the setting."""
    return bool(fetch_value(cursor, "SELECT 1 FROM pg_settings WHERE name = %s", (SETTING,)))


def off(quoted: str) -> str:
    """Return the statement that turns event triggers off in the database *quoted*."""
    return f"ALTER DATABASE {quoted} SET {SETTING} TO off"


def given_back(quoted: str, mark: dict[str, Any]) -> list[str]:
    """Return the statements that give the database *quoted* its own value back."""
    if MARKED not in mark:  # marked by an older release, which left the setting alone
        return []
    value = mark[MARKED]
    change = f"SET {SETTING} TO {value}" if value in ("on", "off") else f"RESET {SETTING}"
    return [f"ALTER DATABASE {quoted} {change}"]


def own(settings: dict[str, list[str]], properties: Sequence[tuple[str, str]] = ()) -> str | None:
    """Return a database's own value, None where it has none.

    It is among the *settings* of a set, or the *properties* of a bare dump.
    """
    for each in settings.get("", []):
        name, _, value = each.partition("=")
        if name == SETTING:
            return value
    found = [own_of_statement(before, after) for before, after in properties]
    return next((value for value in found if value), None)


def own_of_statement(before: str, after: str) -> str | None:
    """Return the value that a bare dump's ``before <database> after`` sets, else None."""
    match = _STATEMENT.fullmatch(after.strip()) if before.strip() == "ALTER DATABASE" else None
    return match[1] if match else None


def as_live(settings: dict[str, list[str]], mark: dict[str, Any]) -> dict[str, list[str]]:
    """Return the *settings* that a managed database will have once it is live."""
    if MARKED not in mark:
        return settings
    kept = [each for each in settings.get("", []) if each.partition("=")[0] != SETTING]
    if mark[MARKED]:
        kept = sorted([*kept, f"{SETTING}={mark[MARKED]}"])
    others = {role: values for role, values in settings.items() if role}
    return others | ({"": kept} if kept else {})
