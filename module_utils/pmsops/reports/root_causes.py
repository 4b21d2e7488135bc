# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which failed checks are root causes, and which checks each of them blocks."""

from __future__ import annotations

from typing import Any


def dependents_of_root_causes(results: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Map each root cause to the ids of the checks that depend on it, at any distance."""
    by_id = {result["id"]: result for result in results}
    found: dict[str, list[str]] = {}
    for result in results:
        for cause in sorted(_root_causes(result, by_id, set())):
            found.setdefault(cause, []).append(result["id"])
    return found


def _root_causes(result: dict[str, Any], by_id: dict[str, Any], seen: set[str]) -> set[str]:
    """Return the ids of the root causes that a result depends on."""
    found: set[str] = set()
    for need in result["needs"]:
        if need in seen or need not in by_id:
            continue
        seen.add(need)
        found |= _root_causes(by_id[need], by_id, seen) or {need}
    return found


def blockers_by_impact(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the root causes of the no-go, each with how many checks it ``blocks``, most first.

    A check that only depends on another one is no root cause. What blocks a blocker is one,
    whatever its own severity.
    """
    by_id = {result["id"]: result for result in results}
    dependents = dependents_of_root_causes(results)
    found = []
    for result in results:
        blocked = dependents.get(result["id"], [])
        severities = {result["severity"], *(by_id[name]["severity"] for name in blocked)}
        is_cause = result["status"] in ("fail", "unknown") and not result["needs"]
        if is_cause and "blocker" in severities:
            found.append({**result, "blocks": len(blocked)})
    return sorted(found, key=lambda result: -result["blocks"])
