# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The roles that log in to the databases of a set: a new machine needs their passwords."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import manifest, sets


def of_manifest(document: Mapping[str, Any]) -> set[str]:
    """Return the roles of a set that log in, and are no superusers.

    A superuser in a set is the one that the image makes, with the password of its Compose file.
    Sets of older releases do not describe roles.
    """
    described = (document.get("roles") or {}).items()
    return {name for name, role in described if role["login"] and not role["superuser"]}


def of_newest(root: Path) -> set[str]:
    """Return those of the newest set below *root*, and of each other database's newest."""
    found: set[str] = set()
    for folder in (root, *sorted((root / sets.OTHERS).glob("*"))):
        for newest in sets.listed(folder)[-1:]:
            try:
                found |= of_manifest(manifest.read(newest))
            except (OpsError, OSError, ValueError):
                continue  # a damaged set is the matter of other checks
    return found
