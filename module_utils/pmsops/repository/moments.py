# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The moments of the sets, without reading manifests of megabytes again for each backup.

A note in the folder of the state says them, by size, time and number of each manifest's file. A
file that differs in one of them is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.repository import manifest, sets

NAME = "moments.json"


class Moments:
    """What the note says of the sets of one folder."""

    def __init__(self, backup_root: Path) -> None:
        self._path = backup_root / sets.STATE / NAME
        self._known = self._read()
        self._seen: dict[str, Any] = {}

    def taken_at(self, folder: Path) -> str:
        """Return the time of a set's snapshot.

        :raises OpsError: those of manifest.read.
        """
        with suppress(OSError):  # manifest.read says what is wrong
            stat = (folder / manifest.NAME).stat()
            file = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
            known = self._known.get(folder.name)
            if isinstance(known, Mapping) and known.get("file") == file:
                self._seen[folder.name] = known
                return str(known["at"])
            moment = str(manifest.read(folder)["snapshot_at"])
            self._seen[folder.name] = {"file": file, "at": moment}
            return moment
        return str(manifest.read(folder)["snapshot_at"])

    def keep(self) -> None:
        """Write the note, where it can be written: it only saves time."""
        if self._seen != self._known and self._path.parent.is_dir():
            with suppress(OSError):
                files.replace(self._path, json.dumps(self._seen, indent=1).encode(), mode=0o600)

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
