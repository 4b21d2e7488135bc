"""Each molecule scenario, from a start without anything to an end without anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
MOLECULE = Path(sys.executable).with_name("molecule")
TIMEOUT_SECONDS = 1200

SCENARIOS = sorted(path.parent.name for path in PROJECT.glob("molecule/*/molecule.yml"))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario_keeps_its_promise(scenario):
    path = f"{MOLECULE.parent}:{os.environ['PATH']}"
    process = subprocess.Popen(
        [MOLECULE, "test", "--scenario-name", scenario],
        cwd=PROJECT,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        status = process.wait(TIMEOUT_SECONDS)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 15)
            process.wait(30)
    assert status == 0, f"molecule test --scenario-name {scenario}: see its output above"
