# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The path of an expectation into an answer: ``rows[0].n``, ``jobs[*].status``, ``x[name=y].z``.

``x[name=y]`` is the first entry with that field; ``x[*name=y]`` are all of them, if any.
"""

from __future__ import annotations

import re
from typing import Any

from ansible.module_utils.pmsops.checks.values import Unmet, kind_of, plain

MAX_NAMED = 12
_STEP = re.compile(
    r"""\.?(?P<name>[A-Za-z_][\w-]*)
      | \[(?P<index>-?\d+)\]
      | (?P<all>\[\*\])
      | \[\*(?P<each>[A-Za-z_]\w*)=(?P<equals>[^\]]*)\]
      | \["(?P<key>[^"]*)"\]
      | \[(?P<field>[A-Za-z_]\w*)=(?P<value>[^\]]*)\]""",
    re.VERBOSE,
)


def steps(path: str) -> list[tuple[str, Any]]:
    """Return the steps of a path as (kind, argument).

    :raises ValueError: when the path cannot be read to its end.
    """
    found: list[tuple[str, Any]] = []
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise ValueError(f"path {path!r} cannot be read from {path[position:]!r} on")
        position = match.end()
        if match["name"] is not None:
            found.append(("key", match["name"]))
        elif match["key"] is not None:
            found.append(("key", match["key"]))
        elif match["index"] is not None:
            found.append(("index", int(match["index"])))
        elif match["each"] is not None:
            found.append(("each", (match["each"], match["equals"])))
        elif match["all"] is not None:
            found.append(("all", None))
        else:
            found.append(("find", (match["field"], match["value"])))
    return found


def select(answer: Any, path: str) -> tuple[list[Any], bool]:
    """Return the values at *path*, and whether the path names many.

    :raises Unmet: when the answer has no such place.
    """
    values, many, walked = [answer], False, ""
    for kind, argument in steps(path):
        values = [found for value in values for found in _step(value, kind, argument, walked)]
        many = many or kind in ("all", "each")
        walked += _show_step(kind, argument)
    return values, many


def _step(value: Any, kind: str, argument: Any, walked: str) -> list[Any]:
    where = walked.lstrip(".") or "the answer"
    if kind == "key":
        if isinstance(value, dict) and argument in value:
            return [value[argument]]
        if isinstance(value, dict) and value.get("exists") is False:
            raise Unmet(f"{value.get('path')} does not exist")
        has = f"it has {_names(value)}" if isinstance(value, dict) else kind_of(value)
        raise Unmet(f"{where} has no {argument} ({has})")
    if not isinstance(value, list):
        raise Unmet(f"{where} is no list but {kind_of(value)}")
    if kind == "all":
        return list(value)
    if kind == "index":
        if -len(value) <= argument < len(value):
            return [value[argument]]
        count = f"only {len(value)} entries" if value else "no entry"
        raise Unmet(f"{where} has {count}")
    field, expected = argument
    if kind == "each":
        for entry in value:
            if not isinstance(entry, dict) or field not in entry:
                raise Unmet(f"an entry of {where} has no {field}")
        return [entry for entry in value if plain(entry[field]) == expected]
    for entry in value:
        if isinstance(entry, dict) and field in entry and plain(entry[field]) == expected:
            return [entry]
    named = [plain(entry[field]) for entry in value if isinstance(entry, dict) and field in entry]
    raise Unmet(f"{where} has no {expected} (it has {', '.join(named[:MAX_NAMED]) or 'no entry'})")


def _show_step(kind: str, argument: Any) -> str:
    if kind == "key":
        return f".{argument}"
    if kind == "index":
        return f"[{argument}]"
    if kind == "each":
        return f"[*{argument[0]}={argument[1]}]"
    return "[*]" if kind == "all" else f"[{argument[1]}]"


def _names(value: dict[str, Any]) -> str:
    names = [str(name) for name in value]
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return (", ".join(names[:MAX_NAMED]) or "nothing") + more
