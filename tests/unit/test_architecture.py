# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rules of the house: which package may import which, and what no file may hold."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT

PREFIX = "ansible.module_utils.pmsops"
SOURCES = PROJECT / "module_utils" / "pmsops"
# From the ground up. A package imports only from floors below its own.
FLOORS = (
    ("common",),
    ("postgresql", "services"),
    ("client_tools",),
    ("repository", "pms", "incidents", "notify", "reports"),
    ("verify", "evidence", "schedule", "parts"),
    ("approvals",),  # whatever swaps or deletes may have to ask for one
    ("restore", "checks"),
    ("backup",),  # after each dump a trial: would this restore?
    ("pitr", "offsite"),  # one makes a set of a moment, the other copies sets to other sites
    ("recovery", "drills", "corrections", "briefs", "control", "anchors", "export"),
)
FLOOR = {package: number for number, floor in enumerate(FLOORS) for package in floor}
# The control node's package shows the progress of a module; modules never import it.
MAY_IMPORT_ANSIBLE = "control"
MAX_LINES = 300
# Files over MAX_LINES, and why each is one subject that a cut would only spread out.
LONG_FILES: dict[str, str] = {
    "export/report_template.py": "one HTML page: a template is read from top to bottom, whole",
    "export/verify_script.py": "goes into each export as one file, which an outsider reads whole",
    "postgresql/coverage.py": "one table, a catalogue of PostgreSQL each: what a proof compares",
    "reports/html_template.py": "one HTML page: a template is read from top to bottom, whole",
}


def files() -> list[Path]:
    """Return the sources, as paths below module_utils/pmsops."""
    return sorted(path.relative_to(SOURCES) for path in SOURCES.rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield each module that a file imports anywhere, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module
            yield from (f"{module}.{name.name}" for name in node.names)


def breaches(path: Path, source: str) -> list[str]:
    """Return what a file at *path* (below module_utils/pmsops) does against the rules."""
    package = path.parts[0]
    found = []
    for name in imported(ast.parse(source)):
        if name.startswith("."):
            found.append(f"relative import {name}: AnsiballZ resolves absolute ones only")
        elif name.startswith(f"{PREFIX}."):
            other = name.removeprefix(f"{PREFIX}.").split(".")[0]
            if other != package and FLOOR.get(other, len(FLOORS)) >= FLOOR[package]:
                found.append(f"{package} imports {other}, which is not on a floor below it")
        elif name.startswith("ansible.module_utils.basic"):
            found.append("AnsibleModule belongs to library/ alone")
        elif (
            name.split(".")[0] == "ansible"
            and package != MAY_IMPORT_ANSIBLE
            and name not in ("ansible", "ansible.module_utils", PREFIX)
        ):
            found.append(f"{name}: only {MAY_IMPORT_ANSIBLE} runs where Ansible is installed")
    lines = source.count("\n")
    if lines > MAX_LINES and str(path) not in LONG_FILES:
        found.append(f"{lines} lines, over {MAX_LINES}, and no reason in LONG_FILES")
    return found


def test_each_file_keeps_the_rules():
    found = {}
    for path in files():
        if path.name != "__init__.py" or len(path.parts) > 1:
            assert path.parts[0] in FLOOR, f"{path}: give its package a floor in FLOORS"
            found[str(path)] = breaches(path, (SOURCES / path).read_text())
    assert len(found) > 400
    assert {name: each for name, each in found.items() if each} == {}


def test_every_floor_holds_packages_that_exist():
    assert {path.parts[0] for path in files() if len(path.parts) > 1} == set(FLOOR)


def test_the_table_of_long_files_names_only_files_that_are_long():
    assert all(len(reason) > 20 for reason in LONG_FILES.values())
    stale = [
        name
        for name in LONG_FILES
        if not (SOURCES / name).exists() or (SOURCES / name).read_text().count("\n") <= MAX_LINES
    ]
    assert stale == []


def one(source: Iterable[str], path: str = "repository/sets.py") -> list[str]:
    return breaches(Path(path), "\n".join(source))


@pytest.mark.parametrize(
    "source",
    [
        f"from {PREFIX}.restore import swap",
        f"from {PREFIX} import restore",
        f"import {PREFIX}.restore.swap",
        f"def late():\n    from {PREFIX}.restore.swap import Swap",
        f"from {PREFIX}.pms import client",
        f"from {PREFIX}.nowhere import thing",
        "from . import manifest",
        "from ansible.module_utils.basic import AnsibleModule",
        "from ansible.errors import AnsibleError",
        "\n" * (MAX_LINES + 1),
    ],
    ids=[
        "a floor above",
        "a package above, by name",
        "a plain import",
        "an import in a function",
        "the same floor",
        "a package without a floor",
        "a relative import",
        "AnsibleModule",
        "Ansible outside control",
        "too long",
    ],
)
def test_each_kind_of_breach_is_seen(source):
    assert len(one([source])) >= 1


def test_what_the_rules_allow_is_no_breach():
    assert (
        one(
            [
                f"from {PREFIX}.common import files",
                f"from {PREFIX}.repository import manifest",
                f"from {PREFIX}.postgresql.connection import Database",
                "import json",
            ]
        )
        == []
    )
