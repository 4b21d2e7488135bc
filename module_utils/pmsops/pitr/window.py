# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The recovery window: which moments can be had, and how far the stream is behind."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.progress import size as human
from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.pitr import engine, synchronous, wal
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all

LOST = ("lost", "unreserved")
ROOM = 2  # segments: the one that is being received, and the next one


@dataclass(frozen=True)
class Stream:
    """The stream of WAL as the server sees it."""

    active: bool
    slot: str | None  # wal_status of the slot; None: there is no slot
    behind_bytes: int | None  # WAL that was written and not yet sent; None: nobody receives
    seconds: float | None  # since the receiver last answered
    kept_bytes: int  # WAL that the slot keeps on the live disk
    timeline: int | None = None  # that the server writes; None: it is not known
    waits_for: str | None = None  # the standbys that commits wait for; None: for none


@dataclass(frozen=True)
class Window:
    """From the end of the first base backup to the newest WAL that has arrived."""

    earliest: str | None
    latest: str | None  # None: the stream does not work, or nobody can say
    received: str | None  # when the newest WAL arrived
    gap: str | None  # the first WAL segment that is missing inside, after any base backup
    missing: str | None  # one that is missing after the newest base backup
    backups: int
    newest_backup: str | None
    problems: list[str]

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def stream(database: Database, slot: str) -> Stream:
    """Return the state of the stream.

    :raises OpsError: database.*
    """
    with database.session(name=database.maintenance_name, read_only=True) as cursor:
        rows = fetch_all(
            cursor,
            """SELECT s.active, coalesce(s.wal_status, 'reserved'),
                      pg_wal_lsn_diff(pg_current_wal_lsn(), r.sent_lsn)::bigint,
                      extract(epoch FROM clock_timestamp() - r.reply_time)::float,
                      coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn), 0)::bigint,
                      pg_walfile_name(pg_current_wal_lsn()),
                      nullif(current_setting('synchronous_standby_names'), '')
                 FROM pg_replication_slots s
                 LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid
                WHERE s.slot_name = %s""",
            (slot,),
        )
    if not rows:
        return Stream(active=False, slot=None, behind_bytes=None, seconds=None, kept_bytes=0)
    active, status, behind, seconds, kept, segment, waits_for = rows[0]
    return Stream(
        active=bool(active),
        slot=status,
        behind_bytes=behind,
        seconds=seconds,
        kept_bytes=kept,
        timeline=wal.timeline(segment),
        waits_for=waits_for,
    )


def _newest(begins: list[str]) -> int:
    return wal.timeline(begins[-1])


def of(info: engine.Info, begins: list[str], flow: Stream | None, now: datetime) -> Window:
    """Return the window of what the engine holds.

    *begins* are the segments where its oldest and its newest base backup begin. A gap between them
    hides some moments; one after the newest, all that come. *flow* is None if the server does not
    answer: the newest moment is then not known here.
    """
    usable = info.usable
    segments = [*info.segments, *([info.partial] if info.partial else [])]
    gaps = [wal.first_gap(segments, each, info.segment_bytes) for each in begins]
    now_broken = gaps[-1] if gaps else None
    problems = []
    if not usable:
        problems.append("There is no base backup: no moment can be restored.")
    if now_broken:
        problems.append(f"WAL segment {now_broken} is missing: no moment after it can be restored.")
    if not info.receiving:
        problems.append("No receiver runs: what is committed now is not protected.")
    if flow is not None and flow.waits_for == synchronous.STANDBY and not flow.active:
        problems.append(
            "Commits wait for the receiver, which does not stream: nobody can write."
            f" Start it (pms-ops pitr enable), or let them go on: {synchronous.OFF.split(':')[0]},"
            " then SELECT pg_reload_conf()."
        )
    if flow is not None and flow.slot is None:
        problems.append("The server has no slot for the receiver.")
    if flow is not None and flow.slot in LOST:
        problems.append(
            f"The slot is {flow.slot}: the receiver was away for longer than the server keeps WAL."
        )
    full = info.free_bytes is not None and info.free_bytes < ROOM * info.segment_bytes
    if full:
        problems.append(
            f"The disk of the archive is full: {human(info.free_bytes or 0)} are free, and what is"
            " committed now is not received. The server keeps it within max_slot_wal_keep_size."
        )
    forked = flow is not None and bool(begins) and flow.timeline not in (None, _newest(begins))
    if forked and flow is not None:
        problems.append(
            f"The server writes timeline {flow.timeline}, and the newest base backup is of timeline"
            f" {_newest(begins)}: no moment of the new one can be restored before the next base"
            " backup."
        )
    live = flow is not None and flow.active and info.receiving and bool(usable)
    live = live and not (now_broken or full or forked)
    return Window(
        earliest=utc_stamp(usable[0].ended_at) if usable else None,
        latest=utc_stamp(now) if live else None,
        received=utc_stamp(info.received_at) if info.received_at else None,
        gap=next((each for each in gaps if each), None),
        missing=now_broken,
        backups=len(usable),
        newest_backup=utc_stamp(usable[-1].ended_at) if usable else None,
        problems=problems,
    )
