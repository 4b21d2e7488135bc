# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stand-in in front of a service: it passes everything on and alters the answers it is told to.

An altered answer says so in the header ``X-Stand-In``. What is behind it is a real service, or
answers of one that were recorded.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

# (method, path with query, headers, body) -> (status, content type, body)
Behind = Callable[[str, str, Mapping[str, str], bytes], tuple[int, str, bytes]]


@dataclass(frozen=True)
class Alter:
    """One answer to alter: where, and how. *change* gets and returns status and parsed body."""

    service: str
    path: str
    change: Callable[[int, Any], tuple[int, Any]]
    asked: str = ""  # a text that the request's body has to hold
    delay_seconds: float = 0.0


def body(change: Callable[[Any], Any]) -> Callable[[int, Any], tuple[int, Any]]:
    """Return a change of the body alone; *change* alters it in place or returns another."""

    def both(status: int, found: Any) -> tuple[int, Any]:
        other = change(found)
        return status, found if other is None else other

    return both


def status(number: int) -> Callable[[int, Any], tuple[int, Any]]:
    """Return a change of the status alone."""
    return lambda _status, found: (number, found)


@dataclass
class Service:
    """A stand-in that runs: its URL, and what it alters at the moment."""

    url: str
    rules: list[Alter] = field(default_factory=list)


def passing_on(url: str) -> Behind:
    """Return a real service as what is behind a stand-in."""

    def ask(
        method: str, path: str, headers: Mapping[str, str], content: bytes
    ) -> tuple[int, str, bytes]:
        kept = {name: value for name, value in headers.items() if name.lower() != "host"}
        found = requests.request(
            method, url + path, headers=kept, data=content, timeout=20, allow_redirects=False
        )
        return found.status_code, found.headers.get("Content-Type", ""), found.content

    return ask


@contextmanager
def standing_in(behind: Behind) -> Iterator[Service]:
    """Serve what is *behind* on a free port of loopback, altered where a test says so."""

    class Handler(BaseHTTPRequestHandler):
        def reply(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            code, kind, data = behind(self.command, self.path, dict(self.headers), content)
            rules = [
                rule
                for rule in service.rules
                if re.fullmatch(rule.path, self.path.partition("?")[0])
                and rule.asked.encode() in content
            ]
            for rule in rules:
                time.sleep(rule.delay_seconds)
                parsed = json.loads(data) if "json" in kind else data.decode()
                code, parsed = rule.change(code, parsed)
                data = (json.dumps(parsed) if "json" in kind else str(parsed)).encode()
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            if rules:
                self.send_header("X-Stand-In", "altered by a test")
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = reply

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service = Service(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
