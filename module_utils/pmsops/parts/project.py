# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of the Compose project and of Grafana, taken into a set as parts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.parts import secret_search, storage
from ansible.module_utils.pmsops.repository import encryption, set_parts, sets
from ansible.module_utils.pmsops.services import project_files

LISTING = "files.json"
SCHEMA_VERSION = 1
CACHE = "parts.json"  # in the folder of the state: what each encrypted file was made of


@dataclass
class Project:
    """Files of one project, to be stored in the set that is being made in *partial*."""

    root: Path
    partial: Path
    texts: tuple[str, ...]  # of the recipients
    recipients: list[Any]
    earlier: storage.Earlier
    _known: dict[str, Any] = field(default_factory=dict)
    _kept: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            cache = json.loads((self.root / sets.STATE / CACHE).read_bytes())
            if cache["recipients"] == list(self.texts):
                self._known = cache["files"]
        except (OSError, ValueError, KeyError, TypeError):
            pass  # then each is encrypted anew

    def take(self, name: str, found: project_files.Found, moment: str) -> dict[str, Any]:
        """Store the files of one part; return what the manifest says of it."""
        of_part = found.of_part(name)
        listing, stored, left_out = [], [], []
        entries = list(project_files.entries(of_part))
        for number, each in enumerate(entries):
            if "bytes" in each:
                path = Path(each["path"])
                try:
                    content = path.read_bytes()
                except OSError as exc:
                    left_out.append(f"{path}: {exc.strerror}")
                    continue
                if why := self._refused(of_part, path, content):
                    left_out.append(f"{path}: {why}, {set_parts.NOT_ENCRYPTED}")
                    continue
                file = self._store(f"{name}/{number:05d}", each["path"], content)
                stored.append(file)
                each = each | {"stored": file, "bytes": len(content)}
            listing.append(each)
        left_out += of_part.left_out
        if not stored:
            why = "; ".join(left_out) or "no container of the project has any such file."
            return set_parts.not_taken(set_parts.FILES, why)
        document = {"schema_version": SCHEMA_VERSION, "entries": listing}
        text = json.dumps(document, indent=1, sort_keys=True).encode()
        stored.insert(0, self._store(f"{name}/{LISTING}", f"{name}/{LISTING}", text))
        return set_parts.entry(
            set_parts.FILES,
            encrypted=bool(self.recipients),
            read_at=moment,
            files=stored,
            count=len(stored) - 1,
            left_out=sorted(left_out),
        )

    def keep(self) -> None:
        """Note what each encrypted file was made of, for the next set."""
        if self.recipients:
            cache = {"recipients": list(self.texts), "files": self._kept}
            path = sets.state_folder(self.root) / CACHE
            files.replace(path, json.dumps(cache, sort_keys=True).encode())

    def _refused(self, found: project_files.Found, path: Path, content: bytes) -> str | None:
        """Return why the file must not be in the set in plain text, None if it may."""
        if self.recipients:
            return None
        if found.secret(path):
            return "it is made to hold secrets"
        return secret_search.reason(content)

    def _store(self, name: str, key: str, content: bytes) -> str:
        if not self.recipients:
            return storage.store(self.partial, name, content, [])
        digest = hashlib.sha256(content).hexdigest()
        known = self._known.get(key) or {}
        again = self.earlier.content(known["stored"]) if known.get("plain") == digest else None
        if again is None:
            stored = storage.store(self.partial, name, content, self.recipients)
        else:
            stored = storage.store(self.partial, name + encryption.SUFFIX, again, [])
        self._kept[key] = {"plain": digest, "stored": files.sha256(self.partial / stored)}
        return stored


def listing(content: bytes) -> list[Mapping[str, Any]]:
    """Return the entries of a part's list of files."""
    found: list[Mapping[str, Any]] = json.loads(content)["entries"]
    return found
