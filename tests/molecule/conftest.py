# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the tests of playbooks share: labs, removed at the end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from datetime import date, datetime
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE

from tests.conftest import CHECKOUT, PROJECT

MOLECULE = Path(sys.executable).with_name("molecule")
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
TIMEOUT_SECONDS = 1200
# A step of molecule that does nothing, because the scenarios switch it off.
LEFT_OUT = "dependency"
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{MOLECULE.parent}:{os.environ['PATH']}",
    "PMS_TEST_CHECKOUT": CHECKOUT,
}
# Modules go by standard input: five processes less for each task. A whole go-live, and what kills
# playbooks, do without, as Ansible does by default.
PIPELINED = {"ANSIBLE_PIPELINING": "1"}
BY_FILE = ("default", "dr_database", "dr_killed", "dr_pitr", "dr_host")
# How molecule.yml names what only the tests set.
PLACEHOLDER = "${PMS_TEST_CHECKOUT}"


def lab_name(name: str) -> str:
    """Return the name that a lab of the tests has in this clone."""
    return name + CHECKOUT


def remove_lab(instance: str) -> None:
    """Remove a lab that tests share, with its backups and evidence."""
    done = subprocess.run(
        [PLAYBOOK, "playbooks/lab_down.yml"],
        cwd=PROJECT,
        env={**ENVIRONMENT, "PMS_LAB_INSTANCE": instance},
        capture_output=True,
        text=True,
        timeout=300,
    )
    shutil.rmtree(PROJECT / f".lab-{instance}", ignore_errors=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert leftovers(instance) == []


def leftovers(instance: str) -> list[str]:
    """Return containers, volumes and networks of a lab, as the engine knows them."""
    found = []
    of_the_lab = f"--filter=label=com.docker.compose.project=pms-lab-{instance}"
    for kind in ("container", "volume", "network"):
        every = ["--all"] if kind == "container" else []
        listed = subprocess.run(
            ["docker", kind, "ls", *every, "--quiet", of_the_lab],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        found += [f"{kind} {each}" for each in listed.stdout.split()]
    return found


@pytest.fixture(scope="session", autouse=True)
def whole_scenarios(pytestconfig):
    """`make test` and `make test-ci` leave out parts of scenarios that their other tests prove.

    They run in `make test-long`, and where a person runs a scenario by molecule.
    """
    ENVIRONMENT["PMS_TEST_WHOLE"] = str(bool(pytestconfig.getoption("--all"))).lower()
    yield
    del ENVIRONMENT["PMS_TEST_WHOLE"]


@pytest.fixture(scope="module")
def shared_labs():
    """The labs that a test leaves well for the next one of its file, each with the day of its data.

    They are removed after the last test.
    """
    labs: dict[str, date] = {}
    yield labs
    for name in sorted(labs):
        remove_lab(name)


def _labs() -> dict[str, list[str]]:
    """Return the scenarios of each lab, in the order of their names."""
    labs: dict[str, list[str]] = {}
    for path in sorted(PROJECT.glob("molecule/*/molecule.yml")):
        lab = yaml.safe_load(path.read_text())["ansible"]["env"]["PMS_LAB_INSTANCE"]
        assert lab.endswith(PLACEHOLDER), f"{path}: another clone has a lab of this name"
        labs.setdefault(lab_name(lab.removesuffix(PLACEHOLDER)), []).append(path.parent.name)
    return labs


# The tests of a file share a lab; files run side by side.
LABS = _labs()


def lab_of(scenario: str) -> str:
    """Return the lab of a scenario, which others may share."""
    (lab,) = (name for name, scenarios in LABS.items() if scenario in scenarios)
    return lab


def today() -> date:
    """Return the fund's day: at its midnight the data of a lab are a day old, as a system's are."""
    return datetime.now(BUSINESS_ZONE).date()


def play(
    scenario: str,
    shared_labs: dict[str, date],
    *,
    leaves_lab: bool = True,
    parts: str | None = None,
) -> None:
    """Run a scenario; it has to end well, and to have found all of its playbooks.

    *parts*: ``quick`` or ``deep`` for a scenario that has both (deep_parts.py).
    """
    began = today()
    lab = lab_of(scenario) if leaves_lab else None
    ready = lab in shared_labs and shared_labs.pop(lab) == began
    status, output = _played(scenario, lab, ready, parts)
    if status and today() != began:
        status, output = _played(scenario, lab, False, parts)
    if lab and not status:
        shared_labs[lab] = began
    assert status == 0, f"molecule test --scenario-name {scenario}: see its output above"
    # A step whose playbook molecule does not find is passed over, and the scenario succeeds.
    assert "Missing playbook" not in output


def _played(scenario: str, lab: str | None, ready: bool, parts: str | None) -> tuple[int, str]:
    """Run a scenario; return its exit status and output. Where it fails, its lab is removed."""
    # A state of its own: molecule's are shared by all clones in folders of one name, and a lab
    # that an earlier run created and this one did not would not be created.
    with tempfile.TemporaryDirectory() as state:
        environment = ENVIRONMENT | {"MOLECULE_EPHEMERAL_DIRECTORY": state}
        if scenario not in BY_FILE:
            environment |= PIPELINED
        if lab:
            environment["PMS_LAB_DESTROY"] = LEFT_OUT
        if ready:
            environment["PMS_LAB_CREATE"] = LEFT_OUT
        if parts:
            environment["PMS_TEST_PARTS"] = parts
        status, output = _molecule(scenario, environment)
    if lab and status:
        # What it broke is not mended: the next one would fail for this one's reason.
        remove_lab(lab)
    return status, output


def _molecule(scenario: str, environment: dict[str, str]) -> tuple[int, str]:
    """Return exit status and output of ``molecule test``."""
    process = subprocess.Popen(
        [MOLECULE, "test", "--scenario-name", scenario],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    timer = threading.Timer(TIMEOUT_SECONDS, os.killpg, (process.pid, signal.SIGTERM))
    timer.start()
    output = []
    try:
        with process.stdout as lines:
            for line in lines:
                output.append(line)
                sys.stdout.write(line)
        status = process.wait(30)
    finally:
        timer.cancel()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
    return status, "".join(output)
