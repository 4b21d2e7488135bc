# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import importlib.util

import pytest
from ansible.errors import AnsibleFilterError

from tests.conftest import PROJECT

RUNNER = [".venv/bin/ansible-playbook", "-i", "inventory/prod"]
BACKUP = {"name": "backup", "playbook": "playbooks/backup.yml", "days": "Sat", "at": ["03:30"]}


def completed(*jobs):
    path = PROJECT / "plugins" / "filter" / "schedule_jobs.py"
    spec = importlib.util.spec_from_file_location("schedule_jobs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.schedule_jobs(list(jobs), RUNNER)


def test_a_playbook_runs_with_the_inventory_and_its_arguments():
    (job,) = completed(BACKUP | {"arguments": ["-e", "a=b"]})
    assert job["command"] == [*RUNNER, "playbooks/backup.yml", "-e", "a=b"]
    assert job["calendars"] == ["Sat *-*-* 03:30:00 America/Sao_Paulo"]
    assert job["window_minutes"] == 5 + 60 + 15


def test_exclusive_jobs_wait_for_those_before_them():
    jobs = completed(
        BACKUP | {"exclusive": True},
        BACKUP | {"name": "brief"},
        BACKUP | {"name": "drill", "exclusive": True},
    )
    assert [job["after"] for job in jobs] == [[], [], ["backup"]]


@pytest.mark.parametrize(
    ("jobs", "says"),
    [
        ([BACKUP | {"command": ["true"]}], "a playbook or a command"),
        ([{k: v for k, v in BACKUP.items() if k != "playbook"}], "a playbook or a command"),
        ([BACKUP | {"window_minutes": 10}], "window_minutes is 10, less than the 65"),
        ([BACKUP, BACKUP], "Two jobs"),
        ([BACKUP | {"days": "weekdays"}], "schedule_jobs"),
    ],
)
def test_a_list_that_cannot_be_scheduled_is_refused(jobs, says):
    with pytest.raises(AnsibleFilterError, match=says):
        completed(*jobs)
