# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The health check of the lab's services, on a clock that only its own sleeps move."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import PROJECT

SCRIPT = (PROJECT / "roles" / "lab" / "files" / "healthy.sh").read_text()
TOOLS = {
    "date": 'cat "$CLOCK"',
    "sleep": 'echo $(($(cat "$CLOCK") + $1)) >"$CLOCK"',
    # Answers until the clock shows $FAILS_AT.
    "service": 'echo asked >>"$ASKED"; [ "$(cat "$CLOCK")" -lt "${FAILS_AT:-99999}" ]',
}

# Adopts what a killed check leaves behind, as process 1 does, and prints how each of it ended.
ADOPTS = """
import ctypes, os, signal, subprocess, sys, time
PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
check = subprocess.Popen(sys.argv[2:])
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
check.kill()
check.wait()
while True:
    try:
        print(os.waitstatus_to_exitcode(os.wait()[1]))
    except ChildProcessError:
        break
"""


class Service:
    """A service, the clock, and what Docker was told of it."""

    def __init__(self, folder):
        self.folder = folder
        self.reported = folder / "reported-healthy"
        self.script = folder / "healthy.sh"
        self.script.write_text(SCRIPT.replace("/dev/shm/reported-healthy", str(self.reported)))
        assert str(self.reported) in self.script.read_text()
        for name, text in TOOLS.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)
        self.at(1000)

    def at(self, seconds):
        (self.folder / "clock").write_text(f"{seconds}\n")

    def check(self, **environment):
        """Return the check's exit status, how often it asked, and the clock at its end."""
        asked, clock = self.folder / "asked", self.folder / "clock"
        asked.write_text("")
        done = subprocess.run(
            ["sh", self.script, "10", "service"],
            env={"PATH": f"{self.folder}:/usr/bin:/bin", "CLOCK": clock, "ASKED": asked}
            | environment,
            timeout=30,
            check=False,
        )
        return done.returncode, len(asked.read_text().split()), int(clock.read_text())


@pytest.fixture
def service(tmp_path):
    return Service(tmp_path)


def test_a_service_that_starts_is_asked_once(service):
    assert service.check() == (0, 1, 1000)


def test_a_check_of_a_healthy_service_lasts_five_minutes(service):
    service.check()
    service.at(1001)
    assert service.check() == (0, 31, 1301)
    service.at(1302)
    assert service.check() == (0, 31, 1602)


def test_a_check_ends_as_soon_as_an_answer_fails_and_the_next_ones_ask_once(service):
    service.check()
    assert service.check(FAILS_AT="1040") == (1, 5, 1040)
    service.at(1041)
    assert service.check(FAILS_AT="1040") == (1, 1, 1041)
    service.at(1042)
    assert service.check() == (0, 1, 1042)


def test_a_service_that_was_paused_is_asked_once(service):
    service.check()
    service.at(1020)
    assert service.check() == (0, 1, 1020)


def test_a_check_that_was_cut_short_leaves_no_sign_of_health(service):
    service.check()
    (service.folder / "sleep").write_text("#!/bin/sh\nkill -KILL $PPID\n")
    service.check()
    assert not service.reported.exists()


def test_what_a_killed_check_leaves_to_postgresql_does_not_look_like_a_crash(service):
    asks = service.folder / "asks"
    timeout = service.folder / "timeout"
    timeout.write_text(f"#!/bin/sh\n: >{asks}\n/bin/sleep 0.5\nexit 124\n")
    timeout.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", ADOPTS, asks, "sh", service.script, "10", "service"],
        env={"PATH": f"{service.folder}:/usr/bin:/bin", "CLOCK": service.folder / "clock"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    # PostgreSQL restarts all its sessions after a child that ends otherwise.
    assert done.stdout.split() == ["1"]
