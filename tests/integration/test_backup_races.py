# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backups while another session changes tables without a pause: issue 18, A24."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest
from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.common import progress
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import table_locks
from ansible.module_utils.pmsops.postgresql.snapshot import Snapshot
from ansible.module_utils.pmsops.repository import manifest, retention

from tests.support.server import HYPERTABLE, execute

SCHEMA = f"""
CREATE TABLE md (id bigserial, at timestamptz NOT NULL, value float8, PRIMARY KEY (id, at));
{HYPERTABLE}
INSERT INTO md (at, value)
SELECT t, 1 FROM generate_series(timestamptz '2026-01-01', '2026-06-30', '1 hour') t;
CREATE TABLE kept (id int PRIMARY KEY);
INSERT INTO kept SELECT generate_series(1, 100);
CREATE TABLE coming (id int);
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM kept;
"""
# What compressing and decompressing by hand does to relations: drops, makes, empties, rewrites.
CHANGES = (
    "DROP TABLE coming; CREATE TABLE coming (id int); INSERT INTO coming VALUES (1)",
    "REFRESH MATERIALIZED VIEW counted",
    "BEGIN; TRUNCATE kept; INSERT INTO kept SELECT generate_series(1, 100); COMMIT",
    "ALTER TABLE kept ALTER id TYPE bigint; ALTER TABLE kept ALTER id TYPE int",
)


@contextmanager
def changing(server, name: str, seconds: float) -> Iterator[list[int]]:
    """Change a table every *seconds*; give the numbers of the changes that were made."""
    ended = threading.Event()
    made: list[int] = []

    def work() -> None:
        connection = server.database(name).connect()
        with connection, connection.cursor() as cursor:
            cursor.execute("SET application_name = 'migrations'")
        connection.autocommit = True
        with connection.cursor() as cursor:
            while not ended.wait(seconds):
                cursor.execute(CHANGES[len(made) % len(CHANGES)])
                made.append(len(made))
        connection.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        ended.set()
        thread.join(60)


@pytest.fixture
def settings(tmp_path):
    return backup.Settings(
        root=tmp_path / "backups",
        keys=tmp_path / "keys",
        trial="none",
        canary=False,
        policy=retention.Policy(last=20),
    )


def require_whole(results):
    for result in results:
        contents = manifest.read(Path(result["set"]))["contents"]
        assert contents["public.kept"]["rows"] == 100
        assert contents["public.coming"]["rows"] in (0, 1)


def test_backups_succeed_while_a_session_changes_tables_each_second(server, database, settings):
    execute(database, SCHEMA)
    with changing(server, database.name, 1.0) as made:
        results = [backup.run(database, settings, progress=progress.Progress()) for _ in range(2)]
    assert made, "the session changed nothing"
    require_whole(results)


@pytest.mark.nightly
@pytest.mark.parametrize("seconds", [1.0, 0.3])
@pytest.mark.parametrize("jobs", [1, 2])
def test_twenty_of_twenty_backups_succeed(server, database, settings, jobs, seconds):
    execute(database, SCHEMA)
    settings = replace(settings, jobs=jobs)
    with changing(server, database.name, seconds):
        results = [backup.run(database, settings, progress=progress.Progress()) for _ in range(20)]
    require_whole(results)


def test_a_table_that_was_emptied_between_snapshot_and_lock_is_seen(database):
    execute(database, SCHEMA)
    with Snapshot(database, connections=1) as snapshot:
        table_locks.require_unchanged(snapshot.cursors[0])
        execute(database, "TRUNCATE kept")
        with pytest.raises(OpsError, match=r"rewrote or dropped public\.kept") as caught:
            table_locks.require_unchanged(snapshot.cursors[0])
    assert table_locks.is_lost(caught.value)


def test_a_locked_snapshot_keeps_its_tables_and_a_circle_of_three_is_seen(database):
    execute(database, SCHEMA)
    watch = table_locks.LockWatch(database)
    other, third = database.connect(), database.connect()
    with Snapshot(database, connections=2, locked=True):
        waiting = threading.Thread(target=_ending, args=(other, "DROP TABLE kept"))
        with other.cursor() as cursor:
            cursor.execute("SET application_name = 'migrations'")
        waiting.start()
        _until_waiting(database, "DROP TABLE kept")
        behind = threading.Thread(target=_ending, args=(third, "SELECT count(*) FROM kept"))
        behind.start()
        _until_waiting(database, "SELECT count(*) FROM kept")
        watch._looked -= table_locks.LOOK_SECONDS
        with pytest.raises(OpsError, match="DROP TABLE kept") as caught:
            watch.look()
        assert caught.value.code == "database.locked"
    for thread, connection in ((waiting, other), (behind, third)):
        thread.join(20)
        connection.close()
    watch.close()


def _ending(connection, sql: str) -> None:
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
    except psycopg2.Error:
        return  # the other order of the two is as good


def _until_waiting(database, query: str) -> None:
    with database.session(autocommit=True) as cursor:
        for _ in range(200):
            cursor.execute(
                "SELECT count(*), pg_sleep(0.05) FROM pg_stat_activity"
                " WHERE query = %s AND wait_event_type = 'Lock'",
                (query,),
            )
            if cursor.fetchone()[0]:
                return
    raise AssertionError(f"{query} does not wait")
