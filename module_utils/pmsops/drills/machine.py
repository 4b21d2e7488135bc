# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether two machines are apart: by what each one says of itself, not by what it is called.

Two addresses of an inventory may be one machine. Its id, its Docker Engine and its kernel tell.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.services import docker_engine

MACHINE_ID = Path("/etc/machine-id")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
Identity = Mapping[str, Any]


@dataclass(frozen=True)
class Apart:
    """Why two hosts are one machine, and what two machines still have in common."""

    same: Sequence[str] = ()
    shared: Sequence[str] = ()

    @property
    def segregated(self) -> bool:
        """Tell whether nothing that was compared is common to both."""
        return not (self.same or self.shared)


def describe(machine_id: Path = MACHINE_ID, boot_id: Path = BOOT_ID) -> dict[str, str | None]:
    """Return the identity of this machine; None for what it does not tell.

    The ids are hashed: machine-id(5) asks for that where they leave the machine.
    """
    return {
        "hostname": platform.node(),
        "machine_id": _hashed(machine_id),
        "boot_id": _hashed(boot_id),
        "engine_id": _engine_id(),
    }


def image_of(container: str) -> str | None:
    """Return the name of a container's image; None where no engine has such a container."""
    import docker.errors

    with suppress(OpsError, docker.errors.NotFound), docker_engine.refusals():
        found = docker_engine.engine().containers.get(container)
        name: str = found.attrs["Config"]["Image"]
        return name
    return None


def compare(source: Identity, here: Identity) -> Apart:
    """Return what the machine of the *source* and the one of the drill have in common.

    A kernel is common to containers of one machine. Two hosts that both have no id count as one
    machine if name and kernel are the same.
    """

    def both(name: str) -> bool:
        return bool(source.get(name)) and source.get(name) == here.get(name)

    same = []
    if both("machine_id"):
        same.append("the machine id is the same")
    if both("engine_id"):
        same.append("the Docker Engine is the same")
    unnamed = not (source.get("machine_id") and here.get("machine_id"))
    if unnamed and both("hostname") and both("boot_id"):
        same.append("name and kernel are the same, and one of them has no machine id")
    shared = []
    if both("boot_id"):
        shared.append("both are containers of one machine: their kernel is the same")
    elif not (source.get("boot_id") and here.get("boot_id")):
        shared.append("it is not known whether their kernel is the same")
    return Apart(tuple(same), tuple(shared))


def require_apart(found: Apart, hostname: str | None) -> None:
    """Refuse a drill on the machine of the source itself.

    :raises OpsError: drill.same-machine
    """
    if found.same:
        raise OpsError(
            f"Host {hostname} is the machine that the sets come from: {'; '.join(found.same)}.",
            "Name another machine with drill_host. If it is a clone of that one, give it an id of"
            " its own: rm /etc/machine-id, then systemd-machine-id-setup.",
            code="drill.same-machine",
        )


def _hashed(path: Path) -> str | None:
    with suppress(OSError):
        text = path.read_text().strip()
        if text and text != "uninitialized":
            return hashlib.sha256(f"pms-ops {text}".encode()).hexdigest()[:16]
    return None


def _engine_id() -> str | None:
    """Return the id of the Docker Engine; None without one, and without its library."""
    with suppress(OpsError, ImportError, KeyError), docker_engine.refusals():
        found: str = docker_engine.engine().info()["ID"]
        return found
    return None
