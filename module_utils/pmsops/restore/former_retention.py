# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of the databases that swaps have put aside policy lets go: never the newest one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ansible.module_utils.pmsops.restore.registry import Beside


@dataclass(frozen=True)
class Policy:
    """How many to keep, and for how many days at least; *count* 0 keeps all of them."""

    count: int = 0
    days: int = 0


def expired(found: Sequence[Beside], policy: Policy, now: datetime) -> list[str]:
    """Return the names of those to drop, of *found* in the order in which they were put aside."""
    if policy.count < 1:
        return []
    young = now - timedelta(days=policy.days)
    return [each.name for each in found[: -policy.count] if _since(each, now) <= young]


def _since(each: Beside, now: datetime) -> datetime:
    """Return when a database was put aside; one that does not say counts as new."""
    try:
        moment = datetime.fromisoformat(str(each.mark["since"]))
    except (KeyError, ValueError):
        return now + timedelta(days=1)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
