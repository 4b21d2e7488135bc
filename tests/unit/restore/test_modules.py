# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""pms_swap, pms_restore and pms_restore_tables: planned, done, and done again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pms_checkpoint
import pms_checkpoint_info
import pms_restore
import pms_restore_tables
import pms_swap
import pytest
from ansible.module_utils.pmsops.client_tools import factory
from ansible.module_utils.pmsops.common.errors import BrokenProofError, OpsError
from ansible.module_utils.pmsops.evidence import ledger, restores
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.restore import pg_restore_errors, single_tables, table_definitions
from ansible.module_utils.pmsops.restore.run import StagedRestore
from ansible.module_utils.pmsops.services.manager import Services
from ansible.module_utils.testing import patch_module_args

from tests.support.fake_server import FakeServices
from tests.unit.restore.conftest import FORMER_OID, LIVE, LIVE_OID, SERVICES, STAGING, STAGING_OID

DATABASE = {"host": "127.0.0.1", "port": 1, "name": LIVE, "user": "pms_ops", "access": "host"}


@pytest.fixture
def call(scene_of, monkeypatch, capsys):
    """Give a function that calls a module on a scene; return what it prints."""

    def made(scene: Any, module: Any, *, check: bool = False, **options: Any) -> dict[str, Any]:
        monkeypatch.setattr(
            Database, "from_options", lambda given: scene.server.database(given["name"])
        )
        services = FakeServices("fake", SERVICES, up=scene.up, killer=scene.killer)
        monkeypatch.setattr(Services, "from_options", lambda given: services)
        monkeypatch.setattr(factory, "for_database", lambda database: None)
        common = {"database": DATABASE, "root": str(scene.root), "_ansible_check_mode": check}
        with patch_module_args(common | options), pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out)

    return made


def test_a_rollback_planned_done_planned_and_done_again(scene_of, call):
    scene = scene_of(former=True)
    options = {"state": "rolled_back"}
    planned = call(scene, pms_swap, check=True, **options)
    assert scene.server.oid(LIVE) == LIVE_OID
    done = call(scene, pms_swap, **options)
    assert scene.server.oid(LIVE) == FORMER_OID
    again = [call(scene, pms_swap, check=check, **options) for check in (True, False)]
    assert [each["changed"] for each in (planned, done, *again)] == [True, True, False, False]
    assert planned["incoming"] == done["incoming"]
    assert set(done) <= set(planned) | {"phases"}
    assert scene.server.oid(LIVE) == FORMER_OID


def test_a_recovery_planned_done_planned_and_done_again(scene_of, call):
    scene = scene_of()
    scene.server.add("pms__restore_20260101000000", 60)
    results = [
        call(scene, pms_swap, check=check, state="recovered")
        for check in (True, False, True, False)
    ]
    assert [each["changed"] for each in results] == [True, True, False, False]
    assert results[1]["recovered"] == [
        "The staging database pms__restore_20260101000000 was dropped; the live database was not"
        " touched."
    ]
    assert list(scene.server.databases) == [LIVE]


def test_a_swap_keeps_the_set_that_is_asked_for(scene_of, call):
    scene = scene_of(staged=True)
    found = call(scene, pms_swap, state="recovered", resume=str(scene.folder))
    assert found["waiting"] == STAGING
    done = call(scene, pms_swap, incoming=STAGING, keep_former=1)
    assert (done["changed"], done["incoming"], done["pruned"]) == (True, STAGING, [])
    assert scene.server.oid(LIVE) == STAGING_OID


def test_an_error_of_a_swap_has_its_remedy_and_its_code(scene_of, call):
    failed = call(scene_of(), pms_swap, incoming=STAGING)
    assert failed["failed"]
    assert failed["code"] == "restore.missing-copy"
    assert failed["remedy"].startswith("Run dr_restore.yml from its beginning")
    assert "incoming" in call(scene_of(), pms_swap)["msg"]


def test_a_restore_that_is_not_needed_changes_nothing(scene_of, call, monkeypatch):
    monkeypatch.setattr(StagedRestore, "check", lambda self: pytest.fail("it was restored"))
    scene = scene_of()
    monkeypatch.setattr(
        pms_restore, "result_if_matching", lambda database, request: {"id": "x", "side": None}
    )
    options = {"keys": str(scene.root.parent / "keys"), "unless_same": True}
    for check in (True, False):
        assert call(scene, pms_restore, check=check, **options)["changed"] is False
    assert list(scene.server.databases) == [LIVE]


def test_a_broken_proof_is_no_failed_one_in_result_and_ledger(scene_of, call, monkeypatch):
    control = {"outcome": "not found", "table": "public.book", "kind": "deleted row", "seed": 1}

    def broken(self):
        raise BrokenProofError(
            "The proof is broken.", "Trust it no more.", code="proof.broken", record=control
        )

    monkeypatch.setattr(StagedRestore, "check", broken)
    monkeypatch.setattr(StagedRestore, "close", lambda self: None)
    scene = scene_of()
    folders = {
        name: str(scene.root.parent / folder)
        for name, folder in {"keys": "keys", "evidence_root": "evidence"}.items()
    }
    failed = call(scene, pms_restore, keep=True, **folders)
    assert (failed["code"], failed["negative_control"]) == ("proof.broken", control)
    record = ledger.records(Path(folders["evidence_root"]), "restore")[-1]["record"]
    assert (record["outcome"], record["negative_control"]) == ("broken", control)
    said = restores.refused(ledger.records(Path(folders["evidence_root"])), datetime.now(UTC))
    assert "broken" in restores.describe_refused(said, "1 min")
    assert restores.due(said)[0][0].startswith(
        "the last restore of set 2026-11-22_0600 had a broken proof"
    )


def test_every_error_of_pg_restore_is_a_row_of_the_result(scene_of, call, monkeypatch):
    output = (
        "pg_restore: from TOC entry 281; 1259 17909 TABLE md owner\n"
        'pg_restore: error: could not execute query: ERROR:  role "owner" does not exist\n'
    )

    def failing(self):
        raise pg_restore_errors.to_error("pre-data", output)

    monkeypatch.setattr(StagedRestore, "check", failing)
    monkeypatch.setattr(StagedRestore, "close", lambda self: None)
    scene = scene_of()
    failed = call(scene, pms_restore, keys=str(scene.root.parent / "keys"))
    assert failed["code"] == "restore.failed"
    assert failed["errors"][0]["object"] == "TABLE md owner"
    assert list(scene.server.databases) == [LIVE]


def test_tables_are_asked_for_with_or_without_their_schema(scene_of, call, monkeypatch):
    asked = []

    def planned(_database, request, wanted):
        asked.append((request.backup_set.path, wanted))
        return {"tables": []}

    def failing(*_args, **_options):
        raise OpsError("There is none.", "Name another.", code="restore.no-table")

    monkeypatch.setattr(single_tables, "plan", planned)
    monkeypatch.setattr(single_tables, "run", failing)
    scene = scene_of()
    options = {
        "keys": str(scene.root.parent / "keys"),
        "tables": ["book", "other.prices", "book"],
        "into": "friday",
    }
    assert call(scene, pms_restore_tables, check=True, **options)["changed"]
    ((path, wanted),) = asked
    assert path == scene.folder
    assert wanted.tables == (("public", "book"), ("other", "prices"))
    assert call(scene, pms_restore_tables, **options)["code"] == "restore.no-table"
    both = call(scene, pms_restore_tables, **options, in_place=True)
    assert both["code"] == "restore.into-or-in-place"
    del options["into"]
    assert call(scene, pms_restore_tables, **options)["code"] == "restore.into-or-in-place"
    assert call(scene, pms_restore_tables, check=True, **options, in_place=True)["changed"]
    assert asked[-1][1].into is None


def test_a_script_of_pg_dump_loses_only_what_is_psql_s_and_the_session_s():
    script = (
        "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\n"
        "SET statement_timeout = 0;\nSET transaction_timeout = 0;\nSET row_security = off;\n\n"
        "--\n-- Name: t; Type: TABLE; Schema: s; Owner: o\n--\n\nCREATE TABLE s.t (a int);\n"
        "COMMENT ON TABLE s.t IS 'SET lock_timeout = 1;\n\\restrict me\n';\n\n\\unrestrict abc\n\n"
    )
    text = table_definitions.runnable(script)
    assert "timeout = 0" not in text and "restrict abc" not in text
    assert "SET row_security = off;" in text
    assert "IS 'SET lock_timeout = 1;\n\\restrict me\n';" in text


def test_a_table_brings_no_trigger_of_timescaledb_and_nothing_that_acts_by_itself():
    of_tables = [
        "9; 2606 1 CONSTRAINT public book book_pkey owner",
        "9; 2606 1 FK CONSTRAINT public leg leg_book_fkey owner",
        "9; 1259 1 INDEX public book_name owner",
        "9; 2620 1 TRIGGER public book stamped owner",
        "9; 0 0 COMMENT public TRIGGER stamped ON book owner",
        "9; 3256 1 POLICY public book all_of_them owner",
    ]
    others = [
        "9; 2620 1 TRIGGER public md ts_insert_blocker owner",
        "9; 2620 1 TRIGGER public md ts_cagg_invalidation_trigger owner",
        "9; 1259 1 INDEX _timescaledb_internal _hyper_1_1_chunk_at owner",
        "9; 2606 1 CONSTRAINT _timescaledb_internal _hyper_1_1_chunk 1_1_key owner",
        "9; 3466 1 EVENT TRIGGER - watch owner",
        "9; 0 0 COMMENT - EVENT TRIGGER watch owner",
        "9; 6104 1 PUBLICATION - cdc owner",
        "9; 6106 1 PUBLICATION TABLE public cdc book owner",
        "9; 6100 1 SUBSCRIPTION - pull owner",
        "9; 0 1 MATERIALIZED VIEW DATA public sums owner",
    ]
    assert table_definitions.entries_of_tables([*of_tables, *others]) == of_tables


def test_a_checkpoint_planned_made_planned_and_made_again_and_released(scene_of, call, tmp_path):
    scene = scene_of()
    given = {"evidence_root": str(tmp_path), "keys": str(tmp_path / "keys"), "note": "release 4.2"}
    present = given | {"set": str(scene.folder), "record": {"by": "Ana"}}
    check = (True, False, True, False)
    made = [call(scene, pms_checkpoint, check=each, **present) for each in check]
    assert [each["changed"] for each in made] == [True, True, False, False]
    assert {each["set"] for each in made} == {scene.folder.name}
    absent = given | {"state": "absent"}
    wanted = {"evidence_root": str(tmp_path), "wanted": "release 4.2"}
    assert call(scene, pms_checkpoint_info, **wanted)["chosen"]["folder"] == str(scene.folder)
    gone = [call(scene, pms_checkpoint, check=each, **absent) for each in check[:2]]
    assert [each["changed"] for each in gone] == [True, True]
    assert call(scene, pms_checkpoint, **absent)["code"] == "checkpoint.gone"
    assert call(scene, pms_checkpoint_info, **wanted)["code"] == "checkpoint.gone"
    lines = [each["record"] for each in ledger.records(tmp_path, "hold")]
    assert [(each["act"], each.get("by")) for each in lines] == [
        ("held", "Ana"),
        ("lifted", None),
    ]
