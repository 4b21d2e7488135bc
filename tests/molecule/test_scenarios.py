"""Each molecule scenario, from a start without anything to an end without anything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest
import yaml

from tests.molecule.conftest import ENVIRONMENT, MOLECULE, PROJECT, remove_lab

TIMEOUT_SECONDS = 1200

SCENARIOS = sorted(path.parent.name for path in PROJECT.glob("molecule/*/molecule.yml"))


def shared_lab(scenario: str) -> str | None:
    """Return the lab that the scenario leaves to others: those of disasters share theirs."""
    described = yaml.safe_load((PROJECT / "molecule" / scenario / "molecule.yml").read_text())
    return described["ansible"]["env"]["PMS_LAB_INSTANCE"] if scenario.startswith("dr_") else None


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario_keeps_its_promise(scenario, shared_labs):
    lab = shared_lab(scenario)
    process = subprocess.Popen(
        [MOLECULE, "test", "--scenario-name", scenario],
        cwd=PROJECT,
        env=ENVIRONMENT | ({"PMS_LAB_KEEP": "1"} if lab else {}),
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
        for line in process.stdout:
            output.append(line)
            sys.stdout.write(line)
        status = process.wait(30)
    finally:
        timer.cancel()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
    if lab and status:
        remove_lab(
            lab
        )  # what it broke is not mended: the next one would fail for this one's reason
    elif lab:
        shared_labs.add(lab)
    assert status == 0, f"molecule test --scenario-name {scenario}: see its output above"
    # A step whose playbook molecule does not find is passed over, and the scenario succeeds.
    assert "Missing playbook" not in "".join(output)
