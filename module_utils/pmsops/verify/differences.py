# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The differences between a manifest and a database, each by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SHOWN_PER_KIND = 10
GONE, NEW = "is missing", "is not in the backup"
# Kind, name, attribute: as catalog.facts gives them.
Facts = dict[str, dict[str, dict[str, Any]]]
# Lists without an order. Sets of schema 1 and 2 have them in that of the database's collation, or
# of the server's OIDs.
UNORDERED = ("grants", "roles", "tables")
# How the names of chunks begin where nobody chose it: the number of the hypertable.
NUMBERED_PREFIX = re.compile(r"_hyper_\d+")


@dataclass(frozen=True)
class Difference:
    """One deviation from the manifest."""

    kind: str
    name: str
    what: str
    # The table of a chunk or partition: operators do not know chunks by name.
    of: str = ""
    # The attribute that differs; empty where the object as a whole does.
    attribute: str = ""
    # Of an object that came or went: its facts.
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def way(self) -> str:
        """Return whether the object came or went as a whole, by the words for it; else nothing."""
        return next((way for way in (GONE, NEW) if self.what.startswith(way)), "")

    @property
    def whole(self) -> bool:
        """Tell whether an object, or the rows of a table, came or went as a whole."""
        return bool(self.way)

    @property
    def table(self) -> str:
        """Return the table whose rows differ; the object's name where no rows do."""
        return self.of or self.name

    def text(self) -> str:
        """Return the difference as a line for people."""
        # A chunk of the sets of today has its table in its name.
        named = not self.of or self.name.startswith(f"{self.of} [")
        name = self.name if named else f"{self.name} (of {self.of})"
        job = ""
        if self.kind == "jobs" and self.facts.get("procedure"):  # its number says nothing
            job = f" (it runs {self.facts['procedure']} each {self.facts.get('every')})"
        return f"{self.kind}: {name} {self.what}{job}"


def narrowed(found: Facts, wanted: Facts) -> Facts:
    """Return of *found* the kinds and attributes that *wanted* has: the facts of an older schema.

    A kind without a single object names no attributes; then all of them stay.
    """
    result: Facts = {}
    for kind in wanted:
        named = {attribute for facts in wanted[kind].values() for attribute in facts}
        result[kind] = {
            name: {each: facts[each] for each in facts if each in named or not named}
            for name, facts in found.get(kind, {}).items()
        }
    return result


def facts(wanted: Facts, found: Facts) -> list[Difference]:
    """Return the differences between two sets of facts, as catalog.facts gives them."""
    differences = []
    for kind in sorted(set(wanted) | set(found)):
        here, there = wanted.get(kind, {}), found.get(kind, {})
        differences += [
            Difference(kind, name, GONE, facts=here[name])
            for name in sorted(set(here) - set(there))
        ]
        differences += [
            Difference(kind, name, NEW, facts=there[name])
            for name in sorted(set(there) - set(here))
        ]
        for name in sorted(set(here) & set(there)):
            differences += _attributes(kind, name, here[name], there[name])
    return differences


def of_contents(
    wanted: dict[str, dict[str, Any]],
    found: dict[str, dict[str, Any]],
    parents: Mapping[str, str] | None = None,
    notes: list[str] | None = None,
) -> list[Difference]:
    """Return the tables whose rows differ from the manifest.

    *parents* gives the table of each chunk or partition. *notes* gets a line for each table of
    which only generated columns differ: no dump has them, and a restore computes them anew.
    """
    differences = []
    for name in sorted(set(wanted) | set(found)):
        if name not in found:
            what = GONE
        elif name not in wanted:
            what = f"{NEW} ({found[name]['rows']} rows)"
        elif wanted[name]["rows"] != found[name]["rows"]:
            what = f"has {found[name]['rows']} rows, not {wanted[name]['rows']}"
        elif wanted[name]["fingerprint"] == found[name]["fingerprint"]:
            continue
        elif _generated_alone(wanted[name], found[name]):
            if notes is not None:
                notes.append(
                    f"{name}: generated column {', '.join(wanted[name]['generated'])} has other"
                    " values than in the backup, since its expression gives others now"
                )
            continue
        else:
            what = "has rows with other values"
        table = (wanted.get(name) or found[name]).get("of", "")
        differences.append(
            Difference("contents", name, what, table or (parents or {}).get(name, ""))
        )
    return differences


def of_counts(
    wanted: Mapping[tuple[str, str], int], found: Mapping[tuple[str, str], int]
) -> list[Difference]:
    """Return the tables, by schema and name, whose number of rows is not that of a dump."""
    return [
        Difference("contents", ".".join(name), f"has {found[name]} rows, the dump {wanted[name]}")
        for name in sorted(found)
        if found[name] != wanted[name]
    ]


def _generated_alone(wanted: dict[str, Any], found: dict[str, Any]) -> bool:
    """Return whether rows are equal but for the generated columns that both sides name."""
    keys = ("generated", "others")
    return "others" in wanted and all(wanted[key] == found.get(key) for key in keys)


def _attributes(
    kind: str, name: str, here: dict[str, Any], there: dict[str, Any]
) -> list[Difference]:
    return [
        Difference(
            kind,
            name,
            f"has {attribute} {there.get(attribute)!r}, not {here.get(attribute)!r}",
            attribute=attribute,
        )
        for attribute in sorted(set(here) | set(there))
        if _comparable(attribute, here.get(attribute))
        != _comparable(attribute, there.get(attribute))
    ]


def _comparable(attribute: str, value: Any) -> Any:
    """Return a value without what means nothing: the order of some lists, a hypertable's number.

    A hypertable that was brought alone has another number than in the set.
    """
    if attribute in UNORDERED and isinstance(value, list):
        return sorted(value)
    if attribute == "chunk_prefix" and NUMBERED_PREFIX.fullmatch(str(value)):
        return None
    return value
