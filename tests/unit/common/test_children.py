# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Programs that a module starts end with it."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
import time

from ansible.module_utils.pmsops.common.process_lock import started_ticks_of

from tests.conftest import PROJECT

SOURCES = PROJECT / "module_utils" / "pmsops"
# Programs that are started without it, by the file, and why that does no harm.
WITHOUT = {
    "common/host_clock.py": "reads the clock's state, and is limited in time",
    "control/engine_tunnel.py": "belongs to the control node, and ends with its standard input",
    "control/run_facts.py": "belongs to the control node, and is limited in time",
    "export/verify_script.py": "is no module: it goes into an export, where this package is not",
    "offsite/restic.py": "asks for the version",
    "client_tools/host.py": "asks for the version",
    "pitr/host_engine.py": "asks for the version",
    "pitr/watch.py": "is no module: the watch's unit ends what it started",
    "recovery/new_host_engine.py": "asks which packages there are",
    "recovery/run_processes.py": "lists processes, and is limited in time",
    "recovery/services.py": "shows a unit, and is limited in time",
    "schedule/timers.py": "asks when timers run next",
    "services/host_services.py": "shows a unit, and is limited in time",
    "services/manager.py": "hands a job to systemd, which does it with or without systemctl",
}
LOOP = """
import subprocess, sys
sys.path.insert(0, sys.argv[1])
from children import end_with_parent
child = subprocess.Popen(["sleep", "60"], start_new_session=True, preexec_fn=end_with_parent)
print(child.pid, flush=True)
child.wait()
"""


def starts(path) -> list[bool]:
    """Return for each program that a file starts whether it ends with the module."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "subprocess.Popen",
            "subprocess.run",
            "subprocess.check_output",
        ):
            given = {each.arg: ast.unparse(each.value) for each in node.keywords}
            found.append(given.get("preexec_fn") == "end_with_parent")
    return found


def test_a_program_that_a_module_starts_ends_with_it():
    found = {str(path.relative_to(SOURCES)): starts(path) for path in SOURCES.rglob("*.py")}
    # One of a file's programs at most may do without, where the table says which.
    wrong = {name: ends for name, ends in found.items() if ends.count(False) != (name in WITHOUT)}
    assert wrong == {}
    assert sum(map(bool, found.values())) > 15
    assert set(WITHOUT) <= set(found)


def test_a_program_ends_though_its_module_is_killed():
    command = [sys.executable, "-c", LOOP, str(SOURCES / "common")]
    module = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    child = int(module.stdout.readline())
    began = started_ticks_of(child)
    assert began is not None
    module.send_signal(signal.SIGKILL)
    module.wait()
    module.stdout.close()
    last = time.monotonic() + 60
    while started_ticks_of(child) == began:
        assert time.monotonic() < last, "it goes on by itself"
        time.sleep(0.05)
