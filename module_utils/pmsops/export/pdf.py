# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report printed by Chromium, where that is."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ansible.module_utils.pmsops.common.children import end_with_parent

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 120
FLAGS = (
    *("--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-pdf-header-footer"),
    # A page without scripts and without a network needs neither of these.
    *("--disable-background-networking", "--no-first-run"),
)


def printed(page: str) -> tuple[bytes | None, str]:
    """Return the page as PDF; None and why where it could not be printed."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        return None, f"this host has no {PROGRAMS[0]}"
    # The browser's sandbox cannot be had by root.
    alone = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target = folder / "report.html", folder / "report.pdf"
        source.write_text(page, errors="replace")
        command = [
            *(program, *FLAGS, *alone, f"--user-data-dir={folder / 'profile'}"),
            *(f"--print-to-pdf={target}", source.as_uri()),
        ]
        try:
            subprocess.run(
                command,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=SECONDS,
                preexec_fn=end_with_parent,
                check=False,
            )
            content = target.read_bytes()
        except (OSError, subprocess.SubprocessError) as exc:
            return None, f"{Path(program).name} printed nothing ({type(exc).__name__})"
    return content, ""
