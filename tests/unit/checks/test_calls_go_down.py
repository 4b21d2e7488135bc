# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Inside the package checks: a file imports only from files below it, and never asks back."""

from __future__ import annotations

import ast

import pytest

from tests.conftest import PROJECT

CHECKS = PROJECT / "module_utils" / "pmsops" / "checks"
PREFIX = "ansible.module_utils.pmsops.checks"
# From the gate down to the values of an answer; "probes" is the folder with everything in it.
ORDER = (
    *(
        "waiting",
        "gate",
        "negative_control",
        "attestations",
        "lacked_parts",
        "checklist",
        "validation",
        "second_try",
        "runner",
        "worker",
        "probes",
    ),
    *("variables", "expectations", "wrong_expectation", "comparison", "path", "values"),
)


def imported(name: str) -> set[str]:
    """Return the files of the package that a file, or the folder of the probes, imports."""
    paths = CHECKS.glob("probes/*.py") if name == "probes" else [CHECKS / f"{name}.py"]
    found: set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith(PREFIX):
                continue
            below = (node.module or "").removeprefix(PREFIX).strip(".").split(".")[0]
            found |= {below} if below else {each.name for each in node.names}
    return found - {name}


@pytest.mark.parametrize("name", ORDER)
def test_a_file_imports_only_from_files_below_it(name):
    assert imported(name) <= set(ORDER[ORDER.index(name) + 1 :])


def test_every_file_has_its_place():
    files = {path.stem for path in CHECKS.glob("*.py")} - {"__init__"}
    assert files | {"probes"} == set(ORDER)
