# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The statements that read facts, as text: an order that is none makes false alarms."""

from __future__ import annotations

import re

import pytest
from ansible.module_utils.pmsops.postgresql import catalog, coverage
from ansible.module_utils.pmsops.postgresql.expressions import EXPRESSIONS
from ansible.module_utils.pmsops.postgresql.not_restored import RULES, not_restored

from tests.conftest import PROJECT

SOURCES = sorted((PROJECT / "module_utils" / "pmsops").rglob("*.py"))
_CALL = re.compile(r"(?:array|string|jsonb|json)_agg\(")


def aggregates(text: str) -> list[str]:
    """Return what is between the parentheses of each call that makes a list."""
    found = []
    for call in _CALL.finditer(text):
        depth, end = 1, call.end()
        while depth and end < len(text):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        found.append(text[call.end() : end - 1])
    return found


@pytest.mark.parametrize("kind", catalog.STATEMENTS)
def test_each_list_among_the_facts_has_an_order(kind):
    one_element_at_most = "p.inhparent"  # an index has one parent
    assert [
        each
        for each in aggregates(catalog.STATEMENTS[kind])
        if "ORDER BY" not in each and "DISTINCT" not in each and one_element_at_most not in each
    ] == []


def test_no_aggregate_orders_by_a_number():
    """ORDER BY 1 in an aggregate orders by the number one, which is no order."""
    assert len(SOURCES) > 400
    found = [
        f"{path.stem}: {each}"
        for path in SOURCES
        for each in aggregates(path.read_text(encoding="utf-8"))
        if re.search(r"ORDER BY\s+\d", each)
    ]
    assert found == []


def test_a_kind_that_rules_and_expressions_name_is_read():
    kinds = set(coverage.KINDS)
    assert {rule.kind for rule in RULES} <= kinds
    assert {*EXPRESSIONS} <= kinds
    attributes = coverage.attributes()
    for kind, names in EXPRESSIONS.items():
        assert {*names} <= {*attributes[kind]}


def test_many_lost_objects_are_counted():
    facts = {"system_objects": {f"function pg_catalog.f{n}()": {} for n in range(25)}}
    lines = not_restored(facts)
    assert len(lines) == 21
    assert lines[-1] == "system_objects: and 5 more"


def test_a_faithful_database_loses_nothing():
    facts = {
        "indexes": {
            "public.a": {"valid": True, "definition": "CREATE INDEX a ON public.t (b)"},
            "public.b": {"valid": False, "definition": "CREATE INDEX b ON ONLY public.t (b)"},
        },
        "constraints": {"public.t.c": {"not_enforced_by": None}},
        "extensions": {"hstore": {"owner": None}},
        "types": {"public.t": {"row_type": False}},
        "system_grants": {"table pg_catalog.pg_authid": {"restorable": True}},
        "user_mappings": {"PUBLIC on far": {"options": None}},
    }
    assert not_restored(facts) == []
