# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The context of a worker's probes: the settings, and connections that are opened once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.pmsops.checks.probes import (
    Deadline,
    Failed,
    NotGiven,
    Overdue,
    Unanswerable,
)
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pms import redis_cache
from ansible.module_utils.pmsops.services import docker_engine

if TYPE_CHECKING:
    from ansible.module_utils.pmsops.postgresql.connection import Database


@dataclass(frozen=True)
class Settings:
    """The system under test. Secrets are in here: it is never shown, logged or returned."""

    now: datetime
    database: dict[str, Any] = field(default_factory=dict, repr=False)
    redis: dict[str, Any] = field(default_factory=dict, repr=False)
    api: dict[str, Any] = field(default_factory=dict, repr=False)
    grafana: dict[str, Any] = field(default_factory=dict, repr=False)
    dagster_url: str = ""
    compose_project: str = ""
    app_dir: str = ""
    backup_root: str = ""
    evidence_root: str = ""
    # The module's option services: manager, Compose project, and the service of each part
    services: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict, repr=False)

    def secrets(self) -> set[str]:
        """Return every text that must not be shown."""
        found = (
            settings.get("password")
            for settings in (self.database, self.redis, self.api, self.grafana)
        )
        return {text for text in found if text}

    def unused_libraries(self, asked: Iterable[Any] = ()) -> set[str]:
        """Return the libraries of parts that are not there: their probes end before they need one.

        Docker's library takes 0.3 s of a processor, the one of HTTP alone 0.2. *asked* are the URLs
        of the checks: one that is no path of a part is of somebody else.
        """
        parts = (self.api.get("url"), self.dagster_url, self.grafana.get("url"))
        urls = chain.from_iterable([each] if isinstance(each, str) else each for each in asked)
        others = [url for url in urls if not str(url).startswith("/")]
        found: set[str] = set() if any(parts) or others else {"requests"}
        managed = self.services.get("manager") in ("systemd", "none")
        if managed and self.database.get("access") == "host":
            found.add("docker")
        return found

    def named(self) -> dict[str, Any]:
        """Return the names that a checklist may use for the system; no secret among them."""

        def shown(options: dict[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in options.items() if name != "password"}

        return {
            "database": shown(self.database),
            "redis": shown(self.redis),
            "api": shown(self.api),
            "grafana": shown(self.grafana),
            "dagster_url": self.dagster_url,
            "compose_project": self.compose_project,
            "app_dir": self.app_dir,
            "app_python": _python_of(self.app_dir),
            "backup_root": self.backup_root,
            "evidence_root": self.evidence_root,
        }


def _python_of(folder: str) -> str:
    """Return the Python of a checkout of the PMS: its own, which has its libraries."""
    for name in (".venv", "venv"):
        program = Path(folder, name, "bin", "python")
        if folder and program.exists():
            return str(program)
    return "python3"


@dataclass
class Context:
    """One worker's settings and open connections."""

    settings: Settings
    shared: dict[str, Any] = field(default_factory=dict)
    _opened: dict[Any, Any] = field(default_factory=dict)

    def connection(self, name: str | None, deadline: Deadline) -> Any:
        """Return the read-only connection to a database; opened at first use.

        :raises Failed: when the database cannot be reached.
        """
        database = self.database()
        key = ("sql", name or database.name)
        found = self._opened.get(key)
        if found is None or found.closed:
            found = self._opened[key] = _connect(database, name or database.name, deadline)
        return found

    def database(self) -> Database:
        """Return the address of the database.

        :raises Unanswerable: when none was given.
        """
        from ansible.module_utils.pmsops.postgresql.connection import Database

        if not self.settings.database.get("name"):
            raise NotGiven("no database was given")
        return Database.from_options(self.settings.database)

    def drop_connection(self, name: str | None) -> None:
        """Close a connection that can no longer be used."""
        found = self._opened.pop(("sql", name or self.database().name), None)
        if found is not None:
            with suppress(Exception):
                found.close()

    def http(self) -> Any:
        """Return the HTTP session."""
        if "http" not in self._opened:
            import requests

            session = requests.Session()
            session.trust_env = False
            session.headers["User-Agent"] = "pms-ops"
            self._opened["http"] = session
        return self._opened["http"]

    def base_url(self, name: str) -> str:
        """Return the base URL of a service.

        :raises Unanswerable: when it was not given.
        """
        url = {
            "api": self.settings.api.get("url"),
            "dagster": self.settings.dagster_url,
            "grafana": self.settings.grafana.get("url"),
        }.get(name)
        if not url:
            raise NotGiven(f"no URL of {name} was given")
        return str(url).rstrip("/")

    def redis(self, *, auth: bool, deadline: Deadline) -> Any:
        """Return a Redis connection, with the password or without it.

        :raises Unanswerable: when no server was given.
        """
        settings = self.settings.redis
        if not redis_cache.configured(settings):
            raise NotGiven("no Redis server was given")
        key = ("redis", auth)
        if key not in self._opened:
            self._opened[key] = redis_cache.connect(settings, seconds=deadline.left(), login=auth)
        return self._opened[key]

    def docker(self, deadline: Deadline) -> Any:
        """Return the Docker client.

        :raises Unanswerable: when the engine does not answer.
        """
        if "docker" not in self._opened:
            import docker

            if why := docker_engine.not_forwarded():
                raise Unanswerable(f"the Docker Engine is not reached by ssh: {why}")
            try:
                self._opened["docker"] = docker.DockerClient.from_env(
                    timeout=math.ceil(deadline.left())
                )
            except docker.errors.DockerException as exc:
                if "timed out" in str(exc).lower():
                    raise Overdue("Docker does not answer in time") from exc
                raise Unanswerable(f"Docker does not answer: {one_line(exc)}") from exc
        client = self._opened["docker"]
        client.api.timeout = deadline.left()
        return client

    def folder(self, name: str) -> Path:
        """Return a folder of the settings.

        :raises Unanswerable: when it was not given.
        """
        path = getattr(self.settings, name)
        if not path:
            raise Unanswerable(f"{name} was not given")
        return Path(path)


def _connect(database: Database, name: str, deadline: Deadline) -> Any:
    try:
        connection = database.connect(name=name, read_only=True)
    except OpsError as exc:
        if exc.code == "database.timeout" or "timeout expired" in str(exc):
            raise Overdue(str(exc)) from exc
        raise Failed(str(exc)) from exc
    # A query that ended its transaction would otherwise find itself in one that may write.
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    connection.commit()
    return connection


def one_line(exc: BaseException | str) -> str:
    """Return the text of an error on one line, cut where it is long."""
    if isinstance(exc, OSError) and exc.filename and exc.strerror:
        exc = f"{exc.filename}: {exc.strerror}"
    text = " ".join(str(exc).split()) or type(exc).__name__
    return text if len(text) <= 300 else text[:299] + "…"
