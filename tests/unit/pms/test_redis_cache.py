# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one client of Redis: what a server costs that accepts connections and never answers."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Thread

import pytest
import redis
from ansible.module_utils.pmsops.pms import redis_cache


@pytest.fixture
def silent():
    """A server that takes connections and says nothing: its port, and what it has taken."""
    taken = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take():
            with suppress(OSError):
                while True:
                    taken.append(server.accept()[0])

        thread = Thread(target=take)
        thread.start()
        yield server.getsockname()[1], taken
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    for each in taken:
        each.close()


@pytest.mark.parametrize("password", ["", "a password"])
def test_a_redis_that_hangs_is_tried_once(silent, password):
    port, taken = silent
    options = {"host": "127.0.0.1", "port": port, "password": password}
    with redis_cache.connect(options, seconds=0.05) as client, pytest.raises(redis.TimeoutError):
        client.execute_command("PING")
    assert len(taken) == 1
