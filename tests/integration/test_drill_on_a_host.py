# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""`pms-ops drill --host`: a real copy, over SSH, on a host that has a PostgreSQL and no Docker.

The host and the source are containers of one machine. The host has ids of its own, as another
machine would have; the last test takes them away.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.pmsops.evidence import ledger

from tests.conftest import PROJECT
from tests.support import drill_host, sites
from tests.support.drill_host import DRILL_ROOT, PASSWORD_FILE
from tests.support.server import needs_timescaledb

pytestmark = [pytest.mark.nightly, needs_timescaledb]

# The mount, the server's own, and what Ansible itself leaves of a module that is killed: its code
THEIRS = ("/tmp/pytest-of-", "/dev/shm/PostgreSQL.", "/tmp/ansible_pms_drill_elsewhere_payload_")
RESTIC_PASSWORD = secrets.token_urlsafe(12)


@dataclass
class Fund:
    """A system with a site, and a host for its drills."""

    folder: Path
    inventory: Path
    host: Any
    database_password: str

    def pms_ops(self, *arguments: str, status: int = 0) -> str:
        """Run the command line; return what it says."""
        done = subprocess.run(
            [PROJECT / "scripts" / "pms-ops", "-i", self.inventory, *arguments],
            env=os.environ | {"HOME": str(self.folder / "home"), "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            timeout=600,
        )
        said = " ".join((done.stdout + done.stderr).split())
        assert done.returncode == status, said[-3000:]
        return said

    def drills(self) -> list[dict[str, Any]]:
        return [each["record"] for each in ledger.records(self.folder / "evidence", "drill")]

    def psql(self, sql: str) -> list[str]:
        return self.host.run(
            "psql", "-XqAtU", "postgres", "-h", "/run/postgresql", "-c", sql
        ).split()

    def left(self) -> list[str]:
        """Return what a drill left on the host: files, databases, roles, and processes."""
        found = self.host.run("find", "/var/tmp", "/tmp", "/dev/shm", "-mindepth", "1").split()
        found += self.psql("SELECT datname FROM pg_database WHERE datname LIKE '%\\_\\_%'")
        found += self.psql("SELECT rolname FROM pg_roles WHERE rolname IN ('macro_user')")
        return [each for each in found if not each.startswith(THEIRS)]


@pytest.fixture(scope="module")
def fund(server, data, tmp_path_factory) -> Iterator[Fund]:
    folder = tmp_path_factory.mktemp("fund")
    (folder / "home").mkdir()
    restic = sites.restic(folder)
    with sites.rest(folder) as address, drill_host.running(folder / "far") as host:
        site = address.option("vault", folder)
        Path(site["password_file"]).write_text(RESTIC_PASSWORD)
        there = site | {"password_file": PASSWORD_FILE}
        variables = {
            "pms_db_port": server.port,
            "pms_db_name": data.name,
            "pms_db_user": "pms_ops",
            "pms_db_password": server.password,
            "pms_db_container": server.container.name,
            "pms_api_url": "",
            "pms_services_manager": "none",
            "pms_keys_dir": str(folder / "keys"),
            "backup_root": str(folder / "backups"),
            "evidence_root": str(folder / "evidence"),
            "backup_trial": "none",
            "offsite_repositories": [site],
            "offsite_restic": str(restic),
            "schedule_drill_host": "far",
        }
        local = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        }
        far = yaml.safe_load("far:\n" + host.inventory_lines())["far"] | {
            "ansible_python_interpreter": "/opt/pms-ops/venv/bin/python",
            "restore_drill_repositories": [there],
            **drill_host.VARIABLES,
        }
        inventory = folder / "fund.yml"
        document = {
            "pms": {"hosts": {"one": local}, "vars": variables},
            "elsewhere": {"hosts": {"far": far, "gone": far | {"ansible_port": 1}}},
        }
        inventory.write_text(yaml.safe_dump(document))
        made = Fund(folder, inventory, host, server.password)
        made.pms_ops("backup")
        made.pms_ops("offsite", "init")
        made.pms_ops("offsite", "upload")
        yield made


def test_nothing_begins_before_the_host_has_what_it_needs(fund):
    assert "has no host nowhere (drill.no-host)" in fund.pms_ops(
        "drill", "--host", "nowhere", status=1
    )
    assert "(drill.same-machine)" in fund.pms_ops("drill", "--host", "one", status=1)
    said = fund.pms_ops("drill", "--host", "gone", status=1)
    assert "Host gone cannot be reached" in said and "(drill.unreachable)" in said
    said = fund.pms_ops("drill", "--host", "far", status=1)
    assert "(drill.unreachable)" in said and "prepare" in said
    fund.pms_ops("prepare", "--host", "far")
    fund.host.run("install", "-d", "-m", "700", "/etc/pms-ops/keys/trusted")
    assert "(drill.no-keys)" in fund.pms_ops("drill", "--host", "far", status=1)
    for path in (fund.folder / "keys" / "trusted").glob("*.pub"):
        fund.host.write(f"/etc/pms-ops/keys/trusted/{path.name}", path.read_text())
    assert "(offsite.credentials)" in fund.pms_ops("drill", "--host", "far", status=1)
    fund.host.write(PASSWORD_FILE, RESTIC_PASSWORD)
    assert fund.drills() == []  # none of these was a drill


def test_a_copy_is_proved_on_a_machine_apart(fund):
    planned = fund.pms_ops("drill", "--host", "far", "--check")
    assert "Would fetch set" in planned and fund.drills() == []
    said = fund.pms_ops("drill", "--host", "far")
    assert "Segregated: yes." in said and "RTO without the fetch" in said
    (record,) = fund.drills()
    assert (record["proved"], record["segregated"], record["drill_host"]) == (True, True, "far")
    assert record["source"]["kind"] == "offsite" and record["source"]["site"] == "vault"
    assert min(record[f"{each}_seconds"] for each in ("fetch", "restore", "proof")) > 0
    assert fund.left() == []
    state = json.loads(fund.pms_ops("status", "--json", status=1))["hosts"]["one"]
    assert state["drill_elsewhere"]["proved"] and state["drill"] is None
    assert not any("on host far" in each["what"] for each in state["due"])


def test_a_drill_beside_the_live_database_is_not_segregated(fund):
    fund.pms_ops("drill")
    record = fund.drills()[-1]
    assert (record["proved"], record["segregated"]) == (True, False)
    assert record["source"] == {"kind": "local"} and "drill_host" not in record
    assert record["rto_seconds"] == pytest.approx(
        record["restore_seconds"] + record["proof_seconds"], abs=0.01
    )
    state = json.loads(fund.pms_ops("status", "--json", status=1))["hosts"]["one"]
    assert state["drill"]["proved"]


def test_a_set_of_a_site_that_is_drilled_here_says_where_it_came_from(fund):
    fund.pms_ops("offsite", "prove")
    record = fund.drills()[-1]
    assert (record["proved"], record["segregated"]) == (True, False)
    assert record["source"]["kind"] == "offsite" and record["source"]["site"] == "vault"
    assert record["source"]["snapshot"]


def test_a_drill_that_is_killed_in_the_middle_is_cleaned_up_by_the_next(fund):
    """The module is killed on the host while its staging database is being filled."""
    run = subprocess.Popen(
        [PROJECT / "scripts" / "pms-ops", "-i", fund.inventory, "drill", "--host", "far"],
        env=os.environ | {"HOME": str(fund.folder / "home")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 180
    while not fund.psql("SELECT datname FROM pg_database WHERE datname LIKE '%\\_\\_%'"):
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    holder = json.loads(fund.host.run("cat", f"{DRILL_ROOT}/drill.lock"))["pid"]
    fund.host.run("kill", "-KILL", str(holder))
    assert run.wait(timeout=180) != 0
    assert fund.left() != []
    drilled = len(fund.drills())
    fund.pms_ops("drill", "--host", "far")
    assert fund.drills()[drilled]["proved"] and fund.left() == []


def test_no_secret_is_on_the_host_of_the_drill(fund):
    """The database's password is nowhere, and that of the site where the operator put it."""
    for secret, places in ((fund.database_password, []), (RESTIC_PASSWORD, [PASSWORD_FILE])):
        found = fund.host.run(
            "sh",
            "-c",
            'grep -rlsF -e "$0" /etc /root /opt /srv /tmp /var /dev/shm /home || true',
            secret,
        )
        assert found.split() == places


def test_the_same_machine_under_another_name_is_refused(fund):
    machine_id = Path("/etc/machine-id").read_text()
    fund.host.write("/etc/machine-id", machine_id)
    said = fund.pms_ops("drill", "--host", "far", status=1)
    assert "(drill.same-machine)" in said and "the machine id is the same" in said
    fund.host.write("/etc/machine-id", drill_host.MACHINE_ID)
    fund.host.run("umount", "/proc/sys/kernel/random/boot_id")
    said = fund.pms_ops("drill", "--host", "far")
    assert "Segregated: NO" in said
    assert fund.drills()[-1]["segregated"] is False
    state = fund.pms_ops("status", status=1)
    assert "the last drill on host far was not on a machine apart" in state
