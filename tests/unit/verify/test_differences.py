# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.verify import differences as compare

FACTS = {
    "indexes": {"public.t_pkey": {"definition": "CREATE UNIQUE INDEX", "valid": True}},
    "triggers": {"public.t.guard": {"enabled": "O"}},
}
CONTENTS = {"public.t": {"rows": 3, "fingerprint": "a" * 16}}


def texts(differences):
    return [difference.text() for difference in differences]


def test_equal_facts_and_rows_differ_in_nothing():
    assert compare.facts(FACTS, FACTS) == []
    assert compare.of_contents(CONTENTS, CONTENTS) == []


def test_a_missing_an_added_and_a_changed_object_are_named():
    found = {
        "indexes": {"public.t_pkey": {"definition": "CREATE UNIQUE INDEX", "valid": False}},
        "triggers": {},
        "views": {"public.v": {}},
    }
    assert texts(compare.facts(FACTS, found)) == [
        "indexes: public.t_pkey has valid False, not True",
        "triggers: public.t.guard is missing",
        "views: public.v is not in the backup",
    ]


def test_rows_and_values_are_told_apart():
    assert texts(
        compare.of_contents(CONTENTS, {"public.t": {"rows": 2, "fingerprint": "b" * 16}})
    ) == ["contents: public.t has 2 rows, not 3"]
    assert texts(
        compare.of_contents(CONTENTS, {"public.t": {"rows": 3, "fingerprint": "b" * 16}})
    ) == ["contents: public.t has rows with other values"]
    assert texts(compare.of_contents(CONTENTS, {})) == ["contents: public.t is missing"]


def test_a_chunk_is_named_with_the_hypertable_that_it_is_of():
    assert texts(compare.of_contents(CONTENTS, {}, {"public.t": "market_data", "other": "x"})) == [
        "contents: public.t (of market_data) is missing"
    ]


def test_many_differences_of_a_kind_are_counted():
    many = [compare.Difference("columns", f"t.c{n:02}", "is missing") for n in range(15)]
    lines = compare.lines([*many, compare.Difference("views", "v", "is missing")])
    assert len(lines) == 12
    assert lines[10] == "columns: and 5 more"
    assert lines[11] == "views: v is missing"


@pytest.mark.parametrize("attribute", ["grants", "roles", "tables"])
def test_the_order_of_a_list_without_one_is_no_difference(attribute):
    """The collation of a database, or its OIDs, gave the order in sets of schema 1 and 2."""
    wanted = {"publications": {"cdc": {attribute: ["public.trades", "public.fills"]}}}
    found = {"publications": {"cdc": {attribute: ["public.fills", "public.trades"]}}}
    assert compare.facts(wanted, found) == []
    found["publications"]["cdc"][attribute].append("public.quotes")
    assert [each.attribute for each in compare.facts(wanted, found)] == [attribute]


def test_the_order_of_other_lists_counts():
    wanted = {"types": {"side": {"labels": ["buy", "sell"]}}}
    found = {"types": {"side": {"labels": ["sell", "buy"]}}}
    assert len(compare.facts(wanted, found)) == 1
