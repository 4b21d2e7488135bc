# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The former database as the source of a restore: where it equals the set, nothing is loaded.

It is the fund's data, and the way back. So it is read alone: no job of it is held, no mark of it
changed, and nothing here drops it. The swap is that of a rollback.
"""

from __future__ import annotations

from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import BrokenProofError, OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.common.timestamps import from_iso
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value
from ansible.module_utils.pmsops.restore import proof, registry
from ansible.module_utils.pmsops.restore.registry import ManagedDatabase
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.verify import database as comparison


def of_set(live: Database, document: dict[str, Any]) -> ManagedDatabase | None:
    """Return the database that the live one replaced last, if it may equal the set.

    It may if the set was made on this server before it was replaced.
    """
    last = registry.replaced_last(registry.read_from(live), live.name)
    if last is None or registry.WRITTEN in last.mark:
        return None
    try:
        replaced = from_iso(str(last.mark["since"]))
        made = from_iso(str(document["snapshot_at"]))
    except (KeyError, ValueError):
        return None  # of a bare dump, or of a mark that says no moment
    if made > replaced:
        return None
    with live.session(name=live.maintenance_name, read_only=True) as cursor:
        here = fetch_value(cursor, "SELECT system_identifier::text FROM pg_control_system()")
    return last if document["server"].get("system_identifier") == here else None


def proved(
    live: Database,
    found: ManagedDatabase,
    document: dict[str, Any],
    request: Request,
    progress: Progress,
) -> proof.Proof | None:
    """Prove a former database; None if it differs, which a first reading ends at once.

    :raises OpsError: proof.broken
    """
    database = live.named(found.name)
    try:
        with progress.phase("former database"):
            if not comparison.matches(database, document):
                return None
        return proof.of_set(database, document, request, progress, (), restored=False)
    except psycopg2.Error:
        return None
    except BrokenProofError:
        raise
    except OpsError:
        return None
