# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Redis probe against a small server that speaks its protocol."""

from __future__ import annotations

import socketserver
import threading
from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, Unanswerable, redis
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
                # Its user default is off, as where each client has a user of its own.
                known = words[-1] == PASSWORD and words[1] in self.server.users
                answer = "+OK\r\n" if known else "-WRONGPASS invalid username-password pair\r\n"
            elif words[0] == "CLIENT":
                answer = "+OK\r\n"
            elif not known:
                answer = "-NOAUTH Authentication required.\r\n"
            elif words[0] == "SELECT":
                answer = "+OK\r\n"
                self.server.selected.append(words[1])
            elif words[0] == "LASTSAVE":
                answer = "-NOPERM User ops has no permissions to run the 'lastsave' command\r\n"
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
    server.users, server.selected = {"default", "ops"}, []
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
    assert ask(port, *command) == {"reply": reply, "error": None, "accepted": True}


def test_info_is_a_mapping(port):
    reply = ask(port, "INFO")["reply"]
    assert (reply["used_memory"], reply["role"]) == (1024, "master")


def test_a_server_with_a_password_refuses_who_has_none_and_that_is_an_answer(port):
    found = ask(port, "PING", auth=False)
    assert found["reply"] is None and found["error"].startswith("NOAUTH")
    assert found["accepted"] is False


def test_a_wrong_password_is_told_from_a_missing_one(port):
    assert ask(port, "PING", password="wrong")["error"].startswith("WRONGPASS")


def test_an_error_of_the_server_is_an_answer_too(port):
    assert "wrong number" in ask(port, "TYPE")["error"]


def test_a_server_that_does_not_answer_in_time_fails(port):
    with pytest.raises(Failed, match=f"Redis at 127.0.0.1:{port} does not answer in time"):
        ask(port, "GET", "x", seconds=0.3)


@pytest.fixture
def acl(tmp_path):
    """A server on a socket with ACL users; the user default is off."""
    path = str(tmp_path / "redis.sock")
    server = socketserver.ThreadingUnixStreamServer(path, Handler)
    server.daemon_threads = True
    server.silent = threading.Event()
    server.users, server.selected = {"ops"}, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server, {"host": "", "socket": path, "password": PASSWORD, "username": "ops"}
    server.shutdown()
    server.server_close()


def of(options, *command, **params):
    context = Context(Settings(now=NOW, redis=options))
    return redis.ask({"command": list(command), **params}, context, Deadline.after(3))


def test_an_acl_user_on_a_socket_is_healthy_where_the_user_default_is_off(acl):
    _server, options = acl
    assert of(options, "PING") == {"reply": "PONG", "error": None, "accepted": True}
    assert of(options | {"username": None}, "PING")["error"].startswith("WRONGPASS")
    assert of(options, "PING", auth=False)["error"].startswith("NOAUTH")


def test_the_database_number_of_the_pms_is_asked(acl):
    server, options = acl
    of(options | {"db": 3}, "DBSIZE")
    assert server.selected == ["3"]


def test_a_right_that_the_user_lacks_is_unknown_and_named_and_no_fault_of_redis(acl):
    _server, options = acl
    with pytest.raises(
        Unanswerable, match=r"user ops may not run LASTSAVE: ACL SETUSER ops \+last"
    ):
        of(options, "LASTSAVE")


@pytest.mark.parametrize(("tls", "said"), [(True, "with TLS"), (False, "without TLS")])
def test_a_wrong_tls_setting_is_named(tls, said):
    server = socketserver.TCPServer(("127.0.0.1", 0), socketserver.StreamRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()  # closes what connects
    options = {"host": "127.0.0.1", "port": server.server_address[1], "tls": tls}
    with pytest.raises(Failed, match=f"asked {said}: pms_redis_tls"):
        of(options, "PING")
    server.shutdown()
    server.server_close()
