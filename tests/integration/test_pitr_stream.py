# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The stream of WAL through what happens to servers: restarts, full disks, new timelines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker
import pytest
from ansible.module_utils.pmsops.backup.settings import Settings as BackupSettings
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import (
    container,
    engine,
    synchronous,
    throw_away,
    window,
)
from ansible.module_utils.pmsops.pitr.moment_set import MomentSet
from ansible.module_utils.pmsops.pitr.run import Protection
from ansible.module_utils.pmsops.pitr.settings import ROLE, Settings
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import manifest, sets

from tests.conftest import PROJECT
from tests.support.pitr_server import IMAGE, server_with_volume
from tests.support.server import POSTGRESQL, Server
from tests.support.writers import Writers

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(POSTGRESQL != 17, reason="the image of Barman is built for 17 here"),
]
ARCHIVE_MB = 400


@pytest.fixture(scope="module")
def server(images: None) -> Iterator[Server]:
    """A server whose data outlive its container, on a network of its own."""
    with server_with_volume(max_wal_senders="2") as (made, network):
        made.network = network
        yield made


@pytest.fixture(scope="module")
def protection(server: Server) -> Iterator[Protection]:
    found = server.create("book")
    server.psql("CREATE TABLE deal (id bigserial PRIMARY KEY, said text)", "book")
    made = Protection(found, Settings(f"pitr_{uuid.uuid4().hex[:8]}", IMAGE))
    # The disk of the archive is a small one, so that it can be filled.
    docker.from_env().volumes.create(
        made.container.archive_volume,
        driver="local",
        driver_opts={"type": "tmpfs", "device": "tmpfs", "o": f"size={ARCHIVE_MB}m,mode=1777"},
    )
    made.enable(check=False)
    try:
        yield made
    finally:
        made.disable(check=False, purge=True)


def until(what: Callable[[], object], seconds: float = 60) -> None:
    """Wait until *what* is true."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if what():
                return
        except OpsError:
            pass
        assert time.monotonic() < deadline, what
        time.sleep(0.5)


def whole(protection: Protection) -> bool:
    window = protection.status()["window"]
    return bool(window["latest"]) and not window["gap"] and not window["problems"]


def add(server: Server, said: str) -> None:
    server.psql(f"INSERT INTO deal (said) VALUES ('{said}')", "book")


def deals(protection: Protection, asked: str, root: Path) -> int:
    """Return how many deals the set of a moment holds."""
    made = MomentSet(protection, asked).make(BackupSettings(root=root, keys=root / "keys"))
    return int(manifest.read(Path(made["set"]))["contents"]["public.deal"]["rows"])


def count(server: Server) -> int:
    return int(server.psql("SELECT count(*) FROM deal", "book"))


def attach(server: Server) -> None:
    """Connect a container that was made anew to the network that it had."""
    docker.from_env().networks.get(server.network).connect(server.container)


def test_the_receiver_goes_on_after_a_restart_of_the_server(server, protection, tmp_path):
    add(server, "before")
    server.container.restart(timeout=30)
    server.wait()
    add(server, "after")
    until(lambda: whole(protection))
    assert deals(protection, "latest", tmp_path) == count(server)


def test_the_receiver_follows_a_database_container_made_anew(server, protection, tmp_path):
    add(server, "before")
    server.container.stop(timeout=30)
    server.make_anew()
    attach(server)
    server.wait()
    add(server, "after")
    until(lambda: whole(protection))
    assert deals(protection, "latest", tmp_path) == count(server)


def test_a_full_disk_of_the_archive_is_named_and_costs_no_moment(server, protection, tmp_path):
    archive = protection.container
    archive.run(["sh", "-c", f"cat /dev/zero > {container.HOME}/ballast 2>/dev/null; true"])
    add(server, "while the disk is full")
    for _ in range(3):
        server.psql("SELECT pg_switch_wal()")
        add(server, "more")
    try:
        until(lambda: not protection.status()["window"]["latest"])
        problems = " ".join(protection.status()["window"]["problems"])
        assert "disk" in problems and "full" in problems
        # The live server keeps the WAL, within its bound.
        assert server.psql("SELECT wal_status FROM pg_replication_slots") == "reserved"
    finally:
        archive.run(["rm", f"{container.HOME}/ballast"])
    until(lambda: whole(protection))
    assert deals(protection, "latest", tmp_path) == count(server)


def test_a_new_timeline_begins_a_new_window(server, protection, tmp_path):
    add(server, "on the old timeline")
    time.sleep(1)
    old, held = datetime.now(UTC).isoformat(), count(server)
    time.sleep(1)
    add(server, "later on the old timeline")
    bin_dir = "/usr/lib/postgresql/17/bin"
    server.psql("ALTER SYSTEM SET restore_command = '/bin/false'")
    server.container.exec_run(
        ["sh", "-c", "touch /var/lib/postgresql/test/data/recovery.signal && chown postgres"
         " /var/lib/postgresql/test/data/recovery.signal"], user="root",
    )  # fmt: skip
    server.container.restart(timeout=30)
    server.wait()
    until(lambda: server.psql("SELECT pg_is_in_recovery()") == "f")
    log = server.psql("SELECT timeline_id FROM pg_control_checkpoint()")
    assert log == "2", bin_dir
    add(server, "on the new timeline")
    # What the newest base backup does not lead to is said, and mended by the next care.
    until(lambda: "timeline" in " ".join(protection.status()["window"]["problems"]))
    with pytest.raises(OpsError) as caught:
        MomentSet(protection, "latest").plan()
    assert caught.value.code == "pitr.timeline"
    assert any("base backup" in each for each in protection.maintain(check=True))
    protection.maintain(check=False)
    until(lambda: whole(protection))
    add(server, "after the new base backup")
    assert deals(protection, "latest", tmp_path) == count(server)
    # Moments of the old timeline can be had as before.
    assert deals(protection, old, tmp_path) == held


KILLS = 30


def make_a_set(address: str, root: str) -> None:
    """Make the set of the newest moment: the body of a process that is killed."""
    known = json.loads(address)
    name = known.pop("engine")
    protection = Protection(Database(**known), Settings(name, IMAGE))
    settings = BackupSettings(root=Path(root), keys=Path(root) / "keys")
    MomentSet(protection, "latest").make(settings)


def started(server: Server, protection: Protection, root: Path) -> subprocess.Popen[bytes]:
    """Begin a set in a process of its own."""
    address = json.dumps(
        {
            **{"host": "127.0.0.1", "port": server.port, "name": "book", "user": "pms_ops"},
            **{"password": server.password, "container": server.container.name},
            "engine": protection.settings.container,
        }
    )
    module = "tests.integration.test_pitr_stream"
    code = f"import sys, tests.conftest; from {module} import make_a_set; make_a_set(*sys.argv[1:])"
    return subprocess.Popen(
        [sys.executable, "-c", code, address, str(root)],
        cwd=PROJECT,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=(root / "errors.txt").open("ab"),
    )


def test_thirty_kills_leave_the_server_whole_and_the_next_run_cleans_up(
    server, protection, tmp_path
):
    add(server, "before the kills")
    held = count(server)
    began = time.monotonic()
    assert started(server, protection, tmp_path).wait(300) == 0, (
        tmp_path / "errors.txt"
    ).read_text()
    whole_run = time.monotonic() - began
    for number in range(KILLS):
        process = started(server, protection, tmp_path)
        time.sleep(whole_run * number / KILLS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
        assert count(server) == held
    assert whole(protection)
    assert started(server, protection, tmp_path).wait(300) == 0
    client = docker.from_env()
    image = server.container.image.id
    left = client.containers.list(all=True, filters={"label": throw_away.LABEL})
    assert [
        each.name
        for each in left
        if each.image.id == image
        and each.attrs["Mounts"]
        and protection.container.restores_volume in str(each.attrs["Mounts"])
    ] == []
    listed = protection.container.run(["ls", "-A", container.RESTORES])
    assert (listed.status, listed.output) == (0, "")
    # Every set that is there is a whole one.
    for folder in sets.listed(tmp_path):
        assert manifest.read(folder)["contents"]["public.deal"]["rows"] == held
    assert not [each.name for each in tmp_path.iterdir() if "partial" in each.name]


def numbers(server: Server, folder: Path) -> set[int]:
    """Return the numbers of the deals in a set."""
    (dump,) = folder.glob("*.pgdump")
    program = server.psql_program.with_name("pg_restore")
    words = [program, "--data-only", "--table=deal", "--file=-", dump]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    lines = (line.split("\t") for line in done.stdout.splitlines() if "\t" in line)
    return {int(line[0]) for line in lines}


def test_where_commits_wait_for_the_receiver_none_is_lost_with_the_server(
    server, protection, tmp_path
):
    waiting = Protection(protection.database, replace(protection.settings, synchronous=True))
    assert synchronous.ON in waiting.enable(check=True)
    waiting.enable(check=False)
    assert waiting.enable(check=False) == []
    # While the receiver is away nobody can write: that is said, and the receiver can be mended.
    docker.from_env().containers.get(protection.settings.container).stop(timeout=2)
    until(lambda: not synchronous.confirms(protection.database))
    flow = window.stream(protection.database, ROLE)
    gone = engine.Info((), (), None, receiving=False)
    assert "nobody can write" in " ".join(window.of(gone, [], flow, datetime.now(UTC)).problems)
    waiting.enable(check=False)
    until(lambda: synchronous.confirms(protection.database))
    assert protection.enable(check=False) == [synchronous.OFF]
    assert synchronous.of(protection.database) == ""
    waiting.enable(check=False)

    told: list[int] = []

    def write(session: Any, _number: int) -> None:
        with session.cursor() as cursor:
            cursor.execute("INSERT INTO deal (said) VALUES ('x') RETURNING id")
            told.append(cursor.fetchone()[0])  # it was acknowledged

    with Writers(server, write, 8):
        time.sleep(5)
        server.container.kill()
    server.make_anew(with_volume=False)  # an empty server, of which only the image is needed
    attach(server)
    made = MomentSet(protection, "latest").make(
        BackupSettings(root=tmp_path, keys=tmp_path / "keys")
    )
    server.wait()
    server.make_roles()  # for what comes after the test
    held = numbers(server, Path(made["set"]))
    assert len(told) > 100
    assert set(told) - held == set()
