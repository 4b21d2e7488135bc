# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stand-in for Grafana: the four API calls that the toolkit makes, and nothing else.

Each answer carries ``"standIn": true`` or the header ``X-Stand-In``: it is not Grafana.
GF_SECURITY_ADMIN_USER and GF_SECURITY_ADMIN_PASSWORD are who may ask; health is for everybody.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PORT = 3000
FOLDER = "Macro Trading"
DASHBOARDS = Path(__file__).resolve().parent / "dashboards"
UNAUTHORIZED = {"message": "Invalid username or password", "standIn": True}
NOT_FOUND = {"message": "Not found", "standIn": True}


def dashboards(folder: Path = DASHBOARDS) -> dict[str, dict[str, Any]]:
    """Return the provisioned dashboards by uid."""
    made = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json")))
    return {dashboard["uid"]: dashboard for dashboard in made}


def answer(
    path: str, authorization: str, known: dict[str, dict[str, Any]], login: str
) -> tuple[int, Any]:
    """Return status and body for a GET; *login* is ``user:password``."""
    url = urlsplit(path)
    if url.path == "/api/health":
        return 200, {"database": "ok", "version": "0.0.0-stand-in", "standIn": True}
    if not is_allowed(authorization, login):
        return 401, UNAUTHORIZED
    if url.path == "/api/search":
        wanted = parse_qs(url.query).get("type", ["dash-db"])
        return 200, [found(dashboard) for dashboard in known.values() if "dash-db" in wanted]
    if url.path == "/api/datasources":
        return 200, [data_source()]
    uid = url.path.removeprefix("/api/dashboards/uid/")
    if uid in known:
        meta = {"type": "db", "slug": uid, "provisioned": True, "folderTitle": FOLDER}
        return 200, {"meta": meta, "dashboard": known[uid], "standIn": True}
    return 404, NOT_FOUND


def found(dashboard: dict[str, Any]) -> dict[str, Any]:
    """Return a dashboard as a search shows it."""
    uid, title = dashboard["uid"], dashboard["title"]
    url = f"/d/{uid}/{uid}"
    return {
        "uid": uid,
        "title": title,
        "type": "dash-db",
        "url": url,
        "folderTitle": FOLDER,
        "standIn": True,
    }


def data_source() -> dict[str, Any]:
    """Return the one data source, with the uid that the panels ask for."""
    return {
        "id": 1,
        "uid": "timescaledb",
        "name": "TimescaleDB",
        "type": "postgres",
        "url": "timescaledb:5432",
        "database": os.environ.get("POSTGRES_DB", ""),
        "user": os.environ.get("POSTGRES_USER", ""),
        "isDefault": True,
        "standIn": True,
    }


def is_allowed(authorization: str, login: str) -> bool:
    """Tell whether a header of basic authentication carries the login."""
    wanted = "Basic " + base64.b64encode(login.encode()).decode()
    return hmac.compare_digest(authorization.encode(), wanted.encode())


class Handler(BaseHTTPRequestHandler):
    """Answers GET in JSON."""

    known: dict[str, dict[str, Any]]
    login: str

    def do_GET(self) -> None:
        """Answer one call."""
        header = self.headers.get("Authorization", "")
        status, body = answer(self.path, header, self.known, self.login)
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Stand-In", "true")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: object) -> None:
        """Stay silent: health checks would fill the log."""


def main() -> None:
    """Serve until told to stop."""
    Handler.known = dashboards()
    user = os.environ.get("GF_SECURITY_ADMIN_USER", "admin")
    Handler.login = f"{user}:{os.environ['GF_SECURITY_ADMIN_PASSWORD']}"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer((os.environ.get("GF_SERVER_HTTP_ADDR", ""), PORT), Handler).serve_forever()


if __name__ == "__main__":
    main()
