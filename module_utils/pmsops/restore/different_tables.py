# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which tables of the live database differ from a set, and how each of them is brought back.

A plain table is brought as a whole. A hypertable whose definition is that of the set is brought by
the chunks that differ, so what belongs to its number (jobs, aggregates, compression) stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.pmsops.restore import former_tables
from ansible.module_utils.pmsops.restore.table_definitions import TableName
from ansible.module_utils.pmsops.verify.differences import Difference, Facts

Contents = Mapping[str, Mapping[str, Any]]
# Kinds whose objects are named schema.table.object.
_BELOW_TABLES = ("columns", "constraints", "triggers", "rules", "policies")
# How the definition of an object names its table.
_TABLE_IN = {
    "indexes": re.compile(r" ON (?:ONLY )?(.+?) USING "),
    "statistics_objects": re.compile(r" FROM (.+)$"),
}
# How a comment names what it is on: a table, a part of one.
_COMMENT = re.compile(r"(?:^table |^column (?=.+\.)| on (?:table )?)(?P<table>.+)$")
_VALUES = ("last_value", "is_called")
# What an exchange of chunks adds to the facts: the next refresh makes these parts anew.
_OF_REFRESH = ("hypertable_invalidations", "invalidations")


@dataclass
class DifferentTable:
    """A table that differs: by its chunks if it has *chunks*, else as a whole."""

    name: str
    rows: int | None
    rows_in_set: int | None
    chunks: list[str] = field(default_factory=list)
    whole: bool = False
    what: list[str] = field(default_factory=list)

    @property
    def parts(self) -> TableName:
        """Return schema and name."""
        schema, _dot, name = self.name.partition(".")
        return schema, name

    def text(self) -> str:
        """Return the table for people, with the rows of both sides."""
        live = "missing" if self.rows is None else f"{self.rows} rows"
        there = "not in the set" if self.rows_in_set is None else f"{self.rows_in_set} in the set"
        by = f", {len(self.chunks)} chunks" if self.chunks and not self.whole else ""
        return f"{self.name}: {live}, {there}{by} ({'; '.join(self.what[:3])})"


@dataclass
class Compared:
    """What a comparison found: the tables that differ, and what differs and is no table."""

    tables: list[DifferentTable] = field(default_factory=list)
    others: list[Difference] = field(default_factory=list)
    # Sequences that are behind those of the set, with the value there; those ahead are harmless.
    behind: dict[str, tuple[int, bool]] = field(default_factory=dict)
    ahead: list[str] = field(default_factory=list)

    def left(self) -> list[str]:
        """Return what stays as it is, a line each."""
        return [each.text() for each in self.others]


def sort(
    found: Iterable[Difference],
    wanted_facts: Facts,
    found_facts: Facts,
    wanted: Contents,
    contents: Contents,
) -> Compared:
    """Sort the differences of a database by the table that each belongs to."""
    result, tables = Compared(), _Tables(wanted_facts, found_facts)
    named: dict[str, DifferentTable] = {}
    for each in found:
        if is_ours(each):
            continue
        if each.kind == "sequences" and each.attribute in _VALUES:
            _sequence(result, each.name, wanted_facts, found_facts)
            continue
        table = tables.of(each)
        if table is None:
            result.others.append(each)
            continue
        if table not in named:
            named[table] = DifferentTable(
                table,
                tables.rows(table, contents) if table in tables.live else None,
                tables.rows(table, wanted) if table in tables.in_set else None,
            )
        one = named[table]
        if each.kind in ("contents", "chunks") and tables.is_hypertable(table):
            one.chunks += [] if each.name in one.chunks else [each.name]
        elif not (each.kind == "hypertables" and each.attribute == "chunks"):
            one.whole = True
        one.what.append(each.text().replace(f"{table} ", "", 1))
    for one in named.values():
        one.whole |= not one.chunks
    # The sequences of a table that is exchanged come with it.
    whole = {one.name for one in named.values() if one.whole}
    owned = {n for n in result.behind if tables.owner(n) in whole}
    result.behind = {n: value for n, value in result.behind.items() if n not in owned}
    result.ahead = [n for n in result.ahead if tables.owner(n) not in whole]
    result.tables = sorted(named.values(), key=lambda one: one.name)
    return result


def is_ours(each: Difference) -> bool:
    """Tell whether a difference is of a schema in which the toolkit keeps former tables."""
    return any(former_tables.NAME.search(name) for name in (each.name, each.of))


def remaining(
    found: Iterable[Difference],
    before: Compared,
    exchanged: Iterable[DifferentTable],
    wanted_facts: Facts,
    found_facts: Facts,
) -> tuple[list[Difference], list[Difference]]:
    """Return what still differs in the exchanged tables, and what else does that did not before."""
    tables = _Tables(wanted_facts, found_facts)
    names = {each.name for each in exchanged}
    left = {each.name for each in before.tables} - names
    known = {(each.kind, each.name, each.what) for each in before.others}
    still: list[Difference] = []
    new: list[Difference] = []
    for each in found:
        if is_ours(each) or (each.kind, each.name, each.what) in known:
            continue
        if each.kind == "sequences" and each.attribute in _VALUES:
            continue
        if each.kind == "continuous_aggregates" and each.attribute in _OF_REFRESH:
            continue
        if (table := tables.of(each)) not in left:
            (still if table in names else new).append(each)
    return still, new


def _sequence(result: Compared, name: str, wanted: Facts, found: Facts) -> None:
    there, here = wanted["sequences"][name], found["sequences"][name]
    sign = 1 if int(there["step"]) > 0 else -1
    at = [(sign * side["last_value"], side["is_called"]) for side in (here, there)]
    if at[0] < at[1]:
        result.behind[name] = (there["last_value"], there["is_called"])
    elif name not in result.ahead:
        result.ahead.append(name)


class _Tables:
    """The tables of both sides, and the one that an object belongs to."""

    def __init__(self, wanted: Facts, found: Facts) -> None:
        self._facts = (wanted, found)
        self.in_set, self.live = (
            {n for n, has in side["tables"].items() if has["kind"] != "f"} | set(_stored(side))
            for side in self._facts
        )
        self._known = {_plain(name): name for name in self.in_set | self.live}

    def is_hypertable(self, name: str) -> bool:
        """Tell whether a table is a hypertable on both sides."""
        return all(name in side["hypertables"] or name in _stored(side) for side in self._facts)

    def of(self, each: Difference) -> str | None:
        """Return the table that a difference belongs to; None if it is no table's."""
        if each.kind in ("contents", "chunks"):
            name = each.of or each.name.partition(" [")[0]
            return self._root(each.name if each.name in self._known.values() else name)
        if each.kind in ("tables", "hypertables"):
            return self._root(each.name)
        if each.kind in _BELOW_TABLES:
            return self._root(each.name.rpartition(".")[0])
        if each.kind == "sequences":
            return self.owner(each.name)
        if each.kind == "comments" and (match := _COMMENT.search(each.name)):
            named = match["table"]
            return self._root(named) or self._root(named.rpartition(".")[0])
        if each.kind in _TABLE_IN:
            definition = str(self._fact(each.kind, each.name).get("definition") or "")
            match = _TABLE_IN[each.kind].search(definition)
            return self._root(match[1]) if match else None
        return None

    def owner(self, sequence: str) -> str | None:
        """Return the table that owns a sequence."""
        owned = str(self._fact("sequences", sequence).get("owned_by") or "")
        return self._root(owned.rpartition(".")[0]) if owned else None

    def rows(self, table: str, contents: Contents) -> int:
        """Return the rows of a table with its chunks or partitions."""
        return sum(
            has["rows"]
            for key, has in contents.items()
            if (has.get("of") or self._root(key)) == table
        )

    def _fact(self, kind: str, name: str) -> Mapping[str, Any]:
        return next((side[kind][name] for side in self._facts if name in side.get(kind, {})), {})

    def _root(self, name: str) -> str | None:
        """Return the table itself, or the one that it is a partition of."""
        known = self._known.get(_plain(name))
        if known is None:
            return None
        has = self._fact("tables", known)
        if has.get("partition_bound") and has.get("parents"):
            return self._root(has["parents"][0])
        return known


def _stored(side: Facts) -> list[str]:
    """Return the hypertables in which continuous aggregates keep their rows."""
    aggregates = side.get("continuous_aggregates", {}).values()
    return [each["materialization"] for each in aggregates if each.get("materialization")]


def _plain(name: str) -> str:
    return name.replace('"', "")
