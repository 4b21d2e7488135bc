# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A server that pgBackRest or Barman protects: all real, in one container of Debian 13."""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible.module_utils.pmsops.pitr.external import External
from ansible.module_utils.pmsops.postgresql.connection import Database

from tests.support import debian_image
from tests.support.server import LABEL, free_port

IMAGE = "pms-test/external:13"
PACKAGES = "postgresql-17,pgbackrest,barman,barman-cli,procps,python3"
BIN = "/usr/lib/postgresql/17/bin"
FOLDER = "/var/lib/postgresql"
LIVE = f"{FOLDER}/live"
ARCHIVE = "/var/lib/pgbackrest/archive/main/17-1"
COMMAND_SECONDS = 300
ARRIVES_SECONDS = 60
COPY_PORT = 5599
START = f"""
set -e
install -d -o postgres -g postgres /run/postgresql /var/lib/pgbackrest /var/log/pgbackrest \
    /var/spool/pgbackrest /etc/pgbackrest
cat >/etc/pgbackrest/pgbackrest.conf <<END
[global]
repo1-path=/var/lib/pgbackrest
repo1-retention-full=9
start-fast=y
log-level-console=warn
# A segment that is damaged keeps its size then, and takes no second try.
compress-type=none
[main]
pg1-path={LIVE}
END
as() {{ setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }}
as {BIN}/initdb -k -D {LIVE} -U postgres --auth-local=trust --auth-host=trust >/dev/null
echo 'host all all all trust' >>{LIVE}/pg_hba.conf
cat >>{LIVE}/postgresql.conf <<END
listen_addresses = '*'
fsync = off
archive_mode = on
archive_command = 'pgbackrest --stanza=main archive-push %p'
END
as {BIN}/pg_ctl -D {LIVE} -l {FOLDER}/live.log -w start >/dev/null
as psql -qX -v ON_ERROR_STOP=1 -c 'CREATE ROLE pms_ops LOGIN' -c 'GRANT pg_monitor TO pms_ops' \
    -c 'CREATE TABLE t (i int)'
touch /ready
exec sleep infinity
"""
INFO = "pgbackrest --stanza=main info --output=json"
FILES = "pgbackrest repo-ls --recurse --output=json archive/main"
VERIFY = "pgbackrest --stanza=main verify --output=text --verbose"


class ExternalServer:
    """The server and its engines, by the commands of their own users."""

    def __init__(self, container: str, port: int) -> None:
        self.container = container
        self.database = Database("127.0.0.1", port, "postgres", "pms_ops", "none")

    def run(self, command: str, user: str = "postgres", status: int | None = 0) -> str:
        """Run a line of the shell; return what it prints. None allows any status."""
        done = subprocess.run(
            ["docker", "exec", "--user", user, self.container, "bash", "-c", command],
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )
        assert status in (None, done.returncode), f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def sql(self, statement: str, port: int = 5432) -> str:
        """Run a statement as the superuser."""
        return self.run(f'psql -h /run/postgresql -p {port} -qXAt -c "{statement}"')

    def write(self, value: int) -> str:
        """Insert a row, end its segment, and return the name of that."""
        self.sql(f"INSERT INTO t VALUES ({value})")
        return self.sql("SELECT pg_walfile_name(pg_switch_wal())")

    def archived(self, segment: str) -> None:
        """Wait until the server takes a segment for archived."""
        deadline = time.monotonic() + ARRIVES_SECONDS
        while self.sql("SELECT last_archived_wal FROM pg_stat_archiver") < segment:
            assert time.monotonic() < deadline, segment
            time.sleep(0.5)

    def file_of(self, segment: str) -> str:
        """Return the file of a segment in the archive."""
        return self.run(f"find {ARCHIVE} -name '{segment}-*'")

    def look(self, *commands: str, user: str = "postgres") -> dict[str, Any]:
        """Return what the toolkit makes of what the commands print, one after the other."""
        words = ["docker", "exec", "--user", user, self.container, "sh", "-c"]
        return External(self.database, [*words, " && ".join(commands)], COMMAND_SECONDS).status()

    def restored(self, *options: str) -> str:
        """Restore to a server beside the live one; return its rows, in order, and whether it waits.

        It archives nothing, and is gone afterwards.
        """
        self.start_copy(*options)
        try:
            rows = "SELECT string_agg(i::text, ' ' ORDER BY i) FROM t"
            return self.sql(f"SELECT ({rows}) || ' ' || pg_is_in_recovery()", COPY_PORT)
        finally:
            self.run(f"{BIN}/pg_ctl -D {FOLDER}/copy -m immediate stop")

    def start_copy(self, *options: str, archives: bool = False) -> None:
        """Restore to a server beside the live one, and start it, up to the end of its recovery.

        It archives into the stanza of the live one, or nowhere.
        """
        copy = f"{FOLDER}/copy"
        words = " ".join(f"'{each}'" for each in options)
        mode = "on" if archives else "off"
        push = f"pgbackrest --stanza=main --pg1-path={copy} archive-push %p"
        server = f"-p {COPY_PORT} -c archive_mode={mode} -c archive_command='{push}'"
        self.run(
            f"rm -rf {copy} && install -d -m 700 {copy}"
            f" && pgbackrest --stanza=main --pg1-path={copy} restore {words}"
            f' && {BIN}/pg_ctl -D {copy} -o "{server}" -l {FOLDER}/copy.log -w start'
        )
        deadline = time.monotonic() + ARRIVES_SECONDS
        state = "SELECT NOT pg_is_in_recovery() OR pg_is_wal_replay_paused()"
        while self.sql(state, COPY_PORT) != "t":
            assert time.monotonic() < deadline, self.run(f"tail {FOLDER}/copy.log")
            time.sleep(0.5)


@contextmanager
def external_server() -> Iterator[ExternalServer]:
    """Run a server whose stanza exists and which has no backup yet."""
    debian_image.provide(IMAGE, release="trixie", packages=PACKAGES)
    name, port = f"pms-test-external-{uuid.uuid4().hex[:8]}", free_port()
    subprocess.run(
        [
            *("docker", "run", "--detach", "--name", name, "--label", f"{LABEL}=1"),
            *("--publish", f"127.0.0.1:{port}:5432", IMAGE, "bash", "-c", START),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    made = ExternalServer(name, port)
    try:
        deadline = time.monotonic() + ARRIVES_SECONDS
        while "ready" not in made.run("ls /", "root"):
            assert time.monotonic() < deadline
            time.sleep(0.5)
        made.run("pgbackrest --stanza=main stanza-create")
        yield made
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True)
