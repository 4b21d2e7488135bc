# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The folder that a copy is fetched into: what lies where, and what a killed fetch left."""

from __future__ import annotations

import shutil
from pathlib import Path

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.offsite import contents, copies
from ansible.module_utils.pmsops.repository import sets

# Where each part lies below the folder that it is fetched into; the set has its own name.
FETCHED = {
    "evidence": "evidence",
    "keys": "keys/trusted",
    "inventory": contents.INVENTORY,
    "system": "system",
}
PARTIAL = ".fetched"  # what restic writes into, until all of it has come


def require_empty(folder: Path) -> None:
    """Check that a folder is empty or missing, or that a killed fetch left all that is in it.

    :raises OpsError: offsite.not-empty
    """
    if folder.exists() and (not folder.is_dir() or _foreign(folder)):
        raise OpsError(
            f"{folder} is not empty: a copy is fetched into an empty folder.",
            "Name another folder, or remove what is in it.",
            code="offsite.not-empty",
        )


def _foreign(folder: Path) -> bool:
    """Tell whether a folder holds what no killed fetch left there."""
    names = {path.name for path in folder.iterdir()}
    ours = {PARTIAL, copies.PITR, *(path.split("/")[0] for path in FETCHED.values())}
    left = {name for name in names - ours if not sets.NAME.fullmatch(name)}
    return bool(names) and (PARTIAL not in names or bool(left))


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that it holds."""
    if path.is_dir() and not path.is_symlink():
        files.make_removable(path)
        shutil.rmtree(path)
    else:
        path.unlink()
