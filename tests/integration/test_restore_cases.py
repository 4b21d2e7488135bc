# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What restores meet beside the straight way: lost databases, killed runs, odd settings, parts."""

from __future__ import annotations

import contextlib
import functools
import json
import subprocess
import threading
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import psycopg2
import pytest
from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.client_tools import archive_contents
from ansible.module_utils.pmsops.client_tools import factory as client_tools
from ansible.module_utils.pmsops.common import progress
from ansible.module_utils.pmsops.common.errors import BrokenProofError, OpsError
from ansible.module_utils.pmsops.evidence import ledger, restores
from ansible.module_utils.pmsops.postgresql import timescaledb_held_jobs, timescaledb_workers
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.restore import (
    crash_recovery,
    database_lock,
    former_tables,
    phases,
    preflight,
    registry,
    renames,
    role_restore,
    scratch,
    single_tables,
    staging_database,
    swap,
)
from ansible.module_utils.pmsops.restore import proof as restore_proof
from ansible.module_utils.pmsops.restore.plan import plan_restore, result_if_matching
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import restore_set
from ansible.module_utils.pmsops.restore.swap_run import SwapRun
from ansible.module_utils.pmsops.services.manager import Services
from ansible.module_utils.pmsops.verify import (
    against_set,
    changed_row,
    negative_control,
    queries,
)
from ansible.module_utils.pmsops.verify.row_comparison import OfFingerprints

from tests.support import patterns
from tests.support.server import (
    HAS_TIMESCALEDB,
    HYPERTABLE,
    execute,
    needs_timescaledb,
    workers_run,
)
from tests.support.tiers import deep_but

SCHEMA = """
CREATE TABLE md (id bigserial, at timestamptz NOT NULL, value float8, PRIMARY KEY (id, at));
{hypertable}
INSERT INTO md (at, value) SELECT t, 1 FROM generate_series(timestamptz '2026-01-01',
                                                            '2026-04-30', '1 day') t;
CREATE TABLE book (id int PRIMARY KEY, name text);
INSERT INTO book SELECT n, 'p' || n FROM generate_series(1, 50) n;
CREATE TABLE parted (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
INSERT INTO parted VALUES (1, '2026-02-01'), (2, '2026-08-01');
"""
SEQUENCES = """
CREATE SEQUENCE public.tickets; CREATE SEQUENCE public.down INCREMENT -1; CREATE SEQUENCE public.q;
"""
JOB = """
INSERT INTO _timescaledb_config.bgw_job (id, application_name, schedule_interval, max_runtime,
    max_retries, retry_period, proc_schema, proc_name, owner, scheduled)
VALUES (1000, 'Retention [1000]', '1 day', '1 hour', -1, '1 hour', 'public', 'f', 'macro_user', {})
"""


def pattern_of(server, folder, host_tools, *, hypertables):
    """Make a filled database, a set of it and its keys; the host's own tools start sooner."""
    return patterns.database_and_set(
        server,
        folder,
        "SET ROLE macro_user;" + SCHEMA.format(hypertable=HYPERTABLE if hypertables else ""),
        timescaledb=hypertables and HAS_TIMESCALEDB,
        access="host",
        bin_dir=str(host_tools),
    )


@pytest.fixture(scope="module")
def with_hypertables(server, tmp_path_factory, host_tools):
    folder = tmp_path_factory.mktemp("pattern")
    with pattern_of(server, folder, host_tools, hypertables=True) as made:
        yield made


@pytest.fixture(scope="module")
def plain(server, tmp_path_factory, host_tools):
    folder = tmp_path_factory.mktemp("plain")
    with pattern_of(server, folder, host_tools, hypertables=False) as made:
        yield made


@pytest.fixture
def pattern(request):
    """What is copied for a test: a third of the work where TimescaleDB has no part in it."""
    marked = request.node.get_closest_marker("hypertables")
    return request.getfixturevalue("with_hypertables" if marked else "plain")


@pytest.fixture
def filled(pattern):
    with pattern.database() as database:
        yield database


@pytest.fixture
def request_(tmp_path):
    return Request(root=tmp_path / "backups", keys=tmp_path / "keys", keep=True)


def backed_up(database, request, **options):
    settings = backup.Settings(root=request.root, keys=request.keys, trial="none", **options)
    return Path(backup.run(database, settings, progress=progress.Progress())["set"])


@pytest.fixture
def taken(pattern, request_):
    return pattern.set_below(request_.root.parent)


def restored(database, request):
    return restore_set(database, replace(request), progress=progress.Progress())


def operation(database, request, **options):
    given = {"services": Services("none", ()), "redis": None, "url": None} | options
    return SwapRun(database=database, root=request.root, **given)


def names_beside(database):
    return [name for name in registry.read_from(database) if name.startswith(f"{database.name}__")]


def value(database, sql):
    with database.session(read_only=True) as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def identical(database, request):
    return against_set.against(database, root=request.root, keys=request.keys)


def refused(database, request):
    with pytest.raises(OpsError) as caught:
        restored(database, request)
    assert names_beside(database) == []
    assert not (request.root / ".pms-ops" / "restore.json").exists()
    return caught.value


# --- The live database is gone --------------------------------------------------------------------


@pytest.mark.hypertables
def test_a_database_that_is_gone_comes_back_whole(server, filled, request_, taken):
    server.drop(filled.name)
    operation(filled, request_).run("recovered", None, resume=taken)
    result = restored(filled, request_)
    done = operation(filled, request_).run("swapped", result["side"])
    assert done["former"] is None
    assert identical(filled, request_)["identical"]
    assert workers_run(filled)
    assert names_beside(filled) == []


def test_with_no_database_before_it_one_the_pms_does_not_like_stays(
    server, filled, request_, taken, monkeypatch
):
    monkeypatch.setattr(swap, "PROBE_SECONDS", 0)
    server.drop(filled.name)
    side_name = restored(filled, request_)["side"]
    with pytest.raises(OpsError, match="It stays live") as caught:
        operation(filled, request_, url="http://127.0.0.1:9").run("swapped", side_name)
    assert caught.value.code == "restore.probe-only"
    assert value(filled, "SELECT count(*) FROM book") == 50
    assert not (request_.root / ".pms-ops" / "restore.json").exists()


@pytest.mark.hypertables
def test_a_bare_dump_brings_a_lost_database_back_with_all_that_it_says(
    server, filled, request_, tmp_path
):
    server.psql(
        f"ALTER DATABASE {filled.name} SET search_path = '$user', public;"
        f"ALTER DATABASE {filled.name} CONNECTION LIMIT 40;"
        f"REVOKE ALL ON DATABASE {filled.name} FROM PUBLIC;"
        f"GRANT CONNECT ON DATABASE {filled.name} TO pg_monitor"
    )
    dump = naive_dump(filled, tmp_path)
    before = identity(filled)
    server.drop(filled.name)
    result = restored(filled, replace(request_, file=dump))
    assert "as many rows" in result["verified"]
    operation(filled, request_).run("swapped", result["side"])
    assert identity(filled) == before
    assert value(filled, "SELECT count(*) FROM md") == 120


def identity(database):
    """Return what a database is apart from its contents; no grants means the usual ones."""
    return value(
        database,
        """SELECT jsonb_build_object('owner', datdba::regrole, 'limit', datconnlimit,
                  'collate', datcollate, 'acl', (SELECT jsonb_agg(a::text ORDER BY a::text)
                     FROM unnest(coalesce(datacl, acldefault('d', datdba))) a),
                  'settings', (SELECT jsonb_agg(c ORDER BY c)
                     FROM pg_db_role_setting, unnest(setconfig) c WHERE setdatabase = d.oid))::text
             FROM pg_database d WHERE datname = current_database()""",
    )


def naive_dump(database, tmp_path, name="naive"):
    folder = tmp_path / name
    folder.mkdir()
    status, said = client_tools.for_database(database).run(
        "pg_dump", ["-Fc", f"--file={folder}/x.pgdump"], folders={folder: "rw"}
    )
    assert status == 0, said
    return folder / "x.pgdump"


# --- Bare dumps -----------------------------------------------------------------------------------


def test_a_bare_dump_is_never_taken_for_done(filled, request_, tmp_path):
    """It has no manifest to be known by, so no run before can have finished it."""
    for content in (b"", b"PGDMP and no more"):
        (tmp_path / "x.pgdump").write_bytes(content)
        found = operation(filled, request_).run("recovered", None, resume=tmp_path / "x.pgdump")
        assert found["resumed"] is False
        refused(filled, replace(request_, file=tmp_path / "x.pgdump"))


@pytest.mark.hypertables
def test_the_owner_can_still_dump_the_database_by_other_means(server, filled, taken):
    """The rights to our own table are what a dump by the owner would fail of."""
    assert server.psql(
        "SET ROLE macro_user; SELECT count(*) FROM pms_ops.canary", filled.name
    ) == "1"  # fmt: skip


@pytest.mark.parametrize(
    "share",
    deep_but(
        [0.3, 0.6, 0.9, 0.99],
        stay=(0.6, 0.99),
        by="tests/integration/test_restore_cases.py"
        "::test_a_bare_dump_that_was_cut_off_is_refused[0.6]",
    ),
)
def test_a_bare_dump_that_was_cut_off_is_refused(filled, request_, tmp_path, share):
    dump = naive_dump(filled, tmp_path)
    content = dump.read_bytes()
    dump.write_bytes(content[: int(len(content) * share)])
    error = refused(filled, replace(request_, file=dump))
    assert error.code in ("set.damaged", "clients.failed")


@pytest.mark.parametrize(
    "compression",
    deep_but(
        ["zstd", "lz4", "gzip", "none"],
        stay=("zstd", "none"),
        by="tests/integration/test_restore_cases.py"
        "::test_a_bare_folder_of_which_a_file_was_cut_is_refused[zstd]",
    ),
)
def test_a_bare_folder_of_which_a_file_was_cut_is_refused(filled, request_, tmp_path, compression):
    """pg_restore 17.12 ends with 0 for zstd and lz4, with the rows before the cut."""
    folder = tmp_path / "dump"
    folder.mkdir(mode=0o777)
    status, said = client_tools.for_database(filled).run(
        "pg_dump",
        ["-Fd", f"--compress={compression}", f"--file={folder}/x"],
        folders={folder: "rw"},
    )
    assert status == 0, said
    whole = archive_contents.read(client_tools.for_database(filled), folder / "x")
    assert whole.rows["public", "book"] == 50
    data = max((folder / "x").glob("*[0-9].dat*"), key=lambda path: path.stat().st_size)
    content = data.read_bytes()
    data.write_bytes(content[: len(content) // 2])
    error = refused(filled, replace(request_, file=folder / "x"))
    assert error.code == "set.damaged" and data.name in str(error)
    data.write_bytes(content)
    if compression != "none":
        data.with_suffix("").write_bytes(b"\\.\n\n\n")
        error = refused(filled, replace(request_, file=folder / "x"))
        assert "has both" in str(error)


def test_a_bare_dump_of_another_database_is_refused(server, filled, request_, tmp_path):
    other = server.create(f"other_{uuid.uuid4().hex[:6]}")
    try:
        dump = naive_dump(replace(filled, name=other.name), tmp_path)
        error = refused(filled, replace(request_, file=dump))
        assert error.code == "restore.other-database"
    finally:
        server.drop(other.name)


def test_a_bare_dump_names_the_roles_that_it_needs(server, filled, request_, tmp_path):
    server.psql("CREATE ROLE gone_soon")
    server.psql("GRANT SELECT ON book TO gone_soon", filled.name)
    dump = naive_dump(filled, tmp_path)
    server.psql("DROP OWNED BY gone_soon; DROP ROLE gone_soon", filled.name)
    error = refused(filled, replace(request_, file=dump, create_roles=True))
    assert error.code == "restore.roles"
    assert "gone_soon" in str(error)


@pytest.mark.hypertables
@needs_timescaledb
def test_a_bare_dump_of_another_timescaledb_is_refused(filled, request_, tmp_path, monkeypatch):
    dump = naive_dump(filled, tmp_path)
    real = archive_contents.read

    def older(*args, **options):
        found = real(*args, **options)
        assert found.timescaledb_version == value(
            filled, "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
        )
        found.timescaledb_version = "1.0.0"
        return found

    monkeypatch.setattr(archive_contents, "read", older)
    error = refused(filled, replace(request_, file=dump))
    assert error.code == "restore.timescaledb-version"


@pytest.mark.hypertables
def test_a_row_lost_on_the_way_is_seen_without_a_manifest(filled, request_, tmp_path, monkeypatch):
    dump = naive_dump(filled, tmp_path)
    real = phases.PhasedRestore.end_restoring

    def losing(self):
        real(self)
        with self.target.session(superuser=True, autocommit=True) as cursor:
            cursor.execute("DELETE FROM book WHERE id = 7")

    monkeypatch.setattr(phases.PhasedRestore, "end_restoring", losing)
    error = refused(filled, replace(request_, file=dump))
    assert error.code == "restore.different"
    assert "public.book has 49 rows, the dump 50" in str(error)


# --- Jobs, settings, extensions -------------------------------------------------------------------


@pytest.mark.hypertables
@needs_timescaledb
@pytest.mark.parametrize(
    "scheduled",
    deep_but(
        [True, False],
        stay=(True,),
        by="tests/integration/test_restore_cases.py"
        "::test_jobs_are_held_in_the_copy_and_run_once_it_is_live[True]",
    ),
)
def test_jobs_are_held_in_the_copy_and_run_once_it_is_live(server, filled, request_, scheduled):
    server.psql(JOB.format(scheduled), filled.name)
    backed_up(filled, request_)
    result = restored(filled, request_)
    copy = filled.named(result["side"])
    asked = "SELECT scheduled FROM timescaledb_information.jobs WHERE job_id = 1000"
    assert result["jobs"] == ([1000] if scheduled else [])
    assert value(copy, asked) is False
    operation(filled, request_).run("swapped", result["side"])
    assert value(filled, asked) is scheduled
    assert identical(filled, request_)["identical"]
    with filled.session(read_only=True) as cursor:
        assert timescaledb_held_jobs.held(cursor) == []


@pytest.mark.hypertables
@needs_timescaledb
def test_a_job_that_changed_is_named(server, filled, request_):
    server.psql(JOB.format(True), filled.name)
    backed_up(filled, request_)
    server.psql("UPDATE _timescaledb_config.bgw_job SET scheduled = false WHERE id = 1000",
                filled.name)  # fmt: skip
    assert identical(filled, request_)["differences"] == [
        "jobs: 1000 has scheduled False, not True"
    ]


def test_settings_grants_and_limits_come_back_as_they_were(server, filled, request_):
    name = filled.name
    server.psql(
        f"""ALTER DATABASE {name} SET search_path = '$user', public, "odd, one";
            ALTER DATABASE {name} SET app.name = 'a=b; ''c''';
            ALTER ROLE macro_user IN DATABASE {name} SET work_mem = '8MB';
            ALTER DATABASE {name} CONNECTION LIMIT 30;
            COMMENT ON DATABASE {name} IS 'the book';
            REVOKE ALL ON DATABASE {name} FROM PUBLIC;
            GRANT CONNECT ON DATABASE {name} TO pg_monitor WITH GRANT OPTION;
            SET ROLE pg_monitor; GRANT CONNECT ON DATABASE {name} TO pg_read_all_stats"""
    )
    backed_up(filled, request_)
    before = identity(filled)
    operation(filled, request_).run("swapped", restored(filled, request_)["side"])
    assert identity(filled) == before
    assert value(filled, "SELECT shobj_description(oid, 'pg_database') FROM pg_database"
                         " WHERE datname = current_database()") == "the book"  # fmt: skip


def test_sequences_that_move_while_they_are_backed_up_are_no_difference(filled, request_):
    """A sequence belongs to no snapshot: pg_dump and the proof's reading see different values."""
    execute(filled, SEQUENCES)
    over = threading.Event()

    def draw():
        with filled.session(autocommit=True) as cursor:
            while not over.wait(0.002):
                cursor.execute("SELECT nextval('public.tickets'), nextval('public.down')")

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        folder = backed_up(filled, request_)
    finally:
        over.set()
        thread.join()
    recorded = sets.resolve(folder).manifest["facts"]["sequences"]
    moved = {name for name, facts in recorded.items() if "moved_to" in facts}
    assert moved == {"public.tickets", "public.down"}
    assert restored(filled, replace(request_, keep=False))["differences"] == 0
    execute(filled, "SELECT setval('public.q', 7), setval('public.tickets', 1000000)")
    found = against_set.against(filled, root=request_.root, keys=request_.keys)["differences"]
    assert {"public.q", "public.tickets"} <= {each.split()[1] for each in found}


def test_an_extension_comes_back_in_its_version_and_schema(server, filled, request_):
    server.psql("CREATE SCHEMA parts AUTHORIZATION macro_user", filled.name)
    server.psql("CREATE EXTENSION pg_trgm SCHEMA parts VERSION '1.5'", filled.name)
    backed_up(filled, request_)
    result = restored(filled, request_)
    assert result["differences"] == 0
    copy = filled.named(result["side"])
    assert value(copy, "SELECT extversion FROM pg_extension WHERE extname = 'pg_trgm'") == "1.5"


def test_an_owner_that_is_no_superuser_and_a_view_in_a_circle_of_schemas_survive(filled, request_):
    execute(
        filled,
        """SET ROLE macro_user; CREATE SCHEMA one; CREATE SCHEMA two;
           CREATE TABLE one.t (id int PRIMARY KEY); CREATE VIEW two.v AS SELECT * FROM one.t;
           CREATE MATERIALIZED VIEW one.m AS SELECT count(*) FROM two.v;
           CREATE SEQUENCE two.s; SELECT nextval('two.s')""",
    )
    backed_up(filled, request_)
    assert restored(filled, replace(request_, keep=False))["differences"] == 0


AUTOVACUUM = """
SELECT coalesce(jsonb_object_agg(c.relname, c.reloptions), '{}') FROM pg_class c
 WHERE c.relkind IN ('r', 'm') AND c.relnamespace::regnamespace::text !~ '^(pg_|information_)'
   AND array_to_string(c.reloptions, ',') ~ 'autovacuum_enabled'
"""


@pytest.mark.hypertables
def test_autovacuum_keeps_off_the_copy_until_it_is_filled(server, filled, request_, monkeypatch):
    execute(filled, "ALTER TABLE book SET (fillfactor = 80);"
                    "CREATE TABLE by_hand (id int) WITH (autovacuum_enabled = off)")  # fmt: skip
    # What the dump brings has no say: it fires on whatever alters a table from then on.
    server.psql(
        """CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS
               $$ BEGIN RAISE EXCEPTION 'no more changes'; END $$;
           CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('ALTER TABLE')
               EXECUTE FUNCTION refuse()""",
        filled.name,
    )
    backed_up(filled, request_)
    seen = {}

    def looking(self, section, entries, **options):
        real(self, section, entries, **options)
        # Event triggers come in a second run of post-data, at the very end.
        seen.setdefault(section, value(self.target, AUTOVACUUM))

    real = phases.PhasedRestore.section
    monkeypatch.setattr(phases.PhasedRestore, "section", looking)
    result = restored(filled, request_)
    filled_table = "_hyper_1_1_chunk" if HAS_TIMESCALEDB else "md"
    assert set(seen["post-data"]) >= {"book", "by_hand", filled_table}
    assert seen["post-data"]["book"] == ["fillfactor=80", "autovacuum_enabled=off"]
    copy = filled.named(result["side"])
    assert value(copy, AUTOVACUUM) == {"by_hand": ["autovacuum_enabled=off"]}
    assert result["differences"] == 0
    # It finds by its own counters what it has to do. They count rows of a negative control, too.
    assert value(copy, "SELECT n_ins_since_vacuum = n_tup_ins AND n_tup_ins >= 50"
                       " FROM pg_stat_user_tables WHERE relname = 'book'")  # fmt: skip


# --- What stays beside the live database ----------------------------------------------------------


def test_what_was_put_aside_can_be_read_and_not_changed_and_comes_back_writable(
    filled, request_, taken
):
    execute(filled, "DELETE FROM book WHERE id = 1")
    done = operation(filled, request_).run("swapped", restored(filled, request_)["side"])
    former = filled.named(done["former"])
    assert value(former, "SELECT count(*) FROM book") == 49
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        execute(former, "DELETE FROM book")
    before = identity(filled)
    operation(filled, request_).run("rolled_back", None)
    execute(filled, "DELETE FROM book WHERE id = 2")
    assert identity(filled) == before


def test_a_rollback_repeated_changes_nothing(filled, request_, taken):
    for _ in range(2):
        execute(filled, "DELETE FROM book WHERE id = (SELECT min(id) FROM book)")
        operation(filled, request_).run("swapped", restored(filled, request_)["side"])
    assert operation(filled, request_).run("rolled_back", None)["changed"]
    rows = value(filled, "SELECT count(*) FROM book")
    again = operation(filled, request_).run("rolled_back", None)
    assert (again["changed"], again["former"]) == (False, None)
    assert value(filled, "SELECT count(*) FROM book") == rows
    assert operation(filled, request_).plan("rolled_back", None)["changed"] is False


def test_a_database_put_aside_can_be_brought_back_by_name(filled, request_, taken):
    execute(filled, "DELETE FROM book")
    former = operation(filled, request_).run("swapped", restored(filled, request_)["side"])[
        "former"
    ]
    operation(filled, request_).run("rolled_back", None)
    undone = next(name for name in names_beside(filled) if "__undone_" in name)
    operation(filled, request_).run("rolled_back", undone)
    assert value(filled, "SELECT count(*) FROM book") == 50
    for name in ("postgres", former):
        with pytest.raises(OpsError) as caught:
            operation(filled, request_).run("rolled_back", name)
        assert caught.value.code == "restore.no-former"


def test_a_live_database_that_is_the_set_is_left_alone(filled, request_, taken):
    assert result_if_matching(filled, request_)["id"] == taken.name
    execute(filled, "UPDATE book SET name = 'x' WHERE id = 9")
    assert result_if_matching(filled, request_) is None
    assert result_if_matching(filled.named("nowhere"), request_) is None


# --- Runs that ended ------------------------------------------------------------------------------


def test_a_proved_copy_waits_for_the_run_that_asks_for_the_same_set(filled, request_, taken):
    first = restored(filled, request_)
    found = operation(filled, request_).run("recovered", None, resume=taken)
    assert found["waiting"] == first["side"]
    again = restored(filled, request_)
    assert again["side"] == first["side"]
    assert "data" not in again["phases"] and "prove" in again["phases"]
    operation(filled, request_).run("swapped", again["side"])
    assert identical(filled, request_)["identical"]


def test_a_waiting_copy_that_was_changed_is_found_out_and_restored_anew(filled, request_, taken):
    first = restored(filled, request_)
    execute(filled.named(first["side"]), "DELETE FROM book WHERE id = 3")
    operation(filled, request_).run("recovered", None, resume=taken)
    again = restored(filled, request_)
    assert value(filled.named(again["side"]), "SELECT count(*) FROM book") == 50
    assert "data" in again["phases"]
    assert names_beside(filled) == [again["side"]]


def test_a_proved_copy_nobody_asks_for_is_dropped(filled, request_, taken):
    restored(filled, request_)
    found = operation(filled, request_).run("recovered", None)
    assert found["waiting"] is None
    assert names_beside(filled) == []


@pytest.mark.hypertables
def test_a_swap_that_finds_no_way_in_keeps_the_copy_and_the_live_database(
    filled, request_, taken, monkeypatch
):
    side_name = restored(filled, request_)["side"]
    real = swap.swap_statements.of_swap

    def held_open(*args, **options):
        statements = real(*args, **options)
        # As if a session could not be ended: the error that the server gives then.
        return ["DO $$ BEGIN RAISE EXCEPTION 'in use' USING ERRCODE = '55006'; END $$", *statements]

    monkeypatch.setattr(renames, "RENAME_SECONDS", 0.3)
    monkeypatch.setattr(swap.swap_statements, "of_swap", held_open)
    with pytest.raises(OpsError) as caught:
        operation(filled, request_).run("swapped", side_name)
    assert caught.value.code == "restore.not-swapped"
    assert value(filled, "SELECT count(*) FROM book") == 50
    assert workers_run(filled)
    monkeypatch.undo()
    found = operation(filled, request_).run("recovered", None, resume=taken)
    assert found["waiting"] == side_name
    operation(filled, request_).run("swapped", restored(filled, request_)["side"])
    assert names_beside(filled) != []


class Killed(BaseException):
    """Ends a run where it stands, as a kill would."""


JOURNAL_LOST = pytest.mark.deep(
    by=(
        "tests/unit/restore/test_killed_swaps.py"
        "::test_a_swap_killed_anywhere_is_finished_or_taken_back[journal lost]",
        "tests/integration/test_restore_cases.py"
        "::test_a_swap_killed_at_any_step_is_finished_or_taken_back[rename-True]",
    )
)
STEPS = ["swap", "stop services", "rename", "open", "workers", "start services", "probe"]


@pytest.mark.hypertables
@pytest.mark.parametrize(
    ("step", "lost"),
    [
        # test_restore_kills.py has runs that end by SIGKILL at these steps, and between them.
        *(pytest.param(step, False, marks=pytest.mark.nightly) for step in STEPS),
        ("rename", True),
        *(pytest.param(step, True, marks=JOURNAL_LOST) for step in ("swap", "probe")),
    ],
)
def test_a_swap_killed_at_any_step_is_finished_or_taken_back(
    filled, request_, taken, monkeypatch, step, lost
):
    execute(filled, "DELETE FROM book WHERE id = 1")
    side_name = restored(filled, request_)["side"]
    dying(monkeypatch, step)
    with pytest.raises(Killed):
        operation(filled, request_).run("swapped", side_name)
    monkeypatch.undo()
    journal = request_.root / ".pms-ops" / "restore.json"
    if lost:
        journal.unlink()
    found = operation(filled, request_).run("recovered", None, resume=taken)
    renamed = STEPS.index(step) > STEPS.index("rename")
    assert value(filled, "SELECT count(*) FROM book") == (50 if renamed else 49)
    assert found["resumed"] is renamed
    assert found["waiting"] == (None if renamed else side_name)
    assert workers_run(filled)
    assert timescaledb_workers.insert_test(filled) == []
    execute(filled, "SELECT 1")
    operation(filled, request_).run("recovered", None)
    assert not journal.exists()
    assert [name for name in names_beside(filled) if "__restore_" in name] == []
    if renamed:
        operation(filled, request_).run("rolled_back", None)
        assert value(filled, "SELECT count(*) FROM book") == 49


def dying(monkeypatch, step):
    """Have the journal write *step*, and nothing happen after it: no clean-up either."""
    real = swap.Journal.record
    dead = []

    def record(self, name, **facts):
        if dead:
            raise Killed
        real(self, name, **facts)
        if name == step:
            dead.append(True)
            raise Killed

    monkeypatch.setattr(swap.Journal, "record", record)


# As test_restore_kills.py::test_killed_while_going_back_it_is_finished_or_goes_on does by SIGKILL.
@pytest.mark.nightly
@pytest.mark.hypertables
@pytest.mark.parametrize("at", ["back", "exchange", "restart_services"])
def test_going_back_is_finished_by_the_next_run(filled, request_, taken, monkeypatch, at):
    # The statistics of the server count its deleted row, which is no write of the PMS.
    control = functools.partial(negative_control.Control, kinds=(changed_row.DELETED,))
    monkeypatch.setattr(restore_proof, "Control", control)
    execute(filled, "DELETE FROM book WHERE id = 1")
    side_name = restored(filled, request_)["side"]
    monkeypatch.setattr(swap, "PROBE_SECONDS", 0)
    if at == "back":
        dying(monkeypatch, "back")
    else:
        calls = []
        real = getattr(swap.Swap, at)

        def second_dies(self, *args):
            calls.append(args)
            if len(calls) > 1:
                if at == "exchange":
                    monkeypatch.setattr(swap.Swap, "restart_services", killed)
                raise Killed
            return real(self, *args)

        monkeypatch.setattr(swap.Swap, at, second_dies)
    with pytest.raises(Killed):
        operation(filled, request_, url="http://127.0.0.1:9").run("swapped", side_name)
    monkeypatch.undo()
    said = operation(filled, request_).run("recovered", None, resume=taken)["recovered"]
    assert any("swapping back" in line for line in said), said
    assert value(filled, "SELECT count(*) FROM book") == 49
    assert names_beside(filled) == [side_name]
    assert workers_run(filled)


def killed(*_args):
    raise Killed


def test_a_full_disk_of_the_sets_stops_no_restore_and_no_swap(filled, pattern, request_):
    """A backup took the room of the journal while there was some."""
    disk = request_.root.parent / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=True)
    try:
        pattern.set_below(disk)
        small = replace(request_, root=disk / "backups", keys=disk / "keys")
        assert (small.root / ".pms-ops" / "restore.room").exists()
        execute(filled, "DELETE FROM book WHERE id = 1")
        with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as stream:
            while stream.write(bytes(4096)):
                pass
        result = restore_set(
            filled, small, progress=progress.Progress(small.root / ".pms-ops" / "restore.progress")
        )
        assert ["cannot say so" in line for line in result["warnings"]] == [True]
        swapped = operation(filled, small).run("swapped", result["side"])
        assert value(filled, "SELECT count(*) FROM book") == 50
        # The only warning is that no manager of services could restart the PMS.
        (warning,) = swapped["warnings"]
        assert warning.startswith("Restart the PMS")
    finally:
        subprocess.run(["umount", disk], check=True)


def test_what_a_killed_run_left_lying_is_removed(server, filled, request_, taken):
    name = f"{filled.name}__restore_20260101000000"
    server.psql(f"CREATE DATABASE {name}; CREATE DATABASE {filled.name}__restore_mine")
    with scratch.folder(request_.root) as folder:
        left = folder.with_name(folder.name + "x")
        left.mkdir()
        (left / "plain.pgdump").write_bytes(b"secret")
    operation(filled, request_).run("recovered", None)
    assert names_beside(filled) == [f"{filled.name}__restore_mine"]
    assert not left.exists()


def test_a_database_created_by_a_dead_run_a_moment_later_does_not_stay(filled, request_, taken):
    """The server goes on with a statement whose client is gone."""
    name = registry.database_name(filled.name, registry.STAGING, "20260101000000")
    journal = request_.root / ".pms-ops" / "restore.json"
    journal.write_text(json.dumps({"step": "aside", "live": filled.name, "side": name}))

    def create():
        with contextlib.suppress(OpsError, psycopg2.Error):
            staging_database.execute(
                filled, [f"SELECT pg_sleep(3), '{name}'; CREATE DATABASE \"{name}\""]
            )

    thread = threading.Thread(target=create)
    thread.start()
    try:
        for _ in range(100):
            if value(filled, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE"
                             " 'SELECT pg_sleep(3)%%'"):  # fmt: skip
                break
        with filled.session(name="postgres", read_only=True) as cursor:
            cursor.execute("SELECT 1")
        operation(filled, request_).run("recovered", None)
    finally:
        thread.join()
    assert names_beside(filled) == []


def test_another_machine_that_restores_the_same_database_is_respected(
    filled, request_, taken, tmp_path
):
    elsewhere = replace(request_, root=tmp_path / "other", file=taken)
    with database_lock.server_wide_lock(filled):
        with pytest.raises(OpsError) as caught:
            restored(filled, elsewhere)
        assert caught.value.code == "restore.elsewhere"
        with pytest.raises(OpsError) as caught:
            operation(filled, elsewhere).run("rolled_back", None)
        assert caught.value.code == "restore.elsewhere"
    assert restored(filled, replace(elsewhere, keep=False))["differences"] == 0


# --- Refusals -------------------------------------------------------------------------------------


@pytest.mark.hypertables
@needs_timescaledb
def test_too_few_background_workers_are_refused(filled, request_, taken, monkeypatch):
    monkeypatch.setattr(preflight, "FREE_WORKERS", 1000)
    assert refused(filled, request_).code == "restore.workers"


def test_a_copy_that_does_not_answer_the_pms_is_refused(filled, request_, taken):
    asked = (queries.Query("the book", "SELECT * FROM book"),)
    answers = restored(filled, replace(request_, keep=False, queries=asked))["queries"]
    assert answers[0]["rows"] == 50
    for sql in ("SELECT * FROM nowhere", "DELETE FROM book"):
        wrong = replace(request_, queries=(*asked, queries.Query("nonsense", sql)))
        assert refused(filled, wrong).code == "restore.query"
    absent = (queries.Query("x", "SELECT * FROM nowhere", needs="public.nowhere"),)
    answers = restored(filled, replace(request_, keep=False, queries=absent))["queries"]
    assert answers[0]["rows"] is None


def test_a_plain_script_is_refused_and_said_what_to_do_instead(filled, request_, tmp_path):
    script = tmp_path / "x.pgdump"
    script.write_text("--\n-- PostgreSQL database dump\n--\n\\! touch /tmp/owned\n")
    error = refused(filled, replace(request_, file=script))
    assert error.code == "set.plain-sql"
    assert "throw-away server" in error.remedy


def test_a_plan_changes_nothing_and_says_how_much_and_how_long(filled, request_, taken):
    before = sorted(registry.read_from(filled))
    execute(filled, "INSERT INTO book VALUES (999, 'since then')")
    planned = plan_restore(filled, request_, ["book"])
    assert planned["lost"].startswith("everything committed after ")
    assert "at least 1 rows of book" in planned["lost"]
    assert planned["size_bytes"] > 10**6
    assert planned["duration_seconds"] > 0
    assert planned["side"].startswith(f"{filled.name}__restore_")
    assert planned["former"] == []
    assert sorted(registry.read_from(filled)) == before
    assert not (request_.root / ".pms-ops" / "restore.json").exists()


# --- Single tables --------------------------------------------------------------------------------


def brought(database, request, names, into="night"):
    wish = single_tables.TableRequest.parse(names, into)
    return single_tables.run(database, request, wish, progress=progress.Progress())


@pytest.mark.hypertables
def test_tables_come_beside_the_live_ones_with_all_their_chunks(filled, request_, taken):
    execute(filled, "DELETE FROM md; UPDATE book SET name = 'now'")
    result = brought(filled, request_, ["md", "public.book", "parted"])
    assert [each["rows"] for each in result["tables"]] == [120, 50, 2]
    control = result["negative_control"]
    assert control["outcome"] == "found" and control["named"] == [control["table"]]
    assert value(filled, "SELECT count(*) FROM night.md") == 120
    assert value(filled, "SELECT count(*) FROM night.book WHERE name = 'now'") == 0
    assert value(filled, "SELECT count(*) FROM md") == 0
    assert names_beside(filled) == []
    assert not (request_.root / ".pms-ops" / "restore.json").exists()


def test_tables_whose_proof_cannot_fail_are_not_brought(filled, request_, taken, monkeypatch):
    """The comparison of single tables said equal, and nothing showed that it could say more."""
    monkeypatch.setattr(OfFingerprints, "again", lambda self, cursor, key: [])
    with pytest.raises(BrokenProofError) as caught:
        brought(filled, request_, ["book"])
    assert caught.value.code == "proof.broken"
    assert value(filled, "SELECT count(*) FROM pg_namespace WHERE nspname = 'night'") == 0
    assert names_beside(filled) == []


@pytest.mark.hypertables
def test_tables_of_a_bare_dump_come_too(filled, request_, tmp_path):
    dump = naive_dump(filled, tmp_path)
    result = brought(filled, replace(request_, file=dump), ["md"])
    assert result["tables"][0]["rows"] == 120
    with pytest.raises(OpsError) as caught:
        brought(filled, replace(request_, file=dump), ["nowhere"], "other")
    assert caught.value.code == "restore.no-table"


@pytest.mark.parametrize(
    ("names", "into", "code"),
    [
        (["nowhere"], "night", "restore.no-table"),
        (["book"], "public", "restore.into-taken"),
        (["public.book", "other.book"], "night", "restore.no-table"),
    ],
)
def test_tables_that_cannot_be_brought_are_refused(filled, request_, taken, names, into, code):
    with pytest.raises(OpsError) as caught:
        brought(filled, request_, names, into)
    assert caught.value.code == code
    assert names_beside(filled) == []
    assert not value(filled, "SELECT count(*) FROM pg_namespace WHERE nspname = 'night'")


def test_a_table_that_is_not_what_the_set_says_is_not_brought(filled, request_, taken, monkeypatch):
    real = single_tables._restore_tables

    def changing(one, wish):
        real(one, wish)
        with one.target.session(superuser=True, autocommit=True) as cursor:
            cursor.execute("UPDATE book SET name = 'other' WHERE id = 1")

    monkeypatch.setattr(single_tables, "_restore_tables", changing)
    with pytest.raises(OpsError) as caught:
        brought(filled, request_, ["book"])
    assert caught.value.code == "restore.different"
    assert not value(filled, "SELECT count(*) FROM pg_namespace WHERE nspname = 'night'")
    assert names_beside(filled) == []


WITH_EVERYTHING = """
SET ROLE macro_user;
CREATE TABLE desk (id int PRIMARY KEY, name text);
INSERT INTO desk VALUES (1, 'rates'), (2, 'fx');
CREATE TABLE deal (
    id bigint GENERATED ALWAYS AS IDENTITY, ticket serial, desk int NOT NULL REFERENCES desk,
    price numeric DEFAULT 1.5 CHECK (price > 0),
    twice numeric GENERATED ALWAYS AS (price * 2) STORED,
    note text, PRIMARY KEY (id), UNIQUE (ticket));
CREATE INDEX deal_note ON deal (lower(note)) WHERE note IS NOT NULL;
CREATE STATISTICS deal_both (dependencies) ON desk, price FROM deal;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER stamped BEFORE INSERT ON deal FOR EACH ROW EXECUTE FUNCTION stamp();
ALTER TABLE deal ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_of_them ON deal USING (true);
GRANT SELECT ON deal TO pg_monitor;
COMMENT ON TABLE deal IS 'the deals'; COMMENT ON COLUMN deal.note IS 'free text';
INSERT INTO deal (desk, price, note) SELECT 1 + n % 2, n, 'n' || n FROM generate_series(1, 20) n;
CREATE TABLE leg (id int PRIMARY KEY, deal bigint REFERENCES deal, part int);
INSERT INTO leg VALUES (1, 1), (2, 20);
CREATE VIEW dear WITH (security_barrier = true) AS SELECT id, price FROM deal WHERE price > 10;
"""
# What a table is, apart from its name's schema.
DESCRIBED = """
SELECT jsonb_build_object(
 'columns', (SELECT jsonb_agg(jsonb_build_array(attname, format_type(atttypid, atttypmod),
     attnotnull, attidentity, attgenerated, col_description(attrelid, attnum),
     pg_get_expr(adbin, adrelid)) ORDER BY attnum)
   FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
  WHERE attrelid = c.oid AND attnum > 0),
 'keys', (SELECT jsonb_agg(conname || pg_get_constraintdef(oid) ORDER BY conname)
   FROM pg_constraint WHERE conrelid = c.oid),
 'indexes', (SELECT jsonb_agg(pg_get_indexdef(indexrelid) ORDER BY indexrelid::regclass::text)
   FROM pg_index WHERE indrelid = c.oid),
 'triggers', (SELECT jsonb_agg(pg_get_triggerdef(oid)) FROM pg_trigger
   WHERE tgrelid = c.oid AND NOT tgisinternal),
 'policies', (SELECT jsonb_agg(polname) FROM pg_policy WHERE polrelid = c.oid),
 'statistics', (SELECT jsonb_agg(pg_get_statisticsobjdef(oid)) FROM pg_statistic_ext
   WHERE stxrelid = c.oid),
 'sequences', (SELECT jsonb_agg(relname ORDER BY relname) FROM pg_class s JOIN pg_depend d
   ON d.objid = s.oid AND d.deptype IN ('a', 'i') WHERE s.relkind = 'S' AND d.refobjid = c.oid),
 'rights', c.relacl::text, 'owner', c.relowner::regrole, 'rls', c.relrowsecurity,
 'comment', obj_description(c.oid))::text
FROM pg_class c WHERE c.oid = to_regclass('{}')
"""


def described(database, table):
    return value(database, DESCRIBED.format(table))


@pytest.fixture
def deals(filled, request_):
    """A set, taken when the table deal had everything that a table can have."""
    execute(filled, WITH_EVERYTHING)
    backed_up(filled, request_)
    return filled


def test_tables_come_back_with_their_keys_defaults_and_constraints(deals, request_):
    before = described(deals, "public.deal")
    result = brought(deals, request_, ["deal", "desk", "parted"])
    there = described(deals, "night.deal")
    # The copy refers to the copy of desk, and uses its own sequences.
    assert there.replace("night.", "public.").replace("public.", "") == before.replace(
        "public.", ""
    )
    assert result["left_out"] == []
    assert value(
        deals, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'night.parted'::regclass"
    )
    for each in ("ticket", "id"):
        assert value(deals, f"SELECT last_value FROM night.deal_{each}_seq") == 20
    alone = brought(deals, request_, ["deal"], "alone")
    assert alone["left_out"] == ["deal_desk_fkey of deal to public.desk"]


def test_a_table_is_put_in_place_and_the_former_one_comes_back_with_one_command(deals, request_):
    before = described(deals, "public.deal")
    view = value(deals, "SELECT pg_get_viewdef('dear')")
    execute(deals, "UPDATE deal SET price = 500; ALTER TABLE deal DROP COLUMN note")
    changed = described(deals, "public.deal")
    request_ = replace(request_, evidence=request_.root.parent / "evidence")
    result = brought(deals, request_, ["deal"], None)
    (line,) = ledger.inspect(request_.evidence).entries
    assert line["record"]["tables"] == ["public.deal"]
    assert restores.replaced([line], datetime.now(UTC)) is None
    assert described(deals, "public.deal") == before
    assert value(deals, "SELECT max(price) FROM deal") == 20
    assert value(deals, "SELECT count(*) FROM dear") == 10
    schema = result["former_schema"]
    assert result["former"] == [f"{schema}.deal"]
    assert value(deals, f"SELECT min(price) FROM {schema}.deal") == 500
    # The former table keeps nobody from deleting; the foreign key to it follows the name.
    assert "REFERENCES deal(id)" in described(deals, "public.leg")
    with pytest.raises(psycopg2.errors.ForeignKeyViolation):
        execute(deals, "DELETE FROM deal WHERE id = 1")
    execute(deals, result["undo"])
    assert described(deals, "public.deal") == changed
    assert value(deals, "SELECT min(price) FROM deal") == 500
    assert value(deals, "SELECT count(*) FROM dear") == 20
    assert value(deals, "SELECT pg_get_viewdef('dear')") == view
    assert names_beside(deals) == []
    # The table that was undone is kept, too, until somebody drops it; nothing else goes with it.
    undone = schema.replace("_before_", "_undone_")
    execute(deals, f"CREATE VIEW old_deals AS SELECT * FROM {undone}.deal")
    with pytest.raises(OpsError, match=f"view .*old_deals needs {undone}"):
        former_tables.drop(deals, ["all"])
    execute(deals, "DROP VIEW old_deals")
    with pytest.raises(OpsError, match="No former tables are in public"):
        former_tables.drop(deals, ["public"])
    (planned,) = former_tables.drop(deals, ["all"], only_plan=True)
    (dropped,) = former_tables.drop(deals, [undone])
    assert planned == dropped and dropped["bytes"] > 8192
    assert former_tables.drop(deals, ["all"]) == []


def test_a_dropped_table_is_put_back_with_the_foreign_keys_to_it(deals, request_):
    before = described(deals, "public.deal"), described(deals, "public.leg")
    execute(deals, "DROP TABLE deal CASCADE")
    result = brought(deals, request_, ["deal"], None)
    assert (described(deals, "public.deal"), described(deals, "public.leg")) == before
    assert result["former"] == []
    assert result["notes"] == ["View public.dear of the set is missing, and stays so."]


def test_a_table_that_others_hold_on_to_is_not_put_in_place(deals, request_):
    execute(
        deals,
        "CREATE MATERIALIZED VIEW sums AS SELECT sum(price) FROM deal;"
        "CREATE FUNCTION worth(deal) RETURNS numeric LANGUAGE sql AS 'SELECT $1.price'",
    )
    with pytest.raises(OpsError) as caught:
        brought(deals, request_, ["deal"], None)
    assert caught.value.code == "restore.in-place"
    assert "materialized view sums" in str(caught.value)
    assert "function worth(deal)" in str(caught.value)
    execute(deals, "DROP MATERIALIZED VIEW sums; DROP FUNCTION worth(deal)")
    execute(deals, "INSERT INTO deal (desk) VALUES (1); INSERT INTO leg VALUES (3, 21)")
    with pytest.raises(OpsError, match="leg_deal_fkey") as caught:
        brought(deals, request_, ["deal"], None)
    assert caught.value.code == "restore.in-place"
    assert value(deals, "SELECT count(*) FROM deal") == 21
    assert not value(deals, "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^pms_ops_'")


HYPERTABLES = """
SELECT string_agg(h.hypertable_schema || '.' || h.hypertable_name || ' ' || h.num_chunks || ' '
                  || d.column_name || ' ' || d.time_interval, ', ' ORDER BY 1)
  FROM timescaledb_information.hypertables h JOIN timescaledb_information.dimensions d
       ON (d.hypertable_schema, d.hypertable_name) = (h.hypertable_schema, h.hypertable_name)"""


@pytest.mark.hypertables
@needs_timescaledb
def test_a_hypertable_is_put_in_place_of_one_as_a_hypertable(filled, request_, taken):
    """It was refused, and a person had to copy the rows: issue 18, A18."""
    before = value(filled, HYPERTABLES), described(filled, "public.md")
    rows = value(filled, "SELECT count(*) || ' ' || sum(value) FROM md")
    execute(filled, "CREATE VIEW seen AS SELECT max(at) FROM md; UPDATE md SET value = 9")
    result = brought(filled, request_, ["md"], None)
    schema = result["former_schema"]
    assert described(filled, "public.md") == before[1]
    found = value(filled, HYPERTABLES)
    assert set(found.split(", ")) == {before[0], before[0].replace("public.", f"{schema}.")}
    assert value(filled, "SELECT count(*) || ' ' || sum(value) FROM md") == rows
    assert value(filled, f"SELECT min(value) FROM {schema}.md") == 9
    # It works as one: a later row makes a chunk.
    execute(filled, "INSERT INTO md (at, value) VALUES ('2027-01-01', 1)")
    assert value(filled, "SELECT max(at)::date::text FROM md") == "2027-01-01"
    assert value(filled, "SELECT max::date::text FROM seen") == "2027-01-01"
    execute(filled, result["undo"])
    assert before[0] in value(filled, HYPERTABLES).split(", ")
    assert value(filled, "SELECT min(value) FROM md") == 9
    execute(filled, "DROP TABLE md CASCADE")
    assert brought(filled, request_, ["md"], None)["former"] == []
    assert before[0] in value(filled, HYPERTABLES).split(", ")


@pytest.mark.hypertables
@needs_timescaledb
def test_a_prefix_of_chunks_that_somebody_chose_is_kept_or_its_holder_named(database, request_):
    """TimescaleDB lets only one hypertable have a prefix."""
    execute(
        database,
        "CREATE TABLE ticks (at timestamptz NOT NULL, px numeric);"
        "SELECT create_hypertable('ticks', 'at', associated_table_prefix => 'tick');"
        "INSERT INTO ticks VALUES ('2026-01-02', 5)",
    )
    backed_up(database, request_)
    with pytest.raises(OpsError, match=r"hypertable public\.ticks begin with tick") as caught:
        brought(database, request_, ["ticks"], None)
    assert caught.value.code == "restore.in-place"
    execute(database, "DROP TABLE ticks")
    brought(database, request_, ["ticks"], None)
    prefix = "SELECT associated_table_prefix FROM _timescaledb_catalog.hypertable"
    assert value(database, f"{prefix} WHERE table_name = 'ticks'") == "tick"


@pytest.mark.hypertables
@needs_timescaledb
def test_a_hypertable_with_a_job_is_not_put_in_place_and_the_job_is_named(filled, request_, taken):
    with filled.session(superuser=True) as cursor:  # the Apache edition has no add_job
        cursor.execute(
            "INSERT INTO _timescaledb_config.bgw_job (application_name, schedule_interval,"
            " max_runtime, max_retries, retry_period, proc_schema, proc_name, owner, scheduled,"
            " fixed_schedule, hypertable_id) SELECT 'trim', '1 day', '0', 3, '1 min', 'public',"
            " 'trim_md', 'macro_user'::regrole, false, false, id"
            " FROM _timescaledb_catalog.hypertable WHERE table_name = 'md' RETURNING id"
        )
        (job,) = cursor.fetchone()
    with pytest.raises(OpsError, match=rf"md is a hypertable: job {job} \(trim_md\)") as caught:
        brought(filled, request_, ["md"], None)
    assert caught.value.code == "restore.in-place"


def test_a_recovery_with_nothing_to_do_says_nothing(filled, request_, taken):
    found = crash_recovery.recover(operation(filled, request_)._swap(), request_.root)
    assert found.lines == []
    assert sets.verification(taken) is None


def test_a_role_made_without_a_password_is_given_one_by_the_next_run_and_keeps_it(
    server, filled, request_
):
    required = SimpleNamespace(roles={"passless", "pg_monitor"}, role_facts={})
    request = replace(request_, create_roles=True)
    stored = "SELECT rolpassword FROM pg_authid WHERE rolname = 'passless'"
    server.psql("CREATE ROLE passless LOGIN")
    try:
        (line,) = role_restore.give_passwords(filled, required, request)
        assert "without a password: passless." in line
        assert "passless" in role_restore.suspected(filled)
        kept = []
        for word in ("first", "second"):
            given = replace(request, role_passwords={"passless": word})
            assert role_restore.give_passwords(filled, required, given) == []
            kept.append(server.psql(stored).strip())
        assert kept[0].startswith("SCRAM-SHA-256") and kept[0] == kept[1]
    finally:
        server.psql("DROP ROLE passless")


# --- The planner's statistics -------------------------------------------------------------------

PLANNED = """
SET ROLE macro_user;
CREATE INDEX book_upper ON book (upper(name));
CREATE MATERIALIZED VIEW sums AS SELECT at, count(*) FROM parted GROUP BY at;
CREATE STATISTICS pairs (dependencies) ON id, name FROM book;
"""
# What a plan or autovacuum would miss.
UNPLANNED = """
WITH filled AS (
    SELECT c.oid, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname IN ('public', '_timescaledb_internal')
       AND n.nspname || c.relname !~ '^_timescaledb_internalbgw_')
SELECT 'columns of ' || oid::regclass FROM filled
 WHERE NOT EXISTS (SELECT FROM pg_statistic WHERE starelid = oid)
UNION ALL SELECT 'expression of book_upper'
 WHERE NOT EXISTS (SELECT FROM pg_statistic WHERE starelid = 'book_upper'::regclass)
UNION ALL SELECT 'extended ' || stxname FROM pg_statistic_ext
 WHERE NOT EXISTS (SELECT FROM pg_statistic_ext_data WHERE stxoid = pg_statistic_ext.oid)
UNION ALL SELECT 'autovacuum of ' || oid::regclass FROM filled
    JOIN pg_stat_all_tables ON relid = oid
 WHERE relkind <> 'p' AND (last_analyze IS NULL OR n_mod_since_analyze > 0)
 ORDER BY 1"""


@pytest.mark.parametrize(
    "_kind",
    [
        pytest.param(
            "plain",
            marks=pytest.mark.deep(
                by="tests/integration/test_restore_cases.py"
                "::test_the_planner_and_autovacuum_know_every_table_before_the_swap[timescaledb]"
            ),
        ),
        pytest.param("timescaledb", marks=pytest.mark.hypertables),
    ],
)
def test_the_planner_and_autovacuum_know_every_table_before_the_swap(
    server, filled, request_, _kind
):
    execute(filled, PLANNED)
    # Those of a set are a way of their own: test_planner_statistics.py.
    backed_up(filled, request_, statistics="never")
    staged = restored(filled, request_)
    assert server.psql("SELECT count(*) FROM sums", staged["side"]) == "2"
    assert server.psql(UNPLANNED, staged["side"]).splitlines() == []
