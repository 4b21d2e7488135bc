# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""An empty Debian 13 under systemd: sshd, a Python, and no Docker Engine.

It is a container, in which an engine can run with what a container has not left out. What cannot be
seen there is named at DROP_IN.
"""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import debian_image
from tests.support.server import LABEL

IMAGE = "pms-test/empty:13"
# What the installer of Debian leaves with "SSH server" alone, as far as a container needs it.
# The modules need two packages of Python, which `make setup` brings on a real machine.
PACKAGES = (
    "systemd,systemd-sysv,dbus,openssh-server,ca-certificates,"
    "python3,python3-cryptography,python3-psycopg2"
)
# A container may set up no firewall, no bridge and no overlay: an engine's networks and its usual
# storage are not shown by these tests.
DROP_IN = """\
[Service]
ExecStart=
ExecStart=/usr/sbin/dockerd -H fd:// --iptables=false --ip6tables=false --bridge=none \\
  --storage-driver=vfs
"""
START_SECONDS = 120


@dataclass(frozen=True)
class EmptyMachine:
    """How the machine is reached."""

    container: str
    address: str
    key: Path

    def run(self, *command: str, status: int | None = 0) -> str:
        """Run a command there, beside SSH; return what it prints. None allows any exit status."""
        done = subprocess.run(
            ["docker", "exec", self.container, *command],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert status in (None, done.returncode), done.stdout + done.stderr
        return done.stdout

    def variables(self) -> dict[str, str]:
        """Return the variables of an inventory by which the machine is reached."""
        known = self.key.with_name("known_hosts")
        return {
            "ansible_connection": "ssh",
            "ansible_host": self.address,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={known} -o IdentitiesOnly=yes",
            "ansible_python_interpreter": "/usr/bin/python3",
        }


@contextmanager
def running(folder: Path) -> Iterator[EmptyMachine]:
    """Run the machine; its keys of SSH are made in *folder*."""
    debian_image.provide(IMAGE, release="trixie", packages=PACKAGES)
    key = folder / "client"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=60
    )
    name = f"pms-test-empty-{uuid.uuid4().hex[:8]}"
    try:
        subprocess.run(
            [
                *("docker", "run", "--detach", "--name", name, "--hostname", "fresh"),
                *("--label", f"{LABEL}=1", "--stop-signal", "SIGRTMIN+3"),
                # What systemd needs: cgroups of its own, mounts, and folders in memory.
                *("--cap-add", "SYS_ADMIN", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup"),
                *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
                *("--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec"),
                *("--env", "container=docker", "--volume", "/var/lib/docker"),
                *(IMAGE, "/lib/systemd/systemd"),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        address = subprocess.run(
            ["docker", "inspect", "--format", "{{.NetworkSettings.IPAddress}}", name],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.strip()
        machine = EmptyMachine(name, address, key)
        _wait(machine)
        machine.run("install", "-d", "-m", "700", "/root/.ssh")
        public = key.with_suffix(".pub").read_text()
        machine.run("sh", "-c", f"echo '{public.strip()}' > /root/.ssh/authorized_keys")
        script = 'mkdir -p "$(dirname "$1")" && printf %s "$0" > "$1" && systemctl daemon-reload'
        place = "/etc/systemd/system/docker.service.d/container.conf"
        machine.run("sh", "-c", script, DROP_IN, place)
        host_key = machine.run("cat", "/etc/ssh/ssh_host_ed25519_key.pub")
        (folder / "known_hosts").write_text(f"{address} {host_key}")
        yield machine
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True)


def _wait(machine: EmptyMachine) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if "active" in machine.run("systemctl", "is-active", "ssh", status=None).split():
            return
        time.sleep(0.5)
    raise TimeoutError(machine.run("systemctl", "list-units", "--no-pager", status=None))
