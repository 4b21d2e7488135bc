# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The databases beside the live one: their names, and the comment that says what each is.

A copy is called ``<live>__restore_<run>``, what a swap put aside ``<live>__before_<run>``, what a
rollback put aside ``<live>__undone_<run>``. The comment is read before the name: a database is
known by its OID, which no rename changes, and whoever lost every file still finds what it is.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
    quote_ident,
    quote_literal,
)

NAME_BYTES = 63
RUN = re.compile(r"\d{14}")
MARK = "pms-ops: "
COPY, FORMER, UNDONE = "copy", "former", "undone"
WORDS = {COPY: "restore", FORMER: "before", UNDONE: "undone"}


@dataclass(frozen=True)
class Beside:
    """A database of the server: its OID, and what our comment on it says (empty: nothing)."""

    name: str
    oid: int
    open: bool
    comment: str | None
    mark: dict[str, Any]

    @property
    def kind(self) -> str | None:
        """Return copy, former or undone; None for any other database."""
        return self.mark.get("is")


def name(live: str, kind: str, run: str) -> str:
    """Return the name of a database beside *live*, within PostgreSQL's 63 bytes."""
    tail = f"__{WORDS[kind]}_{run}"
    head = live.encode()[: NAME_BYTES - len(tail)].decode(errors="ignore")
    return head + tail


def run_stamp(now: datetime | None = None) -> str:
    """Return the name of a run: the moment it began, to the second."""
    return (now or datetime.now(UTC)).strftime("%Y%m%d%H%M%S")


def free_name(live: str, kind: str, taken: set[str], now: datetime | None = None) -> str:
    """Return a name for a run that begins now, one that no database has."""
    stamp = run_stamp(now)
    while (wanted := name(live, kind, stamp)) in taken:
        stamp = f"{int(stamp) + 1:014d}"
    return wanted


def mark_text(mark: dict[str, Any]) -> str:
    """Return the comment that carries *mark*."""
    return MARK + json.dumps(mark, sort_keys=True)


def read_mark(comment: str | None) -> dict[str, Any]:
    """Return what a comment of ours says, nothing for any other comment."""
    if not comment or not comment.startswith(MARK):
        return {}
    try:
        found = json.loads(comment.removeprefix(MARK))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def listed(cursor: Any) -> dict[str, Beside]:
    """Return all databases of the server by name; a database that was half dropped is none."""
    rows = fetch_all(
        cursor,
        """SELECT datname, oid, datallowconn, shobj_description(oid, 'pg_database')
             FROM pg_database WHERE datconnlimit <> -2 ORDER BY datname""",
    )
    return {row[0]: Beside(row[0], int(row[1]), row[2], row[3], read_mark(row[3])) for row in rows}


def present(live: Database) -> dict[str, Beside]:
    """Return all databases of the server of *live*, by name."""
    with live.session(name=live.maintenance_name, read_only=True) as cursor:
        return listed(cursor)


def of(found: dict[str, Beside], live: str, *kinds: str) -> list[Beside]:
    """Return those of *found* that are beside *live* and of one of *kinds*, oldest first."""
    ours = [each for each in found.values() if each.mark.get("of") == live and each.kind in kinds]
    return sorted(ours, key=lambda each: (str(each.mark.get("since", "")), each.name))


def orphans(found: dict[str, Beside], live: str) -> list[str]:
    """Return the copies of *live* by mark, and by name those killed before they were marked."""
    head, _, _ = name(live, COPY, "").rpartition("_")
    by_name = re.compile(re.escape(head) + "_" + RUN.pattern)
    return [
        each.name
        for each in found.values()
        if (each.kind == COPY and each.mark.get("of") == live)
        or (not each.mark and by_name.fullmatch(each.name))
    ]


def to_bring_back(found: dict[str, Beside], live: str) -> Beside | None:
    """Return the database that the one now called *live* replaced; None after a rollback.

    Whoever repeats a rollback that went well must not go back one restore further.

    :raises OpsError: restore.no-former where nothing was ever replaced.
    """
    now = found[live].oid if live in found else None
    if any(each.mark.get("replaced_by") == now for each in of(found, live, UNDONE)):
        return None
    for each in reversed(of(found, live, FORMER)):
        if each.mark.get("replaced_by") == now:
            return each
    others = ", ".join(each.name for each in of(found, live, FORMER, UNDONE)) or "none"
    raise OpsError(
        f"{live} did not replace any database that is still there (beside it: {others}).",
        "Name the one to bring back with -e restore_former=<name>, or restore a set:"
        " dr_restore.yml -e file=...",
        code="restore.no-former",
    )


def comment(live: Database, name: str, mark: dict[str, Any]) -> None:
    """Mark a database; nothing where there is none of that name."""
    with live.session(name=live.maintenance_name, superuser=True) as cursor:
        if fetch_value(cursor, "SELECT 1 FROM pg_database WHERE datname = %s", (name,)):
            cursor.execute(
                f"COMMENT ON DATABASE {quote_ident(name)} IS {quote_literal(mark_text(mark))}"
            )
