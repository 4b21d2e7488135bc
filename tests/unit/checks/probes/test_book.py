# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The book probe: positions that the PMS serves against those that its database stores."""

from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.checks.probes import Failed, book

from tests.support.recorded_database import connected, soon


def position(number: int, *, is_open: bool = True, **change: object) -> dict:
    known = {"id": number, "instrument": "USDBRL", "direction": "LONG"}
    return known | {"notional_brl": 1000.0, "entry_price": 5.4, "is_open": is_open} | change


def ask(monkeypatch, served, stored, params=None, first_path_is_missing=False):
    def request(context, deadline, method, url):
        if first_path_is_missing and "/book/" in url:
            return {"status": 404}
        is_open = url.endswith("is_open=true")
        return {"status": 200, "json": [each for each in served if each["is_open"] == is_open]}

    monkeypatch.setattr(book, "request", request)
    rows = [{"position": each} for each in stored]
    monkeypatch.setattr(book, "run", lambda *_: {"rows": rows})
    context, _ = connected(monkeypatch, {}, api={"url": "http://pms"})
    return book.ask(params or {}, context, soon())


def test_equal_books_have_no_difference(monkeypatch):
    both = [position(1), position(2, is_open=False)]
    found = ask(monkeypatch, both, both)
    assert found == {"open": 1, "missing": [], "unstored": [], "differences": None}


def test_a_position_that_the_pms_does_not_know_is_a_difference(monkeypatch):
    found = ask(monkeypatch, [], [position(7)])
    assert found["missing"] == [7]
    assert "position 7" in found["differences"]


@pytest.mark.parametrize(("persists", "differs"), [(True, True), (False, False)])
def test_a_position_in_memory_alone_differs_where_the_release_persists(
    monkeypatch, persists, differs
):
    found = ask(monkeypatch, [position(9)], [], {"persists": persists})
    assert found["unstored"] == [9]
    assert (found["differences"] is not None) is differs


def test_an_older_release_is_asked_at_its_own_path(monkeypatch):
    found = ask(monkeypatch, [position(1)], [position(1)], first_path_is_missing=True)
    assert found["open"] == 1


def test_a_pms_that_gives_no_list_fails(monkeypatch):
    monkeypatch.setattr(book, "request", lambda *_: {"status": 500})
    context, _ = connected(monkeypatch, {}, api={"url": "http://pms"})
    with pytest.raises(Failed, match="HTTP 500 for its positions"):
        book.ask({}, context, soon())
