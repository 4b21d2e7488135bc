# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A plugin of pytest: writes the collected tests to the file of $PMS_TEST_TIERS, as JSON."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.support import tiers


def pytest_collection_finish(session: pytest.Session) -> None:
    found = [asdict(tiers.collected(item)) for item in session.items]
    Path(os.environ["PMS_TEST_TIERS"]).write_text(json.dumps(found), encoding="utf-8")
