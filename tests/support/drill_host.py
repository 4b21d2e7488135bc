# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host for drills, which only SSH reaches: Debian 13 with restic, PostgreSQL and TimescaleDB.

It has no Docker Engine and none of this machine's files. It has a machine id of its own, and an id
of the boot too, as a container of systemd-nspawn or LXC has: Docker's have that of the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import ssh_host
from tests.support.server import POSTGRESQL

IMAGE = f"pms-test/drill:{POSTGRESQL}"
PACKAGES = f"openssh-server,python3,restic,postgresql-{POSTGRESQL}-timescaledb"
DRILL_ROOT = "/var/tmp/pms-ops-drill"
PASSWORD_FILE = "/etc/pms-ops/site.password"
MACHINE_ID = "d" * 32
START = f"""
set -e
echo {MACHINE_ID} >/etc/machine-id
echo 11111111-2222-4333-8444-555555555555 >/etc/boot-id
mount --bind /etc/boot-id /proc/sys/kernel/random/boot_id
bin=$(ls -d /usr/lib/postgresql/*/bin)
as='setpriv --reuid=postgres --regid=postgres --clear-groups'
install -d -o postgres /run/postgresql /srv/pg
$as $bin/initdb -D /srv/pg/data -U postgres --auth=trust -E UTF8 --locale=C.UTF-8 >/dev/null
$as $bin/postgres -D /srv/pg/data -c listen_addresses= -c unix_socket_directories=/run/postgresql \\
  -c shared_preload_libraries=timescaledb -c timescaledb.telemetry_level=off \\
  -c max_worker_processes=32 >/var/log/pg.log 2>&1 &
"""
# What a mount over the id of the boot needs
MOUNTS = (
    *("--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined"),
    *("--security-opt", "apparmor=unconfined", "--security-opt", "systempaths=unconfined"),
)
# Of the host in the inventory: it reaches its own server by a socket.
VARIABLES = {
    "restore_drill_keys_dir": "/etc/pms-ops/keys",
    "restore_drill_database": {
        "user": "postgres",
        "host": "/run/postgresql",
        "bin_dir": f"/usr/lib/postgresql/{POSTGRESQL}/bin",
    },
}


@contextmanager
def running(folder: Path) -> Iterator[ssh_host.SshHost]:
    """Run the host; *folder* gets the keys to reach it."""
    shared = folder / "nothing"
    shared.mkdir(parents=True)
    with ssh_host.running(
        folder,
        shared,
        image=IMAGE,
        packages=PACKAGES,
        before=START,
        options=MOUNTS,
    ) as made:
        yield made
