# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from types import SimpleNamespace

import pytest

from tests.conftest import PROJECT
from tests.support.own_coverage import OwnCoverage

SCRIPT = PROJECT / "scripts" / "branch_coverage.py"
REQUIRED = ("checks", "corrections", "evidence", "notify", "repository", "schedule")


def measured(lines, covered):
    return {
        "summary": {
            "num_statements": lines,
            "covered_lines": lines,
            "num_branches": 10,
            "covered_branches": covered,
        }
    }


def run(path, files):
    report = path / "coverage.json"
    report.write_text(json.dumps({"files": files}))
    return subprocess.run(
        [sys.executable, SCRIPT, report], capture_output=True, text=True, timeout=30, check=False
    )


def well():
    return {f"module_utils/pmsops/{name}/one.py": measured(10, 9) for name in REQUIRED}


def test_enough_in_each_required_package_is_enough(tmp_path):
    done = run(tmp_path, well() | {"module_utils/pmsops/backup/run.py": measured(10, 0)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "backup           50.0 %\n" in done.stdout


@pytest.mark.parametrize("name", REQUIRED)
def test_a_required_package_with_too_little_fails(tmp_path, name):
    done = run(tmp_path, well() | {f"module_utils/pmsops/{name}/probes/two.py": measured(10, 5)})
    assert done.returncode == 1
    assert f"{name:<14}   85.0 %  TOO LITTLE" in done.stdout


def test_a_required_package_that_is_not_there_fails(tmp_path):
    files = well()
    del files["module_utils/pmsops/checks/one.py"]
    assert run(tmp_path, files).returncode == 1


def test_what_is_measured_is_what_is_required():
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["coverage"]["run"]
    assert settings["branch"]
    assert settings["source"] == [f"module_utils/pmsops/{name}" for name in REQUIRED]


def test_the_tracer_runs_with_the_packages_own_tests_alone():
    coverage = OwnCoverage("none")
    seen = {}
    for name in ("checks", "checks/probes", "restore", "schedule", "scripts"):
        item = SimpleNamespace(nodeid=f"tests/unit/{name}/test_one.py::test_it[a/b]")
        test = coverage.pytest_pyfunc_call(item)
        next(test)
        seen[name] = coverage.running
        assert (sys.gettrace() is not None) == coverage.running
        for base in ("", "tests", "tests/unit/restore", "tests/unit/checks"):
            fixture = coverage.pytest_fixture_setup(SimpleNamespace(baseid=base))
            next(fixture)
            assert coverage.running == (base == "tests/unit/checks")
            fixture.close()
            assert coverage.running == seen[name]  # a fixture that the test asked for meanwhile
        test.close()
        assert not coverage.running
    assert [name for name, running in seen.items() if running] == [
        *("checks", "checks/probes", "schedule")
    ]
