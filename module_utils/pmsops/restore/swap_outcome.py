# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a swap run returns, and the former databases that it drops at its end."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.restore import (
    former_retention,
    registry,
    rejected,
    staging_database,
)


def empty(live: str) -> dict[str, Any]:
    """Return the result of a run that swapped nothing."""
    return {
        "live": live, "former": None, "incoming": None, "pruned": [],
        "phases": {}, "recovered": [], "waiting": None, "finished": None, "resumed": False,
        "slots": [], "prepared_transactions": [], "not_dropped": [], "warnings": [],
        "down_seconds": None, "consent": None,
    }  # fmt: skip


def diff(live: str, incoming: str, outgoing: str | None) -> dict[str, str]:
    """Return the names before and after."""
    return {
        "before": f"{live if outgoing else ''}\n{incoming}\n",
        "after": f"{outgoing or ''}\n{live}\n",
    }


def drop_expired(live: Database, policy: former_retention.Policy) -> tuple[list[str], list[str]]:
    """Drop the former and rolled-back databases that retention lets go.

    Return their names, and why the others stay.
    """
    found = registry.select(registry.read_from(live), live.name, registry.FORMER, registry.UNDONE)
    expired = former_retention.expired(found, policy, datetime.now(UTC))
    dropped, stay = [], rejected.reminders(found)
    for name in expired:
        if reason := staging_database.drop_or_explain(live, name):
            stay.append(reason)
        else:
            dropped.append(name)
    return dropped, stay
