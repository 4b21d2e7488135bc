# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The warm copy: kept by a drill, proved again by a restore, never a reason for a false proof."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest
from ansible.module_utils.pmsops.common import progress
from ansible.module_utils.pmsops.postgresql import timescaledb_workers
from ansible.module_utils.pmsops.repository import warm_note
from ansible.module_utils.pmsops.restore import registry, room, warm_copy
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import restore_set
from ansible.module_utils.pmsops.restore.swap_run import SwapRun
from ansible.module_utils.pmsops.services.manager import Services
from ansible.module_utils.pmsops.verify import against_set

from tests.support import patterns
from tests.support.server import HAS_TIMESCALEDB, HYPERTABLE, execute, workers_run

JOB = (
    """
CREATE PROCEDURE nothing(job_id int, config jsonb) LANGUAGE plpgsql AS $$ BEGIN END $$;
INSERT INTO _timescaledb_config.bgw_job (id, application_name, schedule_interval, max_runtime,
    max_retries, retry_period, proc_schema, proc_name, owner, scheduled)
VALUES (1000, 'Nothing [1000]', '100 days', '1 hour', -1, '1 hour', 'public', 'nothing',
        'macro_user', true);
"""
    if HAS_TIMESCALEDB
    else ""
)
SCHEMA = f"""
SET ROLE macro_user;
CREATE TABLE md (id bigserial, at timestamptz NOT NULL, value float8, PRIMARY KEY (id, at));
{HYPERTABLE}
INSERT INTO md (at, value) SELECT t, extract(epoch FROM t)
  FROM generate_series(timestamptz '2026-01-01', '2026-04-30', '3 hours') t;
CREATE TABLE book (id bigserial PRIMARY KEY, name text NOT NULL, is_open bool, CHECK (id > 0));
INSERT INTO book (name, is_open) SELECT 'p' || n, n % 2 = 0 FROM generate_series(1, 100) n;
CREATE TABLE journal (id int PRIMARY KEY, position bigint REFERENCES book);
INSERT INTO journal SELECT n, n FROM generate_series(1, 10) n;
CREATE TABLE fills (number int, price float8);
INSERT INTO fills SELECT n, n / 7.0 FROM generate_series(1, 50) n;
CREATE INDEX by_name ON book (name);
CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER guard BEFORE UPDATE ON journal FOR EACH ROW EXECUTE FUNCTION guard();
CREATE VIEW open_positions AS SELECT * FROM book WHERE is_open;
GRANT SELECT ON book TO pg_monitor;
SET ROLE pms_restore;
{JOB}
"""
# What somebody does to a kept copy, and what the restore says of it.
MUTATIONS = {
    "a row changed": ("UPDATE book SET name = 'other' WHERE id = 3", "public.book"),
    "a row deleted": ("DELETE FROM md WHERE id = 7", "public.md"),
    "a row duplicated": ("INSERT INTO fills SELECT * FROM fills WHERE number = 5", "public.fills"),
    "a bit of a float": (
        "UPDATE fills SET price = price * (1 + 2.220446049250313e-16) WHERE number = 3",
        "public.fills",
    ),
    "two values exchanged": (
        "UPDATE fills SET price = CASE number WHEN 1 THEN 2 / 7.0 ELSE 1 / 7.0 END"
        " WHERE number IN (1, 2)",
        "public.fills",
    ),
    "a table truncated": ("TRUNCATE journal", "public.journal"),
    "an index invalid": (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'by_name'::regclass",
        "by_name",
    ),
    "a constraint dropped": ("ALTER TABLE journal DROP CONSTRAINT journal_position_fkey", "fkey"),
    "a sequence moved": ("SELECT setval('book_id_seq', 5000)", "book_id_seq"),
    "another owner": ("ALTER TABLE journal OWNER TO pms_ops", "public.journal"),
    "a grant less": ("REVOKE SELECT ON book FROM pg_monitor", "public.book"),
    "a function changed": (
        "CREATE OR REPLACE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN OLD; END $$",
        "guard",
    ),
    "a trigger disabled": ("ALTER TABLE journal DISABLE TRIGGER guard", "guard"),
    "a view changed": (
        "CREATE OR REPLACE VIEW open_positions AS SELECT * FROM book WHERE NOT is_open",
        "open_positions",
    ),
    "another version of an extension": (
        "UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'plpgsql'",
        "plpgsql",
    ),
    "a member of an extension changed": (
        "ALTER FUNCTION plpgsql_validator(oid) COST 77",
        "not as the drill left it",
    ),
}
OF_TIMESCALEDB = {
    "a job enabled": (
        "UPDATE _timescaledb_config.bgw_job SET scheduled = true WHERE id = 1000",
        "not as the drill left it",
    ),
    "a chunk dropped": ("SELECT drop_chunks('md', timestamptz '2026-02-10')", "md"),
}
if HAS_TIMESCALEDB:
    MUTATIONS |= OF_TIMESCALEDB
# By the rows, by the objects, and by what the drill saw; the others come every night.
EACH_TIME = ("a bit of a float", "a sequence moved", "a member of an extension changed")


def restored(database, request):
    return restore_set(database, replace(request), progress=progress.Progress())


def swap(database, request):
    return SwapRun(database, Services("none", ()), None, None, request.root)


def beside(database):
    return [name for name in registry.read_from(database) if name.startswith(f"{database.name}__")]


@pytest.fixture(scope="module", autouse=True)
def large_disk():
    """The server's disk cannot be seen from this host; how a small one is met, unit tests show."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "free_bytes", lambda cursor, database: 10**12)
        yield patch


@pytest.fixture(scope="module")
def pattern(server, tmp_path_factory, host_tools):
    """A filled database and a set of it, with the client tools of this host."""
    with patterns.database_and_set(
        server, tmp_path_factory.mktemp("warm"), SCHEMA, access="host", bin_dir=str(host_tools)
    ) as made:
        yield made


@pytest.fixture(scope="module")
def drilled(server, pattern, tmp_path_factory):
    """The name and the mark of a warm copy, and a database from which it is made again."""
    folder = tmp_path_factory.mktemp("drilled")
    pattern.set_below(folder)
    request = Request(root=folder / "backups", keys=folder / "keys", warm=True)
    kept = f"{pattern.live.name}_warm_pattern"
    with pattern.database() as database:
        name = restored(database, request)["warm_kept"]
        mark = registry.read_from(database)[name].mark
        server.psql(f"ALTER DATABASE {name} RENAME TO {kept}")
        server.psql(f"COMMENT ON DATABASE {kept} IS NULL")
    yield name, mark, kept
    server.drop(kept)


@pytest.fixture
def database(pattern):
    with pattern.database() as made:
        yield made


@pytest.fixture
def request_(tmp_path):
    return Request(root=tmp_path / "backups", keys=tmp_path / "keys", keep=True)


@pytest.fixture
def taken(pattern, request_):
    return pattern.set_below(request_.root.parent)


@pytest.fixture
def warm(server, drilled, database, taken, request_):
    """The name of a warm copy of the set, as a drill left it."""
    name, mark, kept = drilled
    server.psql(f"CREATE DATABASE {name} OWNER macro_user TEMPLATE {kept} STRATEGY FILE_COPY")
    marked(database, name, mark)
    server.psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    warm_copy.note(database, request_.root)
    return name


def marked(database, name, mark):
    registry.set_mark(database, name, mark | {"oid": registry.read_from(database)[name].oid})


@contextmanager
def let_in(server, name):
    server.psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    yield
    server.psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")


def test_a_drill_keeps_its_copy_closed_and_the_next_drill_replaces_it(database, taken, request_):
    drill = replace(request_, keep=False, warm=True)
    first = restored(database, drill)
    found = registry.read_from(database)[first["warm_kept"]]
    assert (found.kind, found.open, found.mark["set"]) == (registry.WARM, False, taken.name)
    assert found.mark["manifest_sha256"] == first["manifest_sha256"]
    assert warm_note.is_of(request_.root, taken)
    second = restored(database, drill)["warm_kept"]
    assert beside(database) == [second] != [first["warm_kept"]]
    assert restored(database, replace(drill, warm=False))["warm_kept"] is None
    assert beside(database) == []
    assert warm_note.read(request_.root) is None


def test_a_restore_of_a_warm_set_loads_nothing_and_rolls_back_like_any_other(
    database, taken, request_, warm
):
    execute(database, "DELETE FROM journal; UPDATE book SET name = 'damaged'")
    assert swap(database, request_).run("recovered", None, resume=taken)["recovered"] == []
    oid = registry.read_from(database)[warm].oid
    done = restored(database, request_)
    assert (done["warm_used"], done["differences"]) == (warm, 0)
    assert done["negative_control"]["outcome"] == "found"
    assert not {"create", "data", "post-data"} & set(done["phases"])
    assert warm_note.read(request_.root) is None
    swapped = swap(database, request_).run("swapped", done["side"])
    assert registry.read_from(database)[database.name].oid == oid
    assert against_set.against(database, root=request_.root, keys=request_.keys)["identical"]
    assert timescaledb_workers.insert_test(database) == []
    assert workers_run(database) or not HAS_TIMESCALEDB
    assert beside(database) == [swapped["former"]]
    back = swap(database, request_).run("rolled_back", None)
    with database.session(read_only=True) as cursor:
        cursor.execute("SELECT count(*) FROM journal")
        assert cursor.fetchone() == (0,)
    assert beside(database) == [back["former"]]


def test_the_former_database_of_the_last_swap_serves_a_restore_of_its_set(
    database, taken, request_
):
    first = restored(database, request_)
    assert first["warm_used"] is None
    former = swap(database, request_).run("swapped", first["side"])["former"]
    oid = registry.read_from(database)[former].oid
    execute(database, "DELETE FROM journal")
    done = restored(database, request_)
    assert (done["side"], done["warm_used"]) == (former, former)
    assert done["negative_control"]["outcome"] == "found"
    assert "data" not in done["phases"]
    swapped = swap(database, request_).run("swapped", former)
    assert registry.read_from(database)[database.name].oid == oid
    assert against_set.against(database, root=request_.root, keys=request_.keys)["identical"]
    assert timescaledb_workers.insert_test(database) == []
    swap(database, request_).run("rolled_back", None)
    with database.session(read_only=True) as cursor:
        cursor.execute("SELECT count(*) FROM journal")
        assert cursor.fetchone() == (0,)
    assert swapped["former"] not in beside(database)
    # Now the rolled-back one is what the live database replaced last; a row of it is changed.
    (back,) = beside(database)
    execute(database.named(back), "SET TRANSACTION READ WRITE; DELETE FROM fills")
    again = restored(database, request_)
    assert again["warm_used"] is None and "data" in again["phases"]
    assert back in beside(database)


@pytest.mark.parametrize(
    "kind",
    [
        each if each in EACH_TIME else pytest.param(each, marks=pytest.mark.nightly)
        for each in MUTATIONS
    ],
)
def test_a_changed_copy_is_found_before_the_swap_and_the_set_restored_from_its_files(
    server, database, request_, warm, kind
):
    sql, said = MUTATIONS[kind]
    with let_in(server, warm):
        server.psql(sql, warm)
    done = restored(database, request_)
    assert done["warm_used"] is None
    assert [each for each in done["warnings"] if f"{warm} is not used" in each and said in each]
    assert beside(database) == [done["side"]]
    assert "data" in done["phases"]
