# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host for Ansible in many shapes: any Debian, without a network, with users of several rights.

SSH goes by a command that starts an sshd inside the container, so no port and no network is needed.
"""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import debian_image
from tests.support.server import LABEL

PACKAGES = "openssh-server,python3,sudo"
ENGINE = Path("/var/run/docker.sock")
NO_NETWORK = ("--network", "none")
SUDO, DOCKER = "ops", "deploy"  # one may become root, the other one only use the engine
# As RHEL 9 is after `dnf install python3.11`: the host's own Python is 3.9, a newer one beside it.
OLD_AND_NEW = "openssh-server,sudo,python3.9,python3.11"
START = f"""
set -e
[ -e /usr/bin/python3 ] || ln -s python3.9 /usr/bin/python3
install -d -m 755 /run/sshd
useradd --create-home --shell /bin/bash {SUDO}
useradd --create-home --shell /bin/bash {DOCKER}
getent group "$0" >/dev/null || groupadd --gid "$0" engine
usermod --append --groups "$0" {DOCKER}
echo '{SUDO} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{SUDO}
for home in /root /home/{SUDO} /home/{DOCKER}; do
    install -d -m 700 -o "$(stat -c %u $home)" -g "$(stat -c %g $home)" $home/.ssh
    install -m 600 -o "$(stat -c %u $home)" /keys/client.pub $home/.ssh/authorized_keys
done
install -m 600 /keys/host /etc/ssh/test_key
touch /ready
exec sleep infinity
"""
# What Debian's Python imports first: with it, 3.9 takes itself for one that is too old.
TOO_OLD = """
import collections, sys
sys.version_info = collections.namedtuple("V", "major minor micro releaselevel serial")(
    3, 8, 10, "final", 0)
sys.version = sys.version.replace("3.9.2", "3.8.10")
"""
SSHD = "/usr/sbin/sshd -i -h /etc/ssh/test_key -o PasswordAuthentication=no"


@dataclass(frozen=True)
class ManagedHost:
    """How the host is reached, and what is on it."""

    container: str
    keys: Path

    def variables(self, user: str = "root") -> dict[str, Any]:
        """Return the host's own variables in an inventory; its key is checked."""
        options = (
            f"-o UserKnownHostsFile={self.keys}/known_hosts -o IdentitiesOnly=yes"
            f" -o ProxyCommand='docker exec -i {self.container} {SSHD}'"
        )
        return {
            "ansible_host": self.container,
            "ansible_user": user,
            "ansible_ssh_private_key_file": f"{self.keys}/client",
            "ansible_ssh_common_args": options,
        }

    def run(self, *command: str, status: int | None = 0) -> str:
        """Run a command as root, beside SSH; return what it prints. None allows any status."""
        done = subprocess.run(
            ["docker", "exec", self.container, *command],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert status in (None, done.returncode), done.stdout + done.stderr
        return done.stdout

    def make_python_too_old(self) -> None:
        """Let Python 3.9.2 say that it is 3.8.10: no release that is left has one too old."""
        self.run("sh", "-c", 'printf %s "$0" >/usr/lib/python3.9/sitecustomize.py', TOO_OLD)

    def owners(self, folder: Path | str) -> set[str]:
        """Return the users and groups that own anything below a folder."""
        return set(self.run("find", str(folder), "-printf", "%u:%g\n").split())

    def left(self, besides: Path) -> list[str]:
        """Return what lies in folders for temporary files: the host's, and Ansible's of each user.

        *besides* is a folder of the test's own. Ansible keeps the folder itself.
        """
        found = self.run("find", "/tmp", "/var/tmp", "/dev/shm", "-mindepth", "1").split()
        for home in ("/root", f"/home/{SUDO}", f"/home/{DOCKER}"):
            found += self.run(
                *("find", f"{home}/.ansible", "-mindepth", "1", "-not", "-path", "*/.ansible/tmp"),
                status=None,
            ).split()
        return [each for each in found if not Path(each).is_relative_to(besides)]


@contextmanager
def running(
    folder: Path,
    release: str = "trixie",
    *,
    options: tuple[str, ...] = NO_NETWORK,
    two_pythons: bool = False,
) -> Iterator[ManagedHost]:
    """Run the host; *folder* gets the keys to reach it, *options* are Docker's.

    With *two_pythons* its `python3` is 3.9.2, and 3.11 is beside it; it is Debian 12 otherwise.
    """
    if two_pythons:
        image = "pms-test/managed:two-pythons"
        debian_image.provide(image, release="bookworm", packages=OLD_AND_NEW, older="bullseye")
    else:
        image = f"pms-test/managed:{release}"
        debian_image.provide(image, release=release, packages=PACKAGES)
    keys = folder / "keys"
    keys.mkdir(mode=0o700)
    for name in ("client", "host"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)],
            check=True,
            timeout=60,
        )
    container = f"pms-test-managed-{uuid.uuid4().hex[:8]}"
    (keys / "known_hosts").write_text(f"{container} {(keys / 'host.pub').read_text()}")
    try:
        subprocess.run(
            [
                *("docker", "run", "--detach", "--name", container, "--hostname", container),
                *("--label", f"{LABEL}=1", "--volume", f"{keys}:/keys:ro", *options),
                *(image, "/bin/sh", "-c", START, str(_group_of_engine())),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        ready = "until [ -e /ready ]; do sleep 0.1; done"
        subprocess.run(
            ["docker", "exec", container, "timeout", "60", "sh", "-c", ready],
            check=True,
            capture_output=True,
            timeout=90,
        )
        yield ManagedHost(container, keys)
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", container], capture_output=True)


def with_engine(shared: Path) -> tuple[str, ...]:
    """Return Docker's options of a host of a PMS: this machine's network and engine.

    *shared* is a folder that it has at the same path, for what the engine mounts.
    """
    return (
        *("--network", "host", "--volume", f"{ENGINE}:{ENGINE}"),
        *("--volume", f"{shared}:{shared}"),
    )


def _group_of_engine() -> int:
    """Return the id of the group that may use the engine of this machine."""
    return ENGINE.stat().st_gid
