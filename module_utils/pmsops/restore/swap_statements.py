# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The statements of a swap: names, marks, and who may connect, write and fire event triggers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.timestamps import UTC, utc_stamp
from ansible.module_utils.pmsops.postgresql import event_triggers
from ansible.module_utils.pmsops.postgresql.connection import (
    fetch_value,
    quote_ident,
    quote_literal,
)
from ansible.module_utils.pmsops.restore import registry

READ_ONLY = "default_transaction_read_only"


def of_swap(
    cursor: Any,
    *,
    live: str,
    incoming: registry.ManagedDatabase,
    leaving: registry.ManagedDatabase | None,
    outgoing: str,
    mark: dict[str, Any],
    guarded: bool = False,
    own: str | None = None,
) -> list[str]:
    """Return the statements that make *incoming* the database *live*, for one transaction.

    *leaving*, if there is a live database, gets the name *outgoing* and *mark* with what a swap
    back has to know. A *guarded* database is read-only by default until its writes are held back;
    a staging database that leaves gets its *own* default again.
    """
    here = quote_ident(live)
    statements = []
    has_event_triggers = event_triggers.known(cursor)
    if leaving is not None:
        gone = quote_ident(outgoing)
        facts = {
            "of": live,
            "since": utc_stamp(datetime.now(UTC)),
            "replaced_by": incoming.oid,
            "comment": leaving.comment,
            "read_only": setting(cursor, leaving.oid, READ_ONLY),
        }
        if has_event_triggers:
            facts[event_triggers.MARKED] = setting(cursor, leaving.oid, event_triggers.SETTING)
        statements += [
            f"ALTER DATABASE {here} RENAME TO {gone}",
            f"COMMENT ON DATABASE {gone} IS {quote_literal(registry.mark_text(facts | mark))}",
            f"ALTER DATABASE {gone} ALLOW_CONNECTIONS true",
        ]
        if mark.get("is") != registry.STAGING:
            # It can be read under its new name, and nothing changes it by mistake.
            statements.append(read_only(gone, "on"))
        else:
            statements.append(read_only(gone, own))
        if has_event_triggers:
            statements.append(event_triggers.off(gone))
    statements.append(f"ALTER DATABASE {quote_ident(incoming.name)} RENAME TO {here}")
    if incoming.mark:
        comment = incoming.mark.get("comment")
        statements.append(
            f"COMMENT ON DATABASE {here} IS {quote_literal(comment) if comment else 'NULL'}"
        )
    if guarded:
        statements.append(read_only(here, "on"))
    elif incoming.kind in (registry.FORMER, registry.UNDONE):
        statements.append(read_only(here, incoming.mark.get("read_only")))
    if has_event_triggers:
        statements += event_triggers.given_back(here, incoming.mark)
    return [*statements, f"ALTER DATABASE {here} ALLOW_CONNECTIONS true"]


def own_read_only(cursor: Any, incoming: registry.ManagedDatabase) -> str | None:
    """Return the default of read-only that *incoming* has once it is live, None for none."""
    if incoming.kind in (registry.FORMER, registry.UNDONE):
        value: str | None = incoming.mark.get("read_only")
        return value
    return setting(cursor, incoming.oid, READ_ONLY)


def read_only(quoted: str, value: str | None) -> str:
    """Return the statement that gives a database its default of read-only, or takes it away."""
    if value is None:
        return f"ALTER DATABASE {quoted} RESET {READ_ONLY}"
    return f"ALTER DATABASE {quoted} SET {READ_ONLY} TO {quote_literal(value)}"


def setting(cursor: Any, oid: int, name: str) -> str | None:
    """Return a database's own setting of *name*, None if it has none."""
    value: str | None = fetch_value(
        cursor,
        """SELECT split_part(c, '=', 2) FROM pg_db_role_setting s, unnest(s.setconfig) c
            WHERE s.setdatabase = %s AND s.setrole = 0 AND split_part(c, '=', 1) = %s""",
        (oid, name),
    )
    return value
