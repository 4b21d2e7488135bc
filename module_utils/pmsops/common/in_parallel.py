# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The same work for many items, on several threads.

A future of its own for each of 20,000 files takes 30 MB, so a thread gets items in runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

RUN = 64


def each(work: Callable[[Item], Result], items: Sequence[Item], threads: int) -> Iterator[Result]:
    """Yield what *work* returns for each item, in their order."""
    runs = [items[first : first + RUN] for first in range(0, len(items), RUN)]
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for results in pool.map(lambda run: [work(item) for item in run], runs):
            yield from results
