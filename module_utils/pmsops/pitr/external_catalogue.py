# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an engine of others holds of one server, whatever the form of its answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ansible.module_utils.pmsops.pitr import engine

PGBACKREST, BARMAN, WALG = "pgbackrest", "barman", "wal-g"


@dataclass(frozen=True)
class Catalogue:
    """What an engine says that it holds of one server."""

    program: str
    name: str = ""  # pgBackRest's stanza, Barman's server
    system: str | None = None  # the server's system identifier; None: it does not say
    backups: tuple[engine.BaseBackup, ...] = ()  # oldest first
    newest_wal: str | None = None  # None: it does not say
    begin_wal: str | None = None  # where its newest backup begins
    first_wal: str | None = None  # where its oldest backup begins
    missing: tuple[str, ...] = ()  # segments that are known to be missing
    problems: tuple[str, ...] = ()
    held: tuple[str, ...] = ()  # every segment, where the files are listed
    listed: bool = False  # whether it is known which segments there are
    read: bool = False  # whether the content of segments and backups was read
    damaged: tuple[str, ...] = ()  # backups that were read, and are not whole

    def usable(self) -> list[engine.BaseBackup]:
        """Return the backups that a restore can begin with, oldest first.

        The label of an increment of pgBackRest begins with that of its full backup.
        """
        return [
            each for each in self.backups if each.usable and not each.id.startswith(self.damaged)
        ]


def by_age(backups: Iterable[engine.BaseBackup]) -> tuple[engine.BaseBackup, ...]:
    """Return backups in the order in which they ended."""
    return tuple(sorted(backups, key=lambda each: each.ended_at))
