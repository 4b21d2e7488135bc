# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What two systems of one inventory may not share: a database, and folders of sets and evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import PurePosixPath
from typing import Any

HERE = "this machine"
LOCAL = ("local", "ansible.builtin.local")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
FOLDERS = ("backup_root", "evidence_root")
# The variables that place() reads, and those of the connection, which few hosts have.
CONNECTION = ("ansible_connection", "ansible_host", "ansible_port")
NAMES = (
    *FOLDERS,
    *("pms_db_access", "pms_db_container", "pms_db_host", "pms_db_name", "pms_db_port"),
)


@dataclass(frozen=True)
class Place:
    """Where a system is: its machine, the names of its database's server, and its folders."""

    system: str
    machine: str
    servers: frozenset[str]
    database: str
    folders: Mapping[str, PurePosixPath]


def place(system: str, values: Mapping[str, Any]) -> Place:
    """Return the place of a system by the values of its variables, with those of its connection."""
    machine = machine_of(system, values)
    server = f"{values['pms_db_host']}:{values['pms_db_port']}"
    near = str(values["pms_db_host"]) in LOOPBACK
    servers = {f"{server} on {machine}" if near else server}
    if values.get("pms_db_access") == "container" and values.get("pms_db_container"):
        servers.add(f"container {values['pms_db_container']} on {machine}")
    folders = {name: PurePosixPath(str(values[name])) for name in FOLDERS}
    return Place(system, machine, frozenset(servers), str(values["pms_db_name"]), folders)


def machine_of(system: str, values: Mapping[str, Any]) -> str:
    """Return the machine of a system; a forwarded port of this one leads to another machine."""
    if str(values.get("ansible_connection", "ssh")) in LOCAL:
        return HERE
    host = str(values.get("ansible_host") or system)
    port = str(values.get("ansible_port") or 22)
    return HERE if host in LOOPBACK and port == "22" else f"{host}:{port}"


def shared(one: Place, other: Place) -> list[str]:
    """Return what two systems share and may not, each as a sentence about *one*."""
    found = []
    servers = one.servers & other.servers
    if servers and one.database == other.database:
        found.append(
            f"Database {one.database} ({min(servers)}) of {one.system} is the one of"
            f" {other.system}."
        )
    if one.machine != other.machine:
        return found
    for mine, folder in one.folders.items():
        for theirs, taken in other.folders.items():
            if folder == taken or folder in taken.parents or taken in folder.parents:
                found.append(
                    f"{mine} of {one.system}, {folder}, and {theirs} of {other.system}, {taken},"
                    " are not apart."
                )
    return found


def shared_by_any(places: Sequence[Place]) -> list[str]:
    """Return what any two of the systems share and may not."""
    return [text for one, other in combinations(places, 2) for text in shared(one, other)]
