# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host that only SSH reaches: sshd in a container on the host's network, with throw-away keys.

It has a Python and no library, and the Docker socket of this machine, as a PMS's host would have.
"""

from __future__ import annotations

import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import debian_image
from tests.support.server import LABEL, free_port

IMAGE = "pms-test/ssh:13"
PACKAGES = "openssh-server,python3"
# The Docker Engine of this machine
ENGINE = ("--volume", "/var/run/docker.sock:/var/run/docker.sock")
START = """
set -e
install -d -m 755 /run/sshd
install -d -m 700 /root/.ssh
cp /keys/client.pub /root/.ssh/authorized_keys
chmod 600 /root/.ssh/authorized_keys
cp /keys/host /etc/ssh/test_key
chmod 600 /etc/ssh/test_key
exec /usr/sbin/sshd -D -e -p "$0" -h /etc/ssh/test_key -o ListenAddress=127.0.0.1 \
  -o PasswordAuthentication=no -o PermitRootLogin=prohibit-password -o PidFile=none
"""


@dataclass(frozen=True)
class SshHost:
    """How the host is reached."""

    container: str
    port: int
    keys: Path

    def inventory_lines(self) -> str:
        """Return the host's own variables, as lines of an inventory; its key is checked."""
        options = f"-o UserKnownHostsFile={self.keys}/known_hosts -o IdentitiesOnly=yes"
        return (
            "      ansible_host: 127.0.0.1\n"
            f"      ansible_port: {self.port}\n"
            "      ansible_user: root\n"
            f"      ansible_ssh_private_key_file: {self.keys}/client\n"
            f'      ansible_ssh_common_args: "{options}"\n'
        )

    def run(self, *command: str) -> str:
        """Run a command inside the container, beside SSH."""
        done = subprocess.run(
            ["docker", "exec", self.container, *command],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """Write a file of root's alone; the folder is made."""
        script = 'umask 077; mkdir -p "$(dirname "$0")"; cat >"$0"'
        subprocess.run(
            ["docker", "exec", "-i", self.container, "sh", "-c", script, path],
            input=text,
            text=True,
            timeout=60,
            check=True,
        )


def _keys(folder: Path, port: int) -> None:
    for name in ("client", "host"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)],
            check=True,
            timeout=60,
        )
    public = (folder / "host.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}")


@contextmanager
def running(
    folder: Path,
    shared: Path,
    *,
    image: str = IMAGE,
    packages: str = PACKAGES,
    before: str = "",
    options: tuple[str, ...] = ENGINE,
) -> Iterator[SshHost]:
    """Run the host; *shared* is a folder of this machine that it has at the same path.

    *before* is done in it before sshd starts, as part of a shell script; *options* are Docker's.
    """
    debian_image.provide(image, release="trixie", packages=packages)
    port = free_port()
    keys = folder / "keys"
    keys.mkdir(mode=0o700)
    _keys(keys, port)
    name = f"pms-test-ssh-{uuid.uuid4().hex[:8]}"
    subprocess.run(
        [
            *("docker", "run", "--detach", "--name", name, "--network", "host", "--label"),
            # A name of its own: by it the toolkit tells the processes of two machines apart.
            *(
                f"{LABEL}=1",
                "--hostname",
                name,
            ),
            *options,
            *("--volume", f"{shared}:{shared}", "--volume", f"{keys}:/keys:ro"),
            *(image, "/bin/sh", "-c", before + START, str(port)),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    try:
        _wait(port)
        yield SshHost(name, port, keys)
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True)


def _wait(port: int) -> None:
    for _ in range(200):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as stream:
                if stream.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise TimeoutError("sshd does not answer")
