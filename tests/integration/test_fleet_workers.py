# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A fleet split over worker nodes by ansible-runner: one table of all parts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.fleet import write_fleet
from pmsops_cli.__main__ import main
from pmsops_cli.exit_status import COULD_NOT_RUN, USAGE
from tests.conftest import PROJECT

RUNNER = Path(sys.executable).with_name("ansible-runner")
# What a worker needs of the toolkit; it has the Python packages.
PARTS = ("ansible.cfg", "library", "module_utils", "playbooks", "plugins", "roles")


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two workers each looked at two of four systems, one of which cannot be reached."""
    folder = tmp_path_factory.mktemp("workers")
    write_fleet(folder, 4, 2)
    hosts = json.loads((folder / "fleet/hosts.yml").read_text())
    for host in hosts["pms"]["hosts"].values():
        host["ansible_python_interpreter"] = "{{ ansible_playbook_python }}"
    hosts["pms"]["hosts"]["fund03"] = {"ansible_host": "127.0.0.1", "ansible_port": 9}
    (folder / "fleet/hosts.yml").write_text(json.dumps(hosts))
    data = folder / "data"
    (data / "project").mkdir(parents=True)
    for name in PARTS:
        (data / "project" / name).symlink_to(PROJECT / name)
    (data / "inventory").symlink_to(folder / "fleet")
    (data / "env").mkdir()
    (data / "env/envvars").write_text(json.dumps({"ANSIBLE_CONFIG": "ansible.cfg"}))
    for number, limit in enumerate(("fund00,fund01", "fund02,fund03"), 1):
        transmit = [RUNNER, "transmit", data, "-p", "playbooks/status.yml", "--limit", limit]
        sent = subprocess.run(transmit, check=True, capture_output=True, timeout=300)
        place = folder / f"node{number}"
        done = subprocess.run(
            [RUNNER, "worker", "--private-data-dir", place],
            input=sent.stdout,
            capture_output=True,
            timeout=300,
        )
        (folder / f"part{number}").write_bytes(done.stdout)
    return folder


def test_the_parts_of_all_workers_end_in_one_table(streams, capsys):
    assert main(["fleet", "gather", "part1", "part2"], streams) == COULD_NOT_RUN
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["system", "verdict", "due"]
    assert lines[1].startswith("fund03  unreachable")
    for name in ("fund00", "fund01", "fund02"):
        assert sum(line.startswith(f"{name}  due") for line in lines) == 1
    assert main(["--json", "fleet", "gather", "part1"], streams) == 0
    found = json.loads(capsys.readouterr().out)["systems"]
    assert [each["system"] for each in found] == ["fund00", "fund01"]
    assert all(each["verdict"] == "due" and each["due"] for each in found)


def test_the_plugins_that_watch_a_run_are_loaded_on_a_worker(streams):
    """ansible-runner puts its own folder of callbacks in the place of the one in ansible.cfg."""
    for part in ("part1", "part2"):
        lines = (streams / part).read_text().splitlines()
        said = "".join(json.loads(line).get("stdout", "") for line in lines if line[:1] == "{")
        assert "PLAY RECAP" in said and "Skipping callback plugin" not in said


def test_a_part_that_is_missing_twice_there_or_no_stream_is_refused(streams, capsys):
    assert main(["fleet", "gather", "part1", "part1"], streams) == USAGE
    assert "have fund00" in capsys.readouterr().err
    assert main(["fleet", "gather", "part3"], streams) == USAGE
    assert "No such file" in capsys.readouterr().err
    (streams / "cut").write_bytes((streams / "part1").read_bytes()[:200])
    assert main(["fleet", "gather", "cut"], streams) == COULD_NOT_RUN
    assert main(["fleet", "gather"], streams) == USAGE
    assert main(["fleet", "status", "part1"], streams) == USAGE
