# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A fleet: each system's own folders, what is known of it and how old that is, worst first."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.evidence import ledger, ledger_head

from bench.fleet import write_fleet
from pmsops_cli import commands, fleet, hosts, inventory, waves
from pmsops_cli.__main__ import main
from pmsops_cli.exit_status import COULD_NOT_RUN, DONE, FAILED, USAGE
from tests.conftest import PROJECT


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in inventory.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    here = Path.cwd()
    yield
    os.chdir(here)


@pytest.fixture
def funds(tmp_path):
    """Two systems whose databases have one name, each with three sets."""
    write_fleet(tmp_path, 2, 3)
    return tmp_path


def shown(place: Path, capsys, *words: str) -> tuple[int, dict[str, dict]]:
    capsys.readouterr()
    status = main(["-i", "fleet", "fleet", "status", "--json", *words], place)
    found = json.loads(capsys.readouterr().out)
    assert found["exit_code"] == status
    return status, {each["system"]: each for each in found["systems"]}


def move_away(place: Path, name: str) -> None:
    """Make a system one of another machine, which cannot be reached."""
    path = place / "fleet" / "hosts.yml"
    document = json.loads(path.read_text())
    document["pms"]["hosts"][name] = {"ansible_host": "127.0.0.1", "ansible_port": 9}
    path.write_text(json.dumps(document))


def test_each_system_shows_its_own_sets_though_the_databases_have_one_name(funds, capsys):
    newest = sorted((funds / "fund01/backups").iterdir())[-1]
    newest.rename(newest.with_name("2026-11-30_0101.gone"))
    status, found = shown(funds, capsys)
    assert status == FAILED
    first, second = found["fund00"], found["fund01"]
    assert "fund01" not in json.dumps(first) and "fund00" not in json.dumps(second)
    assert not any("nothing here removed it" in each for each in first["due"])
    assert any("nothing here removed it" in each for each in second["due"])
    assert first["lines"] == second["lines"] == 3 and first["sha256"] != second["sha256"]


def test_the_worst_comes_first(funds, capsys):
    move_away(funds, "fund01")
    assert main(["-i", "fleet", "fleet", "status"], funds) == COULD_NOT_RUN
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["system", "verdict"]
    assert lines[1].startswith("fund01  not seen  never") and "--ask" in lines[1]
    assert lines[2].startswith("fund00  due       now")


def test_what_is_not_read_now_says_how_old_it_is_and_then_that_it_is_silent(
    funds, capsys, monkeypatch
):
    assert shown(funds, capsys)[1]["fund01"]["age_seconds"] < 60
    move_away(funds, "fund01")
    session = commands.Session(parsed("status"), funds)
    record = next(fleet._folder(session).glob("fund01.json"))
    document = json.loads(record.read_text())
    for hours, verdict in ((5, "due"), (27, "silent")):
        at = datetime.now(UTC) - timedelta(hours=hours)
        record.write_text(json.dumps(document | {"seen_at": f"{at:%Y-%m-%dT%H:%M:%SZ}"}))
        found = shown(funds, capsys)[1]["fund01"]
        assert found["verdict"] == verdict
        assert found["age_seconds"] == pytest.approx(hours * 3600, abs=60)
        # The set has aged since, too.
        assert found["set_age_seconds"] == pytest.approx((hours + 1) * 3600, abs=120)
    assert shown(funds, capsys, "--silent", "2d")[1]["fund01"]["verdict"] == "due"


def parsed(action: str):
    from pmsops_cli import arguments

    return arguments.parse(["-i", "fleet", "fleet", action])


def cut(evidence: Path, lines: int) -> None:
    """Take the last lines away, and pin the new end, as somebody would who can write both."""
    path = evidence / ledger.NAME
    left = path.read_bytes().split(b"\n")[:lines]
    path.write_bytes(b"".join(line + b"\n" for line in left))
    ledger_head.write(evidence, lines, ledger.inspect(evidence).sha256)
    assert ledger.inspect(evidence).problems == ()


@pytest.mark.parametrize("again", ["shorter", "as long", "longer", "gone"])
def test_a_ledger_that_was_cut_shows_until_somebody_looks_into_it(funds, capsys, again):
    assert shown(funds, capsys)[1]["fund01"]["verdict"] == "due"
    evidence = funds / "fund01" / "evidence"
    if again == "gone":
        for path in evidence.iterdir():
            path.unlink()
    else:
        cut(evidence, 2)
        for number in range({"shorter": 0, "as long": 1, "longer": 4}[again]):
            ledger.append(evidence, "backup", {"set": f"x{number}"}, now=datetime.now(UTC))
    for _ in range(2):  # the head before stays in the record
        found = shown(funds, capsys)[1]
        assert found["fund01"]["verdict"] == "LEDGER CUT"
        assert "line 3, seen " in found["fund01"]["due"][0]
        assert found["fund00"]["verdict"] == "due"


def test_a_ledger_that_grew_is_fine(funds, capsys):
    shown(funds, capsys)
    ledger.append(funds / "fund01/evidence", "backup", {"set": "x"}, now=datetime.now(UTC))
    found = shown(funds, capsys)[1]["fund01"]
    assert found["verdict"] == "due" and found["lines"] == 4


def test_an_inventory_never_shows_what_another_one_saw(funds, capsys, tmp_path):
    shown(funds, capsys)
    other = tmp_path / "elsewhere"
    other.mkdir()
    write_fleet(other, 2, 1)
    move_away(other, "fund01")
    status, found = shown(other, capsys)
    assert status == COULD_NOT_RUN and found["fund01"]["verdict"] == "not seen"


def test_prometheus_has_a_label_for_each_system(funds, capsys):
    move_away(funds, "fund01")
    main(["-i", "fleet", "fleet", "status", "--metrics", "prom"], funds)
    text = (funds / "prom" / "pms_fleet.prom").read_text()
    assert 'pms_fleet_status{system="macro_trading",host="fund00"} 1' in text
    assert 'pms_fleet_status{system="macro_trading",host="fund01"} 3' in text
    assert 'pms_fleet_ledger_lines{system="macro_trading",host="fund00"} 3' in text
    assert 'pms_fleet_seen_age_seconds{system="macro_trading",host="fund01"}' not in text


class Ran:
    """In place of a playbook: what it found of each host, and a record of what was asked."""

    def __init__(self, facts: dict, systems: list[dict], status: int = DONE) -> None:
        self.found = {"facts": facts, "systems": systems, "failed": [], "errors": []}
        self.status = status
        self.asked: list[tuple[str, dict]] = []

    def of_session(self, name, _playbook, variables, *, check):
        self.asked.append((name, variables))
        return self.status, self.found, None


def test_asked_hosts_that_do_not_answer_are_named_and_the_others_are_kept(
    funds, capsys, monkeypatch
):
    known = shown(funds, capsys)[1]
    for name in ("fund00", "fund01"):
        move_away(funds, name)
    session = commands.Session(parsed("status"), funds)
    status = json.loads((fleet._folder(session) / "fund00.json").read_text())["status"]
    reason = {"system": "fund01", "due": ["no route to host"]}
    ran = Ran({"status": {"fund00": status}}, [reason], COULD_NOT_RUN)
    monkeypatch.setattr(commands.Session, "quiet_run", ran.of_session)
    found = shown(funds, capsys, "--ask")[1]
    assert found["fund00"]["verdict"] == "due"
    assert found["fund01"]["verdict"] == "no answer"
    assert found["fund01"]["due"][0] == "no route to host"
    # Each ledger is asked for the line that was seen of it, and no other.
    asked = ran.asked[0][1]["fleet_heads"]
    assert asked == {name: known[name]["sha256"] for name in ("fund00", "fund01")}


def test_the_page_links_to_the_page_of_each_system(funds, capsys, monkeypatch):
    move_away(funds, "fund01")
    page = funds / "fund00/evidence/site/index.html"
    written = {
        "fund00": {"path": str(page), "problems": []},
        "fund01": {"path": "/srv/<evil>/site/index.html", "problems": []},
    }
    monkeypatch.setattr(commands.Session, "quiet_run", Ran({"pages": written}, []).of_session)
    assert main(["-i", "fleet", "fleet", "report"], funds) == COULD_NOT_RUN
    text = Path(capsys.readouterr().out.strip()).read_text()
    assert f'<a href="{page.as_uri()}">fund00</a>' in text
    assert "its page: fund01:/srv/&lt;evil&gt;/site/index.html" in text
    assert "2 systems, 0 of them fine" in text


def test_a_run_over_the_fleet_keeps_what_it_left_behind(funds, capsys, monkeypatch):
    ran: list[str] = []
    monkeypatch.setattr(
        commands.Session, "run", lambda _self, name, *_more, **_options: ran.append(name) or DONE
    )
    monkeypatch.setattr(waves.Waves, "run", lambda self, *_more: ran.append(self.name) or DONE)
    for action in ("golive", "backup", "drill", "prepare"):
        assert main(["-i", "fleet", "fleet", action], funds) == DONE
    assert ran == ["golive", "backup", "drill", "prepare"]
    session = commands.Session(parsed("status"), funds)
    assert len(list(fleet._folder(session).glob("*.json"))) == 2


def test_ask_and_metrics_go_with_status(funds, capsys):
    assert main(["-i", "fleet", "fleet", "backup", "--ask"], funds) == USAGE


def test_an_inventory_may_be_called_like_a_command(funds, capsys):
    (funds / "fleet").rename(funds / "backup")
    assert main(["-i", "backup", "fleet", "status"], funds) == FAILED
    assert "fund00" in capsys.readouterr().out


def test_folders_that_an_inventory_leaves_out_are_those_of_the_role(tmp_path):
    """The defaults of the role were taken for plain text: a folder was called {{ ... }}."""
    (tmp_path / "hosts.yml").write_text("pms: {hosts: {a: {ansible_connection: local}}}\n")
    (system,) = hosts.read(hosts.Sources([str(tmp_path / "hosts.yml")], []))
    assert system.backup_root == PROJECT / "backups"
    assert system.label == "macro_trading"
