# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which table the negative control changes: fair over runs, and cheap."""

from __future__ import annotations

import random
from collections import Counter

from ansible.module_utils.pmsops.postgresql.fingerprint import FORMULA, Relation
from ansible.module_utils.pmsops.postgresql.timescaledb_chunks import Chunk
from ansible.module_utils.pmsops.verify import changed_row, negative_control
from ansible.module_utils.pmsops.verify.row_comparison import OfFingerprints

TRIES = 2000


def relation(name, *, chunk=None, extension=None):
    return Relation("public", name, extension, "", 8192, (), (), chunk=chunk)


def compared(rows):
    """Return a comparison of relations, each with its number of rows."""
    found = {each.key: {"rows": count, "fingerprint": "0"} for each, count in rows.items()}
    return OfFingerprints(found, found, list(rows), FORMULA, {})


def chosen(rows, wrong=()):
    """Return how often each relation comes first."""
    several = compared(rows)
    return Counter(
        next(negative_control._candidates(several, random.Random(seed), set(wrong))).key
        for seed in range(TRIES)
    )


def test_each_table_has_the_same_chance_whatever_the_number_of_its_chunks():
    chunks = {
        relation(f"chunk_{n}", chunk=Chunk(n, "public.md", f"{n}", f"{n + 1}")): 100
        for n in range(90)
    }
    plain = {relation(name): 10 for name in ("fund", "position", "limits")}
    found = chosen(chunks | plain)
    assert set(found) == {each.key for each in chunks | plain}
    for name in ("public.fund", "public.position", "public.limits"):
        assert 0.2 < found[name] / TRIES < 0.3
    assert 0.2 < sum(n for key, n in found.items() if "md" in key) / TRIES < 0.3


def test_empty_tables_and_those_of_extensions_and_known_differences_are_never_chosen():
    rows = {
        relation("empty"): 0,
        relation("fund"): 5,
        relation("of_extension", extension="cron"): 5,
        relation("differs"): 5,
    }
    assert set(chosen(rows, wrong=["public.differs"])) == {"public.fund"}


def test_a_large_table_has_its_turn_only_where_no_small_one_takes_a_change():
    rows = {relation("large"): 5_000_000, relation("larger"): 6_000_000, relation("small"): 9_000}
    order = [
        each.key for each in negative_control._candidates(compared(rows), random.Random(1), set())
    ]
    assert order == ["public.small", "public.large", "public.larger"]


def test_a_table_is_small_by_its_share_of_a_large_database():
    rows = {relation("large"): 50_000_000, relation("middle"): 200_000}
    assert set(chosen(rows)) == {"public.middle"}


def test_the_first_formula_of_fingerprints_promises_no_swapped_pair():
    several = compared({relation("fund"): 5})
    first = OfFingerprints(several.wanted, several.found, several.relations, 1, {})
    assert changed_row.SWAPPED in several.kinds
    assert set(several.kinds) - set(first.kinds) == {changed_row.SWAPPED}


def test_a_control_that_changed_nothing_says_so_and_breaks_nothing():
    control = negative_control.Control(1)
    for outcome, said in (("nothing to change", "empty"), ("not possible", "not possible")):
        control.record = {"outcome": outcome, "refused": []}
        control.require_found()
        assert said in control.warnings()[0]
    control.record = {"outcome": "found"}
    assert control.warnings() == []
