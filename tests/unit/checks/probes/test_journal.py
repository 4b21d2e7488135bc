# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The journal probe: each entry whose hash does not fit its content is named."""

from __future__ import annotations

import psycopg2
import pytest
from ansible.module_utils.pmsops.checks.probes import Failed, journal
from ansible.module_utils.pmsops.pms import journal_hash

from tests.support.recorded_database import connected, soon


def row(number: int, **change: object) -> tuple[object, ...]:
    entry = {
        "id": number,
        "entry_type": "OPEN",
        "instrument": "USDBRL",
        "direction": "LONG",
        "manager_notes": f"note {number}",
        "system_notes": None,
        "notional_brl": 1000000.0,
        "entry_price": 5.4,
    }
    entry["content_hash"] = journal_hash.content_hash(entry)
    return tuple((entry | change)[name] for name in journal.COLUMNS)


def ask(monkeypatch, rows, trigger=1):
    answers = {"pg_trigger": [(trigger,)], "decision_journal ORDER BY": rows}
    context, _ = connected(monkeypatch, answers)
    return journal.ask({}, context, soon())


def test_a_journal_that_nobody_altered_has_no_wrong_entry(monkeypatch):
    found = ask(monkeypatch, [row(1), row(2)])
    assert found == {"entries": 2, "wrong": [], "trigger_enabled": True}


def test_altered_entries_are_named_the_first_twenty(monkeypatch):
    rows = [row(number, entry_price=9.9) for number in range(1, 26)]
    found = ask(monkeypatch, [row(0), *rows], trigger=0)
    assert (found["entries"], found["trigger_enabled"]) == (26, False)
    assert found["wrong"] == list(range(1, 21))


def test_a_journal_that_cannot_be_read_fails(monkeypatch):
    with pytest.raises(Failed, match="the journal cannot be read: no table"):
        ask(monkeypatch, psycopg2.ProgrammingError("no table"))


def test_a_journal_too_long_for_the_time_says_how_far_it_was_read(monkeypatch):
    monkeypatch.setattr(journal, "BATCH_ROWS", 2)
    answers = {"pg_trigger": [(1,)], "decision_journal ORDER BY": [row(n) for n in range(5)]}
    context, _ = connected(monkeypatch, answers)
    with pytest.raises(Failed, match="the time was over after 2 entries"):
        journal.ask({}, context, soon(0))
