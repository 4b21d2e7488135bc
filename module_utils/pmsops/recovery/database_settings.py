# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings that stop a running database from working: found and reset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import ActionRecorder
from ansible.module_utils.pmsops.postgresql import timescaledb_workers
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    become_superuser,
    fetch_all,
    fetch_value,
    quote_ident,
)


@dataclass(frozen=True)
class SettingFix:
    """The fix of one wrong setting: its text, and the function that applies it."""

    text: str
    apply: Callable[[], None]
    # Open sessions keep the wrong setting until they reconnect.
    sessions: bool = False


def needed(database: Database) -> list[SettingFix]:
    """Return the fixes that are needed, without applying them.

    :raises OpsError: care.standby, care.read-only, database.*.
    """
    with database.session(read_only=True) as cursor:
        if fetch_value(cursor, "SELECT pg_is_in_recovery()"):
            raise OpsError(
                "The server is a standby: it accepts no writes.",
                "Point pms_db_host at the primary. Only if the primary is lost for good, promote"
                " this one: SELECT pg_promote().",
                code="care.standby",
            )
        found = _read_only(database, cursor)
        if _restoring(cursor):
            found.append(SettingFix("End restoring mode", lambda: _end_restoring(database), True))
    if timescaledb_workers.has_timescaledb(database) and not timescaledb_workers.scheduler_seen(
        database
    ):
        found.append(
            SettingFix(
                "Start TimescaleDB's scheduler", lambda: timescaledb_workers.start_workers(database)
            )
        )
    return found


def fix(database: Database, *, record: ActionRecorder) -> tuple[list[str], bool]:
    """Apply the needed fixes; return the steps, and whether open sessions must reconnect.

    :raises OpsError: those of needed, restore.no-scheduler.
    """
    done, sessions = [], False
    for each in needed(database):
        with record(each.text):
            each.apply()
        done.append(each.text)
        sessions = sessions or each.sessions
    return done, sessions


def _read_only(database: Database, cursor: Any) -> list[SettingFix]:
    """Return the fixes of settings that make new sessions of the PMS read-only."""
    found = []
    owner = fetch_value(
        cursor,
        "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()",
    )
    for of_database, role in fetch_all(cursor, _READ_ONLY, (owner,)):
        here = f"DATABASE {quote_ident(database.name)}"
        if role is None:
            target = here
        elif of_database:
            target = f"ROLE {quote_ident(role)} IN {here}"
        else:
            target = f"ROLE {quote_ident(role)}"
        statement = f"ALTER {target} RESET default_transaction_read_only"
        found.append(
            SettingFix(f"Make it writable: {statement}", _statement(database, statement), True)
        )
    source = (
        fetch_all(
            cursor,
            "SELECT sourcefile FROM pg_file_settings"
            " WHERE name = 'default_transaction_read_only' AND applied"
            " AND lower(setting) IN ('on', 'true', 'yes', '1')",
        )
        if _may_read_files(cursor)
        else []
    )
    if source and not str(source[0][0]).endswith("postgresql.auto.conf"):
        raise OpsError(
            f"{source[0][0]} makes every transaction of the server read-only.",
            "Remove default_transaction_read_only from that file, and reload the server.",
            code="care.read-only",
        )
    if source:
        statement = "ALTER SYSTEM RESET default_transaction_read_only"
        found.append(
            SettingFix(
                f"Make it writable: {statement}", _statement(database, statement, "reload"), True
            )
        )
    return found


def _may_read_files(cursor: Any) -> bool:
    """Become a superuser for this transaction; return False if the toolkit's role may not."""
    return become_superuser(cursor) is not None


def _restoring(cursor: Any) -> bool:
    return (
        fetch_value(cursor, "SELECT current_setting('timescaledb.restoring', true)") or "off"
    ) == "on"


def _statement(database: Database, statement: str, after: str = "") -> Callable[[], None]:
    def work() -> None:
        with database.session(
            name=database.maintenance_name, superuser=True, autocommit=True
        ) as cursor:
            cursor.execute("SET default_transaction_read_only = off")
            cursor.execute(statement)
            if after == "reload":
                cursor.execute("SELECT pg_reload_conf()")

    return work


def _end_restoring(database: Database) -> None:
    with database.session(superuser=True) as cursor:
        cursor.execute("SELECT timescaledb_post_restore()")


# A setting of the database, of its owner, or of its owner in it.
_READ_ONLY = """
SELECT s.setdatabase <> 0, r.rolname
  FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
  LEFT JOIN pg_database d ON d.oid = s.setdatabase
 WHERE (s.setdatabase = 0 OR d.datname = current_database())
   AND (s.setrole = 0 OR r.rolname = %s)
   AND EXISTS (SELECT FROM unnest(s.setconfig) AS one
                WHERE one ~* '^default_transaction_read_only=(on|true|yes|1)$')
 ORDER BY 1, 2"""
