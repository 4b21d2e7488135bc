# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How to begin a transaction that makes temporary objects and is rolled back.

Nothing of it stays in the database, no lock is held long, and no event trigger of the users runs.
"""

from __future__ import annotations

from typing import Any

from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    quote_ident,
    superuser_role,
)

# A lock is waited for only this long. Each is held until the rollback, some milliseconds.
STATEMENT_SECONDS, LOCK_SECONDS = 10, 2
_SETTINGS = (
    "SELECT set_config('search_path', 'pg_catalog', true);"
    f" SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s';"
    f" SET LOCAL lock_timeout = '{LOCK_SECONDS}s';"
    " SET LOCAL standard_conforming_strings = on; SET LOCAL quote_all_identifiers = off;"
    " SET LOCAL transform_null_equals = off; SET LOCAL check_function_bodies = off"
)
# Event triggers of the users; those of an extension may run, as they are made for it.
_EVENT_TRIGGERS = """
    SELECT quote_ident(t.evtname) FROM pg_event_trigger t
     WHERE t.evtenabled <> 'D' AND t.evtevent <> 'login'
       AND current_setting('event_triggers', true) IS DISTINCT FROM 'off'
       AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_event_trigger'::regclass
                          AND x.objid = t.oid AND x.deptype = 'e')
     ORDER BY 1"""


def prologues(connection: Any, database: Database) -> tuple[list[str], str]:
    """Return the statements that begin a transaction, per role that may try; else the reason."""
    with connection.cursor() as cursor:
        standby, temporary, version = fetch_all(
            cursor,
            """SELECT pg_is_in_recovery(),
                      has_database_privilege(current_database(), 'TEMPORARY'),
                      current_setting('server_version_num')::int""",
        )[0]
        superuser = superuser_role(cursor)
        event_triggers = [row[0] for row in fetch_all(cursor, _EVENT_TRIGGERS)]
    connection.rollback()
    if standby:
        return [], "the server is a standby"
    found = []
    if temporary and not event_triggers:
        found.append(_SETTINGS)
    if superuser:
        found.append(
            "; ".join(
                [
                    _SETTINGS,
                    f"SET LOCAL ROLE {quote_ident(superuser)}",
                    *_silenced(event_triggers, version),
                ]
            )
        )
    if event_triggers:
        return found, f"role {database.user} cannot hold back event trigger {event_triggers[0]}"
    return found, f"role {database.user} lacks TEMPORARY in database {database.name}"


def _silenced(event_triggers: list[str], version: int) -> list[str]:
    """Return what keeps event triggers from running in this transaction, and in no other."""
    if not event_triggers:
        return []
    if version >= 170000:
        return ["SET LOCAL event_triggers = off"]
    return [f"ALTER EVENT TRIGGER {name} DISABLE" for name in event_triggers]
