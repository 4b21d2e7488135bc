# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The form of the report: links to files of the zip, wide tables, curves, paper."""

from __future__ import annotations

import html
import re
import zipfile

import pytest
from ansible.module_utils.pmsops.export import bundle, pdf
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
    assert 'class="any">old</td>' in restores and ".wide td { overflow-wrap: anywhere" not in page


def test_the_last_date_of_a_curve_is_inside_its_picture():
    labels = ["2026-05-01", "2026-05-15", "2026-05-30"]
    svg = charts.over_time("x", labels, [("rto", [1.0, 2.0, 3.0])])
    moved = float(re.search(r"translate\((\d+(?:\.\d+)?), ", svg)[1])
    last = max(float(x) for x in re.findall(r'<text x="([\d.]+)"[^>]*>2026-05-30', svg))
    assert moved + last + charts.DATE_WIDTH / 2 <= charts.WIDTH


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
