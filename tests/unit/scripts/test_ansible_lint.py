# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""scripts/ansible_lint.py: one syntax check for all finds what one for each would find."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import PROJECT

GOOD = (
    "- name: Say it\n  hosts: localhost\n  tasks:\n    - name: Say\n      ansible.builtin.debug:\n"
)
IMPORT = "- name: Take another\n  ansible.builtin.import_playbook: {}\n"


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"good.yml": GOOD, "other.yml": GOOD}, ""),
        ({"good.yml": GOOD, "bad.yml": GOOD.replace("tasks:", "taskz:")}, "'taskz' is not a valid"),
        ({"good.yml": GOOD, "bad.yml": IMPORT.format("nowhere.yml")}, "nowhere.yml"),
        ({"good.yml": GOOD, "bad.yml": GOOD.replace("debug", "debgu")}, "ansible.builtin.debgu"),
        ({"good.yml": GOOD, "roles/one/tasks/main.yml": "- name: Say\n  nothing: {}\n"}, "nothing"),
    ],
    ids=["sound", "attribute", "import", "module", "role"],
)
def test_all_at_once_finds_what_one_by_one_would(tmp_path, files, says):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"---\n{text}")
    wanted = [name for name in files if "/" not in name] + ["roles/one"] * ("roles" in str(files))
    done = subprocess.run(
        [sys.executable, PROJECT / "scripts/ansible_lint.py", "-q", "--offline", *wanted],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert bool(done.returncode) == bool(says), done.stdout + done.stderr
    assert says in done.stdout
