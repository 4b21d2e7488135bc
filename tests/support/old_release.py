# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an older release left behind, and the modules of this one to read it with."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

RELEASE = Path(__file__).resolve().parents[1] / "fixtures" / "release-0.1.0"
LIVE = "macro_trading"
NOTES = ("verified.json", "hold.json")


def read(*parts: str) -> Any:
    """Return a JSON file of the release."""
    return json.loads(RELEASE.joinpath(*parts).read_bytes())


def copy(source: str, target: Path) -> None:
    """Copy a folder of the release, private as the release had it."""
    shutil.copytree(RELEASE / source, target, symlinks=True)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o700 if path.is_dir() else 0o600)
    for folder in sets(target):
        for path in folder.rglob("*"):
            if path.is_file() and path.name not in NOTES:
                path.chmod(0o400)  # what was signed


def sets(root: Path = RELEASE / "backups") -> list[Path]:
    """Return the folders of the sets, oldest first."""
    return sorted(path.parent for path in root.glob("2*/manifest.json"))


def call(module: str, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
    """Run a module of this release; return its result, of a failure too."""
    said = io.StringIO()
    with (
        patch_module_args(arguments | {"_ansible_check_mode": check}),
        contextlib.redirect_stdout(said),
        pytest.raises(SystemExit),
    ):
        importlib.import_module(module).main()
    result: dict[str, Any] = json.loads(said.getvalue().splitlines()[-1])
    return result


def done(module: str, **arguments: Any) -> dict[str, Any]:
    """Run a module that has to succeed; return its result."""
    result = call(module, **arguments)
    assert not result.get("failed"), result
    return result
