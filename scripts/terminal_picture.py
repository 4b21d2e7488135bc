#!/usr/bin/env python3
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Draw what a command prints as a picture of a terminal, in SVG.

The picture in README.md:

    scripts/terminal_picture.py --last 60 --output docs/golive.svg -- make golive

The command runs in the project's folder, with its colours; its output is shown as it comes.
Exits with the command's own status, and draws only what ended with status 0.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

PROJECT = Path(__file__).resolve().parents[1]
FONT_FACE = re.compile(r"@font-face\s*\{[^}]*\}")


def run(command: list[str]) -> tuple[int, list[str]]:
    """Return the status of command and the lines that it printed, showing them meanwhile."""
    env = {**os.environ, "ANSIBLE_FORCE_COLOR": "1", "COLUMNS": "110"}
    lines = []
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            sys.stdout.write(line)
            lines.append(line.rstrip("\n"))
    return process.returncode, lines


def shorten(lines: list[str], last: int) -> list[str]:
    """Return the last lines, after a line that says how many were left out."""
    if len(lines) <= last:
        return lines
    return [f"[... {len(lines) - last} lines ...]", *lines[-last:]]


def draw(title: str, lines: list[str], width: int) -> str:
    """Return an SVG picture that needs no font, script or style from elsewhere."""
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    for line in lines:
        text = Text.from_ansi(line.replace(f"{PROJECT}/", ""))
        console.print(text, overflow="ellipsis", no_wrap=True, highlight=False)
    svg = console.export_svg(title=title, theme=DIMMED_MONOKAI, unique_id="terminal")
    return FONT_FACE.sub("", svg).replace("Fira Code, monospace", "monospace") + "\n"


def main() -> int:
    """Run the command, draw the picture, and return the command's status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="the SVG file to write")
    parser.add_argument("--last", type=int, default=60, help="how many lines to draw (60)")
    parser.add_argument("--width", type=int, default=120, help="columns of the terminal (120)")
    parser.add_argument("command", nargs="+", help="the command, after --")
    args = parser.parse_args()
    status, lines = run(args.command)
    if status == 0:
        prompt = f"$ {shlex.join(args.command)}"
        svg = draw(prompt, [prompt, *shorten(lines, args.last)], args.width)
        args.output.write_text(svg, encoding="utf-8")
        print(f"{args.output}: {len(svg) // 1024} kB")
    return status


if __name__ == "__main__":
    sys.exit(main())
