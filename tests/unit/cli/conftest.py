# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from pmsops_cli import commands, compose, hosts
from pmsops_cli.exit_status import DONE
from tests.support.backup_sets import make_set

find_tool = compose._tool


@cache
def tool_of(path: str) -> list[str]:
    """Return the Compose that is found with a PATH."""
    return find_tool()


@pytest.fixture(autouse=True)
def environment_as_before():
    """Take back what the front door sets: it is a process of its own, and its PATH grew."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(autouse=True)
def one_search_for_compose(monkeypatch):
    """Search for Compose once with each PATH, and not for each project that is read.

    It runs for so short a time that the collector of Go takes a quarter of it.
    """
    quick = ["env", "GOGC=off", "GOMAXPROCS=1"]
    monkeypatch.setattr(compose, "_tool", lambda: [*quick, *tool_of(os.environ["PATH"])])


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """What would be run: playbook and variables of each command."""
    found = []

    def run(self, name, playbook, variables, *, check=None):
        found.append((playbook.name, variables))
        return DONE

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(commands.Session, "run", run)
    system = hosts.System("one", True, "fund", tmp_path / "backups", tmp_path / "evidence")
    monkeypatch.setattr(commands.Session, "systems", [system])
    here = Path.cwd()
    yield found
    os.chdir(here)


@pytest.fixture
def backups(tmp_path):
    """Three sets: one held, one verified, one quarantined."""
    root = tmp_path / "backups"
    root.mkdir()
    now = datetime.now(UTC)
    for name, days in (("2026-11-20_0600", 40), ("2026-11-21_0600", 3), ("2026-11-22_0600", 1)):
        folder = make_set(root, tmp_path / "keys", name)
        document = json.loads((folder / "manifest.json").read_text())
        document["snapshot_at"] = (now - timedelta(days=days)).isoformat()
        (folder / "manifest.json").write_text(json.dumps(document))
    (root / "2026-11-20_0600" / "hold.json").write_text('{"reason": "annual audit"}')
    (root / "2026-11-22_0600").rename(root / "2026-11-22_0600.damaged")
    return root
