# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What only the engine of pms-ops can do is refused where another one protects the server."""

from __future__ import annotations

from ansible.module_utils.pmsops.common.errors import OpsError

OWN, EXTERNAL = "barman", "external"
CHOICES = (OWN, EXTERNAL)


def require_own(engine: str, what: str) -> None:
    """Refuse *what* only the engine of pms-ops can do, where another one protects the server.

    :raises OpsError: pitr.external
    """
    if engine == EXTERNAL:
        raise OpsError(
            f"pitr_engine is external, so pms-ops cannot {what}: base backups and WAL are another"
            " engine's. Nothing was changed.",
            "Use the commands of that engine: pgbackrest restore (without --set, and with the"
            " options that docs/PITR.md names), barman restore, wal-g backup-fetch. Backup sets of"
            " pms-ops are restored as before: pms-ops restore. For the engine of pms-ops:"
            " pitr_engine: barman.",
            code="pitr.external",
        )
