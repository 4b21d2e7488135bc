# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""JSON of large documents without a second copy of them in memory.

A manifest has some kilobytes for each chunk of a database. As one text, encoded, it takes three
times that, so it is written, hashed and signed object by object.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

DEPTH = 3  # of a manifest and of facts: by kind, then by name, is an object


def pieces(
    value: Any,
    depth: int = DEPTH,
    *,
    ensure_ascii: bool = True,
    separators: tuple[str, str] = (", ", ": "),
    default: Callable[[Any], Any] | None = None,
) -> Iterator[str]:
    """Yield the text that ``json.dumps(value, sort_keys=True)`` returns, the objects one by one.

    The members of objects down to *depth* are pieces. *default* gives what stands for a value that
    JSON does not know.
    """
    options: dict[str, Any] = {"ensure_ascii": ensure_ascii, "separators": separators}
    if depth == 0 or not isinstance(value, dict) or not all(type(name) is str for name in value):
        yield json.dumps(value, sort_keys=True, default=default, **options)
        return
    before = "{"
    for name in sorted(value):
        yield f"{before}{json.dumps(name, ensure_ascii=ensure_ascii)}{separators[1]}"
        yield from pieces(value[name], depth - 1, default=default, **options)
        before = separators[0]
    yield "}" if value else "{}"


def shared(pairs: list[tuple[str, Any]], known: dict[str, str]) -> dict[str, Any]:
    """Return an object of JSON in which equal short texts are one in memory; *known* holds them."""
    return {
        name: known.setdefault(value, value) if type(value) is str and len(value) < 64 else value
        for name, value in pairs
    }
