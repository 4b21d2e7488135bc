# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The workflow smoke test against a stand-in that says it is one, whole and broken."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import pms_smoke_test
import psycopg2
import pytest
from ansible.module_utils.pmsops.common.errors import InterruptError, OpsError
from ansible.module_utils.pmsops.evidence import status
from ansible.module_utils.pmsops.pms import smoke_test, smoke_test_intents
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


# These change the fund's own position, or keep a trade where no test can close it.
LEAVE_MORE = ("wrong_pnl", "marks_reset_others", "approved_elsewhere")


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
        ("old_pack", "morning_pack_stored"),
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
    left = "fail" if fault in LEAVE_MORE else "pass"
    assert steps["compensated"]["status"] == left, steps["compensated"]


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
        raise InterruptError("Ended by SIGTERM.", "again", code="run.interrupted")

    with served(book) as url, pytest.raises(InterruptError, match="SIGTERM"):
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


def whole_test(book: StandIn, connect, **options) -> dict:
    database = SimpleNamespace(connect=connect)
    with served(book) as url:
        api = PmsApi(url, "manager", RIGHT)
        return smoke_test.run(api, database, deadline_seconds=60.0, **{"accepts": True} | options)


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


# --- what stays on a live book --------------------------------------------------------------------


def second_position(book: StandIn, fx_rate: float) -> dict:
    """Open and mark a second position of the fund, at a rate of its own."""
    order = {
        "instrument": "PETR4",
        "asset_class": "EQUITY",
        "direction": "LONG",
        "notional_brl": 500_000.0,
        "execution_price": 10.0,
        "manager_thesis": "of the fund too",
    }
    book.open(order)
    book.positions[-1] |= {
        "current_price": 11.0,
        "unrealized_pnl_brl": 50_000.0,
        "unrealized_pnl_usd": 50_000.0 / fx_rate,
    }
    return book.positions[-1]


def test_a_book_with_positions_is_refused_unless_what_stays_is_accepted(book):
    with pytest.raises(OpsError) as caught:
        whole_test(book, lambda **_: Connection(book), accepts=False)
    assert caught.value.code == "smoke.book-in-use"
    assert "no release of the PMS undoes a trade without a trace" in str(caught.value)
    assert "golive_smoke_test_accept_remains" in caught.value.remedy
    assert not [line for line in book.requests if line.startswith("POST") and "auth" not in line]


def test_an_empty_book_is_tested_without_being_asked():
    empty = StandIn()
    assert whole_test(empty, lambda **_: Connection(empty), accepts=False)["verdict"] == "pass"


def test_results_in_usd_of_a_book_marked_at_two_rates_stay_as_they_were(book):
    """A result of 10,000 USD became 9,615: the test marked the whole book at one rate."""
    other = second_position(book, fx_rate=5.0)
    before = dict(other)
    steps = run(book)
    assert steps["mtm"]["status"] == "fail"
    assert "marked at several rates" in steps["mtm"]["finding"]
    assert other == before
    assert INSTRUMENT not in left_open(book)


def test_a_changed_result_in_usd_is_named_where_the_operator_accepted_it(book):
    second_position(book, fx_rate=5.0)
    steps = run(book, accepts=True)
    assert steps["mtm"]["status"] == "pass"
    assert steps["compensated"]["status"] == "fail"
    changed = [each for each in steps["compensated"]["differences"] if "unrealized_pnl_usd" in each]
    assert len(changed) == 1
    assert "open positions[id=" in changed[0] and "before" in changed[0]


@pytest.mark.parametrize("fault", ["approved_elsewhere", "approved_in_another_store"])
def test_a_trade_that_the_release_cannot_undo_is_said(book, fault):
    book.faults.add(fault)
    step = run(book)["compensated"]
    assert step["status"] == "fail"
    assert "this release cannot undo that trade" in step["finding"]
    assert "keeps the exposure" in step["differences"][0]


def test_the_costs_and_the_closed_rows_of_the_test_are_named_and_no_failure(book):
    step = run(book)["compensated"]
    assert (step["status"], step["differences"]) == ("pass", [])
    assert "2 closed positions" in step["finding"]


def test_a_price_that_the_test_changed_is_named_with_both_values(book):
    book.faults.add("marks_reset_others")
    step = run(book)["compensated"]
    assert "open positions[id=1].current_price: 5.5 before, 5.0 now" in step["differences"]


# --- a test that was killed -----------------------------------------------------------------------


class Killed(BaseException):
    """What SIGKILL is to a process: nothing of it runs any more."""


def killed_at(book: StandIn, folder: Path, operation: str) -> None:
    """Run a smoke test that ends at once after an operation was sent, without any clean-up."""
    with served(book) as url:
        api = PmsApi(url, "manager", RIGHT)
        intents = smoke_test_intents.Intents(folder, tag=f"{TAG_PREFIX} killed")
        test = SmokeTest(api, book.rows, tag="t", today=TODAY, intents=intents)
        sent = api.call

        def call(name, *args, **kwargs):
            answer = sent(name, *args, **kwargs)
            if name == operation:
                api.request = test._take = test._forget = lambda *_, **__: (_ for _ in ()).throw(
                    Killed()
                )
                raise Killed
            return answer

        api.call = call
        with pytest.raises(Killed):
            test.run()


def dies(folder: Path) -> None:
    """Let the record be of a process that is gone."""
    path = folder / smoke_test_intents.FILE
    document = json.loads(path.read_text())
    host, _pid, _ticks, boot = document["process"].split()
    path.write_text(json.dumps(document | {"process": f"{host} 999999999 1 {boot}"}))


@pytest.mark.parametrize("operation", ["open_position", "mtm", "generate_proposals", "approve"])
def test_a_killed_test_is_named_by_status_and_closed_by_the_next_command(book, tmp_path, operation):
    killed_at(book, tmp_path, operation)
    assert INSTRUMENT in left_open(book)
    found = smoke_test_intents.unfinished(tmp_path)
    assert found.running and operation in found.calls
    dies(tmp_path)
    due = status.collect(tmp_path, tmp_path, now=datetime.now(UTC))["due"][0]
    assert "was killed after it sent" in due["what"] and operation in due["what"]
    assert due["next"] == "ansible-playbook playbooks/smoke_close.yml"
    result = whole_test(book, lambda **_: Connection(book), close_only=True, evidence_root=tmp_path)
    assert result["verdict"] == "pass"
    assert [step["id"] for step in result["steps"]] == ["api", "leftovers"]
    assert left_open(book) == ["USDBRL"]
    assert smoke_test_intents.unfinished(tmp_path) is None


def test_a_test_that_ends_leaves_no_record_even_if_it_fails(book, tmp_path):
    book.faults.add("wrong_pnl")
    whole_test(book, lambda **_: Connection(book), evidence_root=tmp_path)
    assert smoke_test_intents.unfinished(tmp_path) is None


def test_a_position_that_cannot_be_closed_keeps_its_record(book, tmp_path):
    order = {
        "instrument": INSTRUMENT,
        "asset_class": "FX",
        "direction": "LONG",
        "notional_brl": 10_000.0,
        "execution_price": 5.2,
        "manager_thesis": f"{TAG_PREFIX} left",
    }
    book.open(order)
    book.faults.add("stuck_leftover")
    whole_test(book, lambda **_: Connection(book), evidence_root=tmp_path)
    assert "close_position" in smoke_test_intents.unfinished(tmp_path).calls


def test_nothing_is_sent_that_could_not_be_recorded_first(book, tmp_path):
    blocked = tmp_path / "evidence"
    blocked.write_text("a file in place of the folder")
    result = whole_test(book, lambda **_: Connection(book), evidence_root=blocked)
    step = next(step for step in result["steps"] if step["id"] == "open")
    assert step["status"] == "fail" and "cannot record" in step["finding"]
    assert len(book.positions) == 1
