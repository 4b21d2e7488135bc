# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Twenty random moments under writers, and the whole server brought back from nothing."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event, Thread

import docker
import psycopg2
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.pitr import moment_drill, server_volume
from ansible.module_utils.pmsops.pitr.moment_set import MomentSet
from ansible.module_utils.pmsops.pitr.run import Protection, Settings
from ansible.module_utils.pmsops.pitr.whole_server import WholeServer
from ansible.module_utils.pmsops.services.manager import Services
from ansible.module_utils.pmsops.verify.queries import Query

from tests.support.pitr_server import IMAGE, server_with_volume
from tests.support.server import HYPERTABLE, POSTGRESQL, Server

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(POSTGRESQL != 17, reason="the image of Barman is built for 17 here"),
]
SCHEMA = f"""
CREATE TABLE md (at timestamptz NOT NULL, k int, v float);
{HYPERTABLE}
CREATE TABLE deal (id bigserial PRIMARY KEY, said text);
"""
SUM = """SELECT (SELECT count(*) FROM md), (SELECT count(*) FROM deal),
         (SELECT sum(hash_record_extended(t, 0)::numeric)::text FROM md t),
         (SELECT sum(hash_record_extended(t, 0)::numeric)::text FROM deal t)"""
MOMENTS = 20
WRITERS = 4


@pytest.fixture(scope="module")
def server(images: None) -> Iterator[Server]:
    """A server whose data are in a volume, on a network of its own."""
    with server_with_volume() as (made, network):
        made.network = network
        yield made
    for each in docker.from_env().volumes.list(filters={"label": server_volume.LABEL}):
        if each.attrs["Labels"][server_volume.LABEL] == made.container.name:
            each.remove(force=True)


@pytest.fixture(scope="module")
def protection(server: Server) -> Iterator[Protection]:
    found = server.create("book")
    server.psql(SCHEMA, "book")
    made = Protection(found, Settings(f"pitr_{uuid.uuid4().hex[:8]}", IMAGE))
    made.enable(check=False)
    try:
        yield made
    finally:
        made.disable(check=False, purge=True)


@contextmanager
def writers(server: Server) -> Iterator[None]:
    ends = Event()

    def write(number: int) -> None:
        connection = psycopg2.connect(
            host="127.0.0.1", port=server.port, dbname="book", user="postgres",
            password=server.password,
        )  # fmt: skip
        with connection.cursor() as cursor:
            while not ends.is_set():
                cursor.execute(
                    "INSERT INTO md SELECT now(), %s, random() FROM generate_series(1,9)", (number,)
                )
                cursor.execute("INSERT INTO deal (said) VALUES (md5(random()::text))")
                # Some are undone, and one in ten is open for longer than a moment.
                connection.rollback() if random.random() < 0.1 else connection.commit()
                time.sleep(0.2 if random.random() < 0.1 else 0.005)
        connection.close()

    threads = [Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for each in threads:
        each.start()
    try:
        yield
    finally:
        ends.set()
        for each in threads:
            each.join()


def a_moment(server: Server) -> tuple[str, str]:
    """Return a moment, and what a reader that lets nobody write sees in it."""
    read = server.psql(
        "BEGIN; LOCK TABLE md, deal IN SHARE MODE; "
        f"SELECT clock_timestamp(); {SUM}; SELECT pg_sleep(0.05); COMMIT",
        "book",
    ).splitlines()
    return read[0], read[1]


def seen_in_copy(protection: Protection, asked: str) -> str:
    """Return what a copy that was recovered to a moment holds."""
    at_work = MomentSet(protection, asked)
    with (
        at_work.recovered(at_work.throw_away(), at_work.plan(), {}) as (copy, _reached),
        copy.database.session(read_only=True) as cursor,
    ):
        cursor.execute(SUM)
        return "|".join("" if each is None else str(each) for each in cursor.fetchone())


def now(server: Server) -> str:
    return server.psql("SELECT clock_timestamp()")


def test_twenty_random_moments_under_writers_are_what_a_reader_saw(server, protection):
    moments = []
    with writers(server):
        for number in range(MOMENTS):
            time.sleep(random.uniform(0.1, 1.5))
            moments.append(a_moment(server))
            if number == MOMENTS // 2:
                protection.backup("full")  # some moments have a later base backup than others
        time.sleep(1)
    wrong = {
        asked: (found, seen)
        for asked, seen in random.sample(moments, MOMENTS)
        if (found := seen_in_copy(protection, asked)) != seen
    }
    assert not wrong
    assert len({seen for _, seen in moments}) == MOMENTS


def test_a_random_second_is_drilled_without_a_false_alarm(server, protection, tmp_path):
    time.sleep(15)
    asked = [Query("deals", "SELECT * FROM deal"), Query("none", "SELECT 1", "public.no_table")]
    found = moment_drill.drill(protection, tmp_path, "random", asked)
    assert found["proved"] and found["tables"] >= 2 and found["wal_bytes"] > 0
    assert [each["rows"] is None for each in found["queries"]] == [False, True]
    with pytest.raises(OpsError) as caught:
        moment_drill.drill(protection, tmp_path, "latest", [Query("bad", "SELECT nothing")])
    assert caught.value.code == "pitr.query"


def brought_back(protection: Protection, asked: str, root, **more) -> WholeServer:
    return WholeServer(protection, asked, root, Services("none", ()), **more)


def test_a_server_that_lives_is_not_replaced_without_a_word(server, protection, tmp_path):
    server.psql("INSERT INTO deal (said) VALUES ('mine')", "book")
    for refused in (lambda it: it.plan(), lambda it: it.recorded(tmp_path / "evidence")):
        with pytest.raises(OpsError) as caught:
            refused(brought_back(protection, "latest", tmp_path))
        assert caught.value.code == "pitr.server-lives"
    assert server.psql("SELECT count(*) > 0 FROM deal WHERE said = 'mine'", "book") == "t"


def test_a_server_that_does_not_start_again_leaves_what_was_there(
    server, protection, tmp_path, monkeypatch
):
    server.psql("INSERT INTO deal (said) VALUES ('only live')", "book")
    before = now(server)
    time.sleep(1.1)
    server.psql("DELETE FROM deal WHERE said = 'only live'", "book")
    wanted = server.psql(SUM, "book")

    def fails(self: WholeServer) -> None:
        raise OpsError("It did not start.", "x", code="pitr.not-started")

    monkeypatch.setattr(WholeServer, "_start", fails)
    with pytest.raises(OpsError, match="What was there before is back"):
        brought_back(protection, before, tmp_path, replace_live=True).recorded(tmp_path / "e")
    server.wait()
    assert server.psql(SUM, "book") == wanted
    record = ledger.records(tmp_path / "e", "restore")[-1]["record"]
    assert (record["outcome"], record["code"]) == ("failed", "pitr.not-started")


def test_the_whole_server_is_back_from_nothing_and_protected(server, protection, tmp_path):
    with writers(server):
        time.sleep(2)
        early, seen_early = a_moment(server)
        time.sleep(1)
    server.psql("INSERT INTO deal (said) VALUES ('the last one')", "book")
    wanted = server.psql(SUM, "book")
    time.sleep(2)
    # Container and volume are gone; somebody starts an empty server in their place.
    server.make_anew(with_volume=False)
    docker.from_env().networks.get(server.network).connect(server.container)
    made = brought_back(protection, "latest", tmp_path).recorded(tmp_path / "evidence")
    assert server.psql(SUM, "book") == wanted
    assert made["kept_volume"] and made["tables"] >= 2
    # What is committed before the new base backup has ended cannot be had, and is not left out.
    back = protection.status()
    assert back["window"]["problems"] == [] and back["backups"][-1]["id"] == made["base_backup"]
    server.psql("INSERT INTO deal (said) VALUES ('after')", "book")
    wanted = server.psql(SUM, "book")
    time.sleep(1)
    assert seen_in_copy(protection, "latest") == wanted
    assert seen_in_copy(protection, early) == seen_early  # on the timeline of before
    ended = datetime.fromisoformat(back["backups"][-1]["ended_at"])
    with pytest.raises(OpsError) as caught:
        MomentSet(protection, ended.astimezone(UTC).isoformat()).plan()
    assert caught.value.code == "pitr.timeline"
    line = ledger.records(tmp_path / "evidence", "restore")[-1]["record"]
    assert line["whole_server"] and "outcome" not in line


def test_a_run_that_was_killed_in_the_middle_is_finished_by_the_second(
    server, protection, tmp_path, monkeypatch
):
    wanted = server.psql(SUM, "book")
    real = server_volume._PUT
    # As if the machine had stopped while the data directory was copied.
    monkeypatch.setattr(server_volume, "_PUT", real.replace("cp -a . ", "exit 99; cp -a . "))
    monkeypatch.setattr(WholeServer, "_undo", lambda *_: None)
    with pytest.raises(OpsError) as caught:
        brought_back(protection, "latest", tmp_path, replace_live=True).recorded(tmp_path / "e")
    assert caught.value.code == "pitr.container"
    monkeypatch.setattr(server_volume, "_PUT", real)
    made = brought_back(protection, "latest", tmp_path).recorded(tmp_path / "e")
    assert server.psql(SUM, "book") == wanted
    assert made["kept_volume"] is None  # what is half there is not what was lost
