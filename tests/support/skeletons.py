# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The skeleton of a playbook: its blocks with a rescue, and what decides how far a failure goes.

Plays, roles, blocks and files of tasks are unfolded into one file, with those of their keywords
that let a failure of one host reach another one. The work of each block is one task that fails on
the host ``broken``; Ansible itself then shows on which hosts each rescue runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.unit.test_task_arguments import Loader

BROKEN, HEALTHY = "alpha", "beta"
# What may carry a failure to other hosts, or keep it from its own.
PROPAGATES = (
    "any_errors_fatal",
    "force_handlers",
    "ignore_errors",
    "ignore_unreachable",
    "max_fail_percentage",
    "run_once",
    "serial",
    "strategy",
    "throttle",
)
_BUILTIN = "ansible.builtin."


@dataclass
class Skeleton:
    """Unfolds a playbook of the project at *root*."""

    root: Path
    # Of the host that is broken: what fails there.
    work: Mapping[str, Any]
    rescues: list[str] = field(default_factory=list)
    _seen: set[Any] = field(default_factory=set)

    def of(self, playbook: Path) -> list[dict[str, Any]]:
        """Return the plays of a playbook that come to a rescue, and those that they import."""
        return [play for each in read(playbook) for play in self._play(each, playbook)]

    def _play(self, play: dict[str, Any], path: Path) -> Iterator[dict[str, Any]]:
        if imported := play.get("import_playbook") or play.get(f"{_BUILTIN}import_playbook"):
            yield from self.of(path.parent / imported)
            return
        tasks: list[dict[str, Any]] = []
        for role in play.get("roles") or []:
            given = {"role": role} if isinstance(role, str) else role
            file = self._file(given["role"], "main", "tasks")
            tasks += self._block(given, self._tasks(file, given["role"], given.get("vars") or {}))
        for part in ("pre_tasks", "tasks", "post_tasks"):
            tasks += self._several(play.get(part) or [], "", {}, path)
        if tasks:
            yield (
                {"name": play["name"], "hosts": "all", "gather_facts": False}
                | {each: play[each] for each in PROPAGATES if each in play}
                | {"tasks": tasks}
            )

    def _block(self, given: Mapping[str, Any], tasks: list[Any]) -> list[dict[str, Any]]:
        if not tasks:
            return []
        apply = given.get("apply") or {}
        return [{each: apply[each] for each in PROPAGATES if each in apply}
                | {each: given[each] for each in PROPAGATES if each in given}
                | {"block": tasks}]  # fmt: skip

    def _tasks(self, paths: list[Path], role: str, known: Mapping[str, Any]) -> list[Any]:
        found = []
        for path in paths:
            key = (path, repr(sorted(known.items())))
            if key not in self._seen:  # roles come back to each other
                self._seen.add(key)
                found += self._several(read(path), role, known, path)
        return found

    def _several(
        self, tasks: list[Any], role: str, known: Mapping[str, Any], path: Path
    ) -> list[Any]:
        return [part for task in tasks for part in self._task(task, role, known, path)]

    def _task(
        self, task: dict[str, Any], role: str, known: Mapping[str, Any], path: Path
    ) -> list[dict[str, Any]]:
        if "block" in task:
            inner = self._several(task["block"], role, known, path)
            if "rescue" not in task:
                return self._block(task, inner)
            name = f"{path.relative_to(self.root)}: {task.get('name', 'block')}"
            self.rescues.append(name)
            # Those inside come first: this one goes on to its end on a host that is well.
            (block,) = self._block(task, [*inner, {"name": f"Do {name}"} | dict(self.work)])
            rescue = [{"name": f"Rescue {name}", f"{_BUILTIN}debug": {"msg": "rescued"}}]
            return [block | {"rescue": rescue}]
        for key, value in task.items():
            kind = str(key).removeprefix(_BUILTIN)
            given = {"file": value} if isinstance(value, str) else value
            if kind in ("include_tasks", "import_tasks"):
                files = self._relative(given["file"], role, known, path)
            elif kind in ("include_role", "import_role"):
                role, asked = given["name"], given.get("tasks_from", "main")
                files = self._file(role, self._known(asked, known), "tasks")
                known = task.get("vars") or {}
            else:
                continue
            return self._block(
                task | {"apply": given.get("apply")}, self._tasks(files, role, known)
            )
        return []

    def _relative(self, name: str, role: str, known: Mapping[str, Any], path: Path) -> list[Path]:
        pattern = self._known(name, known)
        beside = sorted(path.parent.glob(pattern))
        return beside or self._file(role, pattern.removesuffix(".yml"), "tasks")

    def _known(self, text: str, known: Mapping[str, Any]) -> str:
        """Return a text with the variables that are known; the others may be anything."""

        def value(match: re.Match[str]) -> str:
            return str(known.get(match[1].strip(), "*"))

        return re.sub(r"\{\{(.*?)\}\}", value, text)

    def _file(self, role: str, name: str, part: str) -> list[Path]:
        folder = self.root / "roles" / role / part
        return sorted(folder.glob(name if name.endswith(".yml") else f"{name}.yml"))


def read(path: Path) -> list[Any]:
    """Return a file of plays or tasks."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader) or []  # noqa: S506
