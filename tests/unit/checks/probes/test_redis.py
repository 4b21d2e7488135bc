# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Redis probe against a small server that speaks its protocol."""

from __future__ import annotations

import socketserver
import threading
from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, redis
from ansible.module_utils.pmsops.checks.probes.context import Context, Settings

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PASSWORD = "right-password"


def bulk(*texts):
    parts = [f"${len(text)}\r\n{text}\r\n" for text in texts]
    return parts[0] if len(parts) == 1 else f"*{len(parts)}\r\n" + "".join(parts)


ANSWERS = {
    "PING": "+PONG\r\n",
    "DBSIZE": ":7\r\n",
    "INFO": bulk("# Memory\r\nused_memory:1024\r\nrole:master\r\n"),
    "CONFIG GET": bulk("maxmemory", "67108864", "maxmemory-policy", "allkeys-lru"),
    "TYPE": "-ERR wrong number of arguments\r\n",
}


class Handler(socketserver.StreamRequestHandler):
    """Asks for a password, as a server with requirepass does."""

    def command(self):
        words = []
        for _ in range(int(self.rfile.readline()[1:])):
            size = int(self.rfile.readline()[1:])
            words.append(self.rfile.read(size + 2)[:-2].decode())
        return words

    def handle(self):
        known = False
        while True:
            try:
                words = self.command()
            except ValueError:
                return
            if words[0] == "AUTH":
                known = words[-1] == PASSWORD
                answer = "+OK\r\n" if known else "-WRONGPASS invalid username-password pair\r\n"
            elif words[0] == "CLIENT":
                answer = "+OK\r\n"
            elif not known:
                answer = "-NOAUTH Authentication required.\r\n"
            elif words[0] == "GET":
                self.server.silent.wait(5)
                return
            else:
                answer = ANSWERS.get(words[0], ANSWERS.get(" ".join(words[:2]), ":0\r\n"))
            self.wfile.write(answer.encode())


@pytest.fixture(scope="module")
def port():
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.silent = threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.silent.set()
    server.shutdown()
    server.server_close()


def ask(port, *command, password=PASSWORD, seconds=3.0, **params):
    address = {"host": "127.0.0.1", "port": port, "password": password}
    context = Context(Settings(now=NOW, redis=address))
    return redis.ask({"command": list(command), **params}, context, Deadline.after(seconds))


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (("PING",), "PONG"),
        (("DBSIZE",), 7),
        (
            ("CONFIG", "GET", "maxmemory*"),
            {"maxmemory": 67108864, "maxmemory-policy": "allkeys-lru"},
        ),
    ],
)
def test_replies_are_plain_data_with_numbers_as_numbers(port, command, reply):
    assert ask(port, *command) == {"reply": reply, "error": None}


def test_info_is_a_mapping(port):
    reply = ask(port, "INFO")["reply"]
    assert (reply["used_memory"], reply["role"]) == (1024, "master")


def test_a_server_with_a_password_refuses_who_has_none_and_that_is_an_answer(port):
    found = ask(port, "PING", auth=False)
    assert found["reply"] is None and found["error"].startswith("NOAUTH")


def test_a_wrong_password_is_told_from_a_missing_one(port):
    assert ask(port, "PING", password="wrong")["error"].startswith("WRONGPASS")


def test_an_error_of_the_server_is_an_answer_too(port):
    assert "wrong number" in ask(port, "TYPE")["error"]


def test_a_server_that_does_not_answer_in_time_fails(port):
    with pytest.raises(Failed, match=f"Redis at 127.0.0.1:{port} does not answer in time"):
        ask(port, "GET", "x", seconds=0.3)
