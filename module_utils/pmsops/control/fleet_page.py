# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One page over a fleet, with a link to the page of each system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.timestamps import age, utc_stamp
from ansible.module_utils.pmsops.control.fleet_rows import Row
from ansible.module_utils.pmsops.reports.html_document import document

TITLE = "Fleet"
BODY = """
<main>
<h1>Fleet</h1>
<p>{{ rows | length }} systems, {{ fine }} of them fine. Written {{ written }}.
Each row says how old it is.</p>
<table>
<thead><tr>{% for name in head %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in rows %}
<tr>
<th scope="row">{% if row.href %}<a href="{{ row.href }}">{{ row.system }}</a>
{%- else %}{{ row.system }}{% endif %}</th>
<td>{{ row.verdict }}</td>
<td>{{ row.seen }}</td>
<td>{{ row.newest_set or "none" }}</td>
<td>{{ row.drill or "none" }}</td>
<td>{{ row.gate or "none" }}</td>
<td>{% for each in row.due %}{{ each }}{% if not loop.last %}<br>{% endif %}{% endfor %}
{%- if row.elsewhere %}{% if row.due %}<br>{% endif %}its page: {{ row.elsewhere }}{% endif %}</td>
</tr>
{% endfor %}
</tbody>
</table>
</main>
"""
HEAD = ("System", "Verdict", "Seen", "Newest set", "Drill", "Gate", "Due")


def page(rows: Iterable[Row], pages: Mapping[str, str], *, now: datetime) -> str:
    """Return the page; *pages* are those of the systems: an address, or HOST:PATH elsewhere."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    known = [_shown(each, pages.get(each.system, "")) for each in rows]
    return environment.from_string(document(TITLE, BODY)).render(
        rows=known,
        head=HEAD,
        fine=sum(each["verdict"] == "fine" for each in known),
        written=utc_stamp(now),
    )


def _shown(row: Row, address: str) -> dict[str, Any]:
    here = address.startswith("file:")
    return {
        **vars(row),
        "seen": "never" if row.age_seconds is None else f"{row.seen_at} ({age(row.age_seconds)})",
        "href": address if here else "",
        "elsewhere": "" if here else address,
    }
