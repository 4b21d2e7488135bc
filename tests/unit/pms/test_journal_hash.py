# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import hashlib

import pytest
from ansible.module_utils.pmsops.pms.journal_hash import content_hash

ROW = {
    "entry_type": "OPEN",
    "instrument": "USDBRL",
    "direction": "LONG",
    "notional_brl": 10000000,
    "entry_price": 5.2,
    "manager_notes": "tese é boa",
    "system_notes": None,
    "id": 7,
    "created_at": "2026-11-22",
}
# Spelled out by hand, so that the function cannot agree with itself alone.
TEXT = (
    '{"direction": "LONG", "entry_price": 5.2, "entry_type": "OPEN", "instrument": "USDBRL", '
    '"manager_notes": "tese \\u00e9 boa", "notional_brl": 10000000.0, "system_notes": null}'
)


def test_the_hash_is_of_the_seven_fields_in_their_one_spelling():
    assert content_hash(ROW) == hashlib.sha256(TEXT.encode()).hexdigest()


def test_what_is_not_hashed_changes_nothing():
    assert content_hash(ROW | {"id": 8, "created_at": None}) == content_hash(ROW)


@pytest.mark.parametrize(
    "change",
    [{"manager_notes": "tese e boa"}, {"entry_price": 5.21}, {"direction": "SHORT"},
     {"notional_brl": 10000001}, {"system_notes": ""}],
)  # fmt: skip
def test_any_hashed_field_counts(change):
    assert content_hash(ROW | change) != content_hash(ROW)


def test_an_outcome_note_without_a_price_was_hashed_with_zero():
    note = ROW | {"entry_type": "NOTE", "entry_price": None}
    assert content_hash(note) == content_hash(note | {"entry_price": 0.0})
