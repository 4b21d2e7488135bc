# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Entries of the decision journal: written once, over HTTP or as a row."""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pms import journal_hash
from ansible.module_utils.pmsops.pms.decision_journal import Note, WrittenNote, find, write

from tests.support.book_database import BookDatabase
from tests.support.standin_pms import StandIn

NOTE = Note("incident 1", "INCIDENT", "  Redis was down. ")


class Api:
    """A PMS that accepts entries, unless it is told to lose them."""

    def __init__(self, book: StandIn, *, offers: bool = True) -> None:
        self.book = book
        self.offers = offers
        self.loses = False
        self.is_down = False

    @property
    def dialect(self) -> Any:
        if self.is_down:
            raise OpsError("nobody answers", "Start it.", code="pms.unreachable")
        return type("Dialect", (), {"paths": {"create_journal_entry": "/"} if self.offers else {}})

    def login(self) -> bool:
        return True

    def ask(self, operation: str, body: dict[str, Any]) -> Any:
        assert operation == "create_journal_entry"
        if not self.loses:
            entry = {"entry_type": body["entry_type"], "manager_notes": body["content"]}
            self.book.journal.append(entry | {"id": 7, "position_id": None})
        return {"id": 7}


@pytest.fixture
def book():
    return StandIn()


def test_a_row_has_its_text_its_mark_and_its_hash_and_is_written_once(book):
    database = BookDatabase(book)
    assert write(NOTE, database, None, check_mode=True) == WrittenNote(None, "planned")
    assert book.journal == []
    assert write(NOTE, database, None) == WrittenNote(1, "sql")
    (row,) = book.journal
    assert row["manager_notes"] == "Redis was down. [incident 1]"
    assert row["is_locked"] and row["content_hash"] == journal_hash.content_hash(row)
    assert write(NOTE, database, None) == WrittenNote(1, "found")
    assert write(Note("incident 2", "INCIDENT", "x"), database, None).way == "sql"


def test_a_pms_that_accepts_entries_writes_them_itself(book):
    assert write(NOTE, BookDatabase(book), Api(book)) == WrittenNote(7, "api")
    assert len(book.journal) == 1


@pytest.mark.parametrize("fault", ["offers", "loses", "is_down"])
def test_an_entry_that_the_pms_does_not_store_is_written_as_a_row(book, fault):
    api = Api(book, offers=fault != "offers")
    if fault != "offers":
        setattr(api, fault, True)
    assert write(NOTE, BookDatabase(book), api).way == "sql"
    assert len(book.journal) == 1


def test_a_database_without_a_journal_is_an_error(book):
    database = BookDatabase(book)
    database.has_journal = False
    with pytest.raises(OpsError) as caught:
        find(database, NOTE)
    assert caught.value.code == "journal.missing"


@pytest.mark.parametrize("failing", ["SELECT id", "INSERT"])
def test_a_statement_that_the_database_refuses_is_an_error(book, failing):
    database = BookDatabase(book)
    execute = database.execute

    def refuse(sql: str, params: Any = None) -> None:
        if sql.startswith(failing):
            raise psycopg2.Error("permission denied")
        execute(sql, params)

    database.execute = refuse
    with pytest.raises(OpsError, match="permission denied"):
        write(NOTE, database, None)
