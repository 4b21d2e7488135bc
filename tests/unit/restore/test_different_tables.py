# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which table a difference belongs to, and how each table is brought."""

from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.restore import chunk_exchange, different_tables
from ansible.module_utils.pmsops.verify.differences import Difference

TABLE = {"kind": "r"}
SEQUENCE = {"step": 1, "last_value": 10, "is_called": True, "owned_by": "public.book.id"}
CHUNK = "public.md [2026-01-01 00:00:00 .. 2026-01-08 00:00:00)"


def facts(*tables, **kinds):
    found = {"tables": {name: dict(TABLE) for name in tables}, "hypertables": {}, "sequences": {}}
    return found | kinds


def difference(kind, name, what="differs", **fields):
    return Difference(kind, name, what, **fields)


def sorted_(found, *, wanted=None, live=None, rows=None):
    both = facts("public.book", "public.fills")
    rows = rows or {"public.book": {"rows": 3}, "public.fills": {"rows": 2}}
    return different_tables.sort(found, wanted or both, live or both, rows, rows)


@pytest.mark.parametrize(
    ("kind", "name", "definition"),
    [
        ("contents", "public.book", None),
        ("tables", "public.book", None),
        ("columns", "public.book.id", None),
        ("constraints", "public.book.book_pkey", None),
        ("comments", "table public.book", None),
        ("comments", "column public.book.id", None),
        ("comments", "trigger t on public.book", None),
        ("indexes", "public.by_name", "CREATE INDEX by_name ON public.book USING btree (name)"),
        ("statistics_objects", "public.both", "CREATE STATISTICS both ON a, b FROM public.book"),
    ],
)
def test_an_object_belongs_to_its_table(kind, name, definition):
    live = facts(
        "public.book", **({kind: {name: {"definition": definition}}} if definition else {})
    )
    compared = sorted_([difference(kind, name)], live=live)
    assert [(each.name, each.whole) for each in compared.tables] == [("public.book", True)]
    assert compared.tables[0].rows == 3 and compared.others == []


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("functions", "public.guard()"),
        ("views", "public.dear"),
        ("columns", "public.dear.id"),
        ("database", "all"),
        ("comments", "schema public"),
    ],
)
def test_what_is_no_table_is_left(kind, name):
    compared = sorted_([difference(kind, name)])
    assert compared.tables == [] and len(compared.left()) == 1


def test_a_partition_belongs_to_its_table():
    live = facts("public.parted")
    live["tables"]["public.parted_1"] = {
        "kind": "r", "partition_bound": "FOR VALUES IN (1)", "parents": ['public."parted"'],
    }  # fmt: skip
    rows = {"public.parted": {"rows": 0}, "public.parted_1": {"rows": 4}}
    found = [difference("contents", "public.parted_1", of="public.parted")]
    compared = sorted_(found, wanted=live, live=live, rows=rows)
    assert [(each.name, each.rows) for each in compared.tables] == [("public.parted", 4)]


def test_a_hypertable_comes_by_its_chunks_unless_its_definition_differs():
    both = facts("public.md", hypertables={"public.md": {}})
    rows = {CHUNK: {"rows": 7, "of": "public.md"}}
    found = [
        difference("contents", CHUNK, of="public.md"),
        difference("chunks", CHUNK, "is missing"),
        difference("hypertables", "public.md", attribute="chunks"),
    ]
    (one,) = sorted_(found, wanted=both, live=both, rows=rows).tables
    assert (one.whole, one.chunks, one.rows) == (False, [CHUNK], 7)
    found.append(difference("columns", "public.md.value"))
    (one,) = sorted_(found, wanted=both, live=both, rows=rows).tables
    assert one.whole


def test_a_table_of_one_side_has_rows_there_alone():
    compared = sorted_(
        [difference("tables", "public.new", "is not in the backup"),
         difference("tables", "public.fills", "is missing")],
        wanted=facts("public.book", "public.fills"), live=facts("public.book", "public.new"),
    )  # fmt: skip
    assert [(each.name, each.rows, each.rows_in_set) for each in compared.tables] == [
        ("public.fills", None, 2),
        ("public.new", 0, None),
    ]


@pytest.mark.parametrize(
    ("step", "live", "behind", "ahead"),
    [
        (1, 9, {"public.s": (10, True)}, []),
        (1, 11, {}, ["public.s"]),
        (-1, 9, {}, ["public.s"]),
        (-1, 11, {"public.s": (10, True)}, []),
    ],
)
def test_a_sequence_that_is_behind_is_moved_and_one_ahead_is_left(step, live, behind, ahead):
    sequence = SEQUENCE | {"step": step}
    wanted = facts("public.book", sequences={"public.s": sequence})
    here = facts("public.book", sequences={"public.s": sequence | {"last_value": live}})
    moved = difference("sequences", "public.s", attribute="last_value")
    compared = sorted_([moved], wanted=wanted, live=here)
    assert (compared.behind, compared.ahead, compared.tables) == (behind, ahead, [])
    # With its table it comes by itself.
    compared = sorted_([moved, difference("contents", "public.book")], wanted=wanted, live=here)
    assert (compared.behind, compared.ahead) == ({}, [])


def test_the_schemas_of_former_tables_are_no_difference():
    ours = "pms_ops_before_20261130064354"
    found = [
        difference("schemas", ours),
        difference("contents", f"{ours}.book"),
        difference("comments", f"schema {ours}"),
        difference("contents", "chunk", of=f"{ours}.md"),
    ]
    compared = sorted_(found)
    assert compared.tables == [] and compared.others == []


def test_what_remains_is_of_the_exchanged_tables_or_came_since():
    both = facts("public.book", "public.fills")
    before = sorted_([difference("functions", "f", "old"), difference("contents", "public.book")])
    found = [
        difference("functions", "f", "old"),
        difference("functions", "g", "new"),
        difference("columns", "public.book.id"),
        difference("sequences", "s", attribute="last_value"),
        difference("continuous_aggregates", "a", attribute="hypertable_invalidations"),
    ]
    still, new = different_tables.remaining(found, before, before.tables, both, both)
    assert [each.name for each in still] == ["public.book.id"]
    assert [each.name for each in new] == ["g"]


@pytest.mark.parametrize(
    ("kind", "literal"),
    [
        ("bigint", "5::bigint"),
        ("timestamp with time zone", "'5+00'::timestamp with time zone"),
        ("date", "'5'::date"),
    ],
)
def test_the_end_of_a_range_is_of_the_type_of_its_column(kind, literal):
    assert chunk_exchange._literal("5", kind) == literal
