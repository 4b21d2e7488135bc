# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which machine a system runs on now: a mark in each repository keeps a replaced one from writing.

A machine has a random id beside its sets. A new machine that takes a system over leaves a mark with
its own id in each repository; whoever has another id finds it before the next backup or upload.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.offsite.copies import REPLACED, Copy
from ansible.module_utils.pmsops.repository import sets

NAME = "machine-id"  # in the folder of the state
_ID = re.compile(r"[0-9a-f]{32}")


def system_root(root: Path) -> Path:
    """Return the folder of the PMS's own sets, from that of any database of its server."""
    return root.parent.parent if sets.other_database(root) else root


def machine_id(root: Path, *, create: bool) -> str:
    """Return the id of this machine; empty where it has none and *create* is false.

    *root* may hold the sets of another database of the server: the machine is the same one.
    """
    root = system_root(root)
    path = root / sets.STATE / NAME
    if create and not path.exists():
        sets.state_folder(root)
        files.create_once(path, os.urandom(16).hex().encode())
    try:
        found = path.read_text().strip()
    except OSError:
        return ""
    return found if _ID.fullmatch(found) else ""


def mark(copies: Iterable[Copy]) -> Copy | None:
    """Return the newest mark among *copies*, None without one."""
    found = [each for each in copies if each.kind == REPLACED]
    return max(found, key=lambda copy: copy.at) if found else None


def require_current(site: str, copies: Iterable[Copy], root: Path) -> None:
    """Check that no other machine has taken this system over.

    :raises OpsError: system.replaced
    """
    found = mark(copies)
    if found is None or found.machine == machine_id(root, create=False):
        return
    raise OpsError(
        f"Another machine took this system over at {utc_stamp(found.at)}, says site {site}: it was"
        f" restored there from set {found.set}. This machine must not write any more.",
        "Stop the PMS and the timers here (docker compose stop; pms-ops schedule remove). Take what"
        " only this machine has to the new one: copy its evidence there, then pms-ops merge FOLDER."
        " docs/OFFSITE.md says how to make this machine the right one again.",
        code="system.replaced",
    )
