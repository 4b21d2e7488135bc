# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where corrections are made, and on which day."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.postgresql.connection import Database

# How long an unanswered request may still be in progress in the PMS: longer than its time-outs.
SETTLE_SECONDS = 20.0


def business_day() -> date:
    """Return today in the fund's time zone."""
    return datetime.now(UTC).astimezone(BUSINESS_ZONE).date()


@dataclass(frozen=True)
class Context:
    """The PMS, its database, the folder of the request log, and how to wait."""

    api: PmsApi
    database: Database
    evidence_root: Path
    today: date = field(default_factory=business_day)
    settle_seconds: float = SETTLE_SECONDS
    sleep: Callable[[float], None] = time.sleep
