# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compare a database with a set: the changes since the backup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import manifest, reading, sets
from ansible.module_utils.pmsops.verify import causes, differences
from ansible.module_utils.pmsops.verify import database as proof


def against(
    database: Database,
    *,
    root: Path,
    keys: Path,
    file: Path | None = None,
    trust: str | None = None,
    shown: int = differences.SHOWN_PER_KIND,
) -> dict[str, Any]:
    """Compare *database* with a set, by default the newest; return what differs.

    :raises OpsError: verify.no-manifest, set.*, signing.*, database.*
    """
    chosen = sets.resolve(file or sets.newest(root))
    if chosen.manifest is None:
        raise OpsError(
            f"{chosen.dump} has no manifest, so nothing can be compared with it.",
            "Name a backup set; a bare dump can only be restored.",
            code="verify.no-manifest",
        )
    with reading.held(chosen.folder):
        sets.check(chosen, keys, trust=trust)
    not_restored: list[str] = []
    found = proof.differences(database, chosen.manifest, deviations=not_restored)
    return {
        "set": str(chosen.folder),
        "identical": not found,
        "count": len(found),
        "differences": causes.lines(found, shown=shown),
        "not_restored": not_restored,
        "formula": manifest.formula(chosen.manifest),
        "snapshot_at": chosen.manifest["snapshot_at"],
    }
