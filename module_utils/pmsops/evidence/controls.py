# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Negative controls as text: whether drills and gates were seen to be able to fail."""

from __future__ import annotations

from typing import Any


def drill(found: dict[str, Any]) -> str:
    """Return what became of a drill; of an older release it says nothing of a control."""
    took = f"{found['rto_seconds']:.0f} s" if found["rto_seconds"] else "an unknown time"
    verdict = f"verified set {found['set']} in {took}" if found["proved"] else failed(found)
    control = found.get("negative_control")
    if not control:
        return verdict
    changed = f" ({control['kind']} in {control['table']})" if control.get("table") else ""
    return f"{verdict}; negative control {control['outcome']}{changed}"


def gate(control: dict[str, Any] | None) -> str:
    """Return how a line about a gate ends: nothing for one of an older release."""
    if not control:
        return ""
    check = f" ({control['check']})" if control.get("check") else ""
    return f"; negative control {control['outcome']}{check}"


def missed(found: dict[str, Any]) -> str:
    """Return what a gate was that is no go."""
    broken = found["verdict"] == "broken"
    return "broken, so it says nothing about the system" if broken else f"a {found['verdict']}"


def failed(found: dict[str, Any]) -> str:
    """Return what became of a drill that did not prove its set."""
    broken = found.get("broken")
    return "had a broken proof, which says nothing about the set" if broken else "failed"
