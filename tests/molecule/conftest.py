# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the tests of playbooks share: labs, removed at the end."""

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
ENVIRONMENT = {**os.environ, "PATH": f"{MOLECULE.parent}:{os.environ['PATH']}"}


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


@pytest.fixture(scope="session")
def shared_labs():
    """The labs that a test leaves well for the next one; removed at last."""
    names: set[str] = set()
    yield names
    for name in sorted(names):
        remove_lab(name)
