# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The HTML of the fields that auditors ask for, and of the open deficiencies, in a report."""

from __future__ import annotations

SECTION = """
{% if record.deficiencies | default([]) %}
<section aria-labelledby="deficiencies">
<h2 id="deficiencies">Open deficiencies</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Table of open deficiencies"><table>
<thead><tr><th scope="col">Deficiency</th><th scope="col">What</th><th scope="col">Owner</th>\
<th scope="col">Due</th></tr></thead>
<tbody>
{% for each in record.deficiencies %}
<tr><td>{{ each.id }}</td><td>{{ each.title }}{% if each.finding %}<br>\
<span class="small muted">{{ each.finding }}</span>{% endif %}</td><td>{{ each.owner }}</td>\
<td class="date">{{ each.due }}\
{% if each.overdue %} <span class="tag bad">overdue</span>{% endif %}</td></tr>
{% endfor %}
</tbody></table></div>
</section>
{% endif %}
{% if record.audit is defined %}
{% set said = record.audit %}
<section aria-labelledby="audit">
<h2 id="audit">For the auditor</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Table for the auditor"><table>
<tbody>
<tr><th scope="row">Verdict</th><td>{{ said.verdict }}</td></tr>
<tr><th scope="row">Ordered by</th><td>{{ said.ordered_by.by }}, \
{{ "ticket " ~ said.ordered_by.ticket if said.ordered_by.ticket else "no ticket" }}</td></tr>
<tr><th scope="row">Environment</th><td>{{ said.environment }}</td></tr>
<tr><th scope="row">Began</th><td>{{ said.started_at }} (UTC); {{ said.started_local }} \
({{ said.zone }})</td></tr>
<tr><th scope="row">Clock</th><td>{{ said.clock.source }}\
{% if said.clock.server %}, {{ said.clock.server }}{% endif %}\
{% if said.clock.offset_seconds is number %}, \
{{ "%+.6f" | format(said.clock.offset_seconds) }} s{% endif %}</td></tr>
<tr><th scope="row">Code</th><td>{{ said.code.name }} {{ said.code.version }}, commit \
<code>{{ said.code.commit }}</code>{{ ", files differ from it" if said.code.dirty is true }}\
{% if said.code.sha256 != "NOT MEASURED" %}, SHA-256 of its files \
<code>{{ said.code.sha256 }}</code>{% endif %}</td></tr>
<tr><th scope="row">Playbook</th><td>{{ said.playbook.name }} \
<code>{{ said.playbook.sha256 }}</code></td></tr>
<tr><th scope="row">Checklist</th><td><code>{{ said.checklist_sha256 }}</code></td></tr>
<tr><th scope="row">Segregated</th><td>\
{{ said.segregated if said.segregated is string else "yes" if said.segregated else "no" }}</td></tr>
<tr><th scope="row">Bytes from</th><td>{{ said.source.kind }}\
{% if said.source.site %}, {{ said.source.site }}, snapshot {{ said.source.snapshot }}{% endif %}\
</td></tr>
<tr><th scope="row">Time to recover</th><td>\
{% for phase in ("detect", "decide", "fetch", "restore", "verify", "resume") %}\
{{ phase }} {{ said.rto[phase] ~ " s" if said.rto[phase] is number else said.rto[phase] }}\
{{ "; " if not loop.last }}{% endfor %}</td></tr>
<tr><th scope="row">Data loss</th><td>\
{{ said.rpo_seconds ~ " s" if said.rpo_seconds is number else said.rpo_seconds }}</td></tr>
<tr><th scope="row">Not covered</th><td>{{ said.not_covered | join("; ") or "nothing is named" }}\
</td></tr>
</tbody></table></div>
</section>
{% endif %}
"""
