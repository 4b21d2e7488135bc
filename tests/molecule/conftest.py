# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the tests of playbooks share: the lab of the disasters, removed at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
MOLECULE = Path(sys.executable).with_name("molecule")
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
# The lab of all dr_* scenarios; each of them leaves it well, so it is started once.
DISASTERS = "moleculedr"
ENVIRONMENT = {**os.environ, "PATH": f"{MOLECULE.parent}:{os.environ['PATH']}"}


def remove_lab_of_the_disasters() -> None:
    """Remove the lab that the dr_* scenarios share, with its backups and evidence."""
    done = subprocess.run(
        [PLAYBOOK, "playbooks/lab_down.yml"],
        cwd=PROJECT,
        env={**ENVIRONMENT, "PMS_LAB_INSTANCE": DISASTERS},
        capture_output=True,
        text=True,
        timeout=300,
    )
    shutil.rmtree(PROJECT / f".lab-{DISASTERS}", ignore_errors=True)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.fixture(scope="session", autouse=True)
def _lab_of_the_disasters():
    yield
    remove_lab_of_the_disasters()
