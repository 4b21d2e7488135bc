# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The moments of the sets and other facts that lists need, without reading all manifests again.

A manifest has megabytes where a database has many chunks. A note in the folder of the state has
these facts, and the manifest's hash, by size, times and number of each manifest's file. A file that
differs in one of them is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import manifest, sets

NAME = "moments.json"
KEYS = frozenset({"file", "sha256", "at", "refers_to", "database", "bytes", "database_bytes"})


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
        return str(self.facts(folder)["at"])

    def refers_to(self, folder: Path) -> dict[str, str]:
        """Return the sets of other databases that are parts of a set, by database.

        :raises OpsError: those of manifest.read.
        """
        return dict(self.facts(folder)["refers_to"])

    def verification(self, folder: Path) -> dict[str, Any] | None:
        """Return the record of the set's last proof, None if it was never verified."""
        return sets.verification(folder, digest=self._sha256)

    def facts(self, folder: Path) -> Mapping[str, Any]:
        """Return the facts of a set: those of ``_facts_of``.

        :raises OpsError: those of manifest.read.
        """
        with suppress(OSError):  # manifest.read says what is wrong
            stat = (folder / manifest.NAME).stat()
            file = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
            known = self._seen.get(folder.name) or self._known.get(folder.name)
            # An older release noted fewer facts.
            if not (isinstance(known, Mapping) and known.get("file") == file and {*known} >= KEYS):
                known = {"file": file} | _read_facts(folder)
            self._seen[folder.name] = known
            return known
        return _read_facts(folder)

    def _sha256(self, folder: Path) -> str:
        try:
            return str(self.facts(folder)["sha256"])
        except OpsError:  # a hash needs no manifest that can be read
            return files.sha256(folder / manifest.NAME)

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
    return _facts_of(document) | {"sha256": files.sha256(folder / manifest.NAME)}


def _facts_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return what the note has of a manifest; values of a damaged one may be of any type."""
    return {
        "at": str(document["snapshot_at"]),
        "refers_to": manifest.refers_to(document),
        "database": document["database_name"],
        "bytes": _value(document.get("totals", {}), "bytes"),
        "database_bytes": _value(document["server"], "size_bytes"),
    }


def _value(part: Any, name: str) -> Any:
    return part.get(name) if isinstance(part, dict) else part
