# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an older release left in a server and beside it: this one finishes it and goes on.

The databases of tests/fixtures/release-0.1.0 are made anew with the OIDs, marks and settings that
the release gave them, out of its own backup set. What has to come of a killed run is what the
release itself made of it; scene.json has that as ``outcome``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import socket
from pathlib import Path

import docker
import pytest

from tests.support import freeze_release as freeze
from tests.support import old_release as frozen
from tests.support.server import IMAGE, LABEL, POSTGRESQL, running_server
from tests.support.standin_pms import served
from tests.support.tiers import deep_but

pytestmark = pytest.mark.skipif(
    POSTGRESQL != 17, reason="the sets of 0.1.0 need PostgreSQL 17 with TimescaleDB 2.19.3"
)
SCENES = sorted(path.name for path in (frozen.RELEASE / "killed").iterdir())
# One of each outcome: what follows depends on the outcome alone, and all of it is compared.
GOES_ON = ("proved", "renamed", "going-back", "rollback-begun", "rollback-renamed")
WENT_BACK = ("going-back", "gone-back")
LIVE = frozen.LIVE
WRITE = """
SET ROLE macro_user;
INSERT INTO market_data VALUES (2, '2026-11-01', 'daily', 13), (2, '2026-12-15', 'daily', 14)
"""


@pytest.fixture(scope="module")
def server(images):
    """A server of its own: its databases get the OIDs that marks refer to."""
    with running_server() as made:
        yield made


@pytest.fixture(scope="module")
def containers():
    """The project and the containers of two services."""
    with freeze.services() as made:
        yield made


class Host:
    """A host that the old release has worked on: its server, its folders, its services."""

    def __init__(self, server, containers, folder, tools):
        self.server = server
        self.project, self.containers = containers
        self.folder = folder
        self.root = folder / "backups"
        for name in ("backups", "keys", "evidence"):
            frozen.copy(name, folder / name)
        known = server.database(LIVE)
        reached = {
            "host": known.host, "port": known.port, "name": LIVE, "user": known.user,
            "password": known.password,
        }  # fmt: skip
        # The client tools of this host start sooner than those of the container.
        self.database = reached | {"access": "host", "bin_dir": str(tools)}
        self.in_container = reached | {"access": "container", "container": known.container}
        self.places = {"root": str(self.root), "keys": str(folder / "keys")}

    @property
    def newest(self):
        return str(frozen.sets(self.root)[-1])

    def restore(self, file=None, **more):
        return frozen.done(
            "pms_restore", database=self.database, file=file or self.newest, **self.places, **more
        )

    def swap(self, state, incoming=None, **more):
        services = {
            "manager": "compose", "compose_project": self.project,
            "app_services": list(freeze.SERVICES),
        }  # fmt: skip
        return frozen.done(
            "pms_swap", database=self.database, services=services, root=str(self.root),
            state=state, incoming=incoming, **more,
        )  # fmt: skip

    def differences(self, file=None):
        found = frozen.done(
            "pms_verify", database=self.database, file=file or self.newest, **self.places
        )
        return found["differences"]

    def names(self):
        return [each["name"] for each in freeze.databases(self.server)]

    def content(self, name=LIVE):
        return next(
            each["content"] for each in freeze.databases(self.server) if each["name"] == name
        )

    def oid(self, name=LIVE):
        return int(self.server.psql(f"SELECT oid FROM pg_database WHERE datname = '{name}'"))

    def made(self, each):
        """Return the psql script that makes a database as a scene says that it was."""
        name = each["name"]
        template = {"set": "as_set", "before": "as_before", "unfinished": "template0"}
        lines = [
            f"CREATE DATABASE {name} OWNER macro_user TEMPLATE {template[each['content']]}"
            f" OID {each['oid']};",
            f"COMMENT ON DATABASE {name} IS {text(each['comment'])};",
        ]
        for setting in each["settings"]:
            key, _, value = setting.partition("=")
            lines.append(f"ALTER DATABASE {name} SET {key} TO {text(value)};")
        if each["content"] != "unfinished":
            jobs = each["jobs"]
            lines += [
                f"\\c {name}",
                "SET default_transaction_read_only TO off;",
                f"UPDATE _timescaledb_config.bgw_job SET scheduled = {jobs['scheduled']}"
                " WHERE id = 1000;",
                f"COMMENT ON TABLE _timescaledb_config.bgw_job IS {text(jobs['comment'])};",
                "\\c postgres",
            ]
        if not each["open"]:
            lines.append(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false;")
        return "\n".join(lines) + "\n"

    def set_up(self, *scene):
        """Have everything as a scene says that the old release left it."""
        document = frozen.read(*scene, "scene.json")
        self.server.psql("".join(self.made(each) for each in document["databases"]))
        shutil.rmtree(self.root / ".pms-ops")
        frozen.copy("/".join([*scene, ".pms-ops"]), self.root / ".pms-ops")
        # Its scratch folders are named after the path of backup_root.
        mine = hashlib.sha256(str(self.root).encode()).hexdigest()[:12]
        for path in (self.root / ".pms-ops").glob(".pms-restore-*"):
            path.rename(path.with_name(f".pms-restore-{mine}-{path.name.rpartition('-')[2]}"))
        for name, each in self.containers.items():
            if name in document.get("services_running", ()):
                each.start()
            elif freeze.is_running(each):
                each.kill()
        return document


def text(value):
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


def without_moment(comment):
    """Return a mark as a dictionary, without the moment at which a swap wrote it."""
    if not comment or not comment.startswith("pms-ops: "):
        return comment
    mark = json.loads(comment.removeprefix("pms-ops: "))
    return {name: value for name, value in mark.items() if name != "since"}


@pytest.fixture(scope="module")
def templates(server, containers, tmp_path_factory, host_tools):
    """The databases that all others are made of: as the newest set is, and as the live one was.

    The first is restored by this release into a server that has no live database.
    """
    server.psql("ALTER ROLE macro_user PASSWORD 'of the tests'")
    host = Host(server, containers, tmp_path_factory.mktemp("templates"), host_tools)
    host.database = host.in_container
    done = host.swap("swapped", host.restore(keep=True)["side"])
    assert done["former"] is None
    assert host.differences() == []
    server.psql("SELECT _timescaledb_functions.stop_background_workers()", LIVE)
    shut(server, LIVE)
    server.psql(f"ALTER DATABASE {LIVE} RENAME TO as_set")
    server.psql("CREATE DATABASE as_before OWNER macro_user TEMPLATE as_set")
    after = (frozen.RELEASE / "after_sets.sql").read_text()
    server.psql(f"SET ROLE macro_user; {after}", "as_before")
    shut(server, "as_before")


def shut(server, name):
    server.psql(
        f"ALTER DATABASE {name} ALLOW_CONNECTIONS false;"
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    )


@pytest.fixture
def host(server, containers, templates, tmp_path, host_tools):
    yield Host(server, containers, tmp_path, host_tools)
    freeze.drop_all(server)


@pytest.fixture
def living(host):
    """The same with the live database of before, of which nothing is under way."""
    host.set_up("killed", "recorded")
    (host.root / ".pms-ops" / "restore.json").unlink()
    return host


# --- Sets -----------------------------------------------------------------------------------------


OF_SCHEMA_2 = pytest.mark.deep(
    by="tests/integration/test_old_release.py"
    "::test_a_set_is_restored_proved_swapped_verified_and_rolled_back[schema-2]"
)


@pytest.mark.parametrize(
    "number",
    [0, pytest.param(1, marks=OF_SCHEMA_2), 2],
    ids=["schema-1", "schema-2-custom", "schema-2"],
)
def test_a_set_is_restored_proved_swapped_verified_and_rolled_back(living, number):
    chosen = str(frozen.sets(living.root)[number])
    result = living.restore(chosen, keep=True)
    manifest = frozen.read("backups", frozen.sets()[number].name, "manifest.json")
    assert (result["differences"], result["canary"], result["jobs"]) == (0, True, [1000])
    assert result["rows"] == manifest["totals"]["rows"]
    assert living.differences(chosen) != []
    former = living.swap("swapped", result["side"])["former"]
    assert living.differences(chosen) == []
    assert living.content(former) == "before"
    assert living.swap("rolled_back")["incoming"] == former
    assert living.content() == "before"


@pytest.mark.parametrize("number", [0, 2], ids=["schema-1", "schema-2"])
def test_every_changed_value_is_named_by_the_formula_of_the_set(living, number):
    chosen = str(frozen.sets(living.root)[number])
    living.server.psql("DELETE FROM portfolio_positions WHERE id = 4", LIVE)
    living.server.psql("UPDATE portfolio_positions SET entry_price = 5.26 WHERE id = 1", LIVE)
    found = living.differences(chosen)
    changed = [each for each in found if each.startswith("contents: public.portfolio_positions")]
    assert len(changed) == 1
    assert "rows with other values" in changed[0]


@pytest.mark.parametrize("number", [0, 2], ids=["schema-1", "schema-2"])
def test_single_tables_of_a_set_are_brought_and_compared(living, number):
    result = frozen.done(
        "pms_restore_tables",
        database=living.database,
        file=str(frozen.sets(living.root)[number]),
        tables=["portfolio_positions", "market_data"],
        into="last_night",
        **living.places,
    )
    rows = {each["name"]: each["rows"] for each in result["tables"]}
    assert rows == {"public.portfolio_positions": 3, "public.market_data": 61}


def test_retention_keeps_the_held_set_and_the_newest_one(living):
    held, other, _newest = [each.name for each in frozen.sets()]
    keep = dict.fromkeys(("keep_last", "keep_daily", "keep_weekly", "keep_monthly"), 0)
    policy = living.places | keep | {"keep_last": 1}
    result = frozen.done("pms_backup", check=True, database=living.database, **policy)
    assert other in result["removed"]
    assert held not in result["removed"]


# --- Killed runs ----------------------------------------------------------------------------------


def finished(host, document, *, rejected=0):
    """Have what was left finished, and compare with what the old release made of it.

    It dropped the database that a swap back takes out of use; *rejected* is the number of those
    that are kept now, since they may have been written to.
    """
    wanted = document["outcome"]
    result = host.swap("recovered", resume=host.newest if document["resume"] else None)
    for name in ("waiting", "finished", "resumed"):
        assert result[name] == wanted[name], name
    found = freeze.databases(host.server)
    names = {each["name"] for each in wanted["databases"]}
    kept = [each for each in found if "__undone_" in each["name"] and each["name"] not in names]
    assert len(kept) == rejected
    found = [each for each in found if each not in kept]
    for each in (*found, *wanted["databases"]):
        each["comment"] = without_moment(each["comment"])
    assert found == wanted["databases"]
    assert freeze.state_of(host.containers) == wanted["services_running"]
    left = {path.name for path in (host.root / ".pms-ops").iterdir()} - {"restore.room"}
    locks = {"backup.lock", "restore.lock"}
    assert left == locks | ({"restore.json"} if wanted["waiting"] else set())
    return result


def goes_on(host, document):
    """Restore where a proved staging database waits, then roll back: both work as ever."""
    waiting = document["outcome"]["waiting"]
    if waiting:
        assert host.restore(keep=True)["side"] == waiting
        host.swap("swapped", waiting)
    if host.content() == "set":
        assert host.differences() == []
        host.server.psql(WRITE, LIVE)
        host.swap("rolled_back")
    assert host.content() == "before"
    host.server.psql(WRITE, LIVE)
    assert freeze.state_of(host.containers) == list(freeze.SERVICES)


@pytest.mark.parametrize(
    "scene",
    deep_but(
        SCENES,
        stay=(*GOES_ON, "filling", "swap-marked"),
        by="tests/integration/test_old_release.py"
        "::test_a_killed_run_is_finished_or_cleaned_up[renamed]",
    ),
)
def test_a_killed_run_is_finished_or_cleaned_up(host, scene):
    document = host.set_up("killed", scene)
    result = finished(host, document, rejected=int(scene in WENT_BACK))
    journal = frozen.read("killed", scene, ".pms-ops", "restore.json")
    assert f"'{journal['step']}'" in " ".join(result["recovered"])
    if scene in GOES_ON:
        goes_on(host, document)


@pytest.mark.parametrize(
    "scene",
    deep_but(
        ["proved", "services-stopped", "renamed", "rollback-renamed"],
        stay=("proved", "renamed"),
        by="tests/integration/test_old_release.py"
        "::test_without_its_journal_it_is_finished_by_the_marks[renamed]",
    ),
)
def test_without_its_journal_it_is_finished_by_the_marks(host, scene):
    document = host.set_up("killed", scene)
    (host.root / ".pms-ops" / "restore.json").unlink()
    finished(host, document)


def test_a_staging_database_that_was_not_marked_yet_is_known_by_its_name(host):
    document = host.set_up("killed", "recorded")
    journal = frozen.read("killed", "recorded", ".pms-ops", "restore.json")
    host.server.psql(f"CREATE DATABASE {journal['side']} OWNER macro_user TEMPLATE template0")
    finished(host, document)


def test_databases_that_were_closed_for_the_renames_are_opened(host):
    document = host.set_up("killed", "rename-begun")
    names = [each["name"] for each in document["databases"]]
    host.server.psql("".join(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false;" for name in names))
    finished(host, document)


def test_a_tool_s_container_of_a_dead_run_is_removed(living):
    """Its label says whose it is: host and its processes, process, when it began, boot."""
    living.database = living.in_container
    seen = Path("/proc/self/ns/pid").stat().st_ino
    owner = f"{socket.gethostname()}/{seen} 999999 1 00000000-0000-0000-0000-000000000000"
    left = docker.from_env().containers.create(
        IMAGE, ["true"], labels={LABEL: "1", "pms-ops.client-of": owner}
    )
    try:
        living.swap("recovered")
        with pytest.raises(docker.errors.NotFound):
            left.reload()
    finally:
        with contextlib.suppress(docker.errors.NotFound):
            left.remove(force=True)


def test_a_run_of_the_old_release_on_another_machine_keeps_this_one_out(living):
    connection = living.server.database("postgres").connect(autocommit=True)
    try:
        connection.cursor().execute(
            "SELECT pg_advisory_lock(hashtext('pms-ops restore'), hashtext(%s))", (LIVE,)
        )
        found = frozen.call(
            "pms_swap", database=living.database, root=str(living.root), state="recovered"
        )
        assert found["code"] == "restore.elsewhere"
    finally:
        connection.close()


def test_what_a_killed_backup_left_is_removed_by_the_next_one(living):
    (partial,) = (frozen.RELEASE / "killed-backup").glob(".partial-*")
    frozen.copy(f"killed-backup/{partial.name}", living.root / partial.name)
    shutil.rmtree(living.root / ".pms-ops")
    frozen.copy("killed-backup/.pms-ops", living.root / ".pms-ops")
    result = frozen.done("pms_backup", database=living.database, **living.places)
    assert result["cleaned"] == [partial.name]
    assert not (living.root / partial.name).exists()
    assert not (living.root / ".pms-ops" / "backup.progress").exists()
    # What an older set has already is shared with it.
    assert result["saved_bytes"] > 0


# --- Marked databases -----------------------------------------------------------------------------


@pytest.fixture
def weeks(host):
    """A server after three restores, a rollback, and a restore that waits for its swap."""
    document = host.set_up("marked")
    for each in host.containers.values():
        each.start()
    marks = {each["name"]: without_moment(each["comment"]) for each in document["databases"]}
    kinds = {name: mark["is"] for name, mark in marks.items() if isinstance(mark, dict)}
    host.former = sorted(name for name, kind in kinds.items() if kind == "former")
    (host.undone,) = [name for name, kind in kinds.items() if kind == "undone"]
    (host.copy,) = [name for name, kind in kinds.items() if kind == "copy"]
    return host


def test_former_databases_are_listed_oldest_first(weeks):
    found = weeks.restore(check=True)["former"]
    assert found == [*weeks.former, weeks.undone]


def test_a_rollback_is_not_repeated_and_a_named_one_is_done(weeks):
    assert not weeks.swap("rolled_back")["changed"]
    oldest, oid = weeks.former[0], weeks.oid(weeks.former[0])
    assert weeks.content(oldest) == "before"
    assert weeks.swap("rolled_back", oldest)["incoming"] == oldest
    assert (weeks.content(), weeks.oid()) == ("before", oid)
    weeks.server.psql(WRITE, LIVE)  # it was read-only while it was a former one


def test_what_was_undone_is_taken_again(weeks):
    oid = weeks.oid(weeks.undone)
    assert weeks.swap("rolled_back", weeks.undone)["changed"]
    assert weeks.oid() == oid
    weeks.server.psql(WRITE, LIVE)


def test_the_policy_prunes_the_oldest_after_the_swap_of_the_waiting_one(weeks):
    assert weeks.restore(keep=True)["side"] == weeks.copy
    done = weeks.swap("swapped", weeks.copy, keep_former=2)
    assert done["pruned"] == weeks.former
    assert weeks.names() == sorted([LIVE, weeks.undone, done["former"]])


# --- A correction whose request was under way -----------------------------------------------------


@pytest.fixture
def asked(living):
    """The request that the killed run had sent, against a PMS that had carried it out."""
    kept = frozen.read("correction.json")
    book = freeze.Book()
    book.positions = kept["positions"]
    with served(book) as url:
        yield kept["request"] | {
            "database": living.database,
            "api": {"url": url, "username": "manager", "password": "right"},
            "evidence_root": str(living.folder / "evidence"),
        }


def test_a_request_that_was_sent_is_known_for_this_run_s_own(asked):
    found = frozen.call("pms_position", check=True, **asked)
    assert not found.get("failed"), found
    assert [each.split()[0] for each in found["actions"]] == ["Open", "Note"]


def test_another_correction_is_refused_until_that_one_is_finished(asked):
    found = frozen.call("pms_position", check=True, **asked | {"notional_brl": 20000000})
    assert found["code"] == "position.corrected"


def test_without_the_log_of_requests_the_position_counts_as_closed_by_somebody_else(asked, living):
    shutil.rmtree(living.folder / "evidence" / "incidents" / "requests")
    assert frozen.call("pms_position", check=True, **asked)["code"] == "position.closed"
