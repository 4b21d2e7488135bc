# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The blocks of commands in the documents that are run, and how one is typed."""

from __future__ import annotations

import os
import re
import subprocess

from tests.molecule.conftest import PROJECT

PAGES = ["README.md", *sorted(str(p.relative_to(PROJECT)) for p in PROJECT.glob("docs/*.md"))]
# Its blocks need a system that is protected continuously: test_pitr.py has one.
PROTECTED_PAGE = "docs/PITR.md"
BLOCK = re.compile(r"^<!-- run: (.*?) -->\n```(?:sh|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TIMEOUT_SECONDS = 600


def blocks() -> list[tuple[str, str, str]]:
    """Return page, expected text and commands of each block that is run."""
    return [
        (name, said, commands)
        for name in PAGES
        for said, commands in BLOCK.findall((PROJECT / name).read_text("utf-8"))
    ]


def type_block(environment: dict[str, str], lab: str, page: str, said: str, commands: str) -> str:
    """Run a block; it has to succeed and to say what its page says. Return its output."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=PROJECT,
        env=environment
        | {
            "PATH": f"{PROJECT}/scripts:{PROJECT}/.venv/bin:{os.environ['PATH']}",
            # What a page without pms-ops has to be told.
            "BACKUPS": str(PROJECT / f".lab-{lab}" / "backups"),
            "CONTAINER": f"macro_timescaledb_{lab}",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    output = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 0, f"{page}: {commands}\n{done.stdout[-3000:]}{done.stderr[-2000:]}"
    assert said in output, f"{page}: {commands}\nsaid nothing of {said!r}:\n{done.stdout[-3000:]}"
    return output
