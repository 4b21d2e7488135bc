# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pyrage
import pytest
from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.backup import surroundings
from ansible.module_utils.pmsops.backup.dump import Dump
from ansible.module_utils.pmsops.client_tools import factory as client_tools
from ansible.module_utils.pmsops.client_tools import pg_dump, pg_dumpall, sidecar
from ansible.module_utils.pmsops.common import files, progress
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import canary, catalog, fingerprint, lost_values
from ansible.module_utils.pmsops.repository import encryption, manifest, sets
from ansible.module_utils.pmsops.services import docker_engine
from ansible.module_utils.pmsops.verify import against_set

from tests.conftest import PROJECT
from tests.support.client_tools import reached_from_here
from tests.support.server import (
    HAS_TIMESCALEDB,
    HYPERTABLE,
    POSTGRESQL,
    execute,
    needs_timescaledb,
    running_server,
)
from tests.support.tiers import deep_but

# Where the rows of md are: in itself, or in chunks, whose names differ.
PLAIN = None if HAS_TIMESCALEDB else "public.md"
SCHEMA_FILE = PROJECT / "docs" / "schemas" / "manifest.schema.json"
SCHEMA = """
CREATE TABLE md (id bigserial, at timestamptz NOT NULL, value float8, PRIMARY KEY (id, at));
{hypertable}
INSERT INTO md (at, value)
SELECT t, extract(epoch FROM t) FROM generate_series(timestamptz '2026-01-01', '2026-06-30',
                                                     '1 hour') t;
CREATE TABLE positions (id int PRIMARY KEY, name text);
INSERT INTO positions SELECT n, 'position ' || n FROM generate_series(1, 100) n;
"""


@pytest.fixture
def filled(database):
    """A database with a hypertable, reached through its container."""
    execute(database, SCHEMA.format(hypertable=HYPERTABLE))
    return database


@pytest.fixture
def plain(server, host_tools):
    """One without TimescaleDB, with the client tools of this host: where neither matters."""
    name = f"test_{uuid.uuid4().hex[:8]}"
    made = server.create(name, timescaledb=False)
    execute(made, SCHEMA.format(hypertable=""))
    yield reached_from_here(made, host_tools)
    server.drop(name)


@pytest.fixture
def settings(tmp_path):
    return backup.Settings(
        root=tmp_path / "backups",
        keys=tmp_path / "keys",
        tables=("positions", "md"),
        trial="none",  # test_backup_trial.py is about it
    )


def made(database, settings):
    return backup.run(database, settings, progress=progress.Progress())


def contents(database):
    with database.session(read_only=True) as cursor:
        catalog.prepare(cursor)
        return fingerprint.fingerprints([cursor], fingerprint.relations(cursor))


def leftovers(settings):
    """Return what a failed run must not leave: sets, parts of sets, sidecars beside this server."""
    return [
        *sets.listed(settings.root),
        *settings.root.glob(".partial-*"),
        *(
            each
            for each in docker_engine.engine().containers.list(
                filters={"label": sidecar.SIDECAR_LABEL}, ignore_removed=True
            )
            if each.attrs["HostConfig"]["NetworkMode"] == f"container:{SERVER['id']}"
        ),
    ]


# Other servers' sidecars are none of these tests' business.
SERVER = {}


@pytest.fixture(autouse=True)
def this_server(server):
    SERVER["id"] = server.container.id


def test_a_set_is_complete_signed_and_says_what_was_in_the_database(filled, settings):
    result = made(filled, settings)
    folder = Path(result["set"])
    backup_set = sets.resolve(folder)
    assert sets.check(backup_set, settings.keys)["bytes"] == result["size_bytes"]
    document = backup_set.manifest
    jsonschema.validate(document, json.loads(SCHEMA_FILE.read_text()))
    assert document["contents"] == contents(filled)
    hypertables = {name: each["chunks"] for name, each in document["facts"]["hypertables"].items()}
    assert hypertables == ({"public.md": 7} if HAS_TIMESCALEDB else {})
    assert "CREATE ROLE macro_user" in (folder / "globals.sql").read_text()
    assert "PASSWORD" not in (folder / "globals.sql").read_text().upper()
    with filled.session(read_only=True) as cursor:
        assert canary.seen(cursor, document["canary"])
    assert all(path.stat().st_mode & 0o222 == 0 for path in folder.rglob("*") if path.is_file())
    assert filled.password not in "".join(
        path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file()
    )


LOSS = {
    "table": "public.md",
    "column": "q",
    "rows": 503,
    "chunks": ["_timescaledb_internal._hyper_1_1_chunk"],
    "what": "public.md: column q of 503 rows in 1 compressed chunks ...",
    "remedy": "Decompress and compress the chunks again: ...",
}


def test_what_the_dump_does_not_carry_is_recorded_warned_of_and_returned(
    filled, settings, monkeypatch, host_tools
):
    """Real losses need the full edition: test_full_edition.py."""
    filled = reached_from_here(filled, host_tools)
    monkeypatch.setattr(lost_values, "losses", lambda cursor: [LOSS])
    execute(
        filled,
        "CREATE MATERIALIZED VIEW fresh AS SELECT count(*) FROM positions;"
        "CREATE MATERIALIZED VIEW stale AS SELECT count(*) FROM md;"
        "CREATE MATERIALIZED VIEW today AS SELECT now();"
        "DELETE FROM md WHERE id = (SELECT min(id) FROM md)",
    )
    result = made(filled, settings)
    document = manifest.read(Path(result["set"]))
    jsonschema.validate(document, json.loads(SCHEMA_FILE.read_text()))
    assert document["losses"] == result["losses"] == [LOSS]
    assert any(LOSS["remedy"] in line for line in result["warnings"])
    assert result["trial"]["status"] == "refused"
    (finding,) = result["trial"]["findings"]
    assert finding["object"] == "COLUMN public.md.q"
    assert finding["what"].startswith("column q of 503 rows")
    views = document["facts"]["materialized_views"]
    fresh = {name: each["fresh"] for name, each in views.items()}
    assert fresh == {"public.fresh": True, "public.stale": False, "public.today": None}
    told = [line for line in document["not_restored"] if "materialized view" in line]
    assert [line.split(":")[0].split()[-1] for line in told] == ["public.stale", "public.today"]
    assert "its query calls now()" in told[1]


def test_the_csv_of_a_hypertable_holds_its_rows(filled, settings, host_tools):
    folder = Path(made(reached_from_here(filled, host_tools), settings)["set"])
    (path,) = folder.glob("md_*.csv")
    assert len(path.read_text().splitlines()) == 1 + 4321


def test_a_second_set_of_unchanged_data_adds_next_to_nothing(filled, settings, host_tools):
    filled = reached_from_here(filled, host_tools)
    first = made(filled, settings)
    second = made(filled, settings)
    assert second["saved_bytes"] > 0.5 * first["size_bytes"]
    one, two = (sets.resolve(Path(result["set"])).manifest for result in (first, second))
    for name, entry in one["contents"].items():
        if name != "pms_ops.canary":
            assert two["contents"][name] == entry
    sets.check(sets.resolve(Path(first["set"])), settings.keys)


def test_a_single_file_can_be_asked_for(plain, settings):
    result = made(plain, replace(settings, format="custom"))
    dump_file = sets.resolve(Path(result["set"])).dump
    assert dump_file.read_bytes()[:5] == b"PGDMP"


def test_tools_of_the_host_serve_as_well(filled, settings, host_tools):
    on_host = reached_from_here(filled, host_tools)
    folder = Path(made(on_host, settings)["set"])
    sets.check(sets.resolve(folder), settings.keys)
    compression = "zstd:1" if POSTGRESQL >= 16 else "1"
    assert manifest.read(folder)["dump"]["compression"] == compression


def test_the_password_is_in_no_argument_list_while_a_backup_runs(filled, settings, host_tools):
    stop, seen = threading.Event(), set()

    def watch():
        while not stop.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(path.read_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        made(filled, settings)
        made(replace(filled, access="host", bin_dir=str(host_tools)), settings)
    finally:
        stop.set()
        watcher.join()
    assert any(b"pg_dump\0" in line for line in seen)
    assert not [line for line in seen if filled.password.encode() in line]


def test_a_clock_set_back_is_said_and_the_new_set_outlives_its_own_run(
    plain, settings, monkeypatch
):
    first = made(plain, settings)
    # The worst that dates can do: every set looks old enough to go.
    monkeypatch.setattr(backup.retention, "expired", lambda root, *_, **__: sets.listed(root))
    second = backup.run(
        plain,
        settings,
        progress=progress.Progress(),
        now=lambda: datetime(2024, 1, 1, tzinfo=UTC),
    )
    assert second["id"] == "2024-01-01_0000"
    assert "a clock was set back" in second["warnings"][0]
    assert second["removed"] == [first["id"]]
    sets.check(sets.resolve(Path(second["set"])), settings.keys)


def test_the_plan_changes_nothing(filled, settings, tmp_path):
    before = contents(filled)
    planned = backup.plan(filled, settings)
    assert planned["tables"] > (8 if HAS_TIMESCALEDB else 1)
    assert planned["estimated_bytes"] > 0
    assert list(tmp_path.iterdir()) == []
    assert contents(filled) == before


def dumped(database, tools, dump, keys):
    """Return what the rows of a dump's tables fingerprint to, read into temporary tables."""
    with database.session(read_only=True) as cursor:
        relations = {
            f"{each.schema}.{each.name}": each
            for each in fingerprint.relations(cursor)
            if each.key in keys
        }
    status, text, errors = tools.capture(
        "pg_restore",
        [
            "--data-only",
            "--file=-",
            *(f"--table={each.name}" for each in relations.values()),
            str(dump),
        ],
        folders={dump.parent: "ro"},
    )
    assert status == 0, errors
    found, lines = {}, iter(text.decode().splitlines(keepends=True))
    with database.session() as cursor:
        for line in lines:
            copy = re.match(r"COPY (\S+) (\(.*\)) FROM stdin;", line)
            if copy is None:
                continue
            block = "".join(iter(lambda: next(lines), "\\.\n"))
            cursor.execute(f"CREATE TEMP TABLE t (LIKE {copy[1]})")
            cursor.copy_expert(f"COPY pg_temp.t {copy[2]} FROM STDIN", io.StringIO(block))
            here = replace(relations[copy[1]], schema="pg_temp", name="t")
            found[here.key if here.chunk else copy[1]] = fingerprint.fingerprint(cursor, here)
            cursor.execute("DROP TABLE pg_temp.t")
    return found


def test_the_manifest_is_of_the_dumps_moment_whatever_is_written_meanwhile(
    filled, settings, host_tools, often
):
    """The dump's own rows have the manifest's counts and fingerprints, each time."""
    filled = reached_from_here(filled, host_tools)
    tools, stop = client_tools.for_database(filled), threading.Event()

    def write():
        while not stop.is_set():
            execute(
                filled,
                "INSERT INTO md (at, value) SELECT now(), random();"
                "UPDATE positions SET name = md5(random()::text) WHERE id <= 10;"
                "DELETE FROM md WHERE id IN (SELECT min(id) FROM md)",
            )

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(often):
            folder = Path(made(filled, replace(settings, canary=False))["set"])
            document = manifest.read(folder)
            recorded = {
                name: entry
                for name, entry in document["contents"].items()
                if "of" in entry or name in ("public.positions", PLAIN)
            }
            # Of a hypertable seven chunks at first, and one of what is written now
            assert len(recorded) >= (8 if HAS_TIMESCALEDB else 2)
            assert dumped(filled, tools, sets.resolve(folder).dump, recorded) == recorded
            (csv,) = folder.glob("md_*.csv")
            rows = sum(e["rows"] for name, e in recorded.items() if "of" in e or name == PLAIN)
            assert rows == len(csv.read_text().splitlines()) - 1
    finally:
        stop.set()
        writer.join()


# --- Faults --------------------------------------------------------------------------------------


def failure(database, settings):
    before = contents(database)
    with pytest.raises(OpsError) as caught:
        made(database, settings)
    assert leftovers(settings) == []
    assert contents(database) == before
    return caught.value


def test_a_wrong_password_is_said_and_nothing_is_left(plain, settings):
    with pytest.raises(OpsError) as caught:
        made(replace(plain, password="wrong"), settings)
    assert caught.value.code == "database.auth"
    assert leftovers(settings) == []


def test_a_missing_database_is_said(plain, settings):
    with pytest.raises(OpsError) as caught:
        made(plain.named("nowhere"), settings)
    assert caught.value.code == "database.missing"


def test_a_missing_container_is_said(server, plain, settings):
    with pytest.raises(OpsError, match="There is no container") as caught:
        made(replace(server.database(plain.name), container="no-such-container"), settings)
    assert caught.value.code == "clients.container"


def test_a_table_that_does_not_exist_is_said_and_nothing_is_left(plain, settings):
    error = failure(plain, replace(settings, canary=False, tables=("position",)))
    assert error.code == "backup.table"
    assert "position of pms_db_tables" in str(error)


def test_a_table_that_does_not_exist_is_said_by_a_check_too(plain, settings):
    """doctor says by it that a backup is possible."""
    with pytest.raises(OpsError) as caught:
        backup.plan(plain, replace(settings, tables=("position",)))
    assert caught.value.code == "backup.table"


def test_missing_rights_are_named_before_anything_is_written(server, filled, settings):
    # Of a hypertable each chunk is named; two plain tables are not "and more".
    named = r"\S+, .* and more" if HAS_TIMESCALEDB else r"public\.md, .*public\.positions"
    server.psql("CREATE ROLE poor LOGIN PASSWORD 'poor'")
    try:
        with pytest.raises(OpsError, match=f"poor may not read {named}") as caught:
            made(replace(filled, user="poor", password="poor"), settings)
        assert caught.value.code == "database.rights"
        assert leftovers(settings) == []
        # The rows of a materialized view are read too, though pg_dump does not.
        server.psql(
            "CREATE MATERIALIZED VIEW public.seen AS SELECT 1;"
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO poor;"
            "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO poor;"
            "REVOKE SELECT ON public.seen FROM poor",
            filled.name,
        )
        with pytest.raises(OpsError, match=r"poor may not read .*public\.seen"):
            made(replace(filled, user="poor", password="poor"), settings)
    finally:
        server.psql("DROP OWNED BY poor", filled.name)
        server.psql("DROP ROLE poor")


def test_a_full_disk_leaves_no_set(plain, settings, tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mount], check=True)
    try:
        small = replace(settings, root=mount / "backups", canary=False)
        with pytest.raises(OpsError, match="free; the backup needs about") as caught:
            made(plain, small)
        assert caught.value.code == "disk.full"
        assert leftovers(small) == []
    finally:
        subprocess.run(["umount", mount], check=True)


@pytest.mark.parametrize(
    "room",
    deep_but(
        range(200, 1100, 150),
        stay=(350, 800),
        by="tests/integration/test_backup.py"
        "::test_a_disk_that_fills_up_during_any_phase_leaves_no_set[350]",
    ),
)
def test_a_disk_that_fills_up_during_any_phase_leaves_no_set(
    plain, settings, tmp_path, monkeypatch, room
):
    """The check for free space is off, so that the disk fills where it will."""
    monkeypatch.setattr(backup.preflight, "NEXT_DUMP_SHARE", 0.0)
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}k", "tmpfs", mount], check=True)
    try:
        small = replace(settings, root=mount / "backups", canary=False)
        try:
            made(plain, small)
        except OpsError as exc:
            assert exc.code == "disk.full", str(exc)
            assert leftovers(small) == []
        else:
            (folder,) = sets.listed(small.root)
            sets.check(sets.resolve(folder), settings.keys)
    finally:
        subprocess.run(["umount", mount], check=True)


@pytest.fixture
def small(settings, tmp_path):
    """Settings whose sets go to a file system of 8 MB of their own."""
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", mount], check=True)
    yield replace(settings, root=mount / "backups", canary=False)
    subprocess.run(["umount", mount], check=True)


def fill(root):
    """Leave no room on the file system of *root*."""
    with contextlib.suppress(OSError), (root.parent / "filler").open("wb", buffering=0) as stream:
        while stream.write(bytes(4096)):
            pass


@pytest.mark.parametrize(
    ("phase", "where", "step"),
    [
        ("dump", pg_dump, "start"),
        ("CSV", Dump, "_export_tables"),
        ("globals", pg_dumpall, "read"),
        ("application", surroundings.export, "content"),
        ("manifest", backup.manifest, "write"),
    ],
)
def test_a_disk_that_is_full_from_a_phase_on_leaves_no_set(
    plain, small, monkeypatch, phase, where, step
):
    """Each phase meets the full disk alone: what runs beside pg_dump waits until that is done."""
    dump_ended, reached, real = threading.Event(), [], getattr(where, step)

    def full_from_here(*args, **options):
        if phase in ("CSV", "globals"):
            assert dump_ended.wait(60)
        fill(small.root)
        reached.append(phase)
        if phase == "application":
            return b"x" * 100_000, []
        return real(*args, **options)

    def dump_run(*args, run=pg_dump.run, **options):
        try:
            return run(*args, **options)
        finally:
            dump_ended.set()

    monkeypatch.setattr(pg_dump, "run", dump_run)
    monkeypatch.setattr(where, step, full_from_here)
    api_url = "http://127.0.0.1:1" if phase == "application" else None
    error = failure(plain, replace(small, api_url=api_url))
    assert reached == [phase]
    assert error.code == "disk.full", str(error)
    assert "Free space" in error.remedy
    (small.root.parent / "filler").unlink()
    monkeypatch.undo()
    sets.check(sets.resolve(Path(made(plain, small)["set"])), small.keys)


def test_a_rename_that_fails_leaves_no_set(plain, settings, monkeypatch):
    def refused(self, target):
        raise OSError(28, "No space left on device", str(target))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refused)
        error = failure(plain, replace(settings, canary=False))
    assert error.code == "disk.full"
    made(plain, settings)


@needs_timescaledb
def test_a_database_being_restored_is_refused(server, filled, settings):
    server.psql(f"ALTER DATABASE {filled.name} SET timescaledb.restoring = 'on'")
    with pytest.raises(OpsError) as caught:
        made(filled, settings)
    assert caught.value.code == "backup.restoring"


def test_tools_older_than_the_server_are_refused(plain, settings, tmp_path):
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "pg_dump").write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 13.4'\n")
    (fake / "pg_dump").chmod(0o755)
    with pytest.raises(
        OpsError, match=f"version 13, older than the server's {POSTGRESQL}"
    ) as caught:
        made(replace(plain, access="host", bin_dir=str(fake)), settings)
    assert caught.value.code == "clients.old"


def test_missing_tools_are_said(plain, settings, tmp_path):
    with pytest.raises(OpsError) as caught:
        made(replace(plain, access="host", bin_dir=str(tmp_path)), settings)
    assert caught.value.code == "clients.missing"


def test_a_second_run_at_the_same_time_fails_at_once(plain, settings):
    started, results = threading.Event(), []

    def first():
        with contextlib.suppress(OpsError):
            results.append(made(plain, settings))

    thread = threading.Thread(target=first)
    thread.start()
    try:
        lock = settings.root / sets.STATE / "backup.lock"
        for _ in range(200):
            if lock.exists() and lock.stat().st_size:
                break
            time.sleep(0.01)
        started.set()
        with pytest.raises(OpsError, match=rf"process {os.getpid()} on") as caught:
            made(plain, settings)
        assert caught.value.code == "lock.held"
    finally:
        thread.join()
    assert len(results) == 1


RUN = f"""
import json, sys
import ansible.module_utils
ansible.module_utils.__path__.append({str(PROJECT / "module_utils")!r})
from pathlib import Path
from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.backup import surroundings
from ansible.module_utils.pmsops.common import progress
from ansible.module_utils.pmsops.common import signals as interrupts
from ansible.module_utils.pmsops.postgresql.connection import Database
options = json.loads(sys.stdin.readline())
database = Database(**options["database"])
settings = backup.Settings(
    root=Path(options["root"]), keys=Path(options["keys"]), trial="none"
)
print("ready", flush=True)
with interrupts.raised():
    backup.run(database, settings, progress=progress.Progress())
"""


def started(database, settings):
    """Start a backup as a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    options = {
        "database": {name: getattr(database, name) for name in database.__dataclass_fields__},
        "root": str(settings.root),
        "keys": str(settings.keys),
    }
    process.stdin.write(json.dumps(options) + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(
    "after_seconds",
    deep_but(
        [0.2, 0.6, 0.9, 1.2, 1.5],
        stay=(0.6, 1.2),
        by="tests/integration/test_backup.py"
        "::test_a_killed_run_leaves_no_set_and_the_next_cleans_up[0.6]",
    ),
)
def test_a_killed_run_leaves_no_set_and_the_next_cleans_up(server, plain, settings, after_seconds):
    filled = server.database(plain.name)
    process = started(filled, settings)
    time.sleep(after_seconds)
    process.kill()
    process.communicate()
    for folder in sets.listed(settings.root):  # it was quicker than the signal
        sets.check(sets.resolve(folder), settings.keys)
    made(filled, settings)
    assert list(settings.root.glob(".partial-*")) == []
    assert not [
        each
        for each in docker_engine.engine().containers.list(
            all=True, filters={"label": sidecar.SIDECAR_LABEL}, ignore_removed=True
        )
        if each.labels[sidecar.SIDECAR_LABEL].split()[1] == str(process.pid)
    ]
    sets.check(sets.resolve(sets.newest(settings.root)), settings.keys)


def test_a_terminated_run_cleans_up_itself(filled, settings):
    process = started(filled, settings)
    for _ in range(300):
        if list(settings.root.glob(".partial-*/*")):
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "Ended by SIGTERM" in errors
    assert leftovers(settings) == []


def dump_under_way(server):
    """Wait until pg_dump's sidecar works on this server; return it."""
    engine = docker_engine.engine()
    for _ in range(500):
        for each in engine.containers.list(
            filters={"label": sidecar.SIDECAR_LABEL}, ignore_removed=True
        ):
            if (
                each.attrs["Config"]["Entrypoint"] == ["pg_dump"]
                and each.attrs["Config"]["Cmd"] != ["--version"]
                and each.attrs["HostConfig"]["NetworkMode"] == f"container:{server.container.id}"
            ):
                return each
        time.sleep(0.01)
    raise TimeoutError


# Enough rows that a dump can be hit while it runs.
LARGE = """
CREATE TABLE large AS SELECT n, md5(n::text) || md5((n + 1)::text) AS text
  FROM generate_series(1, 1500000) n;
"""


@pytest.fixture(scope="module")
def large(server):
    """A database whose dump takes some seconds; the tests leave it as it is."""
    name = f"test_{uuid.uuid4().hex[:8]}"
    database = server.create(name)
    execute(database, SCHEMA.format(hypertable=HYPERTABLE) + LARGE)
    yield database
    server.drop(name)


def in_background(database, settings):
    caught = []

    def run():
        try:
            caught.append(made(database, settings))
        except OpsError as exc:
            caught.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, caught


def test_a_killed_pg_dump_leaves_no_set(server, large, settings):
    before = contents(large)
    thread, caught = in_background(large, replace(settings, canary=False))
    dump_under_way(server).kill()
    thread.join()
    assert [error.code for error in caught] == ["clients.failed"]
    assert "status 137" in str(caught[0])
    assert "It was killed" in caught[0].remedy
    assert leftovers(settings) == []
    assert contents(large) == before
    made(large, settings)  # no lock is left


@pytest.mark.parametrize("whose", ["true", "query LIKE 'SELECT count(*), coalesce(sum(%'"])
def test_lost_connections_leave_no_set(server, large, settings, whose):
    """Everybody's, as in a restart, and only those that read beside pg_dump."""
    thread, caught = in_background(large, replace(settings, canary=False))
    dump_under_way(server)
    deadline = time.monotonic() + 120  # on a busy host the readers begin late
    while thread.is_alive() and time.monotonic() < deadline:
        ended = server.psql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            f" WHERE datname = '{large.name}' AND pid <> pg_backend_pid() AND {whose}"
        )
        if ended != "0":
            break
    thread.join()
    assert [error.code for error in caught] == ["database.session-ended"]
    assert leftovers(settings) == []


def test_a_container_stopped_meanwhile_leaves_no_set_and_the_next_run_makes_one(settings):
    with running_server(in_memory=False) as own:
        SERVER["id"] = own.container.id
        database = own.create("stopped")
        execute(database, SCHEMA.format(hypertable=HYPERTABLE) + LARGE)
        for what in ("restart", "stop"):
            thread, caught = in_background(database, replace(settings, canary=False))
            dump_under_way(own)
            getattr(own.container, what)(timeout=1)
            thread.join()
            # A restarted server may be up again when the toolkit looks a second time.
            ended = "database.session-ended" if what == "restart" else "database.unreachable"
            assert {error.code for error in caught} <= {"database.unreachable", ended}
            assert len(caught) == 1
            assert leftovers(settings) == []
            if what == "stop":
                with pytest.raises(OpsError) as refused:
                    made(database, settings)
                assert refused.value.code in ("clients.container", "database.unreachable")
                own.container.start()
            own.wait()
        sets.check(sets.resolve(Path(made(database, settings)["set"])), settings.keys)


def test_a_folder_that_cannot_be_written_is_said(plain, settings, tmp_path):
    mount = tmp_path / "readonly"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", mount], check=True)
    try:
        with pytest.raises(OpsError) as caught:
            made(plain, replace(settings, root=mount / "backups"))
        assert caught.value.code == "disk.read-only"
    finally:
        subprocess.run(["umount", mount], check=True)


# --- Progress -------------------------------------------------------------------------

PLAY = """
- name: Back up
  hosts: far
  gather_facts: false
  tasks:
    - name: Make a set
      pms_backup: {database: "{{ database }}", root: "{{ root }}", keys: "{{ keys }}"}
"""
# Ansible's own SSH connection runs this for ssh: the last argument is the command.
FAKE_SSH = '#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n'


def test_a_terminal_sees_the_progress_of_a_remote_run_and_no_secret(
    server, large, settings, tmp_path
):
    """pg_dump is paused until the line was redrawn thrice, so no speed is assumed."""
    ssh, play, given = tmp_path / "ssh", tmp_path / "play.yml", tmp_path / "given.json"
    ssh.write_text(FAKE_SSH)
    ssh.chmod(0o755)
    play.write_text(PLAY)
    names = ("host", "port", "name", "user", "password", "access", "container")
    variables = {
        "ansible_connection": "ssh",
        "ansible_ssh_executable": str(ssh),
        "ansible_ssh_transfer_method": "piped",
        "ansible_python_interpreter": sys.executable,
        "database": {name: getattr(large, name) for name in names},
        "root": str(settings.root),
        "keys": str(settings.keys),
    }
    given.write_text(json.dumps(variables))
    ansible = Path(sys.executable).with_name("ansible-playbook")
    command = [ansible, "-i", "far,", "-e", f"@{given}", "-vvv", play]
    terminal, theirs = pty.openpty()
    paused = []
    # A line that never comes must not hang.
    patience = threading.Timer(120, lambda: [each.unpause() for each in paused])
    patience.start()
    try:
        process = subprocess.Popen(
            command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        seen, redrawn = b"", b"\r\x1b[K  dump and fingerprint"
        with contextlib.suppress(OSError):  # EIO: the other side has ended
            while block := os.read(terminal, 65536):
                seen += block
                if redrawn in seen and patience.is_alive() and not paused:
                    paused.append(dump_under_way(server))
                    paused[0].pause()
                if seen.count(redrawn) >= 3 and patience.is_alive():
                    patience.cancel()
                    paused[0].unpause()
                    patience.join()
        assert process.wait(60) == 0, seen.decode(errors="replace")[-3000:]
    finally:
        patience.cancel()
        os.close(terminal)
    assert seen.count(redrawn) >= 3
    assert b"s so far" in seen
    assert large.password.encode() not in seen
    sets.check(sets.resolve(sets.newest(settings.root)), settings.keys)


# --- Encryption -----------------------------------------------------------------------------------


@pytest.fixture
def identity(tmp_path):
    """An identity file and its public key, as age-keygen writes them."""
    pair = pyrage.x25519.Identity.generate()
    path = tmp_path / "identity.txt"
    path.write_text(f"# public key: {pair.to_public()}\n{pair}\n")
    return path, str(pair.to_public())


@pytest.mark.parametrize(
    "access",
    deep_but(
        ["container", "host"],
        stay=("container",),
        by="tests/integration/test_backup.py"
        "::test_an_encrypted_set_shows_nothing_and_gives_all_to_its_identity[container]",
    ),
)
def test_an_encrypted_set_shows_nothing_and_gives_all_to_its_identity(
    filled, settings, identity, access, host_tools
):
    path, public = identity
    if access == "host":
        filled = replace(filled, access="host", bin_dir=str(host_tools))
    folder = Path(made(filled, replace(settings, recipients=(public,)))["set"])
    backup_set = sets.resolve(folder)
    sets.check(backup_set, settings.keys)
    names = [name for name in files.walk(folder) if name != manifest.NAME]
    assert all(name.endswith(".age") for name in names)
    for name in names:
        assert (folder / name).read_bytes().startswith(b"age-encryption.org/v1")
        assert b"position 1" not in (folder / name).read_bytes()
    with encryption.decrypted(backup_set.dump, path) as stream:
        assert stream.read().startswith(b"PGDMP")
    (csv,) = folder.glob("positions_*.csv.age")
    with encryption.decrypted(csv, path) as stream:
        assert b"position 1" in stream.read()


def test_another_identity_gets_nothing(plain, settings, identity, tmp_path):
    folder = Path(made(plain, replace(settings, recipients=(identity[1],)))["set"])
    other = tmp_path / "other.txt"
    other.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    with (
        pytest.raises(OpsError) as caught,
        encryption.decrypted(sets.resolve(folder).dump, other) as stream,
    ):
        stream.read()
    assert caught.value.code == "encryption.refused"


def test_a_bad_recipient_is_named_before_anything_is_written(plain, settings):
    with pytest.raises(OpsError, match="age1nonsense") as caught:
        made(plain, replace(settings, recipients=("age1nonsense",)))
    assert caught.value.code == "encryption.recipient"
    assert leftovers(settings) == []


# --- Content -------------------------------------------------------------------------------------

# Name of the case -> how to make it, and how to change one value of it.
TYPES = {
    "double": ("float8", "0.1", "0.10000000000000002"),
    "negative zero": ("float8", "0", "'-0'"),
    "not a number": ("float8", "'NaN'", "'Infinity'"),
    "real": ("real", "'-0'", "0"),
    "numeric scale": ("numeric", "1.0", "1.00"),
    "numeric": ("numeric(40,10)", "12345678901234567890.1", "12345678901234567890.2"),
    "json spacing": ("json", """'{"a":1}'""", """'{"a": 1}'"""),
    "jsonb number": ("jsonb", """'{"a":1.0}'""", """'{"a":1.00}'"""),
    "array": ("int[]", "'{1,2}'", "'{2,1}'"),
    "array bounds": ("int[]", "'{1,2}'", "'[0:1]={1,2}'"),
    "array of text": ("text[]", "'{a,NULL}'", """'{a,"NULL"}'"""),
    "bytea": ("bytea", r"'\x00'", r"'\x0000'"),
    "composite": ("pair", "'(1,a)'", "'(1,b)'"),
    "enum": ("mood", "'sad'", "'happy'"),
    "domain": ("positive", "1", "2"),
    "range": ("int4range", "'[1,3)'", "'[1,4)'"),
    "interval": ("interval", "'1 month'", "'30 days'"),
    "timestamptz": ("timestamptz", "'2026-01-01 00:00Z'", "'2026-01-01 00:00:00.000001Z'"),
    "timetz": ("timetz", "'10:00+02'", "'09:00+01'"),
    "timestamptz both halves": (
        "timestamptz",
        "'2000-01-01 00:00:00.000001Z'",
        "'2000-01-01 01:11:34.967296Z'",
    ),
    "timestamp both halves": (
        "timestamp",
        "'2000-01-01 00:00:00.000001'",
        "'2000-01-01 01:11:34.967296'",
    ),
    "timestamp infinities": ("timestamp", "'infinity'", "'-infinity'"),
    "date": ("date", "'2026-01-01'", "'infinity'"),
    "date infinities": ("date", "'infinity'", "'-infinity'"),
    "bigint both halves": ("bigint", "1", "4294967296"),
    "bigint sign": ("bigint", "0", "-1"),
    "smallint": ("smallint", "1", "-1"),
    "zero and null": ("float8", "0", "NULL"),
    "negative zero and null": ("float8", "'-0'", "NULL"),
    "false and null": ("boolean", "false", "NULL"),
    "denormal": ("float8", "'4.9e-324'", "0"),
    "denormal real": ("real", "'1.4e-45'", "0"),
    "infinities": ("float8", "'Infinity'", "'-Infinity'"),
    "numeric infinities": ("numeric", "'NaN'", "'Infinity'"),
    "domain over float": ("level", "0", "'-0'"),
    "domain over timestamptz": ("moment", "'2026-01-01 00:00Z'", "'2026-01-01 00:01Z'"),
    "name": ("name", "'a'", "'A'"),
    "uuid": ("uuid", f"'{uuid.UUID(int=1)}'", f"'{uuid.UUID(int=2)}'"),
    "text case": ("text", "'a'", "'A'"),
    "case-insensitive text": ('text COLLATE "insensitive"', "'a'", "'A'"),
    "empty and null": ("text", "''", "NULL"),
    "char": ("char(3)", "'a'", "'b'"),
    "inet": ("inet", "'10.0.0.1/8'", "'10.0.0.1'"),
    "bit": ("bit varying", "B'0'", "B'00'"),
    "tsvector": ("tsvector", "'a b'", "'a'"),
    "xml": ("xml", "'<a/>'", "'<a></a>'"),
    "boolean": ("boolean", "true", "false"),
    "money": ("money", "1", "2"),
    "oid": ("oid", "1", "2"),
    "regclass": ("regclass", "'pg_class'", "'pg_type'"),
    "point": ("point", "'(0,0)'", "'(-0,0)'"),
}


@pytest.fixture(scope="module")
def typed(server):
    name = f"test_{uuid.uuid4().hex[:8]}"
    database = server.create(name, timescaledb=False)
    execute(
        database,
        """CREATE TYPE pair AS (a int, b text); CREATE TYPE mood AS ENUM ('sad', 'happy');
           CREATE DOMAIN positive AS int CHECK (value > 0);
           CREATE DOMAIN level AS float8; CREATE DOMAIN moment AS timestamptz;
           CREATE COLLATION insensitive (provider = icu, locale = 'und-u-ks-level2',
                                         deterministic = false);""",
    )
    yield database
    server.drop(name)


@pytest.fixture(scope="module")
def prints(typed):
    """What a table of each type fingerprints to: twice the same rows, then with one value changed.

    All types have their tables at the same time, so that each is read three times and no more.
    """
    found = []
    for number in range(3):
        statements = ""
        for place, (of_type, value, other) in enumerate(TYPES.values()):
            content = other if number == 2 else value
            statements += (
                f"DROP TABLE IF EXISTS t{place}; CREATE TABLE t{place} (id int, v {of_type});"
                # The same rows in another order, and at another place of the disk.
                + "".join(
                    f"INSERT INTO t{place} VALUES ({row}, {content if row == 2 else value});"
                    for row in ([1, 2, 3] if number % 2 else [3, 2, 1])
                )
            )
        execute(typed, statements)
        found.append(contents(typed))
    execute(typed, "".join(f"DROP TABLE t{place};" for place in range(len(TYPES))))
    return {case: [each[f"public.t{place}"] for each in found] for place, case in enumerate(TYPES)}


@pytest.mark.parametrize("case", TYPES)
def test_the_fingerprint_changes_when_one_value_changes_and_only_then(prints, case):
    same, again, changed = prints[case]
    assert same == again
    assert same != changed
    assert changed["rows"] == 3


ROWS = {
    "two rows swap a value": ("(1, 10, 0.5), (2, 20, 0.7)", "(1, 20, 0.5), (2, 10, 0.7)"),
    "two columns swap a value": ("(1, 7, 0), (1, 8, 0)", "(7, 1, 0), (8, 1, 0)"),
    "a zero moves to another row": ("(1, 0, 0), (2, 0, 1)", "(1, 0, 1), (2, 0, 0)"),
    "a null moves to another column": ("(1, NULL, 2)", "(NULL, 1, 2)"),
    "a row comes twice": ("(1, 1, 1)", "(1, 1, 1), (1, 1, 1)"),
    "columns go their own ways": ("(1, 1, 1), (2, 2, 2)", "(1, 2, 2), (2, 1, 1)"),
}


@pytest.mark.parametrize("case", ROWS)
def test_the_fingerprint_is_of_whole_rows(typed, case):
    prints = []
    for rows in ROWS[case]:
        execute(
            typed,
            "DROP TABLE IF EXISTS t; CREATE TABLE t (a int, b int, c float8);"
            f"INSERT INTO t VALUES {rows}",
        )
        prints.append(contents(typed)["public.t"])
    assert prints[0]["fingerprint"] != prints[1]["fingerprint"]


def test_the_widest_table_can_be_fingerprinted(typed):
    columns = ", ".join(f"c{n} {('int', 'float8', 'text')[n % 3]}" for n in range(1600))
    execute(typed, f"DROP TABLE IF EXISTS t; CREATE TABLE t ({columns})")
    execute(typed, "INSERT INTO t (c1, c1599) VALUES (0, 1)")
    first = contents(typed)["public.t"]
    execute(typed, "UPDATE t SET c1 = '-0'")
    assert contents(typed)["public.t"]["fingerprint"] != first["fingerprint"]


def test_a_set_of_the_first_formula_is_still_proved_and_an_unknown_one_refused(
    plain, settings, monkeypatch
):
    monkeypatch.setattr(fingerprint, "fingerprint", first_formula)
    monkeypatch.setattr(fingerprint, "relations", first_relations)
    monkeypatch.setattr(catalog, "facts", first_facts)
    result = made(plain, replace(settings, canary=False))
    folder = Path(result["set"])
    monkeypatch.undo()
    document = manifest.read(folder)
    del document["fingerprint_formula"]
    rewritten(folder, document | {"schema_version": 1}, settings)
    jsonschema.validate(manifest.read(folder), json.loads(SCHEMA_FILE.read_text()))
    assert against_set.against(plain, root=settings.root, keys=settings.keys)["identical"]
    execute(plain, "UPDATE positions SET name = 'other' WHERE id = 1")
    assert not against_set.against(plain, root=settings.root, keys=settings.keys)["identical"]
    rewritten(folder, document | {"fingerprint_formula": 4}, settings)
    with pytest.raises(OpsError, match="formula 4") as caught:
        manifest.read(folder)
    assert caught.value.code == "manifest.version"


def first_formula(cursor, relation, _formula, real=fingerprint.fingerprint):
    return real(cursor, relation, 1)


def first_relations(cursor, _formula=1, real=fingerprint.relations):
    return real(cursor, 1)


def first_facts(cursor, _schema=1, real=catalog.facts):
    return real(cursor, 1)


def rewritten(folder, document, settings):
    (folder / manifest.NAME).chmod(0o600)
    manifest.write(folder, document, settings.keys)


ODD = """
CREATE SCHEMA "Ünïcode Schema"; CREATE SCHEMA empty;
CREATE TABLE "Ünïcode Schema"."Tablé ""quoted"" 50%" ("Sélect" int, "a b" text, "100%s" text);
INSERT INTO "Ünïcode Schema"."Tablé ""quoted"" 50%" VALUES (1, 'x', '%');
CREATE TABLE parted (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
INSERT INTO parted VALUES (1, '2026-02-01'), (2, '2026-08-01'), (3, '2025-01-01');
CREATE UNLOGGED TABLE unlogged (id int); INSERT INTO unlogged VALUES (1);
CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES;
CREATE TABLE no_key (v text); INSERT INTO no_key VALUES ('same'), ('same'), (NULL);
CREATE TABLE made (id int GENERATED ALWAYS AS IDENTITY, a int,
                   twice int GENERATED ALWAYS AS (a * 2) STORED, dropped int);
ALTER TABLE made DROP COLUMN dropped; INSERT INTO made (a) VALUES (1), (2);
CREATE TABLE empty.empty (id int PRIMARY KEY);
CREATE TABLE secret (id int, owner text); INSERT INTO secret VALUES (1, 'a'), (2, 'b');
ALTER TABLE secret ENABLE ROW LEVEL SECURITY; ALTER TABLE secret FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON secret USING (owner = current_user);
CREATE MATERIALIZED VIEW summary AS SELECT count(*) FROM no_key;
CREATE VIEW recent AS SELECT * FROM md WHERE at > '2026-06-01';
SELECT lo_from_bytea(0, '\\x010203');
DO $$ BEGIN FOR n IN 1..30 LOOP
    EXECUTE format('CREATE SCHEMA many_%s; CREATE TABLE many_%s.t AS SELECT %s AS id', n, n, n);
END LOOP; END $$;
"""


def test_odd_databases_are_read_whole(server, settings):
    """A name that needs quoting, and each kind of table that tools tend to forget."""
    name = f'Öps "{uuid.uuid4().hex[:4]}" 100%'
    database = server.create(name)
    try:
        execute(database, SCHEMA.format(hypertable=HYPERTABLE) + ODD)
        folder = Path(made(database, settings)["set"])
        document = sets.resolve(folder).manifest
        rows = {name: entry["rows"] for name, entry in document["contents"].items()}
        assert rows['Ünïcode Schema.Tablé "quoted" 50%'] == 1
        assert (rows["public.parted_1"], rows["public.parted_rest"]) == (1, 2)
        assert "public.parted" not in rows
        assert rows["public.unlogged"] == 1
        assert rows["public.nothing"] == 1
        assert rows["public.no_key"] == 3
        assert rows["public.secret"] == 2
        assert rows["empty.empty"] == 0
        assert [rows[f"many_{n}.t"] for n in range(1, 31)] == [1] * 30
        # What TimescaleDB's own tables say is among the facts.
        assert not [name for name in rows if name.startswith("_timescaledb_catalog.")]
        assert len(document["facts"]["hypertables"]) == HAS_TIMESCALEDB
        assert document["facts"]["materialized_views"]["public.summary"]["fresh"]
        assert [each["bytes"] for each in document["facts"]["large_objects"].values()] == [3, 3]
        assert not {"_timescaledb_catalog.bgw_job", "_timescaledb_internal.bgw_job_stat"} & set(
            rows
        )
        facts = document["facts"]
        assert facts["columns"]["public.made.twice"]["generated"] == "s"
        assert facts["policies"]["public.secret.mine"]["using"]
        assert set(facts["views"]) == {"public.summary", "public.recent"}
        assert facts["large_objects"]["all"]["count"] == 1
        sets.check(sets.resolve(folder), settings.keys)
    finally:
        server.drop(name)


@pytest.mark.parametrize("timescaledb", [pytest.param(True, marks=needs_timescaledb), False])
def test_a_database_without_tables_is_backed_up_too(server, settings, timescaledb, host_tools):
    name = f"test_{uuid.uuid4().hex[:8]}"
    database = reached_from_here(server.create(name, timescaledb=timescaledb), host_tools)
    try:
        folder = Path(made(database, replace(settings, canary=False, tables=()))["set"])
        assert manifest.read(folder)["totals"]["rows"] == 0 or timescaledb
        sets.check(sets.resolve(folder), settings.keys)
    finally:
        server.drop(name)


def test_a_role_that_may_not_create_the_canary_still_backs_up(server, plain, settings):
    server.psql("CREATE ROLE reader LOGIN BYPASSRLS PASSWORD 'reader'")
    server.psql("GRANT pg_read_all_data, pg_monitor TO reader")
    try:
        result = made(replace(plain, user="reader", password="reader"), settings)
        assert manifest.read(Path(result["set"]))["canary"] is None
        assert "No canary" in result["warnings"][0]
    finally:
        server.psql("DROP OWNED BY reader; DROP ROLE reader")


def test_an_absent_server_is_said(plain, settings):
    with pytest.raises(OpsError) as caught:
        made(replace(plain, port=1), settings)
    assert caught.value.code == "database.unreachable"
