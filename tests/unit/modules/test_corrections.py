# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The modules that change the book: four runs each, of which the last two change nothing."""

from __future__ import annotations

import json
from typing import Any

import pms_journal_note
import pms_mark
import pms_position
import pytest
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.testing import patch_module_args

from tests.support.book_database import BookDatabase
from tests.support.standin_pms import StandIn, served

DATABASE = {
    "host": "127.0.0.1",
    "port": 1,
    "name": "macro_trading",
    "user": "pms_ops",
    "access": "host",
}
PLANS = (True, False, True, False)


@pytest.fixture
def book():
    made = StandIn()
    order = {"asset_class": "FX", "notional_brl": 1e7, "execution_price": 5.2}
    for instrument in ("USDBRL", "EURUSD"):
        made.open(order | {"instrument": instrument, "direction": "LONG", "manager_thesis": "x"})
    return made


@pytest.fixture
def common(book, monkeypatch, tmp_path):
    """Return the options of every call; the database is that of the stand-in."""
    database = BookDatabase(book)
    monkeypatch.setattr(Database, "from_options", lambda _options: database)
    with served(book) as url:
        yield {
            "database": DATABASE,
            "api": {"url": url, "username": "manager", "password": "right"},
            "evidence_root": str(tmp_path),
        }


def called(module: Any, capsys: Any, **options: Any) -> dict[str, Any]:
    with patch_module_args(options), pytest.raises(SystemExit):
        module.main()
    return json.loads(capsys.readouterr().out)


def runs(module: Any, capsys: Any, **options: Any) -> list[dict[str, Any]]:
    found = [
        called(module, capsys, **options, _ansible_check_mode=check, _ansible_diff=True)
        for check in PLANS
    ]
    assert not any(each.get("failed") for each in found), found
    return found


def test_a_position_is_corrected_once(book, common, capsys):
    right = {"instrument": "USDBRL", "direction": "SHORT", "notional_brl": 1e7, "price": 5.21}
    found = runs(pms_position, capsys, **common, position_id=1, **right)
    assert [each["changed"] for each in found] == [True, True, False, False]
    assert found[0]["actions"] == found[1]["actions"]
    assert found[0]["right_id"] is None and found[1]["right_id"] == 3
    assert found[1]["exit_cost_brl"] == 2000.0
    assert found[1]["subject"] | {"position_id": 1} == found[1]["subject"]
    assert [row["is_open"] for row in book.positions] == [False, True, True]


def test_a_refused_position_has_a_remedy_and_a_code(common, capsys):
    found = called(pms_position, capsys, **common, position_id="seven")
    assert found["failed"] and found["code"] == "position.arguments"
    assert "-e position_id=ID" in found["remedy"]


def test_a_mark_is_corrected_once(book, common, capsys):
    found = runs(
        pms_mark, capsys, **common, prices={"USDBRL": 5.3}, source="PTAX", price_percent=50.0
    )
    assert [each["changed"] for each in found] == [True, True, False, False]
    assert found[0]["diff"] == found[1]["diff"]
    assert found[1]["diff"] == {"before": {"USDBRL 1": 5.2}, "after": {"USDBRL 1": 5.3}}
    assert found[1]["subject"]["prices"] == "USDBRL 5.3"
    assert [row["current_price"] for row in book.positions] == [5.3, 5.2]


def test_a_refused_price_has_a_remedy_and_a_code(common, capsys):
    found = called(pms_mark, capsys, **common, prices={"USDBRL": -1})
    assert found["failed"] and found["code"] == "mtm.arguments"


def test_an_entry_is_written_once(book, common, capsys):
    del common["evidence_root"]
    note = {"mark": "incident 1", "text": "Redis was down."}
    found = runs(pms_journal_note, capsys, **common, **note)
    assert [each["way"] for each in found] == ["planned", "sql", "found", "found"]
    assert [each["changed"] for each in found] == [True, True, False, False]


def test_a_missing_journal_has_a_remedy_and_a_code(common, capsys, monkeypatch):
    database = BookDatabase(StandIn())
    database.has_journal = False
    monkeypatch.setattr(Database, "from_options", lambda _options: database)
    found = called(pms_journal_note, capsys, database=DATABASE, mark="x", text="y")
    assert found["failed"] and found["code"] == "journal.missing"
