# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""From services to the variables of an inventory, and to the secrets of its vault."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pmsops_cli import compose

# What a connection to the database looks like in the environment of a service that writes to it.
DATABASE_VARIABLES = re.compile(r"(POSTGRES|PG|DB|DATABASE)_?(HOST|URL|DSN)|SQLALCHEMY\w*")
# The names of services that the Compose file lacks; the checklist then says that they are missing.
SERVICES = {
    "database": "timescaledb",
    "redis": "redis",
    "api": "api",
    "dagster": "dagster-webserver",
    "daemon": "dagster-daemon",
    "grafana": "grafana",
}
# The ports that each listens at in its container, as the PMS ships them.
INSIDE = {"api": 8000, "dagster": 3001, "grafana": 3000}
# Where the toolkit connects while the PMS's database is renamed; it cannot be that one.
MAINTENANCE_NAME = "postgres"
READERS = ("database", "redis", "grafana")


@dataclass
class Description:
    """What was found: plain values, secrets, and what a person should know of it."""

    roles: dict[str, str]
    owner: str
    values: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    notes: list[str] = field(default_factory=list)


def describe(document: dict[str, Any], roles: dict[str, str], folder: Path) -> Description:
    """Return the system that a Compose file describes; *folder* is where the file is."""
    services = document["services"]
    environment = {
        role: {key: str(v) for key, v in (services[name].get("environment") or {}).items() if v}
        for role, name in roles.items()
    }
    # A service that uses the database may be the only one that names it.
    said = {key: v for each in reversed(environment.values()) for key, v in each.items()}
    said |= environment["database"]
    found = Description(roles, said.get("POSTGRES_USER", "postgres"))
    found.values["pms_db_name"] = said.get("POSTGRES_DB", found.owner)
    if found.values["pms_db_name"] == MAINTENANCE_NAME:
        found.notes.append(
            "No service says by POSTGRES_DB which database the PMS's is: set pms_db_name in"
            " group_vars/pms/pms.yml, and run init --create-role then."
        )
    _database(found, document, environment)
    _redis(found, document, environment)
    _http(found, services, environment)
    found.values["pms_compose_project"] = document["name"]
    found.values["pms_app_services"] = _writers(services, roles)
    found.values["golive_services"] = SERVICES | roles
    if not found.values["pms_app_services"]:
        found.notes.append(
            "No service was seen to write to the database; name them in pms_app_services, since a"
            " restore stops them."
        )
    checkout = (folder / "scripts" / "verify_phase2.py").is_file()
    found.values["pms_app_dir"] = str(folder) if checkout else ""
    return found


def _database(
    found: Description, document: dict[str, Any], environment: dict[str, dict[str, str]]
) -> None:
    name = found.roles["database"]
    place = compose.published(document["services"][name], 5432) or compose.published(
        document["services"][name]
    )
    if place is None:
        found.notes.append(
            f"{name} publishes no port, and the toolkit connects to it by one: add"
            ' ports: ["127.0.0.1:5432:5432"] to it.'
        )
    host, port = place or ("127.0.0.1", 5432)
    found.values |= {
        "pms_db_host": host,
        "pms_db_port": port,
        "pms_db_container": compose.container(document, name),
    }


def _redis(
    found: Description, document: dict[str, Any], environment: dict[str, dict[str, str]]
) -> None:
    name = found.roles.get("redis")
    if name is None:
        found.notes.append("No service is Redis; its checks will fail until one is named.")
        return
    service = document["services"][name]
    place = compose.published(service, 6379) or compose.published(service)
    if place is None:
        found.notes.append(f'{name} publishes no port: add ports: ["127.0.0.1:6379:6379"] to it.')
    host, port = place or ("127.0.0.1", 6379)
    found.values |= {
        "pms_redis_host": host,
        "pms_redis_port": port,
        "pms_redis_container": compose.container(document, name),
    }
    password = (
        _required_pass(service)
        or environment["redis"].get("REDIS_PASSWORD")
        or environment.get("api", {}).get("REDIS_PASSWORD")
    )
    _secret(found, "vault_pms_redis_password", password, "Redis seems to have no password.")


def _required_pass(service: dict[str, Any]) -> str | None:
    """Return the argument of --requirepass, in whichever form the command is."""
    for part in (service.get("command"), service.get("entrypoint")):
        whole = part if isinstance(part, list) else shlex.split(str(part or ""))
        words = [str(word) for word in whole]
        words = words if len(words) > 1 or not words else shlex.split(words[0])
        words = [each for word in words for each in (shlex.split(word) if " -" in word else [word])]
        for at, word in enumerate(words[:-1]):
            if word == "--requirepass":
                return words[at + 1]
    return None


def _http(
    found: Description, services: dict[str, Any], environment: dict[str, dict[str, str]]
) -> None:
    for role, variable in (
        ("api", "pms_api_url"),
        ("dagster", "pms_dagster_url"),
        ("grafana", "pms_grafana_url"),
    ):
        place = compose.published(services[found.roles[role]]) if role in found.roles else None
        found.values[variable] = f"http://{place[0]}:{place[1]}" if place else ""
        if place is None:
            inside = INSIDE[role]
            found.notes.append(
                f"No published {role} was found. Its checks will be unknown, which is no go: add"
                f' ports: ["127.0.0.1:{inside}:{inside}"] to it, and run init again.'
            )
    api = environment.get("api", {})
    manager = api.get("PMS_MANAGER_PASSWORD")
    found.values["pms_api_username"] = "manager" if manager else ""
    _secret(
        found,
        "vault_pms_api_password",
        manager,
        "PMS_MANAGER_PASSWORD is not set for the API, so nobody can log in as its manager.",
    )
    grafana = environment.get("grafana", {})
    found.values["pms_grafana_username"] = grafana.get("GF_SECURITY_ADMIN_USER", "admin")
    _secret(
        found,
        "vault_pms_grafana_password",
        grafana.get("GF_SECURITY_ADMIN_PASSWORD"),
        "GF_SECURITY_ADMIN_PASSWORD is not set for Grafana." if "grafana" in found.roles else "",
    )


def _secret(found: Description, name: str, value: str | None, missing: str) -> None:
    found.secrets[name] = value or ""
    if not value and missing:
        found.notes.append(f"{missing} {name} is empty.")


def _writers(services: dict[str, Any], roles: dict[str, str]) -> list[str]:
    """Return the services that connect to the database, but for those that only read."""
    readers = {roles[role] for role in READERS if role in roles}
    apps = {roles[role] for role in ("api", "dagster", "daemon") if role in roles}
    return [
        name
        for name, service in services.items()
        if name not in readers
        and (
            name in apps
            or roles["database"] in (service.get("depends_on") or {})
            or any(DATABASE_VARIABLES.fullmatch(key) for key in service.get("environment") or {})
        )
    ]
