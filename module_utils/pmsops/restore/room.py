# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The room on the server's disk, and what a staging database needs of it."""

from __future__ import annotations

import shutil
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import size as human
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value
from ansible.module_utils.pmsops.services import docker_engine

# The staging database needs as much as the database, and WAL is written meanwhile.
SPACE_SHARE = 1.2
LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost")


def require(database: Database, needed: int, free: int) -> None:
    """Refuse a disk on which the staging database does not fit.

    :raises OpsError: restore.space
    """
    if free >= needed * SPACE_SHARE:
        return
    raise OpsError(
        f"The staging database needs about {human(needed * SPACE_SHARE)}; the server's disk has"
        f" {human(free)} free.",
        f"Free space, for example by dropping former databases of {database.name}.",
        code="restore.space",
    )


def free_bytes(cursor: Any, database: Database) -> int | None:
    """Return the free space in the server's data directory, None where it cannot be seen."""
    folder = fetch_value(cursor, "SELECT current_setting('data_directory', true)")
    if not folder:
        return None
    if database.access == "container":
        container = docker_engine.database_container(docker_engine.engine(), database.container)
        for user in ("postgres", "root"):  # some containers take the rights of root away
            status, output = container.exec_run(
                ["df", "-PB1", f"{folder}/base", f"{folder}/pg_wal/"], user=user
            )
            if status == 0:
                return smallest_free(output.decode(errors="replace"))
        return None
    if database.host not in LOCAL_HOSTS and not database.host.startswith("/"):
        return None
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def smallest_free(output: str) -> int | None:
    """Return the least free space that ``df -P -B1`` lists: data and WAL may be on two disks."""
    found = []
    for line in output.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 6 and fields[3].isdigit():
            found.append(int(fields[3]))
    return min(found) if found else None
