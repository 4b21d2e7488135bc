# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report for a period: one HTML page without any other file, in one language."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from ansible.module_utils.pmsops.approvals.plan import (
    PRUNE,
    ROLLBACK,
    SERVER,
    SERVER_ROLLBACK,
    SWAP,
)
from ansible.module_utils.pmsops.evidence import verdicts
from ansible.module_utils.pmsops.export import (
    contents,
    glossary,
    heading,
    plan,
    rule_gaps,
    said,
    set_history,
)
from ansible.module_utils.pmsops.export.facts import Facts
from ansible.module_utils.pmsops.export.language import UNITS, Language
from ansible.module_utils.pmsops.export.report_template import TEMPLATE
from ansible.module_utils.pmsops.reports import charts

if TYPE_CHECKING:
    from jinja2 import Template

SECTIONS = (
    *("plan", "runs", "sets", "times", "waivers", "holds", "restores", "deficiencies"),
    *("access", "checklists", "not_covered", "mapping", "proof", "glossary"),
)
# By headings only: which sections a reader of a rule may look at.
MAPPING = (
    ("rule_dora", ("plan", "sets", "times", "restores", "holds")),
    ("rule_cvm", ("plan", "runs", "waivers", "deficiencies", "access")),
    ("rule_anbima", ("times", "restores", "plan")),
    ("rule_soc_12", ("plan", "sets", "holds")),
    ("rule_soc_13", ("times", "restores", "deficiencies")),
    ("rule_iso", ("plan", "sets", "times", "holds")),
)
# Columns of numbers, by the keys of their headings
NUMERIC = (
    *("planned", "done", "failed", "missed", "size", "rows", "runs_count", "checks_count"),
    *("records_count", "last_line", "not_measured", "sets_made"),
)
EVENTS = ("began", "rotated", "replaced", "accepted", "host", "merge")
# Operations that a plan is of, as approvals/plan.py names them
OPERATIONS = (SWAP, ROLLBACK, SERVER, SERVER_ROLLBACK, PRUNE)
PASSED = verdicts.PASS.lower()


def page(
    manifest: Mapping[str, Any],
    facts: Facts,
    planned: list[dict[str, Any]] | None,
    files: Mapping[str, bytes],
    language: Language,
    *,
    links: bool = True,
) -> str:
    """Return the page; *planned* is None where nobody can tell what was planned.

    *links*: names of runs and incidents lead to their files in the export; paper has none.
    """
    targets = _targets(files)
    rendered = _template(language.name).render(
        m=manifest,
        f=facts,
        plan=planned,
        shown=plan.SHOWN,
        is_open=manifest["made_at"] < manifest["period"]["before"],
        tiles=_tiles(facts, planned, targets, language),
        sections=SECTIONS,
        mapping=MAPPING,
        kinds=heading.KINDS,
        gaps=rule_gaps.of(facts, planned, targets, language),
        terms=glossary.TERMS,
        events=EVENTS,
        operations=OPERATIONS,
        numeric=NUMERIC,
        targets=targets,
        charts=_charts(facts, targets, language),
        names=frozenset(files),
        links=links,
    )
    return rendered.lstrip()


@cache
def _template(name: str) -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    language = Language(name)
    environment.globals |= {
        "t": language.text,
        "when": language.when,
        "day": language.day,
        "number": language.number,
        "duration": language.duration,
        "size": language.size,
    }
    environment.globals["foot"] = _in_style
    environment.filters["said"] = partial(_said, name)
    environment.filters["when"] = language.when
    return environment.from_string(TEMPLATE)


def _said(language: str, text: Any) -> Any:
    """Return a text of a record: translated where the tool wrote it, else marked as English."""
    from markupsafe import Markup

    if language == "en" or not text:
        return text
    found = said.translated(str(text))
    return found or Markup('<span lang="en">{}</span>').format(text)


def _in_style(text: Any) -> str:
    """Return a text for a string of a style sheet, where HTML's escapes mean nothing."""
    return re.sub(r"[^\w .:/+-]", "?", str(text))


def _tiles(
    facts: Facts,
    planned: list[dict[str, Any]] | None,
    targets: Mapping[str, float | None],
    language: Language,
) -> list[tuple[str, str]]:
    """Return the figures at the head, each with the key of its text."""
    counted = [each["counts"]["missed"] for each in planned or () if each["counts"]]
    still_open = sum(each["closed"] is None for each in facts.deficiencies)

    def of(rows: list[dict[str, Any]]) -> str:
        return parts(sum(each["verdict"] == PASSED for each in rows), len(rows))

    def parts(some: int, total: int) -> str:
        return language.text("checks_of", passed=str(some), total=str(total))

    def counted_as(count: int, key: str) -> tuple[str, str]:
        return str(count), f"{key}_1" if count == 1 else key

    proved = sum(bool(each["proved_by"]) for each in facts.sets)
    later = sum(set_history.damaged_later(each) for each in facts.sets)
    unanswered = sum(each["verdict"] == PASSED and bool(each["unanswered"]) for each in facts.runs)
    return [
        (of(facts.runs), "tile_runs"),
        *([counted_as(unanswered, "tile_unanswered")] if unanswered else []),
        (parts(proved, len(facts.sets)), "tile_sets_once" if later else "tile_sets"),
        *([counted_as(later, "tile_damaged_later")] if later else []),
        *_recoveries(facts, planned, targets, language, of(facts.drills)),
        counted_as(sum(counted), "tile_missed")
        if counted
        else (language.text("not_measured"), "tile_missed"),
        counted_as(len(facts.incidents), "tile_incidents"),
        counted_as(still_open, "tile_deficiencies"),
        (str(sum(bool(each["overdue"]) for each in facts.deficiencies)), "tile_overdue"),
    ]


def _recoveries(
    facts: Facts,
    planned: list[dict[str, Any]] | None,
    targets: Mapping[str, float | None],
    language: Language,
    drills: str,
) -> list[tuple[str, str]]:
    """Return the figures of drills, of restores, and of what the worst recovery lost."""
    found = [(drills, "tile_drills")]
    jobs = [each for each in planned or () if each["of"] == plan.DRILL and each["counts"]]
    if jobs:
        done = sum(each["counts"]["done"] for each in jobs)
        total = sum(each["planned"] for each in jobs)
        text = language.text("checks_of", passed=str(done), total=str(total))
        found.append((text, "tile_planned_drills"))
    if facts.restores:
        good = sum(each["verdict"] == PASSED for each in facts.restores)
        text = language.text("checks_of", passed=str(good), total=str(len(facts.restores)))
        found.append((text, "tile_restores"))
    rows = [e for e in (*facts.drills, *facts.restores) if e["rpo_seconds"] is not None]
    if rows:
        worst = max(rows, key=lambda each: each["rpo_seconds"])
        goal = worst["rpo_target_seconds"] or targets["rpo"]
        key = "tile_rpo" if not goal else "tile_rpo_over" if worst["rpo_seconds"] > goal else ""
        found.append((language.duration(worst["rpo_seconds"]), key or "tile_rpo_within"))
    return found


def _targets(files: Mapping[str, bytes]) -> dict[str, float | None]:
    """Return the targets of the newest run that has them."""
    found: dict[str, float | None] = {"rto": None, "rpo": None}
    for name, content in sorted(files.items()):
        if name.startswith(f"{contents.RECORDS}/") and name.endswith("/record.json"):
            try:
                targets = json.loads(content).get("targets") or {}
                for key in found:
                    value = targets.get(f"{key}_seconds")
                    found[key] = float(value) if value else found[key]
            except (ValueError, AttributeError, TypeError, RecursionError):
                continue
    return found


def _charts(
    facts: Facts, targets: Mapping[str, float | None], language: Language
) -> list[dict[str, Any]]:
    """Return the curves of time and data against their targets."""
    from markupsafe import Markup

    drawn = []
    for key, title in (("rto", "rto_chart"), ("rpo", "rpo_chart")):
        recoveries = [*facts.drills, *(facts.restores if key == "rpo" else [])]
        rows = [each for each in recoveries if each[f"{key}_seconds"] is not None]
        rows.sort(key=lambda each: int(each["line"]))
        if not rows:
            continue
        took = [each[f"{key}_seconds"] for each in rows]
        goals = [each[f"{key}_target_seconds"] or targets[key] for each in rows]
        highest = max([*took, *(each for each in goals if each is not None)])
        factor, unit = next((each for each in UNITS if highest >= 1.5 * each[0]), UNITS[-1])
        written = language.unit(unit, highest / factor)
        series: list[tuple[str, list[float | None]]] = [(key, [each / factor for each in took])]
        # One point makes no line.
        if len(rows) > 1 and any(goal is not None for goal in goals):
            series.append(("target", [None if g is None else g / factor for g in goals]))
        labels = [language.when(each["at"]).split(" ")[0] for each in rows]
        caption = "chart_of" if len(series) > 1 else "chart_without"
        svg = charts.over_time(f"period-{key}", labels, series)
        hidden = svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
        drawn.append(
            {
                "caption": language.text(caption, what=language.text(title), unit=written),
                "svg": Markup(hidden),  # noqa: S704 -- drawn here, of numbers and dates
            }
        )
    return drawn
