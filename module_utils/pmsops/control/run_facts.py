# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What only the control node knows of a run: its code, its playbook, who ordered it, its start.

The filter ``pms_audit`` gives it to the modules that write records; evidence/audit.py describes
the fields.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import multiprocessing
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.common.timestamps import UTC, utc_stamp
from ansible.module_utils.pmsops.common.version import TOOL

NOT_MEASURED = "NOT MEASURED"
# What decides how a run behaves. A folder that a layout lacks is left out.
TOOLKIT = (
    *("ansible.cfg", "dr_restore.yml", "golive.yml", "library", "module_utils", "playbooks"),
    *("plugins", "pmsops_cli", "roles", "scripts"),
)
GIT_SECONDS = 10
TICKET_LENGTH = 200


def collect(project: Path, said: Mapping[str, Any], playbooks: Sequence[str]) -> dict[str, Any]:
    """Return what this run is; *said* has ticket, environment and without of the inventory.

    *playbooks* are the files that ansible-playbook was given.
    """
    start = _start()
    return {
        "code": code(project),
        "playbook": playbook(playbooks),
        "checklist_sha256": None,
        "environment": str(said.get("environment") or "").strip() or NOT_MEASURED,
        "ordered_by": {
            "ticket": str(said.get("ticket") or "").strip()[:TICKET_LENGTH] or None,
            "by": _user(),
        },
        "started_at": utc_stamp(start) if start else NOT_MEASURED,
        "started_local": (
            start.astimezone(BUSINESS_ZONE).isoformat(timespec="seconds") if start else NOT_MEASURED
        ),
        "zone": str(BUSINESS_ZONE),
        "not_covered": [f"{name}: not part of this system" for name in said.get("without") or []],
    }


def code(project: Path) -> dict[str, Any]:
    """Return version, commit and digest of the toolkit's files.

    The digest is computed where there is no commit, or where files differ from it.
    """
    commit = _commit(project)
    dirty = None if commit is None else _is_dirty(project)
    return {
        "name": TOOL["name"],
        "version": TOOL["version"],
        "commit": commit or NOT_MEASURED,
        "dirty": NOT_MEASURED if dirty is None else dirty,
        "sha256": NOT_MEASURED if dirty is False else digest(project),
    }


def digest(project: Path) -> str:
    """Return the SHA-256 over the toolkit's files, by path: the same wherever the folder lies."""
    whole = hashlib.sha256()
    for path in sorted(_files(project), key=lambda each: each.relative_to(project).as_posix()):
        name = path.relative_to(project).as_posix()
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{content}  {name}\n".encode())
    return whole.hexdigest()


def playbook(paths: Sequence[str]) -> dict[str, str]:
    """Return the name of the scenario, and the SHA-256 of its file."""
    names = ", ".join(Path(each).stem for each in paths)
    found = {"name": names or NOT_MEASURED, "sha256": NOT_MEASURED}
    if len(paths) == 1:
        # A playbook of a collection is named as one, and its file is elsewhere.
        with contextlib.suppress(OSError):
            found["sha256"] = hashlib.sha256(Path(paths[0]).read_bytes()).hexdigest()
    return found


def _files(project: Path) -> Iterator[Path]:
    for name in TOOLKIT:
        path = project / name
        if path.is_file():
            yield path
        for each in path.rglob("*"):
            if each.is_file() and "__pycache__" not in each.parts:
                yield each


def _commit(project: Path) -> str | None:
    """Return the commit that has this folder; None where git has it not."""
    # In a repository of somebody else, which ignores this folder, its commit would say nothing.
    tracked = _git(project, "ls-files", "--error-unmatch", "module_utils/pmsops/__init__.py")
    found = _git(project, "rev-parse", "HEAD") if tracked else None
    return found.strip() if found else None


def _is_dirty(project: Path) -> bool | None:
    found = _git(project, "status", "--porcelain", "--untracked-files=normal", "--", *TOOLKIT)
    return None if found is None else bool(found.strip())


def _git(project: Path, *words: str) -> str | None:
    """Return what git says; None where it is missing, or refuses the folder."""
    # Variables of a caller's repository, as in a hook, would point away from the project.
    around = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(project), *words],
            env=around | {"GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _user() -> str:
    """Return who started the run: the schedule, or a user by name."""
    if os.environ.get("PMS_OPS_SCHEDULE"):
        return "schedule"
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())  # a container may know no name
    return user or NOT_MEASURED


def _start() -> datetime | None:
    """Return when ansible-playbook was started; None where the system does not say it."""
    parent = multiprocessing.parent_process()
    number = parent.pid if parent else os.getpid()
    try:
        # The command in parentheses may hold spaces; field 22 is the start. Source: proc(5).
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        since_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot
    except (OSError, ValueError, IndexError, AttributeError):
        return None
    return datetime.now(UTC) - timedelta(seconds=age)
