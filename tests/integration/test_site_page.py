# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page over all runs in a real browser: on a phone, in the dark, by keyboard, its search."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.evidence import ledger, site, site_facts
from ansible.module_utils.pmsops.incidents import record as incidents
from ansible.module_utils.pmsops.repository import sets

from tests.support.backup_sets import make_set
from tests.support.browser import (
    DARK,
    LIGHT,
    check_readable,
    complaints,
    framed,
    require_browser,
)
from tests.support.gates import NOW
from tests.support.year_of_evidence import HOSTILE, write_run

pytestmark = pytest.mark.nightly
# Runs beside the page: types into the field, and counts the rows that stay.
SEARCH = """
const frame = document.querySelector('iframe');
frame.addEventListener('load', () => {
  const page = frame.contentDocument, field = page.getElementById('search'), found = {};
  const rows = () => [...page.querySelectorAll('tbody > tr')].filter(
    row => row.getClientRects().length);
  found.offered = field.getClientRects().length > 0;
  found.opened = [...page.querySelectorAll('details.month')].map(each => each.open);
  found.ages = [...page.querySelectorAll('time[data-age]')].every(
    each => each.textContent.endsWith(' old)'));
  for (const words of ['drill1 PROVED', 'no such thing', '2026-10 drill', '']) {
    field.value = words;
    field.dispatchEvent(new frame.contentWindow.Event('input'));
    found[words] = rows().map(row => row.textContent);
    found[words + '?'] = page.querySelector('output').textContent;
  }
  found.closed = [...page.querySelectorAll('details.month')].map(each => each.open);
  frame.contentWindow.location.hash = '#line-1';
  setTimeout(() => {
    found.led = page.getElementById('line-1').getClientRects().length > 0;
    document.getElementById('found').textContent = JSON.stringify(found);
  }, 500);
});
"""


@pytest.fixture(autouse=True)
def browser() -> None:
    """Fail without a browser."""
    require_browser()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two months of evidence: drills here and elsewhere, an open incident, hostile and damaged."""
    root = tmp_path_factory.mktemp("site")
    evidence, backups = root / "evidence", root / "sets"
    for day in range(40, 0, -1):
        drill = {"set": f"2026-11-{day % 20 + 1:02}_0600", "proved": day != 7, "rto_seconds": 41.0}
        if day % 9 == 0:
            drill |= {"drill_host": "drill1", "segregated": True, "rto_with_fetch_seconds": 90.0}
        drill |= {"rto_target_seconds": 60, "negative_control": {"outcome": "found", "table": "t"}}
        ledger.append(evidence, "drill", drill, now=NOW - timedelta(days=day))
    for day in range(1, 20):
        folder = make_set(backups, root / "keys", f"2026-11-{day:02}_0600", totals={"bytes": 1e9})
        if day % 2:
            sets.mark_verified(folder, {"rows": 1})
    (folder / "hold.json").write_text('{"reason": "annual audit"}')
    for day in range(1, 20):
        text = HOSTILE if day == 5 else "backup"
        write_run(
            evidence, f"2026-11-{day:02}_060000", at=NOW - timedelta(hours=20 - day), text=text
        )
    (evidence / "2026-11-06_060000" / "record.json").write_text("{")
    incidents.begin(evidence, "redis", title="Redis is down", symptoms=[], began_at=NOW)
    written = site.write(site_facts.Sources(evidence, backups, system="fund"), now=NOW)
    return Path(written["path"])


@pytest.mark.parametrize(("width", "scheme"), [(360, LIGHT), (1200, DARK)], ids=["phone", "dark"])
def test_it_can_be_read_and_used_by_keyboard_and_breaks_no_rule_of_axe_core(
    page, tmp_path, width, scheme
):
    check_readable(page, tmp_path, width, scheme)


def test_the_search_finds_rows_of_every_table_and_opens_their_months(page, tmp_path):
    found = framed(page, tmp_path, 1200, outer=SEARCH)
    assert found["offered"] and found["ages"]
    assert found["opened"] == found["closed"] == [True, False]
    assert len(found["drill1 PROVED"]) == 8  # a drill's row and its line, of four drills
    assert all("drill1" in row for row in found["drill1 PROVED"])
    assert found["drill1 PROVED?"].startswith("8 of ")
    assert found["no such thing"] == []
    assert any("2026-10" in row for row in found["2026-10 drill"])
    assert len(found[""]) > 100 and found["?"] == ""
    assert found["led"]


def test_its_policy_lets_its_own_script_run_and_the_browser_complains_of_nothing(page, tmp_path):
    content, said = complaints(page, tmp_path)
    assert '<form class="search" role="search">' in content  # no longer hidden
    assert said == []
