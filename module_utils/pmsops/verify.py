# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A database against a set: what has changed since the backup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops import clients, compare, proof, sets
from ansible.module_utils.pmsops.database import Database, fetch_value, superuser_role
from ansible.module_utils.pmsops.errors import OpsError

DENIED = "permission denied"


def against(
    database: Database,
    *,
    root: Path,
    keys: Path,
    file: Path | None = None,
    trust: str | None = None,
    shown: int = compare.SHOWN_PER_KIND,
) -> dict[str, Any]:
    """Compare *database* with a set, by default the newest; return what differs.

    :raises OpsError: verify.no-manifest, set.*, signing.*, database.*
    """
    chosen = sets.resolve(file or sets.newest(root))
    if chosen.manifest is None:
        raise OpsError(
            f"{chosen.dump} has no manifest: nothing says what was in the database.",
            "Name a set of ours; a bare dump can only be restored.",
            code="verify.no-manifest",
        )
    sets.check(chosen, keys, trust=trust)
    found = proof.differences(database, chosen.manifest)
    return {
        "set": str(chosen.folder),
        "identical": not found,
        "count": len(found),
        "differences": compare.lines(found, shown=shown),
        "snapshot_at": chosen.manifest["snapshot_at"],
    }


def amcheck(database: Database) -> list[str]:
    """Check heaps and indexes page by page; return what is damaged, a line each.

    :raises OpsError: verify.amcheck where the extension is missing, verify.amcheck-rights.
    """
    with database.session(read_only=True) as cursor:
        if not fetch_value(cursor, "SELECT 1 FROM pg_extension WHERE extname = 'amcheck'"):
            raise OpsError(
                f"Database {database.name} lacks the extension amcheck.",
                "CREATE EXTENSION amcheck in it as a superuser, then run again.",
                code="verify.amcheck",
            )
        role = superuser_role(cursor)
    status, output = clients.client_tools(database).run(
        "pg_amcheck",
        ["--heapallindexed", "--no-password", f"--database={database.name}"],
        settings={"role": role} if role else {},
    )
    if DENIED in output:  # what was not looked at is neither sound nor damaged
        raise OpsError(
            f"Role {database.user} may not check the pages of {database.name}.",
            "Grant it pms_restore as docs/database-rights.sql does.",
            code="verify.amcheck-rights",
        )
    lines = [line for line in output.splitlines() if line.strip()]
    if status and not lines:
        lines = [f"pg_amcheck ended with status {status}"]
    return lines if status else []
