# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of a restore to a moment: from which base backup, what is reached, what comes after.

Each moment that cannot be had is refused here, by name, before anything is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import engine, wal
from ansible.module_utils.pmsops.pitr.moment import Moment, local
from ansible.module_utils.pmsops.pitr.wal_scan import Scan
from ansible.module_utils.pmsops.pitr.window import Stream

Scanner = Callable[[engine.Detail, str], Scan]
# Clocks of server and toolkit differ; a moment this near to now is not called the future.
CLOCK = timedelta(seconds=2)


@dataclass(frozen=True)
class Plan:
    """What a restore to *moment* does."""

    moment: Moment
    backup: engine.BaseBackup
    detail: engine.Detail
    scan: Scan
    segments: int

    @property
    def target_lsn(self) -> str | None:
        """The commit to stop after; None: where the base backup becomes consistent."""
        lsn = self.scan.last_lsn
        if lsn is None or wal.position(lsn) < wal.position(self.detail.end_lsn):
            return None
        return lsn

    @property
    def at(self) -> datetime:
        """The moment of the set: the one asked for, else that of its last transaction."""
        return self.moment.at or self.scan.last_at or self.backup.ended_at

    @property
    def wal_bytes(self) -> int:
        """WAL that the recovery replays, from the beginning of the base backup."""
        target = self.target_lsn or self.detail.end_lsn
        return wal.position(target) - wal.position(self.detail.begin_lsn)

    @property
    def until(self) -> datetime:
        """The time up to which commits belong to the moment."""
        return self.moment.at or self.scan.last_at or _begin(self.backup)

    def lines(self) -> list[str]:
        """Return the plan for an operator."""
        last = local(self.scan.last_at) if self.scan.last_at else "none since the base backup"
        return [
            f"moment: {local(self.at)}",
            f"base backup: {self.backup.id} ({self.backup.kind}) of {local(self.backup.ended_at)}",
            f"WAL: {self.segments} segments, every record read and sound up to the moment",
            f"last transaction in it: {last}",
            "would be lost: "
            + (
                f"{self.scan.after} transactions, the first of {local(self.scan.first_after)}"
                if self.scan.first_after
                else "nothing that has been received"
            ),
        ]


def make(
    moment: Moment,
    info: engine.Info,
    describe: Callable[[str], engine.Detail],
    scan: Scanner,
    flow: Stream | None,
    now: datetime,
) -> Plan:
    """Return the plan for *moment*; *flow* is None if the server does not answer.

    :raises OpsError: pitr.no-base, pitr.before-window, pitr.future, pitr.wal-missing,
        pitr.wal-damaged, pitr.wal-foreign, pitr.not-received, pitr.timeline
    """
    backup, detail = _base(moment, info, describe, now)
    every = [*info.segments, *([info.partial] if info.partial else [])]
    # A base backup leads along its own timeline.
    held = [each for each in every if wal.timeline(each) == detail.timeline]
    last = max(held, default=detail.begin_wal)
    found = scan(detail, last)
    # A server that has just begun a timeline says so before anything of that has arrived.
    written = [flow.timeline] if flow is not None and flow.timeline is not None else []
    newest = max([*map(wal.timeline, every), *written], default=detail.timeline)
    if newest > detail.timeline and not found.reaches:
        _require_before_fork(moment, found, newest, info, describe, detail)
    _require_whole(moment, found, info.segment_bytes)
    if moment.at is not None and not found.reaches:
        _require_received(moment.at, found, flow)
    if moment.snapshot is not None and not found.reaches:
        _require_received(now, found, flow)
    begin = wal.number(detail.begin_wal, info.segment_bytes)
    count = sum(1 for each in held if wal.number(each, info.segment_bytes) >= begin)
    return Plan(moment, backup, detail, found, count)


def _base(
    moment: Moment, info: engine.Info, describe: Callable[[str], engine.Detail], now: datetime
) -> tuple[engine.BaseBackup, engine.Detail]:
    usable = info.usable
    if not usable:
        raise OpsError(
            "There is no base backup, so no moment can be restored. Nothing was changed.",
            "Restore a backup set (pms-ops sets), and make a base backup: pms-ops pitr backup.",
            code="pitr.no-base",
        )
    if moment.at is not None and moment.at > now + CLOCK:
        raise OpsError(
            f"{local(moment.at)} is in the future. Nothing was changed.",
            "The nearest moment that can be had is the latest one: --at latest",
            code="pitr.future",
        )
    if moment.lsn is not None:
        for each in reversed(usable):
            detail = describe(each.id)
            late = moment.taken is not None and each.ended_at > moment.taken
            if not late and wal.position(detail.end_lsn) <= wal.position(moment.lsn):
                return each, detail
    else:
        for each in reversed(usable):
            if moment.at is None or _begin(each) <= moment.at:
                return each, describe(each.id)
    raise OpsError(
        f"{moment} is before the window. Nothing was changed.",
        f"The nearest moment that can be had: --at '{local(_begin(usable[0]))}'."
        " For an earlier one restore a backup set (pms-ops sets).",
        code="pitr.before-window",
    )


def _begin(backup: engine.BaseBackup) -> datetime:
    """Return the first moment that a base backup leads to; its end is given in whole seconds."""
    return backup.ended_at + timedelta(seconds=1)


def _nearest(found: Scan) -> str:
    at = found.last_at
    return (
        f"The nearest moment that can be had: --at '{local(at)}'."
        if at
        else "No moment after the base backup can be had; take one before it."
    )


def _require_whole(moment: Moment, found: Scan, segment_bytes: int) -> None:
    if found.foreign:
        raise OpsError(
            f"WAL segment {found.foreign} is of another server. Nothing was changed.",
            f"Somebody put it there; remove it from the archive. {_nearest(found)}",
            code="pitr.wal-foreign",
        )
    if found.reaches:
        return
    if found.missing:
        raise OpsError(
            f"WAL segment {found.missing} on the way to {moment} is missing. Nothing was changed.",
            f"{_nearest(found)} Make a base backup now, which begins a new window: pms-ops pitr"
            " backup.",
            code="pitr.wal-missing",
        )
    if found.damaged:
        raise OpsError(
            f"WAL segment {found.damaged} on the way to {moment} is damaged. Nothing was changed.",
            f"{_nearest(found)} Make a base backup now, which begins a new window: pms-ops pitr"
            " backup.",
            code="pitr.wal-damaged",
        )


def _require_before_fork(
    moment: Moment,
    found: Scan,
    newer: int,
    info: engine.Info,
    describe: Callable[[str], engine.Detail],
    detail: engine.Detail,
) -> None:
    """Refuse a moment at which the server was on a later timeline than the base backup.

    What it committed between its return and the first base backup of that timeline cannot be had.
    """
    if moment.at is not None and found.newest is not None and moment.at <= found.newest:
        return
    later = [each for each in info.usable if describe(each.id).timeline > detail.timeline]
    raise OpsError(
        f"{moment} lies on timeline {newer}, which the server began after base backup {detail.id}"
        f" of timeline {detail.timeline}; no base backup of the new timeline is as old as that."
        " Nothing was changed.",
        f"{_nearest(found)} "
        + (
            f"After it: --at '{local(_begin(later[0]))}'."
            if later
            else "Make a base backup now: pms-ops pitr backup."
        ),
        code="pitr.timeline",
    )


def _require_received(at: datetime, found: Scan, flow: Stream | None) -> None:
    """Refuse a moment after which nothing was received, unless the server says there is no more."""
    if found.newest is not None and at <= found.newest:
        return
    if flow is not None and flow.active and flow.behind_bytes == 0:
        return
    raise OpsError(
        f"Nothing has been received that was committed after"
        f" {local(found.newest) if found.newest else 'the base backup'}, and the server does not"
        f" say that there was nothing until {local(at)}. Nothing was changed.",
        "Take what there is: --at latest",
        code="pitr.not-received",
    )
