# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""From services to the variables of an inventory, and to the secrets of its vault."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pmsops_cli import compose_database, compose_http, compose_redis
from pmsops_cli.compose import Project
from pmsops_cli.compose_database import Connection
from pmsops_cli.compose_http import Place
from pmsops_cli.compose_roles import Question
from pmsops_cli.compose_service import Service

# Parts of a PMS, in the order of the example inventory.
PARTS = ("database", "redis", "api", "dagster", "daemon", "grafana")
# Where the toolkit connects while the PMS's database is renamed; it cannot be that one.
MAINTENANCE_NAME = "postgres"


@dataclass
class Description:
    """What was found: plain values, secrets, and what a person should know of it."""

    roles: dict[str, str]
    owner: str = "postgres"
    # The owners of the server's other databases, by name.
    others: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    notes: list[str] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)


def describe(
    project: Project, services: dict[str, Service], roles: dict[str, str], ports: dict[str, int]
) -> Description:
    """Return the system that a Compose project is.

    :param ports: the port inside of each role where a person said it.
    """
    found = Description(roles, notes=list(project.notes))
    writer = _Writer(found, services, ports)
    writer.database()
    writer.redis()
    writer.http()
    writer.services(project)
    checkout = (project.folder / "scripts" / "verify_phase2.py").is_file()
    found.values["pms_app_dir"] = str(project.folder) if checkout else ""
    return found


class _Writer:
    def __init__(
        self, found: Description, services: dict[str, Service], ports: dict[str, int]
    ) -> None:
        self.found = found
        self.all = services
        self.ports = ports
        self.of_role = {role: services[name] for role, name in found.roles.items()}

    def database(self) -> None:
        """Find the database's place, its name and its owner."""
        found, service = self.found, self.of_role["database"]
        place = self._place("database")
        if place is None:
            found.notes.append(
                f"{service.name} cannot be reached, and the toolkit connects to its port:"
                f" {self._advice('database')}."
            )
        place = place or Place("127.0.0.1", 5432)
        found.values |= {
            "pms_db_host": place.host,
            "pms_db_port": place.port,
            "pms_db_container": service.container,
        }
        self.clients = list(compose_database.clients(self.all, service.name, place.port))
        name, owner = self._name_and_owner(service, place.port)
        found.owner = owner or "postgres"
        found.values["pms_db_name"] = name or found.owner
        if found.values["pms_db_name"] == MAINTENANCE_NAME:
            found.notes.append(
                "No service says which database the PMS's is: set pms_db_name in"
                " group_vars/pms/pms.yml, and run init --create-role then."
            )
        known = compose_database.hosts(self.all, service.name, place.port)
        for each in self.clients:
            # A connection without a password's user is made as the user of the database's name.
            used = compose_database.connection(each.service, known)
            if used.database not in (None, found.values["pms_db_name"], MAINTENANCE_NAME):
                found.others.setdefault(used.database, used.user or used.database)
        found.values["backup_other_databases"] = sorted(found.others)
        if found.others:
            found.notes.append(
                f"{', '.join(sorted(found.others))}: other databases of the server, each with sets"
                " of its own; take one out of backup_other_databases if it needs none."
            )

    def _name_and_owner(self, service: Service, port: int) -> tuple[str | None, str | None]:
        """Return what the PMS itself connects to; else what the server was told to create."""
        known = compose_database.hosts(self.all, service.name, port)
        own = Connection(
            _any(service, "POSTGRES_DB", "POSTGRESQL_DATABASE", "POSTGRESQL_DB"),
            _any(service, "POSTGRES_USER", "POSTGRESQL_USERNAME", "POSTGRESQL_USER"),
        )
        api = self.of_role.get("api")
        said = compose_database.connection(api, known) if api else Connection()
        others = [
            compose_database.connection(each.service, known)
            for each in self.clients
            if each.service.name not in {self.found.roles.get(r) for r in ("dagster", "daemon")}
        ]
        names = sorted({each.database for each in others if each.database})
        if said.database is None and own.database in (None, MAINTENANCE_NAME):
            if api and said == Connection():
                said = Connection(_any(api, "POSTGRES_DB", "DB_NAME"), _any(api, "POSTGRES_USER"))
            if said.database is None and len(names) == 1:
                said = next(each for each in others if each.database)
            elif said.database is None and names:
                self.found.notes.append(
                    f"The services connect to several databases: {', '.join(names)}."
                )
        # Without POSTGRES_DB the image names the database like its user.
        return said.database or own.database or own.user, said.user or own.user

    def redis(self) -> None:
        """Find the place of Redis and its password."""
        found, service = self.found, self.of_role.get("redis")
        if service is None:
            found.notes.append("No service is Redis; its checks will fail until one is named.")
            return
        known = compose_redis.look(service, self.all)
        self.ports.setdefault("redis", known.port)
        place = self._place("redis")
        if place is None:
            found.notes.append(f"{service.name} cannot be reached: {self._advice('redis')}.")
        place = place or Place("127.0.0.1", compose_redis.PORT)
        found.values |= {
            "pms_redis_host": place.host,
            "pms_redis_port": place.port,
            "pms_redis_container": service.container,
        }
        number = compose_redis.number(self.of_role.get("api"), service)
        found.values |= {"pms_redis_db": number} if number else {}
        if known.tls:
            found.values["pms_redis_tls"] = True
            found.notes.append(
                f"{service.name} takes TLS: set pms_redis_ca_file if its certificate is its own."
            )
        if known.user not in (None, "default"):
            found.values["pms_redis_username"] = known.user
        why = (
            f"The password of Redis is not known: {'; '.join(dict.fromkeys(known.reasons))}. Write"
            " it into the vault."
            if known.reasons
            else "Redis has no password, as far as its files say."
        )
        self._secret("vault_pms_redis_password", known.password, why)

    def http(self) -> None:
        """Find the URLs and the users of the PMS, Dagster and Grafana."""
        found = self.found
        for role, variable in (
            ("api", "pms_api_url"),
            ("dagster", "pms_dagster_url"),
            ("grafana", "pms_grafana_url"),
        ):
            service = self.of_role.get(role)
            place = self._place(role)
            found.values[variable] = (
                compose_http.url(role, service, place) if service and place else ""
            )
            if service is None:
                found.notes.append(f"No service is the {role}; its checks will be unknown: no go.")
            elif place is None:
                found.notes.append(
                    f"{service.name}, the {role}, cannot be reached; its checks will be unknown,"
                    f" which is no go: {self._advice(role)}, and run init again."
                )
        manager = self._of("api", "PMS_MANAGER_PASSWORD")
        found.values["pms_api_username"] = (
            "manager" if manager or self._unread("api", "PMS_MANAGER_PASSWORD") else ""
        )
        self._secret(
            "vault_pms_api_password",
            manager,
            self._unread("api", "PMS_MANAGER_PASSWORD")
            or "PMS_MANAGER_PASSWORD is not set for the API, so nobody can log in as its manager.",
        )
        grafana = self._of("grafana", "GF_SECURITY_ADMIN_PASSWORD")
        found.values["pms_grafana_username"] = (
            self._of("grafana", "GF_SECURITY_ADMIN_USER") or "admin"
        )
        unset = "GF_SECURITY_ADMIN_PASSWORD is not set for Grafana."
        self._secret(
            "vault_pms_grafana_password",
            grafana,
            self._unread("grafana", "GF_SECURITY_ADMIN_PASSWORD")
            or (unset if "grafana" in found.roles else ""),
        )

    def services(self, project: Project) -> None:
        """Find the services that a restore has to stop, and those that nobody started."""
        found = self.found
        apps = {found.roles[role] for role in ("api", "dagster", "daemon") if role in found.roles}
        names = {each.service.name for each in self.clients} | apps
        found.values["pms_compose_project"] = project.name
        found.values["pms_app_services"] = [name for name in self.all if name in names]
        found.values["golive_services"] = {
            part: found.roles[part] for part in PARTS if part in found.roles
        }
        maybe = [
            each.service.name
            for each in self.clients
            if not each.named and each.service.name not in apps
        ]
        if maybe:
            found.notes.append(
                f"{', '.join(maybe)}: depends on the database without naming it. A restore stops"
                " it; take it out of pms_app_services if it writes nothing."
            )
        if not names:
            found.notes.append(
                "No service was seen to write to the database; name them in pms_app_services, since"
                " a restore stops them."
            )
        idle: dict[str, list[str]] = {}
        for name, each in project.services.items():
            if name not in project.active and each.get("profiles"):
                idle.setdefault(each["profiles"][0], []).append(name)
        for profile, listed in idle.items():
            found.notes.append(
                f"{', '.join(listed)}: left out, since the profile {profile} is not active. With"
                f" it: --profile {profile}"
            )

    def _place(self, role: str) -> Place | None:
        service = self.of_role.get(role)
        if service is None:
            return None
        found = compose_http.place(role, service, self.all, self.ports.get(role))
        if isinstance(found, Question):
            self.found.questions.append(found)
            return None
        return found

    def _advice(self, role: str) -> str:
        return compose_http.advice(role, self.of_role[role], self.all, self.ports.get(role))

    def _of(self, role: str, variable: str) -> str | None:
        return self.of_role[role].environment.get(variable) if role in self.of_role else None

    def _unread(self, role: str, variable: str) -> str:
        service = self.of_role.get(role)
        path = service.unread.get(variable) if service and service.environment else None
        return f"{variable} is in {path}, which cannot be read from here." if path else ""

    def _secret(self, name: str, value: str | None, missing: str) -> None:
        self.found.secrets[name] = value or ""
        if not value and missing:
            self.found.notes.append(f"{missing} {name} is empty.")


def _any(service: Service, *names: str) -> str | None:
    return next(
        (service.environment[each] for each in names if service.environment.get(each)), None
    )
