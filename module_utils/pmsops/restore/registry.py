# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The databases that restores manage next to the live one: their names and their marks.

A staging database is called ``<live>__restore_<run>``, a former database ``<live>__before_<run>``,
a rolled-back one ``<live>__undone_<run>``, that of a backup's trial ``<live>__trial_<run>``, and a
warm copy ``<live>__warm_<run>``. Each carries a mark: a comment of JSON that says what it is. The
mark counts for more than the name, and the OID that it records for more than both, since no rename
changes an OID. So the state of a restore is still known when all files are lost.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.postgresql import database_mark
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
    quote_ident,
    quote_literal,
)

NAME_BYTES = 63
RUN = re.compile(r"\d{14}")
mark_text, read_mark = database_mark.text, database_mark.read
# Persisted in marks and in names: the values never change.
STAGING, FORMER, UNDONE, TRIAL, WARM = "copy", "former", "undone", "trial", "warm"
# What a restore made and nobody has used: its subscriptions are those of the set, disabled.
RESTORED = (STAGING, TRIAL, WARM)
# Key of a mark: the tables that the PMS wrote to before a swap back, with their numbers.
WRITTEN = "written"
NAME_PARTS = {
    STAGING: "restore",
    FORMER: "before",
    UNDONE: "undone",
    TRIAL: "trial",
    WARM: "warm",
}


@dataclass(frozen=True)
class ManagedDatabase:
    """A database of the server, with its OID and its mark (empty without a comment of ours)."""

    name: str
    oid: int
    open: bool
    comment: str | None
    mark: dict[str, Any]

    @property
    def kind(self) -> str | None:
        """Return STAGING, FORMER, UNDONE, TRIAL or WARM; None for any other database."""
        return self.mark.get("is")


def database_name(live: str, kind: str, run: str) -> str:
    """Return the name of a managed database of *live*, within PostgreSQL's 63 bytes."""
    tail = f"__{NAME_PARTS[kind]}_{run}"
    head = live.encode()[: NAME_BYTES - len(tail)].decode(errors="ignore")
    return head + tail


def run_stamp(now: datetime | None = None) -> str:
    """Return the name of a run: the second in which it began."""
    return (now or datetime.now(UTC)).strftime("%Y%m%d%H%M%S")


def free_name(live: str, kind: str, taken: set[str], now: datetime | None = None) -> str:
    """Return a name that no database has, for a run that begins now."""
    stamp = run_stamp(now)
    while (name := database_name(live, kind, stamp)) in taken:
        stamp = f"{int(stamp) + 1:014d}"
    return name


def read(cursor: Any) -> dict[str, ManagedDatabase]:
    """Return all databases of the server by name, without those whose drop was interrupted."""
    rows = fetch_all(
        cursor,
        """SELECT datname, oid, datallowconn, shobj_description(oid, 'pg_database')
             FROM pg_database WHERE datconnlimit <> -2 ORDER BY datname""",
    )
    return {
        row[0]: ManagedDatabase(row[0], int(row[1]), row[2], row[3], read_mark(row[3]))
        for row in rows
    }


def read_from(live: Database) -> dict[str, ManagedDatabase]:
    """Return all databases of the server of *live*, by name."""
    with live.session(name=live.maintenance_name, read_only=True) as cursor:
        return read(cursor)


def select(found: dict[str, ManagedDatabase], live: str, *kinds: str) -> list[ManagedDatabase]:
    """Return the managed databases of *live* of the given kinds, oldest first."""
    ours = [each for each in found.values() if each.mark.get("of") == live and each.kind in kinds]
    return sorted(ours, key=lambda each: (str(each.mark.get("since", "")), each.name))


def abandoned(found: dict[str, ManagedDatabase], live: str, kind: str = STAGING) -> list[str]:
    """Return *live*'s databases of *kind*: by mark, or by name if killed before marked."""
    return [
        each.name
        for each in found.values()
        if (each.kind == kind and each.mark.get("of") == live)
        or (not each.mark and named_as(each.name, live, kind))
    ]


def named_as(name: str, live: str, kind: str) -> bool:
    """Tell whether a database has the name of *live*'s databases of *kind*."""
    head, _, _ = database_name(live, kind, "").rpartition("_")
    return re.fullmatch(re.escape(head) + "_" + RUN.pattern, name) is not None


def half_dropped(cursor: Any, live: str, kind: str) -> list[str]:
    """Return *live*'s databases of *kind* whose drop was interrupted; nobody can connect to one."""
    rows = fetch_all(
        cursor, "SELECT datname FROM pg_database WHERE datconnlimit = -2 ORDER BY datname"
    )
    return [name for (name,) in rows if named_as(name, live, kind)]


def replaced_last(found: dict[str, ManagedDatabase], live: str) -> ManagedDatabase | None:
    """Return the former or rolled-back database that the live one replaced last, if it is there.

    A database that comes back to life more than once has replaced several.
    """
    now = found[live].oid if live in found else None
    replaced = [
        each for each in select(found, live, FORMER, UNDONE) if each.mark.get("replaced_by") == now
    ]
    return replaced[-1] if replaced else None


def rollback_target(found: dict[str, ManagedDatabase], live: str) -> ManagedDatabase | None:
    """Return the former database that the live one replaced; None right after a rollback.

    A successful rollback that is repeated must not go back one restore further.

    :raises OpsError: restore.no-former if the live database replaced none that is still there.
    """
    last = replaced_last(found, live)
    if last is not None:
        return last if last.kind == FORMER else None
    others = ", ".join(each.name for each in select(found, live, FORMER, UNDONE)) or "none"
    raise OpsError(
        f"No former database belongs to the live {live} (former and rolled-back databases on the"
        f" server: {others}).",
        "Name the one to roll back to with -e restore_former=<name>, or restore a set:"
        " dr_restore.yml -e file=...",
        code="restore.no-former",
    )


def set_mark(live: Database, name: str, mark: dict[str, Any]) -> None:
    """Mark the database *name*; does nothing if it does not exist."""
    with live.session(name=live.maintenance_name, superuser=True) as cursor:
        if fetch_value(cursor, "SELECT 1 FROM pg_database WHERE datname = %s", (name,)):
            cursor.execute(
                f"COMMENT ON DATABASE {quote_ident(name)} IS {quote_literal(mark_text(mark))}"
            )
