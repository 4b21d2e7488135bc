# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""runc cannot always freeze a container at the first attempt, with version 1 of cgroups."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.support import pausing

PAUSES = re.compile(r"""docker["', ]+pause\b|\bdocker\(\s*["']pause""")
# A loop of attempts in the shell, or in a task.
RETRIED = re.compile(r"for _ in 1 2 3 4; do docker pause|until: \w+ is succeeded")


def careless(text: str) -> list[str]:
    """Return the lines that pause a container once, and fail where that fails."""
    lines = text.splitlines()
    return [
        line.strip()
        for number, line in enumerate(lines)
        if PAUSES.search(line) and not RETRIED.search("\n".join(lines[max(0, number - 1) :][:6]))
    ]


@pytest.mark.parametrize("folder", ["molecule", "tests", "bench", "scripts"])
def test_every_pause_is_tried_again(folder):
    names = subprocess.run(
        ["git", "ls-files", "-z", folder], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    files = [PROJECT / name for name in names if Path(name).suffix in (".py", ".yml", ".sh")]
    own = {Path(__file__), Path(pausing.__file__)}
    assert not {
        str(path.relative_to(PROJECT)): found
        for path in files
        if path.is_file() and path not in own and (found := careless(path.read_text()))
    }


def test_a_pause_is_tried_again_and_its_last_failure_is_raised(monkeypatch):
    monkeypatch.setattr(pausing.time, "sleep", lambda _seconds: None)
    answers = []

    def engine(words, *, check, **_options):
        assert words == ["docker", "pause", "web"]
        status = answers.pop(0)
        if check and status:
            raise subprocess.CalledProcessError(status, words)
        return subprocess.CompletedProcess(words, status)

    monkeypatch.setattr(pausing.subprocess, "run", engine)
    answers[:] = [1, 1, 0]
    pausing.pause("web")
    assert not answers
    answers[:] = [1] * 5
    with pytest.raises(subprocess.CalledProcessError):
        pausing.pause("web")
    assert not answers
