# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The modules of the recovery: four runs each, of which the last two change nothing."""

from __future__ import annotations

import importlib.util
import json
from datetime import UTC, datetime
from typing import Any

import pms_application
import pms_brief
import pms_database_care
import pms_disk
import pms_pipeline
import pms_redis_cache
import pytest
from ansible.module_utils.pmsops.client_tools import pg_amcheck
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.incidents import record
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.recovery import database_server, disk
from ansible.module_utils.pmsops.recovery.database_server import ServerState
from ansible.module_utils.pmsops.services.manager import Services
from ansible.module_utils.testing import patch_module_args

from tests.conftest import PROJECT
from tests.support.book_database import BookDatabase
from tests.support.compose import Container, compose
from tests.support.recorded_database import RecordedDatabase
from tests.support.redis_server import Store, redis_server
from tests.support.standin_pms import StandIn, served
from tests.unit.recovery.test_database_settings import HEALTHY as SETTINGS

# By its path: the stand-in PMS of the lab has a package of the same name.
SPEC = importlib.util.spec_from_file_location(
    "library_pms_service", PROJECT / "library/pms_service.py"
)
pms_service = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(pms_service)

DATABASE = {
    "host": "127.0.0.1",
    "port": 1,
    "name": "macro_trading",
    "user": "pms_ops",
    "access": "host",
}
SERVICES = {"manager": "compose", "compose_project": "p", "app_services": ["api"]}
STOPPED = {"Status": "exited", "ExitCode": 0}
PLANS = (True, False, True, False)
MOVED = [True, True, False, False]


def called(module: Any, capsys: Any, **options: Any) -> dict[str, Any]:
    with patch_module_args(options), pytest.raises(SystemExit):
        module.main()
    return json.loads(capsys.readouterr().out)


def runs(module: Any, capsys: Any, **options: Any) -> list[dict[str, Any]]:
    found = [called(module, capsys, **options, _ansible_check_mode=check) for check in PLANS]
    assert not any(each.get("failed") for each in found), found
    return found


@pytest.fixture
def book():
    return StandIn()


@pytest.fixture
def url(book):
    with served(book) as found:
        yield found


@pytest.fixture
def database(book, monkeypatch):
    made = BookDatabase(book)
    monkeypatch.setattr(Database, "from_options", lambda _options: made)
    return made


@pytest.fixture
def managed(monkeypatch):
    """Return a function that sets the services that every module finds."""

    def manage(**containers: Container) -> None:
        monkeypatch.setattr(Services, "from_options", lambda _options: compose(**containers))

    return manage


def test_a_stopped_service_is_started(capsys, managed):
    managed(api=Container(STOPPED))
    found = runs(pms_service, capsys, services=SERVICES, names=["api"])
    assert [each["changed"] for each in found] == MOVED
    assert (
        found[0]["actions"]
        == found[1]["actions"]
        == ["Start api, which was exited (exit status 0)"]
    )


def test_a_service_that_does_not_become_healthy_has_a_remedy_and_a_code(capsys, managed):
    managed(api=Container(STOPPED, after={"Status": "restarting"}))
    found = called(pms_service, capsys, services=SERVICES, names=["api"], healthy_seconds=0)
    assert found["failed"] and found["code"] == "services.unhealthy"


def test_the_pms_is_started_and_its_steps_are_recorded(
    capsys, managed, database, book, url, tmp_path
):
    api = Container(STOPPED, on=lambda verb: book.faults.clear())
    managed(api=api)
    book.faults.add("down")
    options = {"database": DATABASE, "services": SERVICES, "api": {"url": url}}
    found = runs(pms_application, capsys, **options)
    assert [each["changed"] for each in found] == MOVED
    assert api.called == ["start"]
    book.faults.add("no_database")
    api.on = lambda verb: None
    found = called(pms_application, capsys, **options, healthy_seconds=0)
    assert found["failed"] and found["code"] == "api.unwell"


def test_a_dagster_that_stays_down_leads_to_the_fallback(capsys, managed, database, url, tmp_path):
    managed(dagster_webserver=Container(), dagster_daemon=Container())
    options = {
        "database": DATABASE,
        "services": SERVICES,
        "api": {"url": url, "username": "manager", "password": "right"},
        "dagster_url": "http://127.0.0.1:1",
        "evidence_root": str(tmp_path),
        "healthy_seconds": 0,
    }
    planned = called(pms_pipeline, capsys, **options, _ansible_check_mode=True)
    assert planned["actions"] == ["Restart dagster-webserver, which does not answer"]
    # This PMS runs no agents, so the fallback fails too, and says at which.
    found = called(pms_pipeline, capsys, **options)
    assert found["failed"] and found["code"] == "pipeline.step"
    assert "does not run inflation_agent: HTTP 404" in found["msg"]


def test_packs_are_saved_restored_and_the_cache_is_warmed(capsys, tmp_path):
    store = Store()
    store.values = {"pms:morning_pack:2026-11-25": "the pack"}
    with redis_server(store) as redis:
        planned = called(
            pms_redis_cache, capsys, redis=redis, state="warm", _ansible_check_mode=True
        )
        assert (planned["changed"], planned["count"], planned["names"]) == (False, 0, [])
        folder = incident(tmp_path)
        options = {"redis": redis, "incident": folder}
        saved = called(pms_redis_cache, capsys, **options, state="saved")
        assert (saved["changed"], saved["count"]) == (True, 1)
        store.values.clear()
        restored = [
            called(pms_redis_cache, capsys, **options, state="restored")["changed"]
            for _ in range(2)
        ]
        assert restored == [True, False]
        store.values["pms:book"] = "an empty book"
        for expected in (True, False):
            gone = called(pms_redis_cache, capsys, redis=redis, state="forgotten")
            assert gone["changed"] is expected
        skipped = called(pms_redis_cache, capsys, **options, state="warm")
        assert skipped["names"] == []
    away = called(pms_redis_cache, capsys, **options, state="saved")
    assert away["failed"] and away["code"] == "redis.unreachable"
    actions = json.loads((tmp_path / folder / "incident.json").read_text())["actions"]
    assert [each["status"] for each in actions] == ["done"] * 4 + ["failed"]


def incident(tmp_path: Any) -> str:
    """Return the folder of an open incident."""
    made, _resumed = record.begin(
        tmp_path, "redis", title="R", symptoms=[], began_at=datetime.now(UTC)
    )
    return str(made.folder)


def test_each_state_of_the_database_is_planned_and_reached(
    capsys, managed, monkeypatch, database, book, url
):
    options = {"database": DATABASE, "services": SERVICES, "api": {"url": url}}
    managed(api=Container())
    answers = [ServerState("answers", "it answers")]
    monkeypatch.setattr(database_server, "look", lambda _database: answers[0])
    planned = [
        called(pms_database_care, capsys, **options, state=state, _ansible_check_mode=True)
        for state in ("answers", "application")
    ]
    assert [each["actions"] for each in planned] == [[], []]
    database.stored = [{"id": 1, "is_open": True}]
    planned = called(
        pms_database_care, capsys, **options, state="application", _ansible_check_mode=True
    )
    assert planned["actions"] == [
        "Restart the PMS: position 1: open in the database and unknown to the PMS"
    ]
    answers[0] = ServerState("away", "connection refused")
    planned = [
        called(pms_database_care, capsys, **options, state=state, _ansible_check_mode=True)
        for state in ("answers", "settings")
    ]
    assert "until it answers (connection refused)" in planned[0]["actions"][0]
    assert planned[1]["actions"] == []  # the settings need a database that answers
    database.stored = None
    reached = called(pms_database_care, capsys, **options, state="application")
    assert (reached["changed"], reached["sessions"]) == (False, False)


def test_a_wrong_setting_of_the_database_is_reset(capsys, monkeypatch):
    setting = {"pg_db_role_setting": [(True, None)]}
    recorded = RecordedDatabase(SETTINGS | setting)
    monkeypatch.setattr(Database, "from_options", lambda _options: recorded)
    found = called(pms_database_care, capsys, database=DATABASE, state="settings")
    assert (found["changed"], found["sessions"]) == (True, True)
    assert "RESET default_transaction_read_only" in found["actions"][0]


def test_the_damage_of_pages_is_named(capsys, monkeypatch, database):
    monkeypatch.setattr(pg_amcheck, "damaged", lambda _database: ["block 3 of signals"])
    found = called(pms_database_care, capsys, database=DATABASE, state="pages")
    assert (found["changed"], found["damage"]) == (False, ["block 3 of signals"])


def test_a_full_disk_is_freed_of_leftovers(capsys, monkeypatch, tmp_path):
    root = tmp_path / "backups"
    leftovers = root / ".partial-2026-01-01_0600"
    leftovers.mkdir(parents=True)
    (leftovers / "toc.dat").write_bytes(b"x" * 1000)
    database = RecordedDatabase({"pg_database": [("macro_trading", 5_000)], "pg_ls_waldir": [(7,)]})
    monkeypatch.setattr(Database, "from_options", lambda _options: database)
    system = disk.FileSystem(1, {"backups": root}, 10_000, 500)
    monkeypatch.setattr(
        disk, "file_systems", lambda _places: [] if not leftovers.exists() else [system]
    )
    options = {
        "database": DATABASE,
        "places": {"backups": str(root)},
        "backup_root": str(root),
        "free_percent": 99.9,
    }
    looked = called(pms_disk, capsys, **options)
    assert (looked["changed"], looked["enough"], looked["actions"]) == (False, False, [])
    assert looked["may_go"] == [
        "leftovers of a killed backup: .partial-2026-01-01_0600 (about 1.0 kB)"
    ]
    assert looked["growing"][0].startswith("database macro_trading")
    assert leftovers.exists()
    system.total_bytes = 10**18  # more than there is: everything that may go goes
    found = runs(pms_disk, capsys, **options, state="freed")
    assert [each["changed"] for each in found] == [False, True, False, False]
    assert found[1]["actions"] == ["leftovers of a killed backup: .partial-2026-01-01_0600"]
    assert not leftovers.exists()


def test_a_brief_is_composed_and_kept(capsys, monkeypatch, database, url, tmp_path):
    ledger.append(tmp_path, "drill", {"proved": True}, now=datetime.now(UTC))
    options = {
        "block": {
            "id": "premarket",
            "title": "Pre-market",
            "time": "06:00",
            "readings": ["proposals", "chain"],
            "tasks": [{"id": "premarket.look", "title": "Look", "how": "at it"}],
        },
        "database": DATABASE,
        "api": {"url": url},
        "backup_root": str(tmp_path / "backups"),
        "evidence_root": str(tmp_path),
    }
    planned = called(pms_brief, capsys, **options, _ansible_check_mode=True)
    assert (planned["verdict"], planned["markdown"]) == ("well", None)
    made = called(pms_brief, capsys, **options)
    assert made["open_tasks"] == ["premarket.look"]
    assert "Pending proposals" in (tmp_path / made["markdown"]).read_text()
    assert made["lines"][0] == "06:00 Pre-market"
    options["block"]["readings"] = ["weather"]
    refused = called(pms_brief, capsys, **options)
    assert refused["failed"] and refused["code"] == "ops.reading"
