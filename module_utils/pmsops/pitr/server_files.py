# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files and disk of the database's server, inside its container; its network."""

from __future__ import annotations

import ipaddress
import os
import stat
from pathlib import Path
from typing import Any, Union

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.services import docker_engine

HBA_MARK = "# pms-ops pitr"
_HBA_WRITE = """
set -eu
cp -p "$0" "$0.pms-ops"
printf '%s' "$CONTENT" > "$0.pms-ops"
mv "$0.pms-ops" "$0"
"""


class ServerFiles:
    """pg_hba.conf and the disk of the server in a container."""

    def __init__(self, container: Any) -> None:
        self._container = container
        # Root of a container with no-new-privileges may not even read the server's files.
        self._user = str((container.attrs.get("Config") or {}).get("User") or "postgres")

    def free_bytes(self, folder: str) -> int:
        """Return the free room of the disk that a folder is on."""
        output = self._in_container(["df", "-Pk", folder])
        return int(output.splitlines()[-1].split()[3]) << 10

    def hba(self, path: str) -> str:
        """Return the content of pg_hba.conf."""
        return self._in_container(["cat", path])

    def write_hba(self, path: str, content: str) -> None:
        """Replace pg_hba.conf, with its owner and mode, so that a kill leaves the old or the new.

        :raises OpsError: pitr.hba
        """
        self._in_container(["sh", "-c", _HBA_WRITE, path], {"CONTENT": content})

    def _in_container(self, argv: list[str], environment: dict[str, str] | None = None) -> str:
        status, output = self._container.exec_run(
            argv, user=self._user, environment=environment or {}
        )
        text: str = output.decode(errors="replace")
        if status:
            raise OpsError(
                f"{argv[0]} ended with status {status} in container {self._container.name}:"
                f" {text.strip()[:300]}",
                "Its message names the cause. pg_hba.conf has the content that it had.",
                code="pitr.hba",
            )
        return text


class HostServerFiles:
    """pg_hba.conf and the disk of a server on this host, whose data are in *data*."""

    def __init__(self, data: str) -> None:
        self._data = Path(data)

    def here(self) -> bool:
        """Tell whether the server's data are on this host."""
        return (self._data / "postmaster.pid").exists()

    def free_bytes(self, folder: str) -> int:
        """Return the free room of the disk that a folder is on."""
        return files.usable_bytes(os.statvfs(folder))

    def hba(self, path: str) -> str:
        """Return the content of pg_hba.conf.

        :raises OpsError: pitr.hba
        """
        try:
            return Path(path).read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as exc:
            raise _unreadable(path, exc) from exc

    def write_hba(self, path: str, content: str) -> None:
        """Replace pg_hba.conf, with its owner and mode, so that a kill leaves the old or the new.

        :raises OpsError: pitr.hba
        """
        # It may be a link to where a cluster's configuration is kept.
        target = Path(path).resolve()
        aside = target.with_name(f"{target.name}.pms-ops")
        try:
            was = target.stat()
            aside.unlink(missing_ok=True)
            with aside.open("x", encoding="utf-8", errors="surrogateescape") as new:
                os.fchmod(new.fileno(), stat.S_IMODE(was.st_mode))
                os.fchown(new.fileno(), was.st_uid, was.st_gid)
                new.write(content)
                new.flush()
                os.fsync(new.fileno())
            aside.replace(target)
        except OSError as exc:
            raise _unreadable(path, exc) from exc


Files = Union[ServerFiles, HostServerFiles]


def _unreadable(path: str, exc: OSError) -> OpsError:
    return OpsError(
        f"{path} cannot be read or written: {exc.strerror}. It has the content that it had.",
        "Run it as root: -e ansible_become=true.",
        code="pitr.hba",
    )


def without_line(content: str) -> str:
    """Return pg_hba.conf without the line of ours."""
    return "".join(
        line for line in content.splitlines(keepends=True) if not line.rstrip().endswith(HBA_MARK)
    )


def network_of(container: Any) -> tuple[str, str]:
    """Return name and addresses of the network that the receiver shares with the database.

    :raises OpsError: pitr.network if the container is on none of its own
    """
    engine = docker_engine.engine()
    networks = (container.attrs.get("NetworkSettings") or {}).get("Networks") or {}
    for name in sorted(networks):
        if name in ("bridge", "host", "none"):
            continue
        pools = ((engine.networks.get(name).attrs.get("IPAM") or {}).get("Config")) or []
        for pool in pools:
            subnet = pool.get("Subnet") or ""
            if subnet and ipaddress.ip_network(subnet).version == 4:
                return name, subnet
    raise OpsError(
        f"Container {container.name} is on no network of its own, so that no other container"
        " reaches it by name.",
        "Put it on a network (docker network create, or `networks:` in its Compose file).",
        code="pitr.network",
    )
