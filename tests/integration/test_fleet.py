# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Three systems side by side: one healthy, one broken, one that cannot be reached."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.support import ssh_host
from tests.support.pausing import pause
from tests.support.server import Server, free_port, running_server

SECONDS = 300
HERE = {
    "ansible_connection": "local",
    "ansible_python_interpreter": "{{ ansible_playbook_python }}",
}
# A port on which nobody listens.
GONE = {"ansible_host": "127.0.0.1", "ansible_port": 9}


class Fleet:
    """The front door, with an inventory of three systems whose databases have one name."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def describe(self, host: str, **values: object) -> None:
        """Write the variables of a system: those given, and folders of its own."""
        known = {
            "pms_db_user": "pms_ops",
            "pms_db_tables": ["holdings"],
            "pms_api_url": "",
            "pms_services_manager": "none",
            "pms_keys_dir": str(self.home / host / "keys"),
            "backup_root": str(self.home / host / "backups"),
            "evidence_root": str(self.home / host / "evidence"),
        }
        place = self.home / "funds" / "host_vars" / host
        place.mkdir(parents=True)
        (place / "pms.yml").write_text(json.dumps(known | values))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*(sys.executable, "-P", "-m", "pmsops_cli"), "-i", str(self.home / "funds"), *words],
            cwd=self.home,
            env={
                **os.environ,
                "HOME": str(self.home),
                "XDG_STATE_HOME": str(self.home / "state"),
                "XDG_CONFIG_HOME": str(self.home / "config"),
                "ANSIBLE_PIPELINING": "1",
                "PYTHONPATH": os.pathsep.join((str(PROJECT), os.environ["PYTHONPATH"])),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )


@pytest.fixture(scope="module")
def fleet(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    home = tmp_path_factory.mktemp("fleet")
    name = f"fund_{uuid.uuid4().hex[:8]}"
    server.create(name, timescaledb=False)
    server.psql("SET ROLE macro_user; CREATE TABLE holdings AS SELECT 1 AS id;", name)
    systems = {"healthy": HERE, "broken": HERE, "gone": GONE}
    made = Fleet(home)
    for host in systems:
        well = host == "healthy"
        made.describe(
            host,
            pms_db_port=server.port if well else free_port(),
            pms_db_name=name,
            pms_db_password=server.password,
            pms_db_container=server.container.name if well else f"{name}_{host}",
        )
    (home / "funds/hosts.yml").write_text(json.dumps({"pms": {"hosts": systems}}))
    yield made
    server.drop(name)


def test_one_that_fails_or_is_gone_neither_holds_up_nor_hides_the_others(fleet: Fleet):
    done = fleet.run("fleet", "backup")
    # The highest status of any: of the one that nothing is known of.
    assert done.returncode == 3, done.stdout + done.stderr
    table = done.stdout[done.stdout.index("system   verdict") :].splitlines()
    starts = [line.split()[0] for line in table if line[:1].strip()][:4]
    assert starts == ["system", "gone", "broken", "healthy"]
    text = "\n".join(table)
    assert "gone     unreachable" in text and "Connection refused" in text
    assert "broken   failed" in text and "healthy  set 20" in text
    # Nothing of one lies in a folder of another one.
    (made,) = (fleet.home / "healthy" / "backups").glob("20*")
    assert not list((fleet.home / "broken").glob("backups/20*"))
    assert not (fleet.home / "gone").exists()

    seen = fleet.run("fleet", "status", "--json")
    assert seen.returncode == 3
    found = {each["system"]: each for each in json.loads(seen.stdout)["systems"]}
    assert found["healthy"]["newest_set"] == made.name and found["healthy"]["lines"]
    assert found["broken"]["newest_set"] is None and "no backup set" in str(found["broken"]["due"])
    assert found["gone"]["verdict"] == "not seen"


@pytest.mark.nightly
def test_no_wave_begins_after_a_red_one_and_the_systems_left_are_named(fleet: Fleet):
    done = fleet.run("fleet", "drill", "--serial", "1", "--json")
    assert done.returncode == 3, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert [each["systems"] for each in found["waves"]] == [["healthy"], ["broken"]]
    rows = {each["system"]: (each["verdict"], each["due"]) for each in found["systems"]}
    assert rows["healthy"][0] == "proved"
    assert rows["broken"][0] == "failed"
    assert rows["gone"] == ("not begun", ["wave 2 ended red (broken)"])


@pytest.mark.nightly
def test_nothing_of_a_system_is_read_for_another_one_whose_database_has_its_name(
    server: Server, tmp_path: Path
):
    name = f"fund_{uuid.uuid4().hex[:8]}"
    fleet = Fleet(tmp_path)
    with running_server() as other:
        servers = {"one": server, "two": other}
        for rows, (host, each) in enumerate(servers.items(), 1):
            each.create(name, timescaledb=False)
            each.psql(
                "SET ROLE macro_user; CREATE TABLE holdings AS"
                f" SELECT id FROM generate_series(1, {rows}) id;",
                name,
            )
            fleet.describe(
                host,
                pms_db_port=each.port,
                pms_db_name=name,
                pms_db_password=each.password,
                pms_db_container=each.container.name,
            )
        hosts = dict.fromkeys(servers, HERE)
        (tmp_path / "funds/hosts.yml").write_text(json.dumps({"pms": {"hosts": hosts}}))
        done = fleet.run("fleet", "backup")
        assert done.returncode == 0, done.stdout + done.stderr
        sets = {host: next((tmp_path / host / "backups").glob("20*")) for host in servers}
        totals = {
            host: json.loads((folder / "manifest.json").read_text())["totals"]
            for host, folder in sets.items()
        }
        # Besides the row of the backup's own canary
        assert {host: each["rows"] - 1 for host, each in totals.items()} == {"one": 1, "two": 2}
        for host in servers:
            secret = servers["two" if host == "one" else "one"].password.encode()
            files = [path for path in (tmp_path / host).rglob("*") if path.is_file()]
            assert files and not [path for path in files if secret in path.read_bytes()]
        # A set of the other one, whose key is not trusted here
        done = fleet.run("-l", "one", "verify", str(sets["two"]))
        assert done.returncode == 1 and "(signing." in done.stderr, done.stdout + done.stderr
        # Both restores hold a lock of their own server: they are side by side, and both pass.
        done = fleet.run("fleet", "drill", "--json")
        found = {each["system"]: each["verdict"] for each in json.loads(done.stdout)["systems"]}
        assert found == dict.fromkeys(servers, "proved"), done.stdout + done.stderr
    server.drop(name)


@pytest.mark.nightly
def test_what_destroys_is_done_to_none_of_several_that_share_a_name(fleet: Fleet):
    name = json.loads((fleet.home / "funds/host_vars/healthy/pms.yml").read_text())["pms_db_name"]
    done = fleet.run("rollback", "--confirm", name)
    assert done.returncode == 2 and "Nothing was changed." in done.stderr
    # A playbook without the front door refuses it for each system by itself.
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), "dr_restore.yml"),
            *("-i", fleet.home / "funds", "-e", "rollback=true", "-e", f"confirm={name}"),
            *("--limit", "healthy,broken"),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    said = " ".join(done.stdout.split())
    assert done.returncode == 2
    assert said.count("This run is on 2 systems: name one by --limit") >= 2


@pytest.mark.nightly
def test_a_host_that_stops_in_the_middle_of_a_task_is_given_up_and_named(tmp_path: Path):
    with ssh_host.running(tmp_path, tmp_path, options=()) as remote:
        (tmp_path / "hosts.yml").write_text(
            f"pms:\n  hosts:\n    hung:\n{remote.inventory_lines()}"
            "      ansible_python_interpreter: /usr/bin/python3\n"
            f"    well: {json.dumps(HERE)}\n"
        )
        steps = [
            {
                "ansible.builtin.shell": f"sleep 2; touch {tmp_path}/{{{{ inventory_hostname }}}}",
                "name": f"Step {number}",
            }
            for number in range(1, 6)
        ]
        play = {"hosts": "pms", "strategy": "host_pinned", "gather_facts": False, "tasks": steps}
        (tmp_path / "play.yml").write_text(json.dumps([play]))
        with subprocess.Popen(
            [
                Path(sys.executable).with_name("ansible-playbook"),
                *("-i", tmp_path / "hosts.yml", tmp_path / "play.yml"),
            ],
            cwd=PROJECT,
            env={**os.environ, "ANSIBLE_SSH_CONTROL_PATH_DIR": str(tmp_path / "cp")},
            stdout=subprocess.PIPE,
            text=True,
        ) as running:
            assert running.stdout
            lines = []
            stopped = 0.0
            for line in running.stdout:
                lines.append(line)
                if line.startswith("changed: [hung]") and not stopped:
                    pause(remote.container)
                    stopped = time.time()
            ended = time.time()
        said = "".join(lines)
    assert said.count("changed: [well]") == 5, said
    table = said[said.index("SYSTEMS") :].splitlines()
    assert table[2].startswith("hung    unreachable") and table[-1].startswith("well    done")
    assert running.returncode == 4
    assert 20 < ended - stopped < 90
    # The healthy one did not wait for the end of the other one's limit.
    assert (tmp_path / "well").stat().st_mtime < ended - 10
