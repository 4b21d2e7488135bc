"""The report in a real browser: on a phone, in the dark, on paper, by keyboard."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.pmsops.evidence import history, ledger, run_record

from tests.support.gates import NOW, mixed

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND"),
)
LIGHT, DARK = (), ("--blink-settings=preferredColorScheme=0",)
# Runs beside the page, in the frame's parent: the page itself lets no script run.
AUDIT = """
const frame = document.querySelector('iframe');
function rgb(text) {
  const n = text.match(/[\\d.]+/g).map(Number);
  return n.length > 3 ? n : [...n, 1];
}
function over(top, below) {
  return [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
}
function background(view, element) {
  const layers = [];
  for (let e = element; e; e = e.parentElement)
    layers.push(rgb(view.getComputedStyle(e).backgroundColor));
  return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
}
function luminance(colour) {
  const [r, g, b] = colour.slice(0, 3).map(v => {
    v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(a, b) {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}
function audit() {
  const view = frame.contentWindow, page = frame.contentDocument, faint = new Set(), wide = [];
  let texts = 0;
  const walker = page.createTreeWalker(page.body, 4);
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.data.trim() || element.closest('style, title, desc, defs, .hidden, .skip')) continue;
    if (!element.getClientRects().length) continue;
    const style = view.getComputedStyle(element);
    if (style.visibility === 'hidden' || style.opacity === '0') continue;
    texts += 1;
    const behind = background(view, element);
    const ink = over(rgb(element.closest('svg') ? style.fill : style.color), behind);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const ratio = contrast(ink, behind);
    const text = node.data.trim().slice(0, 40);
    if (ratio < (large ? 3 : 4.5)) faint.add(text + ' ' + ratio.toFixed(2));
    if (size < 12 && !element.closest('svg')) faint.add('small: ' + text);
  }
  for (const element of page.body.querySelectorAll('*')) {
    const box = element.getBoundingClientRect();
    if (box.right > view.innerWidth + 1 && !element.closest('.scroll, svg, .skip, .hidden'))
      wide.push(element.tagName + '.' + element.className);
  }
  const unnamed = [], invisible = [], order = [];
  for (const element of page.querySelectorAll('a[href], summary, [tabindex]')) {
    if (!element.textContent.trim()) unnamed.push(element.outerHTML.slice(0, 80));
    element.focus();
    const style = view.getComputedStyle(element);
    if (page.activeElement !== element || style.outlineStyle === 'none')
      invisible.push(element.outerHTML.slice(0, 80));
    order.push(element.getBoundingClientRect().top + view.scrollY);
  }
  const levels = [...page.querySelectorAll('h1, h2, h3')].map(e => Number(e.tagName[1]));
  return {
    texts, faint: [...faint], wide: [...new Set(wide)], unnamed, invisible, levels,
    focusable: order.length, scroll: page.documentElement.scrollWidth, width: view.innerWidth,
    dark: view.matchMedia('(prefers-color-scheme: dark)').matches,
    verdict: page.querySelector('h1').getBoundingClientRect().bottom,
  };
}
frame.addEventListener('load', () => {
  let found;
  try { found = audit(); } catch (error) { found = {error: String(error)}; }
  document.title = 'audited';
  document.getElementById('found').textContent = JSON.stringify(found);
});
"""


@pytest.fixture(autouse=True)
def browser() -> None:
    """Fail without a browser: a report that nobody looked at is not tested."""
    if CHROMIUM is None and os.environ.get("PMS_TEST_WITHOUT_BROWSER"):
        pytest.skip("PMS_TEST_WITHOUT_BROWSER is set, and there is no chromium")
    if CHROMIUM is None:
        pytest.fail("Install Debian's package chromium, or set PMS_TEST_WITHOUT_BROWSER=1.")


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


def chromium(profile: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *arguments],
        capture_output=True,
        text=True,
        timeout=90,
    )


def audited(report: Path, folder: Path, width: int, scheme: tuple[str, ...]) -> dict[str, Any]:
    """Return what the audit sees of the page in a window of this width."""
    # In a frame, since a headless window has a least width; a policy would forbid only the audit.
    text = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", report.read_text())
    outer = folder / "audit.html"
    outer.write_text(
        "<!doctype html><meta charset=utf-8><meta name=color-scheme content='light dark'>"
        f"<pre id=found></pre><iframe width={width} height=800 style='border:0'"
        f' srcdoc="{html.escape(text, quote=True)}"></iframe><script>{AUDIT}</script>'
    )
    done = chromium(
        folder / "profile",
        *scheme,
        "--window-size=1300,1000",
        "--virtual-time-budget=8000",
        "--dump-dom",
        outer.as_uri(),
    )
    match = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match and match[1], done.stderr[-2000:]
    found = json.loads(html.unescape(match[1]))
    assert "error" not in found, found
    return found


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


def test_it_prints(report, tmp_path):
    target = tmp_path / "report.pdf"
    chromium(
        tmp_path / "profile", f"--print-to-pdf={target}", "--no-pdf-header-footer", report.as_uri()
    )
    content = target.read_bytes()
    assert content.startswith(b"%PDF")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 8


def test_the_browser_complains_of_nothing(report, tmp_path):
    done = chromium(
        tmp_path / "profile",
        "--enable-logging=stderr",
        "--v=0",
        "--virtual-time-budget=3000",
        "--dump-dom",
        report.as_uri(),
    )
    assert "<h1>NO-GO</h1>" in done.stdout
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
