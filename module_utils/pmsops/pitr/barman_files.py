# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What lies in Barman's folder: WAL, and its own file on each base backup.

Those files (``backup.info``, a line a field) have all that a plan needs. To ask Barman for it takes
a third of a second of a processor, twice in each restore.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from datetime import datetime

from ansible.module_utils.pmsops.common.timestamps import UTC, from_iso
from ansible.module_utils.pmsops.pitr import engine, wal
from ansible.module_utils.pmsops.pitr.barman_answers import SERVER
from ansible.module_utils.pmsops.pitr.engine_home import EngineHome

_SCRIPT = """
find {folder}/wals {folder}/streaming -type f -printf '%f %s %T@\\n' 2>/dev/null
if {healthy}; then echo receiving; fi
for file in {folder}/meta/*-backup.info {folder}/base/*/backup.info; do
    [ -e "$file" ] || continue
    echo "backup $file"
    sed 's/^/= /' "$file"
done
for folder in {folder}/base/*/; do [ ! -d "$folder" ] || echo "base $folder"; done
df -Pk {home} | awk 'NR == 2 {{ print "free", $4; print "disk", $2 }}'
"""


@dataclass
class Files:
    """What the script has found."""

    sizes: dict[str, int] = field(default_factory=dict)  # of WAL, by name
    room: dict[str, int] = field(default_factory=dict)  # bytes of the disk: ``free``, ``disk``
    info: dict[str, str] = field(default_factory=dict)  # Barman's file on each base backup
    folders: set[str] = field(default_factory=set)  # of base backups
    receiving: bool = False
    newest: float = 0.0  # when the newest WAL arrived

    @property
    def whole(self) -> tuple[str, ...]:
        """The whole segments, in order."""
        return tuple(sorted(each for each in self.sizes if not each.endswith(wal.PARTIAL)))

    @property
    def partial(self) -> str | None:
        """The segment that is being received."""
        found = [each for each in self.sizes if each.endswith(wal.PARTIAL)]
        return max(found).removesuffix(wal.PARTIAL) if found else None

    @property
    def received_at(self) -> datetime | None:
        """When the newest WAL arrived."""
        return datetime.fromtimestamp(self.newest, UTC) if self.newest else None

    @property
    def segment_bytes(self) -> int:
        """The server's size of a segment.

        WAL that Barman compresses has another size, and on a full disk the segment that is being
        received is empty.
        """
        whole = (each for each in self.sizes.values() if wal.is_segment_size(each))
        return max(whole, default=wal.DEFAULT_BYTES)

    def backups(self) -> list[tuple[engine.BaseBackup, engine.Detail | None]] | None:
        """Return the base backups and where they lie, oldest first.

        None if one has no file that is understood: Barman has to be asked then.
        """
        found = [_of_file(name, text) for name, text in sorted(self.info.items())]
        known = [each for each in found if each is not None]
        if not found or len(known) < len(found) or not self.folders <= set(self.info):
            return None
        return known


def script(home: EngineHome) -> str:
    """Return the script that looks into the folders of an engine."""
    folder = f"{home.home}/{SERVER}"
    return _SCRIPT.format(folder=folder, healthy=home.healthy, home=home.home)


def read(output: str) -> Files:
    """Return what the script said."""
    found, backup = Files(), ""
    for line in output.splitlines():
        word, value, changed = [*line.split(" "), "", ""][:3]
        if word == "receiving":
            found.receiving = True
        elif word in ("free", "disk"):
            found.room[word] = int(value) << 10
        elif word == "backup":
            backup = id_of(value)
        elif word == "=":
            found.info[backup] = f"{found.info.get(backup, '')}{line.removeprefix('= ')}\n"
        elif word == "base":
            found.folders.add(value.rstrip("/").rpartition("/")[2])
        elif wal.SEGMENT.match(word.removesuffix(wal.PARTIAL)):
            found.sizes[word] = int(value)
            found.newest = max(found.newest, float(changed or 0))
    return found


def id_of(file: str) -> str:
    """Return the base backup whose file this is: its name has the id, or the folder is the id."""
    folder, _, name = file.rpartition("/")
    return name.removesuffix("-backup.info") if name != "backup.info" else folder.rpartition("/")[2]


def _of_file(backup: str, text: str) -> tuple[engine.BaseBackup, engine.Detail | None] | None:
    """Return what a file of a base backup says: no place in the WAL if that is not known yet.

    None for a file that is not understood: Barman has to be asked then.
    """
    found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    has = {name: value for name, value in found.items() if value != "None"}
    try:
        ended = has.get("end_time")
        made = engine.BaseBackup(
            id=backup,
            kind=engine.INCREMENTAL if "parent_backup_id" in has else engine.FULL,
            status=found["status"],
            ended_at=_whole_second(ended),
            size_bytes=int(has.get("size", 0)),
        )
        if not made.usable:
            return made, None
        return made, engine.Detail(
            id=backup,
            begin_wal=has["begin_wal"],
            begin_lsn=has["begin_xlog"],
            end_lsn=has["end_xlog"],
            timeline=int(has["timeline"]),
            system_identifier=has["systemid"],
            version=int(has["version"]),
            data_directory=has["pgdata"],
            tablespaces=tuple(str(each) for each in ast.literal_eval(has.get("tablespaces", "()"))),
        )
    except (KeyError, TypeError, ValueError, SyntaxError):
        return None


def _whole_second(text: str | None) -> datetime:
    at = from_iso(text) if text else datetime.fromtimestamp(0, UTC)
    return at.astimezone(UTC).replace(microsecond=0)
