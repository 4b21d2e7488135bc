# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report for a period, as a template: a section for each question of an auditor."""

from __future__ import annotations

from ansible.module_utils.pmsops.reports.html_document import document

MORE_STYLE = """
header h1 { margin: 2rem 0 .25rem; font-size: clamp(1.75rem, 6vw, 2.5rem); }
main, header, footer { max-width: 76rem; }
nav ol { columns: 18rem; column-gap: 2.5rem; padding-left: 1.3rem; font-size: .9375rem; }
.hint { display: none; font-size: .8125rem; }
.scroll { scrollbar-width: thin; }
td { overflow-wrap: break-word; }
.wide td, .wide th { padding-right: .6rem; }
td.any { overflow-wrap: anywhere; min-width: 6.5rem; }
.tiles { grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); }
.tiles strong { overflow-wrap: normal; }
/* A name of a run or a set breaks nowhere, a hash may. */
td.name, .id { white-space: nowrap; }
/* On a phone a row is a card: each cell below the heading of its column. */
@media screen and (max-width: 40rem) {
  .scroll thead { position: absolute; width: 1px; height: 1px; overflow: hidden;
    clip-path: inset(50%); }
  .scroll table, .scroll tbody, .scroll tr, .scroll td { display: block; }
  .scroll tr { padding: .5rem 0; border-bottom: 2px solid var(--line); }
  .scroll td { padding: .15rem 0; border: 0; text-align: left; overflow-wrap: anywhere; }
  .scroll td.name, .scroll .id { white-space: normal; }
  .scroll td:not([colspan])::before { display: block; font-size: .75rem; color: var(--muted); }
{% for number in range(1, 13) %}
  .scroll td:not([colspan]):nth-child({{ number }})::before { content: var(--c{{ number }}); }
{% endfor %}
}
@media screen and (min-width: 40.01rem) and (max-width: 64rem) { .hint { display: block; }
  .scroll { border-right: 2px dashed var(--muted); overflow-x: scroll; } }
.gap { padding: .5rem .85rem; border-left: 3px solid var(--warn); background: var(--warn-soft); }
td.long { overflow-wrap: anywhere; min-width: 12rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: .75rem 1rem;
  background: var(--shade); border-radius: 8px; }
code { overflow-wrap: anywhere; }
.tiles li { padding: .9rem 1rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 12px; }
@page { size: A4 landscape; margin: 12mm 14mm 16mm; @bottom-left { font: 7pt sans-serif;
    content: "{{ t("title") }}, \
{{ day(m.period.since) }} {{ t("to") }} {{ day(m.period.until) }}"; }
  @bottom-center { font: 7pt sans-serif; content: "{{ foot(m.system) }} · \
{% for name, count in f.environments %}{{ foot(name or t("not_measured")) }} · {% endfor %}\
{{ t("made_at") }} {{ foot(when(m.made_at)) }} · {{ t("key") }} {{ foot(m.ledger.key[:16]) }}"; }
  @bottom-right { font: 7pt sans-serif; content: counter(page) " / " counter(pages); } }
@media print { .hint { display: none; } h2 + p, h3 + p { break-after: avoid; }
  header h1 { margin: 0 0 .25rem; font-size: 20pt; } h2 { margin: 1.5rem 0 .5rem; }
  header, .gap { font-size: 9pt; } nav ol { font-size: 8.5pt; columns: 3; margin: .5rem 0 0; }
  .tiles { grid-template-columns: repeat(7, 1fr); gap: .4rem; } .tiles li { padding: .4rem .6rem; }
  .tiles span { font-size: 8pt; } .charts { display: block; break-before: avoid; }
  figure { display: inline-block; width: 49%; padding: .5rem; vertical-align: top; }
  td.phases { min-width: 10rem; } .tag { font-size: 7pt; line-height: 1.4; padding: 0 .3rem; }
  .scroll { break-before: avoid; } .more { break-before: avoid; }
  th, td { padding-top: .25rem; padding-bottom: .25rem; orphans: 3; widows: 3; }
  pre { break-before: avoid; break-inside: avoid; }
  section[aria-labelledby="proof"] > p { break-after: avoid; } .wide table { font-size: 7.5pt; }
  table { font-size: 8.5pt; }
  thead { display: table-header-group; } .scroll { overflow: visible; } }
"""

MACROS = """
{% macro head(id, lead="") %}<h2 id="{{ id }}">{{ t(id) }}</h2>
{% if lead %}<p class="muted">{{ t(lead) }}</p>
{% endif %}{% endmacro %}
{% macro file(name, label) %}{% if links and name in names %}<a href="{{ name }}">{{ label }}</a>\
{% else %}{{ label }}{% endif %}{% endmacro %}
{% macro id(name) %}{% if name | length > 40 %}{{ name }}{% else %}\
<span class="id">{{ name }}</span>{% endif %}{% endmacro %}
{% macro readable(folder, names_of, name) %}\
{% set there = namespace(page=none) %}\
{% for each in names_of if there.page is none and folder ~ "/" ~ name ~ "/" ~ each in names %}\
{% set there.page = folder ~ "/" ~ name ~ "/" ~ each %}{% endfor %}\
{% set raw = folder ~ "/" ~ name ~ ("/incident.json" if folder == "incidents" else \
"/record.json") %}\
{% if links and there.page %}<a href="{{ there.page }}">{{ id(name) }}</a>\
{% if raw in names %} (<a href="{{ raw }}" aria-label="{{ name }}, JSON">JSON</a>){% endif %}\
{% else %}{{ file(raw, id(name)) }}{% endif %}{% endmacro %}
{% macro run_of(name) %}{{ readable("records", ["report.html", "checklist.md"], name) }}\
{% endmacro %}
{% macro open(label, columns) %}
{% if columns | length > 2 %}<p class="hint muted">{{ t("scroll") }}</p>
{% endif %}<div class="scroll{% if columns | length > 8 %} wide{% endif %}" \
tabindex="0" role="region" aria-label="{{ t("table") }}: {{ t(label) }}"><table \
style="{% for each in columns %}--c{{ loop.index }}:&quot;{{ t(each) }}&quot;;\
{% endfor %}">
<thead><tr>{% for each in columns %}<th scope="col"\
{% if each in numeric %} class="number"{% endif %}>{{ t(each) }}</th>{% endfor %}</tr></thead>
<tbody>
{% endmacro %}
{% macro close() %}
</tbody></table></div>
{% endmacro %}
{% macro nothing() %}<p class="muted">{% if f.begins %}\
{{ t("none_since", day=when(f.begins).split(" ")[0]) }}{% else %}{{ t("none") }}{% endif %}</p>
{% endmacro %}
{% macro tag(verdict) %}<span class="tag \
{{ {"pass": "good", "fail": "bad"}.get(verdict, "warn") }}">{{ t(verdict) }}</span>{% endmacro %}
{% macro line(each) %}<td>{{ each.line }}</td><td class="date">{{ when(each.at) }}</td>\
{% endmacro %}
{% macro control(each) %}{% if each.control %}\
{% if each.control == "found" %}{{ t("found") }}{% else %}<span class="tag bad">\
{{ t("not_found") }}</span>{% endif %}{% else %}{{ t("not_measured") }}{% endif %}{% endmacro %}
{% macro phase(name) %}{{ t("restore_phase" if name == "restore" else name) }}{% endmacro %}
{% macro phases(each) %}{% for name, seconds in each.phases.items() %}\
{{ phase(name) }} {{ duration(seconds) }}{% if not loop.last %}, {% else %}<br>{% endif %}\
{% endfor %}{% if each.missing %}{{ t("not_measured") }}: {% for name in each.missing %}\
{{ phase(name) }}{% if not loop.last %}, {% endif %}{% endfor %}{% endif %}\
<br>{{ t("elapsed") }} {{ duration(each.elapsed_seconds) }}{% endmacro %}
{% macro against(took, goal, missing) %}{{ duration(took) }}{% if took is not none %}<br>\
{% if goal %}<span class="tag {{ "bad" if took > goal else "warn" if missing else "good" }}">\
{{ t("over" if took > goal else "within") }} ({{ duration(goal) }})</span>{% if missing %} \
{{ t("of_measured") }}{% endif %}{% else %}{{ t("no_target") }}{% endif %}{% endif %}{% endmacro %}
{% macro changed(ids, first) %}{% if ids %}{{ ids | join(", ") }}{% else %}\
<span aria-hidden="true">&ndash;</span> {{ t("first_version" if first else "unchanged") }}\
{% endif %}{% endmacro %}
{% macro stamps(each) %}{{ t("stamps_1" if each.count == 1 else "stamps", \
count=each.count | string) }}, {{ when(each.first.at).split(" ")[0] }} ({{ t("line_of") }} \
{{ each.first.line }}){% if each.count > 1 %} {{ t("to") }} \
{{ when(each.last.at).split(" ")[0] }} ({{ t("line_of") }} {{ each.last.line }}){% endif %}, \
{{ t("authority") }}: {{ each.authorities | join("; ") or t("not_measured") }} \
({{ t("root_given" if each.root else "root_none") }}){% endmacro %}
{% macro after() %}{% if f.anchors.after %}{{ t("after_stamps", \
line=f.anchors.after.line | string, day=when(f.anchors.after.at).split(" ")[0]) }}{% else %}\
{{ t("all_stamped") }}{% endif %}{% endmacro %}
{% macro of_other(each) %}{% if each.other %} {{ t("of_database") }} {{ each.other }}{% endif %}\
{% endmacro %}
{% macro known(value) %}{{ value or t("not_on_record") }}{% endmacro %}
{% macro listed(names) %}{{ names | join(", ") or t("nothing") }}{% endmacro %}
{% macro late(days, one, more) %}{{ t(one if days == 1 else more, count=days | string) }}\
{% endmacro %}
{% macro by(each) %}<td>{{ each.ran_by or t("not_measured") }}{% if each.ticket %}<br>\
{{ each.ticket }}{% endif %}</td>{% endmacro %}
"""

SECTIONS = """
<section aria-labelledby="plan">
{{ head("plan", "plan_lead") }}
{% if plan is none %}<p class="gap">{{ t("no_plan") }}</p>
{% elif not plan %}{{ nothing() }}
{% else %}{{ open("plan", ["job", "when", "planned", "done", "failed", "missed", "not_measured"]) }}
{% for job in plan %}
<tr><td>{{ job.title | said }}<br><code>{{ job.name }}</code></td>\
<td>{{ t(job.days) }}{% if job["at"] | length < 6 %}, {{ job["at"] | join(", ") }}{% else %}, \
{{ job["at"] | length }} &times;{% endif %}</td>\
<td class="number">{{ job.planned }}</td>
{% if job.counts %}<td class="number">{{ job.counts.done }}</td>\
<td class="number">{{ job.counts.failed }}</td>\
<td class="number">{% if job.counts.missed %}<span class="tag bad">{{ job.counts.missed }}</span>\
{% else %}0{% endif %}</td><td class="number">{{ job.counts.not_measured }}</td>\
{% elif job.of == "anchor" and f.anchors.stamps %}<td colspan="4">{{ t("anchor_stamps") }}: \
{% for each in f.anchors.stamps %}{{ stamps(each) }}{% if not loop.last %}; {% endif %}{% endfor %}\
</td>{% else %}<td colspan="4">{{ t("unrecorded") }}</td>{% endif %}</tr>
{% if job.missed_at %}<tr class="more"><td colspan="7"><strong>{{ t("missed_at") }}</strong>: \
{{ job.missed_at[:shown] | map("when") | join(", ") }}{% if job.missed_at | length > shown %} \
(+{{ job.missed_at | length - shown }} {{ t("more") }}){% endif %}</td></tr>
{% endif %}
{% if job.failed_before %}<tr class="more"><td colspan="7">\
<strong>{{ t("failed_before") }}</strong>: \
{{ job.failed_before[:shown] | map("when") | join(", ") }}\
{% if job.failed_before | length > shown %} \
(+{{ job.failed_before | length - shown }} {{ t("more") }}){% endif %}</td></tr>
{% endif %}
{% if job.unknown_until %}<tr class="more"><td colspan="7">\
{{ t("unknown_until", moment=when(job.unknown_until)) }}</td></tr>
{% endif %}
{% endfor %}{{ close() }}{% endif %}
</section>
<section aria-labelledby="runs">
{{ head("runs") }}
{% if not f.runs %}{{ nothing() }}{% else %}
{{ open("runs", ["line", "at", "run", "verdict", "checks", "unmeasured_checks", "blocking",
  "control", "ran_by"]) }}
{% for run in f.runs %}
<tr>{{ line(run) }}<td class="name">{{ run_of(run.run) }}\
{% if run.partial %} ({{ t("partial") }}){% endif %}</td>\
<td>{% if run.verdict == "pass" and run.result == "WARNED" %}<span class="tag warn">\
{{ t("pass_warned") }}</span>{% else %}{{ tag(run.verdict) }}{% endif %}\
{% if run.unanswered %}<br>{{ t("unanswered", count=run.unanswered | length | string) }}: \
{{ run.unanswered | join(", ") }}{% endif %}</td>\
<td>{% if run.checks is none %}{{ t("not_measured") }}{% else %}{{ t("checks_of", \
passed=run.passed | string, total=run.checks | string) }}{% if run.attested %}<br>\
{{ t("attested_more", count=run.attested | string) }}{% endif %}{% endif %}</td>\
<td>{{ t("not_measured") if run.not_measured is none else run.not_measured }}</td>\
<td class="long">{{ listed(run.blocking) }}</td><td>{{ control(run) }}</td>\
{{ by(run) }}</tr>
<tr class="more"><td colspan="9">{% if run.has_record %}<strong>{{ t("failed_checks") }}</strong>: \
{{ listed(run.failed) }}. <strong>{{ t("waived_checks") }}</strong>: \
{{ listed(run.waived) }}. <strong>{{ t("flaky_checks") }}</strong>: {{ listed(run.flaky) }}\
{% else %}<strong>{{ t("failed_checks") }}</strong>: {{ t("not_on_record") }}{% endif %}</td></tr>
{% endfor %}{{ close() }}{% endif %}
</section>
<section aria-labelledby="sets">
{{ head("sets", "sets_lead") }}
{% if not f.sets %}{{ nothing() }}{% else %}
{{ open("sets", ["line", "made", "set", "size", "rows", "encrypted", "proved", "state",
  "ran_by"]) }}
{% for each in f.sets %}
<tr>{{ line(each) }}<td class="name">{{ each.set }}\
{% if each.other %} {{ t("of_database") }} {{ each.other }}{% endif %}</td>\
<td class="number">{{ size(each.size_bytes) }}</td>\
<td class="number">{{ number(each.rows) }}</td>\
<td>{{ t("not_measured") if each.encrypted is none else t("yes" if each.encrypted else "no") }}\
</td>\
<td>{% for one in each.shown %}<span class="tag \
{{ "good" if one.event == "proved" and loop.last else "warn" if one.event == "proved" else "bad" }}\
">{{ t("event_" ~ one.event) }} {{ when(one.at).split(" ")[0] }}</span> \
({{ t("line_of") }} {{ one.line }}){% if not loop.last %}; {% endif %}{% else %}\
<span class="tag warn">{{ t("not_proved") }}</span>{% endfor %}\
{% if each.proved_by and each.not_covered %}<br>{{ t("not_proved_of") }}: \
{{ each.not_covered | map("said") | join("; ") }}{% endif %}</td>\
<td>{{ t(each.state) }}{% if each.removed_by %} ({{ t("line_of") }} {{ each.removed_by }})\
{% endif %}</td>{{ by(each) }}</tr>
{% if each.left_out %}<tr class="more"><td colspan="10"><strong>{{ t("left_out") }}</strong>: \
{{ each.left_out | map("said") | join("; ") }}</td></tr>
{% endif %}
{% endfor %}{{ close() }}
<p>{{ t("newest_good") }}: {% if f.newest_good %}<strong>{{ f.newest_good.set }}</strong> \
({{ t("line_of") }} {{ f.newest_good.line }}), {{ t("old_then", \
age=duration(f.newest_good.age_seconds)) }}{% else %}\
<span class="tag bad">{{ t("no_good_set") }}</span>{% endif %}</p>
<p class="muted">{{ t("present_only") }}</p>
{% endif %}
</section>
<section aria-labelledby="times">
{{ head("times", "times_lead") }}
{% if charts %}<div class="charts">
{% for each in charts %}<figure><figcaption>{{ each.caption }}</figcaption>{{ each.svg }}</figure>
{% endfor %}</div>
{% else %}<p class="gap">{{ t("no_times") }}</p>
{% endif %}
<p>{% if f.interval %}{{ t("interval") }}: \
<strong>{{ duration(f.interval.seconds) }}</strong> ({{ when(f.interval.since) }} {{ t("to") }} \
{{ when(f.interval.until) }}).{% if targets.rpo %} <span class="tag {{ "bad" if \
f.interval.seconds > targets.rpo else "good" }}">{{ t("over" if f.interval.seconds > targets.rpo \
else "within") }} ({{ duration(targets.rpo) }})</span>{% endif %}{% else %}{{ t("interval") }}: \
{{ t("not_measured") }}{% endif %}</p>
{% if f.ages %}<h3>{{ t("ages") }}</h3>
<p class="muted">{{ t("ages_lead") }}</p>
{{ open("ages", ["month", "sets_made", "oldest"]) }}
{% for each in f.ages %}
<tr><td>{{ each.month }}</td><td class="number">{{ each.sets }}</td><td>\
{% if each.seconds is none %}{{ t("no_set_before") }}{% else %}\
{{ against(each.seconds, targets.rpo, []) }}{% endif %}</td></tr>
{% endfor %}{{ close() }}{% endif %}
{% if f.drills %}<h3>{{ t("drills_of") }}</h3>
<p class="muted">{{ t("drills_lead") }}</p>
{{ open("drills_of", ["line", "at", "verdict", "set", "where", "rto", "rpo",
  "phases", "control", "ran_by"]) }}
{% for each in f.drills %}
<tr>{{ line(each) }}\
<td class="any">{{ tag(each.verdict) }}{% if each.why %}<br>{{ each.why | said }}\
{% endif %}</td><td class="name">{{ each.set or t("no_set_named") }}\
{% if each.set_of_error %}<br>{{ t("set_of_error") }}{% endif %}{{ of_other(each) }}</td>\
<td>{{ each.where or t("here") }}, \
{{ t("segregated" if each.segregated else "not_segregated") }}</td>
{% for name in ["rto", "rpo"] %}{% set took, goal = each[name ~ "_seconds"], \
each[name ~ "_target_seconds"] or targets[name] %}
<td>{{ against(took, goal, each.missing if name == "rto" else []) }}</td>\
{% endfor %}<td class="phases">{{ phases(each) }}</td>\
<td>{{ control(each) }}</td>{{ by(each) }}</tr>
{% endfor %}{{ close() }}{% endif %}
</section>
<section aria-labelledby="waivers">
{{ head("waivers") }}
{% if not f.waivers %}{{ nothing() }}{% else %}
{{ open("waivers", ["line", "at", "check", "who", "why", "since", "until"]) }}
{% for each in f.waivers %}
<tr>{{ line(each) }}<td>{{ known(each.check) }}</td><td>{{ known(each.who) }}</td>\
<td class="long">{{ known(each.why) }}</td><td>{{ day(each.when) }}</td>\
<td>{{ day(each.until) }}</td></tr>
{% endfor %}{{ close() }}{% endif %}
</section>
<section aria-labelledby="holds">
{{ head("holds") }}
<h3>{{ t("hold_acts") }}</h3>
<p class="muted">{{ t("hold_acts_lead") }}</p>
{% if not f.hold_acts %}{{ nothing() }}{% else %}
{{ open("hold_acts", ["line", "at", "what", "set", "why", "ran_by"]) }}
{% for each in f.hold_acts %}
<tr>{{ line(each) }}<td>{{ t("hold_" ~ each.act) if each.act in ("held", "lifted") else \
known(each.act) }}</td><td class="any">{{ id(known(each.set)) }}{{ of_other(each) }}</td>\
<td class="long">{{ known(each.reason) }}</td>{{ by(each) }}</tr>
{% endfor %}{{ close() }}{% endif %}
<h3>{{ t("holds_now") }}</h3>
{% if not f.holds %}<p class="muted">{{ t("no_holds") }}</p>
{% else %}{{ open("holds_now", ["set", "made", "held_since", "why"]) }}
{% for each in f.holds %}<tr><td>{{ id(each.set) }}{{ of_other(each) }}</td><td class="date">\
{{ when(each.made) }}</td>\
<td class="date">{{ when(each.since) if each.since else t("not_measured") }}</td>\
<td class="long">{{ known(each.reason) }}</td></tr>
{% endfor %}{{ close() }}{% endif %}
<h3>{{ t("deletions") }}</h3>
{% if not f.deletions %}{{ nothing() }}{% else %}
{{ open("deletions", ["line", "at", "set", "who", "why"]) }}
{% for each in f.deletions %}
<tr>{{ line(each) }}<td class="long">{{ each.sets | join(", ") }}{{ of_other(each) }}</td>\
<td>{{ t("by_" ~ each.by) }}{% if each.site %}, {{ t("on_site") }}{% endif %}</td>\
<td class="long">{{ known(each.reason) }}</td></tr>
{% endfor %}{{ close() }}{% endif %}
</section>
<section aria-labelledby="restores">
{{ head("restores") }}
<h3>{{ t("restores_of") }}</h3>
{% if not f.restores %}{{ nothing() }}{% else %}
{{ open("restores_of", ["line", "at", "kind", "verdict", "set", "down", "former", "phases",
  "rto", "rpo", "ran_by"]) }}
{% for each in f.restores %}
<tr>{{ line(each) }}<td>{{ t("kind_" ~ each.kind) }}{% if each.tables %}<br>\
{{ each.tables | join(", ") }}{% endif %}</td>\
<td class="any">{{ tag(each.verdict) }}{% if each.why %}<br>{{ each.why | said }}{% endif %}</td>\
<td class="any">{{ id(known(each.set)) }}{{ of_other(each) }}</td>\
<td>{{ duration(each.down_seconds) }}</td>\
<td class="any">{{ id(known(each.former)) }}</td><td class="phases">{{ phases(each) }}</td>\
<td>{{ against(each.phases_seconds, targets.rto if each.verdict == "pass" else none, \
each.missing) }}</td>\
<td>{{ against(each.rpo_seconds, each.rpo_target_seconds or targets.rpo, []) }}</td>\
{{ by(each) }}</tr>
<tr class="more"><td colspan="11"><strong>{{ t("control") }}</strong>: {{ control(each) }}. \
<strong>{{ t("restore_left") }}</strong>: {{ each.not_covered | join("; ") or t("not_measured") }}\
</td></tr>
{% endfor %}{{ close() }}{% endif %}
<h3>{{ t("incidents") }}</h3>
{% if not f.incidents %}{{ nothing() }}{% else %}
<p class="muted">{{ t("incidents_lead") }}</p>
{{ open("incidents", ["incident", "began", "closed", "recovery", "phases", "cause", "data_loss"]) }}
{% for each in f.incidents %}
<tr><td>{{ each.title | said or t("not_on_record") }}<br><code>\
{{ readable("incidents", ["incident.md"], each.id) }}</code>{% if not each.readable %} \
<span class="tag bad">{{ t("unreadable") }}</span>{% endif %}</td>\
<td class="date">{{ when(each.began_at, seconds=true) }}</td>\
<td class="date">{% if each.closed_at %}{{ when(each.closed_at, seconds=true) }}{% else %}\
<span class="tag bad">{{ t("open") }}</span>{% endif %}</td>\
<td>{{ duration(each.recovery_seconds) }}</td><td class="phases">{{ phases(each) }}</td>\
<td class="long">{{ each.cause | said or t("not_on_record") }}</td>\
<td class="long">{% if each.data_loss %}{{ each.data_loss | said }}{% else %}\
{{ t("loss_not_measured" if each.closed_at else "not_on_record") }}{% endif %}</td></tr>
{% endfor %}{{ close() }}{% endif %}
</section>
<section aria-labelledby="deficiencies">
{{ head("deficiencies", "deficiencies_lead") }}
{% if not f.deficiencies %}{{ nothing() }}{% else %}
{{ open("deficiencies", ["line", "at", "opened_by", "deficiency", "owner", "due", "state_end"]) }}
{% for each in f.deficiencies %}
<tr><td>{{ each.line }}</td><td class="date">{{ when(each.opened_at) }}</td>\
<td>{{ known(each.opened_by) }}</td>\
<td class="long">{{ known(each.title) }}<br><code>{{ each.id }}</code> \
{{ known(each.finding) }}</td>\
<td>{{ known(each.owner) }}</td><td class="date">{{ day(each.due) }}</td>\
<td>{% if each.closed %}{{ t("closed_by") }} {{ t("line_of") }} {{ known(each.closed_line) }}, \
{{ when(each.closed.at) }}{% if each.days_late %}; \
{{ late(each.days_late, "closed_late_1", "closed_late") }}\
{% endif %}{% else %}<span class="tag {{ "bad" if each.overdue else "warn" }}">\
{{ t("overdue" if each.overdue else "open") }}</span>{% if each.overdue %} \
{{ late(each.days_late, "days_overdue_1", "days_overdue") if each.days_late else \
t("not_measured") }}{% endif %}\
{% endif %}</td></tr>
{% endfor %}{{ close() }}{% endif %}
</section>
<section aria-labelledby="access">
{{ head("access") }}
<p class="gap">{{ t("access_gap") }}</p>
<h3>{{ t("changes") }}</h3>
{% if not f.changes %}{{ nothing() }}{% else %}
{{ open("changes", ["line", "at", "what", "key", "who", "why"]) }}
{% for each in f.changes %}
<tr>{{ line(each) }}<td>{{ t("event_" ~ each.what) if each.what in events else each.what }}\
{% if each.lines %}: {{ each.lines | join(", ") }}{% endif %}\
{% if each.machine %}: {{ each.machine }}{% endif %}</td>\
<td>{% if each.key %}<code>{{ each.key[:16] }}</code>{% else %}{{ t("not_on_record") }}{% endif %}\
</td><td>{{ known(each.who) }}</td><td class="long">{{ known(each.why) }}</td></tr>
{% endfor %}{{ close() }}{% endif %}
<h3>{{ t("approvals") }}</h3>
<p class="muted">{{ t("approvals_lead") }}</p>
{% if not f.approvals %}{{ nothing() }}{% else %}
{{ open("approvals", ["line", "at", "operation", "what", "ordered_by", "approved_by",
  "approved_at", "waited", "approval_signature"]) }}
{% for each in f.approvals %}
<tr>{{ line(each) }}<td>{{ t("plan_" ~ each.operation) if each.operation in operations else \
known(each.operation) }}</td><td class="any">{{ known(each.what) }}</td>\
<td>{{ known(each.ordered_by) }}</td><td>{{ known(each.approved_by) }}</td>\
<td class="date">{{ when(each.approved_at) }}</td><td>{{ duration(each.decide_seconds) }}</td>\
<td>{% if each.signed %}{{ t("signature_here") }} <code>{{ (each.approval_key or "")[:16] }}</code>\
{% else %}<span class="tag warn">{{ t("signature_not_here") }}</span>{% endif %}</td></tr>
{% endfor %}{{ close() }}{% endif %}
<h3>{{ t("persons") }}</h3>
{% for role, missing, total in f.unsigned if missing %}
<p class="gap">{{ t("unsigned_1" if total == 1 else "unsigned", \
role=t("role_" ~ role), count=missing | string, \
total=total | string) }}</p>
{% endfor %}
{% if not f.persons %}{{ nothing() }}{% else %}
{{ open("persons", ["line", "at", "who", "role", "decision", "run"]) }}
{% for each in f.persons %}
<tr>{{ line(each) }}<td>{{ known(each.name) }}</td>\
<td>{{ each.role | said or t("not_on_record") }}</td>\
<td class="long">{{ (each.decision or each.task) | said or ("" if each.check else \
t("not_on_record")) }}{% if each.check %}\
{{ t("attested_check") }} <code>{{ each.check }}</code> ({{ day(each.when) }}\
{% if each.until %}, {{ t("until") }} {{ day(each.until) }}{% endif %}): {{ known(each.why) }}\
{% endif %}</td><td>{{ run_of(each.run) if each.run else t("not_on_record") }}</td></tr>
{% endfor %}{{ close() }}{% endif %}
</section>
<section aria-labelledby="checklists">
{{ head("checklists") }}
{% if not f.checklists %}{{ nothing() }}{% else %}
{{ open("checklists", ["version", "first_run", "last_run", "runs_count", "checks_count", "added",
  "dropped"]) }}
{% for each in f.checklists %}
<tr><td><code>{{ each.sha256[:16] }}</code></td><td>{{ id(each.first) }}</td>\
<td>{{ id(each.last) }}</td>\
<td class="number">{{ each.runs }}</td>\
<td class="number">{{ each.checks | length }} ({{ each.blockers }})</td>\
<td class="long">{{ changed(each.added, loop.first) }}</td>\
<td class="long">{{ changed(each.removed, loop.first) }}</td></tr>
{% endfor %}{{ close() }}{% endif %}
</section>
<section aria-labelledby="not_covered">
{{ head("not_covered", "not_covered_lead") }}
{% if not f.not_covered %}<p class="muted">{{ t("not_covered_none") }}</p>{% else %}
{{ open("not_covered", ["what", "records_count"]) }}
{% for text, count in f.not_covered %}<tr><td class="long">{{ text | said }}</td>\
<td class="number">{{ count }}</td></tr>
{% endfor %}{{ close() }}{% endif %}
</section>
"""

BODY = (
    """
<a class="skip" href="#glance">{{ t("skip") }}</a>
<header>
<h1>{{ t("title") }}</h1>
<p>{{ t("period") }}: <strong>{{ day(m.period.since) }} {{ t("to") }} {{ day(m.period.until) }}\
</strong></p>
<p class="muted small">{{ t("system") }}: {{ m.system }} · {{ t("host") }}: {{ m.host }} · \
{{ t("environment") }}: {% for name, count in f.environments %}<strong>\
{{ name or t("not_measured") }}</strong>{% if f.environments | length > 1 %} ({{ t("lines_of", \
count=count | string) }}){% endif %}{% if not loop.last %}, {% endif %}\
{% else %}{{ t("not_measured") }}{% endfor %} · \
{{ t("made_at") }}: {{ when(m.made_at) }} · {{ m.tool.name }} {{ m.tool.version }}<br>\
{{ t("signed_by") }} <code>{{ m.ledger.key }}</code><br>{{ t("zone") }} \
{{ t("reading") }} {{ t("run_ids") }}</p>
<p class="muted small">{{ t("clock") }}: {% if f.clock.sources %}\
{{ f.clock.sources | join(", ") }}, {{ t("at_most", offset=duration(f.clock.offset_seconds)) }}\
{% if f.clock.mute %}; {{ t("not_measured") }} ({{ t("lines_of", count=f.clock.mute | string) }})\
{% endif %}{% else %}{{ t("not_measured") }}{% endif %} · {{ t("code") }}: \
{% for name, count in f.code %}{% if name %}<code>{{ name }}</code>{% else %}\
{{ t("not_measured") }}{% endif %} ({{ t("lines_of", count=count | string) }})\
{% if not loop.last %}, {% endif %}{% else %}{{ t("not_measured") }}{% endfor %}</p>
{% for name, count in f.environments %}<p class="gap">{% if not name %}{{ t("environment_none", \
count=count | string) }}{% else %}{{ t("environment_said", name=name) }} {{ t(kinds[name]) \
if name in kinds else t("environment_other") }}{% endif %}</p>
{% endfor %}
<p class="gap">{{ t("confidential") }}</p>
</header>
<main>
{% if not m.ledger.in_period %}<p class="gap">{{ t("empty") }}</p>
{% endif %}
{% if f.begins %}<p class="gap">{{ t("begins", day=when(f.begins).split(" ")[0]) }}</p>
{% endif %}
{% if is_open %}<p class="gap">{{ t("period_open") }}</p>
{% endif %}
{% if m.problems %}
<section aria-labelledby="problems" class="notes red">
{{ head("problems", "problems_lead") }}
<ul>{% for each in m.problems %}<li>{{ each }}</li>{% endfor %}</ul>
</section>
{% else %}<p>{{ t("whole", host=m.host, moment=when(m.made_at)) }} \
{% if f.anchors.stamps %}<a href="#proof">{{ t("anchored") }}</a>: \
{% for each in f.anchors.stamps %}{{ stamps(each) }}{% if not loop.last %}; {% endif %}\
{% endfor %}. {{ after() }}{% else %}{{ t("anchors_none") }}{% endif %}</p>
{% endif %}
{% if m.ledger.notes %}<section aria-labelledby="notes">
{{ head("notes") }}
<ul>{% for each in m.ledger.notes %}<li>{{ each }}</li>{% endfor %}</ul>
</section>
{% endif %}
<section aria-labelledby="glance">
{{ head("glance") }}
<ul class="tiles">
{% for number, label in tiles %}<li><strong>{{ number }}</strong><span>{{ t(label) }}</span></li>
{% endfor %}</ul>
<nav aria-label="{{ t("sections") }}"><ol>
{% for each in sections %}<li><a href="#{{ each }}">{{ t(each) }}</a></li>
{% endfor %}</ol></nav>
</section>
"""
    + SECTIONS
    + """
<section aria-labelledby="mapping">
{{ head("mapping") }}
<p class="gap">{{ t("mapping_lead") }}</p>
{{ open("mapping", ["rule", "sections", "gaps"]) }}
{% for rule, names in mapping %}<tr><td class="long">{{ t(rule) }}</td><td class="long">\
{% for each in names %}<a href="#{{ each }}">{{ t(each) }}</a>{% if not loop.last %}; {% endif %}\
{% endfor %}</td><td class="long">{% for each in names if each in gaps %}{{ t(each) }}: \
{{ gaps[each] | join(", ") }}\
{% if not loop.last %}; {% endif %}{% endfor %}</td></tr>
{% endfor %}{{ close() }}
</section>
<section aria-labelledby="proof">
{{ head("proof", "proof_lead") }}
<pre>python3 -I verify.py --key {{ t("key_got") }}</pre>
<p>{{ t("proof_key") }}</p>
<p>{{ t("proof_claim") }} <code>{{ m.ledger.key }}</code></p>
<h3>{{ t("anchored") }}</h3>
{% if not f.anchors.stamps %}<p class="gap">{{ t("anchors_none") }}</p>
{% else %}<p>{{ after() }}</p>
{% endif %}
{% if f.anchors.stamps or f.anchors.notes %}{{ open("anchored", ["anchor", "at", "last_line",
  "what"]) }}
{% for each in f.anchors.stamps %}<tr><td>{{ each.name }}</td>\
<td class="date">{{ when(each.last.at) }}</td><td class="number">{{ each.last.line }}</td>\
<td>{{ stamps(each) }}</td></tr>
{% endfor %}
{% for each in f.anchors.notes %}<tr><td>{{ each.name }}</td>\
<td class="date">{{ when(each.at) }}</td><td class="number">{{ each.lines }}</td>\
<td>{{ t("note_path" if each.path else "note") }}</td></tr>
{% endfor %}{{ close() }}{% endif %}
</section>
<section aria-labelledby="glossary">
{{ head("glossary") }}
{{ open("glossary", ["term", "meaning"]) }}
{% for each in terms %}<tr><td>{{ t("term_" ~ each) }}</td>\
<td class="long">{{ t("means_" ~ each) }}</td></tr>
{% endfor %}{{ close() }}
</section>
</main>
<footer><p>{{ t("footer") }}</p></footer>
"""
)

TEMPLATE = MACROS + document(
    '{{ t("title") }}, {{ day(m.period.since) }} {{ t("to") }} {{ day(m.period.until) }}',
    BODY,
    style=MORE_STYLE,
    language='{{ t("language") }}',
)
