# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the sections lack that a rule may look at: a rule's row has to say so itself."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.pmsops.export.facts import Facts

NOTHING, PART, NONE = "not_measured", "gap_part", "gap_none"
UNPROVED, TOGETHER = "gap_unproved", "gap_segregated"


def of(facts: Facts, planned: list[dict[str, Any]] | None) -> dict[str, list[str]]:
    """Return the keys of the texts, by section; a section that lacks nothing is not in it."""
    found = {
        "plan": [NOTHING] if planned is None else _of_plan(planned),
        "runs": _of_runs(facts),
        "sets": _of_sets(facts),
        "times": _of_times(facts),
        # One that an older release set: the ledger has no line of it.
        "holds": [PART] if any(each["since"] is None for each in facts.holds) else [],
        "access": [PART],  # who logged in
        "restores": [PART] if any(each["missing"] for each in facts.restores) else [],
    }
    return {section: keys for section, keys in found.items() if keys}


def _of_plan(planned: list[dict[str, Any]]) -> list[str]:
    mute = any(not each["counts"] or each["unknown_until"] for each in planned)
    return [NONE] if not planned else [PART] if mute else []


def _of_runs(facts: Facts) -> list[str]:
    mute = any(each["not_measured"] or each["unanswered"] for each in facts.runs)
    return [NONE] if not facts.runs else [PART] if mute else []


def _of_sets(facts: Facts) -> list[str]:
    unproved = any(not each["proved_by"] for each in facts.sets)
    return [NONE] if not facts.sets else [UNPROVED] if unproved else []


def _of_times(facts: Facts) -> list[str]:
    if all(each["rto_seconds"] is None and each["rpo_seconds"] is None for each in facts.drills):
        return [NOTHING]
    part = any(each["missing"] or each["rpo_seconds"] is None for each in facts.drills)
    together = any(not each["segregated"] for each in facts.drills)
    return [PART] * part + [TOGETHER] * together
