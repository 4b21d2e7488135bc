# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The moments of the sets, without reading manifests of megabytes again for each backup.

A note in the folder of the state says them, and to which sets of other databases each refers, by
size, time and number of each manifest's file. A file that differs in one of them is read.
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
        return str(self._facts(folder)["at"])

    def refers_to(self, folder: Path) -> dict[str, str]:
        """Return the sets of other databases that are parts of a set, by database.

        :raises OpsError: those of manifest.read.
        """
        return dict(self._facts(folder)["refers_to"])

    def _facts(self, folder: Path) -> Mapping[str, Any]:
        with suppress(OSError):  # manifest.read says what is wrong
            stat = (folder / manifest.NAME).stat()
            file = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
            known = self._known.get(folder.name)
            # An older release noted the moment alone.
            if not (
                isinstance(known, Mapping) and known.get("file") == file and "refers_to" in known
            ):
                known = {"file": file} | _read_facts(folder)
            self._seen[folder.name] = known
            return known
        return _read_facts(folder)

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


def _read_facts(folder: Path) -> dict[str, Any]:
    document = manifest.read(folder)
    return {"at": str(document["snapshot_at"]), "refers_to": manifest.refers_to(document)}
