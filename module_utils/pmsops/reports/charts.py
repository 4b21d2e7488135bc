# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The charts of the report, as SVG that takes its colours from the page."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

WIDTH, HEIGHT = 560, 250
MAX_LABELS = 5
DATE_WIDTH = 90  # of a label such as 2026-11-30: the last one stands half beside the curve
UNITS = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB"), (1, "bytes"))
COLORS = {"target": "var(--warn)", "any moment": "var(--good)"}
TIMES = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


def of_backups(backups: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the charts of size and duration, none where there is no backup set."""
    found = [entry for entry in backups if entry.get("size_bytes") is not None]
    if not found:
        return []
    labels = [_day(entry["snapshot_at"]) for entry in found]
    factor, unit = _unit(max(entry["size_bytes"] for entry in found), UNITS)
    sizes = [entry["size_bytes"] / factor for entry in found]
    charts = [_chart("backup-size", f"Size of each set, {unit}", labels, [("size", sizes)])]
    timed = [entry["duration_seconds"] for entry in found]
    if any(seconds is not None for seconds in timed):
        divisor, name = _unit(max(seconds or 0 for seconds in timed), TIMES)
        values = [None if seconds is None else seconds / divisor for seconds in timed]
        charts.append(
            _chart("backup-time", f"Time each set took, {name}", labels, [("time", values)])
        )
    return charts


def of_drills(drills: list[dict[str, Any]], targets: dict[str, float]) -> list[dict[str, str]]:
    """Return the charts of recovery time and recovery point, each with its target."""
    charts = []
    # Another host is another machine: its times would bend the curve of this one.
    drills = [entry for entry in drills if not entry.get("drill_host")]
    for key, title in (("rto", "Time to recover"), ("rpo", "Data loss (recovery point)")):
        found = [entry for entry in drills if entry.get(f"{key}_seconds") is not None]
        if not found:
            continue
        target = targets.get(f"{key}_seconds")
        goals: list[float | None] = [
            entry.get(f"{key}_target_seconds") or target for entry in found
        ]
        seconds = [entry[f"{key}_seconds"] for entry in found]
        factor, unit = _unit(max(seconds), TIMES)
        series: list[tuple[str, list[float | None]]] = [
            (key.upper(), [value / factor for value in seconds])
        ]
        # A target far above the measurements would flatten their curve.
        near = [goal for goal in goals if goal is not None and goal <= 4 * max(seconds)]
        if len(near) == len(goals):
            series.append(("target", [goal / factor for goal in near]))
        # What a restore to any moment would have lost then; a system may have no such protection.
        moments = [entry.get(f"{key}_moment_seconds") for entry in found]
        if any(value is not None for value in moments):
            series.append(
                ("any moment", [None if value is None else value / factor for value in moments])
            )
        goal = goals[-1]
        text = f"{title}, {unit}" + (f" (target {duration(goal)})" if goal is not None else "")
        if series[-1][0] == "any moment":
            text += "; below: to any moment"
        charts.append(
            _chart(f"drill-{key}", text, [_day(e["at"]) for e in found], series, line=True)
        )
    return charts


def over_time(name: str, labels: list[str], series: list[tuple[str, list[float | None]]]) -> str:
    """Return curves as SVG; the series ``target`` has no dots."""
    return _chart(name, name, labels, series, line=True, margin_right=DATE_WIDTH // 2)["svg"]


def duration(seconds: float | None) -> str:
    """Return a duration for people: ``83.4 seconds``."""
    if seconds is None:
        return "unknown"
    factor, unit = _unit(seconds, TIMES)
    return f"{seconds / factor:.3g} {unit}"


def size(count: float | None) -> str:
    """Return a size for people: ``44.8 MB``."""
    if count is None:
        return "unknown"
    factor, unit = _unit(count, UNITS)
    return f"{count / factor:.3g} {unit}" if factor > 1 else f"{count:.0f} bytes"


def _unit(largest: float, units: tuple[tuple[float, str], ...]) -> tuple[float, str]:
    return next((unit for unit in units if largest >= 1.5 * unit[0]), units[-1])


def _chart(
    name: str,
    title: str,
    labels: list[str],
    series: list[tuple[str, list[float | None]]],
    *,
    line: bool = False,
    margin_right: int = 6,
) -> dict[str, str]:
    """Return ``{title, svg}``; the SVG has no script, no font and no colour of its own."""
    import pygal
    from pygal.style import Style

    style = Style(
        background="transparent",
        plot_background="transparent",
        foreground="var(--muted)",
        foreground_strong="var(--ink)",
        foreground_subtle="var(--line)",
        opacity=".9",
        opacity_hover="1",
        transition="0s",
        colors=tuple(COLORS.get(label, "var(--accent)") for label, _ in series),
        font_family="inherit",
        stroke_width=2.5,
        label_font_size=15,
        major_label_font_size=15,
        value_font_size=14,
        guide_stroke_color="var(--line)",
        major_guide_stroke_color="var(--line)",
        guide_stroke_dasharray="0",
        major_guide_stroke_dasharray="0",
    )
    ticks = _ticks(max((value or 0.0) for _, values in series for value in values))
    kind = pygal.Line if line else pygal.Bar
    chart = kind(
        style=style,
        width=WIDTH,
        height=HEIGHT,
        js=[],
        show_legend=False,
        disable_xml_declaration=True,
        no_prefix=False,
        print_values=False,
        show_y_guides=True,
        show_x_guides=False,
        show_minor_x_labels=False,
        margin=6,
        margin_right=margin_right,
        range=(0, ticks[-1]),
        value_formatter=lambda value: f"{value:.3g}",
        dots_size=4,
        truncate_label=-1,
        spacing=8,
    )
    chart.add_xml_filter(_without_scripts)
    chart.uuid = name  # not random: equal data make an equal page
    chart.y_labels = ticks
    chart.x_labels = labels
    step = -(-len(labels) // MAX_LABELS)
    chart.x_labels_major_every = step
    for label, values in series:
        chart.add(label, values, show_dots=label != "target")
    return {"title": title, "svg": chart.render(is_unicode=True)}


def _without_scripts(tree: Any) -> Any:
    for parent in list(tree.iter()):
        for child in list(parent):
            if str(child.tag).endswith("script"):
                parent.remove(child)
    return tree


def _ticks(highest: float) -> list[float]:
    """Return evenly spaced round values from 0 to just above the highest one."""
    highest = highest * 1.05 or 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    step = next(s * power for s in (0.2, 0.25, 0.5, 1.0, 2.0, 2.5) if s * power * 5 >= highest)
    return [round(step * number, 10) for number in range(math.ceil(highest / step) + 1)]


def _day(stamp: str) -> str:
    return date.fromisoformat(stamp[:10]).strftime("%d %b").lstrip("0")
