# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Base backups are deleted while no restore, drill or proof of a moment reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ansible.module_utils.pmsops.common import process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import sets

# Held for the length of a restore, drill or proof of a moment.
LOCK = "pitr.lock"
LATER = (
    "No base backup was deleted: a restore, drill or proof of a moment reads them. The next run"
    " deletes what is due."
)


@contextmanager
def readers_kept_away(root: Path | None) -> Iterator[bool]:
    """Keep who reads base backups away for the block; give False if somebody reads them now.

    *root* is the backup_root, None if the caller knows of no restore here.

    :raises OpsError: lock.*, disk.*, files.unwritable
    """
    with ExitStack() as stack:
        alone = True
        if root is not None:
            path = sets.state_folder(root) / LOCK
            try:
                stack.enter_context(process_lock.exclusive(path, "deletion of base backups"))
            except OpsError as exc:
                if exc.code != "lock.held":
                    raise
                alone = False
        yield alone
