# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What surrounds the database: the files without which a new machine cannot run the PMS.

The Compose files with their ``.env``, what services mount from the host (Grafana's dashboards and
provisioning among it), and files that an operator names. ``system.json`` says where each belongs,
which images the containers have, and what is in no copy. A file that the set holds among its parts
is named there, with the part, and is not stored a second time. Where sets are encrypted, so is each
file; the note is signed as a manifest is, since a new machine writes these files where it says.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files, process_lock
from ansible.module_utils.pmsops.parts import held_files
from ansible.module_utils.pmsops.repository import encryption, sets, signing
from ansible.module_utils.pmsops.services import project_files
from ansible.module_utils.pmsops.services.project_files import Found

FOLDER = Path("offsite") / "system"  # in the folder of the state
NOTE = "system.json"
SCHEMA_VERSION = 2  # 1 stored each file, also those that the set holds
CACHE, LOCK, LOCK_SECONDS = "offsite-system.json", "offsite-system.lock", 60


def gather(
    root: Path,
    found: Found,
    facts: Mapping[str, Any],
    recipients: Sequence[str],
    *,
    keys_folder: Path,
    check: bool,
    backup_set: Path | None = None,
) -> tuple[bool, dict[str, Any]]:
    """Bring the folder to be copied up to date; return whether it changed, and what it says.

    It goes along with *backup_set*, whose files it does not repeat. A file that is as before is not
    encrypted again, so that a site gets nothing new.

    :raises OpsError: encryption.*, lock.held, signing.*
    """
    keys = encryption.parse_recipients(recipients) if recipients else []
    entries = sorted(project_files.entries(found), key=lambda each: str(each["path"]))
    folder = root / sets.STATE / FOLDER
    cache = root / sets.STATE / CACHE
    known = _read(cache)
    same = known if known.get("recipients") == list(recipients) else {}
    digests = {
        each["path"]: files.sha256(Path(each["path"])) for each in entries if "bytes" in each
    }
    held = held_files.of_set(root, backup_set, digests) if backup_set else {}
    for number, each in enumerate(entries):
        if each["path"] in held:
            each["part"] = held[each["path"]]
        elif "bytes" in each:
            each["stored"] = f"files/{number:05d}" + (encryption.SUFFIX if keys else "")
    document = {
        "schema_version": SCHEMA_VERSION,
        "encrypted": bool(keys),
        "set": backup_set.name if backup_set else None,
        "compose": found.compose,
        "images": found.images,
        "volumes": found.volumes,
        "files": entries,
        "left_out": sorted(found.left_out),
    } | dict(facts)
    kept = {"recipients": list(recipients), "digests": digests, "document": document}
    changed = kept != known or not (folder / NOTE).is_file()
    if changed and not check:
        state = sets.state_folder(root)
        with process_lock.awaited(state / LOCK, "copy of the surroundings", seconds=LOCK_SECONDS):
            _write(folder, document, digests, same, keys, keys_folder)
            files.replace(cache, json.dumps(kept, sort_keys=True).encode())
    return changed, document


def goes_with(root: Path, backup_set: Path) -> Path | None:
    """Return the folder to be copied along with a set.

    None if there is none, or if it lacks files since another set holds them.
    """
    folder = root / sets.STATE / FOLDER
    of = _read(folder / NOTE).get("set")
    return folder if folder.exists() and of in (None, backup_set.name) else None


def _write(
    folder: Path,
    document: Mapping[str, Any],
    digests: Mapping[str, str],
    known: Mapping[str, Any],
    keys: Sequence[Any],
    keys_folder: Path,
) -> None:
    before = {
        each["path"]: each["stored"]
        for each in (known.get("document") or {}).get("files", ())
        if "stored" in each
    }
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / "files").mkdir(parents=True, mode=0o700)
    fresh.chmod(0o700)
    for each in document["files"]:
        if "stored" not in each:
            continue
        path, target = Path(each["path"]), fresh / each["stored"]
        old = folder / before.get(each["path"], "-")
        if known.get("digests", {}).get(each["path"]) == digests[each["path"]] and old.is_file():
            os.link(old, target)
        elif keys:
            with path.open("rb") as source, encryption.encrypted(target, keys) as stream:
                shutil.copyfileobj(source, stream)
            target.chmod(0o600)
        else:
            shutil.copyfile(path, target)
            target.chmod(0o600)
    stored = {
        each["stored"]: files.sha256(fresh / each["stored"])
        for each in document["files"]
        if "stored" in each
    }
    whole = dict(document) | {"sha256": stored}
    signed = signing.sign(whole, signing.load_or_create(keys_folder))
    files.replace(fresh / NOTE, json.dumps(signed, indent=1, sort_keys=True).encode())
    old_folder = folder.with_name(folder.name + ".old")
    shutil.rmtree(old_folder, ignore_errors=True)
    if folder.exists():
        folder.rename(old_folder)
    fresh.rename(folder)
    shutil.rmtree(old_folder, ignore_errors=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
