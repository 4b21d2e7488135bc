# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ledger's lines of exchanged tables, and of exchanges that were undone.

A run that was killed after its commit has left a schema of former tables, and no line: the next
run adds it.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.evidence import ledger, restores
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all
from ansible.module_utils.pmsops.restore import former_tables

_TABLES = """
SELECT c.relname FROM pg_catalog.pg_class c
 WHERE c.relnamespace = pg_catalog.to_regnamespace(%s) AND c.relkind IN ('r', 'p') ORDER BY 1"""


def write(evidence: Path | None, kind: str, record: dict[str, Any]) -> list[str]:
    """Add a line; return a warning where that fails: an exchange is never undone for it."""
    if evidence is None:
        return []
    try:
        ledger.append(evidence, kind, record, now=datetime.now(UTC))
    except OpsError as exc:
        return [f"The ledger lacks this {kind}: {exc} The next run adds the line."]
    return []


def catch_up(evidence: Path | None, live: Database) -> list[str]:
    """Add the lines of exchanges that no line names; return what was done, for people."""
    if evidence is None:
        return []
    with live.session(read_only=True) as cursor:
        found = {
            each: [name for (name,) in fetch_all(cursor, _TABLES, (each.schema,))]
            for each in former_tables.find(cursor)
        }
    if not found:
        return []
    known = {each["record"].get("former_schema") for each in ledger.records(evidence)}
    lines = []
    for each, names in found.items():
        if each.schema in known:
            continue
        kind = "rollback" if "_undone_" in each.schema else "restore"
        record = {
            restores.TABLES: names,
            "former_schema": each.schema,
            "former_bytes": each.bytes,
            "seen_later": True,
        }
        lines += write(evidence, kind, record) or [
            f"The ledger had no line of the {kind} of tables ({each.schema}); it has one now."
        ]
    return lines
