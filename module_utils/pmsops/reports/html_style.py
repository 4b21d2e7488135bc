# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report's style sheet: light, dark, a phone and paper."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #faf9f6; --card: #ffffff; --ink: #1d2730; --muted: #57636e; --line: #e2dfd8;
  --accent: #2f6690; --good: #1d6b47; --good-soft: #e4f1ea; --bad: #a3241c; --bad-soft: #fbe9e6;
  --warn: #85560a; --warn-soft: #faf0da; --shade: #f2f0eb;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #13181d; --card: #1b2228; --ink: #e9e6df; --muted: #a3adb6; --line: #313a42;
    --accent: #8cbfe6; --good: #86d3a8; --good-soft: #17332a; --bad: #ff9c90; --bad-soft: #43201d;
    --warn: #edc26d; --warn-soft: #3b2f16; --shade: #222a31;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
main, header, footer { max-width: 60rem; margin: 0 auto; padding: 0 1.25rem; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; border-radius: 4px; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--card); padding: .5rem 1rem; }
h1, h2, h3 { line-height: 1.2; text-wrap: balance; }
h2 { font-size: 1.25rem; margin: 3rem 0 1rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
p { margin: .4rem 0; }
.muted, .where { color: var(--muted); }
.small { font-size: .875rem; }
.verdict { margin: 2rem 0 0; padding: 1.75rem; border-radius: 14px; border-left: 8px solid; }
.verdict h1 { margin: 0; font-size: clamp(2.5rem, 9vw, 4rem); letter-spacing: -.02em; }
.verdict p { margin: .35rem 0 0; font-size: 1.0625rem; }
.verdict.go { background: var(--good-soft); border-color: var(--good); }
.verdict.no-go, .verdict.broken { background: var(--bad-soft); border-color: var(--bad); }
.go h1 { color: var(--good); } .no-go h1, .broken h1 { color: var(--bad); }
.what { color: var(--muted); font-size: .875rem; margin: 0; }
ol.first { list-style: none; counter-reset: first; padding: 0; margin: 0; }
ol.first > li {
  counter-increment: first; position: relative; padding: 1.1rem 1.25rem 1.1rem 3.75rem;
  background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  margin-bottom: .75rem;
}
ol.first > li::before {
  content: counter(first); position: absolute; left: 1.1rem; top: 1.05rem; width: 1.75rem;
  height: 1.75rem; line-height: 1.75rem; border-radius: 50%; text-align: center; font-weight: 600;
  font-size: .9375rem; background: var(--bad-soft); color: var(--bad);
}
ol.first h3 { margin: 0 0 .25rem; font-size: 1.0625rem; }
.todo { margin-top: .5rem; padding-left: .85rem; border-left: 3px solid var(--accent); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem;
  margin: 1rem 0 0; padding: 0; list-style: none; }
.tiles a { display: block; height: 100%; padding: .9rem 1rem; background: var(--card);
  color: inherit;
  border: 1px solid var(--line); border-radius: 12px; text-decoration: none; }
.tiles strong { display: block; font-size: 1.375rem; line-height: 1.2; }
.tiles span { font-size: .875rem; color: var(--muted); }
.meter { display: flex; gap: 2px; height: 6px; margin-top: .6rem; border-radius: 3px;
  overflow: hidden;
  background: var(--line); }
.meter i { display: block; background: var(--good); }
.meter i.waived, .meter i.unknown { background: var(--warn); }
.meter i.fail { background: var(--bad); }
.checks { list-style: none; margin: 0; padding: 0; background: var(--card);
  border: 1px solid var(--line); border-radius: 12px; }
.checks > li { display: grid; grid-template-columns: 1.9rem 1fr auto; gap: 0 .6rem;
  padding: .7rem 1rem; border-top: 1px solid var(--line); }
.checks > li:first-child { border-top: 0; }
.mark { font-weight: 700; width: 1.6rem; height: 1.6rem; line-height: 1.6rem; text-align: center;
  border-radius: 50%; font-size: .9375rem; }
.pass .mark, .attested .mark { background: var(--good-soft); color: var(--good); }
.fail .mark { background: var(--bad-soft); color: var(--bad); }
.unknown .mark, .waived .mark { background: var(--warn-soft); color: var(--warn); }
.blocker.waived .mark { background: var(--bad-soft); color: var(--bad); }
.checks .name { font-weight: 550; }
.checks .finding { color: var(--muted); font-size: .9375rem; }
.checks .time { color: var(--muted); font-size: .8125rem; white-space: nowrap;
  padding-top: .15rem; }
.tag { display: inline-block; padding: 0 .5rem; border-radius: 999px; font-size: .75rem;
  line-height: 1.4rem; background: var(--shade); color: var(--muted); white-space: nowrap; }
.tag.bad { background: var(--bad-soft); color: var(--bad); }
.tag.warn { background: var(--warn-soft); color: var(--warn); }
.tag.good { background: var(--good-soft); color: var(--good); }
details { font-size: .8125rem; color: var(--muted); }
summary { cursor: pointer; width: max-content; padding: .15rem 0; }
details p { margin: .2rem 0; }
code { font: max(.875em, .75rem) ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono",
  monospace; }
.notes { padding: 1rem 1.25rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 12px; }
.notes.red { border-color: var(--bad); background: var(--bad-soft); }
.notes h3:first-child { margin-top: 0; }
.notes ul { margin: .25rem 0; padding-left: 1.2rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr));
  gap: .75rem; }
figure { margin: 0; padding: 1rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 12px; }
figcaption { font-size: .875rem; color: var(--muted); margin-bottom: .5rem; }
figure svg { display: block; width: 100%; height: auto; }
.scroll { position: relative; overflow-x: auto; margin-top: .75rem; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
th, td { text-align: left; padding: .45rem .75rem .45rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: normal; }
th { color: var(--muted); font-weight: 550; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.date { white-space: nowrap; }
.strip { display: flex; flex-wrap: wrap; gap: 4px; margin: .5rem 0; padding: 0; list-style: none; }
.strip li { width: 1.4rem; height: 1.4rem; line-height: 1.4rem; border-radius: 5px;
  text-align: center; font-size: .8125rem; font-weight: 700; }
.strip .go { background: var(--good-soft); color: var(--good); }
.strip .no-go, .strip .broken { background: var(--bad-soft); color: var(--bad); }
.sign td { height: 2.75rem; border: 1px solid var(--line); padding: .5rem; }
.sign th { padding-left: .5rem; }
footer { margin: 3rem auto 2.5rem; color: var(--muted); font-size: .8125rem; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap; }
@media (max-width: 34rem) {
  main, header, footer { padding: 0 .9rem; }
  .verdict { padding: 1.25rem; }
  .checks > li { grid-template-columns: 1.9rem 1fr; padding: .7rem .75rem; }
  .checks .time { grid-column: 2; }
  ol.first > li { padding: 1rem 1rem 1rem 3.25rem; }
  ol.first > li::before { left: .8rem; }
}
@media print {
  :root { --paper: #fff; --card: #fff; --ink: #000; --muted: #444; --line: #bbb; --accent: #234;
    --good: #0f5132; --good-soft: #eef6f1; --bad: #8b1a12; --bad-soft: #fbeeec; --warn: #6b4500;
    --warn-soft: #fbf5e6; --shade: #f3f3f3; }
  body { font-size: 10.5pt; }
  main, header, footer { max-width: none; padding: 0; }
  .skip, .tiles .meter, summary { display: none; }
  .verdict, .meter i, .mark, .tag, .strip li { print-color-adjust: exact;
    -webkit-print-color-adjust: exact; }
  .checks > li, ol.first > li, figure, tr, .notes { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
@page { margin: 16mm 14mm; }
"""
