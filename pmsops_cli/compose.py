# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Compose project as Compose itself reads it: files, overrides, profiles, name, variables."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pmsops_cli.exit_status import COULD_NOT_RUN, Stop
from pmsops_cli.project import VENV_BIN

SECONDS = 60
# The files that Compose looks for in a folder, the first first.
DEFAULT_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")


@dataclass
class Project:
    """A Compose project: all its services, and which of them are active."""

    name: str
    folder: Path
    services: dict[str, dict[str, Any]]
    active: set[str]
    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    # What Compose fills into ${NAME}: those of the .env.
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    notes: list[str] = field(default_factory=list)

    @property
    def running(self) -> dict[str, dict[str, Any]]:
        """Return the active services, in the order of the file."""
        return {name: each for name, each in self.services.items() if name in self.active}


@dataclass(frozen=True)
class Sources:
    """What Compose is asked about: one folder or some files, as with its own options."""

    files: tuple[Path, ...]
    env: Path | None = None
    project: str | None = None
    profiles: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Return the project's folder. Links stay: the name of the project is that of the link."""
        return self.files[0] if self.files[0].is_dir() else self.files[0].parent


def read(sources: Sources) -> Project:
    """Return a project with every variable filled in.

    Compose itself reads it, so that its rules for `${NAME:-default}`, env_file, extends, override
    files, profiles and names are not written a second time. The variables of this shell do not
    count, only those of the .env, so that the same files give the same inventory.

    :raises Stop: where Compose refuses the files.
    """
    reader = _Reader(sources, _tool())
    variables = reader.variables()
    files = [*_files(sources, variables), *_profiles(sources)]
    whole = reader.config([*files, "--profile", "*"])
    profiled = any(each.get("profiles") for each in (whole.get("services") or {}).values())
    active = reader.config(files) if profiled else whole
    return Project(
        name=whole["name"],
        folder=sources.folder,
        services=whole.get("services") or {},
        active={
            name
            for name, each in (active.get("services") or {}).items()
            if (each.get("deploy") or {}).get("replicas", 1) and each.get("scale", 1)
        },
        secrets=whole.get("secrets") or {},
        configs=whole.get("configs") or {},
        variables=variables,
    )


def _files(sources: Sources, variables: dict[str, str]) -> list[str]:
    """Return --file options; none where Compose finds the file by itself, and its override."""
    if sources.files[0].is_dir():
        return []
    if len(sources.files) == 1:
        separator = variables.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
        listed = [each for each in variables.get("COMPOSE_FILE", "").split(separator) if each]
        if not listed:
            listed = [each for each in DEFAULT_NAMES if (sources.folder / each).is_file()][:1]
        if any(_same(sources.folder / each, sources.files[0]) for each in listed):
            return []
    return [word for each in sources.files for word in ("--file", str(each))]


def _profiles(sources: Sources) -> list[str]:
    return [word for each in sources.profiles for word in ("--profile", each)]


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _tool() -> list[str]:
    """Return the Compose of this machine, which is the one that runs the PMS; else that of .venv.

    Compose 1 is passed over: it cannot print JSON, and it names containers in another way.
    """
    for words in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(words[0]) is None:
            continue
        done = _ask([*words, "version", "--short"], None)
        if done is not None and not done.returncode and not done.stdout.lstrip("v").startswith("1"):
            return words
    return [str(VENV_BIN / "docker-compose")]


def _ask(command: list[str], folder: Path | None) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            command,
            env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
            | ({"PWD": str(folder)} if folder else {}),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


class _Reader:
    def __init__(self, sources: Sources, tool: list[str]) -> None:
        self.sources = sources
        self.shared = [
            *tool,
            *(["--env-file", str(sources.env)] if sources.env else []),
            *(["--project-name", sources.project] if sources.project else []),
        ]

    def variables(self) -> dict[str, str]:
        """Return what Compose fills in: the .env, without the variables of this shell."""
        if not self.sources.env and not (self.sources.folder / ".env").is_file():
            return {}
        files = [] if self.sources.files[0].is_dir() else ["--file", str(self.sources.files[0])]
        done = _ask([*self.shared, *files, "config", "--environment"], self.sources.folder)
        # A file that cannot be read is told by the next question; an old Compose knows no such one.
        lines = done.stdout.splitlines() if done is not None and not done.returncode else []
        return {name: value for name, _, value in (line.partition("=") for line in lines)}

    def config(self, options: list[str]) -> dict[str, Any]:
        """Return the project as plain data."""
        found: dict[str, Any] = _plain(
            json.loads(self._run([*options, "config", "--format", "json"]))
        )
        return found

    def _run(self, words: list[str]) -> str:
        done = _ask([*self.shared, *words], self.sources.folder)
        place = ", ".join(str(each) for each in self.sources.files)
        if done is None:
            raise Stop(
                f"{self.shared[0]} could not be asked about {place}.",
                "Run `make setup` in the project; it installs docker-compose into .venv.",
                status=COULD_NOT_RUN,
            )
        if done.returncode:
            said = done.stderr.strip().splitlines()
            # Warnings stand above the reason; they are about something else.
            reason = [line for line in said if "level=warning" not in line] or said
            raise Stop(
                f"Compose cannot read {place}: {' '.join(' '.join(reason).split())}",
                "Correct the file; a variable that is missing belongs into its .env (--env FILE).",
            )
        return done.stdout


def _plain(value: Any) -> Any:
    """Return plain values: what `config` prints could be read by Compose again, dollars doubled."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value
