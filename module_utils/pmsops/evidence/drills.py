# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The drills of a ledger: beside the live database, and on other hosts.

A drill on another host is no drill of the server here: its record has a ``drill_host``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible.module_utils.pmsops.evidence import ledger

KIND = "drill"


def here(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the drills beside the live database, oldest first."""
    return [each for each in ledger.of_kind(entries, KIND) if not each["record"].get("drill_host")]


def elsewhere(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the drills on other hosts, oldest first."""
    return [each for each in ledger.of_kind(entries, KIND) if each["record"].get("drill_host")]
