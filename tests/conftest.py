# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the project's modules importable the way Ansible makes them; how much each run proves."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import ansible.module_utils
import pytest
from hypothesis import settings

from tests.support import tiers

PROJECT = Path(__file__).resolve().parent.parent
# In the names of labs: another clone may run its tests here, or was killed and left its labs.
CHECKOUT = hashlib.sha256(str(PROJECT).encode()).hexdigest()[:6]
sys.path[:0] = [str(PROJECT), str(PROJECT / "library")]
ansible.module_utils.__path__.append(str(PROJECT / "module_utils"))


def share_interpreter_cache() -> None:
    """Let the processes of the tests compile a module once: tests/support/interpreter."""
    folder = str(PROJECT / "tests" / "support" / "interpreter")
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [folder, *(each for each in others if each and each != folder)]
    )
    os.environ["PMS_TEST_PYTHONPATH"] = folder  # scripts/pms-ops takes no other


share_interpreter_cache()
# Without a buffer, a module that comes by standard input (pipelining) is read byte by byte: a tenth
# of a second for each.
os.environ.pop("PYTHONUNBUFFERED", None)

# Examples of a property test. Hypothesis tries others in each run, so that nightly runs add up.
settings.register_profile("quick", max_examples=30, deadline=None)
settings.register_profile("ci", max_examples=100, deadline=None)
settings.register_profile("nightly", max_examples=1500, deadline=None)


def pytest_configure(config: pytest.Config) -> None:
    """Take the profile of the run, unless ``--hypothesis-profile`` names one; measure coverage."""
    if not config.getoption("--hypothesis-profile"):
        deep = "ci" if config.getoption("--deep") else "quick"
        settings.load_profile("nightly" if config.getoption("--all") else deep)
    runs_tests = hasattr(config, "workerinput") or not getattr(config.option, "numprocesses", None)
    if config.getoption("--own-coverage") and runs_tests:
        from tests.support.own_coverage import OwnCoverage

        worker = os.environ.get("PYTEST_XDIST_WORKER", "")
        config.pluginmanager.register(OwnCoverage(worker), "own_coverage")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what only ``make test-ci`` and ``make test-long`` run."""
    tiers.leave_out(config, items)


@pytest.fixture(autouse=True)
def quiet_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the host say no load: what a gate finds must not depend on who else runs tests here."""
    from ansible.module_utils.pmsops.common import host_load

    monkeypatch.setattr(host_load, "LOADAVG", Path(os.devnull))
