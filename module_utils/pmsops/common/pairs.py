# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pairs of values, as newer Pythons than a managed host's make them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")
_NONE: Any = object()


def together(first: Iterable[A], second: Iterable[B]) -> Iterator[tuple[A, B]]:
    """Yield one of each at a time, as ``zip(strict=True)`` does since Python 3.10.

    :raises ValueError: after the last pair, when one has more than the other.
    """
    for one, other in zip_longest(first, second, fillvalue=_NONE):
        if one is _NONE or other is _NONE:
            raise ValueError(f"the {'first' if one is _NONE else 'second'} ends before the other")
        yield one, other


def neighbours(values: Sequence[A]) -> Iterator[tuple[A, A]]:
    """Return each value with the next one, as ``itertools.pairwise`` does since Python 3.10."""
    return zip(values, values[1:])
