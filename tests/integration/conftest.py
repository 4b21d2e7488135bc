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
from tests.support.pms_service import SEEDED, Api, Data, stand_ins
from tests.support.server import POSTGRESQL, Server, running_server

# pg_dumpall looks for pg_dump beside what it was called by (argv[0]): the wrappers.
COLLECT = r"""
set -e
rm -rf /tmp/pack && mkdir -p /tmp/pack/lib /tmp/pack/tools && cd /tmp/pack
for tool in pg_dump pg_dumpall pg_restore psql pg_amcheck; do
  cp /usr/lib/postgresql/*/bin/$tool tools/
  for each in $(ldd tools/$tool | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p'); do cp -Ln $each lib/; done
done
cp -L /lib64/ld-linux-*.so.* loader
tar -c lib tools loader
"""


@pytest.fixture(scope="session")
def images() -> None:
    """The lab's images; those whose recipe has not changed are kept."""
    build = PROJECT / "roles" / "lab" / "files" / "images" / "build.sh"
    cache = PROJECT / ".lab" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [build, cache, sys.executable, "built", str(POSTGRESQL)],
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
def host_tools(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's own client tools, made to run on this host: for access ``host``.

    They come out of the image with the libraries they need, loader included, so the host's own
    distribution does not matter.
    """
    root = tmp_path_factory.mktemp("tools")
    packed = subprocess.run(
        ["docker", "exec", server.container.name, "sh", "-c", COLLECT],
        capture_output=True,
        check=True,
        timeout=120,
    )
    subprocess.run(["tar", "-x", "-C", root], input=packed.stdout, check=True, timeout=120)
    folder = root / "bin"
    folder.mkdir()
    for tool in ("pg_dump", "pg_dumpall", "pg_restore", "psql", "pg_amcheck"):
        loader = f"{root}/loader --argv0 {folder}/{tool} --library-path {root}/lib"
        (folder / tool).write_text(f'#!/bin/sh\nexec {loader} {root}/tools/{tool} "$@"\n')
        (folder / tool).chmod(0o755)
    return folder


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    """An empty database, with TimescaleDB where the server has it, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:8]}"
    yield server.create(name)
    server.drop(name)


@pytest.fixture(scope="module")
def data(server: Server) -> Iterator[Data]:
    """The lab's data, up to two business days before the newest, then topped up."""
    made = Data(server, f"seeded_{uuid.uuid4().hex[:8]}", secrets.token_urlsafe(12))
    server.psql(f"ALTER ROLE macro_user PASSWORD '{made.password}'")
    server.create(made.name)
    made.run("schema.sql", "seed.sql", as_of=SEEDED.isoformat(), scale="0.1")
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
