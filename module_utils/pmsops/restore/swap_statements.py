# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The statements of a swap: names, marks, and who may connect, write and fire event triggers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.pmsops.common.timestamps import utc_stamp
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
) -> list[str]:
    """Return the statements that make *incoming* the database *live*, for one transaction.

    *leaving*, if there is a live database, gets the name *outgoing* and *mark* with what a swap
    back has to know.
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
            "read_only": _setting(cursor, leaving.oid, READ_ONLY),
        }
        if has_event_triggers:
            facts[event_triggers.MARKED] = _setting(cursor, leaving.oid, event_triggers.SETTING)
        statements += [
            f"ALTER DATABASE {here} RENAME TO {gone}",
            f"COMMENT ON DATABASE {gone} IS {quote_literal(registry.mark_text(facts | mark))}",
            f"ALTER DATABASE {gone} ALLOW_CONNECTIONS true",
        ]
        if mark.get("is") != registry.STAGING:
            # It can be read under its new name, and nothing changes it by mistake.
            statements.append(f"ALTER DATABASE {gone} SET {READ_ONLY} TO on")
        if has_event_triggers:
            statements.append(event_triggers.off(gone))
    statements.append(f"ALTER DATABASE {quote_ident(incoming.name)} RENAME TO {here}")
    if incoming.mark:
        comment = incoming.mark.get("comment")
        statements.append(
            f"COMMENT ON DATABASE {here} IS {quote_literal(comment) if comment else 'NULL'}"
        )
    if incoming.kind in (registry.FORMER, registry.UNDONE):
        value = incoming.mark.get("read_only")
        statements.append(
            f"ALTER DATABASE {here} SET {READ_ONLY} TO {quote_literal(value)}"
            if value
            else f"ALTER DATABASE {here} RESET {READ_ONLY}"
        )
    if has_event_triggers:
        statements += event_triggers.given_back(here, incoming.mark)
    return [*statements, f"ALTER DATABASE {here} ALLOW_CONNECTIONS true"]


def _setting(cursor: Any, oid: int, name: str) -> str | None:
    """Return a database's own setting of *name*, None if it has none."""
    value: str | None = fetch_value(
        cursor,
        """SELECT split_part(c, '=', 2) FROM pg_db_role_setting s, unnest(s.setconfig) c
            WHERE s.setdatabase = %s AND s.setrole = 0 AND split_part(c, '=', 1) = %s""",
        (oid, name),
    )
    return value
