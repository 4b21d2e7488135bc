# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The trial of a backup set, on real servers: what a restore would refuse is told with the backup.

Each finding is held against a real restore of the same set, which has to fail; and a set that
passed has to restore. Where TimescaleDB and containers do not matter, the database is a plain one
and the client tools are the host's, which takes a third of the time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import jsonschema
import pyrage
import pytest
from ansible.module_utils.pmsops.backup import row_checks, trial
from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.common import progress
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.snapshot import Snapshot
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.restore import (
    database_lock,
    plan,
    registry,
    scratch,
    staging_database,
)
from ansible.module_utils.pmsops.restore import run as restore
from ansible.module_utils.pmsops.restore.journal import Journal
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.verify import against_set

from tests.conftest import PROJECT
from tests.support.client_tools import reached_from_here
from tests.support.rich_database import known_parts, rich_database
from tests.support.server import HYPERTABLE, POSTGRESQL, execute
from tests.support.tiers import deep_but

SCHEMA_FILE = PROJECT / "docs" / "schemas" / "manifest.schema.json"
PLAIN_SCHEMA = """
CREATE TABLE funds (id int PRIMARY KEY, name text CHECK (name <> ''));
INSERT INTO funds SELECT n, 'fund ' || n FROM generate_series(1, 100) n;
CREATE TABLE trades (id int PRIMARY KEY, fund int REFERENCES funds, at timestamptz DEFAULT now());
INSERT INTO trades SELECT n, n FROM generate_series(1, 100) n;
CREATE INDEX ON trades (at DESC) WHERE fund > 3;
CREATE MATERIALIZED VIEW per_fund AS SELECT fund, count(*) FROM trades GROUP BY fund;
"""
SCHEMA = f"""
CREATE TABLE md (id bigserial, at timestamptz NOT NULL, value float8, PRIMARY KEY (id, at));
{HYPERTABLE}
INSERT INTO md (at, value)
SELECT t, 1 FROM generate_series(timestamptz '2026-01-01', '2026-03-30', '1 day') t;
{PLAIN_SCHEMA}"""


@pytest.fixture
def filled(database):
    """A database with a hypertable, reached through its container."""
    execute(database, SCHEMA)
    return database


@pytest.fixture
def plain(server, host_tools):
    """A database without TimescaleDB, with the client tools of this host."""
    name = f"test_{uuid.uuid4().hex[:8]}"
    database = reached_from_here(server.create(name, timescaledb=False), host_tools)
    execute(database, PLAIN_SCHEMA)
    yield database
    server.drop(name)


@pytest.fixture
def settings(tmp_path):
    return backup.Settings(root=tmp_path / "backups", keys=tmp_path / "keys")


def made(database, settings):
    return backup.run(database, settings, progress=progress.Progress())


def restored(database, settings, result, **options):
    """Restore the set and drop the result, as a drill does."""
    request = Request(root=settings.root, keys=settings.keys, file=Path(result["set"]), **options)
    return restore.restore_set(database, request, progress=progress.Progress())


def objects(result):
    return [each["object"] for each in result["trial"]["findings"]]


def only(result):
    (finding,) = result["trial"]["findings"]
    return f"{finding['object']}: {finding['what']} {finding['remedy']}"


def scratch_databases(server):
    return server.psql("SELECT datname FROM pg_database WHERE datname LIKE '%\\_\\_trial\\_%'")


def test_a_sound_set_passes_leaves_nothing_and_names_its_tools(server, filled, settings):
    result = made(filled, settings)
    assert result["trial"]["status"] == "passed", result["trial"]
    assert result["trial"]["findings"] == [] and result["trial"]["reason"] is None
    assert 0 < result["trial"]["seconds"] < 30
    document = sets.resolve(Path(result["set"])).manifest
    assert document["trial"] == result["trial"]
    jsonschema.validate(document, json.loads(SCHEMA_FILE.read_text()))
    assert scratch_databases(server) == ""
    assert scratch.leftovers(settings.root, "trial") == []
    version = server.psql("SHOW server_version").split()[0]
    assert result["versions"] == {"server": version, "pg_dump": version}
    assert document["tools"] == {"pg_dump": version}


# What a restore of the schema shows, and what only rows show. Each: statements, and the object.
REFUSED = {
    "a check that looks for its function on the search path": (
        """CREATE FUNCTION plain(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)';
        CREATE FUNCTION good(text) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS
          'BEGIN RETURN plain($1) <> ''''; END';
        CREATE TABLE words (id int, word text CHECK (good(word)));
        INSERT INTO words VALUES (1, 'a');""",
        "CHECK words_word_check",
        "function plain(text) does not exist",
    ),
    "a generated column that does": (
        """CREATE FUNCTION plain(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)';
        CREATE FUNCTION keyed(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
          'BEGIN RETURN plain($1); END';
        CREATE TABLE words (word text, key text GENERATED ALWAYS AS (keyed(word)) STORED);
        INSERT INTO words VALUES ('A');""",
        "GENERATED key",
        "function plain(text) does not exist",
    ),
    "an index that does": (
        """CREATE FUNCTION plain(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)';
        CREATE FUNCTION keyed(text) RETURNS text IMMUTABLE LANGUAGE plpgsql
          SET search_path = public AS 'BEGIN RETURN plain($1); END';
        CREATE TABLE words (word text);
        INSERT INTO words VALUES ('A');
        CREATE INDEX by_key ON words (keyed(word));
        ALTER FUNCTION keyed RESET search_path;""",
        "INDEX by_key",
        "function plain(text) does not exist",
    ),
    "rows that a changed check refuses": (
        """CREATE FUNCTION good(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 > 0';
        CREATE TABLE numbers (n int CONSTRAINT positive CHECK (good(n)));
        INSERT INTO numbers VALUES (1), (2), (20);
        CREATE OR REPLACE FUNCTION good(int) RETURNS bool IMMUTABLE LANGUAGE sql AS
          'SELECT $1 > 10';""",
        "CHECK public.numbers.positive",
        "violated by 2 rows",
    ),
    "rows that a check refuses since their time has passed": (
        """CREATE TABLE orders (id int, until timestamptz CONSTRAINT open CHECK (until > now()));
        INSERT INTO orders VALUES (1, clock_timestamp() + interval '10 milliseconds');
        SELECT pg_sleep(0.05);""",
        "CHECK public.orders.open",
        "violated by 1 rows",
    ),
    "rows that a changed domain refuses": (
        """CREATE FUNCTION good(text) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';
        CREATE DOMAIN isin AS text CHECK (good(VALUE));
        CREATE TABLE papers (isin isin);
        INSERT INTO papers VALUES ('short');
        CREATE OR REPLACE FUNCTION good(text) RETURNS bool IMMUTABLE LANGUAGE sql AS
          'SELECT length($1) = 12';""",
        "DOMAIN public.isin",
        "CheckViolation, SQLSTATE 23514",
    ),
    "rows without their parent": (
        """INSERT INTO trades VALUES (1000, 5);
        ALTER TABLE trades DISABLE TRIGGER ALL;
        INSERT INTO trades VALUES (1001, 5000), (1002, NULL);""",
        "FOREIGN KEY public.trades.trades_fund_fkey",
        "violated (its triggers are disabled) by 1 rows",
    ),
}
AS_SUPERUSER = {"rows without their parent"}


CHILD = """
CREATE TABLE parent (id int, price int);
CREATE TABLE child () INHERITS (parent);
INSERT INTO child SELECT n, NULL FROM generate_series(1, {rows}) n;
ALTER TABLE ONLY parent ALTER COLUMN price SET NOT NULL;
"""


# One that a restore of the schema shows, one of the rows, and one that only a superuser can make.
@pytest.mark.parametrize(
    "case",
    deep_but(
        REFUSED,
        stay=(
            "an index that does",
            "rows that a changed check refuses",
            "rows without their parent",
        ),
        by=(
            "tests/integration/test_backup_trial.py"
            "::test_what_a_restore_refuses_is_named_with_the_backup[an index that does]",
            "tests/integration/test_backup_trial.py"
            "::test_what_a_restore_refuses_is_named_with_the_backup"
            "[rows that a changed check refuses]",
        ),
    ),
)
def test_what_a_restore_refuses_is_named_with_the_backup(case, server, plain, settings):
    statements, name, text = REFUSED[case]
    if case in AS_SUPERUSER:
        server.psql(statements, plain.name)
    else:
        execute(plain, statements)
    result = made(plain, settings)
    assert result["trial"]["status"] == "refused"
    assert name in objects(result)
    assert text in only(result)
    assert any(name in line for line in result["warnings"])
    with pytest.raises(OpsError) as caught:
        restored(plain, settings, result)
    assert caught.value.code == "restore.failed"


@pytest.mark.skipif(POSTGRESQL >= 18, reason="PostgreSQL 18 takes no such child")
def test_a_child_with_nulls_below_a_parent_without_is_named(plain, settings):
    execute(plain, CHILD.format(rows=2))
    result = made(plain, settings)
    assert objects(result) == ["COLUMN public.child.price"]
    assert "refuse the 2 rows with a null" in only(result)
    with pytest.raises(OpsError) as caught:
        restored(plain, settings, result)
    assert caught.value.code == "restore.failed"


@pytest.mark.skipif(POSTGRESQL >= 18, reason="PostgreSQL 18 takes no such child")
def test_a_table_two_below_such_a_parent_is_named_too(plain, settings):
    """The table between accepts nulls, and in the copy it is NOT NULL with all below it."""
    execute(plain, CHILD.format(rows=0))
    execute(plain, "CREATE TABLE grandchild () INHERITS (child)")
    execute(plain, "INSERT INTO grandchild VALUES (1, NULL)")
    result = made(plain, settings)
    assert objects(result) == ["COLUMN public.grandchild.price"]
    assert "the column of its parent public.parent does not" in only(result)
    with pytest.raises(OpsError) as caught:
        restored(plain, settings, result)
    assert caught.value.code == "restore.failed"


@pytest.mark.skipif(POSTGRESQL >= 18, reason="PostgreSQL 18 takes no such child")
def test_such_a_child_without_nulls_is_a_deviation_that_a_drill_names_too(plain, settings):
    execute(plain, CHILD.format(rows=0))
    result = made(plain, settings)
    assert result["trial"]["status"] == "passed"
    (deviation,) = result["trial"]["deviations"]
    assert deviation.startswith("column public.child.price accepts nulls")
    assert any(deviation in line for line in result["warnings"])
    restored(plain, settings, result)


def test_what_rows_hold_is_in_no_verdict(plain, settings):
    execute(
        plain,
        """CREATE FUNCTION good(text) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';
        CREATE TABLE t (word text CHECK (good(word)));
        INSERT INTO t VALUES ('secret');
        CREATE OR REPLACE FUNCTION good(text) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS
          $$BEGIN RAISE 'not %', $1; END$$;""",
    )
    result = made(plain, settings)
    assert "RaiseException, SQLSTATE P0001" in only(result)
    assert "secret" not in json.dumps(result)


# A database may have all of this, and a restore takes it: nothing is alarmed about.
TAKEN = {
    "a default that fails on an empty search path": """
        CREATE FUNCTION plain() RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION given() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN plain(); END';
        CREATE TABLE t (id int DEFAULT given());
        INSERT INTO t DEFAULT VALUES;""",
    "a check that is not validated": """
        CREATE TABLE t (id int);
        INSERT INTO t VALUES (-1);
        ALTER TABLE t ADD CHECK (id > 0) NOT VALID;""",
    "functions that set their path": """
        CREATE FUNCTION plain(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)';
        CREATE FUNCTION keyed(text) RETURNS text IMMUTABLE LANGUAGE plpgsql
          SET search_path = public AS 'BEGIN RETURN plain($1); END';
        CREATE TABLE t (word text CHECK (keyed(word) <> ''),
                        key text GENERATED ALWAYS AS (keyed(word)) STORED);
        CREATE INDEX ON t (keyed(word)) WHERE keyed(word) <> 'x';
        CREATE STATISTICS s ON keyed(word), word FROM t;
        INSERT INTO t VALUES ('A'), (NULL);""",
    "partitions by an expression, a domain and a time": """
        CREATE FUNCTION part(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 % 2';
        CREATE DOMAIN day AS date CHECK (VALUE <= CURRENT_DATE + 3650);
        CREATE TABLE t (id int, d day, CHECK (id < date_part('epoch', now())))
          PARTITION BY LIST (part(id));
        CREATE TABLE t0 PARTITION OF t FOR VALUES IN (0);
        CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
        INSERT INTO t SELECT n, '2026-01-01' FROM generate_series(1, 10) n;""",
    "rows of an owner whom row security filters": """
        CREATE FUNCTION good(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';
        CREATE TABLE t (id int CHECK (good(id)));
        INSERT INTO t VALUES (1);
        ALTER TABLE t OWNER TO macro_user;
        ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        CREATE POLICY nobody ON t USING (false);""",
}


DRIFTED = {
    "by a function that was replaced": """
        CREATE FUNCTION taxed(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2';
        CREATE TABLE t (id int, tax int GENERATED ALWAYS AS (taxed(id)) STORED);
        INSERT INTO t SELECT generate_series(1, 10);
        CREATE OR REPLACE FUNCTION taxed(int) RETURNS int IMMUTABLE LANGUAGE sql
          AS 'SELECT $1 * 3';""",
    "by an empty search path": """
        CREATE TABLE rate (rate int);
        INSERT INTO rate VALUES (2);
        CREATE FUNCTION taxed(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
          'BEGIN RETURN $1 * (SELECT rate FROM rate); EXCEPTION WHEN undefined_table
           THEN RETURN NULL; END';
        CREATE TABLE t (id int, tax int GENERATED ALWAYS AS (taxed(id)) STORED);
        INSERT INTO t SELECT generate_series(1, 10);""",
}


def of_all(cases):
    """Return the statements of all cases, each in a schema of its own: case_0, case_1 ..."""
    return "".join(
        f"CREATE SCHEMA case_{n}; GRANT ALL ON SCHEMA case_{n} TO macro_user;"
        f"SET search_path = case_{n};{statements.replace('public', f'case_{n}')}\n"
        for n, statements in enumerate(cases.values())
    )


def test_a_generated_column_that_a_restore_computes_otherwise_is_told_and_restored(plain, settings):
    execute(plain, of_all(DRIFTED))
    result = made(plain, settings)
    assert result["trial"]["status"] == "passed"
    told = result["trial"]["deviations"]
    drilled = restored(plain, settings, result)["not_restored"]
    assert len(told) == len(drilled) == len(DRIFTED)
    for n, case in enumerate(DRIFTED):
        column = f"generated column case_{n}.t.tax has another value in 10 rows"
        assert [line for line in told if column in line], case
        start = f"case_{n}.t: generated column tax has other values"
        assert [line for line in drilled if line.startswith(start)], case
    # Other changes of such a table are differences.
    assert against_set.against(plain, root=settings.root, keys=settings.keys)["identical"]
    execute(plain, "UPDATE case_0.t SET id = 11 WHERE id = 10")
    found = against_set.against(plain, root=settings.root, keys=settings.keys)
    assert found["differences"] == ["contents: case_0.t has rows with other values"]


def test_what_a_restore_takes_raises_no_alarm(plain, settings):
    execute(plain, of_all(TAKEN))
    result = made(plain, settings)
    assert (result["trial"]["status"], result["trial"]["reason"]) == ("passed", None), result
    assert result["trial"]["deviations"] == []
    restored(plain, settings, result)


def test_a_database_with_every_kind_of_object_raises_no_alarm(
    server, settings, tmp_path, host_tools
):
    with rich_database(server, tmp_path, known_parts()) as rich:
        result = made(reached_from_here(rich.database, host_tools), settings)
    trial_ = result["trial"]
    assert (trial_["status"], trial_["reason"], trial_["findings"]) == ("passed", None, [])


def test_a_parameter_that_the_server_does_not_know_is_found_before_anything_is_made(
    server, plain, settings
):
    # What PostgreSQL 17.12 keeps of the version that made a table, and older tools dump.
    server.psql(
        """SET allow_system_table_mods = on;
        UPDATE pg_attribute SET attoptions = '{attver=17.12}'
         WHERE attrelid = 'funds'::regclass AND attname = 'name';""",
        plain.name,
    )
    result = made(plain, settings)
    assert result["trial"]["status"] == "refused"
    assert objects(result) == ["TABLE public.funds"]
    assert 'unrecognized parameter "attver"' in only(result)
    assert "follow" in only(result)
    before = server.psql("SELECT count(*) FROM pg_database")
    request = Request(root=settings.root, keys=settings.keys, file=Path(result["set"]))
    with pytest.raises(OpsError) as caught:
        plan.plan_restore(plain, request)
    assert caught.value.code == "restore.archive-parameter"
    with pytest.raises(OpsError) as caught:
        restored(plain, settings, result)
    assert caught.value.code == "restore.archive-parameter"
    assert "column parameter attver of TABLE public.funds.name" in str(caught.value)
    assert server.psql("SELECT count(*) FROM pg_database") == before


ONE_DATABASE_ONLY = r"""
folder=$(ls -d /usr/share/postgresql/*/extension)
cat > $folder/only_here.control <<'EOF'
default_version = '1'
relocatable = false
schema = pg_catalog
EOF
cat > $folder/only_here--1.sql <<'EOF'
DO $$ BEGIN IF current_database() LIKE '%\_\_%' THEN
  RAISE 'can only create extension in database %', 'main'
    USING DETAIL = 'Jobs must be scheduled from one database.';
END IF; END $$;
CREATE SCHEMA cron;
CREATE TABLE cron.job (id int, command text);
SELECT pg_catalog.pg_extension_config_dump('cron.job', '');
EOF
"""


def test_an_extension_of_one_database_only_is_told_with_the_backup(server, plain, settings):
    done = server.container.exec_run(["sh", "-c", ONE_DATABASE_ONLY])
    assert done.exit_code == 0, done.output
    server.psql(
        "CREATE EXTENSION only_here;"
        r" INSERT INTO cron.job SELECT n, 'SELECT \ç ' || n FROM generate_series(1, 1500) n",
        plain.name,
    )
    result = made(plain, settings)
    assert objects(result) == ["EXTENSION only_here"]
    assert "can only create extension in database main" in only(result)
    assert "may exist in one database of the server only" in only(result)
    with pytest.raises(OpsError) as caught:
        restored(plain, settings, result)
    assert caught.value.code == "restore.failed"
    _require_restore_without_it(plain, settings, Path(result["set"]))


def _require_restore_without_it(database, settings, folder):
    """Every restore of such a set failed: issue 18, A6."""
    kept = json.loads((folder / "extensions.json").read_text())
    # 500 of them were cut off without a word.
    assert len(kept["only_here"]["cron.job"]) == 1500
    assert kept["only_here"]["cron.job"][0] == {"id": 1, "command": r"SELECT \ç 1"}
    request = Request(
        root=settings.root, keys=settings.keys, without_extensions=("only_here",), keep=True
    )
    result = restore.restore_set(database, request, progress=progress.Progress())
    assert result["differences"] == 0
    where = "pms_ops_extension_only_here.job"
    said = f"1500 of 1500 rows of cron.job are in the plain table {where}."
    assert any(said in line for line in result["notes"])
    # Once more: what was made in the place of the extension is no difference.
    again = restore.restore_set(database, request, progress=progress.Progress())
    assert again["side"] == result["side"]
    with database.named(result["side"]).session(read_only=True) as cursor:
        cursor.execute(f"SELECT count(*), max(command) FILTER (WHERE id = 7) FROM {where}")
        assert cursor.fetchone() == (1500, r"SELECT \ç 7")
    staging_database.drop(database, result["side"])
    Journal.of_root(settings.root).close()
    request = replace(request, keep=False)
    assert sets.verification(folder)["without_extensions"] == ["only_here"]
    with pytest.raises(OpsError, match="cannot leave out nothing_so"):
        restore.restore_set(
            database,
            replace(request, without_extensions=("nothing_so",)),
            progress=progress.Progress(),
        )


@pytest.mark.parametrize(
    "form",
    deep_but(
        ["custom", "encrypted", "host"],
        stay=("encrypted",),
        by="tests/integration/test_backup_trial.py::test_every_form_of_a_set_is_tried[encrypted]",
    ),
)
def test_every_form_of_a_set_is_tried(
    form, server, filled, settings, tmp_path, host_tools, monkeypatch
):
    execute(filled, REFUSED["an index that does"][0])
    options = {}
    if form == "custom":
        settings = replace(settings, format="custom")
    if form == "host":
        filled = reached_from_here(filled, host_tools)
    if form == "encrypted":
        identity = pyrage.x25519.Identity.generate()
        (tmp_path / "identity").write_text(str(identity))
        settings = replace(settings, recipients=(str(identity.to_public()),))
        options = {"identity": tmp_path / "identity"}
        written = []
        of_path = Path.write_bytes
        monkeypatch.setattr(
            Path, "write_bytes", lambda path, data: (written.append(path), of_path(path, data))[1]
        )
    result = made(filled, settings)
    assert result["trial"]["reason"] is None
    assert "INDEX by_key" in objects(result)
    if form == "encrypted":
        (dump,) = [path for path in written if path.name == "schema.pgdump"]
        assert dump.is_relative_to(scratch.MEMORY)
        assert not dump.exists()
        plain = [path for path in settings.root.rglob("*") if b"by_key" in content(path)]
        assert [path.name for path in plain] == ["manifest.json"]
    execute(filled, "DROP INDEX by_key")
    result = made(filled, settings)
    assert result["trial"]["status"] == "passed"
    restored(filled, settings, result, **options)


def content(path):
    return path.read_bytes() if path.is_file() else b""


def test_an_encrypted_set_is_not_tried_where_only_a_disk_could_hold_its_schema(
    plain, settings, monkeypatch, tmp_path
):
    monkeypatch.setattr(scratch, "MEMORY", tmp_path / "no-memory")
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    result = made(plain, replace(settings, recipients=(recipient,)))
    assert result["trial"]["status"] == "not run"
    assert "which no disk may hold" in result["trial"]["reason"]
    assert any("was not run in full" in line for line in result["warnings"])


def test_a_trial_can_be_left_out(server, plain, settings):
    result = made(plain, replace(settings, trial="none"))
    assert result["trial"]["status"] == "off"
    assert [line for line in result["warnings"] if "trial" in line] == []


@pytest.mark.parametrize("lack", ["disk", "connections", "role's connections", "superuser"])
def test_a_server_without_room_is_left_alone_and_that_is_said(
    lack, server, plain, settings, monkeypatch
):
    expected = {
        "disk": "the server's disk has",
        "connections": "free connections for role pms_ops; a trial needs",
        "role's connections": "free connections for role pms_ops; a trial needs",
        "superuser": "is not a superuser and cannot become one",
    }[lack]
    undo = "SELECT 1"
    try:
        if lack == "disk":
            plain = server.database(plain.name)  # its disk is seen through its container
            monkeypatch.setattr(trial, "EMPTY_BYTES", 1 << 50)
        elif lack == "connections":
            monkeypatch.setattr(trial, "FREE_CONNECTIONS", 60)
        elif lack == "role's connections":
            server.psql("ALTER ROLE pms_ops CONNECTION LIMIT 7")
            monkeypatch.setattr(trial, "FREE_CONNECTIONS", 7)
            undo = "ALTER ROLE pms_ops CONNECTION LIMIT -1"
        else:
            server.psql("REVOKE pms_restore FROM pms_ops")
            undo = "GRANT pms_restore TO pms_ops" + (
                " WITH INHERIT FALSE, SET TRUE" if POSTGRESQL >= 16 else ""
            )
        result = made(plain, settings)
    finally:
        server.psql(undo)
    assert result["trial"]["status"] == "not run"
    assert expected in result["trial"]["reason"]
    assert any(expected in line for line in result["warnings"])
    assert scratch_databases(server) == ""


def test_a_trial_beside_one_of_another_machine_is_not_run_and_touches_nothing(
    server, plain, settings
):
    name = registry.database_name(plain.name, registry.TRIAL, "20260101000000")
    server.create(name, timescaledb=False)
    with database_lock.server_wide_lock(plain, trial.PURPOSE):
        result = made(plain, settings)
        assert result["trial"]["status"] == "not run"
        assert "Another machine is trying a backup set" in result["trial"]["reason"]
        assert scratch_databases(server) == name
    assert made(plain, settings)["trial"]["status"] == "passed"
    assert scratch_databases(server) == ""


KILLED = """
import sys, os, signal
sys.path[:0] = [{project!r}, {project!r} + "/library"]
import ansible.module_utils
ansible.module_utils.__path__.append({project!r} + "/module_utils")
from pathlib import Path
from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.restore.phases import PhasedRestore
from ansible.module_utils.pmsops.restore import staging_database
def die(*_args, **_options):
    os.kill(os.getpid(), signal.SIGKILL)
{where}
settings = backup.Settings(root=Path({root!r}), keys=Path({keys!r}))
backup.run(Database(**{database!r}), settings, progress=Progress())
"""


@pytest.mark.parametrize(
    "where", ["PhasedRestore.rehearse = die", "staging_database.apply_settings = die"]
)
def test_what_a_killed_trial_leaves_the_next_backup_removes(where, server, filled, settings):
    script = KILLED.format(
        project=str(PROJECT),
        where=where,
        root=str(settings.root),
        keys=str(settings.keys),
        database=vars(filled),
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=120)
    assert done.returncode == -9, done.stderr
    left = scratch_databases(server)
    assert left != ""
    # A restore leaves the trials of backups alone: one may be running.
    assert registry.abandoned(registry.read_from(filled), filled.name) == []
    result = made(filled, replace(settings, trial="none"))
    assert left in result["cleaned"]
    assert scratch_databases(server) == ""
    assert scratch.leftovers(settings.root, "trial") == []


def test_a_trial_beside_a_restore_of_the_same_database_goes_through(
    server, filled, settings, host_tools
):
    filled = reached_from_here(filled, host_tools)
    first = made(filled, settings)
    with ThreadPoolExecutor(max_workers=2) as pool:
        drill = pool.submit(restored, filled, settings, first)
        backups = [made(filled, settings) for _ in range(3)]
        drill.result()
    assert {each["trial"]["status"] for each in backups} == {"passed"}
    assert scratch_databases(server) == ""


def test_a_server_that_fails_in_the_trial_is_no_fault_of_the_set(plain, settings, monkeypatch):
    full = {
        "object": "TABLE public.md",
        "error": "ERROR: could not extend: No space left on device",
    }
    monkeypatch.setattr(trial.PhasedRestore, "rehearse", lambda self: [full])
    result = made(plain, settings)
    assert result["trial"]["status"] == "not run"
    assert "the server failed meanwhile (No space left on device)" in result["trial"]["reason"]


def rows_looked_at(database, **options):
    with Snapshot(database, connections=1) as snapshot:
        return row_checks.find(snapshot.cursors[0], **options)


def test_expressions_that_there_is_no_time_for_are_named(plain):
    execute(plain, REFUSED["rows that a changed check refuses"][0])
    found = rows_looked_at(plain, seconds=0)
    assert found.findings == []
    assert found.reason == (
        "rows were not looked at for CHECK positive of public.numbers (not within 0 s)"
    )
    assert len(rows_looked_at(plain).findings) == 1


@pytest.mark.parametrize("fault", ["cancelled", "session ended"])
def test_a_server_that_fails_meanwhile_fails_no_backup(fault, plain):
    does = {
        "cancelled": "PERFORM pg_sleep(60)",
        "session ended": "PERFORM pg_terminate_backend(pg_backend_pid())",
    }[fault]
    execute(
        plain,
        f"""CREATE FUNCTION good(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';
        CREATE TABLE t (n int CHECK (good(n)));
        INSERT INTO t VALUES (1);
        CREATE OR REPLACE FUNCTION good(int) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS
          $$BEGIN {does}; RETURN true; END$$;""",
    )
    found = rows_looked_at(plain, seconds=0.5 if fault == "cancelled" else 30)
    assert found.findings == []
    assert found.reason.startswith("rows were not looked at for")
    assert ("(not within" in found.reason) == (fault == "cancelled")
