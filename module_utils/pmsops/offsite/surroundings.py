# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What surrounds the database: the files without which a new machine cannot run the PMS.

The Compose files with their ``.env``, what services mount from the host (Grafana's dashboards and
provisioning among it), and files that an operator names. ``system.json`` says where each belongs,
which images the containers have, and what is in no copy. Where sets are encrypted, so is each file;
the note is signed as a manifest is, since a new machine writes these files where it says.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files, process_lock
from ansible.module_utils.pmsops.repository import encryption, sets, signing

FOLDER = Path("offsite") / "system"  # in the folder of the state
NOTE = "system.json"
SCHEMA_VERSION = 1
CACHE, LOCK, LOCK_SECONDS = "offsite-system.json", "offsite-system.lock", 60
# A folder that a service mounts is configuration up to here; above it is data, and named instead.
MOST_BYTES, MOST_FILES = 64 * 1024**2, 5000
# Of the machine, not of the PMS.
SYSTEM_PATHS = tuple(
    Path(each)
    for each in ("/proc", "/sys", "/dev", "/run", "/var/run", "/etc/localtime", "/etc/timezone")
)
COMPOSE = "com.docker.compose."


@dataclass
class Found:
    """What was found on the machine: paths to copy, and facts about the rest."""

    paths: dict[Path, str] = field(default_factory=dict)  # and why each is copied
    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    volumes: dict[str, dict[str, Any]] = field(default_factory=dict)
    compose: dict[str, Any] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def add(self, path: Path, why: str) -> None:
        """Note a path to copy."""
        self.paths.setdefault(path, why)


def of_project(engine: Any, project: str) -> Found:
    """Return what the containers of a Compose project tell of themselves."""
    found = Found()
    label = f"{COMPOSE}project={project}"
    containers = engine.containers.list(all=True, filters={"label": label})
    for container in sorted(containers, key=lambda each: str(each.name)):
        _compose_files(container.labels or {}, found)
        service = (container.labels or {}).get(f"{COMPOSE}service", container.name)
        _image(engine, container, service, found)
        for mount in container.attrs.get("Mounts") or ():
            if mount["Type"] == "bind":
                found.add(Path(mount["Source"]), f"mounted by {service}")
            elif mount["Type"] == "volume":
                entry = found.volumes.setdefault(mount["Name"], {"services": []})
                entry["services"] = sorted({*entry["services"], service})
                entry["destination"] = mount["Destination"]
    if containers:
        found.compose["project"] = project
    return found


def _compose_files(labels: Mapping[str, str], found: Found) -> None:
    folder = labels.get(f"{COMPOSE}project.working_dir", "")
    texts = {
        name: [each for each in labels.get(f"{COMPOSE}project.{name}", "").split(",") if each]
        for name in ("config_files", "environment_file")
    }
    if folder:
        found.compose |= {"folder": folder}
        found.add(Path(folder, ".env"), "environment of Compose")
    for name, paths in texts.items():
        known = found.compose.setdefault(name, [])
        known += [each for each in paths if each not in known]
        for each in paths:
            found.add(Path(folder, each), "of Compose")
            if name == "config_files":
                for more in _named_files(Path(folder, each), Path(folder)):
                    found.add(more, f"named by {each}")


def _named_files(path: Path, folder: Path) -> Iterator[Path]:
    """Yield the files that a Compose file names: of variables, secrets and configurations."""
    try:
        import yaml

        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (ImportError, OSError, ValueError, yaml.YAMLError):
        return
    if not isinstance(document, dict):
        return
    for service in (document.get("services") or {}).values():
        given = (service or {}).get("env_file") or []
        for each in [given] if isinstance(given, str | dict) else given:
            text = each.get("path") if isinstance(each, dict) else each
            if text:
                yield folder / str(text)
    for kind in ("secrets", "configs"):
        for each in (document.get(kind) or {}).values():
            if isinstance(each, dict) and each.get("file"):
                yield folder / str(each["file"])


def _image(engine: Any, container: Any, service: str, found: Found) -> None:
    name = container.attrs["Config"]["Image"]
    entry = found.images.setdefault(name, {"services": [], "id": container.attrs["Image"]})
    entry["services"] = sorted({*entry["services"], service})
    entry["digests"] = []
    with suppress(Exception):  # an image whose name was taken by a newer one
        entry["digests"] = sorted(engine.images.get(entry["id"]).attrs.get("RepoDigests") or [])


def gather(
    root: Path,
    found: Found,
    facts: Mapping[str, Any],
    recipients: Sequence[str],
    *,
    keys_folder: Path,
    check: bool,
) -> tuple[bool, dict[str, Any]]:
    """Bring the folder to be copied up to date; return whether it changed, and what it says.

    A file that is as before is not encrypted again, so that a site gets nothing new.

    :raises OpsError: encryption.*, lock.held, signing.*
    """
    keys = encryption.parse_recipients(recipients) if recipients else []
    entries = sorted(_entries(found), key=lambda each: str(each["path"]))
    folder = root / sets.STATE / FOLDER
    cache = root / sets.STATE / CACHE
    known = _read(cache)
    same = known if known.get("recipients") == list(recipients) else {}
    digests = {
        each["path"]: files.sha256(Path(each["path"])) for each in entries if "bytes" in each
    }
    for number, each in enumerate(entries):
        if "bytes" in each:
            each["stored"] = f"files/{number:05d}" + (encryption.SUFFIX if keys else "")
    document = {
        "schema_version": SCHEMA_VERSION,
        "encrypted": bool(keys),
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


def _entries(found: Found) -> Iterator[dict[str, Any]]:
    """Yield a record of each folder, file and link to copy; name the others in *found*."""
    seen: set[Path] = set()
    for path, why in sorted(found.paths.items()):
        if any(path == each or each in path.parents for each in SYSTEM_PATHS):
            continue
        if not path.exists():
            continue  # an .env that there is not
        inside = [path, *_below(path)] if path.is_dir() else [path]
        sizes = [each.stat().st_size for each in inside if each.is_file()]
        if len(sizes) > MOST_FILES or sum(sizes) > MOST_BYTES:
            found.left_out.append(f"{path} ({why}): {len(sizes)} files, {sum(sizes)} bytes")
            continue
        for each in inside:
            if each not in seen and (record := _record(each, found)):
                seen.add(each)
                yield record | {"why": why}


def _below(folder: Path) -> Iterator[Path]:
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if each not in ("__pycache__", ".git"))
        for name in [*folders, *sorted(names)]:
            yield Path(base, name)


def _record(path: Path, found: Found) -> dict[str, Any] | None:
    try:
        status = path.lstat()
        record: dict[str, Any] = {
            "path": str(path),
            "mode": stat.S_IMODE(status.st_mode),
            "uid": status.st_uid,
            "gid": status.st_gid,
        }
        if stat.S_ISLNK(status.st_mode):
            return record | {"link": str(path.readlink())}
        if stat.S_ISDIR(status.st_mode):
            return record | {"folder": True}
        if stat.S_ISREG(status.st_mode) and os.access(path, os.R_OK):
            return record | {"bytes": status.st_size}
    except OSError:
        pass
    if not stat.S_ISSOCK(path.lstat().st_mode):
        found.left_out.append(f"{path}: it cannot be read by this user, or is no file")
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
