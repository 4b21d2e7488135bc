# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A fleet in waves: their sizes, the stop at a red one, windows, and one end for all of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bench.fleet import write_fleet
from pmsops_cli import commands, inventory, waves
from pmsops_cli.__main__ import main
from pmsops_cli.exit_status import BROKEN, COULD_NOT_RUN, DONE, FAILED, INTERRUPTED, USAGE, Stop

NEVER = "Mon 00:00-00:01"  # open for a minute of a week
COUNT = 5


@pytest.fixture(autouse=True)
def funds(tmp_path, monkeypatch):
    """Five systems; what playbooks come to is said by the test, and nothing is run."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in inventory.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    here = Path.cwd()
    write_fleet(tmp_path, COUNT, 1)
    yield tmp_path
    os.chdir(here)


@pytest.fixture
def runs(monkeypatch):
    """Record the hosts of each run; `bad` says how a host ends, by the exit status."""
    done: list[tuple[list[str], dict]] = []
    bad: dict[str, int] = {}

    def quiet_run(self, name, playbook, variables, *, check, only=None):
        done.append((only, variables))
        lost = {host for host in only if bad.get(host) == INTERRUPTED}
        rows = [
            {"system": host, "status": bad.get(host, DONE), "verdict": "x", "due": []}
            for host in only
            if host not in lost
        ]
        status = max(bad.get(host, DONE) for host in only)
        document = {
            "exit_code": status,
            "systems": rows,
            "hosts": {},
            "facts": {},
            "log": f"/log{len(done)}",
            "messages": [f"said by {only[0]}"],
            "changed": [],
            "failed": [],
            "errors": ["it ended"] if lost else [],
        }
        return status, document, None

    monkeypatch.setattr(commands.Session, "quiet_run", quiet_run)
    monkeypatch.setattr("pmsops_cli.fleet._look", lambda *_args, **_more: None)
    return done, bad


def fleet(place: Path, capsys, *words: str) -> tuple[int, dict]:
    capsys.readouterr()
    status = main(["-i", "fleet", "--json", "fleet", *words], place)
    found = json.loads(capsys.readouterr().out)
    return status, found | {"of": {each["system"]: each for each in found["systems"]}}


def set_value(place: Path, host: str, **values) -> None:
    path = place / "fleet" / "host_vars" / host / "pms.yml"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def names(*numbers: int) -> list[str]:
    return [f"fund{number:02}" for number in numbers]


@pytest.mark.parametrize(
    ("serial", "count", "wanted"),
    [
        ("100%", 5, [5]),
        ("2", 5, [2, 2, 1]),
        ("1,50%", 5, [1, 2, 2]),
        ("1,3,100%", 12, [1, 3, 8]),
        ("10%", 5, [1, 1, 1, 1, 1]),  # at least one
        ("7", 0, []),
    ],
)
def test_sizes_are_those_of_ansible_s_serial(serial, count, wanted):
    assert waves.sizes(serial, count) == wanted


@pytest.mark.parametrize("serial", ["", "0", "0%", "a", "-1", "1,,2", "1.5"])
def test_what_is_no_size_is_refused(serial):
    with pytest.raises(Stop, match="is no list of sizes"):
        waves.sizes(serial, 5)


def test_each_system_is_in_one_wave_and_the_end_shows_all_of_them(funds, runs, capsys):
    status, found = fleet(funds, capsys, "golive", "--serial", "1,2")
    assert status == DONE == found["exit_code"]
    assert [hosts for hosts, _ in runs[0]] == [names(0), names(1, 2), names(3, 4)]
    assert sorted(found["of"]) == names(0, 1, 2, 3, 4)
    assert [each["systems"] for each in found["waves"]] == [names(0), names(1, 2), names(3, 4)]
    assert found["messages"][:3] == ["fund00:", "  said by fund00", "said by fund01"]


@pytest.mark.parametrize("action", ["golive", "drill", "prepare"])
@pytest.mark.parametrize("bad", [FAILED, COULD_NOT_RUN, BROKEN])
def test_after_a_red_wave_none_begins_and_those_left_are_named(funds, runs, capsys, action, bad):
    runs[1]["fund02"] = bad
    status, found = fleet(funds, capsys, action, "--serial", "2")
    assert [hosts for hosts, _ in runs[0]] == [names(0, 1), names(2, 3)]
    assert status == max(bad, COULD_NOT_RUN)
    last = found["of"]["fund04"]
    assert (last["verdict"], last["due"]) == ("not begun", ["wave 2 ended red (fund02)"])
    assert found["of"]["fund03"]["verdict"] == "x"


def test_an_interrupt_ends_the_command_and_not_the_wave_alone(funds, runs, capsys):
    runs[1]["fund00"] = INTERRUPTED
    status, found = fleet(funds, capsys, "drill", "--serial", "1")
    assert status == INTERRUPTED and len(runs[0]) == 1
    assert found["of"]["fund00"]["due"] == ["it ended"]
    assert found["of"]["fund01"]["due"] == ["wave 1 was interrupted (fund00)"]


def test_a_system_outside_its_window_is_left_out_and_named_and_stops_nothing(funds, runs, capsys):
    set_value(funds, "fund01", pms_maintenance_windows=[NEVER])
    status, found = fleet(funds, capsys, "golive", "--serial", "1")
    assert [hosts for hosts, _ in runs[0]] == [names(0), names(2), names(3), names(4)]
    assert status == COULD_NOT_RUN
    row = found["of"]["fund01"]
    assert row["verdict"] == "not run" and row["due"][0].startswith("outside its window (Mon 00")
    runs[0].clear()
    assert fleet(funds, capsys, "golive", "--any-time")[0] == DONE
    assert runs[0][0][0] == names(0, 1, 2, 3, 4)


def test_a_window_that_cannot_be_read_is_the_matter_of_one_system(funds, runs, capsys):
    set_value(funds, "fund01", pms_maintenance_windows="at night")
    status, found = fleet(funds, capsys, "prepare")
    assert status == COULD_NOT_RUN and runs[0][0][0] == names(0, 2, 3, 4)
    assert "(fleet.window)" in found["of"]["fund01"]["due"][0]


def test_if_all_are_left_out_nothing_is_run_and_each_is_named(funds, runs, capsys):
    for host in names(0, 1, 2, 3, 4):
        set_value(funds, host, pms_maintenance_windows=[NEVER])
    status, found = fleet(funds, capsys, "golive")
    assert status == COULD_NOT_RUN and runs[0] == [] and len(found["of"]) == COUNT
    assert main(["-i", "fleet", "fleet", "golive"], funds) == COULD_NOT_RUN
    assert "outside its window" in capsys.readouterr().out


def test_a_drill_elsewhere_is_on_the_host_that_each_system_names(funds, runs, capsys):
    for host in names(0, 1, 3, 4):
        set_value(funds, host, schedule_drill_host="drill1")
    status, found = fleet(funds, capsys, "drill", "--elsewhere")
    assert runs[0] == [(names(0, 1, 3, 4), {"drill_host": "{{ schedule_drill_host }}"})]
    assert status == COULD_NOT_RUN
    assert "Set schedule_drill_host" in found["of"]["fund02"]["due"][0]


@pytest.mark.parametrize(
    "words",
    [
        ("backup", "--serial", "1"),
        ("status", "--any-time"),
        ("golive", "--elsewhere"),
        ("golive", "--ask"),
        ("drill", "--serial", "none"),
    ],
)
def test_an_option_that_an_action_would_ignore_is_refused(funds, runs, words):
    assert main(["-i", "fleet", "fleet", *words], funds) == USAGE
    assert runs[0] == []
