# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs on a managed host has nothing that its oldest Python lacks.

tests/integration/test_managed_host.py runs some of it with this Python.
"""

from __future__ import annotations

import ast
import builtins
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT

OLDEST = (3, 9)
# It runs on the control node alone.
CONTROL = PROJECT / "module_utils" / "pmsops" / "control"
# Methods of values whose type no tool knows, and who may still use what an older one does not read.
NEWER_METHODS = {"add_note", "bit_count", "hardlink_to", "is_junction"}
READERS_OF_TIMES = {"timestamps.py", "verify_script.py"}


def shipped() -> list[Path]:
    """Return the modules, and what they import of the toolkit."""
    utils = (PROJECT / "module_utils").rglob("*.py")
    modules = (PROJECT / "library").glob("*.py")
    return sorted([*modules, *(path for path in utils if CONTROL not in path.parents)])


def is_type(node: ast.expr) -> bool:
    """Return whether an operand of ``|`` is a class or None, by its name."""
    if isinstance(node, ast.BinOp):
        return is_type(node.left) or is_type(node.right)
    if isinstance(node, ast.Subscript):
        return is_type(node.value)
    if isinstance(node, ast.Constant):
        return node.value is None
    name = getattr(node, "attr", getattr(node, "id", ""))
    known = isinstance(getattr(builtins, name, None), type) or name in ("date", "datetime")
    return known or (name[:1].isupper() and not name.isupper())


def annotated(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield the annotations, which no Python evaluates."""
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            if found := getattr(node, name, None):
                yield found


def too_new(source: str, name: str = "a.py") -> list[str]:
    """Return what the oldest Python lacks, with its line."""
    tree = ast.parse(source, feature_version=OLDEST)
    never_run = {id(each) for found in annotated(tree) for each in ast.walk(found)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            if id(node) not in never_run and is_type(node):
                found.append(f"{node.lineno}: {ast.unparse(node)}, a union at run time")
        elif isinstance(node, ast.Attribute):
            if node.attr in NEWER_METHODS:
                found.append(f"{node.lineno}: {node.attr}")
            elif ast.unparse(node) == "datetime.fromisoformat" and name not in READERS_OF_TIMES:
                found.append(f"{node.lineno}: {ast.unparse(node)} in the place of from_iso")
    return found


def test_no_file_has_syntax_unions_or_methods_of_a_newer_python():
    files = shipped()
    assert len(files) > 500
    found = {str(path): too_new(path.read_text("utf-8"), path.name) for path in files}
    assert {name: each for name, each in found.items() if each} == {}


@pytest.mark.linters
def test_no_file_has_a_name_or_an_argument_that_a_newer_library_brought():
    assert newer_names(*shipped()) == []


def newer_names(*files: Path) -> list[str]:
    """Return what Vermin finds; it knows when the standard library got each name and argument."""
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("vermin"), "--quiet", "--no-tips"),
            "--no-eval-annotations",
            *("--no-parse-comments", "--violations", f"--target={OLDEST[0]}.{OLDEST[1]}-"),
            *("--exclude", "file", *files),  # a probe, not the function of Python 2
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stderr == ""
    found = done.stdout.splitlines()
    assert bool(found) == bool(done.returncode), done.stdout
    return found


@pytest.mark.parametrize(
    "source",
    [
        "isinstance(value, int | float)",
        "Answer = Mapping[str, str | None]",
        "Files = Server | hosts.Host[str]",
        "def read(text):\n    return datetime.fromisoformat(text)",
        "path.hardlink_to(other)",
    ],
)
def test_what_only_a_newer_python_runs_is_found(source):
    assert len(too_new(source)) == 1


@pytest.mark.parametrize("source", ["match value:\n    case 1: pass", "try: pass\nexcept* E: pass"])
def test_syntax_of_a_newer_python_is_found(source):
    with pytest.raises(SyntaxError):
        too_new(source)


def test_unions_in_annotations_and_sums_of_flags_are_none():
    assert too_new("def read(a: int | None, b: Sized | None = None) -> str | None: ...") == []
    assert too_new("flags = os.O_RDONLY | os.O_CLOEXEC\nboth = known | {None}\nx: A | B = 1") == []


@pytest.mark.linters
def test_names_and_arguments_of_a_newer_library_are_found(tmp_path):
    source = tmp_path / "newer.py"
    source.write_text("from datetime import UTC\nimport tomllib\nlist(zip([], [], strict=True))\n")
    found = "\n".join(newer_names(source))
    assert all(each in found for each in ("datetime.UTC", "tomllib", "zip(strict)"))


def names(file: str, line: str) -> list[str]:
    """Return the packages of a file of requirements."""
    text = (PROJECT / "requirements" / file).read_text("utf-8")
    return re.findall(line, text, re.MULTILINE)


def test_the_lock_for_old_pythons_has_one_version_of_each_package_and_pip():
    locked = names("managed-old.txt", r"^([a-z0-9-]+)==")
    assert len(set(locked)) == len(locked)  # the pack for a host is made without markers
    assert {*names("managed.in", r"^([a-z0-9-]+)$"), "pip"} <= set(locked)
