# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""scripts/ansible_lint.py: one syntax check for all finds what one for each would find."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from types import SimpleNamespace

import pytest
from ansible._internal._datatag._tags import Origin

from tests.conftest import PROJECT

SCRIPT = PROJECT / "scripts" / "ansible_lint.py"
GOOD = (
    "- name: Say it\n  hosts: localhost\n  tasks:\n    - name: Say\n      ansible.builtin.debug:\n"
)
IMPORT = "- name: Take another\n  ansible.builtin.import_playbook: nowhere.yml\n"
# What is wrong with one file beside sound ones, and what ansible-lint says of it.
WRONG = {
    "attribute.yml": (GOOD.replace("tasks:", "taskz:"), "'taskz' is not a valid"),
    "import.yml": (IMPORT, "nowhere.yml"),
    "module.yml": (GOOD.replace("debug", "debgu"), "ansible.builtin.debgu"),
    "roles/one/tasks/main.yml": ("- name: Say\n  nothing: {}\n", "nothing"),
}


@pytest.fixture
def script():
    specification = importlib.util.spec_from_file_location("ansible_lint_script", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def write(folder, files):
    """Write the files; return them as ansible-lint names them: playbooks, and folders of roles."""
    found = []
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"---\n{text}")
        is_role = name.startswith("roles/")
        found.append(
            SimpleNamespace(
                kind="role" if is_role else "playbook",
                path=path.parent.parent if is_role else path,
            )
        )
    return found


@pytest.mark.own_tools
@pytest.mark.parametrize("wrong", [None, *WRONG])
def test_its_own_checks_follow_only_where_the_one_check_finds_something(
    tmp_path, monkeypatch, script, wrong
):
    monkeypatch.chdir(tmp_path)
    asked = []
    monkeypatch.setattr(script, "one_by_one", lambda _runner, _worker, all_of: asked.extend(all_of))
    runner = SimpleNamespace(app=SimpleNamespace(runtime=SimpleNamespace(has_playbook=None)))
    sound = {"good.yml": GOOD, "other.yml": GOOD, "roles/two/tasks/main.yml": "- meta: noop\n"}
    files = write(tmp_path, sound | ({wrong: WRONG[wrong][0]} if wrong else {}))
    found = script.all_at_once(runner, None, files)
    assert asked == (files if wrong else [])
    assert found == (None if wrong else [])
    # Nor is each import asked for again, once all were read.
    assert bool(runner.app.runtime.has_playbook) == (not wrong)


def test_a_copy_of_a_task_is_another_with_its_places(tmp_path, script):
    from ansiblelint.file_utils import Lintable

    path = tmp_path / "tasks.yml"
    path.write_text(
        "---\n- name: Say\n  ansible.builtin.debug: {msg: [one, two]}\n  vars: {a: 1}\n"
    )
    (task,) = Lintable(path, kind="tasks").data
    made = script.Copier.deepcopy(task)
    assert made == task
    assert type(made) is type(task)
    messages = [each["ansible.builtin.debug"]["msg"] for each in (made, task)]
    assert messages[0] is not messages[1]
    for key in ("name", "vars"):
        assert type(made[key]) is type(task[key])
        assert Origin.get_tag(made[key]) == Origin.get_tag(task[key])
    assert Origin.get_tag(made["name"]).line_num == 2
    # What cannot be pickled is copied as ever.
    odd = {"made": lambda: 1}
    assert script.Copier.deepcopy(odd) == odd
    assert script.Copier.deepcopy(odd) is not odd


@pytest.mark.linters
def test_the_program_names_each_fault(tmp_path):
    files = write(tmp_path, {"good.yml": GOOD} | {name: text for name, (text, _) in WRONG.items()})
    done = subprocess.run(
        [sys.executable, SCRIPT, "-q", "--offline", *(each.path for each in files)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode
    for name, (_, says) in WRONG.items():
        assert says in done.stdout, name
