# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commits that wait until their WAL is on the archive's disk: none is lost with the server.

The price is that nobody can commit while the receiver is away. So it is off unless it is asked for,
and it is switched on only once the receiver streams.
"""

from __future__ import annotations

import time

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all, fetch_value

SETTING = "synchronous_standby_names"
# Barman's streaming_archiver_name: if the setting has it, its receiver confirms each commit.
STANDBY = "barman_receive_wal"
ON = f"ALTER SYSTEM SET {SETTING} = '{STANDBY}', so that commits wait for the receiver"
OFF = f"ALTER SYSTEM RESET {SETTING}: commits no longer wait for the receiver"
START_SECONDS = 60


def of(database: Database) -> str:
    """Return the standbys that commits wait for, empty if they wait for none.

    :raises OpsError: database.*
    """
    with database.session(name=database.maintenance_name, read_only=True) as cursor:
        return str(fetch_value(cursor, f"SELECT current_setting('{SETTING}')"))


def step(now: str, *, wanted: bool) -> str | None:
    """Return what has to be done where the setting is *now*, None if nothing has to.

    :raises OpsError: pitr.synchronous-taken
    """
    if wanted and now not in ("", STANDBY):
        raise OpsError(
            f"Commits of the server wait for other standbys already: {SETTING} = {now}."
            " Nothing was changed.",
            f"Add {STANDBY} there by hand, or leave pitr_synchronous off.",
            code="pitr.synchronous-taken",
        )
    if wanted == (now == STANDBY):
        return None
    return ON if wanted else OFF


def begin(database: Database, slot: str) -> None:
    """Let commits wait for the receiver, which has to begin anew to confirm each.

    :raises OpsError: pitr.not-synchronous, and then commits do not wait; database.*
    """
    _set(database, f"ALTER SYSTEM SET {SETTING} = '{STANDBY}'", slot)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if confirms(database):
            return
        time.sleep(0.5)
    end(database)
    raise OpsError(
        f"The receiver did not confirm commits within {START_SECONDS} s. They do not wait for it.",
        "Look at the stream (pms-ops pitr status) and the container's log, then run again.",
        code="pitr.not-synchronous",
    )


def end(database: Database) -> None:
    """Let commits wait no longer; those that wait go on.

    :raises OpsError: database.*
    """
    _set(database, f"ALTER SYSTEM RESET {SETTING}", None)


def confirms(database: Database) -> bool:
    """Tell whether the receiver confirms commits now.

    :raises OpsError: database.*
    """
    with database.session(name=database.maintenance_name, read_only=True) as cursor:
        return bool(
            fetch_all(
                cursor,
                """SELECT FROM pg_stat_replication
                    WHERE application_name = %s AND sync_state IN ('sync', 'quorum')""",
                (STANDBY,),
            )
        )


def _set(database: Database, statement: str, slot: str | None) -> None:
    with database.session(
        name=database.maintenance_name, superuser=True, autocommit=True
    ) as cursor:
        cursor.execute(statement)
        cursor.execute("SELECT pg_reload_conf()")
        if slot:
            cursor.execute(
                """SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
                    WHERE slot_name = %s AND active""",
                (slot,),
            )
