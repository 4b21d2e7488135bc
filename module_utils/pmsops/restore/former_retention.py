# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which former databases retention may drop; the newest always stays.

One that the PMS wrote to before a swap back stays, too, and counts for nothing: a person decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible.module_utils.pmsops.common.timestamps import UTC, from_iso
from ansible.module_utils.pmsops.restore import registry
from ansible.module_utils.pmsops.restore.registry import ManagedDatabase


@dataclass(frozen=True)
class Policy:
    """How many to keep, and for how many days at least; *count* 0 keeps all of them."""

    count: int = 0
    days: int = 0


def expired(found: Sequence[ManagedDatabase], policy: Policy, now: datetime) -> list[str]:
    """Return the names of those to drop; *found* is in the order in which they were replaced."""
    if policy.count < 1:
        return []
    youngest = now - timedelta(days=policy.days)
    ours = [each for each in found if registry.WRITTEN not in each.mark]
    return [each.name for each in ours[: -policy.count] if _since(each, now) <= youngest]


def _since(each: ManagedDatabase, now: datetime) -> datetime:
    """Return when a database was replaced; one whose mark does not say counts as new."""
    try:
        moment = from_iso(str(each.mark["since"]))
    except (KeyError, ValueError):
        return now + timedelta(days=1)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
