# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a restore would do, and whether it is needed at all; nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.postgresql import bound_objects, lost_values
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import manifest, reading, sets, signing
from ansible.module_utils.pmsops.restore import (
    data_loss,
    planner_statistics,
    registry,
    slot_handover,
)
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import StagedRestore
from ansible.module_utils.pmsops.verify import database as comparison


def plan_restore(
    database: Database, request: Request, counted: Sequence[str] = ()
) -> dict[str, Any]:
    """Return what a restore would find, do and lose.

    *counted* are the tables whose rows are compared with the set's.

    :raises OpsError: those of a restore's preflight.
    """
    restore = StagedRestore(database, request, Progress())
    with reading.held(restore.backup_set.folder):
        restore.check()
        if not restore.backup_set.encrypted:  # that one is decrypted by the restore itself
            restore.require_known_parameters(restore.tools, restore.backup_set.dump)
    document = restore.document
    found = registry.read_from(database)
    exists = database.name in found
    with database.session(name=database.maintenance_name, read_only=True) as cursor:
        bound = bound_objects.read(cursor, database.name)
    former = registry.select(found, database.name, registry.FORMER, registry.UNDONE)
    copy = restore.copies.of_set()
    return {
        "set": str(restore.backup_set.path),
        "id": restore.backup_set.id,
        "side": restore.staging,
        "warm_used": copy.name if copy else None,
        "warm_kept": None,
        "objects_sha256": None,
        "verified": restore.verified,
        "former": [each.name for each in former],
        "live_exists": exists,
        "lost": _lost(database, document, counted) if exists else None,
        "size_bytes": restore.required.size_bytes,
        "tables": len(document["contents"]) if document else None,
        "rows": manifest.logical_rows(document) if document else None,
        "duration_seconds": request.expected_seconds(),
        "snapshot_at": document.get("snapshot_at"),
        "slots": slot_handover.plan(bound.slots, request.slots) if request.keep else [],
        "prepared_transactions": [each.text() for each in bound.prepared] if request.keep else [],
        "subscriptions": [name for name, _ in bound.subscriptions] if request.keep else [],
        "notes": [
            *restore.server.notes,
            *([] if copy else planner_statistics.planned(database, document, restore.toc)),
            *lost_values.lines(document.get("losses", [])),
        ],
        "not_restored": document.get("not_restored", []),
    }


def _lost(database: Database, document: dict[str, Any], counted: Sequence[str]) -> str:
    if not document:
        return "everything committed since the dump was made; without a manifest, when is unknown"
    estimate = data_loss.estimate(database, document, list(counted), now=datetime.now(UTC))
    return str(estimate["text"])


def result_if_matching(database: Database, request: Request) -> dict[str, Any] | None:
    """Return the result of a restore that is not needed: the live database matches the set.

    None if it does not match, if it cannot be read, or if there is no manifest to match.

    :raises OpsError: set.*, signing.*
    """
    backup_set = request.backup_set
    document = backup_set.manifest
    if document is None:
        return None
    # The signature comes first: nothing in a manifest is trusted before it.
    signing.check(document, request.keys, trust=request.trust)
    try:
        if not comparison.matches(database, document):
            return None
    except (OpsError, psycopg2.Error):
        return None
    with reading.held(backup_set.folder):
        sets.check(backup_set, request.keys, trust=request.trust)
    return {
        "set": str(backup_set.path),
        "id": backup_set.id,
        "side": None,
        "warm_used": None,
        "warm_kept": None,
        "objects_sha256": None,
        "verified": "the live database matches it",
        "snapshot_at": document["snapshot_at"],
        "tables": len(document["contents"]),
        "rows": manifest.logical_rows(document),
        "size_bytes": document["server"]["size_bytes"],
        "manifest_sha256": backup_set.manifest_sha256,
        "duration_seconds": None,
        "notes": [],
        "not_restored": [],
    }
