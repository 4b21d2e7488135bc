# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Services that run on the host itself: their systemd unit, or what listens on their port."""

from __future__ import annotations

import ipaddress
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROC = Path("/proc")
LISTEN = "0A"  # the state of a listening socket; proc(5), net/tcp
SYSTEMCTL_SECONDS = 10
PROPERTIES = (
    *("LoadState", "ActiveState", "SubState", "Result", "NRestarts", "UnitFileState"),
    *("MainPID", "ActiveEnterTimestampMonotonic", "StandardOutput"),
)
# States of a unit file that systemd starts by itself, directly or for another unit.
STARTS_AT_BOOT = frozenset({"enabled", "enabled-runtime", "static", "indirect", "generated"})


@dataclass(frozen=True)
class Listener:
    """One listening TCP socket: its address and port, and its number in the kernel."""

    ip: str
    port: int
    inode: str


def listeners(port: int) -> list[Listener]:
    """Return the sockets of this host that listen on a port."""
    return sorted(
        (each for each in _sockets() if each.port == port), key=lambda each: (each.ip, each.inode)
    )


def owner(found: list[Listener]) -> int | None:
    """Return the process of the first socket, None where this user may not see it."""
    wanted = {f"socket:[{each.inode}]" for each in found}
    for folder in PROC.glob("[0-9]*/fd"):
        with suppress(OSError):
            for link in folder.iterdir():
                with suppress(OSError):
                    if str(link.readlink()) in wanted:
                        return int(folder.parent.name)
    return None


def process_of(words: str) -> int | None:
    """Return a process whose command line has these words, None without one."""
    for path in PROC.glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if words in line and int(path.parent.name) != os.getpid():
                return int(path.parent.name)
    return None


def environment(pid: int) -> dict[str, str] | None:
    """Return the environment a process was started with; None where this user may not read it."""
    try:
        content = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return None
    entries = content.decode("utf-8", "replace").split("\0")
    return dict(entry.partition("=")[::2] for entry in entries if "=" in entry)


def unit(name: str) -> dict[str, str] | None:
    """Return systemd's properties of a unit; None without systemd or without that unit."""
    try:
        done = subprocess.run(
            ["systemctl", "show", name, f"--property={','.join(PROPERTIES)}"],
            capture_output=True,
            text=True,
            timeout=SYSTEMCTL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = dict(line.partition("=")[::2] for line in done.stdout.splitlines() if "=" in line)
    return found if found.get("LoadState") == "loaded" else None


def seconds_active(properties: dict[str, str]) -> float:
    """Return for how long a unit has been active."""
    with suppress(OSError, ValueError):
        up = float((PROC / "uptime").read_text().split()[0])
        return max(up - int(properties.get("ActiveEnterTimestampMonotonic") or 0) / 1e6, 0.0)
    return 0.0


def timezone() -> str | None:
    """Return the time zone of the host, which a process without TZ has."""
    with suppress(OSError):
        target = str(Path("/etc/localtime").resolve())
        if "/zoneinfo/" in target:
            return target.partition("/zoneinfo/")[2]
    with suppress(OSError):
        return Path("/etc/timezone").read_text().strip() or None
    return None


def _sockets() -> Iterator[Listener]:
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            lines = (PROC / "net" / name).read_text().splitlines()[1:]
            for line in lines:
                fields: list[Any] = line.split()
                if fields[3] == LISTEN:
                    address, _, port = fields[1].partition(":")
                    yield Listener(_ip(address), int(port, 16), fields[9])


def _ip(text: str) -> str:
    """Return an address that the kernel wrote as words of 32 bits in the order of this machine."""
    words = [int(text[at : at + 8], 16).to_bytes(4, "little") for at in range(0, len(text), 8)]
    found = ipaddress.ip_address(b"".join(words))
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)
