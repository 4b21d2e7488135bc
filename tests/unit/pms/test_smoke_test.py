# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The workflow smoke test against a stand-in that says it is one, whole and broken."""

from __future__ import annotations

import json
from datetime import date
from types import SimpleNamespace

import pms_smoke_test
import psycopg2
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pms import smoke_test
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.pms.smoke_test_steps import STEPS, SmokeTest
from ansible.module_utils.pmsops.pms.smoke_test_traces import INSTRUMENT, TAG_PREFIX
from ansible.module_utils.testing import patch_module_args

from tests.support.standin_pms import StandIn, served

TODAY = date(2026, 11, 23)
RIGHT = "right"


@pytest.fixture
def book():
    """A stand-in with one position of the fund, marked away from its entry."""
    made = StandIn()
    made.open(
        {
            "instrument": "USDBRL",
            "asset_class": "FX",
            "direction": "LONG",
            "notional_brl": 1_000_000.0,
            "execution_price": 5.0,
            "manager_thesis": "of the fund",
        }
    )
    made.mark({"price_overrides": {"USDBRL": 5.5}, "fx_rate": 5.5})
    return made


def run(book: StandIn, *, rows=None, password=RIGHT, **options) -> dict[str, dict]:
    with served(book) as url:
        api = PmsApi(url, "manager", password)
        steps = SmokeTest(
            api, rows or book.rows, tag=f"{TAG_PREFIX} test", today=TODAY, **options
        ).run()
    return {step["id"]: step for step in steps}


def bad(steps: dict[str, dict]) -> dict[str, str]:
    return {name: step["status"] for name, step in steps.items() if step["status"] != "pass"}


def left_open(book: StandIn) -> list[str]:
    return [row["instrument"] for row in book.positions if row["is_open"]]


def test_a_whole_system_passes_every_step(book):
    steps = run(book)
    assert {name: step["finding"] for name, step in steps.items() if step["status"] != "pass"} == {}
    assert list(steps) == [step.id for step in STEPS]


def test_the_funds_position_is_as_it_was(book):
    before = dict(book.positions[0])
    run(book)
    assert book.positions[0] == before
    assert left_open(book) == ["USDBRL"]


def test_the_two_test_positions_cancel_but_for_the_costs(book):
    run(book)
    realized = [row["realized_pnl_brl"] for row in book.positions[1:]]
    assert len(realized) == 2
    assert sum(realized) == pytest.approx(-4.0)


def test_the_documented_paths_do_as_well(book):
    book.faults.add("documented_paths")
    assert bad(run(book)) == {}
    assert "POST /api/v1/pms/book/mtm" in book.requests


@pytest.mark.parametrize(
    ("fault", "step"),
    [
        ("wrong_pnl", "pnl"),
        ("marks_reset_others", "mtm"),
        ("silent_journal", "journal"),
        ("silent_journal", "audit_trail"),
        ("forged_journal", "audit_trail"),
        ("no_threshold", "proposals"),
        ("approved_elsewhere", "approve"),
        ("notes_optional", "reject_without_notes"),
        ("no_agents", "morning_pack"),
        ("unsigned_pnl", "close"),
        ("nothing_stored", "open_stored"),
        ("nothing_stored", "mtm_stored"),
        ("nothing_stored", "morning_pack_stored"),
        ("nothing_stored", "proposals_stored"),
        ("nothing_stored", "approve_stored"),
        ("nothing_stored", "reject_stored"),
        ("nothing_stored", "close_stored"),
        ("nothing_stored", "audit_trail"),
        ("other_shape", "open"),
        ("close_fails_once", "close"),
    ],
)
def test_a_broken_system_fails_the_step_that_shows_it_and_is_left_clean(book, fault, step):
    book.faults.add(fault)
    steps = run(book)
    assert steps[step]["status"] == "fail", steps[step]
    assert INSTRUMENT not in left_open(book)
    assert steps["compensated"]["status"] == "pass"


def test_without_its_database_what_is_stored_is_unknown_and_the_book_is_still_cleaned(book):
    def rows(_sql, _params):
        raise OpsError("no database", "start it", code="database.unreachable")

    steps = run(book, rows=rows)
    assert steps["open_stored"]["status"] == "unknown"
    assert steps["close"]["status"] == "pass"
    assert left_open(book) == ["USDBRL"]


def test_what_an_interrupted_test_left_is_closed_first_at_its_entry_price(book):
    signal = {
        "instrument": INSTRUMENT,
        "asset_class": "FX",
        "direction": "LONG",
        "notional_brl": 10_000.0,
        "execution_price": 5.2,
        "manager_thesis": f"{TAG_PREFIX} of yesterday",
    }
    book.open(signal)
    book.generate(
        {
            "signals": [
                signal
                | {
                    "conviction": 0.9,
                    "signal_source": TAG_PREFIX,
                    "suggested_notional_brl": 10_000.0,
                }
            ]
        }
    )
    steps = run(book)
    assert steps["leftovers"]["finding"] == "closed 1 positions and rejected 1 proposals"
    assert book.positions[1]["close_price"] == 5.2
    assert book.proposals[0]["status"] == "REJECTED"
    assert bad(steps) == {}


def test_an_interrupted_test_cleans_up_and_says_that_it_was_interrupted(book):
    def rows(_sql, _params):
        raise OpsError("Ended by SIGTERM.", "again", code="run.interrupted")

    with served(book) as url, pytest.raises(OpsError, match="SIGTERM"):
        SmokeTest(PmsApi(url, "manager", "right"), rows, tag=TAG_PREFIX, today=TODAY).run()
    assert left_open(book) == ["USDBRL"]


def test_after_the_deadline_nothing_is_begun_but_the_compensation(book):
    steps = run(book, deadline_seconds=-1)
    assert steps["open"]["status"] == "unknown"
    assert len(book.positions) == 1


def test_a_wrong_password_is_one_failure_and_the_rest_unknown_and_not_shown(book):
    steps = run(book, password="a-secret-that-is-wrong")
    assert steps["api"]["status"] == "fail"
    assert set(bad(steps).values()) == {"fail", "unknown"}
    assert list(bad(steps).values()).count("fail") == 1
    assert "a-secret-that-is-wrong" not in json.dumps(steps)


def test_a_pms_that_is_not_there_is_one_failure():
    api = PmsApi("http://127.0.0.1:9", "manager", "right", timeouts=(1, 1))
    steps = SmokeTest(api, lambda *_: [], tag=TAG_PREFIX, today=TODAY).run()
    assert [step["status"] for step in steps].count("fail") == 1
    assert "did not answer" in steps[0]["finding"]


def test_nothing_is_traded_unless_it_was_allowed(capsys):
    args = {
        "api": {"url": "http://127.0.0.1:9"},
        "database": {"name": "x", "user": "x", "access": "host"},
    }
    with patch_module_args(args), pytest.raises(SystemExit):
        pms_smoke_test.main()
    said = json.loads(capsys.readouterr().out)
    assert said["failed"] is True
    assert said["code"] == "smoke.not_allowed"
    assert "golive_smoke_test" in said["remedy"]


def test_check_mode_lists_the_steps_and_asks_nobody(capsys):
    args = {
        "api": {"url": "http://127.0.0.1:9"},
        "database": {"name": "x", "user": "x", "access": "host"},
        "allowed": True,
        "_ansible_check_mode": True,
    }
    with patch_module_args(args), pytest.raises(SystemExit):
        pms_smoke_test.main()
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"] == "planned"
    assert [step["id"] for step in said["steps"]] == [step.id for step in STEPS]


def test_a_system_without_a_url_is_refused_by_name():
    with pytest.raises(OpsError, match="pms_api_url"):
        smoke_test.refuse_unless(True, "")


def test_the_result_of_a_broken_system_is_a_result_and_no_failed_task(book):
    """Ansible takes a true value named ``failed`` for the task's own failure."""
    book.faults.add("wrong_pnl")
    result = whole_test(book, lambda **_: Connection(book))
    assert result["verdict"] == "fail"
    assert result["not_passed"][0] == "pnl"
    assert not {"failed", "changed", "msg", "skipped"} & set(result)


def test_a_position_of_another_store_with_the_same_number_is_not_taken_for_the_approved_one(book):
    book.faults.add("approved_in_another_store")
    steps = run(book)
    assert steps["approve"]["status"] == "fail"
    assert steps["close"]["status"] == "pass"
    assert book.positions[1]["close_price"] == book.positions[1]["entry_price"]


# --- the connection that reads, and keeps a second test out ---------------------------------------


class Connection:
    """A connection to the stand-in's lists; *locked* says that another test holds the lock."""

    def __init__(self, book: StandIn, *, locked: bool = False, broken: bool = False) -> None:
        self.book, self.locked, self.broken = book, locked, broken
        self.closed = 0
        self.found: list[dict] = []

    def cursor(self, **_options):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def execute(self, sql, params=None):
        if self.broken and "pg_try_advisory_lock" not in sql and "timeout" not in sql:
            raise psycopg2.OperationalError("server closed the connection\nunexpectedly")
        if "timeout" in sql:
            self.found = []
        elif "pg_try_advisory_lock" in sql:
            self.found = [{"got": not self.locked}]
        else:
            self.found = self.book.rows(sql, params)

    def fetchall(self):
        return self.found

    def close(self):
        self.closed = 1


def whole_test(book: StandIn, connect) -> dict:
    database = SimpleNamespace(connect=connect)
    with served(book) as url:
        return smoke_test.run(PmsApi(url, "manager", RIGHT), database, deadline_seconds=60.0)


def test_a_run_reads_on_one_connection_and_closes_it(book):
    connection = Connection(book)
    result = whole_test(book, lambda **_: connection)
    assert (result["verdict"], result["not_passed"]) == ("pass", [])
    assert result["tag"].startswith(TAG_PREFIX)
    assert connection.closed


def test_a_second_test_on_the_same_database_is_refused(book):
    connection = Connection(book, locked=True)
    with pytest.raises(OpsError) as caught:
        whole_test(book, lambda **_: connection)
    assert caught.value.code == "smoke.running"
    assert connection.closed and len(book.positions) == 1


def test_a_database_that_cannot_be_reached_leaves_its_steps_unknown(book):
    def connect(**_options):
        raise OpsError("nobody answers", "Start it.", code="database.unreachable")

    result = whole_test(book, connect)
    statuses = {step["id"]: step["status"] for step in result["steps"]}
    assert statuses["open_stored"] == "unknown" and statuses["close"] == "pass"
    assert result["verdict"] == "fail"


def test_a_connection_that_breaks_leaves_its_steps_unknown(book):
    result = whole_test(book, lambda **_: Connection(book, broken=True))
    step = next(step for step in result["steps"] if step["id"] == "open_stored")
    assert step["status"] == "unknown"
    assert "server closed the connection" in step["finding"]
