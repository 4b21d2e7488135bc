# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is copied: a set, and what a new machine needs beside it to trust and to use it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.offsite import surroundings
from ansible.module_utils.pmsops.offsite.copies import PITR, SET, Copy
from ansible.module_utils.pmsops.repository import manifest, sets, signing
from ansible.module_utils.pmsops.services import docker_engine

FOLDER = "offsite"  # in the folder of the state
INVENTORY = "inventory.json"
# Of the evidence: written anew all the time, and of no use later. Of the archive: a password.
METRICS, PASSWORDS = "metrics", ".pgpass"


@dataclass(frozen=True)
class Places:
    """Where the parts are on this machine."""

    root: Path
    evidence_root: Path
    keys: Path
    pitr: Path | None = None  # the archive of base backups and WAL
    inventory: Mapping[str, Any] | None = None  # variables without secrets


def of_set(system: str, folder: Path, places: Places, database: str = "") -> Copy:
    """Return the copy to be made of the set in *folder*; its snapshot has no name yet.

    :raises OpsError: those of manifest.read
    """
    document = manifest.read(folder)
    parts = {"set": folder}
    if not database:
        parts |= _surroundings(places, folder)
    return Copy(
        snapshot="",
        system=system,
        at=datetime.now(UTC),
        kind=SET,
        set=folder.name,
        database=database,
        manifest_sha256=files.sha256(folder / manifest.NAME),
        taken_at=document["snapshot_at"],
        proved=sets.verification(folder) is not None,
        set_bytes=sum(each["size_bytes"] for each in document["files"].values()),
        key=signing.signer_of(document) or "",
        head=ledger.inspect(places.evidence_root).sha256,
        parts={name: str(path.absolute()) for name, path in parts.items()},
        refers_to=manifest.refers_to(document),
    )


def archive_path(volume: str) -> Path:
    """Return the folder of the Docker volume with base backups and WAL.

    :raises OpsError: offsite.no-archive
    """
    import docker.errors

    try:
        found = Path(docker_engine.engine_here().volumes.get(volume).attrs["Mountpoint"])
    except docker.errors.NotFound as exc:
        raise _no_archive(volume, "there is no such volume") from exc
    if not os.access(found, os.R_OK | os.X_OK):
        raise _no_archive(volume, f"{found} cannot be read by this user")
    return found


def _no_archive(volume: str, why: str) -> OpsError:
    return OpsError(
        f"The archive of continuous protection, volume {volume}, cannot be copied: {why}.",
        "Run playbooks/offsite.yml as a user who can read Docker's volumes (root). Without"
        " continuous protection set pitr_enabled to false.",
        code="offsite.no-archive",
    )


def of_archive(system: str, places: Places) -> Copy:
    """Return the copy to be made of base backups and WAL."""
    if places.pitr is None:
        raise ValueError("no archive of base backups was given")
    now = datetime.now(UTC)
    return Copy("", system, now, PITR, parts={"pitr": str(places.pitr.absolute())})


def left_out(places: Places) -> list[str]:
    """Return the paths that are in no copy."""
    found = [places.evidence_root.absolute() / METRICS]
    found += [places.pitr.absolute() / PASSWORDS] if places.pitr else []
    return [str(path) for path in found]


def _surroundings(places: Places, backup_set: Path) -> dict[str, Path]:
    found = {
        "evidence": places.evidence_root,
        "keys": places.keys / signing.TRUSTED,
    }
    if system := surroundings.goes_with(places.root, backup_set):
        found["system"] = system
    if places.inventory:
        folder = sets.state_folder(places.root) / FOLDER
        files.make_private_folder(folder)
        text = json.dumps(places.inventory, indent=1, sort_keys=True, default=str)
        path = folder / INVENTORY
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            files.replace(path, text.encode(), mode=0o600)
        found["inventory"] = path
    return {name: path for name, path in found.items() if path.exists()}
