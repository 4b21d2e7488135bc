# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an engine of continuous protection does, in five verbs; barman.py is one.

No code of this project moves WAL. Another engine (pgBackRest, WAL-G) takes Barman's place by
implementing ``Engine``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ansible.module_utils.pmsops.pitr import wal

FULL, INCREMENTAL = "full", "incremental"
DONE, WAITING = "DONE", "WAITING_FOR_WALS"


@dataclass(frozen=True)
class BaseBackup:
    """A physical copy of the whole server, from which WAL leads to any later moment."""

    id: str
    kind: str  # FULL or INCREMENTAL
    status: str  # DONE; WAITING until the WAL that makes it consistent has arrived; or a failure
    ended_at: datetime
    size_bytes: int
    obsolete: bool = False
    wal_bytes: int = 0  # WAL from it to the next base backup

    @property
    def usable(self) -> bool:
        """Whether a restore can begin here."""
        return self.status in (DONE, WAITING)


@dataclass(frozen=True)
class Detail:
    """Where a base backup lies in the WAL of which server."""

    id: str
    begin_wal: str
    begin_lsn: str
    end_lsn: str  # from here on a restore is consistent
    timeline: int
    system_identifier: str
    version: int  # of the server, as in server_version_num
    data_directory: str = ""  # on the server
    tablespaces: tuple[str, ...] = ()  # folders outside of it


@dataclass(frozen=True)
class Info:
    """What the engine holds."""

    backups: tuple[BaseBackup, ...]  # oldest first
    segments: tuple[str, ...]  # names of the whole WAL segments, in order
    partial: str | None  # the segment that is being received, without its suffix
    receiving: bool  # whether a receiver runs
    segment_bytes: int = wal.DEFAULT_BYTES
    received_at: datetime | None = None  # when the newest WAL arrived
    free_bytes: int | None = None  # on the disk of the archive; None: not known
    disk_bytes: int | None = None  # of that disk

    @property
    def usable(self) -> list[BaseBackup]:
        """Return the base backups that a restore can begin at, oldest first."""
        return [each for each in self.backups if each.usable]


@dataclass(frozen=True)
class Restored:
    """A data directory made from a base backup, with the WAL that leads on from there."""

    folder: str  # as the engine sees it
    wal_folder: str


class Engine(Protocol):
    """The five verbs. Each raises OpsError if the engine refuses, and if it is not there."""

    def backup(self, kind: str = FULL) -> BaseBackup:
        """Make a base backup, and wait until the WAL that it needs has arrived."""

    def info(self, *, retention: bool = False) -> Info:
        """Return what the engine holds, and whether it receives.

        Only with *retention* it is known which base backups are obsolete: that may cost more.
        """

    def describe(self, backup: str) -> Detail:
        """Return where a base backup lies in the WAL: a part of info, asked when it is needed."""

    def verify(self, backup: str) -> None:
        """Check every file of a base backup against its own manifest."""

    def restore(self, backup: str, folder: str, *, until_lsn: str | None) -> Restored:
        """Make a data directory in *folder*, with the WAL up to *until_lsn* or all of it."""

    def expire(self, also: Collection[str] = ()) -> list[str]:
        """Delete the base backups that no moment of the recovery window needs; return their ids.

        *also* are others that go, each with its increments and the WAL that only they needed.
        """
