# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Roles of a new machine that nobody could log in by: no set has a password."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.offsite import login_roles
from ansible.module_utils.pmsops.offsite.copies import Copy
from ansible.module_utils.pmsops.offsite.work import Work
from ansible.module_utils.pmsops.repository import manifest, signing


def of_copies(work: Work, taken: Iterable[Copy | None], keys: Path) -> set[str]:
    """Return the roles that log in to the databases of these copies.

    :raises OpsError: signing.*, offsite.*
    """
    found: set[str] = set()
    for copy in taken:
        if copy is None:
            continue
        path = f"{copy.parts['set']}/{manifest.NAME}"
        given = work.restic.call("dump", copy.snapshot, path, changes=True, binary=True).output
        document: dict[str, Any] = json.loads(given)
        signing.check(document, keys)
        found |= login_roles.of_manifest(document)
    return found


def line(lacking: Sequence[str], *, of_moment: bool) -> str:
    """Return the plan's line of the roles that would have no password."""
    when = ", if the set has to take the place of the newest moment" if of_moment else ""
    return f"passwords of the roles {', '.join(lacking)}{when}: set restore_role_passwords"


def require_passwords(lacking: Sequence[str]) -> None:
    """Check that each role that logs in will have a password.

    :raises OpsError: host.no-passwords
    """
    if lacking:
        raise OpsError(
            f"No password is known for the roles {', '.join(lacking)}: no set has passwords, and"
            " restore_role_passwords does not name these. The PMS could not log in. Nothing was"
            " changed.",
            "Set restore_role_passwords in the inventory, from the PMS's Compose file or .env"
            " (docs/OFFSITE.md, A new machine), or go on without with"
            " -e host_without_passwords=true.",
            code="host.no-passwords",
        )
