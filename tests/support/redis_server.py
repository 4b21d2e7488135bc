# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stand-in for a Redis server: strings, their lives, and a password."""

from __future__ import annotations

import fnmatch
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Store:
    """The strings, the seconds that each lives (-1 for ever), and the password."""

    def __init__(self, password: str | None = None) -> None:
        self.password = password
        self.values: dict[str, str] = {}
        self.lives: dict[str, int] = {}
        self.clock = 1_800_000_000.0  # seconds since 1970, as TIME says them
        self.refuses_writes = False

    def answer(self, words: list[str], *, known: bool) -> Any:
        """Return the reply to a command; an exception is an error of the server."""
        name, *rest = words
        name = name.upper()
        if name == "AUTH":
            if self.password is None or rest[-1] == self.password:
                return "OK"
            return ValueError("WRONGPASS invalid username-password pair or user is disabled.")
        if name == "CLIENT":
            return "OK"
        if self.password and not known:
            return ValueError("NOAUTH Authentication required.")
        if name == "SCAN":
            pattern = rest[rest.index("MATCH") + 1]
            return [b"0", [key.encode() for key in self.values if fnmatch.fnmatch(key, pattern)]]
        if name == "GET":
            found = self.values.get(rest[0])
            return None if found is None else found.encode()
        if name == "TTL":
            return self.lives.get(rest[0], -1)
        if name == "PTTL":
            if rest[0] not in self.values:
                return -2
            lives = self.lives.get(rest[0], -1)
            return lives if lives < 0 else lives * 1000
        if name == "TIME":
            return [str(int(self.clock)).encode(), b"0"]
        if name == "EXISTS":
            return int(rest[0] in self.values)
        if name == "SET":
            if self.refuses_writes:
                return ValueError("MISCONF Redis is configured to save RDB snapshots.")
            if "NX" in rest and rest[0] in self.values:
                return None
            self.values[rest[0]] = rest[1]
            if "PX" in rest:
                self.lives[rest[0]] = int(rest[rest.index("PX") + 1]) // 1000
            if "EX" in rest:
                self.lives[rest[0]] = int(rest[rest.index("EX") + 1])
            return "OK"
        if name == "DEL":
            return sum(self.values.pop(key, None) is not None for key in rest)
        return ValueError(f"ERR unknown command {name}")


def encoded(reply: Any) -> bytes:
    """Return a reply in the second version of the protocol."""
    if isinstance(reply, ValueError):
        return f"-{reply}\r\n".encode()
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, str):
        return f"+{reply}\r\n".encode()
    if isinstance(reply, int):
        return f":{reply}\r\n".encode()
    if isinstance(reply, bytes):
        return b"$%d\r\n%s\r\n" % (len(reply), reply)
    return b"*%d\r\n" % len(reply) + b"".join(encoded(each) for each in reply)


@contextmanager
def redis_server(store: Store) -> Iterator[dict[str, Any]]:
    """Serve the store on a free port of loopback; give the module's option ``redis``."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            known = False
            while head := self.rfile.readline():
                words = []
                for _ in range(int(head[1:])):
                    size = int(self.rfile.readline()[1:])
                    words.append(self.rfile.read(size + 2)[:-2].decode())
                reply = store.answer(words, known=known)
                known = known or (words[0].upper() == "AUTH" and reply == "OK")
                self.wfile.write(encoded(reply))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield {
                "host": "127.0.0.1",
                "port": server.server_address[1],
                "password": store.password,
            }
        finally:
            server.shutdown()
            thread.join(timeout=5)
