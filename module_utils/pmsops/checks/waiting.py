# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask the checks again until they pass: a service that was recovered takes a while to be ready."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

from ansible.module_utils.pmsops.checks.gate import GOOD
from ansible.module_utils.pmsops.common import host_load

PAUSE_SECONDS = 1.0


def until_passed(
    ask: Callable[[], dict[str, Any]], seconds: float, not_demanded: Collection[str] = ()
) -> dict[str, Any]:
    """Return what *ask* said last: it is called until all checks pass, or the seconds are over.

    A part that the system lacks and the checks *not_demanded* need not pass. A busy host has as
    many times the seconds as it is slower.
    """
    began = time.monotonic()
    load = host_load.now()
    while True:
        found = ask()
        load = host_load.higher(load, host_load.now())
        is_over = time.monotonic() - began >= seconds * load.patience
        if is_over or not _waited_for(found["results"], not_demanded):
            return found
        time.sleep(PAUSE_SECONDS)


def _waited_for(results: list[dict[str, Any]], not_demanded: Collection[str]) -> bool:
    return any(
        result["status"] not in GOOD and not result["absent"] and result["id"] not in not_demanded
        for result in results
    )
