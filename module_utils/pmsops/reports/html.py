# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report of a gate: one HTML page without any other file, rendered from the record."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.common.timestamps import from_iso
from ansible.module_utils.pmsops.reports import charts, root_causes, terminal
from ansible.module_utils.pmsops.reports.html_template import TEMPLATE

if TYPE_CHECKING:
    from jinja2 import Template

GOOD = frozenset({"pass", "attested"})
WORDS = {
    "pass": "passed",
    "attested": "attested",
    "waived": "waived",
    "unknown": "unknown",
    "fail": "failed",
}
MARKS = {"pass": "✓", "attested": "✓", "waived": "◇", "unknown": "?", "fail": "✗"}


def page(record: dict[str, Any], digest: str) -> str:
    """Return the page."""
    from markupsafe import Markup

    history = record["history"]
    drawn = {
        "backups": charts.of_backups(history["backups"]),
        "drills": charts.of_drills(history["drills"], record["targets"]),
    }
    for chart in (*drawn["backups"], *drawn["drills"]):
        chart["svg"] = Markup(_quiet(chart["svg"]))  # noqa: S704 -- drawn here, of numbers and dates
    return _template().render(
        record=record,
        headline=terminal.headline(record),
        digest=digest,
        charts=drawn,
        first=root_causes.blockers_by_impact(record["results"]),
        attention=[r for r in record["results"] if _needs_attention(r)],
        waived=[r for r in record["results"] if r["status"] == "waived"],
        attested=[r for r in record["results"] if r["status"] == "attested"],
        good=sum(r["status"] in GOOD for r in record["results"]),
        words=WORDS,
        marks=MARKS,
    )


@cache
def _template() -> Template:
    """Return the compiled template: compiling takes ten times as long as rendering."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "local": local_time,
        "duration": charts.duration,
        "size": charts.size,
        "seconds": _seconds,
        "code": _code,
    }
    return environment.from_string(TEMPLATE)


def _needs_attention(result: dict[str, Any]) -> bool:
    """Tell whether a result does not block the go-live but needs attention."""
    wrong = result["status"] in ("fail", "unknown") and result["severity"] != "blocker"
    return (wrong and not result["needs"]) or result["flaky"]


def local_time(stamp: str) -> str:
    """Return a time stamp in the fund's zone, for people."""
    moment = from_iso(stamp).astimezone(BUSINESS_ZONE)
    return moment.strftime("%d %B %Y, %H:%M").lstrip("0") + " (São Paulo)"


def _seconds(value: float) -> str:
    if value <= 0:
        return ""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _code(text: str) -> Any:
    """Return a text with the parts between back-ticks set as code."""
    from markupsafe import Markup, escape

    parts = text.split("`")
    if len(parts) % 2 == 0:  # a back-tick without its partner is a plain character
        return escape(text)
    marked = [
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    ]
    return Markup("").join(marked)


def _quiet(svg: str) -> str:
    """Return a chart that assistive technology skips: the table beside it has the same data."""
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
