# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who connects to the database of a Compose project, and as which user to which database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from pmsops_cli.compose_roles import POOLERS
from pmsops_cli.compose_service import Service

# A variable whose whole value may be a host. In POSTGRES_USER=postgres it is none.
_OF_A_HOST = re.compile(r"HOST|SERVER|ADDR|URL|URI|DSN|CONN|ENDPOINT|SERVICE|NODE|UPSTREAM", re.I)
_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.:-]*)://(?:(?P<user>[^:@/\s]*)(?::(?P<password>[^\s]*))?@)?"
    r"(?P<host>\[[0-9a-f:]+\]|[^:/?#,\s\"'@]+)(?::(?P<port>\d+))?[^/\s\"'?]*"
    r"(?:/(?P<path>[^?#\s\"';]*))?",
    re.I,
)
_WORDS = re.compile(r"\b(?P<key>[a-z_ ]+?)\s*=\s*(?P<value>'[^']*'|[^\s;]+)", re.I)
# Images that only read, or are an administrator's tool: a restore does not stop them.
READERS = {
    *("exporter", "grafana", "prometheus", "pgadmin", "pgadmin4", "adminer", "pgweb", "backup"),
    *("backups", "metabase", "cloudbeaver"),
}


@dataclass(frozen=True)
class Connection:
    """A connection to the database, as a service's variables name it."""

    database: str | None = None
    user: str | None = None


@dataclass(frozen=True)
class Client:
    """A service that uses the database; *named* is whether its variables or words say so."""

    service: Service
    named: bool


def hosts(services: dict[str, Service], database: str, port: int | None) -> set[str]:
    """Return the names of the database and of the poolers in front: `host` or `host:port`."""
    server = services[database]
    found = set(server.hosts)
    places = [(place[0], place[1]) for place in server.published()]
    if server.network == "host" and port:
        places.append(("127.0.0.1", port))
    for address, number in places:
        # A container on the host's network, or one that goes over the host.
        found |= {
            f"{each}:{number}" for each in ("host.docker.internal", "172.17.0.1", "localhost")
        }
        found |= {f"127.0.0.1:{number}", f"{address}:{number}"}
    poolers = [each for each in services.values() if set(each.image) & POOLERS]
    for each in poolers:
        if mentions(each, found) or database in (each.raw.get("depends_on") or {}):
            found |= each.hosts
    return found


def clients(services: dict[str, Service], database: str, port: int | None) -> Iterator[Client]:
    """Yield the services that write to the database, or may."""
    known = hosts(services, database, port)
    jobs = {
        needed
        for each in services.values()
        for needed, how in (each.raw.get("depends_on") or {}).items()
        if (how or {}).get("condition") == "service_completed_successfully"
    }
    for name, each in services.items():
        pooler = bool(set(each.image) & POOLERS)
        # A job that others wait for is over when they run; to start it again would run it again.
        if name == database or name in jobs or (set(each.image) & READERS and not pooler):
            continue
        if mentions(each, known) or (pooler and each.name in known):
            yield Client(each, named=True)
        elif database in (each.raw.get("depends_on") or {}):
            yield Client(each, named=False)


def mentions(service: Service, known: set[str]) -> bool:
    """Tell whether a service's variables or command name one of these hosts."""
    values = [*service.environment.items(), *(("HOST", word) for word in service.words)]
    return any(_names(key, value, known, service) for key, value in values)


def _names(key: str, value: str, known: set[str], service: Service) -> bool:
    lowered = value.strip().lower()
    for each in known:
        text = re.escape(each)
        if lowered == each or re.fullmatch(rf"{text}:\d+", lowered):
            if _OF_A_HOST.search(key):
                return True
            continue
        if re.search(
            rf"(?:://|@|\bhost(?:addr|name)?\s*=\s*'?|\bserver\s*=\s*|,){text}(?![\w.-])", lowered
        ):
            return True
    # HOST and PORT in two variables, on the host's network.
    prefix = re.sub(r"(HOST|SERVER|ADDR)\w*$", "", key)
    port = service.environment.get(f"{prefix}PORT")
    return bool(port and prefix != key and f"{lowered}:{port}" in known)


def connection(service: Service, known: set[str]) -> Connection:
    """Return the database and the user that a service's variables name, of these hosts."""
    found = Connection()
    for key, value in service.environment.items():
        if not _names(key, value, known, service):
            continue
        url = _URL.search(value)
        if url and url["scheme"].rpartition(":")[2].split("+")[0] not in _DATABASE_SCHEMES:
            continue
        if url:
            more = dict(re.findall(r"[?&](user|dbname|database)=([^&\s]+)", value))
            found = _filled(
                found, url["path"] or more.get("dbname"), url["user"] or more.get("user")
            )
            continue
        words = {m["key"].strip().lower(): m["value"].strip("'") for m in _WORDS.finditer(value)}
        if words:
            database = words.get("dbname") or words.get("database") or words.get("initial catalog")
            user = words.get("user") or words.get("username") or words.get("user id")
            found = _filled(found, database, user)
            continue
        # POSTGRES_SERVER has POSTGRES_DB and POSTGRES_USER beside it.
        prefix = re.sub(r"_?(HOST|SERVER|ADDR|HOSTNAME|ENDPOINT)\w*$", "", key)
        found = _filled(
            found,
            _first(
                service, prefix, ("_DB", "DATABASE", "_DATABASE", "_DBNAME", "_NAME", "_DB_NAME")
            ),
            _first(service, prefix, ("_USER", "USER", "_USERNAME", "_DB_USER")),
        )
    return found


_DATABASE_SCHEMES = {
    *("postgres", "postgresql", "postgresql2", "psql", "timescaledb", "timescale"),
    *("asyncpg", "pgsql", "ecto"),
}


def _filled(before: Connection, database: str | None, user: str | None) -> Connection:
    return Connection(
        before.database or (unquote(database) if database else None),
        before.user or (unquote(user) if user else None),
    )


def _first(service: Service, prefix: str, endings: tuple[str, ...]) -> str | None:
    names = [prefix + each for each in endings]
    return next((service.environment[n] for n in names if service.environment.get(n)), None)
