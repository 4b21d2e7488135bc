# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lines about differences: each cause first, with the others that follow from it as a number.

A dropped continuous aggregate differs in its view, its hypertable, chunks, indexes, triggers, jobs
and rows: one cause, and a hundred lines of which none says it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ansible.module_utils.pmsops.verify.differences import SHOWN_PER_KIND, Difference

# Kinds of objects that take others along, those above before those below.
ROOTS = ("extensions", "schemas", "continuous_aggregates", "hypertables", "tables", "views")
# Where the facts of an object name what it belongs to, and what belongs to it.
_BELONGS = ("hypertable", "table", "of", "parents", "materialization", "view", "extension")
_OWNS = {"continuous_aggregates": ("materialization", "view")}


def lines(differences: Iterable[Difference], *, shown: int = SHOWN_PER_KIND) -> list[str]:
    """Return a line for each difference, causes first, at most *shown* of a kind; count the others.

    What a missing or new object takes along is counted in its line.
    """
    causes, others = folded(list(differences))
    result = _limited(((each.kind, f"{each.text()}{_with(of)}") for each, of in causes), shown)
    ordered = sorted(others, key=lambda each: each.kind)
    return result + _limited(((each.kind, each.text()) for each in ordered), shown)


def folded(
    differences: list[Difference],
) -> tuple[list[tuple[Difference, list[Difference]]], list[Difference]]:
    """Return the causes, each with what follows from it, and the differences that have none."""
    left = list(differences)
    causes = []
    for kind in ROOTS:
        for cause in [each for each in left if each.kind == kind and each.whole]:
            if cause not in left:
                continue  # it follows from another one of its kind
            names = _names(cause)
            of = [each for each in left if each is not cause and _follows(each, cause, names)]
            if of:
                causes.append((cause, of))
                gone = {id(each) for each in (cause, *of)}
                left = [each for each in left if id(each) not in gone]
    return causes, left


def _names(cause: Difference) -> set[str]:
    owned = (cause.facts.get(key) for key in _OWNS.get(cause.kind, ()))
    return {cause.name, *(str(each) for each in owned if each)}


def _follows(each: Difference, cause: Difference, names: set[str]) -> bool:
    """Tell whether an object came or went with the object of the cause, by the names in it."""
    if not each.whole or each.way != cause.way:
        return False
    if each.of in names or each.name in names:
        return True
    if cause.kind == "schemas" and each.name.startswith(f"{cause.name}."):
        return True
    if any(each.name.startswith((f"{name}.", f"{name} ")) for name in names):
        return True
    return bool(names & set(_belongs(each)))


def _belongs(each: Difference) -> Iterator[str]:
    for key in _BELONGS:
        value = each.facts.get(key)
        yield from value if isinstance(value, list) else [value] if value else []


def _with(of: list[Difference]) -> str:
    counts = Counter(each.kind for each in of)
    return f" (with it: {', '.join(f'{kind} {n}' for kind, n in sorted(counts.items()))})"


def _limited(found: Iterable[tuple[str, str]], shown: int) -> list[str]:
    by_kind: dict[str, list[str]] = {}
    for kind, text in found:
        by_kind.setdefault(kind, []).append(text)
    result = []
    for kind, texts in by_kind.items():
        result += texts[:shown]
        if len(texts) > shown:
            result.append(f"{kind}: and {len(texts) - shown} more")
    return result
