# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A PMS on a host without Docker: Debian 12 under systemd, its PostgreSQL 15 and Redis, uvicorn.

The host is a container in which systemd is process 1. Everything else is inside: the PMS (the
lab's stand-in, with packages of its own), Grafana's stand-in, a copy of pms-ops, and its control
node. The container has no Docker socket and no network but its own.
"""

from __future__ import annotations

import io
import json
import secrets
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.pmsops.common import exchange_calendar
from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE

from tests.conftest import PROJECT
from tests.support import debian_image
from tests.support.server import LABEL

IMAGE = "pms-test/host:12"
PACKAGES = (
    "systemd,systemd-sysv,dbus,postgresql,redis-server,curl,iproute2,procps,openssl,tzdata,"
    "python3-psycopg2"
)
# What the PMS needs; Debian 12's FastAPI is too old for it.
PMS_PACKAGES = ("fastapi==0.115.*", "uvicorn<1", "pyjwt==2.*", "redis<7", "async-timeout")
PMS_SITE = PROJECT / ".cache/host-installation/site"
SITE = "/srv/pms-site"
VENV = Path(sys.prefix)
HOME = "/opt/pms-ops"
INVENTORY = f"{HOME}/inventory/book"
ROOT = "/srv/pms-ops"
DATABASE, OWNER = "book", "book_owner"
UNITS = {
    "database": "postgresql@15-main.service",
    "redis": "redis-server.service",
    "api": "pms-api.service",
    "grafana": "pms-grafana.service",
}
# Without TimescaleDB there are no hypertables; everything before them in schema.sql is plain SQL.
HYPERTABLES = (
    "-- --------------------------------------------------------------------------------- hyp"
)
START_SECONDS = 60
REDIS_DROP_IN = """\
[Service]
# A container has no user namespaces to give.
PrivateUsers=no
"""
# For Redis. Its user has just the rights that roles/pms/README.md names.
TLS_PORT = 6390
CA_FILE = "/etc/redis/ca.pem"
CERTIFICATE = """
umask 022
cd /etc/redis
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem
openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout redis.key -out redis.csr
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' >names
openssl x509 -req -in redis.csr -CA ca.pem -CAkey ca.key -days 2 -extfile names -out redis.pem
chown redis:redis *
"""
REDIS = """\
maxmemory 256mb
maxmemory-policy allkeys-lru
appendonly yes
tls-auth-clients no
tls-cert-file /etc/redis/redis.pem
tls-key-file /etc/redis/redis.key
user ops on >{password} ~pms:* resetchannels -@all +ping +info +config|get +scan +get +set +ttl +del
"""
UNIT = """\
[Unit]
After=network.target

[Service]
User={user}
WorkingDirectory={folder}
EnvironmentFile=/etc/pms/{name}.env
ExecStart={command}
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class HostInstallation:
    """A running host, and what is needed to call pms-ops on it."""

    container: str
    passwords: Mapping[str, str]
    inventory: dict[str, Any] = field(default_factory=dict)

    def run(
        self,
        *command: str,
        text_in: str = "",
        status: int | None = 0,
        user: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """Run a command on the host; return what it prints. Its exit status has to be this one."""
        done = subprocess.run(
            [
                *("docker", "exec", "-i", *(("-u", user) if user else ())),
                *(f"--env={name}={value}" for name, value in (environment or {}).items()),
                *(self.container, *command),
            ],
            input=text_in,
            capture_output=True,
            text=True,
            timeout=900,
        )
        said = f"{done.stdout[-8000:]}{done.stderr[-3000:]}"
        assert status in (None, done.returncode), f"{command[:4]}: {done.returncode}\n{said}"
        return done.stdout + done.stderr

    def psql(self, sql: str, database: str = DATABASE, **variables: str) -> str:
        """Run statements as the superuser; return what they print."""
        client = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database]
        client += [word for name, value in variables.items() for word in ("-v", f"{name}={value}")]
        return self.run(*client, text_in=sql, user="postgres").strip()

    def systemctl(self, *words: str) -> None:
        """Ask systemd."""
        self.run("systemctl", *words)

    def pms_ops(self, *arguments: str, status: int = 0) -> str:
        """Run the command line for this system; return what it says."""
        said = self.run(f"{HOME}/scripts/pms-ops", *arguments, status=status)
        return " ".join(said.split())

    def playbook(self, name: str, *arguments: str, status: int = 0, **variables: Any) -> str:
        """Run a playbook for this system; return what it says."""
        play = [str(VENV / "bin/ansible-playbook"), f"--inventory={INVENTORY}"]
        play += [f"playbooks/{name}.yml", "--extra-vars", json.dumps(variables), *arguments]
        return " ".join(self.run("env", "ANSIBLE_NOCOLOR=1", *play, status=status).split())

    def describe(self, **changed: Any) -> None:
        """Write the inventory of this system, with some variables changed."""
        self.inventory.update(changed)
        for name in [each for each, value in self.inventory.items() if value is None]:
            del self.inventory[name]
        hosts = {
            "pms": {
                "hosts": {
                    "book": {
                        "ansible_connection": "local",
                        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                    }
                }
            }
        }
        self.write(f"{INVENTORY}/hosts.yml", yaml.safe_dump(hosts))
        self.write(f"{INVENTORY}/group_vars/pms/pms.yml", yaml.safe_dump(self.inventory))

    def write(self, path: str, content: str) -> None:
        """Write a file on the host."""
        command = f'mkdir -p "$(dirname {path})" && cat >{path}'
        self.run("sh", "-c", command, text_in=content)

    def second_redis(self, name: str, port: int) -> str:
        """Start an instance of Redis that only a user with TLS can use; return its unit."""
        settings = f"dir /var/lib/redis\ndbfilename {name}.rdb\nappenddirname {name}\n"
        settings += f"port 0\ntls-port {port}\nbind 127.0.0.1\nuser default off\n"
        settings += REDIS.format(password=self.passwords["redis"])
        self.write(f"/etc/redis/redis-{name}.conf", settings)
        self.run("chown", "-R", "redis:redis", "/etc/redis")
        unit = f"redis-server@{name}.service"
        self.systemctl("enable", "--now", unit)
        return unit

    def wait_for_api(self) -> None:
        """Wait until the PMS answers."""
        self.run(
            *("curl", "-fsS", "-o", "/dev/null", "--retry", str(START_SECONDS)),
            *("--retry-delay", "1", "--retry-connrefused", "http://127.0.0.1:8000/health"),
        )


@contextmanager
def running() -> Iterator[HostInstallation]:
    """Run the host with a filled book and no inventory; remove it at the end."""
    debian_image.provide(IMAGE, release="bookworm", packages=PACKAGES)
    names = ("owner", "pms_ops", "redis", "jwt", "admin", "manager", "risk", "viewer", "grafana")
    host = HostInstallation(
        f"pms-test-host-{uuid.uuid4().hex[:8]}", {each: secrets.token_hex(24) for each in names}
    )
    base = Path(sys.base_prefix)
    _fetch()
    mounts = [VENV] + ([base] if base != Path("/usr") else [])
    subprocess.run(
        [
            *("docker", "run", "--detach", "--name", host.container, "--hostname", "book"),
            *("--label", f"{LABEL}=1", "--stop-signal", "SIGRTMIN+3"),
            # What systemd needs: cgroups of its own, mounts, and folders in memory.
            *("--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined"),
            # Root of a host sees whose process has which socket.
            *("--cap-add", "SYS_PTRACE"),
            *("--security-opt", "apparmor=unconfined", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup"),
            *("--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec"),
            *("--env", "container=docker", "--workdir", HOME),
            *(word for each in mounts for word in ("--volume", f"{each}:{each}:ro")),
            *("--volume", f"{PMS_SITE}:{SITE}:ro"),
            *(IMAGE, "/lib/systemd/systemd"),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    try:
        wait_for_systemd(host)
        copy_project(host)
        _install(host)
        yield host
    finally:
        subprocess.run(["docker", "stop", "--time", "10", host.container], capture_output=True)
        subprocess.run(
            ["docker", "rm", "--force", "--volumes", host.container], capture_output=True
        )


def _fetch() -> None:
    """Fetch the PMS's packages for the Python of Debian 12, once."""
    if PMS_SITE.exists():
        return
    unfinished = PMS_SITE.with_name(f"site-{uuid.uuid4().hex}")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--only-binary=:all:", "--python-version", "3.11", "--target", str(unfinished)),
            *PMS_PACKAGES,
        ],
        check=True,
        capture_output=True,
        timeout=300,
    )
    unfinished.rename(PMS_SITE)


def wait_for_systemd(host: HostInstallation) -> None:
    for _ in range(START_SECONDS * 2):
        state = host.run("systemctl", "is-system-running", status=None).strip()
        if state in ("running", "degraded"):
            return
        time.sleep(0.5)
    raise TimeoutError(f"systemd is {state}")


def copy_project(host: HostInstallation) -> None:
    """Copy what Git knows of this project, and give it this interpreter's packages."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in filter(None, listed):
            if (PROJECT / name).exists():
                archive.add(PROJECT / name, name)
    unpack = ["tar", "-x", "--no-same-owner", "-C", HOME]
    subprocess.run(
        ["docker", "exec", "-i", host.container, *unpack], input=packed.getvalue(), check=True
    )
    host.run("ln", "-sfn", str(VENV), f"{HOME}/.venv")


def _install(host: HostInstallation) -> None:
    """Install the PMS as its documents say for a host: cluster, Redis, units."""
    password = host.passwords
    redis = f"requirepass {password['redis']}\ntls-port {TLS_PORT}\n"
    redis += "unixsocket /run/redis/redis-server.sock\n"
    redis += REDIS.format(password=password["redis"])
    host.run("sh", "-ec", CERTIFICATE)
    for unit in ("redis-server.service", "redis-server@.service"):
        host.write(f"/etc/systemd/system/{unit}.d/container.conf", REDIS_DROP_IN)
    host.run("sh", "-c", "cat >>/etc/redis/redis.conf", text_in=redis)
    host.run("useradd", "--system", "pms")
    host.psql(
        f"CREATE ROLE {OWNER} LOGIN PASSWORD '{password['owner']}';"
        f"CREATE DATABASE {DATABASE} OWNER {OWNER} TEMPLATE template0;",
        "postgres",
    )
    host.psql(f"REVOKE CONNECT, TEMPORARY ON DATABASE {DATABASE} FROM PUBLIC", "postgres")
    _fill(host)
    common = {
        "TZ": "America/Sao_Paulo",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": SITE,
        "POSTGRES_HOST": "127.0.0.1",
        "POSTGRES_DB": DATABASE,
        "POSTGRES_USER": OWNER,
        "POSTGRES_PASSWORD": password["owner"],
    }
    _unit(
        host,
        "api",
        f"{HOME}/roles/lab/files/pms",
        "/usr/bin/python3 -m uvicorn main:app --host 127.0.0.1 --port 8000 --no-access-log",
        common
        | {"REDIS_HOST": "127.0.0.1", "REDIS_PASSWORD": password["redis"]}
        | {"JWT_SECRET_KEY": password["jwt"], "DEBUG": "false"}
        | {
            f"PMS_{each.upper()}_PASSWORD": password[each]
            for each in ("admin", "manager", "risk", "viewer")
        },
    )
    _unit(
        host,
        "grafana",
        f"{HOME}/roles/lab/files/grafana",
        "/usr/bin/python3 -B standin.py",
        common
        | {
            "GF_SERVER_HTTP_ADDR": "127.0.0.1",
            "GF_SECURITY_ADMIN_USER": "admin",
            "GF_SECURITY_ADMIN_PASSWORD": password["grafana"],
        },
    )
    host.systemctl("daemon-reload")
    host.systemctl("reset-failed")
    host.systemctl("restart", UNITS["redis"])
    host.systemctl("enable", "--now", UNITS["redis"], UNITS["api"], UNITS["grafana"])
    host.wait_for_api()


def _fill(host: HostInstallation) -> None:
    """Make the tables and the book, as the lab does, in plain tables."""
    folder = PROJECT / "roles/lab/files/sql"
    today = datetime.now(BUSINESS_ZONE).date()
    schema = (folder / "schema.sql").read_text().partition(HYPERTABLES)[0]
    host.psql(
        f"SET ROLE {OWNER};\nBEGIN;\n{schema}\n{(folder / 'seed.sql').read_text()}\nCOMMIT;",
        as_of=exchange_calendar.previous_business_day(today).isoformat(),
        scale="0.1",
    )


def _unit(
    host: HostInstallation, name: str, folder: str, command: str, environment: dict[str, str]
) -> None:
    lines = "".join(f"{each}={value}\n" for each, value in environment.items())
    host.write(f"/etc/pms/{name}.env", lines)
    host.run("chmod", "600", f"/etc/pms/{name}.env")
    unit = UNIT.format(user="pms", folder=folder, name=name, command=command)
    host.write(f"/etc/systemd/system/{UNITS[name]}", unit)
