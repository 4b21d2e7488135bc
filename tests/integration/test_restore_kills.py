# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs that end by SIGKILL while clients write to the live database.

At every step in `make test-all`, at each second or third one in `make test-ci`: without a server,
tests/unit/restore/test_killed_swaps.py and test_run.py there kill swaps and restores at each point.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest
from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.client_tools import sidecar
from ansible.module_utils.pmsops.common import process_lock, progress
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.postgresql import timescaledb_workers
from ansible.module_utils.pmsops.restore import registry
from ansible.module_utils.pmsops.restore.journal import Journal
from ansible.module_utils.pmsops.restore.swap_run import SwapRun
from ansible.module_utils.pmsops.services import docker_engine
from ansible.module_utils.pmsops.verify import against_set

from tests.conftest import PROJECT
from tests.support.run_and_die import FileServices
from tests.support.server import HYPERTABLE, execute, workers_run

SERVICES = ("api", "worker")
WRITERS = 2
# What lies beside the sets when nothing runs: all of it is kept from run to run.
AT_REST = {"moments.json", "backup.lock", "restore.lock", "restore.room", "warm.json"}
SCHEMA = f"""
CREATE TABLE md (id bigserial, at timestamptz NOT NULL, value float8, PRIMARY KEY (id, at));
{HYPERTABLE}
INSERT INTO md (at, value) SELECT t, 1 FROM generate_series(timestamptz '2026-01-01',
                                                            '2026-02-28', '1 day') t;
CREATE TABLE debit (id bigint PRIMARY KEY);
CREATE TABLE credit (id bigint PRIMARY KEY);
"""


class Writers:
    """Clients that write to whatever is live: each number into two tables, in one transaction."""

    def __init__(self, database):
        self.database = database
        # By the OID of a database, which no rename changes: the numbers that it acknowledged.
        self.acknowledged = defaultdict(set)
        self._stop = threading.Event()
        now = time.time_ns() // 1000  # no number comes twice
        self._threads = [
            threading.Thread(target=self._write, args=(now + each,)) for each in range(WRITERS)
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, number):
        connection = None
        # While nobody is let in, each try costs the server a session.
        while not self._stop.wait(0.01 if connection else 0.05):
            number += WRITERS
            try:
                connection = connection or self.database.connect()
                with connection, connection.cursor() as cursor:
                    cursor.execute("INSERT INTO debit VALUES (%s)", (number,))
                    cursor.execute(
                        "INSERT INTO credit VALUES (%s) RETURNING (SELECT oid::bigint"
                        " FROM pg_database WHERE datname = current_database())",
                        (number,),
                    )
                    home = cursor.fetchone()[0]
                self.acknowledged[home].add(number)
            except (OpsError, psycopg2.Error):
                connection = None


class Scene:
    """A database that is written to, a set of it, and runs that can be told where to die."""

    def __init__(self, database, folder):
        self.database = database
        self.root, self.keys, self.folder = folder / "backups", folder / "keys", folder / "services"
        self.folder.mkdir()
        self.services = FileServices("files", SERVICES, str(self.folder))
        self.services.start(list(SERVICES))
        settings = backup.Settings(root=self.root, keys=self.keys, trial="none")
        self.set = Path(backup.run(database, settings, progress=progress.Progress())["set"])
        self.kills = 0
        self.process = subprocess.Popen(
            [sys.executable, str(PROJECT / "tests/support/run_and_die.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        fields = {name: getattr(database, name) for name in database.__dataclass_fields__}
        self._say(
            database=fields, root=str(self.root), keys=str(self.keys), set=str(self.set),
            services=SERVICES, folder=str(self.folder),
        )  # fmt: skip

    def _say(self, **said):
        self.process.stdin.write(json.dumps(said) + "\n")
        self.process.stdin.flush()

    def run(self, do, **order):
        """Have a run made; return what it says of itself."""
        self._say(do=do, **order)
        said = json.loads(self.process.stdout.readline())
        self.kills += said["killed"]
        return said

    def recover(self, resume=None):
        one = SwapRun(self.database, self.services, None, None, self.root)
        return one.run("recovered", None, resume=resume)

    def beside(self):
        return [
            name
            for name in registry.read_from(self.database)
            if name.startswith(f"{self.database.name}__")
        ]

    def live_oid(self):
        return registry.read_from(self.database)[self.database.name].oid

    def one_beside(self):
        """Return the database that the next swap or rollback puts in place."""
        (name,) = self.beside()
        return name

    def check(self, *, beside, waiting=False):
        """Refuse anything but a whole live database with *beside* and nothing else of ours."""
        with self.database.session(read_only=True) as cursor:
            cursor.execute("SELECT count(*) FROM md")
            assert cursor.fetchone()[0] == 59
        assert timescaledb_workers.insert_test(self.database) == []
        assert workers_run(self.database)
        assert self.services.running() == list(SERVICES)
        assert self.beside() == beside
        lying = {path.name for path in (self.root / ".pms-ops").iterdir()}
        assert lying - AT_REST == ({"restore.json"} if waiting else set())
        assert self._processes() == []

    def _processes(self):
        """Return the client tools that still run, once those that are ending have ended."""
        for _ in range(50):
            found = [
                path.parent.name
                for path in Path("/proc").glob("[0-9]*/cmdline")
                if self.set_named_in(path)
            ]
            if not found:
                break
            time.sleep(0.1)
        return found

    def set_named_in(self, path):
        try:
            return str(self.set).encode() in path.read_bytes()
        except OSError:
            return False

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


@contextlib.contextmanager
def scene_of(server, folder, **reached):
    name = f"test_{uuid.uuid4().hex[:8]}"
    database = replace(server.create(name), **reached)
    execute(database, "SET ROLE macro_user;" + SCHEMA)
    made = Scene(database, folder)
    try:
        yield made
    finally:
        made.close()
        for each in [name, *made.beside()]:
            server.drop(each)


@pytest.fixture(scope="module")
def scene(server, host_tools, tmp_path_factory):
    """The scene, with the host's own tools, which start sooner than containers."""
    folder = tmp_path_factory.mktemp("kills")
    with scene_of(server, folder, access="host", bin_dir=str(host_tools)) as made:
        yield made


def wholly_written(writers):
    """Tell of each database that is still there whether it has all that it acknowledged."""
    seen = 0
    for each in registry.read_from(writers.database).values():
        if each.oid not in writers.acknowledged:
            continue
        # What is acknowledged from here on may be missing from the answer.
        acknowledged = set(writers.acknowledged[each.oid])
        with writers.database.named(each.name).session(read_only=True) as cursor:
            # In one statement, so of one moment: the writers may still be at it.
            cursor.execute(
                "SELECT (SELECT array_agg(id) FROM debit), (SELECT array_agg(id) FROM credit)"
            )
            debit, credit = (set(found or ()) for found in cursor.fetchone())
            assert debit == credit
        assert debit >= acknowledged
        seen += len(debit)
    return seen


@pytest.fixture(scope="module")
def points(scene):
    """The points that a whole restore passes."""
    with Writers(scene.database) as writers:
        said = scene.run("restore")
    assert said["done"], said
    scene.check(beside=[scene.one_beside()])
    assert wholly_written(writers)
    return said["points"]


@pytest.fixture(scope="session")
def some(pytestconfig):
    """Return some of the points in `make test-ci`, evenly spread, and all in `make test-all`."""
    whole = pytestconfig.getoption("--all")
    return lambda points, every: points if whole else points[::every]


def killed(scene, do, chosen, **order):
    """Kill a run at each of the *chosen* points; yield after each, for what has to hold then."""
    for point in chosen:
        said = scene.run(do, die_at=point, **order)
        assert said["killed"] and said["points"][-1] == point, said
        yield point


def written_aside(points, before):
    """Return the point at which the next file is written, and has not its name yet."""
    after = points[points.index(before) + 2]
    assert after.startswith(("after _written_aside", "after overwrite")), after
    return after


def test_killed_while_restoring_nothing_is_left_of_the_copy(scene, points, some):
    """As each phase begins, and as each tool and the copy itself are there."""
    chosen = [
        point
        for point in points[: points.index("before record proved")]
        if point.startswith(("phase ", "after start pg_restore", "after create"))
    ]
    assert len(chosen) >= 18
    chosen = some(chosen, 3)
    chosen.append(written_aside(points, "before record aside"))
    former = scene.beside()
    with Writers(scene.database) as writers:
        for _ in killed(scene, "restore", chosen):
            scene.recover()
            scene.check(beside=former)
    assert wholly_written(writers)


def test_killed_between_proof_and_renames_the_next_run_goes_on_with_the_copy(server, scene, points):
    former = scene.one_beside()
    chosen = [
        written_aside(points, "before mark_verified"),
        "before record swap",
        "after record swap",
        "api is stopped",
        "after record rename",
        "after release",
    ]
    with Writers(scene.database) as writers:
        for _ in killed(scene, "restore", chosen):
            copy = scene.recover(resume=scene.set)["waiting"]
            scene.check(beside=[former, copy], waiting=True)
        said = scene.run("restore")
        assert said["done"] and "after create" not in said["points"]
        assert copy not in scene.beside()
    assert wholly_written(writers)
    server.drop(former)


ROLLBACK = pytest.mark.deep(
    by=(
        "tests/unit/restore/test_killed_swaps.py::test_a_rollback_killed_anywhere_is_finished_or_taken_back",
        "tests/integration/test_restore_kills.py"
        "::test_killed_in_a_swap_or_a_rollback_it_is_finished_or_taken_back[swap-0]",
    )
)


@pytest.mark.parametrize(
    ("do", "first"), [("swap", 0), pytest.param("rollback", 2, marks=ROLLBACK)]
)
def test_killed_in_a_swap_or_a_rollback_it_is_finished_or_taken_back(
    scene, points, do, first, some
):
    """At every fourth or eighth point, a rollback at others than a swap."""
    with Writers(scene.database) as writers:
        said = scene.run(do, incoming=scene.one_beside())
        assert said["done"], said
        chosen = said["points"][first::4]
        assert len(chosen) >= 10
        for point in some(chosen, 2):
            for _ in killed(scene, do, [point], incoming=scene.one_beside()):
                scene.recover()
                scene.check(beside=[scene.one_beside()])
        assert scene.run(do, incoming=scene.one_beside())["done"]
    assert wholly_written(writers)


@pytest.mark.deep(
    by="tests/unit/restore/test_killed_swaps.py"
    "::test_a_swap_killed_while_it_goes_back_never_leaves_a_broken_pms"
)
def test_killed_while_going_back_it_is_finished_or_goes_on(scene, points, some):
    live = scene.live_oid()
    with Writers(scene.database) as writers:
        failing = {"url": "http://127.0.0.1:9"}
        said = scene.run("swap", incoming=scene.one_beside(), **failing)
        assert "live again" in said["points"][-1]
        chosen = said["points"][said["points"].index("after record back") : -1 : 4]
        assert len(chosen) >= 5
        for point in some(chosen, 2):
            for _ in killed(scene, "swap", [point], incoming=scene.one_beside(), **failing):
                scene.recover()
                scene.check(beside=[scene.one_beside()])
                assert scene.live_oid() == live
    assert wholly_written(writers)


@pytest.mark.deep(
    by="tests/unit/restore/test_killed_swaps.py"
    "::test_a_recovery_that_is_killed_anywhere_is_done_by_the_next_one"
)
def test_killed_while_it_recovers_from_a_kill_the_next_run_does(scene, points, some):
    with Writers(scene.database) as writers:
        scene.run("swap", incoming=scene.one_beside(), die_at="after exchange")
        chosen = scene.run("recover")["points"][::5]
        assert len(chosen) >= 4
        for point in some(chosen, 2):
            scene.run("swap", incoming=scene.one_beside(), die_at="after exchange")
            for _ in killed(scene, "recover", [point]):
                scene.recover()
                scene.check(beside=[scene.one_beside()])
    assert wholly_written(writers)


@pytest.mark.deep(
    by="tests/integration/test_restore_kills.py"
    "::test_killed_while_restoring_nothing_is_left_of_the_copy"
)
def test_killed_at_some_moment_all_holds_too(scene, points, some):
    """At moments that no point names: in the middle of a tool's work or of a statement."""
    former = scene.beside()
    with Writers(scene.database) as writers:
        for number in some(range(6), 2):
            scene.run("restore", after=0.15 * number + 0.1 * random.random())
            scene.recover()
            if scene.beside() != former:  # it was quicker than the kill
                scene.run("rollback", incoming=None)
            scene.check(beside=scene.beside())
    assert wholly_written(writers)


def test_after_all_kills_a_restore_is_what_the_set_says(scene, points, some, pytestconfig):
    """Fifty kills and more in `make test-all`, half of them in `make test-ci`, of all phases."""
    assert scene.run("restore")["done"]
    assert against_set.against(scene.database, root=scene.root, keys=scene.keys)["identical"]
    least = len(some(range(50), 2))
    deep = pytestconfig.getoption("--deep") or pytestconfig.getoption("--all")
    assert scene.kills >= (least if deep else 16)  # restores and swaps alone


@pytest.mark.nightly
def test_a_drill_killed_anywhere_leaves_one_whole_warm_copy_and_a_restore_uses_it(
    server, host_tools, tmp_path
):
    with (
        scene_of(server, tmp_path, access="host", bin_dir=str(host_tools)) as scene,
        Writers(scene.database) as writers,
    ):
        said = scene.run("drill")
        assert said["done"], said
        (copy,) = scene.beside()
        seen = set()
        keeping = said["points"].index("before keep")
        chosen = [*said["points"][2:keeping:4], *said["points"][keeping:]]
        assert len(chosen) >= 20
        for _ in killed(scene, "drill", chosen):
            scene.recover()
            (after,) = scene.beside()
            found = registry.read_from(scene.database)[after]
            assert (found.kind, found.open, found.mark["oid"]) == ("warm", False, found.oid)
            scene.check(beside=[after])
            seen.add(after == copy)
            copy = after
        assert seen == {True, False}
        said = scene.run("restore")
        assert said["done"] and "after take" in said["points"], said
        assert "after create" not in said["points"]
        scene.check(beside=[scene.one_beside()])
        assert wholly_written(writers)


@pytest.mark.nightly
def test_a_restore_of_a_warm_set_killed_anywhere_goes_on(server, host_tools, tmp_path):
    with (
        scene_of(server, tmp_path, access="host", bin_dir=str(host_tools)) as scene,
        Writers(scene.database) as writers,
    ):
        assert scene.run("drill")["done"]
        (copy,) = scene.beside()
        live = scene.live_oid()
        chosen = ["phase prove", "phase queries", "before take", "before end_sessions"]
        for _ in killed(scene, "restore", [*chosen, "after take"]):
            waiting = scene.recover(resume=scene.set)["waiting"]
            scene.check(beside=[waiting or copy], waiting=bool(waiting))
            assert scene.live_oid() == live
        said = scene.run("restore")
        assert said["done"] and "after create" not in said["points"]
        scene.check(beside=[scene.one_beside()])
        assert scene.run("rollback", incoming=None)["done"] and scene.live_oid() == live
        assert wholly_written(writers)


def test_killed_with_its_tools_in_containers_none_of_them_stays(server, tmp_path):
    with scene_of(server, tmp_path) as scene, Writers(scene.database) as writers:
        chosen = [f"after start pg_restore{each}" for each in ("", " #3", " #5")]
        chosen += ["before _start tail", "after _start tail"]  # what the others run in
        for _ in killed(scene, "restore", chosen):
            scene.recover()
            scene.check(beside=[])
            assert left_behind() == []
        assert scene.run("restore")["done"]
        assert wholly_written(writers)


def left_behind():
    """Return the containers of tools whose run is dead."""
    found = docker_engine.engine().containers.list(
        all=True, filters={"label": sidecar.SIDECAR_LABEL}, ignore_removed=True
    )
    owners = [process_lock.ProcessId.parse(each.labels[sidecar.SIDECAR_LABEL]) for each in found]
    return [each for each in owners if not each.alive()]


# --- The playbook itself --------------------------------------------------------------------------


class Played:
    """dr_restore.yml, started on a scene."""

    def __init__(self, scene, folder):
        self.journal = scene.root / ".pms-ops" / "restore.json"
        self.found = self._state()
        self.shown = b""
        database = scene.database
        inventory = folder / "inventory.json"
        known = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "backup_root": str(scene.root),
            "evidence_root": str(folder / "evidence"),
            "pms_keys_dir": str(scene.keys),
            "pms_api_url": "",
            "pms_redis_host": "",
            "pms_services_manager": "none",
            **{
                f"pms_db_{name}": getattr(database, name)
                for name in ("access", "host", "port", "name", "user", "password", "bin_dir")
            },
        }
        inventory.touch(mode=0o600)
        inventory.write_text(json.dumps({"pms": {"hosts": {"here": known}}}))
        # A terminal, as an operator has it.
        ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [
                Path(sys.executable).with_name("ansible-playbook"),
                *(f"--inventory={inventory}", "dr_restore.yml"),
                *("-e", f"file={scene.set}", "-e", f"confirm={database.name}"),
            ],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self.reader = threading.Thread(target=self._read, args=(ours,))
        self.reader.start()

    def kill(self, *steps, module=True):
        """End it by SIGKILL once the journal has one of *steps*, its module with it or not."""
        for _ in range(60_000):
            now = self._state()
            if now != self.found and now.get("step") in steps:
                break
            assert self.process.poll() is None, self.end()
            time.sleep(0.002)
        wanted = [self.process.pid, *(descendants(self.process.pid) if module else [])]
        for pid in wanted:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def end(self):
        """Return what it said; it has to have gone well."""
        status = self.process.wait(timeout=300)
        self.reader.join(timeout=60)
        assert status == 0, self.shown.decode()
        return self.shown.decode()

    def _read(self, terminal):
        # The kernel says that the last writer is gone by an error.
        with contextlib.suppress(OSError):
            while block := os.read(terminal, 1 << 16):
                self.shown += block
        os.close(terminal)

    def _state(self):
        try:
            return Journal.open(self.journal).state
        except OSError:
            return {}


def descendants(pid):
    """Return the processes that *pid* has started, and those that they have."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, left = [], [pid]
    while left:
        left += parents.get(left[0], [])
        found.append(left.pop(0))
    return found[1:]


def test_a_killed_playbook_loses_nothing_and_the_next_one_converges(scene, tmp_path):
    former = scene.beside()
    with Writers(scene.database) as writers:
        Played(scene, tmp_path).kill("aside")
        # The module of a playbook that is gone ends by itself, and leaves nothing.
        Played(scene, tmp_path).kill("aside", module=False)
        for _ in range(600):
            with contextlib.suppress(OpsError):
                assert scene.recover(resume=scene.set)["waiting"] is None
                break
            time.sleep(0.2)
        scene.check(beside=former)
        Played(scene, tmp_path).kill("rename", "open", "workers")
        said = Played(scene, tmp_path).end()
        assert "The previous run ended in step" in " ".join(said.split())
        scene.check(beside=scene.beside())
    assert len(scene.beside()) == len(former) + 1
    assert wholly_written(writers)
    # The swap is in the ledger once, whether the killed run had made it or the one after it.
    # (Of a swap before the test, which had another evidence folder, the ledger learns too.)
    lines = [each["record"] for each in ledger.records(tmp_path / "evidence", "restore")]
    swaps = [each for each in lines if "former" in each]
    (entry,) = (each for each in swaps if each["former"] not in former)
    assert entry["former"] in scene.beside()
    # The module that lost its playbook has told it by itself.
    assert [each["code"] for each in lines if each not in swaps] == ["run.interrupted"]


REFUSED = [
    ({}, "Name the set to restore"),
    ({"file": "/x", "rollback": True}, "not two of them"),
    ({"file": "/x"}, "confirm it with -e confirm=macro_trading, or show the plan"),
    ({"file": "/x", "confirm": "macro"}, "confirm it with -e confirm=macro_trading (got 'macro')"),
    ({"rollback": True, "confirm": "postgres"}, "(got 'postgres')"),
    ({"file": "/x", "tables": ["t"]}, "Give tables= with either into= or in_place=true"),
    ({"file": "/x", "in_place": True}, "Give tables= with either into= or in_place=true"),
    ({"file": "/x", "tables": ["t"], "into": "n", "in_place": True}, "Give tables= with either"),
    ({"file": "/x", "tables": ["t"], "in_place": True}, "replaces the live tables: confirm it"),
    *(
        ({"file": "/x", "confirm": "macro_trading", name: True}, "A set is never restored over")
        for name in ("clean", "drop")
    ),
]


def test_a_request_that_is_not_complete_and_confirmed_is_refused_before_anything(tmp_path):
    tasks = [
        {
            "block": [
                {
                    "ansible.builtin.include_role": {"name": "restore", "tasks_from": "preflight"},
                    "vars": request,
                },
                {"ansible.builtin.set_fact": {"said": "{{ said + ['nothing'] }}"}},
            ],
            "rescue": [
                {"ansible.builtin.set_fact": {"said": "{{ said + [ansible_failed_result.msg] }}"}}
            ],
        }
        for request in [*(each for each, _ in REFUSED), {"file": "/x", "confirm": "macro_trading"}]
    ]
    show = {"ansible.builtin.copy": {"dest": f"{tmp_path}/said", "content": "{{ said | to_json }}"}}
    given = {"said": [], "ansible_python_interpreter": sys.executable}
    play = {"hosts": "localhost", "gather_facts": False, "vars": given, "tasks": [*tasks, show]}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            *("--inventory=localhost,", "--connection=local", str(tmp_path / "play.yml")),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    said = json.loads((tmp_path / "said").read_text())
    assert said[-1] == "nothing"  # what is complete and confirmed goes on
    for (request, wanted), text in zip(REFUSED, said, strict=False):
        assert wanted in text, request
        assert text.startswith("Nothing was changed.")
