# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Room on the disk of the archive: what goes before its time, so that the stream does not stop.

Moments of weeks ago are worth less than those of today, which a full disk would cost. So the oldest
base backups go while the disk is short, each with its increments and the WAL up to the next one.
What stays whatever the disk says: the days that were promised in any case, a number of full base
backups, and the one that the last proof was of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ansible.module_utils.pmsops.common.progress import size
from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.evidence import ledger, proofs
from ansible.module_utils.pmsops.pitr import engine


@dataclass(frozen=True)
class Policy:
    """How much of the disk stays free, and what is never given up for it."""

    free_percent: int = 10  # 0: nothing goes before its time
    floor_days: int = 7  # the window is never made shorter than this
    full_backups: int = 2  # so many full base backups stay

    @classmethod
    def from_options(cls, params: dict[str, Any]) -> Policy:
        """Return the policy of a module's options."""
        return cls(
            params["archive_free_percent"], params["window_floor_days"], params["min_full_backups"]
        )


def last_proved(entries: Sequence[dict[str, Any]]) -> str | None:
    """Return the base backup that the newest good proof of the ledger was of, None without one."""
    for entry in reversed(ledger.of_kind(entries, proofs.KIND)):
        if entry["record"].get("proved") is True and entry["record"].get("base_backup"):
            return str(entry["record"]["base_backup"])
    return None


@dataclass(frozen=True)
class Chain:
    """A full base backup with the increments that build on it: they go together."""

    full: engine.BaseBackup
    increments: tuple[engine.BaseBackup, ...] = ()

    @property
    def ids(self) -> list[str]:
        """The base backups of it."""
        return [self.full.id, *(each.id for each in self.increments)]

    @property
    def size_bytes(self) -> int:
        """Their bytes, with the WAL up to the next full one."""
        return sum(each.size_bytes + each.wal_bytes for each in (self.full, *self.increments))


def chains(info: engine.Info) -> list[Chain]:
    """Return the usable base backups by full one, oldest first."""
    found: list[Chain] = []
    for each in info.usable:
        if each.kind == engine.FULL:
            found.append(Chain(each))
        elif found:
            found[-1] = replace(found[-1], increments=(*found[-1].increments, each))
    return found


def limit_bytes(info: engine.Info, policy: Policy, needed: int = 0) -> int:
    """Return how much has to be free: the policy's share of the disk, or what a backup *needed*."""
    share = (info.disk_bytes or 0) * policy.free_percent // 100
    return max(share, needed) if policy.free_percent > 0 else 0


def short(info: engine.Info, policy: Policy, needed: int = 0) -> bool:
    """Tell whether less is free than has to be."""
    return info.free_bytes is not None and info.free_bytes < limit_bytes(info, policy, needed)


def oldest_to_go(
    info: engine.Info, policy: Policy, proved: str | None, now: datetime
) -> tuple[Chain | None, str]:
    """Return the oldest chain if it may go, else None and why it stays.

    *proved* is the base backup that the last successful proof was of.
    """
    found = chains(info)
    if len(found) <= max(policy.full_backups, 1):
        return None, f"{len(found)} full base backups are left, and {policy.full_backups} stay"
    oldest, following = found[0], found[1]
    if proved in oldest.ids:
        return None, f"the last proof was of base backup {proved}"
    if following.full.status != engine.DONE:
        return None, f"base backup {following.full.id} is not complete yet"
    if now - following.full.ended_at < timedelta(days=policy.floor_days):
        return None, f"the window would be shorter than {policy.floor_days} days"
    return oldest, ""


def make(
    look: Callable[[], engine.Info],
    let_go: Callable[[str], object],
    policy: Policy,
    proved: str | None,
    now: datetime,
    *,
    check: bool,
    needed: int = 0,
) -> list[str]:
    """Let the oldest chains go while the disk is short; return what went, or would in check mode.

    :raises OpsError: pitr.engine
    """
    steps, info = [], look()
    while short(info, policy, needed):
        chain, _why = oldest_to_go(info, policy, proved, now)
        if chain is None:
            break
        steps.append(_said(info, policy, chain, needed, check=check))
        if check:
            info = _without(info, chain)
        else:
            let_go(chain.full.id)  # with its increments
            info = look()
    return steps


def problem(info: engine.Info, policy: Policy, proved: str | None, now: datetime) -> str | None:
    """Return what the status says of a disk that is short although nothing more may go."""
    if not short(info, policy):
        return None
    chain, why = oldest_to_go(info, policy, proved, now)
    if chain is not None:
        return None  # the next run lets it go
    return (
        f"The disk of the archive has {size(info.free_bytes or 0)} free, less than"
        f" {policy.free_percent} % ({size(limit_bytes(info, policy))}), and nothing more goes"
        f" before its time: {why}. Give the archive's volume more room, or lower"
        " pitr_window_floor_days."
    )


def _said(info: engine.Info, policy: Policy, chain: Chain, needed: int, *, check: bool) -> str:
    following = chains(info)[1].full
    more = len(chain.increments)
    increments = f" with {more} increment{'s' if more > 1 else ''}" if more else ""
    return (
        f"{'let' if check else 'have let'} base backup {chain.full.id}{increments} go before its"
        f" time ({size(chain.size_bytes)} with its WAL): {size(info.free_bytes or 0)} were free,"
        f" and {size(limit_bytes(info, policy, needed))} have to be. No moment before"
        f" {utc_stamp(following.ended_at)} can be restored then"
    )


def _without(info: engine.Info, chain: Chain) -> engine.Info:
    """Return what would be held then."""
    left = tuple(each for each in info.backups if each.id not in chain.ids)
    return replace(info, backups=left, free_bytes=(info.free_bytes or 0) + chain.size_bytes)
