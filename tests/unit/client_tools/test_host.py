# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import docker
import pytest
from ansible.module_utils.pmsops.client_tools import host as host_tools
from ansible.module_utils.pmsops.client_tools import sidecar_process
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import Database

from tests.conftest import PROJECT

STARTS_ONE = f"""
import ansible.module_utils, time
ansible.module_utils.__path__.append({str(PROJECT / "module_utils")!r})
from ansible.module_utils.pmsops.client_tools import host as host_tools
client = host_tools.HostProcess("sleep", ["sleep", "60"], {{}}, stream=False)
print(client._process.pid, flush=True)
time.sleep(60)
"""


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_tool_ends_with_the_run_that_started_it_even_by_sigkill():
    run = subprocess.Popen([sys.executable, "-c", STARTS_ONE], stdout=subprocess.PIPE)
    pid = int(run.stdout.readline())
    assert running(pid)
    run.kill()
    run.communicate()
    for _ in range(200):
        if not running(pid):
            break
        time.sleep(0.05)
    assert not running(pid)


def test_settings_of_a_tools_sessions_keep_their_blanks():
    database = Database(host="h", port=1, name="n", user="u", password=None, access="host")
    made = host_tools.HostTools(database).environment(None, "h", 1, {"role": "the boss"})
    assert made["PGOPTIONS"].endswith(r"-c role=the\ boss")


def test_an_engine_that_goes_away_while_a_tool_runs_is_named(tmp_path):
    gone = docker.DockerClient(base_url=f"unix://{tmp_path}/none.sock", version="1.41")
    with (
        pytest.raises(OpsError, match="stopped answering while pg_restore ran") as caught,
        sidecar_process.asking_of("pg_restore"),
    ):
        gone.api.exec_inspect("0")
    gone.close()
    assert caught.value.code == "clients.engine"
