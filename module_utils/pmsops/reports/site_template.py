# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The HTML of the page over all runs, as Python: AnsiballZ ships nothing else to the host."""

from __future__ import annotations

from ansible.module_utils.pmsops.reports.html_document import document

MORE_STYLE = """
main, header, footer { max-width: 76rem; }
h1 { font-size: clamp(1.6rem, 6vw, 2.4rem); margin: 2rem 0 .25rem; }
[hidden] { display: none !important; }
.search { position: sticky; top: 0; z-index: 1; background: var(--paper); padding: .75rem 0;
  margin-top: 2rem; border-bottom: 1px solid var(--line); }
.search label { display: block; font-size: .875rem; color: var(--muted); }
.search input { width: 100%; font: inherit; color: inherit; background: var(--card);
  border: 1px solid var(--muted); border-radius: 8px; padding: .5rem .75rem; }
.search output { display: block; min-height: 1.4rem; font-size: .875rem; color: var(--muted); }
section, tr { scroll-margin-top: 8rem; }
td { min-width: 4.5rem; }
td.long { min-width: 14rem; overflow-wrap: anywhere; }
td.links a { display: inline-block; margin-right: .5rem; }
tr:target { background: var(--warn-soft); }
details.month { font-size: 1rem; color: inherit; margin: .5rem 0; padding: .25rem 1rem;
  background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
details.month > summary { padding: .5rem 0; }
pre { margin: .25rem 0; white-space: pre-wrap; overflow-wrap: anywhere;
  font: .8125rem/1.45 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
@media (max-width: 34rem) {
  td, th { padding-right: .5rem; }
  section, tr { scroll-margin-top: 7rem; }
}
@media print {
  .search { display: none; }
  .scroll { overflow: visible; }
  td, td.long { min-width: 0; overflow-wrap: anywhere; }
}
"""

# Ages are of the day on which the page is read, so the browser tells them. Without a script the
# page has its dates and all rows; the field for the search then stays hidden.
SCRIPT = """
(() => {
  'use strict';
  const units = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]];
  for (const cell of document.querySelectorAll('time[data-age]')) {
    const seconds = Math.max(0, (Date.now() - Date.parse(cell.dateTime)) / 1000);
    const [unit, length] = units.find(each => seconds >= 2 * each[1]) || units[3];
    cell.append(` (${Math.floor(seconds / length)} ${unit} old)`);
  }
  for (const cell of document.querySelectorAll('time[data-ends]')) {
    if (Date.now() <= Date.parse(cell.dataset.ends)) continue;
    cell.insertAdjacentHTML('afterend', ' <span class="tag bad">overdue</span>');
  }
  const form = document.querySelector('.search');
  const field = form.querySelector('input');
  const said = form.querySelector('output');
  const rows = [...document.querySelectorAll('tbody > tr')].map(
    row => [row, row.textContent.toLowerCase()]);
  const months = [...document.querySelectorAll('details.month')].map(each => [each, each.open]);
  const tables = [...document.querySelectorAll('.table')];
  function filter() {
    const words = field.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let shown = 0;
    for (const [row, text] of rows) {
      row.hidden = !words.every(word => text.includes(word));
      shown += !row.hidden;
    }
    for (const [month, open] of months) {
      month.hidden = !month.querySelector('tbody > tr:not([hidden])');
      month.open = words.length ? !month.hidden : open;
    }
    for (const table of tables) {
      const none = !table.querySelector('tbody > tr:not([hidden])');
      table.querySelector('.none').hidden = !none;
      for (const part of table.querySelectorAll('.scroll')) part.hidden = none;
    }
    said.textContent = words.length ? `${shown} of ${rows.length} rows fit` : '';
  }
  function show() {
    const row = document.getElementById(location.hash.slice(1));
    const month = row && row.closest('details.month');
    if (month && !month.open) { month.open = true; row.scrollIntoView(); }
  }
  field.addEventListener('input', filter);
  form.addEventListener('submit', event => event.preventDefault());
  addEventListener('hashchange', show);
  form.hidden = false;
  if (field.value) filter();
  show();
})();
"""

BODY = """
{% macro when(moment, age=false) -%}
{% if not moment %}<span class="muted">unknown</span>
{%- elif moment.stamp %}<time datetime="{{ moment.stamp }}"{% if age %} data-age{% endif %}>\
{{ moment.text }}</time>
{%- else %}{{ moment.text }}{% endif %}
{%- endmacro %}
{% macro problem(text) -%}
{% if text %}<br><span class="tag bad">problem</span> {{ text }}{% endif %}
{%- endmacro %}
{% macro links(row, name) -%}
{% if row.report %}<a href="{{ row.report }}">report<span class="hidden"> of {{ name }}</span></a>\
{% endif %}
{% if row.record %}<a href="{{ row.record }}">record<span class="hidden"> of {{ name }}</span></a>\
{% endif %}
{%- endmacro %}
<a class="skip" href="#content">To the content</a>
<header>
<h1>Evidence{% if system %} of {{ system }}{% endif %}</h1>
<p class="muted">{% if newest %}Up to {{ when(newest) }}, line {{ ledger.lines }} of the ledger. \
{% endif %}All times are of São Paulo.</p>
<ul class="tiles">
<li><a href="#runs"><strong>{{ runs[0].verdict if runs else "none" }}</strong>\
<span>newest of {{ runs | length }} go-live run{{ "s" if runs | length != 1 }}</span></a></li>
<li><a href="#sets"><strong>{{ proved }} of {{ sets | length }}</strong>\
<span>sets proved by a drill</span></a></li>
<li><a href="#drills"><strong>{{ drills[0].outcome if drills else "none" }}</strong>\
<span>newest of {{ drills | length }} drill{{ "s" if drills | length != 1 }}</span></a></li>
<li><a href="#incidents"><strong>{{ open }} open</strong>\
<span>of {{ incidents | length }} incident{{ "s" if incidents | length != 1 }}</span></a></li>
<li><a href="#ledger"><strong>{{ "DAMAGED" if ledger.problems else "intact" }}</strong>\
<span>ledger of {{ ledger.lines }} line{{ "s" if ledger.lines != 1 }}</span></a></li>
</ul>
</header>
<main id="content">
{% if problems %}
<section aria-labelledby="problems">
<h2 id="problems">What cannot be trusted</h2>
<div class="notes red"><ul>
{% for text in problems %}<li>{{ text }}</li>
{% endfor %}
</ul></div>
</section>
{% endif %}
<form class="search" role="search" hidden>
<label for="search">Search all tables: names, dates, verdicts, hosts, hashes</label>
<input id="search" type="search" autocomplete="off">
<output for="search" aria-live="polite"></output>
</form>
<section aria-labelledby="runs" class="table">
<h2 id="runs">Go-live runs</h2>
<p class="none muted"{% if runs %} hidden{% endif %}>No run {{ "fits" if runs else "yet" }}.</p>
{% if runs %}
<div class="scroll" tabindex="0" role="region" aria-label="Table of go-live runs"><table>
<thead><tr><th scope="col">Run</th><th scope="col">Verdict</th><th scope="col">Began</th>\
<th scope="col">Passed</th><th scope="col">Blockers</th><th scope="col">Negative control</th>\
<th scope="col">Files</th></tr></thead>
<tbody>
{% for run in runs %}
<tr><td>{{ run.id }}{{ problem(run.problem) }}</td>\
<td><span class="tag {{ run.tone }}">{{ run.verdict }}</span></td>\
<td class="date">{{ when(run.at) }}</td><td>{{ run.checks }}</td>\
<td class="long">{{ run.blocking }}</td><td>{{ run.control }}</td>\
<td class="links">{{ links(run, run.id) }}</td></tr>
{% endfor %}
</tbody></table></div>
{% endif %}
</section>
<section aria-labelledby="sets" class="table">
<h2 id="sets">Backup sets</h2>
<p class="none muted"{% if sets %} hidden{% endif %}>No set {{ "fits" if sets else "yet" }}.</p>
{% if sets %}
<div class="scroll" tabindex="0" role="region" aria-label="Table of backup sets"><table>
<thead><tr><th scope="col">Set</th><th scope="col">Made</th>\
<th scope="col" class="number">Size</th><th scope="col">Proved</th><th scope="col">Hold</th>\
<th scope="col">Files</th></tr></thead>
<tbody>
{% for each in sets %}
<tr id="{{ each.anchor }}"><td>{{ each.id }}{% if each.other %} of {{ each.other }}{% endif %}\
{{ problem(each.problem) }}</td>\
<td class="date">{{ when(each.made, true) }}</td><td class="number">{{ each.size }}</td>\
<td>{% if each.verified %}<span class="tag good">proved</span> {{ when(each.verified) }}\
{% else %}<span class="tag warn">not proved</span>{% endif %}</td>\
<td>{% if each.held is not none %}<span class="tag warn">held</span> {{ each.held }}{% endif %}\
</td><td class="links">{% if each.manifest %}<a href="{{ each.manifest }}">manifest\
<span class="hidden"> of {{ each.id }}</span></a>{% endif %}</td></tr>
{% endfor %}
</tbody></table></div>
{% endif %}
</section>
<section aria-labelledby="drills" class="table">
<h2 id="drills">Restore drills</h2>
<p class="none muted"{% if drills %} hidden{% endif %}>No drill {{ "fits" if drills else "yet" }}.\
</p>
{% if drills %}
<div class="scroll" tabindex="0" role="region" aria-label="Table of restore drills"><table>
<thead><tr><th scope="col">Day</th><th scope="col">Set</th><th scope="col">Outcome</th>\
<th scope="col">Time to recover</th>\
{% if fetched %}<th scope="col">With the fetch</th>{% endif %}\
<th scope="col">Data loss</th>\
{% if elsewhere %}<th scope="col">Host</th>{% endif %}\
<th scope="col">Negative control</th><th scope="col">Record</th></tr></thead>
<tbody>
{% for each in drills %}
<tr><td class="date">{{ when(each.at) }}</td>\
<td>{% if each.anchor %}<a href="#{{ each.anchor }}">{{ each.set }}</a>\
{% else %}{{ each.set }}{% endif %}</td>\
<td><span class="tag {{ each.tone }}">{{ each.outcome }}</span></td>\
<td>{{ each.rto }}{% if each.target %} <span class="tag {{ "bad" if each.late else "good" }}">\
target {{ each.target }}</span>{% endif %}</td>\
{% if fetched %}<td>{{ each.fetched }}</td>{% endif %}\
<td>{{ each.rpo }}</td>\
{% if elsewhere %}<td>{{ each.where }}</td>{% endif %}\
<td>{{ each.control }}</td>\
<td><a href="#{{ each.line }}">line {{ each.seq }}</a></td></tr>
{% endfor %}
</tbody></table></div>
{% endif %}
</section>
<section aria-labelledby="incidents" class="table">
<h2 id="incidents">Incidents</h2>
<p class="none muted"{% if incidents %} hidden{% endif %}>No incident \
{{ "fits" if incidents else "yet" }}.</p>
{% if incidents %}
<div class="scroll" tabindex="0" role="region" aria-label="Table of incidents"><table>
<thead><tr><th scope="col">Incident</th><th scope="col">Began</th><th scope="col">State</th>\
<th scope="col">Recovery</th><th scope="col">Cause</th><th scope="col">Data loss</th>\
<th scope="col">Files</th></tr></thead>
<tbody>
{% for each in incidents %}
<tr><td>{{ each.title }}<br><span class="muted small">{{ each.id }}</span>\
{{ problem(each.problem) }}</td>\
<td class="date">{{ when(each.at) }}</td>\
<td><span class="tag {{ "good" if each.closed else "bad" }}">{{ each.state }}</span></td>\
<td>{{ each.took }}</td><td class="long">{{ each.cause }}</td>\
<td class="long">{{ each.lost }}</td>\
<td class="links">{{ links(each, each.id) }}</td></tr>
{% endfor %}
</tbody></table></div>
{% endif %}
</section>
<section aria-labelledby="deficiencies" class="table">
<h2 id="deficiencies">Deficiencies</h2>
<p class="none muted"{% if deficiencies %} hidden{% endif %}>No deficiency \
{{ "fits" if deficiencies else "yet" }}.</p>
{% if deficiencies %}
<div class="scroll" tabindex="0" role="region" aria-label="Table of deficiencies"><table>
<thead><tr><th scope="col">Deficiency</th><th scope="col">What</th><th scope="col">Owner</th>\
<th scope="col">Opened</th><th scope="col">Due</th><th scope="col">State</th></tr></thead>
<tbody>
{% for each in deficiencies %}
<tr><td>{{ each.id }}</td><td class="long">{{ each.title }}\
{% if each.finding %}<br><span class="muted small">{{ each.finding }}</span>{% endif %}</td>\
<td>{{ each.owner }}</td><td class="date">{{ when(each.opened) }}</td>\
<td class="date">{% if each.ends %}<time datetime="{{ each.due }}" data-ends="{{ each.ends }}">\
{{ each.due }}</time>{% else %}{{ each.due }}{% endif %}</td>\
<td>{% if each.closed %}<span class="tag good">closed</span> {{ when(each.closed) }}, shown by \
line {{ each.shown }}{% else %}<span class="tag warn">open</span>{% endif %}</td></tr>
{% endfor %}
</tbody></table></div>
{% endif %}
</section>
<section aria-labelledby="ledger" class="table">
<h2 id="ledger">Timeline: every line of the ledger</h2>
<p>{{ ledger.lines }} line{{ "s" if ledger.lines != 1 }}, {{ ledger.signed_lines }} signed\
{% if ledger.key %} (key <code>{{ ledger.key }}</code>){% endif %}; \
{{ "damaged" if ledger.problems else "chain intact" }}, \
{{ "signatures checked" if ledger.checked else "signatures not checked here" }}. \
Last hash <code>{{ ledger.sha256 }}</code>.</p>
{% for text in ledger.notes %}<p class="small muted">Note: {{ text }}</p>
{% endfor %}
<p class="none muted"{% if months %} hidden{% endif %}>No line {{ "fits" if months else "yet" }}.\
</p>
{% for group in months %}
<details class="month"{% if loop.first %} open{% endif %}>
<summary>{{ group.month }}: {{ group.lines | length }} \
line{{ "s" if group.lines | length != 1 }}</summary>
<div class="scroll" tabindex="0" role="region" aria-label="Lines of {{ group.month }}"><table>
<thead><tr><th scope="col">Line</th><th scope="col">Time</th><th scope="col">Kind</th>\
<th scope="col">What</th></tr></thead>
<tbody>
{% for line in group.lines %}
<tr id="{{ line.anchor }}"><td>{{ line.seq }}</td><td class="date">{{ when(line.at) }}</td>\
<td>{{ line.kind }}</td><td class="long">{{ line.text }}\
{% if line.link %} <a href="{{ line.link }}">files<span class="hidden"> of line {{ line.seq }}\
</span></a>{% endif %}
<details><summary>Record<span class="hidden"> of line {{ line.seq }}</span></summary>\
<pre>{{ line.record }}</pre></details></td></tr>
{% endfor %}
</tbody></table></div>
</details>
{% endfor %}
</section>
</main>
<footer>
<p>This page is made of the files beside it, and needs no server and no network. \
<code>pms-ops site</code> makes it anew; \
<code>scripts/verify_ledger.py</code> checks the ledger itself.</p>
</footer>
<script>{{ script | safe }}</script>
"""

TEMPLATE = document(
    "Evidence{% if system %} of {{ system }}{% endif %}",
    BODY,
    policy="script-src 'sha256-{{ script_hash }}'; ",
    style=MORE_STYLE,
)
