# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The HTML of the report, as Python: AnsiballZ ships nothing else to the managed host."""

from __future__ import annotations

from ansible.module_utils.pmsops.reports.audit_section import SECTION
from ansible.module_utils.pmsops.reports.html_document import document

BODY = """
{% macro changes(entries) %}
<ul>
{% for entry in entries %}
<li><a href="#{{ entry.id }}">{{ entry.title }}</a>: was {{ words[entry.was] }}, now \
{{ words[entry.is] }}</li>
{% endfor %}
</ul>
{% endmacro %}
{% macro check(result) %}
<li class="{{ result.status }} {{ result.severity }}" id="{{ result.id }}">
<span class="mark" aria-hidden="true">{{ marks[result.status] }}</span>
<div>
<span class="name">{{ result.title }}</span>
<span class="hidden">: {{ words[result.status] }}.</span>
{% if result.status == "waived" %}
<span class="tag {{ 'bad' if result.severity == 'blocker' else 'warn' }}">waived until \
{{ result.waiver.until }}</span>
{% elif result.status == "attested" %}
<span class="tag good">attested</span>
{% elif result.status in ("fail", "unknown") %}
<span class="tag {{ 'bad' if result.severity == 'blocker' else 'warn' }}">\
{{ words[result.status] }}, {{ result.severity }}</span>
{% endif %}
{% if result.flaky %}<span class="tag warn">flaky: attempt {{ result.attempts }}</span>{% endif %}
{% if result.finding %}<div class="finding">{{ result.finding | code }}</div>{% endif %}
{% if result.status == "waived" %}
<div class="small">{{ result.waiver.who }}: {{ result.waiver.why }}</div>
{% endif %}
{% if result.status in ("fail", "unknown") and not result.needs %}
<div class="todo small">{{ result.remedy | code }}</div>
{% endif %}
<details>
<summary>More<span class="hidden"> about {{ result.title }}</span></summary>
<p><code>{{ result.id }}</code> · {{ result.severity }} · probe {{ result.probe }} · \
owner: {{ result.owner }}</p>
{% if result.status in ("pass", "attested", "waived") %}
<p>If it fails: {{ result.remedy | code }}</p>
{% endif %}
</details>
</div>
<span class="time">{{ result.seconds | seconds }}</span>
</li>
{% endmacro %}
<a class="skip" href="#content">To the content</a>
<header>
<div class="verdict {{ record.verdict }}" role="status">
<p class="what">{{ record.title }}{% if record.system.name is defined %} · \
{{ record.system.name }}{% endif %}</p>
<h1>{{ headline }}</h1>
{% if record.verdict == "go" %}
<p>{{ good }} of {{ record.results | length }} checks passed, and no blocker is open.</p>
{% elif record.verdict == "broken" %}
<p><strong>The gate is broken, so it says nothing about the system.</strong> \
Check {{ record.negative_control.check }} was given a wrong expectation, and was not \
seen to fail.</p>
{% else %}
<p><strong>Do not go live.</strong> \
{{ record.blocking | length }} blocker{{ "s are" if record.blocking | length != 1 else " is" }} \
open{% if first | length < record.blocking | length %}, with {{ first | length }} \
root cause{{ "s" if first | length != 1 }}{% endif %}. \
{{ good }} of {{ record.results | length }} checks passed.</p>
{% endif %}
{% if record.partial %}<p><strong>Only part of the checklist was run, so this run gives no go-live \
verdict.</strong></p>{% endif %}
<p class="what">{{ record.started_at | local }} · {{ record.host }} · run {{ record.run }}\
{% if record.negative_control | default(none) %} · negative control \
{{ record.negative_control.outcome }}\
{% if record.negative_control.check %} ({{ record.negative_control.check }}){% endif %}\
{% endif %}</p>
</div>
</header>
<main id="content">
{% if first %}
<section aria-labelledby="first">
<h2 id="first">What to do first</h2>
<ol class="first">
{% for result in first %}
<li>
<h3><a href="#{{ result.id }}">{{ result.title }}</a></h3>
<p><span class="tag bad">{{ "Unknown" if result.status == "unknown" else "Failed" }}</span> \
{{ result.finding | code }}</p>
<p class="todo">{{ result.remedy | code }}</p>
<p class="small where">Owner: {{ result.owner }}{% if result.blocks %} · blocks \
{{ result.blocks }} other check{{ "s" if result.blocks != 1 }}{% endif %}</p>
</li>
{% endfor %}
</ol>
</section>
{% endif %}
{% if record.verdict == "go" %}
<section aria-labelledby="next">
<h2 id="next">What to do next</h2>
{% if record.partial %}
<p>Run the whole checklist: <code>ansible-playbook golive.yml</code>.</p>
{% else %}
<p>Read this report. Then portfolio manager, administrator and risk officer sign this run, \
each with role and name: <code>ansible-playbook playbooks/signoff.yml -e run={{ record.run }} \
-e 'role="risk officer"' -e 'name="…"'</code>.</p>
{% endif %}
</section>
{% endif %}
{% set red = waived | selectattr("severity", "equalto", "blocker") | list %}
{% if red %}
<section aria-labelledby="waived-blockers">
<h2 id="waived-blockers">Blockers that were waived</h2>
<div class="notes red"><ul>
{% for result in red %}
<li><a href="#{{ result.id }}">{{ result.title }}</a>: {{ result.finding | code }}<br>\
Waived by {{ result.waiver.who }} until <strong>{{ result.waiver.until }}</strong>: \
{{ result.waiver.why }}</li>
{% endfor %}
</ul></div>
</section>
{% endif %}
{% if record.ledger.problems %}
<section aria-labelledby="broken">
<h2 id="broken">The evidence itself is damaged</h2>
<div class="notes red"><ul>
{% for problem in record.ledger.problems %}<li>{{ problem }}</li>{% endfor %}
</ul></div>
</section>
{% endif %}
<section aria-labelledby="glance">
<h2 id="glance">At a glance</h2>
<ul class="tiles">
{% for section in record.sections %}
{% set total = section.counts.values() | sum %}
<li><a href="#section-{{ section.id }}">
<strong>{{ section.counts.pass + section.counts.attested }} of {{ total }}</strong>
<span>{{ section.title }}</span>
<span class="meter" aria-hidden="true">
{% for status in ("pass", "attested", "waived", "unknown", "fail") if section.counts[status] %}
<i class="{{ status }}" style="flex: {{ section.counts[status] }}"></i>
{% endfor %}
</span></a></li>
{% endfor %}
</ul>
{% if attention %}
<h3>Not blocking, but needs attention</h3>
<div class="notes"><ul>
{% for result in attention %}
<li><a href="#{{ result.id }}">{{ result.title }}</a>: \
{% if result.flaky %}passed only at attempt {{ result.attempts }}\
{% else %}{{ result.finding | code }}{% endif %}</li>
{% endfor %}
</ul></div>
{% endif %}
</section>
<section aria-labelledby="before">
<h2 id="before">Changes since the previous run</h2>
{% if record.previous %}
{% set change = record.previous %}
<p>Run {{ change.run }} of {{ change.started_at | local }} ended in \
<strong>{{ change.verdict | upper }}</strong>.</p>
{% if change.worse or change.better %}
<div class="notes">
{% for name, entries in (("Worse", change.worse), ("Better", change.better)) if entries %}
<h3>{{ name }}</h3>
{{ changes(entries[:6]) }}
{% if entries | length > 6 %}
<details><summary>{{ entries | length - 6 }} more</summary>
{{ changes(entries[6:]) }}
</details>
{% endif %}
{% endfor %}
</div>
{% else %}
<p class="muted">No check got better or worse.</p>
{% endif %}
{% if change.removed %}
<p class="small muted">No longer checked: {{ change.removed | join(", ") }}</p>
{% endif %}
{% else %}
<p class="muted">This is the first run.</p>
{% endif %}
{% if record.history.runs %}
<p class="small muted" id="strip">{{ record.history.runs | length }} \
previous run{{ "s" if record.history.runs | length != 1 }}, oldest first:</p>
<ul class="strip" aria-labelledby="strip">
{% for run in record.history.runs %}
<li class="{{ run.verdict }}" title="{{ run.run }}"><span aria-hidden="true">\
{{ "✓" if run.verdict == "go" else "✗" }}</span><span class="hidden">{{ run.run }} \
{{ run.verdict }}</span></li>
{% endfor %}
</ul>
{% endif %}
</section>
{% for section in record.sections %}
<section aria-labelledby="section-{{ section.id }}">
<h2 id="section-{{ section.id }}">{{ section.title }}</h2>
<ul class="checks">
{% for result in record.results if result.section == section.id %}
{{ check(result) }}
{% endfor %}
</ul>
</section>
{% endfor %}
{% if waived %}
<section aria-labelledby="waivers">
<h2 id="waivers">Waivers</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Table of waivers"><table>
<thead><tr><th scope="col">Check</th><th scope="col">Who</th><th scope="col">Until</th>\
<th scope="col">Why</th></tr></thead>
<tbody>
{% for result in waived %}
<tr><td>{{ result.title }} <span class="tag \
{{ 'bad' if result.severity == 'blocker' else 'warn' }}">{{ result.severity }}</span></td>\
<td>{{ result.waiver.who }}</td><td class="date">{{ result.waiver.until }}</td>\
<td>{{ result.waiver.why }}</td></tr>
{% endfor %}
</tbody></table></div>
</section>
{% endif %}
<section aria-labelledby="backups">
<h2 id="backups">Backups</h2>
{% if record.history.backups %}
<div class="charts">
{% for chart in charts.backups %}
<figure><figcaption>{{ chart.title }}</figcaption>{{ chart.svg }}</figure>
{% endfor %}
</div>
<div class="scroll" tabindex="0" role="region" aria-label="Table of backups"><table>
<thead><tr><th scope="col">Set</th><th scope="col" class="number">Size</th>\
<th scope="col" class="number">Added</th><th scope="col" class="number">Took</th>\
<th scope="col">Verified</th></tr></thead>
<tbody>
{% for entry in (record.history.backups | reverse | list)[:10] %}
{% if entry.problem is defined %}
<tr><td>{{ entry.id }}</td><td colspan="4">{{ entry.problem }}</td></tr>
{% else %}
<tr><td>{{ entry.id }}</td><td class="number">{{ entry.size_bytes | size }}</td>\
<td class="number">{{ entry.new_bytes | size }}</td>\
<td class="number">{{ entry.duration_seconds | duration }}</td>\
<td>{{ entry.verified_at[:10] if entry.verified_at else "not yet" }}\
{{ ", warm" if entry.warm | default(false) }}</td></tr>
{% endif %}
{% endfor %}
</tbody></table></div>
{% else %}
<p class="muted">There is no backup set.</p>
{% endif %}
</section>
<section aria-labelledby="drills">
<h2 id="drills">Restore drills</h2>
{% if record.history.drills %}
<div class="charts">
{% for chart in charts.drills %}
<figure><figcaption>{{ chart.title }}</figcaption>{{ chart.svg }}</figure>
{% endfor %}
</div>
<div class="scroll" tabindex="0" role="region" aria-label="Table of drills"><table>
<thead><tr><th scope="col">Day</th><th scope="col">Set</th><th scope="col">Outcome</th>\
<th scope="col" class="number">Time to recover</th>\
<th scope="col" class="number">Data loss</th>\
</tr></thead>
<tbody>
{% for entry in (record.history.drills | reverse | list)[:10] %}
<tr><td class="date">{{ entry.at[:10] }}</td><td>{{ entry.set }}</td>\
<td>{{ "proved" if entry.proved else "broken proof" if entry.broken else "failed" }}\
{% if entry.drill_host | default(none) %}\
 on {{ entry.drill_host }}, {{ "segregated" if entry.segregated else "not segregated" }}\
{% endif %}</td>\
<td class="number">{{ entry.rto_seconds | duration }}\
{% if entry.rto_with_fetch_seconds | default(none) is not none %}\
; with the fetch {{ entry.rto_with_fetch_seconds | duration }}\
{% endif %}</td>\
<td class="number">{{ entry.rpo_seconds | duration }}\
{% if entry.rpo_moment_seconds | default(none) is not none %}\
; to any moment {{ entry.rpo_moment_seconds | duration }}\
{% endif %}</td></tr>
{% endfor %}
</tbody></table></div>
{% else %}
<p class="muted">No drill is in the ledger.</p>
{% endif %}
</section>
"""

END = """
<section aria-labelledby="sign">
<h2 id="sign">Sign-off</h2>
{% if attested %}
<div class="scroll" tabindex="0" role="region" aria-label="Attestations"><table>
<thead><tr><th scope="col">Attested</th><th scope="col">Who</th>\
<th scope="col">When</th></tr></thead>
<tbody>
{% for result in attested %}
<tr><td>{{ result.title }}</td><td>{{ result.attestation.who }}</td>\
<td class="date">{{ result.attestation.when }}</td></tr>
{% endfor %}
</tbody></table></div>
{% endif %}
<div class="scroll" tabindex="0" role="region" aria-label="Table to sign"><table class="sign">
<thead><tr><th scope="col">Role</th><th scope="col">Name</th><th scope="col">Date</th>\
<th scope="col">Signature</th></tr></thead>
<tbody>
{% for role in ("Portfolio manager", "Administrator", "Risk officer") %}
<tr><td>{{ role }}</td><td></td><td></td><td></td></tr>
{% endfor %}
</tbody></table></div>
</section>
</main>
<footer>
<p>Record <code>{{ digest }}</code></p>
<p>Checklist <code>{{ record.checklist_sha256 }}</code> · \
{{ record.results | length }} checks in {{ "%.1f" | format(record.duration_seconds) }} s · \
ledger of {{ record.ledger.lines }} line{{ "s" if record.ledger.lines != 1 }} before this run, \
{{ "damaged" if record.ledger.problems else "intact" }} · \
{{ record.tool.name }} {{ record.tool.version }}</p>
</footer>
"""

TEMPLATE = document("{{ headline }} · {{ record.title }} · {{ record.run }}", BODY + SECTION + END)
