# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The test server, the lab's images and the stand-in PMS as fixtures."""

from __future__ import annotations

import secrets
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.postgresql.connection import Database

from tests.conftest import PROJECT
from tests.support import client_tools, postgresql_16
from tests.support.pms_service import SEEDED, Api, Data, stand_ins
from tests.support.server import IMAGE, POSTGRESQL, Server, running_server


@pytest.fixture(scope="session")
def often(pytestconfig: pytest.Config) -> int:
    """How often to try what has to hold each time: three times, twenty in `make test-all`."""
    return 20 if pytestconfig.getoption("--all") else 3


@pytest.fixture(scope="session")
def images() -> None:
    """The lab's images; those whose recipe has not changed are kept."""
    build = PROJECT / "roles" / "lab" / "files" / "images" / "build.sh"
    cache = PROJECT / ".lab" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    if POSTGRESQL == 16:
        postgresql_16.provide(PROJECT / ".cache")
    built = 17 if POSTGRESQL == 16 else POSTGRESQL
    done = subprocess.run(
        [build, cache, sys.executable, "built", str(built)],
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.fixture(scope="session")
def server(images: None) -> Iterator[Server]:
    """A server with the toolkit's roles and no database of its own."""
    with running_server() as made:
        yield made


@pytest.fixture(scope="session")
def host_tools(images: None) -> Path:
    """The server's own client tools, made to run on this host: for access ``host``."""
    return client_tools.of_image(IMAGE)


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    """An empty database, with TimescaleDB where the server has it, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:8]}"
    yield server.create(name)
    server.drop(name)


@pytest.fixture(scope="session")
def seeded(server: Server) -> str:
    """A database to copy: the lab's data, up to two business days before the newest."""
    made = Data(server, f"seeded_{uuid.uuid4().hex[:8]}", secrets.token_urlsafe(12))
    server.psql(f"ALTER ROLE macro_user PASSWORD '{made.password}'")
    server.create(made.name)
    made.run("schema.sql", "seed.sql", as_of=SEEDED.isoformat(), scale="0.1")
    server.close(made.name)
    return made.name


@pytest.fixture(scope="module")
def data(server: Server, seeded: str) -> Iterator[Data]:
    """The lab's data, up to two business days before the newest; a module's own copy."""
    made = Data(server, f"data_{uuid.uuid4().hex[:8]}", secrets.token_urlsafe(12))
    server.psql(f"ALTER ROLE macro_user PASSWORD '{made.password}'")
    server.create(made.name, template=seeded)
    yield made
    server.drop(made.name)


@pytest.fixture(scope="module")
def start(data: Data) -> Iterator[Callable[..., Api]]:
    """Start stand-ins over the data; they go when the tests end."""
    with stand_ins(data) as api:
        yield api


@pytest.fixture(scope="module")
def api(start: Callable[..., Api], data: Data) -> Api:
    """A stand-in as its documents promise."""
    return start()
