# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A list that was ordered by a constant was in the order of creation: issue 18, A1."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.conftest import PROJECT

SOURCES = sorted((PROJECT / "module_utils/pmsops").rglob("*.py"))
FACTS = [path for path in SOURCES if re.search(r"facts(_\w+)?\.py$", path.name)]
# Objects of jsonb have no order, and DISTINCT sorts.
LIST = re.compile(r"\b(?:array|string|jsonb|json)_agg\((?!\s*DISTINCT)")
CONSTANT = re.compile(r"ORDER BY (?:\d+\b|'|NULL)")


def aggregates(text: str) -> Iterator[str]:
    """Yield what stands in the parentheses of each list, without parentheses further inside."""
    for match in LIST.finditer(text):
        depth, own = 1, []
        for each in text[match.end() :]:
            depth += (each == "(") - (each == ")")
            if not depth:
                break
            own += each if depth == 1 else ""
        yield "".join(own)


def test_the_lists_are_found():
    text = "SELECT array_agg(f(a) ORDER BY g(1), a), jsonb_agg(x ORDER BY 1), array_agg(DISTINCT y)"
    assert list(aggregates(text)) == ["f) ORDER BY g), a", "x ORDER BY 1"]
    assert sum(1 for path in FACTS for _ in aggregates(path.read_text())) > 20


def test_no_list_is_ordered_by_a_constant():
    assert len(SOURCES) > 400
    found = [
        f"{path.stem}: {each}"
        for path in SOURCES
        for each in aggregates(path.read_text())
        if CONSTANT.search(each)
    ]
    assert found == []


@pytest.mark.parametrize("path", FACTS, ids=lambda path: path.stem)
def test_every_list_of_the_facts_has_an_order(path):
    assert [each for each in aggregates(path.read_text()) if "ORDER BY" not in each] == []
