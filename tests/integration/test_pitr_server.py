# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Twenty random moments under writers, and the whole server brought back from nothing."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import docker
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.pitr import (
    archive_room,
    former_servers,
    moment_drill,
    server_rollback,
    server_volume,
)
from ansible.module_utils.pmsops.pitr.moment_set import MomentSet
from ansible.module_utils.pmsops.pitr.run import Protection
from ansible.module_utils.pmsops.pitr.server_rollback import ServerRollback
from ansible.module_utils.pmsops.pitr.settings import Settings
from ansible.module_utils.pmsops.pitr.whole_server import WholeServer
from ansible.module_utils.pmsops.services.manager import Services
from ansible.module_utils.pmsops.verify.queries import Query

from tests.support.pitr_server import IMAGE, server_with_volume
from tests.support.server import HYPERTABLE, POSTGRESQL, Server
from tests.support.writers import Writers, a_moment

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
    for each in docker.from_env().volumes.list(filters={"label": former_servers.LABEL}):
        if each.attrs["Labels"][former_servers.LABEL] == made.container.name:
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


def write(session: Any, number: int) -> None:
    with session.cursor() as cursor:
        cursor.execute(
            "INSERT INTO md SELECT now(), %s, random() FROM generate_series(1,9)", (number,)
        )
        cursor.execute("INSERT INTO deal (said) VALUES (md5(random()::text))")
    # Some are undone, and one in ten is open for longer than a moment.
    session.rollback() if random.random() < 0.1 else session.commit()
    time.sleep(0.2 if random.random() < 0.1 else 0.005)


def writers(server: Server) -> Writers:
    return Writers(server, write, WRITERS, autocommit=False)


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
            moments.append(a_moment(server, ("md", "deal"), SUM))
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
    return WholeServer(protection, root, Services("none", ()), asked=asked, **more)


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
        early, seen_early = a_moment(server, ("md", "deal"), SUM)
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
    monkeypatch.setattr(server_volume, "_PUT", real.replace("stage=$from", "exit 99"))
    monkeypatch.setattr(WholeServer, "_undo", lambda *_: None)
    with pytest.raises(OpsError) as caught:
        brought_back(protection, "latest", tmp_path, replace_live=True).recorded(tmp_path / "e")
    assert caught.value.code == "pitr.container"
    monkeypatch.setattr(server_volume, "_PUT", real)
    made = brought_back(protection, "latest", tmp_path).recorded(tmp_path / "e")
    assert server.psql(SUM, "book") == wanted
    assert made["kept_volume"] is None  # what is half there is not what was lost


def test_a_whole_server_is_undone_with_one_word(server, protection, tmp_path):
    evidence, container = tmp_path / "e", str(protection.database.container)
    server.psql("INSERT INTO deal (said) VALUES ('before')", "book")
    time.sleep(1.1)
    moment, seen = a_moment(server, ("md", "deal"), SUM)
    time.sleep(1.1)
    server.psql("INSERT INTO deal (said) VALUES ('only live')", "book")
    wanted = server.psql(SUM, "book")
    time.sleep(1)
    restored = brought_back(protection, moment, tmp_path, replace_live=True).recorded(evidence)
    assert server.psql(SUM, "book") == seen != wanted
    server.psql("INSERT INTO deal (said) VALUES ('lost by the undo')", "book")

    former = server_rollback.wanted(ledger.inspect(evidence).entries, None, container)
    assert former == restored["kept_volume"]
    undo = ServerRollback(protection, tmp_path, Services("none", ()), former=str(former))
    assert f"bring back: {former}" in undo.plan()[0]
    assert server.psql(SUM, "book") not in (seen, wanted)  # the plan has changed nothing
    undone = undo.recorded(evidence)
    assert server.psql(SUM, "book") == wanted
    line = ledger.records(evidence, "rollback")[-1]["record"]
    assert line["whole_server"] and line["brought_back"] == former and "outcome" not in line
    # It is protected, on a timeline of its own, and both histories can be had.
    assert protection.status()["window"]["problems"] == []
    server.psql("INSERT INTO deal (said) VALUES ('after the undo')", "book")
    newest = server.psql(SUM, "book")
    time.sleep(1)
    assert seen_in_copy(protection, "latest") == newest
    assert seen_in_copy(protection, moment) == seen
    # The server that was undone is kept, and a second word changes nothing.
    assert server_rollback.wanted(ledger.inspect(evidence).entries, None, container) == ""
    kept = [each.volume for each in former_servers.listed(container)]
    assert {former, undone["undone"]} <= set(kept)
    docker.from_env().volumes.get(former).remove()
    with pytest.raises(OpsError) as caught:
        ServerRollback(protection, tmp_path, Services("none", ()), former=str(former)).plan()
    assert caught.value.code == "pitr.former-gone"


def test_a_short_disk_costs_the_oldest_base_backups_and_no_more(server, protection):
    while len(protection.engine.info().usable) < 3:
        protection.backup("full")
    bases = [each.id for each in protection.engine.info().usable]
    policy = archive_room.Policy(free_percent=100, floor_days=0, full_backups=1)
    settings = replace(protection.settings, room=policy)
    proved = Protection(protection.database, settings, proved=bases[1])
    would = proved.expire(check=True)
    assert bases[0] in would[0] and len(would) == 1
    assert len(protection.engine.info().usable) == len(bases)
    assert bases[0] in proved.expire(check=False)[0]
    assert [each.id for each in protection.engine.info().usable] == bases[1:]
    assert bases[1] in " ".join(proved.status()["window"]["problems"])  # it stays, and why
    wanted = server.psql(SUM, "book")
    assert seen_in_copy(protection, "latest") == wanted
