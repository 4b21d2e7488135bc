# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import copy

import pytest
from ansible.module_utils.pmsops.verify import differences, expected_changes


def left(wanted, found, *, set_major=17, major=17, schema=3, **options):
    """Return the lines of what stays different, and the notes; neither side is changed."""
    before = copy.deepcopy((wanted, found))
    here, there, notes = expected_changes.understood(
        wanted, found, set_major=set_major, major=major, schema=schema, **options
    )
    assert (wanted, found) == before
    return [each.text() for each in differences.facts(here, there)], notes


def constraints(**definitions):
    return {"constraints": {name: {"definition": text} for name, text in definitions.items()}}


def test_equal_facts_need_nothing_to_be_expected():
    facts = {"indexes": {"a.i": {"definition": "CREATE INDEX", "valid": True}}}
    assert left(facts, facts) == ([], [])


@pytest.mark.parametrize(
    ("set_major", "major", "text", "lines"),
    [
        (17, 18, "NOT NULL id", 0),
        (15, 17, "NOT NULL", 0),
        (18, 18, "NOT NULL id", 1),
        (17, 17, "NOT NULL", 1),
        (17, 18, "CHECK ((id > 0))", 1),
        (17, 18, "NOT NULL", 1),
    ],
)
def test_a_newer_server_names_each_not_null(set_major, major, text, lines):
    found = constraints(more=text)
    said, _ = left(constraints(), found, set_major=set_major, major=major)
    assert len(said) == lines


def column(**more):
    return {"columns": {"a.t.id": {"type": "integer", "not_null": True} | more}}


def test_the_name_of_a_not_null_counts_where_both_servers_have_it():
    named, other = {"name": "by_hand"}, {"name": "t_id_not_null"}
    assert left(column(), column(not_null_constraint=other), set_major=17, major=18) == ([], [])
    said, _ = left(
        column(not_null_constraint=named),
        column(not_null_constraint=other),
        set_major=18,
        major=18,
    )
    assert len(said) == 1
    said, _ = left(column(), column(type="text", not_null_constraint=other), major=18)
    assert said == ["columns: a.t.id has type 'text', not 'integer'"]


def tree(not_null, parents=("a.parent",)):
    return {
        "tables": {
            "a.parent": {"parents": None},
            "a.T": {"parents": list(parents)},
            "a.child": {"parents": ['a."T"']},
        },
        "columns": {
            "a.parent.id": {"not_null": True},
            "a.T.id": {"not_null": not_null},
            "a.child.id": {"not_null": not_null},
        },
    }


def test_a_child_below_a_not_null_cannot_accept_nulls():
    said, notes = left(tree(False), tree(True))
    assert said == []
    assert sorted(notes) == [
        "column a.T.id accepts nulls in the backup, and not in a restored copy",
        "column a.child.id accepts nulls in the backup, and not in a restored copy",
    ]
    assert len(left(tree(True), tree(False))[0]) == 2
    assert len(left(tree(False, parents=()), tree(True, parents=()))[0]) == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("joe=arwdDxt/joe", "joe=arwdDxtm/joe"),
        ("joe=a*r*w*d*D*x*t*/joe", "joe=a*r*w*d*D*x*t*m*/joe"),
        ('"a=b/c"=arwdDxt/joe', '"a=b/c"=arwdDxtm/joe'),
    ],
)
def test_all_privileges_are_one_more_since_17(before, after):
    wanted, found = ({"views": {"a.v": {"grants": [each]}}} for each in (before, after))
    assert left(wanted, found, set_major=15, major=17) == ([], [])
    assert len(left(wanted, found, set_major=17, major=18)[0]) == 1
    assert len(left(wanted, wanted, set_major=15, major=17)[0]) == 1


@pytest.mark.parametrize("entry", ["joe=arw/joe", "joe=arwdDx*t/joe", "joe=/joe"])
def test_some_privileges_stay_as_they_are(entry):
    facts = {"tables": {"a.t": {"grants": [entry]}}}
    assert left(facts, facts, set_major=15, major=18) == ([], [])


def test_what_a_later_version_adds_is_expected_to_be_as_before():
    wanted = {"publications": {"p": {"generated_columns": None}}}
    found = {"publications": {"p": {"generated_columns": "n"}}}
    assert left(wanted, found, set_major=17, major=18) == ([], [])
    assert len(left(wanted, {"publications": {"p": {"generated_columns": "s"}}}, major=18)[0]) == 1
    assert len(left(found, wanted, set_major=18, major=18)[0]) == 1


def test_an_invalid_index_is_left_out_and_one_of_a_partitioned_table_is_not():
    invalid = {"definition": "CREATE INDEX i ON a.t USING btree (x)", "valid": False}
    said, notes = left({"indexes": {"a.i": invalid}}, {"indexes": {}})
    assert said == []
    assert notes[0].startswith("indexes: a.i is invalid")
    parted = invalid | {"definition": "CREATE INDEX i ON ONLY a.t USING btree (x)"}
    assert left({"indexes": {"a.i": parted}}, {"indexes": {}}) == (
        ["indexes: a.i is missing"],
        [],
    )
    valid = {"indexes": {"a.i": invalid | {"valid": True}}}
    assert len(left({"indexes": {"a.i": invalid}}, valid)[0]) == 1
    assert len(left(valid, {"indexes": {}})[0]) == 1


PARTED = {
    "tables": {
        "a.P": {"partition_bound": None, "parents": None},
        "a.p1": {"partition_bound": "FOR VALUES IN (1)", "parents": ['a."P"']},
        "a.plain": {"partition_bound": None, "parents": None},
    }
}


def test_keys_that_the_server_derives_are_not_compared_by_name_for_old_sets():
    whole = {"fk": 'FOREIGN KEY (x) REFERENCES a."P"(id)'}
    wanted = constraints(**whole, fk1="FOREIGN KEY (x) REFERENCES a.p1(id)") | PARTED
    found = constraints(**whole, fk7="FOREIGN KEY (x) REFERENCES a.p1(id)") | PARTED
    assert left(wanted, found, schema=2) == ([], [])
    assert len(left(wanted, found, schema=3)[0]) == 2
    own = constraints(**whole, fk1="FOREIGN KEY (y) REFERENCES a.p1(id)") | PARTED
    assert len(left(own, constraints(**whole) | PARTED, schema=2)[0]) == 1
    plain = constraints(**whole, fk1="FOREIGN KEY (x) REFERENCES a.plain(id)") | PARTED
    assert len(left(plain, constraints(**whole) | PARTED, schema=2)[0]) == 1


def members(definition, extension="pg_trgm"):
    return {"extension_objects": {"function f()": {"extension": extension, "d": definition}}}


def test_objects_of_an_extension_are_compared_where_its_version_is_the_same():
    assert left(members(1), members(2), other_versions=["pg_trgm"]) == ([], [])
    assert left(members(1), members(2), set_major=15, major=17) == ([], [])
    assert len(left(members(1), members(2), other_versions=["citext"])[0]) == 1


def test_a_changed_object_of_an_extension_is_a_note_in_a_restored_copy_only():
    assert len(left(members(1), members(2))[0]) == 1
    said, notes = left(members(1), members(2), restored=True)
    assert said == []
    assert notes[0].startswith("function f() of extension pg_trgm was changed")


def test_a_member_made_or_taken_out_by_hand_is_told_of_a_restored_copy():
    """pg_dump passes over members of extensions, so a set with one could never be restored."""
    none = {"extension_objects": {}}
    assert len(left(members(1), none)[0]) == len(left(none, members(1))[0]) == 1
    said, notes = left(members(1), none, restored=True)
    assert (said, len(notes)) == ([], 1)
    assert "made by hand" in notes[0]
    said, notes = left(none, members(1), restored=True)
    assert (said, len(notes)) == ([], 1)
    assert "has it again" in notes[0]


def test_an_extension_of_another_version_is_one_difference_and_not_hundreds():
    def of(version, definition):
        return {"extensions": {"pg_trgm": {"version": version}}} | members(definition)

    said, _ = left(of("1.6", 1), of("1.7", 2))
    assert said == ["extensions: pg_trgm has version '1.7', not '1.6'"]
    said, _ = left(of("1.6", 1), {"extensions": {}, "extension_objects": {}})
    assert said == ["extensions: pg_trgm is missing"]
