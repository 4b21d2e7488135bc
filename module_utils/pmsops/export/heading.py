# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the head of the report says of the records: their environments, clocks and code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ansible.module_utils.pmsops.evidence import audit, verdicts
from ansible.module_utils.pmsops.export import rows
from ansible.module_utils.pmsops.export.segment import Line, Segment

# What an environment is in words, by the usual names; see pms_environment.
KINDS = {
    **dict.fromkeys(("lab", "test", "staging", "development", "dev"), "environment_test"),
    **dict.fromkeys(("production", "prod", "live"), "environment_live"),
}


def environments(segment: Segment) -> list[tuple[str | None, int]]:
    """Return each environment with the number of its lines; None: their records do not say it."""
    return _counted(each.get("environment") for each in _blocks(segment.inside))


def code(segment: Segment) -> list[tuple[str | None, int]]:
    """Return each version of the code, with its digest, and the number of its lines."""
    found = []
    for block in _blocks(segment.inside):
        said = block.get("code")
        said = said if isinstance(said, dict) else {}
        digest = _text(said.get("sha256"))
        found.append(f"{_text(said.get('version')) or '?'} {digest[:16]}" if digest else None)
    return _counted(found)


def clock(segment: Segment) -> dict[str, Any]:
    """Return the sources of the clock, the largest offset in seconds, and the lines without one."""
    sources: set[str] = set()
    offsets: list[float] = []
    mute = 0
    for block in _blocks(segment.inside):
        said = block.get("clock")
        said = said if isinstance(said, dict) else {}
        source, offset = _text(said.get("source")), rows.number(said.get("offset_seconds"))
        if source is None or offset is None:
            mute += 1
            continue
        server = _text(said.get("server"))
        sources.add(f"{source} ({server})" if server else source)
        offsets.append(abs(offset))
    return {
        "sources": sorted(sources),
        "offset_seconds": max(offsets) if offsets else None,
        "mute": mute,
    }


def _blocks(lines: Iterable[Line]) -> list[dict[str, Any]]:
    return [audit.of(e.entry) for e in lines if e.entry and e.kind in audit.KINDS]


def _text(value: Any) -> str | None:
    """Return a text; None where a record has none, or says that nobody measured it."""
    return value if isinstance(value, str) and value not in ("", verdicts.NOT_MEASURED) else None


def _counted(values: Iterable[Any]) -> list[tuple[str | None, int]]:
    found = Counter(_text(each) for each in values)
    return sorted(found.items(), key=lambda each: (each[0] is None, each[0] or ""))
