# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two inventories in one command: a table by system or a refusal, never a mixture."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pmsops_cli import inventory
from pmsops_cli.__main__ import main
from pmsops_cli.exit_status import FAILED, USAGE
from tests.conftest import PROJECT


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in inventory.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def fund(folder: Path, name: str, host: str) -> Path:
    """Write an inventory as init does: hosts, and the variables of the group."""
    place = folder / "funds" / name
    (place / "group_vars" / "pms").mkdir(parents=True)
    (place / "hosts.yml").write_text(
        f"pms: {{hosts: {{{host}: {{ansible_connection: local,"
        " ansible_python_interpreter: '{{ ansible_playbook_python }}'}}}\n"
    )
    (place / "group_vars" / "pms" / "pms.yml").write_text(
        f"backup_root: {folder}/{name}/backups\nevidence_root: {folder}/{name}/evidence\n"
        f"pms_db_name: {name}\n"
    )
    return place


@pytest.fixture(params=[("a", "b"), ("prod", "prod")], ids=["other hosts", "hosts of one name"])
def funds(request, tmp_path):
    for name, host in zip(("alpha", "beta"), request.param, strict=True):
        fund(tmp_path, name, host)
        (tmp_path / name / "backups").mkdir(parents=True)
        if name == "beta":
            (tmp_path / name / "evidence" / "incidents" / "2026-11-25_redis").mkdir(parents=True)
            page = tmp_path / name / "evidence" / "incidents" / "2026-11-25_redis" / "incident.json"
            page.write_text(json.dumps({"state": "open", "scenario": "redis"}))
    return tmp_path


@pytest.mark.parametrize("given", [["-i", "funds/alpha", "-i", "funds/beta"], ["-i", "funds"]])
def test_status_of_two_inventories_shows_each_fund_s_own_data(funds, capsys, given):
    assert main([*given, "status", "--json"], funds) == FAILED
    hosts = json.loads(capsys.readouterr().out)["hosts"]
    first, second = hosts.values()
    assert "beta" not in json.dumps(first) and "alpha" not in json.dumps(second)
    assert all("alpha" in due["next"] for due in first["due"])
    assert all("beta" in due["next"] for due in second["due"])


@pytest.mark.parametrize(
    "words",
    [["backup"], ["restore", "latest", "--check"], ["rollback", "--check"], ["dr", "redis"]],
    ids=lambda words: words[0],
)
def test_a_command_that_acts_refuses_two_systems(funds, capsys, words):
    assert main(["-i", "funds/alpha", "-i", "funds/beta", *words], funds) == USAGE
    said = capsys.readouterr().err
    assert "describe 2 systems, whose variables would mix. Nothing was run." in said
    assert f"pms-ops -i funds/alpha {words[0]}; pms-ops -i funds/beta {words[0]}" in said


def test_an_inventory_without_hosts_of_its_own_is_no_second_system(tmp_path, capsys):
    fund(tmp_path, "alpha", "a")
    (tmp_path / "more" / "group_vars").mkdir(parents=True)
    (tmp_path / "more" / "hosts.yml").write_text("others: {hosts: {x: }}\n")
    (tmp_path / "more" / "group_vars" / "pms.yml").write_text(f"backup_root: {tmp_path}/other\n")
    assert main(["-i", "funds/alpha", "-i", "more", "status", "--json"], tmp_path) == FAILED
    assert list(json.loads(capsys.readouterr().out)["hosts"]) == ["a"]


@pytest.mark.long
def test_a_playbook_refuses_two_systems_too(funds):
    play = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        [play, "-i", funds / "funds/alpha", "-i", funds / "funds/beta", "playbooks/backup.yml"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "describe 2 systems" in " ".join(done.stdout.split())
    assert "pms_backup" not in done.stdout


def test_hosts_of_one_plain_folder_are_of_one_system_and_nobody_reads_them_beforehand(tmp_path):
    """Each command imported Ansible's inventory for that, half a second: issue 16, 6."""
    fund(tmp_path, "alpha", "a")
    script = f"""
import sys
sys.path.insert(0, {str(PROJECT)!r})
from pathlib import Path
from pmsops_cli import arguments, project
project.enter()
from pmsops_cli import commands
for given in ("funds/alpha", "funds/alpha/hosts.yml", "a.example,"):
    session = commands.Session(arguments.parse(["-i", given, "backup"]), Path({str(tmp_path)!r}))
    assert session.split() == [session]
    assert "ansible.inventory.manager" not in sys.modules, given
session = commands.Session(arguments.parse(["-i", "funds", "backup"]), Path({str(tmp_path)!r}))
session.split()
assert "ansible.inventory.manager" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
