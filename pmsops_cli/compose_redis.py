# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a Redis of a Compose project is reached: port, password, user, as its configuration says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from pmsops_cli.compose_service import Service

PORT = 6379
MAX_INCLUDES = 5
_CLIENT = re.compile(
    r"(?:redis|rediss|valkey)://(?P<user>[^:@/\s]*)(?::(?P<password>[^@\s]*))?@(?P<host>[^:/?\s]+)",
    re.I,
)
_NUMBER = re.compile(
    r"(?:redis|rediss|valkey)://(?:[^@\s]*@)?(?P<host>[^:/?\s]+)(?::\d+)?/(?P<db>\d+)", re.I
)


@dataclass
class Found:
    """What is known of a Redis; *reasons* is why the password is not."""

    port: int = PORT
    password: str | None = field(default=None, repr=False)
    user: str | None = None
    tls: bool = False
    reasons: list[str] = field(default_factory=list)


def look(service: Service, services: dict[str, Service]) -> Found:
    """Return the port and the password of a Redis, or why it is not known."""
    found = Found()
    for name, values in _settings(service, found):
        _apply(found, name, values, service)
    environment = service.environment
    for name in ("REDIS_PASSWORD", "VALKEY_PASSWORD", "KEYDB_PASSWORD"):
        # Read by the images that have no requirepass in their command, and by shells.
        if not found.password and not found.reasons and environment.get(name):
            found.password = environment[name]
        if not found.password and name in service.unread:
            found.reasons.append(f"it is in {service.unread[name]}, which cannot be read from here")
    if not found.password:
        _from_clients(found, service, services)
    return found


def number(api: Service | None, service: Service) -> int:
    """Return the number of the database that the PMS's own service uses, as its variables say."""
    if api is None:
        return 0
    if api.environment.get("REDIS_DB", "").isdigit():
        return int(api.environment["REDIS_DB"])
    for value in api.environment.values():
        match = _NUMBER.search(value)
        if match and match["host"].lower() in service.hosts:
            return int(match["db"])
    return 0


def _settings(service: Service, found: Found) -> Iterator[tuple[str, list[str]]]:
    """Yield the settings of configuration files and of the command, later ones over earlier."""
    words = service.words + service.environment.get("REDIS_ARGS", "").split()
    for word in words:
        if word.startswith("/") and word.endswith(".conf"):
            yield from _of_file(service, found, word, MAX_INCLUDES)
    for at, word in enumerate(words):
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            values = [value] if equals else []
            for later in words[at + 1 :]:
                if later.startswith("--"):
                    break
                values.append(later)
            yield name.lower(), values


def _of_file(
    service: Service, found: Found, path: str, depth: int
) -> Iterator[tuple[str, list[str]]]:
    text = service.file(path)
    if text is None:
        found.reasons.append(f"its configuration is {path}, which cannot be read from here")
        return
    for line in text.splitlines():
        words = [word.strip("\"'") for word in line.split()]
        if not words or words[0].startswith("#"):
            continue
        if words[0].lower() == "include" and len(words) > 1 and depth:
            yield from _of_file(service, found, words[1], depth - 1)
        else:
            yield words[0].lower(), words[1:]


def _apply(found: Found, name: str, values: list[str], service: Service) -> None:
    if not values:
        return
    if name == "requirepass":
        _set_password(found, service.expanded(values[0]))
    elif name == "port" and values[0].isdigit():
        found.port = int(values[0]) or found.port
    elif name == "tls-port" and values[0].isdigit() and int(values[0]):
        found.tls, found.port = True, int(values[0])
    elif name == "aclfile":
        text = service.file(values[0])
        if text is None:
            found.reasons.append(f"its users are in {values[0]}, which cannot be read from here")
        for line in (text or "").splitlines():
            words = line.split()
            if words[:1] == ["user"]:
                _user(found, words[1:], service)
    elif name == "user":
        _user(found, " ".join(values).split(), service)


def _user(found: Found, words: list[str], service: Service) -> None:
    """Take the password of an ACL user; the default one goes before others."""
    name, rules = words[0], words[1:]
    password = next((rule[1:] for rule in rules if rule.startswith(">")), None)
    if name == "default" and "off" in rules:
        return
    if password is None:
        if any(rule.startswith("#") for rule in rules):
            found.reasons.append(f"only a hash of the password of user {name} is there")
        return
    if name == "default" or not found.password:
        _set_password(found, service.expanded(password))
        found.user = None if name == "default" else name


def _set_password(found: Found, value: str | None) -> None:
    if value is None:
        found.reasons.append("a shell in the container computes it")
    else:
        found.password, found.reasons = value.strip("\"'"), []


def _from_clients(found: Found, service: Service, services: dict[str, Service]) -> None:
    """Take the password that a client of this Redis uses."""
    for each in services.values():
        for value in each.environment.values():
            match = _CLIENT.search(value)
            if match and match["host"].lower() in service.hosts and match["password"]:
                found.password, found.reasons = unquote(match["password"]), []
                found.user = unquote(match["user"]) or None
                return
    for each in services.values():
        names = {
            value.lower()
            for key, value in each.environment.items()
            if key.endswith(("HOST", "SERVER"))
        }
        if each.environment.get("REDIS_PASSWORD") and names & service.hosts:
            found.password, found.reasons = each.environment["REDIS_PASSWORD"], []
            return
