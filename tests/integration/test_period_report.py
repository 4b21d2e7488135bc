# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report for a period in a real browser: both languages, a phone, the dark, and on paper."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.export import bundle, pdf

from tests.support import exported
from tests.support.browser import (
    DARK,
    LIGHT,
    check_readable,
    complaints,
    require_browser,
)

pytestmark = pytest.mark.nightly


@pytest.fixture(autouse=True)
def browser() -> None:
    """Fail without a browser."""
    require_browser()


@pytest.fixture(scope="module")
def fund(tmp_path_factory: pytest.TempPathFactory) -> exported.Fund:
    """A fund of which each table has rows, hostile ones too."""
    return exported.busy(tmp_path_factory.mktemp("period"))


@pytest.fixture(scope="module", params=["en", "pt"])
def page(
    fund: exported.Fund, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Path:
    """The report in one language, unpacked."""
    wanted = exported.busy_request(fund, language=request.param, pdf=True)
    folder = tmp_path_factory.mktemp(request.param)
    return exported.unpack(bundle.write(wanted, now=exported.NOW)["path"], folder) / "report.html"


@pytest.mark.parametrize(("width", "scheme"), [(360, LIGHT), (1200, DARK)], ids=["phone", "dark"])
def test_it_can_be_read_and_used_by_keyboard_and_breaks_no_rule_of_axe_core(
    page, tmp_path, width, scheme
):
    check_readable(page, tmp_path, width, scheme)


def test_the_browser_complains_of_nothing_and_asks_nobody(page, tmp_path):
    content, said = complaints(page, tmp_path)
    assert '<html lang="' in content
    assert said == []


def test_the_printed_report_is_in_the_export_and_is_checked_with_it(page, fund):
    printed = page.with_name(bundle.PDF)
    assert printed.read_bytes().startswith(b"%PDF-")
    code, said = exported.outside(page.parent, "--key", fund.key)
    assert code == 0, said
    printed.write_bytes(printed.read_bytes() + b"\n")
    code, said = exported.outside(page.parent)
    assert code == 1 and "report.pdf was altered" in said


def test_paper_gets_as_many_pages_as_its_rows_need(fund):
    path = bundle.write(exported.busy_request(fund), now=exported.NOW)["path"]
    with zipfile.ZipFile(path) as archive:
        content, why = pdf.printed(archive.read(bundle.REPORT).decode())
    assert content, why
    assert 4 <= content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") <= 20
