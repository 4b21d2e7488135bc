# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ledger's line of a swap or rollback: written by the module that made it, or by the next run.

A playbook can be killed while its module goes on. So the line is no matter of a later task: the
module writes it before it forgets its journal. Whichever run finds afterwards that a database was
replaced, and no line says so, adds the line with ``seen_later``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.approvals.consent import MISSING
from ansible.module_utils.pmsops.common.errors import (
    ENDINGS,
    BrokenProofError,
    InterruptError,
    OpsError,
)
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.evidence import ledger, restores
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.restore import registry
from ansible.module_utils.pmsops.restore.registry import ManagedDatabase

# What the live database became says what was done, and how its line names it.
KINDS = {registry.FORMER: "restore", registry.UNDONE: "rollback"}
UNDONE_CODE = "restore.probe"
# Their lines are written before the journal is forgotten.
RECORDED = (UNDONE_CODE, "restore.probe-only")
# Another run is at work, which has a line of its own; or a second person has to be asked first.
ELSEWHERE = ("lock.held", "restore.elsewhere", MISSING)
REPLACED = {registry.FORMER: "former", registry.UNDONE: "undone"}


# From the stop of the services until the PMS is seen to work; on the way back, each once more.
DOWN = ("stop services", "rename", "open", "workers", "start services", "probe")


def down_seconds(phases: dict[str, float], by_hand: str = "") -> float:
    """Return how long the PMS was down in a swap, from the seconds of its steps."""
    return round(sum(phases.get(name, 0.0) for name in {*DOWN, by_hand}), 1)


def of_root(backup_root: Path) -> dict[str, str]:
    """Return what a record says where the sets are of another database than the PMS's."""
    other = sets.other_database(backup_root)
    return {ledger.OTHER: other} if other else {}


def of_swap(
    became: str, incoming: str, outgoing: str | None, given: dict[str, Any]
) -> dict[str, Any]:
    """Return the record of a swap; *given* is what its caller knows of the set."""
    incoming_name = "incoming" if became == registry.FORMER else "brought_back"
    return given | {REPLACED[became]: outgoing, incoming_name: incoming}


def write(evidence_root: Path | None, became: str, record: dict[str, Any]) -> list[str]:
    """Add the line of a swap; return a warning where that fails: a swap is never undone for it."""
    if evidence_root is None:
        return []
    kind = KINDS[became]
    try:
        ledger.append(evidence_root, kind, record, now=datetime.now(UTC))
    except OpsError as exc:
        return [f"The ledger lacks this {kind}: {exc} The next run adds the line."]
    return []


def refuse(
    evidence_root: Path | None,
    became: str,
    record: dict[str, Any],
    error: OpsError | InterruptError,
) -> None:
    """Add the line of a restore or rollback that was undone or failed with *error*.

    *record* is what is known of the set. Where the line cannot be added, *error* says so, too.
    """
    if evidence_root is None or error.code in ELSEWHERE:
        return
    outcome = restores.UNDONE if error.code == UNDONE_CODE else restores.FAILED
    facts: dict[str, Any] = {"outcome": outcome, "code": error.code, "why": str(error)}
    if isinstance(error, BrokenProofError):
        facts |= {"outcome": restores.BROKEN, "negative_control": error.record}
    try:
        ledger.append(evidence_root, KINDS[became], record | facts, now=datetime.now(UTC))
    except OpsError as exc:
        error.args = (f"{error} The ledger has no line of this: {exc}",)


@contextmanager
def refusals(
    evidence_root: Path | None, became: str, record: dict[str, Any], live: Database
) -> Iterator[None]:
    """Add the line of a swap that fails in the ``with`` block, unless it has one already."""
    try:
        yield
    except (*ENDINGS, psycopg2.Error) as exc:
        error = exc if isinstance(exc, ENDINGS) else live.to_error(exc)
        if error.code not in RECORDED:
            refuse(evidence_root, became, record, error)
        raise error from exc


def catch_up(
    evidence_root: Path | None, live: Database, known: dict[str, Any], backup_root: Path
) -> list[str]:
    """Add the line of a swap that nobody recorded; return what was done, for people.

    *known* is the journal's state of an interrupted run, and whether it is ``finished`` now.
    """
    if evidence_root is None:
        return []
    lacking = missing(registry.read_from(live), live.name, known)
    if lacking is None:
        return []
    became, record, name = lacking
    entries = ledger.records(evidence_root)
    if any(name in map(str, entry["record"].values()) for entry in entries):
        return []
    record |= of_root(backup_root) | {"seen_later": True}
    problems = write(evidence_root, became, record)
    return problems or [f"The ledger had no line of the {KINDS[became]} ({name}); it has one now."]


def missing(
    found: dict[str, ManagedDatabase], live: str, known: dict[str, Any]
) -> tuple[str, dict[str, Any], str] | None:
    """Return of the last swap what the live database became, its record, and a name in it.

    The mark of the database that the live one replaced tells of it; of one that replaced nothing
    only the journal does.
    """
    now = found[live].oid if live in found else None
    replaced = [
        each
        for each in registry.select(found, live, *KINDS)
        if now is not None and each.mark.get("replaced_by") == now
    ]
    if replaced:
        last = replaced[-1]
        became = str(last.kind)
        record = {REPLACED[became]: last.name, "swapped_at": last.mark.get("since")}
        if known.get("outgoing") == last.name:
            record |= of_swap(became, known["incoming"], last.name, known.get("record") or {})
        return became, record, last.name
    if known.get("finished") and known.get("incoming") and known.get("outgoing") is None:
        name = str(known["incoming"])
        record = of_swap(registry.FORMER, name, None, known.get("record") or {})
        return registry.FORMER, record, name
    return None
