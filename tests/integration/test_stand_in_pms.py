# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lab's data and its stand-in for the PMS, in the containers that the lab uses."""

from __future__ import annotations

import re
from datetime import date, timedelta

import psycopg2
import psycopg2.extras
import pytest
import requests
from ansible.module_utils.pmsops.common import exchange_calendar
from ansible.module_utils.pmsops.pms import journal_hash

from tests.support.pms_service import NEWEST, SEEDED, TIMEOUT, opened, order


def test_the_days_of_the_data_are_the_exchange_s_business_days(data):
    found = data.rows(
        """SELECT DISTINCT m."timestamp"::date AS day FROM market_data m
             JOIN instruments i ON i.id = m.instrument_id
            WHERE i.ticker = 'USDBRL_PTAX' AND m.frequency = 'daily' ORDER BY 1"""
    )
    days = [row["day"] for row in found]
    span = (days[0] + timedelta(days=n) for n in range((SEEDED - days[0]).days + 1))
    assert days == [day for day in span if exchange_calendar.is_business_day(day)]
    assert len(days) > 700


def test_every_entry_of_the_seeded_journal_has_the_hash_that_python_computes(data):
    rows = data.rows("SELECT * FROM decision_journal")
    assert {row["entry_type"] for row in rows} == {"OPEN", "CLOSE", "REJECT", "NOTE", "MODIFY"}
    assert [
        row["id"] for row in rows if journal_hash.content_hash(row) != row["content_hash"]
    ] == []


def test_the_seeded_schema_has_its_tables_hypertables_and_foreign_keys(data):
    assert data.value("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 24
    assert data.value("SELECT count(*) FROM timescaledb_information.hypertables") == 11
    assert (
        data.value(
            """SELECT count(*) FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
                WHERE c.contype = 'f' AND t.relnamespace = 'public'::regnamespace"""
        )
        == 11
    )
    assert data.value("SELECT count(*) FROM pg_sequences WHERE schemaname = 'public'") == 21
    counts = "SELECT (SELECT count(*) FROM {}) AS n"
    for table, wanted in (("instruments", 29), ("data_sources", 12), ("series_metadata", 206)):
        assert data.value(counts.format(table)) == wanted


def test_a_locked_entry_of_the_journal_cannot_be_changed(data):
    with pytest.raises(psycopg2.errors.RaiseException, match="locked decision journal entry"):
        data.rows("UPDATE decision_journal SET manager_notes = 'x' WHERE id = 1")
    with pytest.raises(psycopg2.errors.RaiseException, match="locked decision journal entry"):
        data.rows("DELETE FROM decision_journal WHERE id = 1")


def test_later_days_are_added_without_touching_what_is_there(data):
    kept = "SELECT sum(hashtextextended(t::text, 0)::numeric) AS n FROM portfolio_positions t"
    before = data.value(kept)
    reach = data.value("""SELECT max("timestamp")::date FROM market_data""")
    data.run("topup.sql", reach=reach.isoformat(), as_of=NEWEST.isoformat(), scale="0.1")
    assert data.value("""SELECT max("timestamp")::date FROM market_data""") == NEWEST
    assert data.value("SELECT max(curve_date) FROM curves") == NEWEST
    assert data.value(kept) == before
    marked = data.rows(
        """SELECT p.id, max(h.snapshot_date) AS newest FROM portfolio_positions p
             JOIN position_pnl_history h ON h.position_id = p.id
            WHERE p.is_open GROUP BY p.id"""
    )
    assert {row["newest"] for row in marked} == {NEWEST}
    agents = "SELECT count(DISTINCT agent_id) FROM agent_reports WHERE as_of_date = %s"
    assert data.value(agents, NEWEST) == 5


# --- the service, as its documents promise --------------------------------------------------------


def test_a_position_is_marked_and_closed_by_the_rules_of_the_pms(api):
    position = opened(api)
    assert position["transaction_cost_brl"] == pytest.approx(2000)
    body = {"price_overrides": {"USDBRL": 5.46}, "fx_rate": 5.46}
    marked = api.ask("POST", "/api/v1/pms/mtm", body, "manager").json()
    found = next(each for each in marked["positions"] if each["id"] == position["id"])
    assert found["unrealized_pnl_brl"] == pytest.approx(500_000)
    assert found["unrealized_pnl_usd"] == pytest.approx(91_575.09, abs=0.01)
    path = f"/api/v1/pms/book/positions/{position['id']}/close"
    closed = api.ask("POST", path, {"close_price": 5.30}, "manager").json()
    assert closed["realized_pnl_brl"] == pytest.approx(190_307.69, abs=0.01)
    assert closed["transaction_cost_brl"] == pytest.approx(4000)
    assert not closed["is_open"]
    again = api.ask("POST", path, {"close_price": 5.30}, "manager")
    assert (again.status_code, again.json()["detail"]) == (
        400,
        f"Position {position['id']} is already closed",
    )


def test_what_was_done_is_in_the_database_and_outlives_a_restart(api, data):
    position = opened(api, instrument="NDF_TEST", manager_thesis="to outlive a restart")
    row = data.rows("SELECT * FROM portfolio_positions WHERE id = %s", position["id"])[0]
    assert (row["instrument"], row["is_open"], row["notes"]) == (
        "NDF_TEST",
        True,
        "to outlive a restart",
    )
    api.container.restart(timeout=5)
    api.wait()
    ids = {each["id"] for each in api.ask("GET", "/api/v1/pms/book/positions").json()}
    assert position["id"] in ids
    trail = api.ask("GET", f"/api/v1/pms/journal/?position_id={position['id']}").json()
    assert [entry["entry_type"] for entry in trail] == ["OPEN"]


def test_a_position_without_a_price_of_its_own_takes_the_market_s(api, data):
    position = opened(api, instrument="GOLD", asset_class="COMMODITY", execution_price=2000)
    unknown = opened(api, instrument="NOT_QUOTED", execution_price=7)
    marked = api.ask("POST", "/api/v1/pms/book/mtm", {}, "manager").json()["positions"]
    prices = {each["id"]: each["current_price"] for each in marked}
    newest = data.value(
        """SELECT m.close FROM market_data m JOIN instruments i ON i.id = m.instrument_id
            WHERE i.ticker = 'GOLD' AND m.frequency = 'daily' ORDER BY m."timestamp" DESC LIMIT 1"""
    )
    assert prices[position["id"]] == newest
    assert prices[unknown["id"]] == 7


def test_every_action_leaves_a_locked_and_hashed_entry(api, data):
    signals = [
        {"instrument": "DXY", "asset_class": "FX", "direction": "LONG", "conviction": conviction}
        for conviction in (0.9, 0.8, 0.7, 0.5)
    ]
    made = api.ask("POST", "/api/v1/pms/trades/proposals/generate", {"signals": signals}).json()
    assert [each["conviction"] for each in made] == [0.9, 0.8, 0.7]
    first, second, third = (f"/api/v1/pms/trades/proposals/{each['id']}" for each in made)
    trade = {"execution_price": 104.0, "execution_notional_brl": 1e6}
    approved = api.ask("POST", f"{first}/approve", trade, "manager").json()
    assert approved["status"] == "APPROVED"
    notes = {"manager_notes": "not now"}
    assert api.ask("POST", f"{second}/reject", notes, "manager").json()["status"] == "REJECTED"
    change = {"modified_notional_brl": 5e5, "execution_price": 104.5}
    modified = api.ask("POST", f"{third}/modify-approve", change, "manager").json()
    assert modified["status"] == "MODIFIED"
    path = f"/api/v1/pms/book/positions/{approved['position_id']}/close"
    api.ask("POST", path, {"close_price": 105, "outcome_notes": "as expected"}, "manager")
    ids = [each["id"] for each in made]
    places = [approved["position_id"], modified["position_id"]]
    entries = data.rows(
        "SELECT * FROM decision_journal WHERE proposal_id = ANY(%s) OR position_id = ANY(%s)"
        " ORDER BY id",
        ids,
        places,
    )
    kinds = [entry["entry_type"] for entry in entries]
    assert kinds == ["OPEN", "REJECT", "MODIFY", "OPEN", "CLOSE", "NOTE"]
    assert all(entry["is_locked"] for entry in entries)
    assert all(journal_hash.content_hash(each) == each["content_hash"] for each in entries)
    shown = api.ask("GET", "/api/v1/pms/journal/", params={"limit": 6}).json()
    assert [entry["id"] for entry in shown] == [entry["id"] for entry in reversed(entries)]


@pytest.mark.parametrize(
    ("user", "path", "body", "status", "said"),
    [
        (None, "book/positions/open", {}, 401, "Missing authentication token"),
        (
            "viewer",
            "mtm",
            {},
            403,
            "Insufficient permissions. Required: MANAGER. Your role: VIEWER.",
        ),
        ("risk", "mtm", {}, 403, "Required: MANAGER"),
        ("manager", "risk/emergency-stop", {"reason": "x"}, 403, "Required: RISK_OFFICER"),
        ("manager", "mtm", None, 422, "missing"),
        ("manager", "book/positions/open", order(notional_brl=-1), 422, "greater_than"),
        ("manager", "book/positions/open", order(manager_thesis="     "), 400, "is mandatory"),
        ("manager", "book/positions/999999/close", {"close_price": 1}, 404, "not found"),
        ("manager", "book/positions/x/close", {"close_price": 1}, 422, "int_parsing"),
        ("manager", "trades/proposals/999999/approve", None, 422, "missing"),
        ("manager", "trades/proposals/999999/reject", {"manager_notes": "why"}, 400, "not found"),
        ("manager", "trades/proposals/1/reject", {"manager_notes": "   "}, 400, "mandatory"),
        ("manager", "trades/proposals/1/reject", {"manager_notes": "why"}, 400, "is not PENDING"),
        (None, "trades/proposals/generate", {"signals": [{"conviction": 1}]}, 500, "Internal"),
        (None, "morning-pack/generate", None, 422, "missing"),
        (None, "journal/999999/outcome", {"outcome_notes": "too late"}, 404, "not found"),
    ],
)
def test_what_is_wrong_is_refused_as_the_pms_refuses_it(api, user, path, body, status, said):
    answer = api.ask("POST", f"/api/v1/pms/{path}", body, user)
    assert answer.status_code == status
    assert said in answer.text


def test_tokens_are_the_pms_s(api):
    login = {"username": "manager", "password": api.passwords["manager"]}
    tokens = api.ask("POST", "/api/v1/auth/token", login).json()
    refresh = {"refresh_token": tokens["refresh_token"]}
    assert "access_token" in api.ask("POST", "/api/v1/auth/refresh", refresh).json()
    wrong = api.ask("POST", "/api/v1/auth/refresh", {"refresh_token": tokens["access_token"]})
    assert (wrong.status_code, wrong.json()["detail"]) == (400, "Not a refresh token")
    bad = api.ask("POST", "/api/v1/auth/token", login | {"password": "wrong"})
    assert (bad.status_code, bad.headers["www-authenticate"]) == (401, "Bearer")
    me = requests.get(
        f"{api.url}/api/v1/auth/me", headers={"Authorization": "Bearer junk"}, timeout=TIMEOUT
    )
    assert (me.status_code, me.json()["detail"]) == (401, "Invalid authentication token")


def test_the_paths_of_code_and_documents_lead_to_the_same(api):
    for code, documents in (
        ("pms/trades/proposals", "pms/proposals"),
        ("pms/journal/", "pms/journal"),
        ("pms/risk/live", "pms/risk/monitor"),
        ("pms/attribution", "pms/performance/attribution"),
    ):
        first, second = (api.ask("GET", f"/api/v1/{path}") for path in (code, documents))
        assert first.status_code == second.status_code == 200
        assert first.json() == second.json()
    entry = {"entry_type": "correction", "content": "the price of GOLD was wrong"}
    written = api.ask("POST", "/api/v1/pms/journal", entry, "manager")
    assert (written.status_code, written.json()["entry_type"]) == (201, "CORRECTION")


def test_risk_and_attribution_follow_the_book(api):
    before = api.ask("GET", "/api/v1/pms/risk/live").json()
    assert before["limits_summary"]["overall_status"] in ("OK", "WARNING")
    opened(api, instrument="NDF_RISK", notional_brl=30_000_000)
    after = api.ask("GET", "/api/v1/pms/risk/live").json()
    assert after["leverage"]["gross"] == pytest.approx(before["leverage"]["gross"] + 0.3)
    split = api.ask("GET", "/api/v1/pms/attribution?period=YTD").json()
    for name in ("by_strategy", "by_asset_class", "by_instrument", "by_factor", "by_time_period"):
        total = sum(each["pnl_brl"] for each in split[name])
        assert total == pytest.approx(split["total_pnl_brl"], abs=0.01)


def test_the_pipeline_marks_proposes_and_writes_the_pack(api, data):
    done = api.ask("POST", "/api/v1/pms/pipeline/trigger").json()
    assert done["status"] == "success", done
    assert set(done["steps"]) == {
        "mtm",
        "signals",
        "proposals",
        "morning_pack",
        "portfolio_returns",
    }
    today = date.fromisoformat(done["date"])
    pack = api.ask("GET", f"/api/v1/pms/morning-pack/{today}").json()
    assert [view["agent_id"] for view in pack["agent_views"]] == [
        "inflation_agent",
        "monetary_agent",
        "fiscal_agent",
        "fx_agent",
        "cross_asset_agent",
    ]
    briefing = "SELECT macro_narrative FROM daily_briefings WHERE briefing_date = %s"
    assert data.value(briefing, today) == pack["macro_narrative"]
    body = {"date": NEWEST.isoformat()}
    assert api.ask("POST", "/api/v1/agents/fx_agent/run", body).json()["data"]["signals"]


def test_every_page_that_can_be_read_answers(api):
    values = {
        "position_id": 1,
        "proposal_id": 1,
        "entry_id": 1,
        "briefing_date": NEWEST.isoformat(),
        "agent_id": "fx_agent",
        "series_code": "432",
        "curve_id": "DI_PRE",
        "ticker": "USDBRL",
    }
    paths = api.ask("GET", "/openapi.json").json()["paths"]
    assert len(paths) > 60
    for path in (path for path, methods in paths.items() if "get" in methods):
        if path == "/api/v1/auth/me":
            continue
        filled = re.sub(r"\{(\w+)\}", lambda name: str(values[name[1]]), path)
        answer = api.ask("GET", filled, params={"tickers": "USDBRL"})
        assert answer.status_code == 200, (filled, answer.text)


# --- without its database, and as the real one ----------------------------------------------------


def test_without_its_database_health_is_200_and_the_body_tells(start):
    api = start(POSTGRES_PORT="1", REDIS_PORT="1")
    health = api.ask("GET", "/health")
    assert health.status_code == 200
    assert health.json() | {"timestamp": ""} == {
        "status": "degraded",
        "database": "disconnected",
        "timestamp": "",
    }
    status = api.ask("GET", "/health/data-status")
    assert (status.status_code, status.text) == (500, "Internal Server Error")
    assert status.headers["content-type"].startswith("text/plain")
    book = api.ask("GET", "/api/v1/pms/book/positions")
    assert (book.status_code, book.json()) == (500, {"detail": "Internal server error"})


def test_the_faithful_one_keeps_everything_to_itself(start, data):
    api = start(PMS_MODE="faithful")
    count = "SELECT count(*) FROM portfolio_positions"
    before = data.value(count)
    position = opened(api, instrument="NDF_FAITHFUL")
    ids = [each["id"] for each in api.ask("GET", "/api/v1/pms/book/positions").json()]
    assert position["id"] in ids
    assert data.value(count) == before
    assert api.ask("GET", "/api/v1/pms/journal/").json() == []
    marked = api.ask("POST", "/api/v1/pms/mtm", {}, "manager").json()["positions"]
    assert all(each["current_price"] == each["entry_price"] for each in marked)
    risk = api.ask("GET", "/api/v1/pms/risk/live").json()
    assert (risk["var"]["parametric_95"], risk["stress_tests"]) == (0.0, [])
    assert api.ask("POST", "/api/v1/pms/pipeline/trigger").json()["status"] == "partial"
    for method, path, status in (
        ("POST", "/api/v1/pms/book/mtm", 404),
        ("GET", "/api/v1/pms/proposals", 404),
        ("GET", "/api/v1/pms/risk/monitor", 404),
        ("POST", "/api/v1/pms/journal/", 405),
    ):
        assert api.ask(method, path, {}).status_code == status, path
    redirected = api.ask("GET", "/api/v1/pms/journal", allow_redirects=False)
    assert redirected.status_code == 307


def test_the_faithful_one_stays_empty_when_its_database_was_away_at_first(start):
    api = start(PMS_MODE="faithful", POSTGRES_PORT="1")
    book = api.ask("GET", "/api/v1/pms/book/positions")
    assert (book.status_code, book.json()) == (200, [])
