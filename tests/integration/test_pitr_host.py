# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Continuous protection of a server on a host: the engine as a service of systemd, for real.

The host is a container of Debian 12 in which systemd is process 1, with its PostgreSQL 15. Barman
comes from PyPI; Debian 12's is too old, which is a test of its own. The tests follow each other.
"""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.support import debian_image, host_installation
from tests.support.host_installation import HOME, ROOT, HostInstallation
from tests.support.server import LABEL

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(
        sys.version_info[:2] != (3, 11), reason="the host has this Python, and Debian 12 has 3.11"
    ),
]
IMAGE = "pms-test/pitr-host:12"
PACKAGES = "systemd,systemd-sysv,dbus,postgresql,procps,file,tzdata,python3"
SITE = PROJECT / ".cache" / "host-installation" / "barman"
BARMAN = ("barman==3.19.1", "psycopg2-binary>=2.9", "python-dateutil", "six")
PROGRAM = """\
#!/bin/sh
export PYTHONPATH=/opt/barman-site PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 -c 'from barman.cli import main; main()' "$@"
"""
OLD = "#!/bin/sh\necho '3.4.0 Barman by EnterpriseDB (www.enterprisedb.com)'\n"
NAME = "pms_pitr"
# One verb of the engine, as the module calls it: a playbook for each would take minutes.
VERB = """\
import json, sys
import ansible.module_utils
ansible.module_utils.__path__.append("/opt/pms-ops/module_utils")
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr.run import Protection, Settings
from ansible.module_utils.pmsops.postgresql.connection import Database
verb, asked, password = sys.argv[1:]
database = Database("127.0.0.1", 5432, "book", "pms_ops", password, access="host")
protection = Protection(database, Settings("pms_pitr", "", canary_seconds=5))
try:
    print(json.dumps(getattr(protection, verb)(**json.loads(asked))))
except OpsError as exc:
    sys.exit(f"{exc.code} {exc}")
"""


def fetch() -> None:
    """Fetch Barman for the Python of Debian 12, once."""
    if SITE.exists():
        return
    unfinished = SITE.with_name(f"barman-{uuid.uuid4().hex}")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--only-binary=:all:", "--target", str(unfinished), *BARMAN),
        ],
        check=True,
        capture_output=True,
        timeout=300,
    )
    unfinished.rename(SITE)


@pytest.fixture(scope="module")
def host() -> Iterator[HostInstallation]:
    debian_image.provide(IMAGE, release="bookworm", packages=PACKAGES)
    fetch()
    made = HostInstallation(f"pms-test-pitr-{uuid.uuid4().hex[:8]}", {"pms_ops": uuid.uuid4().hex})
    venv, base = Path(sys.prefix), Path(sys.base_prefix)
    mounts = [venv] + ([base] if base != Path("/usr") else [])
    subprocess.run(
        [
            *("docker", "run", "--detach", "--name", made.container, "--hostname", "book"),
            *("--label", f"{LABEL}=1", "--stop-signal", "SIGRTMIN+3", "--cap-add", "SYS_ADMIN"),
            *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
            *("--volume", "/sys/fs/cgroup:/sys/fs/cgroup", "--tmpfs", "/run", "--tmpfs"),
            *("/run/lock", "--tmpfs", "/tmp:exec", "--env", "container=docker", "--workdir", HOME),
            *(word for each in mounts for word in ("--volume", f"{each}:{each}:ro")),
            *("--volume", f"{SITE}:/opt/barman-site:ro", IMAGE, "/lib/systemd/systemd"),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    try:
        host_installation.wait_for_systemd(made)
        host_installation.copy_project(made)
        made.psql(
            f"CREATE ROLE pms_ops LOGIN PASSWORD '{made.passwords['pms_ops']}';"
            "GRANT postgres, pg_monitor TO pms_ops; CREATE DATABASE book;",
            "postgres",
        )
        made.write("/srv/verb.py", VERB)
        made.run("mkdir", "-p", f"{ROOT}/backups", f"{ROOT}/evidence")
        made.describe(
            pms_db_access="host",
            pms_db_name="book",
            pms_db_user="pms_ops",
            pms_db_password=made.passwords["pms_ops"],
            pms_db_container="",
            pms_services_manager="systemd",
            pms_compose_project="",
            backup_root=f"{ROOT}/backups",
            evidence_root=f"{ROOT}/evidence",
            pitr_enabled=True,
            pitr_barman="present",
            pitr_canary_seconds=5,
        )
        yield made
    finally:
        subprocess.run(
            ["docker", "rm", "--force", "--volumes", made.container], capture_output=True
        )


def pitr(host: HostInstallation, action: str, *words: str, **more: object) -> str:
    """Run the playbook."""
    return host.playbook("pitr", *words, pitr_action=action, **more)


def verb(host: HostInstallation, name: str, status: int = 0, **asked: object) -> str:
    """Call one verb of the engine on the host; return what it answers."""
    words = (f"{HOME}/.venv/bin/python", "/srv/verb.py", name, json.dumps(asked))
    return host.run(*words, host.passwords["pms_ops"], status=status)


def test_a_host_without_barman_and_one_with_an_old_one_are_refused(host):
    assert "pitr.host-barman There is no program barman" in verb(host, "enable", 1, check=True)
    host.write("/usr/local/bin/barman", OLD)
    host.run("chmod", "755", "/usr/local/bin/barman")
    assert "3.13 or newer is needed" in verb(host, "enable", 1, check=False)
    assert host.psql("SELECT count(*) FROM pg_replication_slots", "postgres") == "0"
    host.write("/usr/local/bin/barman", PROGRAM)


def test_check_mode_shows_all_and_changes_nothing(host):
    said = pitr(host, "enable", "--check")
    for step in (
        'would CREATE ROLE "pms_pitr"',
        f"would start service {NAME}.service as user {NAME} without a login",
        "would make a base backup",
    ):
        assert step in said, said
    host.run("test", "!", "-e", f"/etc/{NAME}")
    host.run("getent", "passwd", NAME, status=2)


def test_enable_starts_a_service_that_receives(host):
    pitr(host, "enable")
    host.systemctl("is-active", f"{NAME}.service")
    host.systemctl("is-enabled", f"{NAME}.service")
    passwd = host.run("getent", "passwd", NAME).strip().split(":")
    assert passwd[5:] == [f"/var/lib/{NAME}", "/usr/sbin/nologin"]
    assert host.psql("SELECT active FROM pg_replication_slots", "postgres") == "t"


def test_the_password_is_for_the_service_alone_and_in_no_other_file(host):
    assert host.run("stat", "-c", "%a %U", f"/var/lib/{NAME}/.pgpass") == f"600 {NAME}\n"
    assert host.run("stat", "-c", "%a %U", f"/var/lib/{NAME}") == f"700 {NAME}\n"
    password = host.run("cat", f"/var/lib/{NAME}/.pgpass").strip().split(":")[-1]
    places = ("/etc", f"/var/lib/{NAME}/.pgpass", f"/var/lib/{NAME}/barman.log")
    found = host.run("grep", "-rls", "--", password, *places, status=None)
    assert found == f"/var/lib/{NAME}/.pgpass\n"


def test_the_unit_is_valid_and_hardened(host):
    said = host.run("systemd-analyze", "verify", "--man=no", f"/etc/systemd/system/{NAME}.service")
    assert NAME not in said, said
    exposure = host.run("systemd-analyze", "security", "--no-pager", f"{NAME}.service")
    level = float(exposure.split("level for")[1].split(": ")[1].split()[0])
    assert level < 3, exposure[-200:]


def test_a_second_run_changes_nothing(host):
    said = pitr(host, "enable")
    assert "Nothing has to be done" in said and " changed=0 " in said


def test_a_receiver_that_is_killed_comes_back(host):
    host.systemctl("kill", "--signal=KILL", f"{NAME}.service")
    wait = f"for i in $(seq 60); do sleep 1; pgrep -u {NAME} -x pg_receivewal && exit; done; exit 1"
    host.run("sh", "-c", wait)
    said = json.loads(verb(host, "status"))
    assert said["stream"]["active"] or said["window"]["problems"]


def test_a_base_backup_is_made_checked_and_counted(host):
    assert json.loads(verb(host, "backup", kind="full"))["kind"] == "full"
    said = json.loads(verb(host, "status"))
    assert said["window"]["backups"] == 2 and said["window"]["problems"] == []
    assert json.loads(verb(host, "maintain", check=False)) == []


def test_the_watch_looks_as_the_engine_s_user(host):
    looked = {"container": NAME, "slot": NAME, "on_host": True}
    schedule = {"state_dir": "/srv/watch", "metrics_dir": "/srv/watch/m", "jobs": []}
    host.write("/srv/watch/schedule.json", json.dumps(schedule | {"watch": looked}))
    words = ("env", "PMS_OPS_SCHEDULE=/srv/watch/schedule.json", f"{HOME}/.venv/bin/python")
    look = (*words, "scripts/scheduled.py", "watch")
    host.run(*look)
    assert '"problem": null' in host.run("cat", "/srv/watch/pitr_watch.json")
    host.systemctl("stop", f"{NAME}.service")
    assert "pitr.not-streaming" in host.run(*look, status=1)
    verb(host, "maintain", check=False)
    host.run(*look)
    assert '"problem": null' in host.run("cat", "/srv/watch/pitr_watch.json")


def test_disable_takes_it_away_and_keeps_the_archive(host):
    hba = host.psql("SHOW hba_file", "postgres")
    pitr(host, "disable")
    host.run("test", "!", "-e", f"/etc/systemd/system/{NAME}.service")
    host.run("test", "!", "-e", f"/etc/{NAME}")
    assert "pms-ops" not in host.run("cat", hba)
    assert host.run("stat", "-c", "%a %U", hba) == "640 postgres\n"
    assert host.psql("SELECT count(*) FROM pg_roles WHERE rolname = 'pms_pitr'", "postgres") == "0"
    host.run("test", "-d", f"/var/lib/{NAME}/pms/base")
    assert json.loads(verb(host, "disable", check=False)) == []
    verb(host, "disable", check=False, purge=True)
    host.run("test", "!", "-e", f"/var/lib/{NAME}")
    host.run("getent", "passwd", NAME, status=2)
