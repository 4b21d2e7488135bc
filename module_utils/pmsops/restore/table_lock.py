# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Locks on live tables, taken in short attempts: whoever waits for one keeps all others waiting."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError

ATTEMPT_SECONDS, PAUSE_SECONDS, ATTEMPTS = 2, 1, 10
pause = time.sleep
BUSY = (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected)


def take(cursor: Any, statements: Sequence[str]) -> None:
    """Run statements that wait for locks, all or none at a time, until they have them.

    Between two attempts the transaction's new locks are released, so that clients get on.

    :raises OpsError: restore.in-place
    """
    if not statements:
        return
    for attempt in range(ATTEMPTS):
        if attempt:
            pause(PAUSE_SECONDS)
        cursor.execute(f"SAVEPOINT unlocked; SET LOCAL lock_timeout = '{ATTEMPT_SECONDS}s'")
        try:
            for statement in statements:
                cursor.execute(statement)
        except BUSY:
            cursor.execute("ROLLBACK TO SAVEPOINT unlocked")
            continue
        cursor.execute("SET LOCAL lock_timeout = 0; RELEASE SAVEPOINT unlocked")
        return
    raise OpsError(
        f"Another session has used the live tables in each of {ATTEMPTS} attempts, for"
        f" {ATTEMPTS * (ATTEMPT_SECONDS + PAUSE_SECONDS)} seconds.",
        "Nothing was changed. Stop what uses them, and run again.",
        code="restore.in-place",
    )
