# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which results are causes, and what waits for them."""

from __future__ import annotations

from typing import Any


def held_up(results: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return, for each check that others in the end wait for, the ids of those others."""
    by_id = {result["id"]: result for result in results}
    found: dict[str, list[str]] = {}
    for result in results:
        for cause in sorted(_causes(result, by_id, set())):
            found.setdefault(cause, []).append(result["id"])
    return found


def _causes(result: dict[str, Any], by_id: dict[str, Any], seen: set[str]) -> set[str]:
    """Return the checks that a result in the end waits for."""
    found: set[str] = set()
    for need in result["needs"]:
        if need in seen or need not in by_id:
            continue
        seen.add(need)
        found |= _causes(by_id[need], by_id, seen) or {need}
    return found


def what_first(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the blockers to see to, those first that hold most others up.

    A check that only waits for another one is no cause, so it is not among them; what holds a
    blocker up is, whatever its own severity.
    """
    by_id = {result["id"]: result for result in results}
    held = held_up(results)
    found = [
        {**result, "holds_up": len(held.get(result["id"], ()))}
        for result in results
        if result["status"] in ("fail", "unknown")
        and not result["needs"]
        and "blocker"
        in {result["severity"], *(by_id[name]["severity"] for name in held.get(result["id"], ()))}
    ]
    return sorted(found, key=lambda result: -result["holds_up"])
