# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How WAL leaves a server that another engine protects: as the server itself sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ansible.module_utils.pmsops.pitr import wal
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all

# A segment that was just begun has a header and nothing else: XLogLongPageHeaderData.
HEADER_BYTES = 40


@dataclass(frozen=True)
class Archiver:
    """The archiver of the server, and receivers that are connected."""

    system: str
    now: datetime
    lsn: str
    segment_bytes: int
    archives: bool  # archive_mode is on
    command: str  # archive_command or archive_library
    archived_wal: str | None
    archived_at: datetime | None
    failed_wal: str | None
    failed_at: datetime | None
    streamed_bytes: int | None  # behind, of the nearest pg_receivewal or Barman; None: none streams
    lost_slots: str | None
    timeline: int = 1

    @property
    def failing(self) -> bool:
        """Whether the newest attempt of the archiver failed."""
        return self.failed_at is not None and (
            self.archived_at is None or self.failed_at > self.archived_at
        )

    def behind(self, newest: str) -> int:
        """Return the bytes of WAL that were written after the segment *newest*."""
        end = (wal.number(newest, self.segment_bytes) + 1) * self.segment_bytes
        written = wal.position(self.lsn) - end
        return 0 if written <= HEADER_BYTES else written


def look(database: Database) -> Archiver:
    """Ask the server.

    :raises OpsError: database.*
    """
    with database.session(name=database.maintenance_name, read_only=True) as cursor:
        row = fetch_all(
            cursor,
            """SELECT (SELECT system_identifier FROM pg_control_system())::text,
                      clock_timestamp(), pg_current_wal_lsn()::text,
                      (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size'),
                      current_setting('archive_mode') <> 'off',
                      coalesce(nullif(current_setting('archive_library', true), ''),
                               current_setting('archive_command')),
                      a.last_archived_wal, a.last_archived_time,
                      a.last_failed_wal, a.last_failed_time,
                      -- Without --synchronous a receiver flushes only whole segments.
                      (SELECT min(pg_wal_lsn_diff(pg_current_wal_lsn(), r.write_lsn))::bigint
                         FROM pg_stat_replication r
                        WHERE r.application_name IN ('barman_receive_wal', 'pg_receivewal')),
                      (SELECT string_agg(s.slot_name::text, ', ' ORDER BY s.slot_name)
                         FROM pg_replication_slots s
                        WHERE s.slot_type = 'physical' AND s.wal_status = 'lost'),
                      (SELECT timeline_id FROM pg_control_checkpoint())
                 FROM pg_stat_archiver a""",
        )[0]
    return Archiver(*row)
