# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The form of the report: links to files of the zip, wide tables, curves, paper."""

from __future__ import annotations

import html
import re
import zipfile

import pytest
from ansible.module_utils.pmsops.export import bundle, pdf, report
from ansible.module_utils.pmsops.export.language import CATALOGUES, Language
from ansible.module_utils.pmsops.reports import charts

from tests.support import exported
from tests.support.exported import NOW


@pytest.fixture(scope="module")
def fund(tmp_path_factory):
    return exported.busy(tmp_path_factory.mktemp("layout"))


def export(fund, **more):
    path = bundle.write(exported.busy_request(fund, **more), now=NOW)["path"]
    with zipfile.ZipFile(path) as archive:
        return archive.read("report.html").decode(), archive.namelist()


def test_rows_of_runs_and_incidents_lead_to_their_files_in_the_zip(fund):
    page, names = export(fund)
    links = set(re.findall(r'href="([^"#]+)"', page))
    assert links <= set(names)
    assert {each.split("/")[0] for each in links} == {"records", "incidents"}


def test_paper_has_no_link_to_a_folder_of_the_host(fund, monkeypatch):
    printed = []
    monkeypatch.setattr(pdf, "printed", lambda page: (printed.append(page), (b"%PDF-", ""))[1])
    export(fund, pdf=True)
    assert re.findall(r'href="([^"#]+)"', printed[0]) == []


def test_paper_is_a4_with_the_period_and_the_page_in_its_foot(fund):
    page, _names = export(fund)
    assert "@page { size: A4 landscape;" in page and "counter(page)" in page
    assert 'content: "Evidence of operations, 2026-01-01 to 2026-12-31"' in page
    assert "pre { break-before: avoid;" in page


def test_a_wide_table_wraps_its_cells_and_says_that_it_scrolls(fund):
    page, _names = export(fund)
    restores = page[page.index("Restores, swaps and rollbacks</h3>") :]
    assert restores.index("scroll it sideways") < restores.index('<div class="scroll wide"')
    assert ".tiles strong { overflow-wrap: normal; }" in page
    # A name of a former database is long; NOT MEASURED never breaks inside a word.
    assert (
        'class="any"><span class="id">old</span></td>' in restores
        and ".wide td { overflow-wrap: anywhere" not in page
    )


def test_the_last_date_of_a_curve_is_inside_its_picture():
    labels = ["2026-05-01", "2026-05-15", "2026-05-30"]
    svg = charts.over_time("x", labels, [("rto", [1.0, 2.0, 3.0])])
    moved = float(re.search(r"translate\((\d+(?:\.\d+)?), ", svg)[1])
    last = max(float(x) for x in re.findall(r'<text x="([\d.]+)"[^>]*>2026-05-30', svg))
    assert moved + last + charts.DATE_WIDTH / 2 <= charts.WIDTH


def test_paper_has_its_contents_and_its_origin_on_each_page(fund):
    page, _names = export(fund)
    assert "nav, .hint { display: none; }" not in page
    foot = re.search(r'@bottom-center \{[^"]*content: "([^"]*)"', page)[1]
    assert foot.startswith("fund · ") and "Exported 2027-01-10 09:00 · Key " in foot
    assert re.search(r"Key [0-9a-f]{16}$", foot)


def test_no_text_of_a_record_ends_the_string_of_the_foot():
    assert set(report._in_style('"\\;{}<>()\n')) == {"?"}


def test_a_name_and_a_date_are_not_broken_on_paper(fund):
    page, _names = export(fund)
    assert "td.name, .id { white-space: nowrap; }" in page
    restores = page[page.index('<h2 id="restores"') : page.index('<h2 id="deficiencies"')]
    assert '<span class="id">2026-05-30_0600</span>' in restores
    due = page[page.index('<h2 id="deficiencies"') : page.index('<h2 id="access"')]
    assert '<td class="date">2026-' in due


def test_a_row_that_explains_another_is_never_alone_at_the_head_of_a_page(fund):
    page, _names = export(fund)
    assert ".more { break-before: avoid; }" in page
    assert re.findall(r"<tr><td colspan=", page) == []


def test_on_a_phone_each_cell_has_the_heading_of_its_column(fund):
    page, _names = export(fund)
    tables = re.findall(r"<table style=\"(.*?)\">.*?</thead>", page, re.DOTALL)
    heads = re.findall(r"<thead>(.*?)</thead>", page, re.DOTALL)
    assert len(tables) == len(heads) > 10
    for style, head in zip(tables, heads, strict=True):
        shown = re.findall(r"--c\d+:&quot;(.*?)&quot;;", style)
        assert shown == re.findall(r"<th[^>]*>(.*?)</th>", head)
        # The style sheet shows twelve of them.
        assert len(shown) <= 12
    assert "td:not([colspan]):nth-child(12)::before { content: var(--c12); }" in page


def test_a_run_and_an_incident_lead_to_their_readable_page_and_to_the_record(tmp_path):
    own = exported.busy(tmp_path)
    (folder,) = (own.evidence / "incidents").glob("*_redis_*")
    (folder / "incident.md").write_text("# Redis")
    links = set(re.findall(r'href="([^"#]+)"', export(own)[0]))
    incident = f"incidents/{folder.name}"
    assert {f"{incident}/incident.md", f"{incident}/incident.json"} <= links
    run = "records/2026-05-06_110000"
    assert {f"{run}/report.html", f"{run}/record.json"} <= links


# --- the words of an auditor


@pytest.fixture(scope="module")
def portuguese(fund):
    return export(fund, language="pt")[0]


@pytest.mark.parametrize(
    "misread",
    [
        "aprovadas",  # of a run: read as an approved plan
        "aprovado<",
        "Posições do registro",  # read as positions of the fund
        "resultados do fundo",
        "bloqueios suspensos",
        "bloqueio suspenso",
        "chave trocada",
        "deste arquivo",
        "Falta a assinatura",
        "Executado por, ordem",
    ],
)
def test_the_portuguese_report_has_no_word_that_means_something_else_to_an_auditor(
    portuguese, misread
):
    assert misread not in portuguese


def test_a_record_and_the_ledger_have_two_words():
    texts = [text for text in CATALOGUES["pt"].values() if re.search(r"[Rr]egistro", text)]
    assert texts
    for text in texts:
        assert re.findall(r"[Rr]egistros?\b(?! encadeado)", text) == [], text


@pytest.mark.parametrize(
    "term",
    [
        *("attested", "gate", "ledger", "phases", "pms", "record", "rpo", "rto", "segregated"),
        *("tsa", "vault", "waiver"),
    ],
)
def test_the_glossary_explains_the_term_in_both_languages(fund, portuguese, term):
    english, _names = export(fund)
    for name, page in (("en", english), ("pt", portuguese)):
        shown = html.unescape(page[page.index('<h2 id="glossary"') :])
        assert Language(name).text(f"term_{term}") in shown
        assert Language(name).text(f"means_{term}") in shown
