# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Redis that takes connections and says nothing: redis-py's defaults ask it again and again."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import redis
from ansible.module_utils.pmsops.pms import redis_cache

SECONDS = 0.3


@pytest.fixture
def hung() -> Iterator[tuple[int, list[socket.socket]]]:
    """Give the port of a server that never answers, and the connections that it got."""
    got: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            while True:
                try:
                    got.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield server.getsockname()[1], got
        server.shutdown(socket.SHUT_RDWR)
    for each in got:
        each.close()


def test_one_client_makes_one_attempt_within_its_time_out(hung):
    port, connections = hung
    client = redis_cache.connect({"host": "127.0.0.1", "port": port}, seconds=SECONDS)
    began = time.monotonic()
    with pytest.raises(redis.TimeoutError):
        client.execute_command("GET", "pms:book")
    assert time.monotonic() - began < 4 * SECONDS
    assert len(connections) == 1


def test_a_swap_is_held_by_a_hung_redis_for_one_time_out(hung, monkeypatch):
    port, connections = hung
    monkeypatch.setattr(redis_cache.connect, "__kwdefaults__", {"seconds": SECONDS, "login": True})
    began = time.monotonic()
    forgotten = redis_cache.forget({"host": "127.0.0.1", "port": port, "password": "p"})
    assert forgotten.deleted == 0 and "was not cleared (TimeoutError)" in forgotten.problem
    assert time.monotonic() - began < 4 * SECONDS
    assert len(connections) == 1
