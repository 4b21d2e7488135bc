# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an operator sets for continuous protection."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ansible.module_utils.pmsops.pitr import archive_room, former_servers

ROLE = "pms_pitr"  # also the slot's name


@dataclass(frozen=True)
class Settings:
    """What an operator sets."""

    container: str
    image: str
    window_days: int = 14
    keep_bytes: int | None = None
    canary_seconds: int = 300  # 0: no canary rows
    synchronous: bool = False  # whether commits wait for the receiver
    room: archive_room.Policy = field(default_factory=archive_room.Policy)
    archive: str = ""  # the archive's folder on a host; by default below /var/lib
    barman: str = ""  # the program of Barman on a host
    barman_comes: bool = False  # whether it will be installed before; for a plan
    former: former_servers.Policy = field(default_factory=former_servers.Policy)
    root: Path | None = None  # of the backup sets; who restores a moment holds a lock there
