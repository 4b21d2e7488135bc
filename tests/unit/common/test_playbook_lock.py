# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A lock that outlives the modules of a run, and its owner by nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pms_run_lock
import pytest
from ansible.module_utils.pmsops.common import playbook_lock, process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.testing import patch_module_args

NOW = datetime(2026, 11, 23, 3, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
HERE = process_lock.this_process()
# Process 1 is there as long as the machine is up.
OTHER = process_lock.process(1)
ELSEWHERE = replace(HERE, host="control2")
DEAD = replace(HERE, started_ticks=HERE.started_ticks + 1)


def take(path, owner, *, now=NOW, dry=False):
    return playbook_lock.take(path, "go-live", owner, lease=HOUR, now=now, dry=dry)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "evidence" / ".golive.lock"


def test_a_second_run_is_refused_and_told_who_is_at_work(path):
    assert take(path, OTHER) is None
    with pytest.raises(
        OpsError,
        match=rf"Cannot start go-live.*go-live, process 1 on {HERE.host} since 2026-11-23T03:30",
    ) as e:
        take(path, HERE)
    assert e.value.code == "lock.run"
    assert str(path) in e.value.remedy


def test_the_same_run_may_take_it_again_and_renews_it(path):
    take(path, HERE)
    take(path, HERE, now=NOW + HOUR / 2)
    assert (playbook_lock.holder(path).since, playbook_lock.holder(path).until) == (
        "2026-11-23T03:30:00Z",
        "2026-11-23T05:00:00Z",
    )


def test_the_lock_of_a_dead_run_is_taken_over_at_once(path):
    take(path, DEAD)
    assert take(path, HERE).owner == DEAD.text()
    assert playbook_lock.holder(path).owner == HERE.text()


@pytest.mark.parametrize("until", ["2026-11-23T04:30:00", "2026-11-23", "soon", None], ids=str)
def test_a_lock_whose_end_is_no_moment_is_nobodys(path, until):
    take(path, ELSEWHERE)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"until": until}))
    assert playbook_lock.holder(path) is None
    assert take(path, HERE) is None


def test_a_run_of_another_machine_counts_until_its_lease_is_over(path):
    take(path, ELSEWHERE)
    with pytest.raises(OpsError, match="control2"):
        take(path, HERE, now=NOW + HOUR - timedelta(seconds=1))
    assert take(path, HERE, now=NOW + HOUR).owner == ELSEWHERE.text()


def test_only_the_owner_frees_it(path):
    assert playbook_lock.free(path, HERE) is False
    take(path, OTHER)
    assert playbook_lock.free(path, HERE) is False
    assert playbook_lock.free(path, OTHER) is True
    assert take(path, HERE) is None


def test_whoever_only_looks_is_refused_while_a_run_is_at_work_and_takes_nothing(path):
    playbook_lock.see_free(path, "verdict", now=NOW)
    take(path, DEAD)
    playbook_lock.see_free(path, "verdict", now=NOW)
    take(path, OTHER)
    with pytest.raises(
        OpsError, match=r"Cannot start verdict: .* held by go-live, process 1"
    ) as caught:
        playbook_lock.see_free(path, "verdict", now=NOW)
    assert caught.value.code == "lock.run"
    assert playbook_lock.holder(path).owner == OTHER.text()


@pytest.mark.parametrize("text", ["", "{}", "[]", "{", '{"purpose": "x"}'])
def test_a_file_that_says_nothing_holds_nothing(path, text):
    path.parent.mkdir()
    path.write_text(text)
    assert take(path, HERE) is None


def test_a_dry_run_looks_and_writes_nothing(path):
    assert take(path, HERE, dry=True) is None
    assert not path.parent.exists()
    take(path, OTHER)
    with pytest.raises(OpsError):
        take(path, HERE, dry=True)
    assert playbook_lock.free(path, OTHER, dry=True) is True
    assert playbook_lock.holder(path).owner == OTHER.text()
    playbook_lock.free(path, OTHER)
    assert take(path, HERE, dry=True) is None
    assert playbook_lock.holder(path) is None


def test_the_file_is_for_its_owner_alone(path):
    take(path, HERE)
    assert path.stat().st_mode & 0o777 == 0o600


def module(capsys, path, **arguments):
    asked = {"path": str(path), "purpose": "go-live", "owner": HERE.text()} | arguments
    with patch_module_args(asked), pytest.raises(SystemExit):
        pms_run_lock.main()
    return json.loads(capsys.readouterr().out)


def test_the_module_takes_and_frees_and_predicts_both(capsys, path):
    check = {"_ansible_check_mode": True}
    runs = [
        module(capsys, path, **check),
        module(capsys, path),
        module(capsys, path, **check),
        module(capsys, path),
        module(capsys, path, state="free", **check),
        module(capsys, path, state="free"),
        module(capsys, path, state="free", **check),
        module(capsys, path, state="free"),
    ]
    assert [each["changed"] for each in runs] == [True, True, False, False] * 2


def test_the_module_without_its_action_is_refused(capsys, path):
    said = module(capsys, path, owner="")
    assert (said["failed"], said["code"]) == (True, "lock.owner")
