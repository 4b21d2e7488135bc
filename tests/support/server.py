# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real database server for the tests, from an image of the lab, thrown away afterwards.

LAB_POSTGRESQL sets its major version, as in the lab: 17 (the default) or 18 with TimescaleDB, or
15, 16 or 19 without it. Tests of the latter have a plain table for a hypertable.
"""

from __future__ import annotations

import os
import random
import re
import secrets
import select
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker
import psycopg2
import psycopg2.extensions
import pytest
from ansible.module_utils.pmsops.postgresql import timescaledb_workers
from ansible.module_utils.pmsops.postgresql.connection import Database

from tests.support import client_tools

POSTGRESQL = int(os.environ.get("LAB_POSTGRESQL") or 17)
HAS_TIMESCALEDB = POSTGRESQL in (17, 18)


def image_of(major: int) -> str:
    """Return the lab's image of a major version of PostgreSQL."""
    return f"pms-lab/{'timescaledb' if major in (17, 18) else 'postgresql'}:{major}"


IMAGE = image_of(POSTGRESQL)
needs_timescaledb = pytest.mark.skipif(
    not HAS_TIMESCALEDB, reason=f"Debian has no TimescaleDB for PostgreSQL {POSTGRESQL}"
)
# Makes the table md, with its column at, a hypertable of a chunk every 30 days.
HYPERTABLE = (
    "SELECT create_hypertable('md', 'at', chunk_time_interval => interval '30 days');"
    if HAS_TIMESCALEDB
    else ""
)
LABEL = "pms-ops.test"
LONGEST_SECONDS = 120
STARTS_SECONDS = 300
AS_TEXT = psycopg2.extensions.new_type(
    tuple(psycopg2.extensions.string_types), "AS_TEXT", lambda value, _cursor: value
)
# What makes of SQL more than a statement, or is psql's own, or outlasts the statement.
_MORE = re.compile(r"[;\\]|^\s*(?:SET|RESET|BEGIN|COPY|LISTEN|PREPARE|DISCARD)\b", re.IGNORECASE)
# initdb without an init script of the image.
START = r"""
set -e
install -d -o postgres -g postgres /var/run/postgresql
install -d -o postgres -g postgres -m 700 /var/lib/postgresql/test
as() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
bin=$(ls -d /usr/lib/postgresql/*/bin)
data=/var/lib/postgresql/test/data
if [ ! -s $data/PG_VERSION ]; then
  install -o postgres -m 600 /dev/null /tmp/password
  printf %s "$PASSWORD" >/tmp/password
  as $bin/initdb -k -D $data -U postgres --pwfile=/tmp/password \
    --auth-local=trust --auth-host=scram-sha-256 -E UTF8 --locale=C.UTF-8 >/dev/null
  echo 'host all all all scram-sha-256' >> $data/pg_hba.conf
fi
exec setpriv --reuid=postgres --regid=postgres --clear-groups $bin/postgres -D $data \
  -c listen_addresses='*' -c max_worker_processes=32 -c fsync=off -c max_connections=60 "$@"
"""
SETTINGS = [
    *("-c", "shared_preload_libraries=timescaledb"),
    *("-c", "timescaledb.license=apache"),
    *("-c", "timescaledb.telemetry_level=off"),
]
# Of the password: 4096, the server's own number, is most of what a client spends on a login.
QUICK_LOGIN = ["-c", "scram_iterations=1"]
# The same roles as docs/database-rights.sql makes.
ROLES = """
ALTER ROLE postgres PASSWORD '{password}';
CREATE ROLE macro_user LOGIN;
CREATE ROLE pms_restore NOLOGIN SUPERUSER;
CREATE ROLE pms_ops LOGIN NOSUPERUSER CREATEDB BYPASSRLS PASSWORD '{password}';
GRANT pg_read_all_data, pg_monitor, pg_signal_backend TO pms_ops;
GRANT macro_user TO pms_ops;
"""
# Since PostgreSQL 16 a membership has options.
MEMBER = "GRANT pms_restore TO pms_ops"
MEMBER_BY_SET_ROLE = f"{MEMBER} WITH INHERIT FALSE, SET TRUE"


def only_statement(sql: str) -> str | None:
    """Return the statement of *sql* if it is one that any client can run, else None."""
    statement = sql.strip().removesuffix(";")
    return None if _MORE.search(statement) else statement


def answers(session: psycopg2.extensions.connection) -> bool:
    """Tell whether a session without a transaction still has its server."""
    if session.closed:
        return False
    readable, _, _ = select.select([session], [], [], 0)
    return not readable  # what a server says unasked is that it ends the session


class Server:
    """The test server: its container, and SQL as its superuser."""

    def __init__(self, options: dict[str, Any], port: int, password: str) -> None:
        self._options = options
        self.container = docker.from_env().containers.run(**options)
        self.port = port
        self.password = password
        self.psql_program = client_tools.of_image(options["image"]) / "psql"
        self._has_template = False
        self._sessions = threading.local()

    def psql(self, sql: str, database: str = "postgres") -> str:
        """Run SQL as the superuser; return the output of ``psql -qAt``."""
        if statement := only_statement(sql):
            return self._ask(statement, database)
        # The psql of the host: to start one in the container takes ten times as long.
        done = subprocess.run(
            [self.psql_program, "-X", "-v", "ON_ERROR_STOP=1", "-qAt", "-d", database],
            env=self.environment("postgres", self.password),
            input=sql,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _ask(self, statement: str, database: str) -> str:
        """Run one statement without psql, which takes 10 ms of a processor to start.

        The session of database postgres stays, one for each thread: that saves 6 ms more.
        """
        stays = database == "postgres"
        session = getattr(self._sessions, "kept", None) if stays else None
        try:
            if session is None or not answers(session):
                session = self._connect(database)
            if stays:
                self._sessions.kept = session
            with session.cursor() as cursor:
                cursor.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
        except psycopg2.Error as exc:
            raise AssertionError(str(exc)) from exc
        finally:
            if session is not None and not stays:
                session.close()
        return "\n".join("|".join(each or "" for each in row) for row in rows).strip()

    def hang_up(self) -> None:
        """End the session that stays, where each connection to the server counts."""
        if session := getattr(self._sessions, "kept", None):
            session.close()
            self._sessions.kept = None

    def _connect(self, database: str) -> psycopg2.extensions.connection:
        """Open a session of the superuser in which each value is the text that psql prints."""
        session = psycopg2.connect(
            host="127.0.0.1",
            port=self.port,
            dbname=database,
            user="postgres",
            password=self.password,
            options=f"-c statement_timeout={LONGEST_SECONDS}s",
        )
        session.autocommit = True
        psycopg2.extensions.register_type(AS_TEXT, session)
        return session

    def environment(self, user: str, password: str) -> dict[str, str]:
        """Return the variables by which a client tool of the host reaches the server."""
        return {
            **{name: text for name, text in os.environ.items() if not name.startswith("PG")},
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": user,
            "PGPASSWORD": password,
        }

    def database(self, name: str) -> Database:
        """Return how the toolkit reaches a database of this server."""
        return Database(
            host="127.0.0.1",
            port=self.port,
            name=name,
            user="pms_ops",
            password=self.password,
            container=self.container.name,
        )

    def create(
        self, name: str, *, timescaledb: bool = HAS_TIMESCALEDB, template: str = "template0"
    ) -> Database:
        """Create a database that macro_user owns, and return how the toolkit reaches it."""
        quoted = '"' + name.replace('"', '""') + '"'
        if timescaledb and template == "template0":
            template = self._with_timescaledb()
        # On a disk in memory, copied files cost half of the time of copied pages.
        self.psql(
            f"CREATE DATABASE {quoted} OWNER macro_user TEMPLATE {template} STRATEGY FILE_COPY"
        )
        if timescaledb:  # as CREATE EXTENSION does
            self.psql("SELECT _timescaledb_functions.start_background_workers()", name)
        return self.database(name)

    def _with_timescaledb(self) -> str:
        """Return a database to copy: that takes a third of the time of CREATE EXTENSION."""
        name = "template_timescaledb"
        if not self._has_template:
            self.psql(
                f"CREATE DATABASE {name} TEMPLATE template0;\n"
                f"\\connect {name}\n"
                "CREATE EXTENSION timescaledb"
            )
            self.close(name)
            self._has_template = True
        return name

    def make_roles(self) -> None:
        """Make the roles of the PMS and of the toolkit."""
        self.psql(ROLES.format(password=self.password))
        version = int(self.psql("SHOW server_version_num"))
        self.psql(MEMBER_BY_SET_ROLE if version >= 160000 else MEMBER)

    def make_anew(self, *, with_volume: bool = True) -> None:
        """Put a new container in the place of this one, as ``docker compose up`` does.

        Without its volume the server is a new and empty one.
        """
        engine = docker.from_env()
        self.container.remove(force=True)
        if not with_volume:
            for name in self._options["volumes"]:
                engine.volumes.get(name).remove()
        self.container = engine.containers.run(**self._options)

    def close(self, name: str) -> None:
        """End the sessions of a database and let nobody in: it can be copied from then on."""
        # TimescaleDB's workers are sessions too.
        self.psql(
            f"ALTER DATABASE {name} ALLOW_CONNECTIONS false;"
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
        )

    def drop_subscriptions(self, name: str) -> None:
        """Drop the subscriptions of a database, which keep it from being dropped."""
        of_this = (
            "SELECT quote_ident(subname) FROM pg_subscription s"
            f" JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = '{name}'"
        )
        for each in self.psql(of_this).splitlines():
            self.psql(
                f"ALTER SUBSCRIPTION {each} DISABLE;"
                f"ALTER SUBSCRIPTION {each} SET (slot_name = NONE); DROP SUBSCRIPTION {each}",
                name,
            )

    def drop(self, name: str) -> None:
        """Drop a database with everybody in it."""
        quoted = '"' + name.replace('"', '""') + '"'
        self.psql(f"DROP DATABASE IF EXISTS {quoted} WITH (FORCE)")

    def wait(self) -> None:
        """Wait until the server takes connections over TCP: initdb waits for a processor, too."""
        deadline = time.monotonic() + STARTS_SECONDS
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    self.psql("SELECT 1")
                    return
            except (OSError, AssertionError, KeyError, TypeError, IndexError):
                time.sleep(0.1)
        raise TimeoutError(self.container.logs(tail=20).decode())


def free_port() -> int:
    """Return a free port below those that the kernel gives to clients and Docker to containers."""
    for port in random.sample(range(20000, 30000), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port")


@contextmanager
def running_server(
    *, in_memory: bool = True, volume: str | None = None, major: int = POSTGRESQL, **settings: str
) -> Iterator[Server]:
    """Run a database server; one in memory is quicker, but forgets everything when stopped.

    *volume* outlives the container. *settings*: those of postgresql.conf that the tests need
    otherwise.
    """
    image = image_of(major)
    password = secrets.token_urlsafe(18)
    port = free_port()
    options = {
        "image": image,
        "entrypoint": ["sh", "-c", START, "start"],
        "command": [
            *(SETTINGS if "timescaledb" in image else ()),
            *(QUICK_LOGIN if major >= 16 else ()),
            *(word for each in settings.items() for word in ("-c", "=".join(each))),
        ],
        "user": "root",
        "name": f"pms-test-{uuid.uuid4().hex[:8]}",
        "environment": {"PASSWORD": password},
        "ports": {"5432/tcp": ("127.0.0.1", port)},
        "labels": {LABEL: "1"},
        "tmpfs": {"/var/lib/postgresql/test": "size=3g"} if in_memory and not volume else {},
        "volumes": {volume: {"bind": "/var/lib/postgresql/test", "mode": "rw"}} if volume else {},
        "shm_size": "256m",
        "detach": True,
    }
    made = Server(options, port, password)
    try:
        made.wait()
        made.make_roles()
        yield made
    finally:
        made.container.remove(force=True, v=True)


def execute(database: Database, sql: str) -> None:
    """Run statements in a database as the toolkit's role."""
    connection = psycopg2.connect(
        host=database.host,
        port=database.port,
        dbname=database.name,
        user=database.user,
        password=database.password,
    )
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
    finally:
        connection.close()


def workers_run(database: Database) -> bool:
    """Tell whether TimescaleDB's scheduler runs in a database; true on a server without it."""
    return not HAS_TIMESCALEDB or timescaledb_workers.scheduler_seen(database)
