# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Named values in a checklist: ``${name}`` in any text of an item."""

from __future__ import annotations

import re
from typing import Any

from ansible.module_utils.pmsops.common.exchange_calendar import Clock

_NAME = re.compile(r"\$\{([^}]*)\}")
_DUE = re.compile(r"due-(\d{2})(\d{2})")
_COUNTED = re.compile(r"(business_day|month)-(\d{1,3})")

# How an inventory spells what a checklist names.
_GROUPS = {
    "database": "pms_db_",
    "redis": "pms_redis_",
    "api": "pms_api_",
    "grafana": "pms_grafana_",
    "services": "golive_services.",
}
_OTHERS = {"schedule_status": "schedule_state_dir"}
_PLACES = ("app_dir", "dagster_url", "compose_project", "keys_dir")


class UnsetVariable(Exception):
    """A text names a variable that has no value here."""


class Variables:
    """The values of a run: the given ones, and the calendar's."""

    def __init__(self, given: dict[str, Any], clock: Clock) -> None:
        self.given = given
        self.clock = clock

    def fill(self, value: Any) -> Any:
        """Return *value* with every ``${name}`` replaced, in lists and mappings too.

        A text that is nothing but one name takes the value's own type.

        :raises UnsetVariable: when a name is unknown, or its value is empty.
        """
        if isinstance(value, str):
            if whole := _NAME.fullmatch(value):
                return self.value(whole[1])
            return _NAME.sub(lambda match: str(self.value(match[1])), value)
        if isinstance(value, list):
            return [self.fill(entry) for entry in value]
        if isinstance(value, dict):
            return {name: self.fill(entry) for name, entry in value.items()}
        return value

    def value(self, name: str) -> Any:
        """Return the value of one name.

        :raises UnsetVariable: when it is unknown or empty.
        """
        if name == "today":
            return self.clock.today.isoformat()
        if name == "now":
            return self.clock.now.isoformat()
        if due := _DUE.fullmatch(name):
            return self.clock.due(int(due[1]), int(due[2])).isoformat()
        if counted := _COUNTED.fullmatch(name):
            count = int(counted[2])
            by = self.clock.business_day if counted[1] == "business_day" else self.clock.month
            return by(count).isoformat()
        value: Any = self.given
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is None or value in ("", [], {}):
            raise UnsetVariable(f"{_in_inventory(name)} is not set")
        return value


def _in_inventory(name: str) -> str:
    """Return the name by which an inventory sets a value."""
    group, dot, rest = name.partition(".")
    if dot and group in _GROUPS:
        return _GROUPS[group] + rest
    return _OTHERS.get(name) or (f"pms_{name}" if name in _PLACES else f"variable {name}")
