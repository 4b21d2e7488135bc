# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The shifted clock of a lab's year: the wall clock alone is shifted, and files go along."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.shifted_clock import ShiftedClock

# What Debian's libfaketime breaks: a sleep, and a wait for an event.
PROGRAM = """
import json, os, pathlib, sys, threading, time
began = time.monotonic()
time.sleep(0.05)
threading.Event().wait(0.05)
path = pathlib.Path(sys.argv[1])
path.touch()
written = path.stat().st_mtime
os.utime(path, (86400, 86400))
print(json.dumps({
    "now": time.time(), "waited": time.monotonic() - began,
    "written": written, "set": path.stat().st_mtime,
}))
"""


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_a_process_has_the_shifted_time_and_its_durations_are_real(tmp_path):
    clock = ShiftedClock(tmp_path / "clock", datetime(2025, 3, 1, tzinfo=UTC))
    for moment in (datetime(2025, 3, 1, tzinfo=UTC), datetime(2031, 6, 1, tzinfo=UTC)):
        clock.set(moment)
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "file")],
            env=clock.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        said = json.loads(done.stdout)
        for name in ("now", "written"):
            late = datetime.fromtimestamp(said[name], UTC) - moment
            assert timedelta(0) <= late + timedelta(seconds=1) < timedelta(hours=1), (name, said)
        assert said["set"] == 86400 and 0.1 <= said["waited"] < 3600
        assert abs(clock.now() - moment) < timedelta(hours=1)
