# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the services of a Compose project are reached from the managed host."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pmsops_cli import compose_roles
from pmsops_cli.compose_roles import Question
from pmsops_cli.compose_service import Service

# The port that each listens at when nothing says another, as its program or its image has it.
DEFAULT = {"api": 8000, "dagster": 3000, "grafana": 3000, "database": 5432, "redis": 6379}
_FLAGS = {
    "api": ("--port", "--bind", "-b", "--http"),
    "dagster": ("--port", "-p"),
    "database": ("-p", "--port", "-c"),
}
_VARIABLES = {
    "api": ("UVICORN_PORT", "PORT"),
    "dagster": ("DAGSTER_WEBSERVER_PORT", "DAGIT_PORT"),
    "grafana": ("GF_SERVER_HTTP_PORT",),
    "database": ("PGPORT", "POSTGRESQL_PORT_NUMBER"),
}
_LOCAL_URL = re.compile(r"(https?)://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\]):(\d+)")


@dataclass(frozen=True)
class Place:
    """An address of the managed host, and a port of it."""

    host: str
    port: int

    def url(self, scheme: str, path: str) -> str:
        """Return it as a URL without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        path = path.strip("/")
        return f"{scheme}://{host}:{self.port}" + (f"/{path}" if path else "")


def listening(role: str, service: Service) -> int | None:
    """Return the port inside that a service is told to listen at, None where nothing says it."""
    at = compose_roles.program(role, service)
    words = service.words[at + 1 if at is not None else 0 :]
    for word, later in zip(words, [*words[1:], ""], strict=False):
        flag, equals, value = word.partition("=")
        if flag not in _FLAGS.get(role, ()):
            continue
        value = value if equals else later
        if flag == "-c":
            value = value.removeprefix("port=") if value.startswith("port=") else ""
        value = (service.expanded(value) or "").rpartition(":")[2]
        if value.isdigit():
            return int(value)
    for name in _VARIABLES.get(role, ()):
        if service.environment.get(name, "").isdigit():
            return int(service.environment[name])
    test = (service.raw.get("healthcheck") or {}).get("test") or []
    match = _LOCAL_URL.search(" ".join(test) if isinstance(test, list) else str(test))
    return int(match[2]) if match else None


def place(
    role: str, service: Service, services: dict[str, Service], port: int | None
) -> Place | Question | None:
    """Return where a service is reached, None where it is not, or what only a person knows.

    :param port: the port inside, where somebody said it.
    """
    told = port or listening(role, service)
    inside = told or DEFAULT[role]
    if service.network == "host":
        return Place("127.0.0.1", inside)
    publisher = service
    if service.network.startswith("service:"):
        # It shares the network of another service, which publishes its ports.
        publisher = services.get(service.network.partition(":")[2], service)
    for address, number, _ in publisher.published(inside):
        return Place(address, number)
    others = publisher.published()
    if told or not others or role in ("database", "redis"):
        return None
    if len(others) == 1 and publisher is service:
        return Place(*others[0][:2])
    listed = sorted({each[2] for each in others})
    return Question(
        f"{service.name} publishes the ports {', '.join(map(str, listed))}: which is the {role}'s?",
        tuple(f"--port {role}={each}" for each in listed),
    )


def advice(role: str, service: Service, services: dict[str, Service], port: int | None) -> str:
    """Return how a service that is not reached can be, within what Compose allows."""
    inside = port or listening(role, service) or DEFAULT[role]
    target = service.name
    if service.network.startswith("service:"):
        target = service.network.partition(":")[2]
    elif service.network:
        return f"its network_mode is {service.network}, with which Compose publishes no ports"
    ports = service.raw.get("ports") or []
    if any(each.get("target") == inside and not each.get("published") for each in ports):
        return (
            f"its port {inside} is published at a port by chance: give it a fixed one,"
            f' "127.0.0.1:{_free(inside, services)}:{inside}"'
        )
    return f'add ports: ["127.0.0.1:{_free(inside, services)}:{inside}"] to {target}'


def _free(wanted: int, services: dict[str, Service]) -> int:
    """Return the first port from *wanted* on that no service publishes."""
    taken = {each[1] for service in services.values() for each in service.published()}
    while wanted in taken:
        wanted += 1
    return wanted


def url(role: str, service: Service, where: Place) -> str:
    """Return the URL of a service, with its scheme and the path that it is served below."""
    environment, words = service.environment, service.words
    scheme, path = "http", ""
    if role == "dagster":
        path = _flag(words, "--path-prefix") or environment.get("DAGSTER_WEBSERVER_PATH_PREFIX", "")
    if role == "grafana":
        scheme = "https" if environment.get("GF_SERVER_PROTOCOL") in ("https", "h2") else "http"
        if environment.get("GF_SERVER_SERVE_FROM_SUB_PATH", "").lower() == "true":
            root = environment.get("GF_SERVER_ROOT_URL", "")
            path = re.sub(r"^(%\(\w+\)s|[a-z]+)://[^/]*", "", root)
    if role == "api" and (_flag(words, "--ssl-keyfile") or _flag(words, "--certfile")):
        scheme = "https"
    return where.url(scheme, path)


def _flag(words: list[str], flag: str) -> str:
    for word, later in zip(words, [*words[1:], ""], strict=False):
        name, equals, value = word.partition("=")
        if name == flag:
            return value if equals else later
    return ""
