# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The way back of an exchange of tables, where that was what changed the live database last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.approvals.consent import Consent
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import from_iso
from ansible.module_utils.pmsops.evidence import ledger, restores
from ansible.module_utils.pmsops.postgresql.connection import Database, quote_ident
from ansible.module_utils.pmsops.restore import (
    database_lock,
    former_tables,
    registry,
    table_lock,
    tables_approval,
    tables_record,
)

BEFORE, UNDONE = "_before_", "_undone_"
# A server that is gone, or a database: then no table was exchanged last.
_GONE = ("database.unreachable", "database.missing", "database.auth")


def plan(database: Database, root: Path, evidence: Path | None, consent: Consent) -> dict[str, Any]:
    """Return what a rollback of tables would do; *last* tells whether tables were changed last."""
    schema = _last(database, evidence)
    result = _result(schema)
    if schema is None or UNDONE in schema:
        return {"changed": False} | result
    shown = consent.shown(tables_approval.of_rollback(consent, database, schema))
    return {"changed": True} | result | {"consent": shown}


def run(database: Database, root: Path, evidence: Path | None, consent: Consent) -> dict[str, Any]:
    """Give the former tables their names and rows again, if they were exchanged last.

    :raises OpsError: restore.in-place, approval.*, lock.held
    """
    if _last(database, evidence) is None:
        return {"changed": False} | _result(None) | {"warnings": []}
    with database_lock.exclusive(database, root, "rollback of tables"):
        warnings = tables_record.catch_up(evidence, database)
        schema = _last(database, evidence)
        if schema is None or UNDONE in schema:
            return {"changed": False} | _result(schema) | {"warnings": warnings}
        facts: dict[str, Any] = {}
        if consent.demanded:
            made = tables_approval.of_rollback(consent, database, schema)
            consent.require(made)
            facts = consent.use(made)
        undo(database, schema)
        record = facts | {
            restores.TABLES: [],
            "former_schema": schema.replace(BEFORE, UNDONE),
            "brought_back": schema,
        }
        warnings += tables_record.write(evidence, "rollback", record)
    return {"changed": True} | _result(schema) | {"warnings": warnings}


def undo(database: Database, schema: str) -> None:
    """Run the way back that the exchange left, in one transaction.

    :raises OpsError: restore.in-place
    """
    try:
        with database.session(superuser=True) as cursor:
            table_lock.take(cursor, [f"CALL {quote_ident(schema)}.undo()"])
    except psycopg2.Error as exc:
        raise OpsError(
            f"The former tables of {schema} do not fit the database as it is now: "
            + " ".join(str(exc).split()),
            "Nothing was changed. Change what it names, and run again; or take the rows from that"
            " schema.",
            code="restore.in-place",
        ) from exc


def _result(schema: str | None) -> dict[str, Any]:
    return {
        "last": schema is not None,
        "rolled_back": schema,
        "former_schema": schema.replace(BEFORE, UNDONE) if schema else None,
        "consent": None,
    }


def _last(database: Database, evidence: Path | None) -> str | None:
    """Return the newest schema of former tables, if no swap came after its exchange."""
    try:
        with database.session(read_only=True) as cursor:
            found = former_tables.find(cursor)
    except psycopg2.Error as exc:
        raise database.to_error(exc) from exc
    except OpsError as exc:
        if exc.code in _GONE:
            return None
        raise
    if not found:
        return None
    newest = found[-1]
    replaced = registry.replaced_last(registry.read_from(database), database.name)
    moments = [str(replaced.mark.get("since") or "")] if replaced else []
    if evidence is not None:
        now = from_iso(newest.since)
        last = restores.replaced(ledger.records(evidence), now)
        moments += [str(last["at"])] if last else []
    later = [each for each in moments if _moment(each, newest.since)]
    return None if later else newest.schema


def _moment(stamp: str, since: str) -> bool:
    """Tell whether a swap was after an exchange, whose moment is known to the second."""
    try:
        return from_iso(stamp) > from_iso(since)
    except ValueError:
        return False
