# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.verify import causes
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


@pytest.mark.parametrize(
    "prefix, equal", [("_hyper_12", True), ("_hyper_x", False), ("md_chunk", False)]
)
def test_the_number_of_a_hypertable_is_no_difference_and_a_chosen_prefix_is(prefix, equal):
    wanted, found = (
        {"hypertables": {"public.md": {"chunk_prefix": each}}} for each in ("_hyper_1", prefix)
    )
    assert (compare.facts(wanted, found) == []) is equal


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
    lines = causes.lines([*many, compare.Difference("views", "v", "is missing")])
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


INTERNAL = "_timescaledb_internal"
AGGREGATE = {
    "continuous_aggregates": {
        "public.daily": {
            "hypertable": "public.md",
            "materialization": f"{INTERNAL}._materialized_hypertable_2",
            "view": f"{INTERNAL}._direct_view_2",
        }
    },
    "views": {"public.daily": {}, f"{INTERNAL}._direct_view_2": {}},
    "tables": {f"{INTERNAL}._materialized_hypertable_2": {}},
    "hypertables": {f"{INTERNAL}._materialized_hypertable_2": {}},
    "chunks": {
        f"{INTERNAL}._materialized_hypertable_2 [{day} .. {day + 1})": {} for day in range(100)
    },
    "indexes": {
        f"{INTERNAL}._ht_2_idx": {"table": f"{INTERNAL}._materialized_hypertable_2"},
    },
    "jobs": {"1001": {"procedure": "p.refresh", "every": "01:00:00",
                      "hypertable": f"{INTERNAL}._materialized_hypertable_2"}},
    "columns": {"public.md.note": {}},
}  # fmt: skip


def test_a_dropped_aggregate_is_one_line_that_says_so():
    """It was one line of 144, and none of the others said what had happened: issue 18, A31."""
    left = {"tables": {}, "columns": {}}
    found = compare.facts(AGGREGATE, left)
    rows = {f"{INTERNAL}._materialized_hypertable_2": {"rows": 9, "fingerprint": "a" * 16}}
    found += compare.of_contents(rows, {})
    assert causes.lines(found) == [
        "continuous_aggregates: public.daily is missing (with it: chunks 100, contents 1,"
        " hypertables 1, indexes 1, jobs 1, tables 1, views 2)",
        "columns: public.md.note is missing",
    ]


def test_a_new_job_is_named_by_what_it_runs_and_not_by_its_number_alone():
    job = {"procedure": "public.trim", "every": "1 day", "hypertable": None}
    found = compare.facts({"jobs": {}}, {"jobs": {"1010": job}})
    assert causes.lines(found) == [
        "jobs: 1010 is not in the backup (it runs public.trim each 1 day)"
    ]


def test_what_changed_in_another_way_is_not_folded_under_a_cause():
    wanted = {"tables": {"public.a": {}}, "indexes": {"public.a_idx": {"table": "public.a"}}}
    found = {"tables": {}, "indexes": {"public.b_idx": {"table": "public.a"}}}
    assert causes.lines(compare.facts(wanted, found)) == [
        "tables: public.a is missing (with it: indexes 1)",
        "indexes: public.b_idx is not in the backup",
    ]
