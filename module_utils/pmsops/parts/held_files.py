# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which files of a machine a set holds already, among its parts, and with just this content."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.parts import project, storage
from ansible.module_utils.pmsops.repository import manifest, set_parts, sets


def of_set(root: Path, folder: Path, digests: Mapping[str, str]) -> dict[str, str]:
    """Return the part that holds each file, by the file's path.

    *digests* has the SHA-256 of the files that are asked for, by path. A file that changed after
    the set, or of which it cannot be told, is held by none.
    """
    try:
        document = manifest.read(folder)
        recorded = {name: each["sha256"] for name, each in document["files"].items()}
        return {
            path: name
            for name, part in set_parts.of(document).items()
            if part["kind"] == set_parts.FILES and not part["not_taken"]
            for path, digest in _contents(root, folder, part, recorded)
            if digest == digests.get(path)
        }
    except (OpsError, OSError, ValueError, KeyError, TypeError):
        return {}


def _contents(
    root: Path, folder: Path, part: Mapping[str, Any], recorded: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield path and SHA-256 of the plain content of each file of a part.

    A list that is encrypted cannot be read here. The note of the last backup says what each
    encrypted file was made of.
    """
    if part["encrypted"]:
        stored = {recorded[name] for name in part["files"]}
        known = json.loads((root / sets.STATE / project.CACHE).read_bytes())["files"]
        for path, each in known.items():
            if each["stored"] in stored:
                yield path, each["plain"]
        return
    for each in project.listing(storage.read(folder, part["files"][0], None)):
        if "stored" in each:
            yield each["path"], recorded[each["stored"]]
