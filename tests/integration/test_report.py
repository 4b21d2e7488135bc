"""The report in a real browser: on a phone, in the dark, on paper, by keyboard."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.evidence import history, ledger, run_record

from tests.support.browser import (
    DARK,
    LIGHT,
    audited,
    broken_rules,
    chromium,
    complaints,
    require_browser,
)
from tests.support.gates import NOW, mixed


@pytest.fixture(autouse=True)
def browser() -> None:
    """Fail without a browser."""
    require_browser()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A no-go's report with every status, a waived blocker, backups and drills."""
    root = tmp_path_factory.mktemp("evidence")
    for day in range(14, 0, -1):
        drill = {"set": f"set-{day}", "proved": True, "rto_seconds": 40 + day, "rpo_seconds": 4000}
        ledger.append(root, "drill", drill, now=NOW - timedelta(days=day))
    backups = [
        {
            "id": f"2026-11-{day:02}_0600",
            "snapshot_at": f"2026-11-{day:02}T06:00:00Z",
            "size_bytes": 47_000_000 + day * 1_000_000,
            "new_bytes": 600_000,
            "rows": 1_000_000,
            "duration_seconds": 1.5 + day / 20,
            "verified_at": None,
        }
        for day in range(1, 23)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "backups", lambda _: backups)
        for minutes in range(2):
            where = run_record.Options(root, targets={"rto_seconds": 120.0})
            written = run_record.write(mixed(), where, now=NOW + timedelta(minutes=minutes))
    return Path(written["report"])


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_can_be_read_and_used_by_keyboard(report, tmp_path, width, scheme):
    found = audited(report, tmp_path, width, scheme)
    assert found["width"] == width
    assert found["dark"] == (scheme == DARK)
    assert found["texts"] > 100
    assert found["faint"] == []
    assert found["wide"] == []
    assert found["scroll"] <= width
    assert (found["unnamed"], found["invisible"]) == ([], [])
    assert found["focusable"] > 15
    assert found["verdict"] < 300
    levels = found["levels"]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.nightly
def test_it_breaks_no_rule_of_axe_core(report, tmp_path):
    found = broken_rules(report, tmp_path, 360, LIGHT)
    assert found["broken"] == [] and len(found["kept"]) > 20


def test_it_prints(report, tmp_path):
    target = tmp_path / "report.pdf"
    chromium(
        tmp_path / "profile", f"--print-to-pdf={target}", "--no-pdf-header-footer", report.as_uri()
    )
    content = target.read_bytes()
    assert content.startswith(b"%PDF")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 8


def test_the_browser_complains_of_nothing(report, tmp_path):
    content, said = complaints(report, tmp_path)
    assert "<h1>NO-GO</h1>" in content
    assert said == []
