# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One restore or swap at a time: of a backup_root on this machine, of a database on its server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible.module_utils.pmsops.common import process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value
from ansible.module_utils.pmsops.repository import sets

LOCK = sets.RESTORE_LOCK
# The server takes a moment to notice that a killed run's session has ended.
ATTEMPTS, ATTEMPT_SECONDS = 30, 0.1
DOING = {"restore": "restoring or swapping", "trial": "trying a backup set of"}


@contextmanager
def exclusive(database: Database, root: Path, purpose: str) -> Iterator[None]:
    """Keep other restores and swaps away: those of this backup_root, and those of this database.

    :raises OpsError: lock.held, restore.elsewhere
    """
    with (
        process_lock.exclusive(sets.state_folder(root) / LOCK, purpose),
        server_wide_lock(database),
    ):
        yield


@contextmanager
def server_wide_lock(database: Database, purpose: str = "restore") -> Iterator[None]:
    """Keep restores, or trials, of one database apart, whichever machine they run on.

    :raises OpsError: restore.elsewhere
    """
    with database.session(name=database.maintenance_name, autocommit=True) as cursor:
        for _ in range(ATTEMPTS):
            if fetch_value(
                cursor,
                "SELECT pg_try_advisory_lock(hashtext(%s), hashtext(%s))",
                (f"pms-ops {purpose}", database.name),
            ):
                break
            time.sleep(ATTEMPT_SECONDS)
        else:
            doing = DOING[purpose]
            raise OpsError(
                f"Another machine is {doing} {database.name}.",
                "Wait until it is done. If that machine is dead, end its session: SELECT pid,"
                " client_addr FROM pg_stat_activity WHERE application_name = 'pms-ops'.",
                code="restore.elsewhere",
            )
        yield
