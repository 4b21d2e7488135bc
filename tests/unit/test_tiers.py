# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What `make test` leaves out is proved there by quicker tests: tests/support/tiers.py."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.support.tiers import Collected, breaches

MARK = re.compile(r"\bmark\.deep\b|\bdeep_but\(|\bDEEP\(")
TEST_FILE = re.compile(r"\btests/(?:unit|integration|molecule)/[\w/]+\.py\b")
QUICK = "tests/unit/test_y.py::test_quick"


def collect(tmp_path: Path, *files: str) -> list[Collected]:
    """Return what pytest collects of *files*, with every test counted in."""
    found = tmp_path / "tiers.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--collect-only", "--quiet", "--all"),
            *("-p", "no:cacheprovider", "-p", "tests.support.collect_tiers", "-n", "0", *files),
        ],
        cwd=PROJECT,
        env=os.environ | {"PMS_TEST_TIERS": str(found)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return [
        Collected(each["nodeid"], each["tier"], each["skipped"],
                  None if each["by"] is None else tuple(each["by"]))
        for each in json.loads(found.read_text())
    ]  # fmt: skip


def files_of_deep_tests() -> set[str]:
    """Return the files with deep tests, by marks of their own or imported ones, and those named."""
    folders = [PROJECT / "tests" / name for name in ("unit", "integration", "molecule")]
    texts = {
        str(path.relative_to(PROJECT)): path.read_text(encoding="utf-8")
        for folder in folders
        for path in folder.rglob("*.py")
        if path != Path(__file__)
    }
    marking = {name for name, text in texts.items() if MARK.search(text)}
    modules = [name.removesuffix(".py").replace("/", ".") for name in marking]
    marked = {
        name for name, text in texts.items() if any(f"from {each} " in text for each in modules)
    }
    named = {each for name in marking for each in TEST_FILE.findall(texts[name])}
    return {name for name in marking | marked | named if Path(name).name.startswith("test_")}


@pytest.mark.own_tools
def test_each_deep_test_names_quicker_ones_that_make_test_runs(tmp_path):
    files = files_of_deep_tests()
    tests = collect(tmp_path, *sorted(files))
    assert any(each.by for each in tests)
    assert breaches(tests) == []


def deep(*by: str, nodeid: str = "tests/unit/test_x.py::test_slow") -> Collected:
    return Collected(nodeid, "deep", by=by)


def test_what_is_named_may_be_one_case_or_several_tests():
    tests = [
        deep(QUICK),
        deep(f"{QUICK}[a]", "tests/unit/test_x.py::test_other"),
        deep(f"{QUICK}[a]", nodeid=f"{QUICK}[b]"),
        Collected(f"{QUICK}[a]"),
        Collected("tests/unit/test_x.py::test_other"),
    ]
    assert breaches(tests) == []


SLOW = "tests/unit/test_x.py::test_slow"


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ([deep()], f'{SLOW}: write deep(by="tests/.../test_x.py::test_y")'),
        ([deep(QUICK)], f"{SLOW}: {QUICK} is not collected"),
        ([deep(f"{QUICK}[b]"), Collected(f"{QUICK}[a]")], f"{SLOW}: {QUICK}[b] is not collected"),
        ([deep(SLOW)], f"{SLOW} names itself"),
        ([deep(SLOW, nodeid=f"{SLOW}[a]"), Collected(f"{SLOW}[b]")], f"{SLOW}[a] names itself"),
        ([deep(QUICK), deep("x", nodeid=QUICK)], f"{SLOW}: {QUICK} is deep, too"),
        ([deep(QUICK), Collected(QUICK, "nightly")], f"{SLOW}: {QUICK} is nightly, too"),
        ([deep(QUICK), Collected(QUICK, skipped=True)], f"{SLOW}: {QUICK} is skipped"),
    ],
)
def test_each_breach_is_named(tests, said):
    assert said in breaches(tests)


MARKED = """
import pytest

@pytest.mark.MARK("x")
def test_without_its_name(): pass

@pytest.mark.MARK(by=["x"])
def test_with_a_list(): pass

@pytest.mark.MARK(by="a")
@pytest.mark.nightly
def test_of_the_night(): pass

@pytest.mark.parametrize("one", [pytest.param(1, marks=pytest.mark.MARK(by=("a", "b"))), 2])
def test_cases(one): pass

@pytest.mark.skip
def test_skipped(): pass

@pytest.mark.skipif(True, reason="")
def test_skipped_here(): pass

@pytest.mark.skipif(False, reason="")
def test_not_skipped(): pass
""".replace("MARK", "deep")

RELYING = """
import pytest

@pytest.mark.MARK(by="tests/unit/test_here.py::test_quick")
def test_slow(): print("slow is run")

@pytest.mark.nightly
def test_slower(): print("slower is run")

def test_quick(): BODY
""".replace("MARK", "deep")


@pytest.fixture
def project(tmp_path):
    """A project with the conftest.py of this one and a test file; a function that runs pytest."""
    tests = tmp_path / "project" / "tests"
    (tests / "unit").mkdir(parents=True)
    for name in ("conftest.py", "pyproject.toml", "tests/__init__.py", "tests/conftest.py"):
        (tests.parent / name).write_bytes((PROJECT / name).read_bytes())
    for name in ("module_utils", "tests/support"):
        (tests.parent / name).symlink_to(PROJECT / name)

    def run(text: str, *options: str) -> subprocess.CompletedProcess:
        (tests / "unit" / "test_here.py").write_text(text)
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rP", *options, "tests"],
            cwd=tests.parent,
            env={name: value for name, value in os.environ.items() if not name.startswith("PMS_")}
            | {"PMS_TEST_TIERS": str(tmp_path / "tiers.json")},
            capture_output=True,
            text=True,
            timeout=120,
        )

    run.found = tmp_path / "tiers.json"
    return run


@pytest.mark.own_tools
def test_marks_are_read_as_they_are_written(project):
    done = project(MARKED, "--collect-only", "--all", "-p", "tests.support.collect_tiers")
    assert done.returncode == 0, done.stdout
    assert [
        (each["nodeid"].partition("::test_")[2], each["tier"], each["skipped"], each["by"])
        for each in json.loads(project.found.read_text())
    ] == [
        ("without_its_name", "deep", False, []),
        ("with_a_list", "deep", False, []),
        ("of_the_night", "nightly", False, ["a"]),
        ("cases[1]", "deep", False, ["a", "b"]),
        ("cases[2]", None, False, None),
        ("skipped", None, True, None),
        ("skipped_here", None, True, None),
        ("not_skipped", None, False, None),
    ]


BOTH = ["1 deep tests; make test-ci", "1 nightly tests; make test-long"]


@pytest.mark.own_tools
def test_a_run_says_what_it_left_out(project):
    for options, ran, left in (
        ((), [], BOTH),
        (("-n", "1"), [], BOTH),
        (("--deep",), ["slow"], BOTH[1:]),
        (("--all",), ["slow", "slower"], []),
    ):
        done = project(RELYING.replace("BODY", "pass"), *options)
        assert done.returncode == 0, done.stdout
        assert re.findall(r"^(\w+) is run$", done.stdout, re.M) == ran
        assert re.findall(r"^left out: (.*) runs them, too$", done.stdout, re.M) == left


@pytest.mark.own_tools
def test_a_run_fails_if_the_quicker_test_skipped_itself(project):
    text = RELYING.replace("BODY", 'pytest.skip("no tool here")')
    named = "tests/unit/test_here.py::test_quick"
    for workers in ((), ("-n", "1")):
        done = project(text, *workers)
        assert done.returncode == 1, done.stdout
        assert f"FAILED: deep tests rely on {named}, which was skipped\n" in done.stdout
    assert project(text, "--deep").returncode == 0
    assert project(text, "--deselect", named).returncode == 0
