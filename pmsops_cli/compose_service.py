# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One service of a Compose project: image, command, environment, and where it is reached."""

from __future__ import annotations

import itertools
import re
import shlex
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pmsops_cli.compose import Project

SHELLS = ("sh", "bash", "ash", "dash", "zsh")
ANYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (as published)
_VARIABLE = re.compile(
    r"\$(?:\{(?P<braced>\w+)(?:(?P<sign>:?[-?])(?P<word>[^}]*))?\}|(?P<plain>\w+))"
)
_FROM_FILE = re.compile(r"\$\(\s*(?:cat\s+|<\s*)(?P<file>[^\s)]+)\s*\)|`cat\s+(?P<tick>[^`\s]+)`")


@dataclass
class Service:
    """A service; *local* is whether it runs on this machine.

    Elsewhere, only files of the project's folder are read, which is there as the .env is.
    """

    name: str
    raw: dict[str, Any]
    project: Project
    local: bool = True
    # Variables whose values are in a file that cannot be read from here, with its path.
    unread: dict[str, str] = field(default_factory=dict)

    @cached_property
    def image(self) -> tuple[str, ...]:
        """Return the words of the image's name, without registry, namespace, tag and digest."""
        last = (self.raw.get("image") or "").split("@")[0].rpartition("/")[2].split(":")[0]
        return tuple(word for word in re.split(r"[-_.]", last.lower()) if word)

    @cached_property
    def words(self) -> list[str]:
        """Return entrypoint and command as the words that run; a shell's text is split, too."""
        return [word for part in self._parts for word in part]

    @cached_property
    def shell(self) -> bool:
        """Tell whether a shell runs the command, so that its text is not what the program gets."""
        whole = self._whole
        return any(
            word.rpartition("/")[2] in SHELLS and re.fullmatch(r"-\w*c", later)
            for word, later in itertools.pairwise(whole)
        )

    @property
    def _whole(self) -> list[str]:
        found: list[str] = []
        for key in ("entrypoint", "command"):
            part = self.raw.get(key)
            words = part if isinstance(part, list) else _split(str(part or ""))
            found += [str(word) for word in words]
        return found

    @property
    def _parts(self) -> list[list[str]]:
        """Return the words of each word: a shell splits its text, and some programs an option."""
        found: list[list[str]] = []
        before = ""
        for word in self._whole:
            text = re.fullmatch(r"-\w*c", before) or word[:1] == "-"
            found.append(_split(word) if text and re.search(r"\s", word) else [word])
            before = word
        return found

    @cached_property
    def environment(self) -> dict[str, str]:
        """Return the environment; NAME_FILE is followed, as the images of databases do."""
        given = {
            key: str(value)
            for key, value in (self.raw.get("environment") or {}).items()
            if value not in (None, "")
        }
        found = dict(given)
        for key, value in given.items():
            # Grafana's form has two underscores before FILE.
            name = key.removesuffix("FILE").rstrip("_")
            if not key.endswith("_FILE") or not value.startswith("/") or name in given:
                continue
            text = self.file(value)
            if text is None:
                self.unread[name] = value
            else:
                found[name] = text.strip("\r\n")
        return found

    def file(self, inside: str) -> str | None:
        """Return the text of a file in the container, None where it is not to be had here."""
        for kind, top in (("secrets", self.project.secrets), ("configs", self.project.configs)):
            for each in self.raw.get(kind) or []:
                target = each.get("target") or each["source"]
                if kind == "secrets" and not target.startswith("/"):
                    target = f"/run/secrets/{target}"
                if target.lstrip("/") == inside.lstrip("/"):
                    return self._content(top.get(each["source"]) or {})
        for each in self.raw.get("volumes") or []:
            target = (each.get("target") or "").rstrip("/")
            if each.get("type") == "bind" and (inside == target or inside.startswith(f"{target}/")):
                return self._read(Path(each["source"] + inside.removeprefix(target)))
        return None

    def _content(self, source: dict[str, Any]) -> str | None:
        if source.get("content") is not None:
            return str(source["content"])
        if source.get("environment"):
            return self.project.variables.get(source["environment"])
        return self._read(Path(source["file"])) if source.get("file") else None

    def _read(self, path: Path) -> str | None:
        below = path.resolve().is_relative_to(self.project.folder.resolve())
        if not self.local and not below:
            return None
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def expanded(self, text: str) -> str | None:
        """Return a text as the container's shell makes it, None where only that shell knows."""
        if not self.shell:
            return text
        unknown = False

        def variable(match: re.Match[str]) -> str:
            nonlocal unknown
            value = self.environment.get(match["braced"] or match["plain"])
            if value is None and match["sign"] in ("-", ":-") and "$" not in match["word"]:
                value = match["word"]
            unknown = unknown or value is None
            return value or ""

        def content(match: re.Match[str]) -> str:
            nonlocal unknown
            value = self.file(match["file"] or match["tick"])
            unknown = unknown or value is None
            return (value or "").strip("\r\n")

        # In one pass: a value that holds a dollar is not expanded once more.
        both = re.compile(f"{_FROM_FILE.pattern}|{_VARIABLE.pattern}")
        done = both.sub(lambda m: content(m) if m["file"] or m["tick"] else variable(m), text)
        return None if unknown or "$(" in both.sub("", text) else done

    @property
    def network(self) -> str:
        """Return the network mode: host, none, service:NAME, container:NAME, or nothing."""
        return str(self.raw.get("network_mode") or "")

    def published(self, inside: int | None = None) -> list[tuple[str, int, int]]:
        """Return address, port and port inside of what is published; never a port by chance."""
        found = []
        for port in self.raw.get("ports") or []:
            number = str(port.get("published") or "")
            if port.get("protocol", "tcp") != "tcp" or inside not in (None, port.get("target")):
                continue
            if number.isdigit() and int(number):
                address = port.get("host_ip") or ""
                found.append((ANYWHERE.get(address, address), int(number), int(port["target"])))
        # What this machine reaches under its own name first: another address may be a VPN's.
        return sorted(found, key=lambda each: each[0] != "127.0.0.1")

    @property
    def container(self) -> str:
        """Return the name of the container."""
        return self.raw.get("container_name") or f"{self.project.name}-{self.name}-1"

    @property
    def hosts(self) -> set[str]:
        """Return the names at which other containers reach this one."""
        networks = self.raw.get("networks") or {}
        more = [alias for each in networks.values() if each for alias in each.get("aliases") or []]
        own = (self.name, self.container, self.raw.get("hostname"), *more)
        return {each.lower() for each in own if each}


def services(project: Project, *, local: bool) -> dict[str, Service]:
    """Return the active services of a project."""
    return {name: Service(name, raw, project, local=local) for name, raw in project.running.items()}


def _split(text: str) -> list[str]:
    """Return the words of a text; ${NAME:?some words} and $(some words) stay in one piece."""
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(match[0])
        return f"\0{len(kept) - 1}\0"

    text = re.sub(r"\$\{[^}]*\}|\$\([^)]*\)|`[^`]*`", keep, text)
    try:
        found = shlex.split(text)
    except ValueError:  # a quote that a shell would close elsewhere
        found = text.split()
    return [re.sub(r"\0(\d+)\0", lambda match: kept[int(match[1])], word) for word in found]
