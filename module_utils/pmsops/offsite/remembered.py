# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a site said of its copies minutes ago, so that one run asks once for all its sets.

Each call of restic derives a key from the password, which takes it a quarter of a second of the
processor on purpose. Ages are of the clock since the start of the machine, which nobody can set.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.timestamps import from_iso
from ansible.module_utils.pmsops.offsite import boot
from ansible.module_utils.pmsops.offsite.copies import Copy
from ansible.module_utils.pmsops.offsite.restic import Restic


def keep(restic: Restic, copies: Sequence[Copy]) -> None:
    """Keep what the site said; a folder that cannot be written hinders nobody."""
    document = _of_whom(restic) | {"uptime": boot.uptime(), "copies": [*map(_said, copies)]}
    _write(restic, document)


def add(restic: Restic, made: Copy) -> None:
    """Add a copy that was made since, to what is kept; that becomes no younger by it."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        document = json.loads(_path(restic).read_bytes())
        document["copies"].append(_said(made))
        _write(restic, document)


def recall(restic: Restic, system: str, seconds: float) -> list[Copy] | None:
    """Return what the site said at most so many *seconds* ago, if all of it is of *system*."""
    try:
        found: dict[str, Any] = json.loads(_path(restic).read_bytes())
        if any(found[name] != value for name, value in _of_whom(restic).items()):
            return None
        if not 0 <= boot.uptime() - found["uptime"] <= seconds:
            return None
        copies = [Copy(**each | {"at": from_iso(each["at"])}) for each in found["copies"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return copies if all(each.system == system for each in copies) else None


def forget(restic: Restic) -> None:
    """Forget it, before copies go."""
    with suppress(OSError):
        _path(restic).unlink()


def _of_whom(restic: Restic) -> dict[str, Any]:
    """Return what has to be the same when it is recalled: start of the machine, and repository.

    A password that was replaced is seen by its file: the next call is with the new one.
    """
    site = restic.site
    with suppress(OSError):
        password = site.password_file.stat().st_mtime_ns
        return {"boot": boot.identity(), "url": site.url, "password": password}
    return {"boot": boot.identity(), "url": site.url, "password": time.time_ns()}


def _said(copy: Copy) -> dict[str, Any]:
    return asdict(copy) | {"at": copy.at.isoformat()}


def _write(restic: Restic, document: dict[str, Any]) -> None:
    with suppress(OSError):
        files.make_private_folder(restic.cache)
        files.replace(_path(restic), json.dumps(document).encode(), mode=0o600)


def _path(restic: Restic) -> Path:
    return restic.cache / f"said-{restic.site.name}.json"
