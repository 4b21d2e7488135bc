# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The front door on a real database, on a production-like Compose project, and over SSH."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT
from tests.support import ssh_host
from tests.support.server import Server, free_port

PMS_OPS = PROJECT / "scripts" / "pms-ops"
PROGRAM = (sys.executable, "-P", "-m", "pmsops_cli")  # what PMS_OPS starts
COMPOSE = Path(sys.executable).with_name("docker-compose")
SECONDS = 420
TABLES = """
SET ROLE macro_user;
CREATE TABLE holdings (id int PRIMARY KEY, instrument text);
INSERT INTO holdings SELECT n, 'USDBRL' FROM generate_series(1, 500) n;
"""


class Door:
    """The front door as somebody with a home of their own has it."""

    def __init__(self, home: Path, inventory: str) -> None:
        self.home = home
        self.inventory = inventory
        self.environment = {
            **os.environ,
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "PMS_OPS_INVENTORY": inventory,
            # Quicker: modules go by standard input. The first backup and what is about SSH and
            # signals do without, as Ansible does by default.
            "ANSIBLE_PIPELINING": "1",
            # For PROGRAM; the launcher sets its own.
            "PYTHONPATH": os.pathsep.join((str(PROJECT), os.environ["PYTHONPATH"])),
        }

    def run(
        self, *words: str, cwd: Path | None = None, program: tuple[str, ...] = PROGRAM
    ) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*program, *words],
            cwd=cwd or self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    def json(self, *words: str, status: int = 0) -> dict:
        done = self.run(*words, "--json")
        assert done.returncode == status, done.stdout + done.stderr
        return json.loads(done.stdout)

    def logs(self) -> list[Path]:
        return sorted((self.home / "state" / "pms-ops" / "runs").glob("*"))


def described(server: Server, name: str, root: Path, host: str) -> str:
    """Return an inventory of one host with a database of the test server and nothing else."""
    variables = {
        "pms_db_port": server.port,
        "pms_db_name": name,
        "pms_db_user": "pms_ops",
        "pms_db_password": server.password,
        "pms_db_container": server.container.name,
        "pms_db_tables": ["holdings"],
        "pms_api_url": "",
        "pms_services_manager": "none",
        "pms_keys_dir": str(root / "keys"),
        "backup_root": str(root / "backups"),
        "evidence_root": str(root / "evidence"),
    }
    return f"pms:\n  hosts:\n    one:\n{host}  vars: {json.dumps(variables)}\n"


@pytest.fixture(scope="module")
def fund(server: Server) -> Iterator[str]:
    """A small database that this module's tests share."""
    name = f"fund_{uuid.uuid4().hex[:8]}"
    server.create(name, timescaledb=False)
    server.psql(TABLES, name)
    yield name
    server.drop(name)


@pytest.fixture(scope="module")
def door(server: Server, fund: str, tmp_path_factory: pytest.TempPathFactory) -> Door:
    home = tmp_path_factory.mktemp("home")
    local = (
        "      ansible_connection: local\n"
        '      ansible_python_interpreter: "{{ ansible_playbook_python }}"\n'
    )
    (home / "one.yml").write_text(described(server, fund, home, local))
    return Door(home, str(home / "one.yml"))


def test_a_backup_is_made_shown_and_compared_from_any_folder(door: Door, server: Server, fund):
    door.environment["ANSIBLE_PIPELINING"] = "0"
    made = door.run("backup", "--verbose")
    door.environment["ANSIBLE_PIPELINING"] = "1"
    assert made.returncode == 0, made.stdout + made.stderr
    folder = next((door.home / "backups").glob("2*"))
    assert f"set      {folder}" in made.stdout
    assert "backup : Make a backup set" in made.stderr

    state = door.json("status", status=1)["hosts"]["one"]
    assert state["newest_set"]["id"] == folder.name
    assert [each["next"] for each in state["due"]] == [
        "pms-ops drill",
        "pms-ops drill",
        "pms-ops golive",
    ]

    same = door.run("verify", folder.name, "--strict", cwd=Path("/"), program=(str(PMS_OPS),))
    assert same.returncode == 0
    server.psql("DELETE FROM holdings WHERE id = 1", fund)
    differs = door.json("verify", folder.name, "--strict", status=1)
    assert differs["status"] == "failed"
    assert differs["facts"]["differences"] >= 1
    assert "differs from the set" in differs["failed"][0]["what"]
    assert Path(differs["log"]).read_text().count(server.password) == 0
    server.psql("INSERT INTO holdings VALUES (1, 'USDBRL')", fund)

    chain = door.json("ledger", "verify")["hosts"]["one"]
    # The line that begins to sign, and that of the backup.
    assert chain["lines"] == 2 and chain["problems"] == []
    assert all(log.is_file() and log.stat().st_mode & 0o777 == 0o600 for log in door.logs())


def test_what_destroys_needs_the_database_s_name(door: Door, fund: str):
    before = door.logs()
    folder = next((door.home / "backups").glob("2*"))
    for words in (
        ["restore", str(folder)],
        ["restore", str(folder), "--confirm", "another"],
        ["rollback"],
    ):
        refused = door.run(*words)
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert "Nothing was changed" in refused.stderr and fund in refused.stderr
    assert door.logs() == before  # nothing was run at all
    plan = door.json("restore", str(folder), "--check")
    assert plan["check"] is True


def test_a_restore_at_a_terminal_shows_its_plan_asks_and_goes_on(door: Door, server, fund):
    import pexpect

    folder = next((door.home / "backups").glob("2*"))
    server.psql("DELETE FROM holdings WHERE id < 100", fund)
    child = pexpect.spawn(
        str(PMS_OPS),
        ["restore", folder.name],
        cwd=str(door.home),
        env=door.environment,
        encoding="utf-8",
        timeout=SECONDS,
    )
    child.expect("would create")
    child.expect_exact(f"type the name of the database ({fund})")
    child.sendline(fund)
    child.expect("restore: done")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert server.psql("SELECT count(*) FROM holdings", fund) == "500"
    # The way back is a block of README.md (tests/molecule/test_documents.py); its rows are those of
    # test_restore.py.


def test_a_host_that_cannot_be_used_is_told_from_a_broken_promise(door: Door):
    nobody = door.json("backup", "--limit", "two", status=3)
    assert nobody["status"] == "could not run"
    failed = door.json("backup", "-e", "pms_db_port=1", status=1)
    assert failed["failed"][0]["code"] == "database.unreachable"
    assert failed["failed"][0]["remedy"]


def test_an_interrupt_reaches_the_playbook_and_is_told_from_a_failure(door: Door):
    """Somebody holds the ledger, so the backup waits with its set made; then it is interrupted."""
    before = set((door.home / "backups").glob("2*"))
    with (door.home / "evidence" / "ledger.jsonl").open("rb") as ledger:
        fcntl.flock(ledger, fcntl.LOCK_EX)
        run = subprocess.Popen(
            [PMS_OPS, "backup", "--json"],
            env=door.environment | {"ANSIBLE_PIPELINING": "0"},
            cwd=door.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            deadline = time.monotonic() + 180
            while "Record the backup" not in door.logs()[-1].read_text():
                if run.poll() is not None or time.monotonic() > deadline:
                    fcntl.flock(ledger, fcntl.LOCK_UN)
                    pytest.fail(f"the backup did not come so far: {run.communicate(timeout=60)}")
                time.sleep(0.3)
            run.send_signal(signal.SIGINT)
            out, err = run.communicate(timeout=120)
        finally:
            run.kill()
    assert run.returncode == 130, out + err
    document = json.loads(out)
    assert document["status"] == "interrupted"
    assert "User interrupted execution" in document["errors"]
    made = set((door.home / "backups").glob("2*")) - before
    assert len(made) == 1  # whole, since its task had ended
    assert not list((door.home / "backups").glob(".partial-*"))
    assert not list((door.home / "state/pms-ops/runs").glob(".run-*"))


@pytest.fixture
def short_home() -> Iterator[Path]:
    """A home near the root: below it lie sockets of SSH, whose paths may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="pms-") as folder:
        yield Path(folder)


def test_over_ssh_a_bare_host_is_prepared_backed_up_and_judged(
    server: Server, fund, tmp_path, short_home
):
    shared = tmp_path / "shared"
    shared.mkdir()
    with ssh_host.running(tmp_path, shared) as host:
        lines = host.inventory_lines()
        lines += f"      ansible_python_interpreter: {shared}/ops/venv/bin/python\n"
        (tmp_path / "far.yml").write_text(described(server, fund, shared, lines))
        door = Door(short_home, str(tmp_path / "far.yml"))
        where = f"remote_dir={shared}/ops"

        missing = door.json("doctor", status=1)
        assert missing["facts"]["blocking"][0] == "host.python"
        planned = door.json("prepare", "-e", where, "--check")
        assert planned["changed"] and not (shared / "ops").exists()
        door.environment["ANSIBLE_PIPELINING"] = "0"
        assert door.json("prepare", "-e", where)["changed"]
        door.environment["ANSIBLE_PIPELINING"] = "1"
        assert door.json("prepare", "-e", where)["changed"] == []

        # It makes a backup there, and drills it.
        judged = door.json("golive", "--sections", "backups", status=1)
        assert judged["facts"]["verdict"] == "no-go"
        assert [path.name for path in (shared / "backups").glob("2*/manifest.json")]
        record = json.loads((shared / "evidence/latest/record.json").read_text())
        good = {each["id"] for each in record["results"] if each["status"] == "pass"}
        assert {"backup.ran", "backup.drill_ran", "backup.system"} <= good
        state = door.json("status", status=1)["hosts"]["one"]
        assert state["drill"]["proved"] is True
        assert door.run("report").stdout.startswith("one:/")

        gone = door.json("prepare", "--remove", "-e", where)
        assert gone["changed"] and not (shared / "ops").exists()


@pytest.fixture
def production(tmp_path: Path, images: None) -> Iterator[Path]:
    """A PMS in production as its Compose project and .env describe it, running."""
    folder = tmp_path / "production"
    shutil.copytree(PROJECT / "tests" / "fixtures" / "production", folder)
    file = folder / "docker-compose.yml"
    code = PROJECT / "roles" / "lab" / "files" / "pms"
    file.write_text(file.read_text().replace("../../../roles/lab/files/pms", str(code)))
    trial = uuid.uuid4().hex[:8]
    (folder / ".env").write_text(
        f"TRIAL={trial}\nDB_PORT={free_port()}\nCACHE_PORT={free_port()}\nWEB_PORT={free_port()}\n"
        "POSTGRES_DB=fund\nPOSTGRES_USER=fund_owner\nPOSTGRES_PASSWORD='p$w\"d one'\n"
        "POSTGRES_HOST=pg\nPOSTGRES_PORT=5432\nREDIS_HOST=cache\nREDIS_PORT=6379\n"
        "REDIS_PASSWORD=cache-secret\nPMS_MANAGER_PASSWORD=manager-secret\nDEBUG=false\n"
        f"JWT_SECRET_KEY={uuid.uuid4().hex}\n"
    )
    compose = [COMPOSE, "--project-directory", folder, "-f", file]
    subprocess.run([*compose, "up", "--detach"], check=True, capture_output=True, timeout=180)
    try:
        # It listens at this address once it has made itself.
        ready = "until /usr/lib/postgresql/*/bin/pg_isready -q -h 127.0.0.1; do sleep 0.2; done"
        waits = ["docker", "exec", f"fund_pg_{trial}", "sh", "-c", ready]
        subprocess.run(waits, check=True, capture_output=True, timeout=120)
        yield folder
    finally:
        subprocess.run(
            [*compose, "down", "--volumes", "--timeout", "2"], capture_output=True, timeout=120
        )


@pytest.mark.deep(
    by=(
        "tests/unit/cli/test_init_projects.py::test_compose_is_asked_by_the_tool_that_runs_the_pms",
        "tests/integration/test_front_door.py"
        "::test_over_ssh_a_bare_host_is_prepared_backed_up_and_judged",
        "tests/molecule/test_disasters.py"
        "::test_a_lab_goes_live_once_recovered_and_does_not_while_stopped_or_broken",
    )
)
def test_a_newcomer_reaches_a_verdict_in_three_commands(production: Path, tmp_path):
    name = f"trial{uuid.uuid4().hex[:8]}"
    door = Door(tmp_path, name)
    folder = PROJECT / "inventory" / name
    try:
        made = door.run(
            *("init", "docker-compose.yml", "--name", name, "--create-role", "--force"),
            *("--root", str(tmp_path / "ops")),
            cwd=production,
        )
        assert made.returncode == 0, made.stdout + made.stderr
        found = yaml.safe_load((folder / "group_vars/pms/pms.yml").read_text())
        assert found["pms_app_services"] == ["web"]
        assert found["pms_db_container"].startswith("fund_pg_")

        # backup: the trial has no tables of the PMS, which is said; nothing else is in the way.
        sick = door.json("doctor", "-e", '{"pms_db_tables": []}')
        assert sick["facts"]["blocking"] == []
        verdict = door.json("golive", status=1)
        assert verdict["facts"]["verdict"] == "no-go"
        assert Path(verdict["facts"]["report"]).is_file()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
