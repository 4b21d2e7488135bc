# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Web servers that answer, hang or drip, for the tests of webhooks."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "T0PSECRETADDRESS"


class Web:
    """A web server that answers as it is told, and keeps what it was sent."""

    def __init__(self, answer, certificate=None):
        self.got = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                web.got.append((self.path, dict(self.headers), json.loads(body) if body else None))
                answer(self)

            def do_GET(self):
                web.got.append((self.path, dict(self.headers), "GET"))
                answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_port}/{SECRET}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def answers(*statuses):
    """Answer with each status in turn, then with the last one."""
    left = list(statuses)

    def answer(handler):
        status = left.pop(0) if len(left) > 1 else left[0]
        handler.send_response(status)
        if 300 <= status < 400:
            handler.send_header("Location", "/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def hangs(handler):
    handler.server.stop = getattr(handler.server, "stop", threading.Event())
    handler.server.stop.wait(20)


def drips(handler):
    """Send a header that never ends, a byte at a time: every read succeeds."""
    with contextlib.suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(100):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.2)


def web_channel(url, kind="webhook", **more):
    return {"name": kind, "type": kind, "url": url, **more}
