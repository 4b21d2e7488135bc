# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A system on which every check of the checklist is good, made of the lab's parts, to be broken.

Real: TimescaleDB with the lab's data, the lab's stand-in PMS, Redis, containers, a backup set, the
ledger. Dagster and Grafana are stand-ins: the lab's Dagster as it answered when it was recorded
(only the times of its runs are moved to today), and the lab's own stand-in for Grafana.
"""

from __future__ import annotations

import importlib.util
import json
import re
import secrets
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import docker
import redis
import yaml
from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.checks import gate
from ansible.module_utils.pmsops.checks.probes.context import Settings
from ansible.module_utils.pmsops.common import exchange_calendar, progress
from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.evidence import anchor_notes, ledger
from ansible.module_utils.pmsops.pitr import overview
from ansible.module_utils.pmsops.pms import smoke_test
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import sets, site_notes

from tests.conftest import PROJECT
from tests.support import redis_container
from tests.support.altering import Behind, Service, passing_on, standing_in
from tests.support.pms_service import REDIS_IMAGE, Api, Data, stand_ins
from tests.support.server import LABEL, Server
from tests.support.yaml_files import read_yaml

DOCUMENT = read_yaml(PROJECT / "roles/golive/files/checklist.yml")
CHECKS = {check["id"]: check for check in DOCUMENT["checks"]}
# Names of services have their home in the role pms, which every other role depends on.
DEFAULTS = {
    name: value
    for role in ("pms", "golive")
    for name, value in yaml.safe_load(
        (PROJECT / f"roles/{role}/defaults/main.yml").read_text()
    ).items()
}
RECORDED = json.loads((PROJECT / "tests/support/recorded/dagster.json").read_text())
ATTESTED = [name for name, check in CHECKS.items() if check["probe"] == "attest"]
SERVICES = ("timescaledb", "redis", "api", "dagster-webserver", "dagster-daemon", "grafana")
USERS = ("ADMIN", "MANAGER", "RISK", "VIEWER")
TODAY = datetime.now(ZoneInfo("America/Sao_Paulo")).date()
SITES = ("vault", "second")
ANCHOR = "tsa"
LOGIN = ("admin", "of-the-stand-in")
# What the database says of itself, and lies about where a fault has said so: ahead of the
# catalogue in the path of the role that asks.
LIES = """
CREATE SCHEMA lies;
CREATE TABLE lies.said (name text PRIMARY KEY, value text);
CREATE FUNCTION lies.about(wanted text) RETURNS text LANGUAGE sql STABLE
  AS 'SELECT value FROM lies.said WHERE name = wanted';
CREATE FUNCTION lies.current_setting(wanted text) RETURNS text LANGUAGE sql STABLE
  AS 'SELECT coalesce(lies.about(wanted), pg_catalog.current_setting(wanted))';
CREATE FUNCTION lies.age(id xid) RETURNS int LANGUAGE sql STABLE
  AS 'SELECT coalesce(lies.about(''age'')::int, pg_catalog.age(id))';
CREATE VIEW lies.pg_extension AS
  SELECT extname, coalesce(lies.about('extversion'), extversion) AS extversion
    FROM pg_catalog.pg_extension;
CREATE VIEW lies.pg_available_extensions AS
  SELECT name, coalesce(lies.about('default_version'), default_version::text) AS default_version,
         installed_version::text
    FROM pg_catalog.pg_available_extensions;
CREATE VIEW lies.pg_stat_activity AS
  SELECT datname, backend_type,
         xact_start - coalesce(lies.about('open_for')::interval, '0') AS xact_start
    FROM pg_catalog.pg_stat_activity;
GRANT USAGE ON SCHEMA lies TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA lies TO PUBLIC;
"""


@dataclass(frozen=True)
class Overrides:
    """What differs from the good system, in one run of the gate."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    attested: tuple[str, ...] = tuple(ATTESTED)
    # What is different about the continuous protection that was seen; None: it is off
    pitr: Mapping[str, Any] | None = field(default_factory=dict)
    # The other sites of the inventory
    sites: tuple[str, ...] = SITES
    # The host of the monthly drill elsewhere
    drill_host: str = "far"


@dataclass
class System:
    """The parts, and the gate over them."""

    server: Server
    data: Data
    settings: Settings
    variables: dict[str, Any]
    services: dict[str, Service]
    containers: Containers
    redis_admin: redis.Redis
    folder: Path
    start: Callable[..., Api]
    steps: list[dict[str, Any]]
    copies: list[str] = field(default_factory=list)

    def gate(
        self, checks: list[dict[str, Any]] | None = None, overrides: Overrides | None = None
    ) -> dict[str, Any]:
        """Run the gate and return its result."""
        asked = overrides or Overrides()
        steps = [step | dict(asked.steps.get(step["id"], {})) for step in self.steps]
        facts: dict[str, Any] = {"smoke": {"steps": steps}}
        if asked.pitr is not None:
            facts["pitr"] = protected(**asked.pitr)
        facts["offsite"] = {"sites": list(asked.sites), "drill_host": asked.drill_host}
        facts["anchors"] = {"names": [ANCHOR], "hours": 72}
        settings = replace(self.settings, facts=facts, **asked.settings)
        wanted = DOCUMENT["checks"] if checks is None else checks
        known = {check["id"] for check in wanted}
        return gate.run(
            DOCUMENT | {"checks": wanted},
            settings,
            gate.Options(
                variables=self.variables | dict(asked.variables),
                attestations=statements(name for name in asked.attested if name in known),
                workers=6,
            ),
        )

    @contextmanager
    def copy(self) -> Iterator[Database]:
        """Give a copy of the database, with TimescaleDB's scheduler at work."""
        name = f"checks_{uuid.uuid4().hex[:8]}"
        self.server.psql(
            f"CREATE DATABASE {name} TEMPLATE {self.data.name}_lies OWNER macro_user"
            " STRATEGY FILE_COPY"
        )
        try:
            self.server.psql(f"ALTER ROLE pms_ops IN DATABASE {name} SET search_path = {PATH}")
            self.server.psql("SELECT _timescaledb_functions.start_background_workers()", name)
            yield self.server.database(name)
        finally:
            self.server.drop(name)


PATH = "lies, public, pg_catalog"


def statements(names: Any) -> dict[str, Any]:
    """Return attestations of these checks, of today."""
    made = {"who": "Maria Silva", "role": "risk officer", "when": TODAY, "why": "seen for a test"}
    return {"attestations": [{"check": name, **made} for name in names]}


def part(*probes: str) -> list[dict[str, Any]]:
    """Return the checks of these kinds, each with those of its needs that are among them."""
    chosen = {name for name, check in CHECKS.items() if check["probe"] in probes}
    return [
        check | {"needs": [need for need in check.get("needs", []) if need in chosen]}
        for name, check in CHECKS.items()
        if name in chosen
    ]


def dependents(names: set[str], checks: list[dict[str, Any]]) -> set[str]:
    """Return the checks that cannot be asked where these are not good."""
    found: set[str] = set()
    while True:
        more = {
            check["id"] for check in checks if {*check.get("needs", ())} & (names | found)
        } - found
        if not more:
            return found - names
        found |= more


# --- Dagster and Grafana --------------------------------------------------------------------------


def recorded_dagster() -> Behind:
    """Return the lab's Dagster as it was recorded; its runs ended an hour ago."""
    answers = json.loads(json.dumps(RECORDED))
    runs = answers["runs"]["data"]["runsOrError"]["results"]
    beats = answers["daemons"]["data"]["instance"]["daemonHealth"]["allDaemonStatuses"]
    for daemon in beats:
        daemon["lastHeartbeatTime"] = time.time()
    shift = time.time() - 3600 - max(run["endTime"] for run in runs)
    for run in runs:
        run["startTime"] += shift
        run["endTime"] += shift
    of_query = {
        "workspaceOrError": "locations",
        "schedules {": "schedules",
        "daemonHealth": "daemons",
        "runsOrError": "runs",
    }

    def answer(
        _method: str, path: str, _headers: Mapping[str, str], content: bytes
    ) -> tuple[int, str, bytes]:
        if path == "/server_info":
            return 200, "application/json", json.dumps(answers["server_info"]).encode()
        if path == "/":
            return 200, "text/html", answers["page"].encode()
        if path == "/graphql":
            query = json.loads(content)["query"]
            name = next((name for part, name in of_query.items() if part in query), None)
            if name:
                return 200, "application/json", json.dumps(answers[name]).encode()
        return 404, "application/json", b"{}"

    return answer


def stand_in_grafana() -> Behind:
    """Return the lab's stand-in for Grafana."""
    path = PROJECT / "roles/lab/files/grafana/standin.py"
    spec = importlib.util.spec_from_file_location("grafana_standin", path)
    standin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(standin)
    known = standin.dashboards()

    def answer(
        _method: str, path: str, headers: Mapping[str, str], _content: bytes
    ) -> tuple[int, str, bytes]:
        login = headers.get("Authorization", "")
        code, found = standin.answer(path, login, known, ":".join(LOGIN))
        return code, "application/json", json.dumps(found).encode()

    return answer


# --- Containers -----------------------------------------------------------------------------------


class Containers:
    """Idle containers, one for each service of the PMS, as its Compose file would make them."""

    def __init__(self, secrets_of_api: dict[str, str]) -> None:
        self.project = f"pms-test-{uuid.uuid4().hex[:8]}"
        self.engine = docker.from_env()
        self.specs: dict[str, dict[str, Any]] = {
            service: {
                "environment": dict(secrets_of_api) if service == "api" else {},
                "address": "127.0.0.1",
                "restart_policy": {"Name": "unless-stopped"},
                "log": {"max-size": "10m", "max-file": "3"},
                "command": ["sleep", "600"],
            }
            for service in SERVICES
        }
        self._running: dict[str, Any] = {}

    def put(self, service: str, **changes: Any) -> None:
        """Replace a service's container by one that differs in so much."""
        self.remove(service)
        spec = self.specs[service] | changes
        if spec.get("state") == "gone":
            return
        options: dict[str, Any] = {
            "name": f"{self.project}-{service}",
            "entrypoint": spec["command"],
            "command": [],
            "environment": spec["environment"],
            "labels": {
                LABEL: "1",
                "com.docker.compose.project": self.project,
                "com.docker.compose.service": service,
            },
            "restart_policy": spec["restart_policy"],
            "log_config": docker.types.LogConfig(type="json-file", config=spec["log"]),
            "ports": {"7/tcp": (spec["address"], None)} if service != "dagster-daemon" else {},
            "healthcheck": spec.get("healthcheck"),
            "init": True,
        }
        made = self.engine.containers.create(REDIS_IMAGE, **options)
        self._running[service] = made
        if spec.get("state") == "created":
            return
        made.start()
        if spec.get("state") == "paused":
            made.pause()
        if until := spec.get("until"):
            for _ in range(200):
                made.reload()
                if until(made.attrs):
                    return
                time.sleep(0.05)
            raise TimeoutError(made.attrs["State"])

    def remove(self, service: str) -> None:
        """Remove a service's container."""
        made = self._running.pop(service, None)
        if made is not None:
            with suppress(docker.errors.NotFound):
                made.remove(force=True, v=True)

    def close(self) -> None:
        """Remove all."""
        for service in SERVICES:
            self.remove(service)
        self.engine.close()


# --- The whole ------------------------------------------------------------------------------------


@contextmanager
def running_redis(password: str) -> Iterator[tuple[int, redis.Redis]]:
    """Run Redis as the PMS's Compose file does; give its port and somebody who may change it."""
    engine = docker.from_env()
    words = ["redis-server", "--requirepass", password, "--bind", "0.0.0.0", "--appendonly", "yes"]
    # As the official image does, where a Redis without a password is open to everybody.
    words += ["--protected-mode", "no", "--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru"]
    container = engine.containers.run(
        redis_container.image(),
        entrypoint=words,
        command=[],
        name=f"pms-test-{uuid.uuid4().hex[:8]}",
        ports={"6379/tcp": ("127.0.0.1", None)},
        labels={LABEL: "1"},
        tmpfs={"/data": ""},
        working_dir="/data",
        detach=True,
    )
    try:
        container.reload()
        port = int(container.attrs["NetworkSettings"]["Ports"]["6379/tcp"][0]["HostPort"])
        admin = redis.Redis(
            "127.0.0.1", port, username="default", password=password, decode_responses=True
        )
        for _ in range(100):
            with suppress(redis.RedisError, socket.error):
                if admin.ping():
                    break
            time.sleep(0.1)
        # One connection, authenticated once: it stays when the password is changed.
        with admin.client() as held:
            yield port, held
        admin.close()
    finally:
        container.remove(force=True, v=True)
        engine.close()


def backups_and_evidence(folder: Path, database: Database) -> None:
    """Make a real set, and the ledger that a backup and a drill of it leave."""
    settings = backup.Settings(root=folder / "backups", keys=folder / "keys", trial="none")
    made = backup.run(database, settings, progress=progress.Progress())
    taken = Path(made["set"])
    sets.mark_verified(taken, {"set": made["id"]})
    document = json.loads((taken / "manifest.json").read_bytes())
    record_drill(folder / "evidence", document, made["manifest_sha256"])
    copied_to_sites(folder / "backups", document["id"])


def copied_to_sites(root: Path, name: str) -> None:
    """Note that each site has the set, is checked, and refused to delete a copy."""
    now = datetime.now(UTC)
    for site in SITES:
        site_notes.done(root, site, "upload", {"set": name, "proved": True, "signs": []}, now)
        site_notes.done(root, site, "check", {"part": 1, "parts": 7}, now)
        site_notes.done(root, site, "immutable", {"refused": True}, now)


def record_drill(evidence: Path, document: dict[str, Any], sha256: str, **other: Any) -> None:
    """Write a new ledger with a backup and with a drill that proved this set."""
    now = datetime.now(UTC)
    named = {"set": document["id"], "manifest_sha256": sha256}
    drill = named | {
        "system_identifier": document["server"]["system_identifier"],
        "proved": True,
        "rto_seconds": 12.0,
        "rpo_seconds": 60.0,
    }
    shutil.rmtree(evidence, ignore_errors=True)
    ledger.append(evidence, "backup", named, now=now - timedelta(minutes=2))
    ledger.append(evidence, "drill", drill | other, now=now - timedelta(minutes=1))
    record_proof(evidence, document["id"])
    for site in SITES:
        record_site_proof(evidence, site, document["id"])
    record_drill_elsewhere(evidence, document["id"])
    anchor(evidence)


def anchor(evidence: Path, ago: timedelta = timedelta(0), sha256: str | None = None) -> None:
    """Note that the head of the ledger was anchored."""
    chain = ledger.inspect(evidence)
    pin = anchor_notes.Pin(chain.lines, sha256 or chain.sha256, datetime.now(UTC) - ago)
    anchor_notes.note_done(evidence, ANCHOR, pin, {})


def record_drill_elsewhere(evidence: Path, name: str, **other: Any) -> None:
    """Add a drill of this set, on another host, to the ledger."""
    drill = {"set": name, "drill_host": "far", "segregated": True, "shared": [], "proved": True}
    seconds = {"rto_seconds": 30.0, "fetch_seconds": 5.0, "rto_with_fetch_seconds": 35.0}
    ledger.append(evidence, "drill", drill | seconds | other, now=datetime.now(UTC))


def record_site_proof(evidence: Path, site: str, name: str, **other: Any) -> None:
    """Add a proof of this set, fetched from a site, to the ledger."""
    proof = {"act": "proof", "site": site, "set": name, "proved": True, "fetch_seconds": 2.0}
    ledger.append(evidence, "offsite", proof | other, now=datetime.now(UTC))


def record_proof(evidence: Path, name: str, **other: Any) -> None:
    """Add a proof of base backup and WAL by this set to the ledger."""
    proof = {"of": "set", "set": name, "proved": True, "rows": 7, "duration_seconds": 12.0}
    ledger.append(evidence, "proof", proof | other, now=datetime.now(UTC))


def protected(**other: Any) -> dict[str, Any]:
    """Return what is seen of a continuous protection that works."""
    now = datetime.now(UTC)
    seen = {
        "at": utc_stamp(now),
        "earliest": utc_stamp(now - timedelta(days=14)),
        "latest": utc_stamp(now),
        "backups": 15,
        "lag_seconds": 0.0,
        "lag_bytes": 0,
        "active": True,
        "slot": "reserved",
    }
    return overview.EMPTY | seen | other


@contextmanager
def whole_system(server: Server, folder: Path) -> Iterator[System]:
    """Start all parts, trade a small day through the PMS, and stop everything in the end."""
    with ExitStack() as stack:
        data = Data(server, f"system_{uuid.uuid4().hex[:8]}", secrets.token_urlsafe(12))
        server.psql(f"ALTER ROLE macro_user PASSWORD '{data.password}'")
        database = server.create(data.name)
        stack.callback(server.drop, data.name)
        as_of = exchange_calendar.previous_business_day(TODAY).isoformat()
        data.run("schema.sql", "seed.sql", as_of=as_of, scale="0.02")
        server.psql(LIES, data.name)
        _keep_for_copies(server, data.name)
        stack.callback(server.drop, f"{data.name}_lies")
        start = stack.enter_context(stand_ins(data))
        api = start()
        services = {
            "api": stack.enter_context(standing_in(passing_on(api.url))),
            "dagster": stack.enter_context(standing_in(recorded_dagster())),
            "grafana": stack.enter_context(standing_in(stand_in_grafana())),
        }
        own = {name: secrets.token_urlsafe(16) for name in ("POSTGRES", "REDIS", *_users())}
        containers = Containers(
            {f"{name}_PASSWORD": value for name, value in own.items()}
            | {"TZ": "America/Sao_Paulo", "JWT_SECRET_KEY": secrets.token_hex(32)}
        )
        stack.callback(containers.close)
        for service in SERVICES:
            containers.put(service)
        password = secrets.token_urlsafe(16)
        port, admin = stack.enter_context(running_redis(password))
        done = smoke_test.run(
            PmsApi(api.url, "manager", api.passwords["manager"]),
            database,
            deadline_seconds=60,
            accepts=True,
        )
        assert done["not_passed"] == [], done
        backups_and_evidence(folder, database)
        for name in ("verify_phase2", "verify_phase3"):
            script = folder / "app" / "scripts" / f"{name}.py"
            script.parent.mkdir(parents=True, exist_ok=True)
            script.write_text("print('checks of a stand-in: all passed')\n")
        others = [
            {"id": name, "title": name, "status": "pass", "finding": "of the test", "seconds": 0.0}
            for name in ("pipeline", "backup", "drill")
        ]
        yield System(
            server=server,
            data=data,
            settings=Settings(
                now=datetime.now(UTC),
                # Its parts are containers of one Compose project, as on the lab.
                database={name: getattr(database, name) for name in database.__dataclass_fields__}
                | {"access": "container"},
                services={"manager": "compose", "parts": DEFAULTS["golive_services"]},
                redis={"host": "127.0.0.1", "port": port, "password": password},
                api={
                    "url": services["api"].url,
                    "username": "manager",
                    "password": api.passwords["manager"],
                },
                grafana={
                    "url": services["grafana"].url,
                    "username": LOGIN[0],
                    "password": LOGIN[1],
                },
                dagster_url=services["dagster"].url,
                compose_project=containers.project,
                app_dir=str(folder / "app"),
                backup_root=str(folder / "backups"),
                evidence_root=str(folder / "evidence"),
            ),
            variables=_variables(folder),
            services=services,
            containers=containers,
            redis_admin=admin,
            folder=folder,
            start=start,
            steps=[*done["steps"], *others],
        )


def _users() -> tuple[str, ...]:
    return tuple(f"PMS_{user}" for user in USERS)


def _keep_for_copies(server: Server, name: str) -> None:
    """Make a copy that nobody connects to, so that copies of it can be made at any time."""
    server.psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    try:
        server.psql(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        server.psql(
            f"CREATE DATABASE {name}_lies TEMPLATE {name} STRATEGY FILE_COPY"
            " ALLOW_CONNECTIONS false"
        )
    finally:
        server.psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    server.psql("SELECT _timescaledb_functions.start_background_workers()", name)


def _variables(folder: Path) -> dict[str, Any]:
    """Return the variables as the role gives them to the gate, out of its own defaults."""
    text = (PROJECT / "roles/golive/tasks/gate.yml").read_text()
    task = yaml.safe_load(text)[0]["pms_gate"]
    found = {}
    for name, template in task["variables"].items():
        path = re.fullmatch(r"\{\{ ([\w.]+) \}\}", template)[1].split(".")
        value = DEFAULTS
        for step in path:
            value = value[step]
        found[name] = value
    schedule = folder / "schedule.json"
    schedule.write_text(schedule_status("2999-01-01T00:00:00+00:00"))
    return found | {"data_path": str(folder), "schedule_status": str(schedule)}


def schedule_status(fresh_until: str) -> str:
    """Return what the jobs of the role schedule write, with one job and its deadline."""
    return json.dumps({"jobs": [{"name": "backup", "fresh_until": fresh_until}]})
