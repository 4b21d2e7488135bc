# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What belongs to a database by its OID, and so neither follows its name nor survives its drop.

Logical replication slots stay with a renamed database: their consumers, who connect by name, find
a database without their slot, while the slot keeps WAL for nobody. DROP DATABASE takes the idle
ones along without a word. Prepared transactions block both, and no session can be ended for them.
Subscriptions block a drop.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import psycopg2
import psycopg2.errors
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import session_settings
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
    quote_ident,
    quote_literal,
)

# A new slot waits for the end of every transaction that is under way on the server.
CREATE_SECONDS = 60
DROP_ATTEMPTS, DROP_ATTEMPT_SECONDS = 50, 0.1
_SLOTS = """
SELECT s.slot_name, s.plugin, to_jsonb(s) ->> 'two_phase' = 'true',
       coalesce(to_jsonb(s) ->> 'failover' = 'true', false),
       CASE WHEN s.active THEN coalesce(nullif(a.application_name, ''), 'a session without name')
       END
  FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid
 WHERE s.slot_type = 'logical' AND NOT s.temporary AND s.database = %s ORDER BY 1"""
_PREPARED = """
SELECT gid, owner::text, to_char(prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
  FROM pg_prepared_xacts WHERE database = %s ORDER BY prepared, gid"""
_SUBSCRIPTIONS = """
SELECT s.subname::text, s.subenabled
  FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
 WHERE d.datname = %s ORDER BY 1"""
_PLACE_OF_SLOT = "SELECT database FROM pg_replication_slots WHERE slot_name = %s"


@dataclass(frozen=True)
class Slot:
    """A logical replication slot; *consumer* is who reads it now, None if nobody does."""

    name: str
    plugin: str
    two_phase: bool = False
    failover: bool = False
    consumer: str | None = None

    def text(self) -> str:
        """Return the slot as people read it."""
        state = f"read by {self.consumer}" if self.consumer else "idle"
        return f"{self.name} ({self.plugin}, {state})"


@dataclass(frozen=True)
class PreparedTransaction:
    """A transaction between its two phases."""

    gid: str
    owner: str
    since: str

    def text(self) -> str:
        """Return the transaction as people read it."""
        return f"{quote_literal(self.gid).strip()} of {self.owner} since {self.since}"


@dataclass(frozen=True)
class BoundObjects:
    """What is bound to one database."""

    slots: tuple[Slot, ...]
    prepared: tuple[PreparedTransaction, ...]
    # Name of each subscription, and whether it is enabled.
    subscriptions: tuple[tuple[str, bool], ...]


def read(cursor: Any, database: str) -> BoundObjects:
    """Return what is bound to *database*; the session may be in any database of the server."""
    return BoundObjects(
        tuple(Slot(*row) for row in fetch_all(cursor, _SLOTS, (database,))),
        tuple(PreparedTransaction(*row) for row in fetch_all(cursor, _PREPARED, (database,))),
        tuple((name, on) for name, on in fetch_all(cursor, _SUBSCRIPTIONS, (database,))),
    )


def place(cursor: Any, slot: str) -> str | None:
    """Return the database of a slot, None if there is no such slot."""
    found: str | None = fetch_value(cursor, _PLACE_OF_SLOT, (slot,))
    return found


def drop_slot(cursor: Any, slot: str) -> None:
    """Drop a slot, ending the session that reads it; it may be gone already."""
    for attempt in range(DROP_ATTEMPTS):
        try:
            cursor.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
                " WHERE slot_name = %s",
                (slot,),
            )
            return
        except psycopg2.errors.ObjectInUse:
            if attempt == DROP_ATTEMPTS - 1:
                raise
            cursor.execute(
                "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
                " WHERE slot_name = %s",
                (slot,),
            )
            time.sleep(DROP_ATTEMPT_SECONDS)


def create_slot(cursor: Any, slot: Slot) -> None:
    """Create a slot in the database of *cursor*, which reads all changes from now on."""
    failover = fetch_value(
        cursor,
        "SELECT pronargs >= 5 FROM pg_proc WHERE proname = 'pg_create_logical_replication_slot'",
    )
    session_settings.limit_statements(cursor, CREATE_SECONDS, transaction=False)
    try:
        cursor.execute(
            "SELECT pg_create_logical_replication_slot(%s, %s, false, %s"
            + (", %s)" if failover else ")"),
            (slot.name, slot.plugin, slot.two_phase, *((slot.failover,) if failover else ())),
        )
    finally:
        cursor.execute("SET SESSION statement_timeout = 0")


def detach_subscriptions(database: Database, names: list[str]) -> None:
    """Drop disabled subscriptions of a restored database; the slots at their publishers stay."""
    with database.session(superuser=True, autocommit=True) as cursor:
        for name in names:
            cursor.execute(f"ALTER SUBSCRIPTION {quote_ident(name)} SET (slot_name = NONE)")
            cursor.execute(f"DROP SUBSCRIPTION {quote_ident(name)}")


def require_no_prepared(cursor: Any, database: str) -> None:
    """Refuse a database with prepared transactions, before anything is changed.

    :raises OpsError: restore.prepared-transactions
    """
    found = read(cursor, database).prepared
    if found:
        raise OpsError(
            f"Database {database} has prepared transactions, and PostgreSQL renames no such"
            f" database: {'; '.join(each.text() for each in found)}. Nothing was changed.",
            f"Let the application's transaction manager end them; or, connected to {database}:"
            f" {ending(found)}.",
            code="restore.prepared-transactions",
        )


def ending(found: tuple[PreparedTransaction, ...]) -> str:
    """Return the statements that end prepared transactions, as an operator types them."""
    gids = [quote_literal(each.gid).strip() for each in found]
    return "; ".join(f"COMMIT PREPARED {gid}, or ROLLBACK PREPARED {gid}" for gid in gids)


def require_droppable(found: BoundObjects, database: str) -> None:
    """Refuse to drop a database with which something would be lost, or that PostgreSQL keeps.

    :raises OpsError: restore.not-dropped
    """
    kept, steps = [], []
    if found.slots:
        kept.append(f"logical replication slots {', '.join(each.text() for each in found.slots)}")
        steps += [
            f"SELECT pg_drop_replication_slot({quote_literal(each.name).strip()})"
            for each in found.slots
        ]
    if found.prepared:
        kept.append(f"prepared transactions {', '.join(each.text() for each in found.prepared)}")
        steps.append(ending(found.prepared))
    if found.subscriptions:
        names = [name for name, _ in found.subscriptions]
        kept.append(f"subscriptions {', '.join(names)}")
        steps += [f"DROP SUBSCRIPTION {quote_ident(name)}" for name in names]
    if kept:
        raise OpsError(
            f"Database {database} was not dropped, because of its {'; and its '.join(kept)}.",
            f"If nobody needs them, connected to {database}: {'; '.join(steps)}; then"
            f" DROP DATABASE {quote_ident(database)}.",
            code="restore.not-dropped",
        )
