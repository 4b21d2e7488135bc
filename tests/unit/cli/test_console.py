# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a person sees while a run goes on."""

from __future__ import annotations

import yaml

from pmsops_cli.console import Display
from pmsops_cli.run_summary import SAID_AT_ONCE, RunSummary
from tests.conftest import PROJECT

LINE = "NOT PROTECTED YET: no job runs by itself"


def said(task, line=LINE):
    data = {"host": "pms", "task": task, "task_action": "debug", "res": {"msg": line}}
    return {"event": "runner_on_ok", "event_data": data}


def test_what_cannot_wait_is_shown_at_once_and_once(capsys):
    """A schedule that was not installed was in the log only, until the run ended."""
    summary, shown = RunSummary(), Display("dr_host", as_json=False, verbose=True)
    summary.take(said("Report the plan", "later"))
    shown.show(summary)
    assert capsys.readouterr().err == ""
    summary.take(said(f"{SAID_AT_ONCE} that no job runs by itself"))
    shown.show(summary)
    assert capsys.readouterr().err == f"{LINE}\n"
    summary.take(said("Say what is left to do"))
    shown.show(summary)
    assert capsys.readouterr().err == ""
    assert summary.messages == ["later", LINE]


def test_a_new_machine_says_at_once_that_it_serves_and_what_is_not_protected():
    tasks = PROJECT / "roles" / "host" / "tasks"
    serves = yaml.safe_load((tasks / "services.yml").read_text())
    assert any(each["name"].startswith(SAID_AT_ONCE) for each in serves)
    for block in yaml.safe_load((tasks / "protect.yml").read_text()):
        assert block["rescue"][-1]["name"].startswith(SAID_AT_ONCE)
