# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Real sites for copies: restic itself, sshd, rest-server and an S3 server, of Debian's packages.

The servers run in containers on 127.0.0.1; restic is taken out of the same image to run here, as
Debian 12's own is too old.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import debian_image
from tests.support.server import LABEL, free_port

IMAGE = "pms-test/sites:13"
# The Debian release whose restic is tested: 0.18 is in trixie, 0.19 in sid.
RESTIC_RELEASE = os.environ.get("PMS_TEST_RESTIC_RELEASE", "trixie")
PACKAGES = "restic,restic-rest-server,openssh-server,python3-moto,python3-flask,python3-flask-cors"
SSHD = """
set -e
install -d -m 755 /run/sshd
install -d -m 700 /root/.ssh
cp /keys/client.pub /root/.ssh/authorized_keys
cp /keys/host /etc/ssh/test_key
chmod 600 /root/.ssh/authorized_keys /etc/ssh/test_key
exec /usr/sbin/sshd -D -e -p "$0" -h /etc/ssh/test_key -o ListenAddress=127.0.0.1 \\
  -o PasswordAuthentication=no -o PidFile=none -o Subsystem="sftp internal-sftp"
"""
REST = 'exec restic-rest-server --path /srv --listen "127.0.0.1:$0" --no-auth'
PRIVATE = (
    'exec restic-rest-server --path /srv --listen "127.0.0.1:$0" --private-repos'
    " --htpasswd-file /keys/htpasswd"
)
S3 = 'exec python3 -c "from moto.server import main; main()" -H 127.0.0.1 -p "$0"'
LOCKED_BUCKET = """
import boto3, sys
client = boto3.client("s3", endpoint_url="http://127.0.0.1:" + sys.argv[1],
                      aws_access_key_id="o", aws_secret_access_key="o", region_name="us-east-1")
client.create_bucket(Bucket="fund", ObjectLockEnabledForBucket=True)
rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}}
client.put_object_lock_configuration(
    Bucket="fund", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule})
"""
S3_KEYS = {"AWS_ACCESS_KEY_ID": "fund-key", "AWS_SECRET_ACCESS_KEY": "fund-secret-of-s3"}


@dataclass(frozen=True)
class Address:
    """How a repository is reached, as an option of pms_offsite has it."""

    url: str
    options: tuple[str, ...] = ()
    secrets: dict[str, str] = field(default_factory=dict)

    def option(self, name: str, folder: Path) -> dict[str, Any]:
        """Return the site's option; its files with secrets are made in *folder*."""
        found = {
            "name": name,
            "url": self.url,
            "options": list(self.options),
            "password_file": str(_private(folder / f"{name}.password", f"password of {name}")),
        }
        if self.secrets:
            text = "".join(f"{key}={value}\n" for key, value in self.secrets.items())
            found["environment_file"] = str(_private(folder / f"{name}.env", text))
        return found


def restic(folder: Path) -> Path:
    """Return restic, taken out of an image into *folder*; the release says which one."""
    image = IMAGE if RESTIC_RELEASE == "trixie" else f"pms-test/restic:{RESTIC_RELEASE}"
    packages = PACKAGES if RESTIC_RELEASE == "trixie" else "restic"
    debian_image.provide(image, release=RESTIC_RELEASE, packages=packages)
    name = f"pms-test-restic-{uuid.uuid4().hex[:8]}"
    _docker("create", "--name", name, image, "true")
    try:
        _docker("cp", f"{name}:/usr/bin/restic", str(folder / "restic"))
    finally:
        _docker("rm", name)
    return folder / "restic"


@contextmanager
def local(folder: Path) -> Iterator[Address]:
    """A folder of this machine, as of a mounted disk."""
    yield Address(str(folder / "repository"))


@contextmanager
def sftp(folder: Path) -> Iterator[Address]:
    """A site that only SFTP reaches; its host key is checked."""
    with _sftp(folder, SSHD, []) as address:
        yield address


@contextmanager
def _sftp(folder: Path, script: str, volumes: list[str]) -> Iterator[Address]:
    port = free_port()
    for name in ("client", "host"):
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(keygen, check=True, timeout=60)
    known = folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    arguments = f"-p {port} -i {folder}/client -o UserKnownHostsFile={known} -o BatchMode=yes"
    with _serving(script, port, volumes=[f"{folder}:/keys:ro", *volumes]):
        yield Address("sftp:root@127.0.0.1:/srv/fund", (f"sftp.args={arguments}",))


@contextmanager
def reading(folder: Path, repository: Path) -> Iterator[Address]:
    """A site of SFTP whose user can only read; *repository* is what lies there."""
    with _sftp(
        folder, SSHD.replace("internal-sftp", "internal-sftp -R"), [f"{repository}:/srv/fund:ro"]
    ) as address:
        yield address


@contextmanager
def rest(folder: Path) -> Iterator[Address]:
    """rest-server that takes copies and deletes none."""
    port = free_port()
    with _serving(f"{REST} --append-only", port):
        yield Address(f"rest:http://127.0.0.1:{port}/fund")


@contextmanager
def small(folder: Path) -> Iterator[Address]:
    """rest-server with room for three megabytes."""
    port = free_port()
    with _serving(f"{REST} --max-size 3000000", port):
        yield Address(f"rest:http://127.0.0.1:{port}/fund")


@contextmanager
def private(folder: Path) -> Iterator[Address]:
    """rest-server that gives each user the folder of its name alone: those of two funds."""
    port = free_port()
    lines = []
    for name in ("fund", "other"):
        digest = hashlib.sha1(f"word of {name}".encode(), usedforsecurity=False).digest()
        lines.append(f"{name}:{{SHA}}{base64.b64encode(digest).decode()}\n")
    (folder / "htpasswd").write_text("".join(lines))
    with _serving(PRIVATE, port, volumes=[f"{folder}:/keys:ro"]):
        yield Address(f"rest:http://127.0.0.1:{port}/fund", secrets=http_user("fund"))


def http_user(name: str) -> dict[str, str]:
    """Return the credentials that rest-server asks a fund for."""
    return {"RESTIC_REST_USERNAME": name, "RESTIC_REST_PASSWORD": f"word of {name}"}


@contextmanager
def s3(folder: Path) -> Iterator[Address]:
    """An S3 server meant for tests."""
    port = free_port()
    with _serving(S3, port):
        yield Address(f"s3:http://127.0.0.1:{port}/fund", secrets=S3_KEYS)


@contextmanager
def locked(folder: Path) -> Iterator[Address]:
    """The same with a bucket that keeps each version for thirty days (object lock)."""
    port = free_port()
    with _serving(S3, port) as name:
        _docker("exec", name, "python3", "-c", LOCKED_BUCKET, str(port))
        yield Address(f"s3:http://127.0.0.1:{port}/fund/copies", secrets=S3_KEYS)


KINDS = {
    "local": local,
    "sftp": sftp,
    "rest": rest,
    "s3": s3,
    "locked": locked,
    "private": private,
    "small": small,
}


@contextmanager
def _serving(script: str, port: int, volumes: list[str] | None = None) -> Iterator[str]:
    debian_image.provide(IMAGE, release="trixie", packages=PACKAGES)
    name = f"pms-test-site-{uuid.uuid4().hex[:8]}"
    mounts = [word for each in volumes or [] for word in ("--volume", each)]
    _docker(
        *("run", "--detach", "--name", name, "--network", "host", "--label", f"{LABEL}=1"),
        *(*mounts, IMAGE, "/bin/sh", "-c", script, str(port)),
    )
    try:
        _wait(port, name)
        yield name
    finally:
        _docker("rm", "--force", "--volumes", name)


def _wait(port: int, name: str) -> None:
    for _ in range(300):
        with socket.socket() as stream:
            if stream.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(_docker("logs", name))


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def _private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path
