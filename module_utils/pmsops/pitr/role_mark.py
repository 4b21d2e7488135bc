# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The comment on the replication role: whether it is ours, and what ``disable`` takes away."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import database_mark

IS = "pitr"


def text(*, keep_is_ours: bool) -> str:
    """Return the comment; *keep_is_ours* if the bound on the slot's WAL was set by us."""
    return database_mark.text({"is": IS} | ({"keep": "set"} if keep_is_ours else {}))


def require_ours(role: str, comments: list[str | None]) -> None:
    """Refuse a role of this name that somebody else made: it would lose its password, or go.

    :raises OpsError: pitr.role-taken
    """
    if any(not read(comment) for comment in comments):
        raise OpsError(
            f"There is a role {role} that pms-ops did not make. Nothing was changed.",
            f"Rename it (ALTER ROLE {role} RENAME TO ...), or drop it if nobody uses it.",
            code="pitr.role-taken",
        )


def read(comment: str | None) -> dict[str, Any]:
    """Return what the comment on the role says, empty for a role of others."""
    found = database_mark.read(comment)
    return found if found.get("is") == IS else {}
