# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pages in a real browser: on a phone, in the dark, by keyboard, and by the rules of axe-core."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
# scripts/install_node_packages.sh installs it, by a lock file.
AXE = Path(os.environ.get("PMS_TEST_AXE") or PROJECT / ".cache" / "axe")
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
    if (!element.checkVisibility()) continue;  // in what is closed
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

# Runs inside the page, after axe-core; the outcome goes to the frame's parent.
RUN_AXE = """
const told = each => each.id + ': ' + each.nodes.map(node => node.html.slice(0, 120)).join(' | ');
axe.run(document).then(found => ({
  broken: found.violations.map(told), kept: found.passes.map(each => each.id),
})).catch(error => ({broken: [String(error)], kept: []})).then(found => {
  parent.document.getElementById('found').textContent = JSON.stringify(found);
});
"""


def require_browser() -> None:
    """Fail without a browser: a page that nobody looked at is not tested."""
    if CHROMIUM is None and os.environ.get("PMS_TEST_WITHOUT_BROWSER"):
        pytest.skip("PMS_TEST_WITHOUT_BROWSER is set, and there is no chromium")
    if CHROMIUM is None:
        pytest.fail("Install Debian's package chromium, or set PMS_TEST_WITHOUT_BROWSER=1.")


def require_axe() -> str:
    """Return the script of axe-core; skip where the packages of npm are left out on purpose."""
    script = AXE / "node_modules" / "axe-core" / "axe.min.js"
    if not script.is_file() and os.environ.get("PMS_TEST_WITHOUT_PGLITE") == "1":
        pytest.skip("PMS_TEST_WITHOUT_PGLITE=1")
    assert script.is_file(), f"{AXE} is empty: run scripts/setup.sh --dev"
    return script.read_text()


def chromium(profile: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the browser without a window; return what it printed."""
    return subprocess.run(
        [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", *arguments],
        capture_output=True,
        text=True,
        timeout=90,
    )


def audited(page: Path, folder: Path, width: int, scheme: tuple[str, ...]) -> dict[str, Any]:
    """Return what the audit sees of the page in a window of this width."""
    found = framed(page, folder, width, *scheme, outer=AUDIT)
    assert "error" not in found, found
    return found


def broken_rules(page: Path, folder: Path, width: int, scheme: tuple[str, ...]) -> dict[str, Any]:
    """Return which rules of axe-core the page breaks, and how many it keeps."""
    return framed(page, folder, width, *scheme, inner=(require_axe(), RUN_AXE))


def framed(
    page: Path, folder: Path, width: int, *flags: str, outer: str = "", inner: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return what a script says of the page in a frame of this width, as JSON in #found.

    *outer* runs beside the frame, *inner* at the end of the page itself.
    """
    # In a frame, since a headless window has a least width; a policy would forbid only the audit.
    text = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", page.read_text())
    scripts = "".join(f"<script>{each}</script>" for each in inner)
    text = text.replace("</body>", scripts + "</body>")
    target = folder / "audit.html"
    target.write_text(
        "<!doctype html><meta charset=utf-8><meta name=color-scheme content='light dark'>"
        f"<pre id=found></pre><iframe width={width} height=800 style='border:0'"
        f' srcdoc="{html.escape(text, quote=True)}"></iframe><script>{outer}</script>'
    )
    done = chromium(
        folder / "profile",
        *flags,
        "--window-size=1300,1000",
        "--virtual-time-budget=8000",
        "--dump-dom",
        target.as_uri(),
    )
    match = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match and match[1], done.stderr[-2000:]
    found: dict[str, Any] = json.loads(html.unescape(match[1]))
    return found


def check_readable(page: Path, folder: Path, width: int, scheme: tuple[str, ...]) -> None:
    """Check that a page can be read, used by keyboard, and breaks no rule of axe-core."""
    found = audited(page, folder, width, scheme)
    assert (found["width"], found["dark"]) == (width, scheme == DARK)
    assert found["texts"] > 300
    assert (found["faint"], found["wide"]) == ([], [])
    assert found["scroll"] <= width
    assert (found["unnamed"], found["invisible"]) == ([], [])
    assert found["levels"][0] == 1 and found["levels"].count(1) == 1
    rules = broken_rules(page, folder, width, scheme)
    assert rules["broken"] == [] and len(rules["kept"]) > 20


def complaints(page: Path, folder: Path) -> tuple[str, list[str]]:
    """Return the page as the browser has it after its scripts, and what the console says of it."""
    done = chromium(
        folder / "profile",
        "--enable-logging=stderr",
        "--v=0",
        "--virtual-time-budget=3000",
        "--dump-dom",
        page.as_uri(),
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]
