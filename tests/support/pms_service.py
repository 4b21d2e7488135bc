# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lab's data and its stand-in for the PMS, in containers of the lab's images."""

from __future__ import annotations

import secrets
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import docker
import psycopg2
import psycopg2.extras
import requests
from ansible.module_utils.pmsops.common import exchange_calendar

from tests.conftest import PROJECT
from tests.support.server import LABEL, Server, free_port

SQL = PROJECT / "roles/lab/files/sql"
API_IMAGE, REDIS_IMAGE = "pms-lab/api:1", "pms-lab/redis:8"
TODAY = datetime.now(ZoneInfo("America/Sao_Paulo")).date()
NEWEST = exchange_calendar.previous_business_day(TODAY)
SEEDED = exchange_calendar.previous_business_day(exchange_calendar.previous_business_day(NEWEST))
JWT_SECRET = "a secret of the tests, long enough for HS256"
TIMEOUT = 20
START_SECONDS = 90


@dataclass
class Data:
    """A database with the lab's schema and data."""

    server: Server
    name: str
    password: str

    def rows(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        """Run a statement as the owner of the database; return its rows."""
        connection = psycopg2.connect(
            host="127.0.0.1",
            port=self.server.port,
            dbname=self.name,
            user="macro_user",
            password=self.password,
            options="-c timezone=UTC",
            cursor_factory=psycopg2.extras.RealDictCursor,
        )
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql, parameters)
                return [dict(row) for row in cursor.fetchall()] if cursor.description else []
        finally:
            connection.close()

    def value(self, sql: str, *parameters: Any) -> Any:
        """Return the first column of the first row."""
        return next(iter(self.rows(sql, *parameters)[0].values()))

    def run(self, *files: str, **variables: str) -> None:
        """Run SQL files one after the other in one transaction, as the lab does."""
        text = "".join((SQL / each).read_text(encoding="utf-8") for each in files)
        options = [word for pair in variables.items() for word in ("-v", "=".join(pair))]
        done = subprocess.run(
            [
                *(self.server.psql_program, "-X", "-q", "-v", "ON_ERROR_STOP=1"),
                *("--single-transaction", "-d", self.name, *options),
            ],
            env=self.server.environment("macro_user", self.password),
            input=text,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""


@dataclass
class Api:
    """A stand-in PMS in its container."""

    container: Any
    url: str
    passwords: dict[str, str]

    def ask(
        self, method: str, path: str, body: Any = None, user: str | None = None, **more: Any
    ) -> requests.Response:
        """Send a request, as a user where one is named."""
        headers = {}
        if user:
            login = {"username": user, "password": self.passwords[user]}
            token = self.ask("POST", "/api/v1/auth/token", login).json()["access_token"]
            headers["Authorization"] = f"Bearer {token}"
        return requests.request(
            method, self.url + path, json=body, headers=headers, timeout=TIMEOUT, **more
        )

    def wait(self) -> None:
        """Wait until it answers; on a busy machine Python alone takes many seconds to start."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if requests.get(f"{self.url}/health", timeout=5).ok:
                    return
            except requests.RequestException:
                time.sleep(0.1)
        raise TimeoutError(self.container.logs(tail=20).decode())


@contextmanager
def stand_ins(data: Data) -> Iterator[Callable[..., Api]]:
    """Start stand-ins over the data, each by its environment; they go when the tests end."""
    engine = docker.from_env()
    started: list[Any] = []

    def run(image: str, command: list[str], **more: Any) -> Any:
        container = engine.containers.run(
            image,
            entrypoint=command,
            name=f"pms-test-{uuid.uuid4().hex[:8]}",
            labels={LABEL: "1"},
            network_mode="host",
            detach=True,
            **more,
        )
        started.append(container)
        return container

    redis_port = free_port()
    run(REDIS_IMAGE, ["redis-server", "--port", str(redis_port), "--bind", "127.0.0.1"])

    def api(**environment: str) -> Api:
        port = free_port()
        passwords = {
            user: secrets.token_urlsafe(12) for user in ("admin", "manager", "risk", "viewer")
        }
        settings = {
            "TZ": "America/Sao_Paulo",
            "PYTHONDONTWRITEBYTECODE": "1",
            "POSTGRES_HOST": "127.0.0.1",
            "POSTGRES_PORT": str(data.server.port),
            "POSTGRES_DB": data.name,
            "POSTGRES_PASSWORD": data.password,
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(redis_port),
            "JWT_SECRET_KEY": JWT_SECRET,
        } | {f"PMS_{user.upper()}_PASSWORD": password for user, password in passwords.items()}
        container = run(
            API_IMAGE,
            ["python3", "-m", "uvicorn", "main:app", "--port", str(port)],
            working_dir="/srv/pms",
            volumes={str(PROJECT / "roles/lab/files/pms"): {"bind": "/srv/pms", "mode": "ro"}},
            environment=settings | environment,
        )
        made = Api(container, f"http://127.0.0.1:{port}", passwords)
        made.wait()
        return made

    try:
        yield api
    finally:
        for container in started:
            container.remove(force=True, v=True)


def order(**changes: Any) -> dict[str, Any]:
    return {
        "instrument": "USDBRL",
        "asset_class": "FX",
        "direction": "LONG",
        "notional_brl": 10_000_000,
        "execution_price": 5.20,
        "manager_thesis": "a trade of the tests",
    } | changes


def opened(api: Api, **changes: Any) -> dict[str, Any]:
    answer = api.ask("POST", "/api/v1/pms/book/positions/open", order(**changes), "manager")
    assert answer.status_code == 201, answer.text
    return answer.json()


# --- the data -------------------------------------------------------------------------------------
