# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files that a Compose project lives on: found by what its containers tell of themselves.

The Compose files with their ``.env``, the files that they name, and what services mount from the
host. Each path belongs to a part of a backup set, and may be one that holds secrets by its kind.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# A folder that a service mounts is configuration up to here; above it is data, and named instead.
MOST_BYTES, MOST_FILES = 64 * 1024**2, 5000
# Of the machine, not of the PMS.
SYSTEM_PATHS = tuple(
    Path(each)
    for each in ("/proc", "/sys", "/dev", "/run", "/var/run", "/etc/localtime", "/etc/timezone")
)
COMPOSE = "com.docker.compose."
# The parts of a backup set that files belong to; other paths are of the machine alone.
OF_COMPOSE, OF_GRAFANA, OF_MACHINE = "compose", "grafana", ""
# In the name of a file that a restore of parts has replaced, and kept beside: in no later set.
FORMER = ".before-"
GRAFANA_FOLDERS = (Path("/etc/grafana"), Path("/var/lib/grafana"))


@dataclass
class Found:
    """What was found on the machine: paths to copy, and facts about the rest."""

    paths: dict[Path, str] = field(default_factory=dict)  # and why each is copied
    parts: dict[Path, str] = field(default_factory=dict)
    secrets: set[Path] = field(default_factory=set)  # by their kind, whatever is in them
    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    volumes: dict[str, dict[str, Any]] = field(default_factory=dict)
    compose: dict[str, Any] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def add(self, path: Path, why: str, part: str = OF_MACHINE, *, secret: bool = False) -> None:
        """Note a path to copy."""
        self.paths.setdefault(path, why)
        self.parts[path] = self.parts.get(path) or part
        if secret:
            self.secrets.add(path)

    def of_part(self, part: str) -> Found:
        """Return the paths of one part."""
        return Found(
            paths={path: why for path, why in self.paths.items() if self.parts[path] == part},
            parts=self.parts,
            secrets=self.secrets,
        )

    def secret(self, path: Path) -> bool:
        """Tell whether *path* is, or lies in, what holds secrets by its kind."""
        return any(path == each or each in path.parents for each in self.secrets)


def of_project(engine: Any, project: str, *, grafana: str = "grafana") -> Found:
    """Return what the containers of a Compose project tell of themselves.

    *grafana* is the service whose files are Grafana's.
    """
    found = Found()
    label = f"{COMPOSE}project={project}"
    containers = engine.containers.list(all=True, filters={"label": label})
    for container in sorted(containers, key=lambda each: str(each.name)):
        _compose_files(container.labels or {}, found)
        service = (container.labels or {}).get(f"{COMPOSE}service", container.name)
        _image(engine, container, service, found)
        for mount in container.attrs.get("Mounts") or ():
            if mount["Type"] == "bind":
                source, target = Path(mount["Source"]), Path(mount["Destination"])
                of_grafana = service == grafana or any(
                    target == each or each in target.parents for each in GRAFANA_FOLDERS
                )
                # A single file that a service mounts is configuration.
                part = OF_COMPOSE if source.is_file() else OF_MACHINE
                part = OF_GRAFANA if of_grafana else part
                found.add(source, f"mounted by {service}", part)
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
        found.add(Path(folder, ".env"), "environment of Compose", OF_COMPOSE, secret=True)
    for name, paths in texts.items():
        known = found.compose.setdefault(name, [])
        known += [each for each in paths if each not in known]
        for each in paths:
            secret = name == "environment_file"
            found.add(Path(folder, each), "of Compose", OF_COMPOSE, secret=secret)
            if not secret:
                for more, kept in _named_files(Path(folder, each), Path(folder)):
                    found.add(more, f"named by {each}", OF_COMPOSE, secret=kept)


def _named_files(path: Path, folder: Path) -> Iterator[tuple[Path, bool]]:
    """Yield the files that a Compose file names, and whether each holds secrets by its kind.

    They are of variables, secrets and configurations.
    """
    try:
        import yaml

        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (ImportError, OSError, ValueError, yaml.YAMLError):
        return
    if not isinstance(document, dict):
        return
    for service in (document.get("services") or {}).values():
        given = (service or {}).get("env_file") or []
        for each in [given] if isinstance(given, (str, dict)) else given:
            text = each.get("path") if isinstance(each, dict) else each
            if text:
                yield folder / str(text), True
    for kind in ("secrets", "configs"):
        for each in (document.get(kind) or {}).values():
            if isinstance(each, dict) and each.get("file"):
                yield folder / str(each["file"]), kind == "secrets"


def _image(engine: Any, container: Any, service: str, found: Found) -> None:
    name = container.attrs["Config"]["Image"]
    entry = found.images.setdefault(name, {"services": [], "id": container.attrs["Image"]})
    entry["services"] = sorted({*entry["services"], service})
    entry["digests"] = []
    with suppress(Exception):  # an image whose name was taken by a newer one
        entry["digests"] = sorted(engine.images.get(entry["id"]).attrs.get("RepoDigests") or [])


def entries(found: Found) -> Iterator[dict[str, Any]]:
    """Yield a record of each folder, file and link to copy; name the others in *found*."""
    seen: set[Path] = set()
    for path, why in sorted(found.paths.items()):
        if any(path == each or each in path.parents for each in SYSTEM_PATHS):
            continue
        if not path.exists():
            continue  # an .env that there is not
        # A link alone would be a name without content.
        inside = [path, path.resolve()] if path.is_symlink() else [path]
        inside += _below(path) if path.is_dir() else []
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
            if FORMER not in name:
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
