# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the sections lack that a rule may look at: a rule's row has to say so itself, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from ansible.module_utils.pmsops.evidence import verdicts
from ansible.module_utils.pmsops.export import set_history
from ansible.module_utils.pmsops.export.facts import Facts
from ansible.module_utils.pmsops.export.language import Language

PASSED, FAILED = verdicts.PASS.lower(), verdicts.FAIL.lower()
Targets = Mapping[str, Optional[float]]


def of(
    facts: Facts, planned: list[dict[str, Any]] | None, targets: Targets, language: Language
) -> dict[str, list[str]]:
    """Return what is lacking, by section; a section that lacks nothing is not in it."""
    nothing = language.text("not_measured")
    found = {
        "plan": [nothing] if planned is None else _of_plan(planned, language),
        "runs": _of_runs(facts, language),
        "sets": _of_sets(facts, targets, language),
        "times": _of_times(facts, targets, language),
        "restores": _of_restores(facts, targets, language),
        "deficiencies": _of_deficiencies(facts, language),
        # One that an older release set: the ledger has no line of it.
        "holds": _counted(language, gap_holds=sum(e["since"] is None for e in facts.holds)),
        "access": [language.text("gap_logins")],
    }
    return {section: texts for section, texts in found.items() if texts}


def _counted(language: Language, total: int = 0, **counts: int) -> list[str]:
    """Return the text of each count that is not zero."""
    return [
        language.text(key, count=str(count), total=str(total))
        for key, count in counts.items()
        if count
    ]


def _of_plan(planned: list[dict[str, Any]], language: Language) -> list[str]:
    if not planned:
        return [language.text("gap_none")]
    told = [each for each in planned if each["counts"]]
    runs = sum(each["planned"] for each in told)
    missed = sum(each["counts"]["missed"] for each in told)
    failed = sum(each["counts"]["failed"] for each in told)
    return [
        *_counted(language, runs, gap_missed=missed, gap_failed_runs=failed),
        *_counted(language, gap_no_lines=len(planned) - len(told)),
        *_counted(language, gap_plan_later=sum(bool(e["unknown_until"]) for e in planned)),
    ]


def _of_runs(facts: Facts, language: Language) -> list[str]:
    if not facts.runs:
        return [language.text("gap_none")]
    mute = sum(bool(each["not_measured"] or each["unanswered"]) for each in facts.runs)
    failed = sum(each["verdict"] == FAILED for each in facts.runs)
    signed = sum(each["decision"] == "no-go" for each in facts.persons)
    return [
        *_counted(language, len(facts.runs), gap_no_go=failed),
        *_counted(language, gap_signed_no_go=signed, gap_unanswered=mute),
    ]


def _of_sets(facts: Facts, targets: Targets, language: Language) -> list[str]:
    if not facts.sets:
        return [language.text("gap_none")]
    unproved = sum(not each["proved_by"] for each in facts.sets)
    damaged = sum(set_history.damaged_later(each) for each in facts.sets)
    good, goal = facts.newest_good, targets["rpo"]
    ages = [each["seconds"] for each in facts.ages if each["seconds"] is not None]
    found = _counted(language, len(facts.sets), gap_unproved=unproved)
    found += _counted(language, gap_damaged=damaged)
    if good is None:
        found.append(language.text("gap_no_good"))
    elif goal and good["age_seconds"] > goal:
        found.append(language.text("gap_old", age=language.duration(good["age_seconds"])))
    if goal and ages and max(ages) > goal:
        age, limit = language.duration(max(ages)), language.duration(goal)
        found.append(language.text("gap_age", age=age, goal=limit))
    plain = sum(each["encrypted"] is False for each in facts.sets)
    unknown = sum(each["encrypted"] is None for each in facts.sets)
    found += _counted(language, gap_plain=plain, gap_unknown_plain=unknown)
    return found if facts.offsite else [*found, language.text("gap_one_site")]


def _of_times(facts: Facts, targets: Targets, language: Language) -> list[str]:
    drills = facts.drills
    if not drills:
        return [language.text("not_measured")]
    return [
        *_counted(
            language,
            len(drills),
            gap_drills=sum(each["verdict"] != PASSED for each in drills),
            gap_phases=sum(bool(each["missing"]) for each in drills),
            gap_segregated=sum(not each["segregated"] for each in drills),
        ),
        *_over(drills, targets, language),
    ]


def _of_restores(facts: Facts, targets: Targets, language: Language) -> list[str]:
    restores = facts.restores
    took = [each | {"rto_seconds": each["phases_seconds"]} for each in restores]
    return [
        *_counted(
            language,
            len(restores),
            gap_restores=sum(each["verdict"] != PASSED for each in restores),
            gap_phases=sum(bool(each["missing"]) for each in restores),
        ),
        *_over(took, targets, language),
        *_counted(language, gap_loss=sum(not each["data_loss"] for each in facts.incidents)),
    ]


def _over(rows: list[dict[str, Any]], targets: Targets, language: Language) -> list[str]:
    """Return how many recoveries took or lost more than their targets."""

    def count(name: str) -> int:
        pairs = [
            (each[f"{name}_seconds"], each.get(f"{name}_target_seconds") or targets[name])
            for each in rows
        ]
        return sum(bool(took is not None and goal and took > goal) for took, goal in pairs)

    return _counted(language, gap_rto=count("rto"), gap_rpo=count("rpo"))


def _of_deficiencies(facts: Facts, language: Language) -> list[str]:
    still = [each for each in facts.deficiencies if each["closed"] is None]
    overdue = sum(bool(each["overdue"]) for each in still)
    if overdue:
        return _counted(language, len(still), gap_overdue=overdue)
    return _counted(language, gap_open=len(still))
