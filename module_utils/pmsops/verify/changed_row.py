# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One change in one row of a table, in a transaction that the caller rolls back."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from ansible.module_utils.pmsops.common.pairs import together
from ansible.module_utils.pmsops.postgresql.connection import fetch_all
from ansible.module_utils.pmsops.verify.sampled_rows import (
    FLOATS,
    STRINGS,
    VALUE,
    Column,
    Refused,
    Sample,
    refusals,
)

FLIPPED, SWAPPED, EMPTIED = "flipped float bit", "swapped pair", "emptied string"
DELETED, DUPLICATED = "deleted row", "duplicated row"
KINDS = (FLIPPED, SWAPPED, EMPTIED, DELETED, DUPLICATED)
COUNTED = (DELETED, DUPLICATED)
# Statements of a kind that the table may refuse (a key, a constraint) before another kind's turn.
ATTEMPTS = 3


@dataclass(frozen=True)
class Change:
    """What was changed."""

    kind: str
    column_type: str | None = None


def make(sample: Sample, kind: str, choice: random.Random) -> Change:
    """Make one change of a kind.

    :raises Refused: if the table has no such value, or takes no such change
    """
    way: Callable[[Sample, random.Random], Change] = {
        FLIPPED: _flip,
        SWAPPED: _swap,
        EMPTIED: _empty,
        DELETED: _delete,
        DUPLICATED: _duplicate,
    }[kind]
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            with refusals(sample.cursor):
                return way(sample, choice)
        except Refused as exc:
            reason = str(exc)
    raise Refused(reason)


def _flip(sample: Sample, choice: random.Random) -> Change:
    """Change one bit of the mantissa of a finite number."""
    columns = sample.of_types(FLOATS)
    several = [
        (row, column, value)
        for row in sample.rows
        for column, value in together(columns, row.floats)
        if value is not None and math.isfinite(_number(column, value))
    ]
    row, column, value = _one_of(several, choice, "it has no finite float")
    send, _form, bits = FLOATS[column.type]
    bit = choice.randrange(bits)
    raw = bytearray.fromhex(value)
    raw[-1 - bit // 8] ^= 1 << bit % 8
    where, values = sample.where(row)
    _execute(
        sample,
        f"UPDATE {sample.place} SET {column.sql} = {VALUE} WHERE {where}"
        f" RETURNING pg_catalog.encode(pg_catalog.{send}({column.sql}), 'hex')",
        (repr(_number(column, raw.hex())), *values),
        [(raw.hex(),)],
    )
    return Change(FLIPPED, column.type)


def _swap(sample: Sample, choice: random.Random) -> Change:
    """Give two rows each other's value of a column; the rows differ otherwise too."""
    numbers = range(len(sample.columns))
    pairs = [
        (number, a, b)
        for number in numbers
        for a, b in combinations(sample.rows, 2)
        if a.digests[number] != b.digests[number]
        and any(a.digests[each] != b.digests[each] for each in numbers if each != number)
    ]
    number, a, b = _one_of(pairs, choice, "no two rows differ in a value and otherwise")
    column = sample.columns[number]
    (of_a, values_a), (of_b, values_b) = sample.where(a), sample.where(b)
    value_of = f"SELECT {column.sql} FROM {sample.place} WHERE"
    _execute(
        sample,
        f"UPDATE {sample.place} SET {column.sql} = CASE WHEN {of_a} THEN ({value_of} {of_b})"
        f" ELSE ({value_of} {of_a}) END WHERE {of_a} OR {of_b} RETURNING 1",
        (*values_a, *values_b, *values_a, *values_a, *values_b),
        [(1,), (1,)],
    )
    return Change(SWAPPED, column.type)


def _empty(sample: Sample, choice: random.Random) -> Change:
    columns = sample.of_types(STRINGS)
    several = [
        (row, column)
        for row in sample.rows
        for column, filled in together(columns, row.filled)
        if filled
    ]
    row, column = _one_of(several, choice, "it has no string that is not empty")
    where, values = sample.where(row)
    _execute(
        sample,
        f"UPDATE {sample.place} SET {column.sql} = '' WHERE {where}"
        f" RETURNING pg_catalog.length({column.sql}::text)",
        values,
        [(0,)],
    )
    return Change(EMPTIED, column.type)


def _delete(sample: Sample, choice: random.Random) -> Change:
    where, values = sample.where(choice.choice(sample.rows))
    _execute(sample, f"DELETE FROM {sample.place} WHERE {where} RETURNING 1", values, [(1,)])
    return Change(DELETED)


def _duplicate(sample: Sample, choice: random.Random) -> Change:
    where, values = sample.where(choice.choice(sample.rows))
    names = ", ".join(each.sql for each in sample.columns)
    _execute(
        sample,
        f"INSERT INTO {sample.target} ({names}) OVERRIDING SYSTEM VALUE"
        f" SELECT {names} FROM {sample.place} WHERE {where} RETURNING 1",
        values,
        [(1,)],
    )
    return Change(DUPLICATED)


def _one_of(several: list[Any], choice: random.Random, otherwise: str) -> Any:
    if not several:
        raise Refused(otherwise)
    return choice.choice(several)


def _execute(
    sample: Sample, sql: str, values: tuple[Any, ...], expected: list[tuple[Any, ...]]
) -> None:
    """Run a statement that has to return what is *expected* of a change that was made."""
    text = sql.replace("%", "%%").replace(VALUE, "%s")
    if fetch_all(sample.cursor, text, values) != expected:
        raise Refused("the change did not stay")


def _number(column: Column, value: str) -> float:
    (found,) = struct.unpack(FLOATS[column.type][1], bytes.fromhex(value))
    return float(found)
