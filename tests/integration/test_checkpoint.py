# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A checkpoint on a real server: made, returned to, undone; killed, it is whole or absent."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pms_checkpoint
import pms_checkpoint_info
import pytest
from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.common import progress
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import checkpoints as known
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.postgresql import timescaledb_workers
from ansible.module_utils.pmsops.repository import checkpoints, retention, sets
from ansible.module_utils.pmsops.restore import registry, room
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import restore_set
from ansible.module_utils.pmsops.restore.swap_run import SwapRun
from ansible.module_utils.pmsops.services.manager import Services
from ansible.module_utils.pmsops.verify import against_set
from ansible.module_utils.testing import patch_module_args

from tests.integration.test_restore_kills import scene_of
from tests.support.server import HYPERTABLE, execute

SCHEMA = f"""
SET ROLE macro_user;
CREATE TABLE md (id bigserial, at timestamptz NOT NULL, value float8, PRIMARY KEY (id, at));
{HYPERTABLE}
INSERT INTO md (at, value) SELECT t, 1 FROM generate_series(timestamptz '2026-01-01',
                                                            '2026-02-28', '1 day') t;
CREATE TABLE book (id bigserial PRIMARY KEY, name text NOT NULL);
INSERT INTO book (name) SELECT 'p' || n FROM generate_series(1, 100) n;
"""
STATE = "SELECT (SELECT sum(value) FROM md), (SELECT count(*) FROM book), to_regclass('new_one')"
BEFORE = (59.0, 100, None)
RELEASE = (
    "UPDATE md SET value = 2; DELETE FROM book WHERE id < 50; CREATE TABLE new_one (id int);"
    "INSERT INTO book (name) VALUES ('after')"
)
AFTER = (118.0, 52, "new_one")


@pytest.fixture(scope="module", autouse=True)
def large_disk():
    """The server's disk cannot be seen from this host; how a small one is met, unit tests show."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "free_bytes", lambda cursor, database: 10**12)
        yield patch


class System:
    """A database with its sets, and the modules of a checkpoint on it."""

    def __init__(self, database, folder, capsys):
        self.database, self.capsys = database, capsys
        self.root, self.keys = folder / "backups", folder / "keys"
        self.evidence = folder / "evidence"

    def backup(self):
        settings = backup.Settings(root=self.root, keys=self.keys, trial="none")
        return Path(backup.run(self.database, settings, progress=progress.Progress())["set"])

    def restore(self, **options):
        request = Request(root=self.root, keys=self.keys, **options)
        return restore_set(self.database, request, progress=progress.Progress())

    def swap(self, state, incoming=None):
        one = SwapRun(self.database, Services("none", ()), None, None, self.root)
        return one.run(state, incoming)

    def call(self, module, **options):
        fields = ("host", "port", "name", "user", "password", "access", "bin_dir")
        database = {name: getattr(self.database, name) for name in fields}
        common = {"database": {k: v for k, v in database.items() if v is not None}}
        common |= {"root": str(self.root), "evidence_root": str(self.evidence)}
        with patch_module_args(common | options), pytest.raises(SystemExit):
            module.main()
        return json.loads(self.capsys.readouterr().out)

    def checkpoint(self, note):
        """Make one as the playbook does: a set, its proof, its hold."""
        means = self.call(pms_checkpoint_info, note=note)
        folder = self.backup()
        self.restore(file=folder, warm=means["means"] == "set and warm copy")
        options = {"keys": str(self.keys), "set": str(folder), "note": means["note"]}
        return self.call(pms_checkpoint, **options)

    def state(self):
        with self.database.session(read_only=True) as cursor:
            cursor.execute(STATE)
            return cursor.fetchone()

    def beside(self):
        found = registry.read_from(self.database)
        return [name for name in found if name.startswith(f"{self.database.name}__")]


@pytest.fixture
def system(server, host_tools, tmp_path, capsys):
    name = f"test_{uuid.uuid4().hex[:8]}"
    database = replace(server.create(name), access="host", bin_dir=str(host_tools))
    made = System(database, tmp_path, capsys)
    try:
        execute(database, SCHEMA)
        yield made
    finally:
        for each in [*made.beside(), name]:
            server.drop(each)


def test_back_to_the_checkpoint_proved_and_back_again(system):
    made = system.checkpoint("release 4.2")
    assert made["held"] and made["changed"] and made["warm"] in system.beside()
    again = system.call(
        pms_checkpoint, keys=str(system.keys), set=str(system.root / made["set"]), note=made["note"]
    )
    assert (again["changed"], again["warm"]) == (False, made["warm"])
    execute(system.database, RELEASE)
    assert system.state() == AFTER
    # A night passes: a set, its drill, retention that keeps one.
    newest = system.backup()
    drilled = system.restore(warm=True)
    assert sorted(system.beside()) == sorted([made["warm"], drilled["warm_kept"]])
    expired = retention.expired(system.root, retention.Policy(1, 0, 0, 0))
    assert system.root / made["set"] not in expired

    chosen = system.call(pms_checkpoint_info, wanted="latest")["chosen"]
    assert (chosen["set"], chosen["note"]) == (made["set"], "release 4.2")
    done = system.restore(file=Path(chosen["folder"]), keep=True)
    assert done["warm_used"] == made["warm"] and "data" not in done["phases"]
    assert done["negative_control"]["outcome"] == "found"
    swapped = system.swap("swapped", done["side"])
    assert system.state() == BEFORE
    options = {"root": system.root, "keys": system.keys}
    compared = against_set.against(system.database, file=Path(chosen["folder"]), **options)
    assert compared["identical"]
    assert timescaledb_workers.insert_test(system.database) == []
    assert known.collect(system.root, datetime.now(UTC))[0]["warm"] is False
    assert sorted(system.beside()) == sorted([swapped["former"], drilled["warm_kept"]])

    system.swap("rolled_back")
    assert system.state() == AFTER
    assert against_set.against(system.database, file=newest, **options)["identical"]

    released = system.call(
        pms_checkpoint, keys=str(system.keys), state="absent", note="release 4.2"
    )
    assert released["changed"] and not released["held"]
    assert system.root / made["set"] in retention.expired(system.root, retention.Policy(1, 0, 0, 0))
    assert system.call(pms_checkpoint_info, wanted="latest")["code"] == "checkpoint.none"
    assert system.call(pms_checkpoint_info, wanted="release 4.2")["code"] == "checkpoint.gone"
    acts = [each["record"]["act"] for each in ledger.records(system.evidence, "hold")]
    assert acts == ["held", "lifted"]


def test_a_checkpoint_without_room_is_the_held_set_and_takes_the_long_way(system, large_disk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "free_bytes", lambda cursor, database: 20_000_000)
        made = system.checkpoint("release 4.2")
    assert (made["held"], made["warm"], system.beside()) == (True, None, [])
    assert made["restore_seconds"] > 0
    line = ledger.records(system.evidence, "hold")[-1]["record"]
    assert (line["means"], line["warm_copy"]) == ("set alone", None)
    execute(system.database, RELEASE)
    done = system.restore(file=system.root / made["set"], keep=True)
    assert done["warm_used"] is None and "data" in done["phases"]
    system.swap("swapped", done["side"])
    assert system.state() == BEFORE
    system.swap("rolled_back")
    assert system.state() == AFTER


def test_a_changed_copy_of_a_checkpoint_is_never_gone_back_to(server, system):
    made = system.checkpoint("release 4.2")
    server.psql(f"ALTER DATABASE {made['warm']} ALLOW_CONNECTIONS true")
    server.psql("UPDATE book SET name = 'other' WHERE id = 3", made["warm"])
    done = system.restore(file=system.root / made["set"], keep=True)
    assert done["warm_used"] is None and "data" in done["phases"]
    assert any("public.book" in each for each in done["warnings"])


@pytest.mark.deep(
    by=(
        "tests/unit/restore/test_warm_rule.py"
        "::test_a_drill_killed_anywhere_leaves_the_copy_of_the_checkpoint",
        "tests/unit/restore/test_warm_copy.py"
        "::test_a_drill_killed_anywhere_leaves_the_old_copy_or_the_new_one_whole_or_none",
        "tests/integration/test_checkpoint.py"
        "::test_a_changed_copy_of_a_checkpoint_is_never_gone_back_to",
    )
)
def test_killed_anywhere_a_checkpoint_is_whole_or_absent(
    server, host_tools, tmp_path, pytestconfig
):
    """At some points up to the copy, and before each step from then on; at all of them at night."""
    with scene_of(server, tmp_path, access="host", bin_dir=str(host_tools)) as scene:
        root, evidence = scene.root, tmp_path / "evidence"
        said = scene.run("checkpoint", note="first")
        assert said["done"], said
        # A point that comes again has a number, which differs by what lies there already.
        points = [each for each in said["points"] if "#" not in each]
        keeping = points.index("before keep")
        chosen = points[2:]
        if not pytestconfig.getoption("--all"):
            late = [each for each in points[keeping:] if each.startswith("before ")]
            chosen = [*points[2:keeping:12], *late[:-2:2], *late[-2:], "after make"]
        assert {"before make", "after make", "before write"} <= {*chosen}
        seen = set()
        for number, point in enumerate(chosen):
            note = f"release {number}"
            before = {each.id for each in checkpoints.listed(root)}
            died = scene.run("checkpoint", note=note, die_at=point)
            assert died["killed"], died
            scene.recover()
            made = [each for each in checkpoints.listed(root) if each.id not in before]
            seen.add(bool(made))
            if made:
                (whole,) = made
                assert whole.note == note and sets.verification(whole.folder)
                known.catch_up(root, evidence, None)
                lines = ledger.records(evidence, "hold")
                assert lines[-1]["record"]["set"] == whole.id
                assert known.choose(root, evidence, note)[0] == whole
                request = Request(root=root, keys=scene.keys, file=whole.folder, keep=True)
                done = restore_set(scene.database, request, progress=progress.Progress())
                assert done["warm_used"]
                scene.recover()  # drops what waits for a swap
            else:
                with pytest.raises(OpsError, match="No checkpoint has the note"):
                    known.choose(root, evidence, note)
            assert all(name.startswith(f"{scene.database.name}__warm_") for name in scene.beside())
            # No checkpoint that was there before is worse off.
            assert before <= {each.id for each in checkpoints.listed(root)}
        assert seen == {True, False}
