# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pms_restore
import pms_swap
import psycopg2
import pyrage
import pytest
from ansible.module_utils.pmsops.approvals import documents, people
from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.client_tools import archive_contents, pg_amcheck
from ansible.module_utils.pmsops.client_tools import factory as client_tools
from ansible.module_utils.pmsops.common import files, process_lock, progress
from ansible.module_utils.pmsops.common.errors import BrokenProofError, OpsError
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.postgresql import timescaledb_workers
from ansible.module_utils.pmsops.repository import manifest, sets, signing
from ansible.module_utils.pmsops.restore import former_retention, registry, scratch, swap
from ansible.module_utils.pmsops.restore.plan import plan_restore, result_if_matching
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import restore_set
from ansible.module_utils.pmsops.restore.swap_run import SwapRun
from ansible.module_utils.pmsops.services.manager import Services
from ansible.module_utils.pmsops.verify import (
    against_set,
    causes,
    changed_row,
    differences,
    row_comparison,
)
from ansible.module_utils.pmsops.verify import database as proof
from ansible.module_utils.pmsops.verify.negative_control import Control
from ansible.module_utils.testing import patch_module_args

from tests.conftest import PROJECT
from tests.support import patterns
from tests.support.client_tools import reached_from_here
from tests.support.server import (
    HAS_TIMESCALEDB,
    HYPERTABLE,
    POSTGRESQL,
    execute,
    needs_timescaledb,
    workers_run,
)

SCHEMA = """
SET ROLE macro_user;
CREATE TABLE md (id bigserial, at timestamptz NOT NULL, value float8, PRIMARY KEY (id, at));
{hypertable}
INSERT INTO md (at, value)
SELECT t, extract(epoch FROM t) FROM generate_series(timestamptz '2026-01-01', '2026-04-30',
                                                     '1 hour') t;
CREATE TABLE portfolio_positions (id bigserial PRIMARY KEY, name text NOT NULL DEFAULT 'none',
                                  is_open bool NOT NULL, CHECK (id > 0));
INSERT INTO portfolio_positions (name, is_open) SELECT 'p' || n, n % 2 = 0
  FROM generate_series(1, 100) n;
CREATE TABLE journal (id int PRIMARY KEY, position bigint REFERENCES portfolio_positions);
INSERT INTO journal VALUES (1, 1);
CREATE INDEX by_name ON portfolio_positions (name);
CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER guard BEFORE UPDATE ON journal FOR EACH ROW EXECUTE FUNCTION guard();
CREATE VIEW open_positions AS SELECT * FROM portfolio_positions WHERE is_open;
GRANT SELECT ON portfolio_positions TO pg_monitor;
"""


@pytest.fixture(scope="module")
def with_hypertables(server, tmp_path_factory):
    """A filled database, a set of it and its keys, once; each test has a copy of what it needs."""
    with patterns.database_and_set(
        server, tmp_path_factory.mktemp("pattern"), SCHEMA.format(hypertable=HYPERTABLE)
    ) as made:
        yield made


@pytest.fixture(scope="module")
def plain(server, tmp_path_factory, host_tools):
    """The same without TimescaleDB, reached with the client tools of this host."""
    with patterns.database_and_set(
        server,
        tmp_path_factory.mktemp("plain"),
        SCHEMA.format(hypertable=""),
        timescaledb=False,
        access="host",
        bin_dir=str(host_tools),
    ) as made:
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
def from_here(filled, host_tools):
    """The filled database with the client tools of this host, where they do not matter."""
    return reached_from_here(filled, host_tools)


@pytest.fixture
def request_(tmp_path):
    return Request(root=tmp_path / "backups", keys=tmp_path / "keys", keep=True)


@pytest.fixture
def taken(pattern, request_):
    """The folder of a set of the filled database."""
    return pattern.set_below(request_.root.parent)


def restored(database, request):
    return restore_set(database, replace(request), progress=progress.Progress())


def operation(database, request, **options):
    return SwapRun(
        database=database,
        services=options.get("services", Services("none", ())),
        redis=None,
        url=options.get("url"),
        root=request.root,
        policy=options.get("policy", former_retention.Policy()),
    )


def beside(database):
    """Return the databases beside the live one."""
    return [name for name in registry.read_from(database) if name.startswith(f"{database.name}__")]


def whole(database):
    """Tell whether the live database answers and takes rows."""
    with database.session(read_only=True) as cursor:
        cursor.execute("SELECT count(*) FROM md")
        return cursor.fetchone()[0] > 0 and timescaledb_workers.insert_test(database) == []


# --- The way through ------------------------------------------------------------------------------


@pytest.mark.hypertables
def test_a_set_comes_back_exactly_and_the_former_database_stays(filled, request_, taken):
    execute(filled, "DELETE FROM portfolio_positions WHERE id = 50; DROP VIEW open_positions")
    result = restored(filled, request_)
    assert result["differences"] == 0
    assert result["canary"] is True
    assert sets.verification(taken)["rows"] == result["rows"]
    done = operation(filled, request_).run("swapped", result["side"])
    assert against_set.against(filled, root=request_.root, keys=request_.keys)["identical"]
    assert beside(filled) == [done["former"]]
    assert workers_run(filled)
    assert timescaledb_workers.insert_test(filled) == []
    back = operation(filled, request_).run("rolled_back", None)
    with filled.session(read_only=True) as cursor:
        cursor.execute("SELECT count(*) FROM portfolio_positions")
        assert cursor.fetchone()[0] == 99
    assert beside(filled) == [back["former"]]
    assert workers_run(filled)


def test_no_swap_and_no_rollback_without_the_second_person(
    filled, request_, taken, tmp_path, capsys
):
    """By the modules as tasks call them: the restore itself is refused beforehand."""
    root, key = tmp_path / "evidence", tmp_path / "ana.key"
    _, public_key = people.make_key(key, check=False)
    approvers = [{"name": "Ana", "public_key": public_key}]
    consent = {"required": True, "system": "here", "operator": "Bruno", "approvers": approvers}
    common = {
        "database": asdict(filled) | {"consent": consent},
        "services": {"manager": "none"},
        "root": str(request_.root),
        "evidence_root": str(root),
    }

    def call(module, *, check=False, **options):
        given = common | options | {"_ansible_check_mode": check}
        with patch_module_args(given), pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out)

    def restore(**more):
        return call(pms_restore, keys=str(request_.keys), file=str(taken), keep=True, **more)

    def approve(digest):
        plan = documents.waiting(root, digest)
        approvers_ = people.of_options(approvers)
        documents.keep_approval(
            root, documents.approve(plan, approvers_, key, datetime.now(UTC))[1]
        )

    shown = restore(check=True)["consent"]["sha256"]
    assert restore()["code"] == "approval.missing"
    assert beside(filled) == []
    approve(shown)
    staged = restore()
    assert call(pms_swap, incoming=staged["side"])["former"]
    again = call(pms_swap, state="rolled_back")
    assert again["code"] == "approval.missing"
    approve(call(pms_swap, state="rolled_back", check=True)["consent"]["sha256"])
    assert call(pms_swap, state="rolled_back")["changed"]
    kinds = [(each["kind"], each["record"].get("approved_by")) for each in ledger.records(root)]
    assert kinds == [(kind, "Ana") for kind in ("approval", "restore", "approval", "rollback")]


@pytest.mark.hypertables
def test_a_drill_proves_the_set_and_leaves_nothing(filled, request_, taken):
    result = restored(filled, replace(request_, keep=False))
    assert result["side"] is None
    assert beside(filled) == []
    assert sets.verification(taken)
    assert not (request_.root / ".pms-ops" / "restore.json").exists()


def test_the_result_says_what_the_negative_control_changed_and_that_it_was_found(
    from_here, request_, taken
):
    control = restored(from_here, replace(request_, keep=False))["negative_control"]
    assert control["outcome"] == "found"
    assert control["named"] == [control["table"]]
    assert control["kind"] in changed_row.KINDS


def always_equal(monkeypatch):
    monkeypatch.setattr(differences, "of_contents", lambda *_args, **_options: [])


def read_only_once(monkeypatch):
    monkeypatch.setattr(
        row_comparison.OfFingerprints, "again", lambda self, _cursor, _key: self.differences()
    )


@pytest.mark.parametrize("break_it", [always_equal, read_only_once])
def test_a_proof_that_says_equal_always_is_broken_and_nothing_can_be_swapped(
    from_here, request_, taken, monkeypatch, break_it
):
    break_it(monkeypatch)
    with pytest.raises(BrokenProofError, match="it named nothing") as caught:
        restored(from_here, request_)
    assert caught.value.code == "proof.broken"
    assert caught.value.record["outcome"] == "not found"
    assert beside(from_here) == []
    assert sets.verification(taken) is None
    with pytest.raises(OpsError) as refused:
        operation(from_here, request_).run("swapped", f"{from_here.name}__restore_20260101000000")
    assert refused.value.code == "restore.missing-copy"


@pytest.mark.hypertables
def test_swaps_and_rollbacks_with_a_scheduler_each_time(from_here, request_, taken, often):
    side = restored(from_here, request_)["side"]
    one = operation(from_here, request_)
    one.run("swapped", side)
    for _ in range(often // 2):
        undone = one.run("rolled_back", None)["former"]
        assert workers_run(from_here)
        one.run("swapped", undone)
        assert workers_run(from_here)


def test_a_plain_database_takes_the_parallel_path(server, request_, host_tools):
    name = f"test_{uuid.uuid4().hex[:8]}"
    database = reached_from_here(server.create(name, timescaledb=False), host_tools)
    try:
        execute(database, "CREATE TABLE t AS SELECT n FROM generate_series(1, 1000) n")
        settings = backup.Settings(root=request_.root, keys=request_.keys, trial="none")
        backup.run(database, settings, progress=progress.Progress())
        result = restored(database, replace(request_, keep=False))
        assert result["differences"] == 0
        assert "catalogue" not in result["phases"] or result["phases"]["catalogue"] < 5
    finally:
        server.drop(name)


def test_odd_names_survive(server, request_):
    name = f'Öps "{uuid.uuid4().hex[:4]}" 100%'
    database = server.create(name)
    try:
        execute(database, 'CREATE SCHEMA "Ünï %s"; CREATE TABLE "Ünï %s"."T ""x""" ("a b" int);'
                          'INSERT INTO "Ünï %s"."T ""x""" VALUES (1);'
                          "SELECT lo_from_bytea(0, '\\x010203');")  # fmt: skip
        settings = backup.Settings(root=request_.root, keys=request_.keys, trial="none")
        backup.run(database, settings, progress=progress.Progress())
        side = restored(database, request_)["side"]
        operation(database, request_).run("swapped", side)
        assert against_set.against(database, root=request_.root, keys=request_.keys)["identical"]
    finally:
        for each in [name, *beside(database)]:
            server.drop(each)


@pytest.mark.hypertables
def test_the_naive_scripts_dump_restores_and_says_how_far_it_was_proved(
    from_here, request_, tmp_path, monkeypatch
):
    folder = tmp_path / "naive"
    folder.mkdir()
    client_tools.for_database(from_here).run(
        "pg_dump", ["-Fc", f"--file={folder}/x.pgdump"], folders={folder: "rw"}
    )
    result = restored(from_here, replace(request_, file=folder / "x.pgdump"))
    assert "as many rows" in result["verified"]
    assert "without a manifest" in result["verified"]
    side = from_here.named(result["side"])
    with side.session(read_only=True) as cursor:
        cursor.execute("SELECT count(*) FROM md")
        assert cursor.fetchone()[0] == 2857
        cursor.execute("SELECT count(*) FROM pg_constraint WHERE conname = 'journal_position_fkey'")
        assert cursor.fetchone()[0] == 1
    assert result["negative_control"]["kind"] in changed_row.COUNTED
    contents = archive_contents.Contents(rows={("public", "portfolio_positions"): 100})
    assert proof.naive_differences(side, contents) == []
    monkeypatch.setattr(differences, "of_counts", lambda _wanted, _found: [])
    control = Control()
    proof.naive_differences(side, contents, control=control)
    with pytest.raises(BrokenProofError):
        control.require_found()


@pytest.mark.hypertables
def test_an_encrypted_set_restores_with_its_identity_and_leaves_no_plain_copy(
    filled, request_, tmp_path, monkeypatch
):
    pair = pyrage.x25519.Identity.generate()
    identity = tmp_path / "identity.txt"
    identity.write_text(f"{pair}\n")
    settings = backup.Settings(
        root=request_.root,
        keys=request_.keys,
        recipients=(str(pair.to_public()),),
        trial="none",
    )
    backup.run(filled, settings, progress=progress.Progress())
    with pytest.raises(OpsError) as caught:
        restored(filled, replace(request_, keep=False))
    assert caught.value.code == "encryption.no-identity"
    folders, plain, folder = [], [], scratch.folder

    @contextmanager
    def watched(*arguments, **options):
        with folder(*arguments, **options) as path:
            folders.append(path)
            yield path
            plain.extend(path.rglob("*.pgdump"))

    monkeypatch.setattr(scratch, "folder", watched)
    assert restored(filled, replace(request_, keep=False, identity=identity))["differences"] == 0
    # There was a plain copy, and of it and its folder nothing is left, wherever that was.
    (used,) = folders
    assert len(plain) == 1
    ours = used.name.rpartition("-")[0]
    assert ours.startswith(".pms-restore-")
    for place in (Path("/dev/shm"), request_.root / ".pms-ops"):
        assert [each for each in place.iterdir() if each.name.startswith(ours)] == []


# --- Every change is named ------------------------------------------------------------------------

CHANGES = {
    "a row removed": ("DELETE FROM portfolio_positions WHERE id = 7", "portfolio_positions has 99"),
    "a row added": ("INSERT INTO journal VALUES (2, 2)", "public.journal has 2 rows, not 1"),
    "a value changed": ("UPDATE journal SET position = 2", "journal has rows with other values"),
    "a row of a chunk changed": (
        "UPDATE md SET value = 0 WHERE id = 9",
        "public.md [2025-12-08 00:00:00 .. 2026-01-07 00:00:00) has rows with other values",
    ),
    "an index dropped": ("DROP INDEX by_name", "indexes: public.by_name is missing"),
    "a constraint dropped": (
        "ALTER TABLE journal DROP CONSTRAINT journal_position_fkey",
        "constraints: public.journal.journal_position_fkey is missing",
    ),
    "a constraint not validated": (
        "ALTER TABLE portfolio_positions DROP CONSTRAINT portfolio_positions_id_check;"
        "ALTER TABLE portfolio_positions ADD CONSTRAINT portfolio_positions_id_check"
        " CHECK (id > 0) NOT VALID",
        "validated False, not True",
    ),
    "a trigger dropped": ("DROP TRIGGER guard ON journal", "triggers: public.journal.guard is"),
    "a trigger disabled": ("ALTER TABLE journal DISABLE TRIGGER guard", "enabled 'D', not 'O'"),
    "a default dropped": (
        "ALTER TABLE portfolio_positions ALTER name DROP DEFAULT",
        "portfolio_positions.name has default None",
    ),
    "a grant revoked": (
        "REVOKE SELECT ON portfolio_positions FROM pg_monitor",
        "tables: public.portfolio_positions has grants",
    ),
    "an owner changed": ("ALTER TABLE journal OWNER TO pms_ops", "has owner 'pms_ops'"),
    "a sequence moved": (
        "SELECT setval('portfolio_positions_id_seq', 5000)",
        "sequences: public.portfolio_positions_id_seq has last_value 5000",
    ),
    "a view dropped": ("DROP VIEW open_positions", "views: public.open_positions is missing"),
    "a view changed": (
        "CREATE OR REPLACE VIEW open_positions AS SELECT * FROM portfolio_positions WHERE id > 0",
        "views: public.open_positions has definition",
    ),
    "an index changed": (
        "DROP INDEX by_name; CREATE INDEX by_name ON portfolio_positions (name DESC)",
        "indexes: public.by_name has definition",
    ),
    "a function dropped": ("DROP FUNCTION guard() CASCADE", "functions: public.guard() is missing"),
    "a job dropped": ("DELETE FROM _timescaledb_config.bgw_job WHERE id = 1000", "jobs: 1000 is"),
    "a job changed": (
        "UPDATE _timescaledb_config.bgw_job SET max_retries = 3 WHERE id = 1000",
        "jobs: 1000 has",
    ),
    "a function changed": (
        "CREATE OR REPLACE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RETURN OLD; END $$",
        "functions: public.guard() has definition",
    ),
    "a chunk dropped": ("SELECT drop_chunks('md', timestamptz '2026-02-01')", "chunks 4, not 5"),
    "a column added": ("ALTER TABLE journal ADD extra int", "columns: public.journal.extra is not"),
    "a table added": ("CREATE TABLE surprise ()", "tables: public.surprise is not in the backup"),
    "a setting changed": ("", "settings"),
}
OF_TIMESCALEDB = {"a row of a chunk changed", "a chunk dropped", "a job dropped", "a job changed"}
# Changes of one and the same thing: they go into different copies.
APART = (
    {"a row added", "a value changed", "a trigger dropped", "a trigger disabled"},
    {"an index dropped", "an index changed"},
    {"a view dropped", "a view changed"},
    {"a function dropped", "a function changed", "a trigger dropped", "a trigger disabled"},
    {"a job dropped", "a job changed"},
    {"a row of a chunk changed", "a chunk dropped"},
    {"a row removed", "a view changed"},
)


def copies_of_changes():
    """Put changes together that have nothing to do with each other: each copy has many."""
    made = []
    for change in CHANGES:
        if change in OF_TIMESCALEDB and not HAS_TIMESCALEDB:
            continue
        fitting = (
            found
            for found in made
            if not any(change in group and group & set(found) for group in APART)
        )
        found = next(fitting, None)
        if found is None:
            made.append([change])
        else:
            found.append(change)
    return made


@pytest.fixture(scope="module")
def proved(server, tmp_path_factory):
    """A database that lets nobody in, to be copied, and the manifest of a set of it."""
    name = f"test_{uuid.uuid4().hex[:8]}"
    database = server.create(name)
    execute(database, SCHEMA.format(hypertable=HYPERTABLE))
    if HAS_TIMESCALEDB:
        server.psql(
            """INSERT INTO _timescaledb_config.bgw_job (id, application_name, schedule_interval,
                   max_runtime, max_retries, retry_period, proc_schema, proc_name, owner, scheduled)
               VALUES (1000, 'Retention [1000]', '1 day', '1 hour', -1, '1 hour', 'public', 'f',
                       'macro_user', false)""",
            name,
        )
    root = tmp_path_factory.mktemp("proved")
    settings = backup.Settings(root=root / "backups", keys=root / "keys", trial="none")
    folder = Path(backup.run(database, settings, progress=progress.Progress())["set"])
    server.close(name)
    yield database, manifest.read(folder)
    server.drop(name)


@pytest.mark.parametrize(
    "changes", copies_of_changes(), ids=lambda changes: f"{changes[0]}-and-{len(changes) - 1}-more"
)
def test_verify_names_each_change(server, proved, changes):
    database, document = proved
    name = f"{database.name}_c"
    changed = server.create(name, template=database.name)
    try:
        same = [d for d in proof.differences(changed, document) if d.kind != "database"]
        assert same == []
        for change in changes:
            statement, _ = CHANGES[change]
            server.psql(statement or f"ALTER DATABASE {name} SET work_mem = '5MB'", name)
        lines = causes.lines(proof.differences(changed, document))
        for change in changes:
            assert any(CHANGES[change][1] in line for line in lines), (change, lines)
    finally:
        server.drop(name)


def test_damaged_pages_are_found_when_asked_and_rights_are_no_damage(server, filled):
    with pytest.raises(OpsError) as caught:
        pg_amcheck.damaged(filled)
    assert caught.value.code == "verify.amcheck"
    server.psql("CREATE EXTENSION amcheck", filled.name)
    assert pg_amcheck.damaged(filled) == []
    # An index over a function that says something else since: what its pages hold is wrong.
    server.psql(
        """CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
           CREATE INDEX damaged ON journal (f(id));
           CREATE OR REPLACE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 2'""",
        filled.name,
    )
    assert "damaged" in " ".join(pg_amcheck.damaged(filled, jobs=2))
    assert pg_amcheck.damaged(filled, indexes=False) == []  # a dump does not carry it
    for relation in ("public.journal", "pg_catalog.pg_proc"):  # says that its rows are frozen
        age = f"WHERE oid = '{relation}'::regclass"
        server.psql(
            f"UPDATE pg_class SET relfrozenxid = pg_current_xact_id()::xid {age}",
            filled.name,
        )
        assert relation in " ".join(pg_amcheck.damaged(filled, indexes=False)).replace('"', "")
    server.psql("CREATE ROLE poor LOGIN PASSWORD 'poor' IN ROLE pg_read_all_data")
    try:
        with pytest.raises(OpsError) as caught:
            pg_amcheck.damaged(replace(filled, user="poor", password="poor"))
        assert caught.value.code == "verify.amcheck-rights"
    finally:
        server.psql("DROP ROLE poor")


@pytest.mark.hypertables
def test_what_a_hypertable_is_named_for_its_chunks_are_taken_for_too(server, filled):
    """pg_amcheck -t and --exclude-table-data look at the root alone, which is empty, and end with
    0. What is checked here is the database, and what is dumped of a table has its chunks."""
    server.psql("CREATE EXTENSION amcheck", filled.name)
    chunk = server.psql("SELECT show_chunks('md') LIMIT 1", filled.name).strip()
    age = f"UPDATE pg_class SET relfrozenxid = pg_current_xact_id()::xid WHERE oid = '{chunk}'"
    server.psql(f"{age}::regclass", filled.name)
    within = ["docker", "exec", "-u", "postgres", server.container.name]
    command = [
        *within,
        "sh",
        "-c",
        f"$(ls -d /usr/lib/postgresql/*/bin)/pg_amcheck --table=public.md {filled.name}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stdout + done.stderr
    for indexes in (True, False):
        found = " ".join(pg_amcheck.damaged(filled, indexes=indexes)).replace('"', "")
        assert chunk in found

    def chunks_dumped(*options: str) -> int:
        command = [*within, "pg_dump", "--data-only", *options, filled.name]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.count("COPY _timescaledb_internal._hyper_")

    assert chunks_dumped() == chunks_dumped("--exclude-table-data=public.md") > 0
    assert chunks_dumped("--exclude-table-data-and-children=public.md") == 0
    # Nor is either in a document of ours, or in the code.
    text = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("docs", "module_utils", "roles")
        for path in sorted((PROJECT / folder).rglob("*.*"))
        if path.suffix in (".md", ".py", ".yml") and path.name != "COMPATIBILITY.md"
    )
    assert not re.search(r"--exclude-table-data(?!-and-children)[= ](?!of a hypertable)", text)
    assert not re.search(r"pg_amcheck (-t|--table)[= ](?!of a hypertable)", text)


# --- Refusals, before the side database exists ----------------------------------------------------


# A damaged manifest is no manifest any more, or no JSON, or not what was signed.
DAMAGED = {
    *("set.damaged", "set.none"),
    *("manifest.unreadable", "manifest.version", "signing.invalid", "signing.missing"),
}


def refused(database, request):
    with pytest.raises(OpsError) as caught:
        restored(database, request)
    assert beside(database) == []
    assert caught.value.remedy
    return caught.value


@pytest.mark.hypertables
def test_one_flipped_byte_in_any_file_is_refused(from_here, request_, taken):
    for name in [*files.walk(taken)]:
        path = taken / name
        content = path.read_bytes()
        if not content:
            continue
        path.chmod(0o600)
        place = random.randrange(len(content))
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        code = refused(from_here, request_).code
        assert code in DAMAGED, name
        path.write_bytes(content)
        path.chmod(0o400)
    assert restored(from_here, replace(request_, keep=False))["differences"] == 0


@pytest.mark.hypertables
def test_files_removed_cut_short_exchanged_or_added_are_refused(taken, request_):
    def refuse(wanted):
        with pytest.raises(OpsError) as caught:
            sets.check(sets.resolve(taken), request_.keys)
        assert caught.value.code in DAMAGED, wanted
        assert wanted in str(caught.value)

    names = [name for name in files.walk(taken) if name not in ("manifest.json", *sets.NOTES)]
    assert len(names) > (10 if HAS_TIMESCALEDB else 5)  # each chunk is a file
    for name, other in zip(names, names[1:] + names[:1], strict=True):
        path, kept = taken / name, (taken / name).read_bytes()
        aside_ = path.rename(taken.parent / "aside")
        refuse(f"{name} is missing")
        if kept:
            path.write_bytes(kept[:-1])
            refuse(f"{name} has {len(kept) - 1} bytes, not {len(kept)}")
            path.unlink()
        if kept != (taken / other).read_bytes():
            path.write_bytes((taken / other).read_bytes())
            refuse(name)
        aside_.rename(path)
    for name in ("more.csv", "toc.dat", f"{names[-1]}.gz"):
        (taken / name).write_bytes(b"")
        refuse(f"{name} is not in the manifest")
        (taken / name).unlink()
    assert sets.check(sets.resolve(taken), request_.keys)["files"] == len(names)


def test_a_manifest_that_another_key_signed_is_refused(filled, request_, taken, tmp_path):
    edited(taken, tmp_path / "foreign", lambda d: d["contents"]["public.journal"].update(rows=7))
    for ask in (restored, result_if_matching, plan_restore):
        with pytest.raises(OpsError) as caught:
            ask(filled, request_)
        assert caught.value.code == "signing.unknown-key"
    assert beside(filled) == []


def edited(taken, keys, change):
    """Change the manifest and sign it again with the right key: a set from elsewhere."""
    document = {k: v for k, v in manifest.read(taken).items() if k != "signature"}
    change(document)
    (taken / "manifest.json").unlink()
    manifest.write(taken, document, keys)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d: d["server"].update(version_num=(POSTGRESQL + 1) * 10000), "restore.server-old"),
        (lambda d: d.update(database_name="other"), "restore.other-database"),
        pytest.param(
            lambda d: d["facts"]["extensions"]["timescaledb"].update(version="9.9.9"),
            "restore.timescaledb-version",
            marks=(needs_timescaledb, pytest.mark.hypertables),
        ),
        (
            lambda d: d["facts"]["extensions"].update(x={"version": "1", "schema": "s"}),
            "restore.extension",
        ),
        (lambda d: d["required_roles"].append("nobody_here"), "restore.roles"),
        (
            lambda d: d["facts"]["tables"]["public.journal"].update(tablespace="fast_disk"),
            "restore.tablespace",
        ),
        (lambda d: d["database"].update(collate="xx_XX.UTF-8"), "restore.locale"),
        (lambda d: d["database"].update(encoding="KLINGON"), "restore.locale"),
        pytest.param(  # a server's disk is seen through its container
            lambda d: d["server"].update(size_bytes=10**15),
            "restore.space",
            marks=pytest.mark.hypertables,
        ),
    ],
)
def test_what_this_server_cannot_hold_is_refused(filled, request_, taken, change, code):
    edited(taken, request_.keys, change)
    assert refused(filled, request_).code == code


def test_a_set_of_another_name_is_taken_when_that_is_meant(filled, request_, taken):
    edited(taken, request_.keys, lambda d: d.update(database_name="other"))
    result = restored(filled, replace(request_, keep=False, force_name=True))
    assert result["differences"] == 0


def test_a_role_that_may_not_restore_is_told_so(server, filled, request_, taken):
    server.psql("CREATE ROLE poor LOGIN PASSWORD 'poor'")
    try:
        error = refused(replace(filled, user="poor", password="poor"), request_)
        assert error.code == "restore.rights"
    finally:
        server.psql("DROP ROLE poor")


ROLE = """
SELECT rolcanlogin, rolconnlimit, rolvaliduntil AT TIME ZONE 'UTC', rolconfig,
       (SELECT array_agg(m.roleid::regrole::text) FROM pg_auth_members m WHERE m.member = r.oid),
       (SELECT array_agg(m.member::regrole::text) FROM pg_auth_members m WHERE m.roleid = r.oid)
  FROM pg_roles r WHERE rolname = 'temporary_owner'"""


def test_missing_roles_are_made_with_all_that_they_had_when_allowed(server, filled, request_):
    """They came back as NOLOGIN, without limit, expiry, settings, memberships: issue 18, A4."""
    server.psql(
        """CREATE ROLE temporary_owner LOGIN CONNECTION LIMIT 7 VALID UNTIL '2030-01-01 00:00Z';
           ALTER ROLE temporary_owner SET search_path TO app, public;
           GRANT macro_user TO temporary_owner; GRANT temporary_owner TO pms_ops;"""
    )
    role = server.psql(ROLE)
    server.psql("ALTER TABLE journal OWNER TO temporary_owner", filled.name)
    settings = backup.Settings(root=request_.root, keys=request_.keys, trial="none")
    backup.run(filled, settings, progress=progress.Progress())
    server.psql("ALTER TABLE journal OWNER TO macro_user", filled.name)
    server.psql("DROP ROLE temporary_owner")
    assert refused(filled, request_).code == "restore.roles"
    try:
        result = restored(filled, replace(request_, keep=False, create_roles=True))
        assert result["differences"] == 0
        assert server.psql(ROLE) == role
        assert any("without a password" in line for line in result["warnings"])
    finally:
        server.psql("DROP ROLE IF EXISTS temporary_owner")


def test_a_copy_that_differs_is_dropped_and_each_difference_is_named(filled, request_, taken):
    edited(taken, request_.keys, lambda d: d["contents"]["public.journal"].update(rows=7))
    error = refused(filled, request_)
    assert error.code == "restore.different"
    assert "public.journal has 1 rows, not 7" in str(error)
    assert sets.verification(taken) is None


def test_a_set_that_lacks_its_canary_is_refused(filled, request_, taken):
    edited(taken, request_.keys, lambda d: d.update(canary="f" * 32))
    assert refused(filled, request_).code == "restore.canary"


def test_two_restores_at_once_the_second_is_refused(filled, request_, taken):
    with process_lock.exclusive(request_.root / ".pms-ops" / "restore.lock", "restore"):
        assert refused(filled, request_).code == "lock.held"


def test_signatures_are_checked_before_files_are_read(filled, request_, taken):
    shutil.rmtree(request_.keys / signing.TRUSTED)
    assert refused(filled, request_).code == "signing.unknown-key"


# --- The swap -------------------------------------------------------------------------------------


class Writers:
    """Eight clients that write without pause, connect again, and count what was acknowledged."""

    def __init__(self, database):
        self.database, self.stop, self.acknowledged = database, threading.Event(), set()
        self.threads = [threading.Thread(target=self.work, args=(n,)) for n in range(8)]

    def work(self, number):
        connection, at = None, 0
        while not self.stop.is_set():
            at += 1
            row = 1000 + 8 * at + number
            try:
                if connection is None:
                    connection = self.database.connect(autocommit=True)
                    # As an application's connection, which follows the database's own default.
                    connection.cursor().execute("RESET default_transaction_read_only")
                with connection.cursor() as cursor:
                    cursor.execute("INSERT INTO journal VALUES (%s, 1)", (row,))
                self.acknowledged.add(row)
                time.sleep(0.005)
            except (OpsError, psycopg2.Error):
                connection = None

    def __enter__(self):
        for each in self.threads:
            each.start()
        time.sleep(0.3)
        return self

    def __exit__(self, *_exc):
        self.stop.set()
        for each in self.threads:
            each.join()


def rows_of(database):
    with database.session(read_only=True) as cursor:
        cursor.execute("SELECT id FROM journal")
        return {number for (number,) in cursor.fetchall()}


@pytest.mark.hypertables
def test_a_refused_swap_loses_no_acknowledged_write_and_the_next_try_begins_with_the_swap(
    from_here, request_, taken, monkeypatch
):
    """Of 726 writes of eight clients, 296 were gone, and the run said that nothing was lost."""
    monkeypatch.setattr(swap, "PROBE_SECONDS", 1)
    side = restored(from_here, request_)["side"]
    with Writers(from_here) as writers:
        with pytest.raises(OpsError, match="former database is live again") as caught:
            operation(from_here, request_, url="http://127.0.0.1:9").run("swapped", side)
        time.sleep(0.2)
    assert caught.value.code == "restore.probe"
    assert "Nothing was written to the new one" in str(caught.value)
    assert "journal (pms-ops)" in str(caught.value)
    assert len(writers.acknowledged) > 50
    assert writers.acknowledged - rows_of(from_here) == set()
    assert beside(from_here) == [side]
    assert rows_of(from_here.named(side)) == {1}
    assert workers_run(from_here)
    # The next try proves the kept database again and swaps; what waited is written after all.
    assert operation(from_here, request_).run("recovered", None, resume=taken)["waiting"] == side
    assert restored(from_here, request_)["side"] == side
    with Writers(from_here) as writers:
        former = operation(from_here, request_).run("swapped", side)["former"]
        time.sleep(0.2)
    assert writers.acknowledged - rows_of(from_here) - rows_of(from_here.named(former)) == set()
    assert writers.acknowledged & rows_of(from_here)
    assert workers_run(from_here)


@pytest.mark.hypertables
def test_what_the_pms_wrote_before_a_swap_back_is_kept_counted_and_can_be_brought_over(
    server, from_here, request_, taken
):
    side = restored(from_here, request_)["side"]
    run = replace(operation(from_here, request_, url="http://127.0.0.1:9"), probe_writes=True)

    def write(_self, _names):
        execute(
            from_here,
            "INSERT INTO journal VALUES (77, 1); UPDATE portfolio_positions SET name = 'x'"
            " WHERE id = 5; INSERT INTO md (at, value) VALUES ('2026-02-02 00:30Z', 1);"
            "DELETE FROM portfolio_positions WHERE id = 7;"
            'CREATE TABLE public."own made" AS SELECT 1 AS n; SELECT lo_from_bytea(0, $$x$$)',
        )
        return ["the PMS does not work"]

    with pytest.MonkeyPatch.context() as patch, pytest.raises(OpsError) as caught:
        patch.setattr(SwapRun, "_problems", write)
        replace(run, probe_seconds=0).run("swapped", side)
    (kept,) = beside(from_here)
    assert "__undone_" in kept
    for text in (
        "public.journal: 1 rows inserted or changed",
        "public.portfolio_positions: 1 rows inserted or changed and up to 1 deleted",
        "public.md: 1 rows inserted or changed",
        'public."own made": 1 rows inserted or changed',
        "large objects: 1 rows inserted or changed",
    ):
        assert text in str(caught.value)
    written = registry.read_from(from_here)[kept].mark["written"]
    assert {each["table"]: each["rows"] for each in written}["public.journal"] == 1
    assert registry.read_from(from_here)[kept].mark["is"] == registry.UNDONE
    command = next(each for each in re.findall(r"psql -d .*?FROM STDIN'", caught.value.remedy)
                   if "public.journal" in each)  # fmt: skip
    inside = ["docker", "exec", "-u", "postgres", server.container.name, "bash", "-c"]
    subprocess.run([*inside, f"set -o pipefail; {command}"], check=True, timeout=60)
    assert rows_of(from_here) == {1, 77}
    # Neither a recovery nor retention drops it.
    operation(from_here, request_).run("recovered", None)
    assert beside(from_here) == [kept]


@pytest.mark.hypertables
def test_clients_that_reconnect_without_pause_do_not_win_and_never_read_a_mixture(
    from_here, request_, taken
):
    execute(from_here, "UPDATE portfolio_positions SET name = 'live'")
    side = restored(from_here, request_)["side"]
    stop, seen, errors = threading.Event(), set(), []

    def hammer():
        connection = None
        while not stop.is_set():
            try:
                if connection is None:
                    connection = from_here.connect(autocommit=True)
                with connection.cursor() as cursor:
                    cursor.execute("SELECT count(DISTINCT name) FROM portfolio_positions")
                    seen.add(cursor.fetchone()[0])
            except (OpsError, psycopg2.Error):
                errors.append(time.monotonic())
                connection = None

    threads = [threading.Thread(target=hammer) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.3)
        operation(from_here, request_).run("swapped", side)
        time.sleep(0.3)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert seen == {1, 100}
    assert errors


def test_former_databases_are_pruned_only_where_policy_asks_and_never_the_newest(
    filled, request_, taken
):
    formers = []
    for count in (0, 0, 1):
        # Each former database equals the set, and would serve as it is.
        side = restored(filled, replace(request_, fresh=True))["side"]
        one = operation(filled, request_, policy=former_retention.Policy(count))
        done = one.run("swapped", side)
        formers.append(done["former"])
    assert done["pruned"] == formers[:2]
    assert beside(filled) == formers[2:]


def test_nothing_to_bring_back_is_said(filled, request_):
    with pytest.raises(OpsError) as caught:
        operation(filled, request_).run("rolled_back", None)
    assert caught.value.code == "restore.no-former"
