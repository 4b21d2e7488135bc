# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Any moment, against a real server and a real Barman: what an independent reader saw then."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import docker
import pytest
from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.backup.settings import Settings as BackupSettings
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.pitr import canary, container, damage, proof, receiver, watch
from ansible.module_utils.pmsops.pitr.moment_set import MomentSet
from ansible.module_utils.pmsops.pitr.run import Protection
from ansible.module_utils.pmsops.pitr.settings import ROLE, Settings
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import manifest
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import restore_set

from tests.support.pitr_server import IMAGE, provide_image
from tests.support.server import HYPERTABLE, POSTGRESQL, Server, running_server
from tests.support.writers import Writers, a_moment, superuser

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(POSTGRESQL != 17, reason="the image of Barman is built for 17 here"),
]
SCHEMA = f"""
CREATE TABLE md (at timestamptz NOT NULL, k int, v float);
{HYPERTABLE}
CREATE TABLE seen (id bigserial PRIMARY KEY, k int);
"""
SUM = """SELECT (SELECT count(*) FROM md), (SELECT count(*) FROM seen),
         (SELECT sum(hash_record_extended(t, 0)::numeric)::text FROM md t)"""
WRITERS = 3


@pytest.fixture(scope="module")
def server(images: None) -> Iterator[Server]:
    """A server of its own, on a network of its own."""
    provide_image()
    network = docker.from_env().networks.create(f"pitr-{uuid.uuid4().hex[:8]}")
    try:
        with running_server() as made:
            network.connect(made.container)
            made.container.reload()
            yield made
            network.disconnect(made.container, force=True)
    finally:
        network.remove()


@pytest.fixture(scope="module")
def database(server: Server) -> Database:
    found = server.create("book")
    server.psql(SCHEMA, "book")
    return found


@pytest.fixture(scope="module")
def protection(database: Database) -> Iterator[Protection]:
    settings = Settings(f"pitr_{uuid.uuid4().hex[:8]}", IMAGE, canary_seconds=1)
    made = Protection(database, settings)
    assert any("pg_hba" in each for each in made.enable(check=True))
    made.enable(check=False)
    assert made.enable(check=False) == []
    try:
        yield made
    finally:
        made.disable(check=False, purge=True)


def write(session: Any, number: int) -> None:
    with session.cursor() as cursor:
        cursor.execute(
            "INSERT INTO md SELECT now(), %s, random() FROM generate_series(1,9)", (number,)
        )
        cursor.execute("INSERT INTO seen (k) VALUES (%s)", (number,))
    time.sleep(0.01)


@pytest.fixture
def writers(server: Server, protection: Protection) -> Iterator[None]:
    with Writers(server, write, WRITERS):
        yield


def restored(server: Server, protection: Protection, asked: str, root: Path) -> str:
    """Restore the moment into a staging database, and return what it holds."""
    made = MomentSet(protection, asked).make(BackupSettings(root=root, keys=root / "keys"))
    request = Request(root=root, keys=root / "keys", file=Path(made["set"]), keep=True)
    staged = restore_set(protection.database, request, progress=Progress())
    try:
        return server.psql(SUM, staged["side"])
    finally:
        server.drop(staged["side"])
        (root / ".pms-ops" / "restore.json").unlink(missing_ok=True)


def test_random_moments_under_writers_hold_what_a_reader_saw(server, protection, writers, tmp_path):
    moments = []
    for _ in range(6):
        time.sleep(random.uniform(0.2, 1.5))
        moments.append(a_moment(server, ("md", "seen"), SUM))
    time.sleep(1)
    for asked, seen in random.sample(moments, 3):
        assert restored(server, protection, asked, tmp_path) == seen, asked


def test_a_moment_has_canary_rows_on_both_sides(server, protection, tmp_path):
    def newest() -> datetime:
        return datetime.fromisoformat(
            server.psql(f"SELECT to_json(max(at)) #>> '{{}}' FROM {canary.TABLE}", "postgres")
        )

    before = newest()
    deadline = time.monotonic() + 30
    while newest() == before and time.monotonic() < deadline:
        time.sleep(0.2)
    asked = datetime.now(UTC) + timedelta(seconds=2)
    time.sleep(5)
    made = MomentSet(protection, asked.isoformat()).make(
        BackupSettings(root=tmp_path, keys=tmp_path / "keys")
    )
    witness = made["moment"]["canary"]
    assert witness["warnings"] == []
    assert before < datetime.fromisoformat(witness["before"]) <= asked
    assert asked < datetime.fromisoformat(witness["after"]) + timedelta(seconds=1)
    # The set is of the PMS's database, which knows nothing of the rows.
    assert canary.SCHEMA not in Path(made["set"], "manifest.json").read_text()
    # A copy whose rows differ from the live server's is not that of the moment.
    lie = f"INSERT INTO {canary.TABLE} VALUES (0, '{asked - timedelta(minutes=2)}')"
    server.psql(lie, "postgres")
    try:
        with pytest.raises(OpsError) as caught:
            MomentSet(protection, asked.isoformat()).make(
                BackupSettings(root=tmp_path, keys=tmp_path / "keys")
            )
        assert caught.value.code == "pitr.canary"
    finally:
        server.psql(f"DELETE FROM {canary.TABLE} WHERE number = 0", "postgres")


def test_the_number_of_canary_rows_is_bounded(server, protection):
    count = f"SELECT count(*), max(number) - min(number) + 1 FROM {canary.TABLE}"
    server.psql(
        f"INSERT INTO {canary.TABLE} SELECT number - 9000 + n, at - (9000 - n) * interval '1 s'"
        f" FROM (SELECT min(number) AS number, min(at) AS at FROM {canary.TABLE}),"
        " generate_series(1, 8999) AS n", "postgres",
    )  # fmt: skip
    protection.container.run(["sh", "-c", f". {container.INSIDE.canary} && write_canary"])
    rows, numbers = server.psql(count, "postgres").split("|")
    assert rows == numbers == str(canary.KEPT)


def test_a_table_that_somebody_is_dropping_at_the_moment_is_there(server, protection, tmp_path):
    server.psql("CREATE TABLE victim AS SELECT generate_series(1, 1000) AS id", "book")
    dropping = superuser(server)
    dropping.cursor().execute("DROP TABLE victim")  # not committed yet
    server.psql("INSERT INTO seen (k) VALUES (0)", "book")
    time.sleep(0.3)
    asked = datetime.now(UTC).isoformat()
    time.sleep(0.3)
    dropping.commit()
    dropping.close()
    made = MomentSet(protection, asked).make(BackupSettings(root=tmp_path, keys=tmp_path / "keys"))
    assert "public.victim" in Path(made["set"], "manifest.json").read_text()
    assert server.psql("SELECT to_regclass('victim') IS NULL", "book") == "t"


def test_the_moment_before_a_drop_is_found_and_has_the_table(
    server, database, protection, tmp_path
):
    (tmp_path / ".pms-ops").mkdir()
    for name in ("dropped", "renamed"):
        server.psql(f"CREATE TABLE {name} AS SELECT generate_series(1, 500) AS id", "book")
    damage.remember(database, tmp_path, timedelta(days=14), datetime.now(UTC))
    assert damage.search(protection, tmp_path) == []
    server.psql("TRUNCATE dropped; INSERT INTO dropped SELECT generate_series(1, 321)", "book")
    server.psql("ALTER TABLE renamed RENAME TO other", "book")
    server.psql("BEGIN; SAVEPOINT a; DROP TABLE dropped; RELEASE a; COMMIT", "book")
    server.psql("INSERT INTO seen (k) VALUES (7)", "book")
    time.sleep(0.5)
    (drop,) = damage.search(protection, tmp_path)
    assert drop.table == "public.dropped"
    made = MomentSet(protection, drop.lsn).make(
        BackupSettings(root=tmp_path, keys=tmp_path / "keys")
    )
    document = manifest.read(Path(made["set"]))
    assert document["contents"]["public.dropped"]["rows"] == 321
    assert made["moment"]["canary"]["warnings"] == []


def test_the_copy_recovered_to_a_set_s_moment_equals_its_manifest(
    server, database, protection, writers, tmp_path
):
    settings = BackupSettings(root=tmp_path, keys=tmp_path / "keys", trial="none")
    for _ in range(3):
        backup.run(database, settings, progress=Progress())
        time.sleep(1)
        found = proof.prove(protection, tmp_path, tmp_path / "keys")
        if found["proved"]:
            break
        assert found["crossing"] > 0
    assert found["proved"] and found["rows"] > 0
    # A set that says otherwise is never proved: neither of a row nor of an object.
    folder, keys = tmp_path / found["id"], tmp_path / "keys"
    document = manifest.read(folder)
    table = next(name for name, each in document["contents"].items() if each["rows"])
    of_rows = document["contents"] | {
        table: document["contents"][table] | {"fingerprint": "0" * 32}
    }
    manifest.write(folder, document | {"contents": of_rows}, keys)
    try:
        assert not proof.prove(protection, tmp_path, keys, folder)["proved"]
    except OpsError as exc:
        assert exc.code == "pitr.differs" and table in str(exc)
    tables = {name: each for name, each in document["facts"]["tables"].items() if name != table}
    manifest.write(folder, document | {"facts": document["facts"] | {"tables": tables}}, keys)
    facts: dict = {}
    with pytest.raises(OpsError, match="is not in the backup") as caught:
        proof.prove(protection, tmp_path, keys, folder, facts)
    assert caught.value.code == "pitr.differs"
    # What the ledger records of it.
    assert not facts["proved"] and facts["differences"] and facts["wal_bytes"] > 0
    assert facts["id"] == found["id"] and facts["base_backup"] and facts["duration_seconds"] > 0


def test_the_latest_is_all_that_was_committed(server, protection, tmp_path):
    server.psql("INSERT INTO seen (k) VALUES (42)", "book")
    wanted = server.psql(SUM, "book")
    time.sleep(0.5)
    assert restored(server, protection, "latest", tmp_path) == wanted


def test_a_moment_that_cannot_be_had_changes_nothing(protection, tmp_path):
    before = {each.name for each in docker.from_env().containers.list(all=True)}
    for asked in ("2020-01-01 10:00", "2099-01-01 10:00"):
        with pytest.raises(OpsError):
            MomentSet(protection, asked).make(BackupSettings(root=tmp_path, keys=tmp_path / "keys"))
    assert not [each for each in tmp_path.iterdir() if each.name.startswith("20")]
    after = {each.name for each in docker.from_env().containers.list(all=True)}
    assert not [name for name in after - before if name.startswith("pitr")]


def test_a_stream_that_the_server_ends_begins_again(server, protection):
    server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if protection.status()["window"]["latest"]:
                return
        except OpsError:
            pass
        time.sleep(1)
    pytest.fail("the receiver did not come back")


def test_a_lost_slot_is_mended_by_a_new_base_backup(server, protection):
    before = len(protection.status()["backups"])
    target = watch.Target(protection.settings.container, ROLE)
    assert watch.look(target).problem is None
    docker.from_env().containers.get(protection.settings.container).stop(timeout=2)
    assert seen(target) == "pitr.not-running"
    server.psql("ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'")
    server.psql("SELECT pg_reload_conf()")
    for _ in range(9):
        server.psql("INSERT INTO seen (k) VALUES (1)", "book")
        server.psql("SELECT pg_switch_wal()")
        server.psql("CHECKPOINT")
    assert server.psql("SELECT wal_status FROM pg_replication_slots") == "lost"
    server.psql("ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'")
    server.psql("SELECT pg_reload_conf()")
    docker.from_env().containers.get(protection.settings.container).start()
    assert seen(target) == "pitr.slot-lost"
    assert any("lost" in each for each in protection.status()["window"]["problems"])
    assert any("lost" in each for each in protection.maintain(check=True))
    protection.maintain(check=False)
    after = protection.status()
    assert after["window"]["problems"] == []
    assert after["window"]["gap"]
    assert len(after["backups"]) == before + 1
    assert protection.maintain(check=False) == []
    assert watch.look(target).problem is None


def test_a_slot_that_somebody_dropped_is_made_again_and_a_dead_stream_begins_anew(
    server, protection, monkeypatch
):
    """Before, the receiver asked for ever for a segment that the server had removed."""
    monkeypatch.setattr(receiver, "START_SECONDS", 15)
    before = len(protection.status()["backups"])
    target = watch.Target(protection.settings.container, ROLE)
    engine = docker.from_env().containers.get(protection.settings.container)
    engine.stop(timeout=2)
    server.psql(f"SELECT pg_drop_replication_slot('{ROLE}')")
    for _ in range(9):
        server.psql("INSERT INTO seen (k) VALUES (1)", "book")
        server.psql("SELECT pg_switch_wal()")
        server.psql("CHECKPOINT")
    engine.start()
    assert seen(target) == "pitr.slot-missing"
    steps = protection.maintain(check=False)
    assert any("began the stream anew" in each for each in steps), steps
    after = protection.status()
    assert (after["window"]["problems"], len(after["backups"])) == ([], before + 1)
    assert protection.maintain(check=False) == []
    assert watch.look(target).problem is None


def seen(target: watch.Target) -> str:
    """Return the code of what a look of the watch sees to be wrong."""
    problem = watch.look(target).problem
    assert problem is not None
    return problem.code


def test_disable_leaves_the_server_as_it_was(server, database, protection):
    protection.disable(check=False)
    assert server.psql("SELECT count(*) FROM pg_roles WHERE rolname = 'pms_pitr'") == "0"
    assert server.psql("SELECT count(*) FROM pg_replication_slots") == "0"
    assert server.psql(f"SELECT to_regnamespace('{canary.SCHEMA}') IS NULL") == "t"
    assert server.psql("SHOW max_slot_wal_keep_size") == "-1"
    hba = server.psql("SELECT pg_read_file(current_setting('hba_file'))")
    assert "pms-ops" not in hba
