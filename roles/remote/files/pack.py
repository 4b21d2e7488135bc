#!/usr/bin/env python3
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Packs what pip needs on a host without a registry: wheels for its Python, and pip itself.

    pack.py LOCK_FILE PACK.zip [PYTHON_VERSION PLATFORM,PLATFORM...]

Without a version only pip and the lock file are packed. A lock file that names pip gets this one,
any other that of the control node. A version has three parts: 3.9 would be 3.9.0, which some
packages refuse. A pack that is there is kept. Prints "packed" or "kept".
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pip

# What only some versions of Python need is packed for all: pip looks at the markers with the eyes
# of the Python that runs it, which is not the host's. What is for Windows alone stays out.
MARKER = re.compile(r" ; (?!.*win32)[^\\\n]*")
WINDOWS = re.compile(r"^\S+ ; [^\n]*win32[^\n]*\n(?:    [^\n]*\n)*", re.MULTILINE)


def without_markers(lock: str) -> str:
    """Return a lock file that is the same for every Python of Linux."""
    return MARKER.sub(" ", WINDOWS.sub("", lock))


def fetch(lock: Path, folder: Path, version: str, platforms: list[str]) -> None:
    """Download the wheels of a lock file for a Python and a machine that are not these."""
    wanted = folder / "wanted.txt"
    wanted.write_text(without_markers(lock.read_text(encoding="utf-8")), encoding="utf-8")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"),
            *("--disable-pip-version-check", "--require-hashes", "--only-binary=:all:"),
            *("--implementation", "cp", "--python-version", version),
            *(word for platform in platforms for word in ("--platform", platform)),
            *("--dest", str(folder), "--requirement", str(wanted)),
        ],
        check=True,
        timeout=600,
    )
    wanted.unlink()


def main(lock: Path, target: Path, version: str, platforms: list[str]) -> str:
    """Make the pack, whole or not at all; return what was done."""
    if target.exists():
        return "kept"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name) / "pack"
        folder.mkdir()
        if version:
            fetch(lock, folder, version, platforms)
        shutil.copyfile(lock, folder / "managed.txt")
        # Python runs pip from either: a wheel is a zip file.
        if wheels := list(folder.glob("pip-*.whl")):
            shutil.copyfile(wheels[0], folder / "pip.zip")
        else:
            site = Path(pip.__file__).parent.parent
            shutil.make_archive(str(folder / "pip"), "zip", root_dir=site, base_dir="pip")
        made = shutil.make_archive(str(Path(name) / "made"), "zip", root_dir=folder)
        Path(made).replace(target)
    return "packed"


if __name__ == "__main__":
    if len(sys.argv) not in (3, 5):
        sys.exit(__doc__)
    given = [*sys.argv[1:], "", ""][:4]
    print(main(Path(given[0]), Path(given[1]), given[2], given[3].split(",")))
