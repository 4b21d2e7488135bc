"""What a record says nothing about is written into it."""

from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.evidence import not_covered

PARTS = {*not_covered.PARTS.values()}


def lines(kind, record, known=()):
    return not_covered.lines(kind, record, known)


@pytest.mark.parametrize("kind", ["drill", "proof", "restore", "rollback"])
def test_a_proof_of_the_database_covers_no_part_beside_it(kind):
    assert {each.partition(":")[0] for each in lines(kind, {"set": "s"})} == PARTS


def test_a_backup_covers_the_parts_that_it_took():
    taken = ["redis: NOT TAKEN, it gave no answer", "grafana: 12 files of 2026-11-23T06:00:01Z"]
    found = lines("backup", {"set": "s", "parts": taken})
    assert "Redis: not in the set" in found
    assert "Grafana's files: not in the set" not in found
    assert len(found) == 3


def test_another_database_is_a_part_by_its_own_name():
    """A set that has Dagster's database said that it has no other database."""
    taken = ["dagster: set 2026-11-23_0600 of database dagster_storage, of 2026-11-23T06:00:01Z"]
    made = lines("backup", {"set": "s", "parts": taken})
    assert not any("other databases" in each for each in made)
    restored = lines("restore", {"set": "s", "parts": ["dagster", "redis"]})
    assert not any("other databases" in each for each in restored)


def test_a_restore_of_parts_does_not_cover_the_database():
    found = lines("restore", {"set": "s", "parts": ["redis"]})
    assert found[0] == "the database: not restored"
    assert "Redis: not restored" not in found


def test_a_restore_of_tables_does_not_cover_the_others():
    assert lines("restore", {"tables": ["public.a"]})[0] == "other tables: not restored"
    # A whole server has a number of tables.
    assert lines("restore", {"tables": 47})[0] != "other tables: not restored"


def test_a_gate_names_the_checks_that_could_not_look():
    results = [{"id": "a", "status": "pass"}, {"id": "b", "status": "unknown"}]
    found = lines("gate", {"partial": True, "results": results}, ["grafana: not here"])
    assert found == [
        "grafana: not here",
        "sections or checks that were left out",
        "checks without an answer: b",
    ]
