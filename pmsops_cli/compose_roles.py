# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which service of a Compose project has which role; what a file only suggests is a question."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from pmsops_cli.compose_service import Service
from pmsops_cli.exit_status import Stop

ROLES = ("database", "redis", "grafana", "daemon", "dagster", "api")
NEEDED = ("database",)
# Words of an image's name that say what it is.
IMAGES = {
    "database": {"postgres", "postgresql", "timescaledb", "timescale", "postgis", "pgvector"},
    "redis": {"redis", "valkey", "keydb", "dragonfly"},
    "grafana": {"grafana"},
}
# Words that say that an image belongs to a database or to Redis, and is neither.
HELPERS = {
    *("exporter", "admin", "pgadmin", "pgadmin4", "adminer", "pgweb", "ui", "web", "browser"),
    *("bouncer", "pgbouncer", "pgcat", "pgpool", "odyssey", "proxy", "supavisor", "pooler"),
    *("backup", "backups", "dump", "restore", "init", "migrate", "migrations", "tune", "tools"),
    *("commander", "insight", "redisinsight", "sentinel", "renderer", "operator", "client"),
    *("metrics", "monitor", "agent", "mcp", "sync", "job", "cron"),
}
POOLERS = {"pgbouncer", "bouncer", "pgcat", "pgpool", "odyssey", "supavisor", "pooler"}
# The programs that a command starts, by role.
PROGRAMS = {
    "database": ("postgres",),
    "redis": ("redis-server", "valkey-server", "keydb-server", "dragonfly"),
    "daemon": ("dagster-daemon", "dagster._daemon"),
    "dagster": ("dagster-webserver", "dagster_webserver", "dagit"),
    "api": ("uvicorn", "gunicorn", "hypercorn", "fastapi", "granian", "daphne"),
}
# What only suggests a role: a word of the service's name, a port inside.
NAMES = {
    "database": {"db", "database", "postgres", "postgresql", "timescale", "timescaledb"},
    "redis": {"redis", "valkey", "cache"},
    "grafana": {"grafana"},
    "daemon": {"daemon"},
    "dagster": {"dagster", "dagit"},
    "api": {"api", "backend"},
}
PORTS = {"database": 5432, "redis": 6379, "api": 8000}
DATA = re.compile(
    r"/var/lib/postgresql(/.*)?|/home/postgres/pgdata(/.*)?|/bitnami/postgresql(/.*)?"
)


@dataclass(frozen=True)
class Question:
    """What only a person can say: the words, and an argument of `init` that answers them."""

    words: str
    answers: tuple[str, ...]


def find(
    services: dict[str, Service], given: dict[str, str]
) -> tuple[dict[str, str], list[Question]]:
    """Return the service of each role, and what has to be asked.

    :param given: services by role, as `--service` names them; an empty name: there is none.
    :raises Stop: where a given role or service does not exist, or no service can be the database.
    """
    for role, name in given.items():
        if role not in ROLES:
            raise Stop(f"There is no role {role}.", f"Roles: {', '.join(ROLES)}.")
        if name and name not in services:
            raise Stop(f"There is no service {name}.", f"Services: {', '.join(services)}.")
    found = {role: name for role, name in given.items() if name}
    questions = []
    for role in ROLES:
        if role in given:
            continue
        certain = [each.name for each in services.values() if is_certainly(role, each)]
        free = [name for name in certain if name not in given.values()] or certain
        if len(free) == 1:
            found[role] = free[0]
            continue
        taken = {*found.values(), *_certain_of_others(services, role)}
        maybe = free or [
            name for name, each in services.items() if name not in taken and _suggests(role, each)
        ]
        if maybe:
            questions.append(_question(role, maybe))
        elif role in NEEDED:
            raise Stop(
                f"None of the services is the {role}: {', '.join(services) or 'there is none'}.",
                f"Say which: --service {role}=NAME",
            )
    return found, questions


def _question(role: str, maybe: list[str]) -> Question:
    answers = [f"--service {role}={shlex.quote(name)}" for name in maybe]
    if role not in NEEDED:
        answers.append(f"--service {role}=")
    if len(maybe) > 1:
        return Question(f"Several services may be the {role}: {', '.join(maybe)}.", tuple(answers))
    return Question(f"Is {maybe[0]} the {role}? The file only suggests it.", tuple(answers))


def _certain_of_others(services: dict[str, Service], role: str) -> set[str]:
    return {
        name
        for name, each in services.items()
        if any(other != role and is_certainly(other, each) for other in ROLES)
    }


def is_certainly(role: str, service: Service) -> bool:
    """Tell whether a service's image, program or folders say that it has a role."""
    words = set(service.image)
    if role in IMAGES and words & IMAGES[role] and not words & HELPERS:
        return True
    if words & (HELPERS - {"web", "client", "job", "init", "ui"}):
        return False
    if role == "database" and any(
        DATA.fullmatch(each.get("target") or "") and not each.get("read_only")
        for each in service.raw.get("volumes") or []
    ):
        # A backup job mounts the folder, too; a server is told the password of its first user.
        return any(re.match(r"POSTGRES(QL)?_(PASSWORD|HOST_AUTH)", k) for k in service.environment)
    return runs(role, service)


def runs(role: str, service: Service) -> bool:
    """Tell whether a service's command starts the program of a role."""
    return program(role, service) is not None


def program(role: str, service: Service) -> int | None:
    """Return where among the words of the command the program of a role stands."""
    before = ""
    for at, word in enumerate(service.words):
        name = word.rpartition("/")[2].removesuffix(".py")  # a wrapper of the program's name
        named = name in PROGRAMS.get(role, ())
        if role in ("database", "redis"):
            # Only as the program: in `wait-for postgres` it is a host.
            named = named and (not at or before[:1] == "-" or before in _STARTERS)
        # One process for both, on a small installation.
        both = role in ("dagster", "daemon") and (before, name) == ("dagster", "dev")
        if named or both:
            return at
        before = "&&" if name.endswith((";", "&&")) else name
    return None


_STARTERS = {"docker-entrypoint.sh", "entrypoint.sh", "exec", "tini", "gosu", "su-exec", "--", "&&"}


def _suggests(role: str, service: Service) -> bool:
    if set(service.image) & HELPERS:
        return False
    words = set(re.split(r"[-_.]", service.name.lower()))
    if role == "dagster" and words & {"daemon", "code", "user"}:
        return False
    if role == "daemon" and "dagster" not in words:
        return False
    if words & NAMES[role] and not words & HELPERS:
        return True
    exposed = {each.get("target") for each in service.raw.get("ports") or []}
    exposed |= {int(e) for e in map(str, service.raw.get("expose") or []) if e.isdigit()}
    return PORTS.get(role) in exposed
