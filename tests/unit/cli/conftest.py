# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import os
from functools import cache

import pytest

from pmsops_cli import compose

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
