# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""application.json: what the PMS holds, and what could not be read of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.pmsops.pms import export

from tests.support.standin_pms import StandIn, served


class Pms(StandIn):
    """A PMS with more routes than the smoke test needs."""

    status = 200
    latest = 404

    def answer(self, method: str, path: str, query: dict, body: dict) -> tuple[int, Any]:
        if path.endswith("/morning-pack/history"):
            return self.status, []
        if path.endswith("/morning-pack/latest"):
            return self.latest, {"detail": "none"}
        if path == export.JOURNAL:
            first = int(query["offset"])
            return self.status, self.journal[first : first + int(query["limit"])]
        if path == "/api/v1/pms/trades/proposals":
            return self.status, []
        return super().answer(method, path, query, body)


@pytest.fixture
def pms():
    return Pms()


def read(pms: Pms) -> tuple[dict[str, Any], list[str]]:
    with served(pms) as url:
        content, missing = export.content(url)
    document = json.loads(content)
    assert document["missing"] == missing
    return document["holds"], missing


def test_all_of_it_is_read_in_pages(pms):
    pms.journal = [{"id": number} for number in range(export.PAGE + 3)]
    pms.positions = [{"id": 1, "is_open": True}, {"id": 2, "is_open": False}]
    holds, missing = read(pms)
    assert missing == []
    assert len(holds["journal"]) == export.PAGE + 3
    assert [row["id"] for row in holds["positions_open"]] == [1]
    assert [row["id"] for row in holds["positions_closed"]] == [2]
    assert holds["latest_briefing"] is None  # there is none yet


def test_what_the_pms_refuses_is_named(pms):
    pms.status = 500
    holds, missing = read(pms)
    assert missing == ["proposals: HTTP 500", "briefings: HTTP 500", "journal: HTTP 500"]
    assert set(holds) == {"positions_open", "positions_closed", "latest_briefing"}


def test_a_pms_that_is_down_is_no_error(pms):
    with served(pms) as url:
        pass
    _content, missing = export.content(url)
    assert len(missing) == 6
    assert missing[0] == "positions_open: ConnectionError"


def test_a_journal_without_an_end_is_given_up(pms, monkeypatch):
    monkeypatch.setattr(export, "MAX_PAGES", 2)
    pms.journal = [{"id": number} for number in range(3 * export.PAGE)]
    assert read(pms)[1] == [f"journal: more than {2 * export.PAGE} entries"]
