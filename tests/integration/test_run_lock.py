# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two playbooks at once: the second is refused, and a killed one keeps nobody out."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import PROJECT

PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Keep others out
      pms_run_lock: {path: "{{ root }}/run.lock", purpose: the test}
      register: taken
    - name: Say whose it was
      ansible.builtin.debug: {msg: "recovered: {{ taken.recovered }}"}
    - name: Be at work
      ansible.builtin.wait_for: {path: "{{ root }}/end", timeout: 60, sleep: 1}
    - name: Let others in
      pms_run_lock: {path: "{{ root }}/run.lock", purpose: the test, state: free}
"""


# A control node of its own, as far as a lock can tell: another name, other numbers of processes.
OTHER_NODE = (
    *("unshare", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"),
    *("sh", "-c", 'hostname control2; exec "$@"', "sh"),
)


def start(folder: Path, *, on: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(*on, PLAYBOOK, "-i", "localhost,", "-c", "local"),
            *(folder / "play.yml", "-e", f"root={folder}"),
        ],
        cwd=PROJECT,
        env=os.environ | {"ANSIBLE_PYTHON_INTERPRETER": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "play.yml").write_text(PLAY)
    return tmp_path


def test_the_second_is_refused_and_the_next_one_after_a_kill_is_not(folder):
    first = start(folder)
    try:
        for _ in range(600):
            if (folder / "run.lock").exists():
                break
            time.sleep(0.1)
        second = start(folder)
        said, _ = second.communicate(timeout=120)
        assert second.returncode != 0
        assert f"process {first.pid} on " in said
        assert "held by the test" in said
        assert (folder / "run.lock").exists()
    finally:
        os.killpg(first.pid, 9)
        first.communicate(timeout=30)
    (folder / "end").write_text("")
    third = start(folder)
    said, _ = third.communicate(timeout=120)
    assert third.returncode == 0, said
    assert f"recovered: the test, process {first.pid} on " in said
    assert not (folder / "run.lock").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a namespace of this kind")
def test_of_two_operators_on_two_control_nodes_the_second_is_refused(folder):
    first = start(folder, on=OTHER_NODE)
    try:
        for _ in range(600):
            if (folder / "run.lock").exists():
                break
            time.sleep(0.1)
        said, _ = start(folder).communicate(timeout=120)
        assert "held by the test" in said and " on control2" in said
        # Its process cannot be seen from here, so it counts as alive until its lease has ended.
        assert "recovered" not in said
        (folder / "end").write_text("")
        said, _ = first.communicate(timeout=120)
        assert first.returncode == 0 and "msg: 'recovered: '" in said, said
    finally:
        first.kill()
        first.communicate(timeout=30)
    assert not (folder / "run.lock").exists()
