# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restored tables put where they belong: into a schema of their own, or in place of the live ones.

In place, the live table goes into a schema of former tables, and the restored one takes its name.
Foreign keys of other tables and views follow the name; what cannot follow refuses the exchange. A
procedure in that schema undoes it. All of it is part of the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.postgresql.connection import (
    fetch_value,
    quote_ident,
    quote_literal,
)
from ansible.module_utils.pmsops.restore import table_lock
from ansible.module_utils.pmsops.restore.table_definitions import (
    TRANSIT,
    Pieces,
    TableName,
    full_name,
)
from ansible.module_utils.pmsops.restore.table_surroundings import (
    Around,
    Key,
    require_exchangeable,
)


def beside(cursor: Any, names: Iterable[TableName], into: str, note: str) -> None:
    """Move the tables from the schema of transit into schema *into*, made if it is missing."""
    if not fetch_value(cursor, "SELECT to_regnamespace(%s) IS NOT NULL", (quote_ident(into),)):
        owner = fetch_value(
            cursor,
            "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()",
        )
        cursor.execute(f"CREATE SCHEMA {quote_ident(into)} AUTHORIZATION {quote_ident(owner)}")
        cursor.execute(f"COMMENT ON SCHEMA {quote_ident(into)} IS {quote_literal(note)}")
    pieces = Pieces.of(cursor, [(TRANSIT, name) for _schema, name in names])
    for statement in pieces.moves(dict.fromkeys(pieces.names, into)):
        cursor.execute(statement)
    cursor.execute(f"DROP SCHEMA {quote_ident(TRANSIT)}")


@dataclass(frozen=True)
class Beside:
    """What an exchange does beside the names: hypertables whose rows it changes, and statements."""

    # As SQL spells them: their writers wait, too.
    written: tuple[str, ...] = ()
    # Called once the tables are locked; refuses the exchange by an error.
    locked: Callable[[Any], None] = lambda cursor: None
    # Of the schemas that rows are kept in, and that the way back keeps rows in: both ways.
    statements: Callable[[Any, str, str], tuple[list[str], list[str]]] = lambda *_: ([], [])


@dataclass(frozen=True)
class Exchanged:
    """What an exchange of names did."""

    schema: str
    former: tuple[TableName, ...]
    undo: str
    notes: tuple[str, ...]


def in_place(
    cursor: Any,
    names: Iterable[TableName],
    home: dict[TableName, str],
    in_set: Around,
    note: str,
    beside: Beside | None = None,
) -> Exchanged:
    """Give the tables in the schema of transit the names of the live ones, which are kept.

    *home* gives the schema of each piece, *in_set* what the set has around the tables: foreign keys
    that went with a dropped table come back, too. *beside* is what else the exchange does.

    :raises OpsError: restore.in-place
    """
    names, beside = list(names), beside or Beside()
    schema = f"pms_ops_before_{datetime.now(UTC):%Y%m%d%H%M%S}"
    undone = schema.replace("_before_", "_undone_")
    old = _locked(cursor, names, beside)
    require_exchangeable(cursor, names, "the live database")
    around = Around.of(cursor, names)
    new = Pieces.of(cursor, [(TRANSIT, name) for _schema, name in names])
    homes = {each: home[each] for each in new.names}
    keys_back, notes = _lost(cursor, in_set, {full_name((homes[e], e[1])) for e in new.tables})
    own = [
        replace(key, table=full_name((homes[piece], piece[1])))
        for key in Around.of(cursor, [(TRANSIT, name) for _schema, name in names]).keys_from
        for piece in new.tables
        if key.table == full_name(piece)
    ]
    more, more_back = beside.statements(cursor, schema, undone)
    cursor.execute(f"CREATE SCHEMA {quote_ident(schema)}")
    cursor.execute(f"COMMENT ON SCHEMA {quote_ident(schema)} IS {quote_literal(note)}")
    statements = [
        *(each.drop for each in (*around.keys_to, *around.keys_from)),
        *old.moves(dict.fromkeys(old.names, schema)),
        *new.moves(homes),
        *(each.add for each in (*around.keys_to, *keys_back)),
        *(sql for _name, sql in around.views),
        *more,
    ]
    now, then = new.renamed(homes), old.renamed(dict.fromkeys(old.names, schema))
    undo = [
        f"CREATE SCHEMA {quote_ident(undone)}",
        *(each.drop for each in (*around.keys_to, *keys_back, *own)),
        *now.moves(dict.fromkeys(now.names, undone)),
        *then.moves({(schema, name): at for at, name in old.names}),
        *(each.add for each in (*around.keys_from, *around.keys_to)),
        *(sql for _name, sql in around.views),
        *more_back,
        f"DROP PROCEDURE {quote_ident(schema)}.undo()",
        f"DROP SCHEMA {quote_ident(schema)}",
    ]
    try:
        for statement in statements:
            cursor.execute(statement)
    except psycopg2.Error as exc:
        raise OpsError(
            "The restored tables do not fit what depends on the live ones: "
            + " ".join(str(exc).split()),
            "Nothing was changed. Restore the table that it names, too, from the same set, or"
            " restore into a schema (--into).",
            code="restore.in-place",
        ) from exc
    cursor.execute(f"DROP SCHEMA {quote_ident(TRANSIT)}")
    lines = "\n".join(f"    EXECUTE {quote_literal(each)};" for each in undo)
    cursor.execute(
        f"CREATE PROCEDURE {quote_ident(schema)}.undo() LANGUAGE plpgsql AS "
        + quote_literal(f"BEGIN\n    SET LOCAL search_path = '';\n{lines}\nEND")
    )
    role = fetch_value(cursor, "SELECT current_user WHERE current_user <> session_user")
    call = f"CALL {quote_ident(schema)}.undo()"
    undo_command = f"SET ROLE {quote_ident(role)}; {call}" if role else call
    return Exchanged(schema, then.tables, undo_command, tuple(notes))


def _locked(cursor: Any, names: list[TableName], beside: Beside) -> Pieces:
    """Lock the live tables, so that nothing is written to them unseen; return their pieces."""
    old = Pieces.of(cursor, names)
    statements = []
    if old.tables:
        tables = ", ".join(full_name(each) for each in old.tables)
        statements.append(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
    if beside.written:
        statements.append(f"LOCK TABLE {', '.join(beside.written)} IN SHARE ROW EXCLUSIVE MODE")
    table_lock.take(cursor, statements)
    beside.locked(cursor)
    return old


def _lost(cursor: Any, in_set: Around, come: set[str]) -> tuple[list[Key], list[str]]:
    """Return the foreign keys that went with a dropped table, and notes on views that did.

    Those of the tables that *come* are a part of them.
    """
    back = []
    for key in in_set.keys_to:
        known = fetch_value(
            cursor,
            "SELECT count(*) FROM pg_constraint WHERE conrelid = to_regclass(%s) AND conname = %s",
            (key.table, key.name),
        )
        table = fetch_value(cursor, "SELECT to_regclass(%s) IS NOT NULL", (key.table,))
        if table and not known and key.table not in come:
            back.append(key)
    gone = [
        name
        for name, _sql in in_set.views
        if fetch_value(cursor, "SELECT to_regclass(%s) IS NULL", (name,))
    ]
    return back, [f"View {name} of the set is missing, and stays so." for name in gone]
