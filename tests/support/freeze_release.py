# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes what a release leaves on disk and in the server, to be kept as a fixture.

    python -m tests.support.freeze_release CHECKOUT INTO [--older CHECKOUT_OF_SCHEMA_1]

CHECKOUT is a clone at the release's commit; INTO is a new folder. Needs root (it works in
/srv/pms-ops, so that no path of this machine is kept), Docker and the lab's images. The release
itself makes everything: this script runs its modules, kills them, and writes down what it finds.
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import docker

from tests import conftest  # noqa: F401 -- makes module_utils importable
from tests.support.server import IMAGE, LABEL, Server, running_server
from tests.support.standin_pms import StandIn, served

HERE = Path(__file__).resolve().parent
PLACE = Path("/srv/pms-ops")
LIVE = "macro_trading"
SERVICES = ("api", "worker")
NOBODY_ANSWERS = "http://127.0.0.1:9"
SCHEMA = """
CREATE TABLE instruments (id int PRIMARY KEY, ticker text UNIQUE NOT NULL, asset_class text);
INSERT INTO instruments VALUES (1, 'USDBRL', 'FX'), (2, 'DI1F28', 'RATES');
CREATE TABLE market_data (instrument_id int NOT NULL REFERENCES instruments, "timestamp" timestamptz
    NOT NULL, frequency text NOT NULL DEFAULT 'daily', close float8, PRIMARY KEY (instrument_id,
    "timestamp"));
SELECT create_hypertable('market_data', 'timestamp', chunk_time_interval => interval '30 days');
INSERT INTO market_data SELECT 1, t, 'daily', 5 + extract(day FROM t) / 100
  FROM generate_series(timestamptz '2026-09-01', '2026-10-31', '1 day') t;
CREATE TABLE portfolio_positions (id bigserial PRIMARY KEY, instrument text NOT NULL, asset_class
    text NOT NULL, direction text NOT NULL, notional_brl float8 NOT NULL, entry_price float8,
    current_price float8, close_price float8, unrealized_pnl_brl float8, realized_pnl_brl float8,
    transaction_cost_brl float8 NOT NULL DEFAULT 2000, is_open bool NOT NULL,
    closed_at timestamptz, notes text);
INSERT INTO portfolio_positions (instrument, asset_class, direction, notional_brl, entry_price,
                                 current_price, is_open, notes)
VALUES ('USDBRL', 'FX', 'LONG', 10000000, 5.25, 5.3, true, 'O''Brien; "quoted", ção'),
       ('DI1F28', 'RATES', 'SHORT', 5000000, 13.1, 13.2, true, NULL),
       ('USDBRL', 'FX', 'SHORT', 1000000, 5.1, 5.3, false, 'line' || E'\\n' || 'two');
CREATE TABLE decision_journal (id serial PRIMARY KEY, entry_type text NOT NULL, position_id bigint
    REFERENCES portfolio_positions, manager_notes text, content_hash text);
INSERT INTO decision_journal (entry_type, position_id) VALUES ('OPEN', 1), ('OPEN', 2);
CREATE SEQUENCE tickets START 1000;
SELECT nextval('tickets');
CREATE VIEW open_positions AS SELECT * FROM portfolio_positions WHERE is_open;
CREATE FUNCTION tidy() RETURNS void LANGUAGE sql AS 'SELECT 1';
GRANT SELECT ON portfolio_positions TO pg_monitor;
COMMENT ON TABLE portfolio_positions IS 'The book';
"""
# A job of a user: the test servers' licence does not let add_job make one.
JOB = """
INSERT INTO _timescaledb_config.bgw_job (id, application_name, schedule_interval, max_runtime,
    max_retries, retry_period, proc_schema, proc_name, owner, scheduled)
VALUES (1000, 'Tidy [1000]', '1 day', '1 hour', -1, '1 hour', 'public', 'tidy', 'macro_user', true);
COMMENT ON DATABASE macro_trading IS 'The fund''s database';
ALTER DATABASE macro_trading SET statement_timeout TO '15min';
"""
BETWEEN_SETS = "INSERT INTO decision_journal (entry_type, manager_notes) VALUES ('NOTE', 'later')"
# What happened after the newest set: the database "before" a restore has it, the set does not.
AFTER_SETS = """
INSERT INTO portfolio_positions (instrument, asset_class, direction, notional_brl, entry_price,
                                 is_open) VALUES ('USDBRL', 'FX', 'LONG', 2000000, 5.4, true);
"""
# How many positions there are tells which of the two a database is.
CONTENTS = {3: "set", 4: "before"}


def at(step: str, when: str, number: int = 1) -> dict[str, Any]:
    """Return the moment at which the journal says that a step begins."""
    return {
        "file": "*/restore.json", "key": "step", "value": step, "when": when, "number": number,
    }  # fmt: skip


RESTORE = {"do": "restore"}
SWAP = {"do": "swap"}
ROLLBACK = {"do": "rollback"}
FAILING = {"do": "swap", "url": NOBODY_ANSWERS}
# Each scene: what ran, the last of it to its kill, in words and as orders.
SCENES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "recorded": (
        "A restore, before its staging database was there.",
        [RESTORE | {"kill": at("aside", "after")}],
    ),
    "filling": (
        "A restore, while pg_restore filled the staging database.",
        [RESTORE | {"kill": {"file": "*/restore.progress", "key": "phase", "value": "data",
                             "when": "after"}}],
    ),
    "proved-before-journal": (
        "A restore, after its mark said proved and before its journal did.",
        [RESTORE | {"kill": at("proved", "before")}],
    ),
    "proved": ("A restore, after its journal said proved.", [RESTORE]),
    "swap-begun": (
        "A swap, after its first record.", [RESTORE, SWAP | {"kill": at("swap", "after")}]
    ),
    "swap-marked": (
        "A swap, after the staging database was marked with it.",
        [RESTORE, SWAP | {"kill": at("stop services", "before")}],
    ),
    "services-stopped": (
        "A swap, after the services were stopped.",
        [RESTORE, SWAP | {"kill": at("rename", "before")}],
    ),
    "rename-begun": (
        "A swap, before the renames.", [RESTORE, SWAP | {"kill": at("rename", "after")}]
    ),
    "renamed": (
        "A swap, after the renames and before their next record.",
        [RESTORE, SWAP | {"kill": at("open", "before")}],
    ),
    "opening": (
        "A swap, after the renames, before databases that take no connections were opened.",
        [RESTORE, SWAP | {"kill": at("open", "after")}],
    ),
    "opened": (
        "A swap, before TimescaleDB's workers were started.",
        [RESTORE, SWAP | {"kill": at("workers", "after")}],
    ),
    "waiting-for-services": (
        "A swap, before the services were started.",
        [RESTORE, SWAP | {"kill": at("start services", "after")}],
    ),
    "probing": (
        "A swap, before the PMS was probed.", [RESTORE, SWAP | {"kill": at("probe", "after")}]
    ),
    "finished": (
        "A swap, when all that was left was to remove the journal.",
        [RESTORE, SWAP | {"kill": {"file": "*/restore.json", "when": "removed"}}],
    ),
    "going-back": (
        "A swap whose probe failed, before the way back.",
        [RESTORE, FAILING | {"kill": at("back", "after")}],
    ),
    "gone-back": (
        "A swap whose probe failed, after the renames of the way back.",
        [RESTORE, FAILING | {"kill": at("open", "before", 2)}],
    ),
    "not-swapped": (
        "A swap whose probe failed, after all of the way back.",
        [RESTORE, FAILING | {"kill": at("not swapped", "after")}],
    ),
    "rollback-begun": (
        "A rollback, before the renames.",
        [RESTORE, SWAP, ROLLBACK | {"kill": at("rename", "after")}],
    ),
    "rollback-renamed": (
        "A rollback, after the renames and before their next record.",
        [RESTORE, SWAP, ROLLBACK | {"kill": at("open", "before")}],
    ),
}  # fmt: skip
# What a server looks like after weeks: three restores, a rollback, and a proved copy.
WEEKS = [RESTORE, SWAP, RESTORE, SWAP, RESTORE, SWAP, ROLLBACK, RESTORE]


class Release:
    """A checkout whose modules are run against a server and /srv/pms-ops."""

    def __init__(self, checkout: Path, server: Server, project: str) -> None:
        self.checkout = checkout
        self.server = server
        self.project = project

    def module(
        self, name: str, arguments: dict[str, Any], kill: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run a module; return its result, nothing of one that was killed."""
        done = subprocess.run(
            [sys.executable, str(HERE / "old_module.py"), str(self.checkout)],
            input=json.dumps({"module": name, "args": arguments, "kill": kill}),
            capture_output=True,
            text=True,
            timeout=300,
        )
        if kill:
            assert done.returncode == -9, (name, kill, done.returncode, done.stdout, done.stderr)
            return {}
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        result["status"] = done.returncode
        return result

    def database(self) -> dict[str, Any]:
        """Return the option ``database`` of the modules."""
        known = self.server.database(LIVE)
        return {
            "access": "container", "container": known.container, "host": known.host,
            "port": known.port, "name": LIVE, "user": known.user, "password": known.password,
        }  # fmt: skip

    def backup(self, **more: Any) -> Path:
        """Make a set."""
        done = self.module(
            "pms_backup",
            {"database": self.database(), **places(), "tables": ["portfolio_positions"]} | more,
        )
        assert not done["status"], done
        return Path(done["set"])

    def run(self, order: dict[str, Any], incoming: str | None = None) -> dict[str, Any]:
        """Do what a scene's order says."""
        if order["do"] == "restore":
            arguments = {"database": self.database(), **places(), "keep": True}
            return self.module("pms_restore", arguments, order.get("kill"))
        state = {"swap": "swapped", "rollback": "rolled_back", "recover": "recovered"}[order["do"]]
        arguments = {
            "database": self.database(),
            "services": {
                "manager": "compose",
                "compose_project": self.project,
                "app_services": list(SERVICES),
            },
            "root": str(PLACE / "backups"),
            "state": state,
            "incoming": incoming,
            "resume": order.get("resume"),
            "api": {"url": order["url"]} if order.get("url") else None,
        }
        return self.module("pms_swap", arguments, order.get("kill"))


def places() -> dict[str, str]:
    """Return where sets and keys are."""
    return {"root": str(PLACE / "backups"), "keys": str(PLACE / "keys")}


@contextmanager
def services() -> Iterator[tuple[str, dict[str, Any]]]:
    """Run two containers that count as services of a Compose project."""
    project = f"frozen-{uuid.uuid4().hex[:8]}"
    engine = docker.from_env()
    made = {}
    try:
        for name in SERVICES:
            made[name] = engine.containers.run(
                IMAGE,
                entrypoint=["sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait"],
                command=[],
                labels={
                    LABEL: "1",
                    "com.docker.compose.project": project,
                    "com.docker.compose.service": name,
                },
                detach=True,
            )
        yield project, made
    finally:
        for each in made.values():
            each.remove(force=True, v=True)


@contextmanager
def pms() -> Iterator[str]:
    """Serve something that answers every request with an empty list."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"[]")

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{made.server_port}"
    finally:
        made.shutdown()


# --- The server -----------------------------------------------------------------------------------

STATE = """
SELECT json_agg(json_build_object('name', d.datname, 'oid', d.oid::bigint, 'open', d.datallowconn,
         'comment', shobj_description(d.oid, 'pg_database'), 'settings',
         (SELECT coalesce(json_agg(c ORDER BY c), '[]') FROM pg_db_role_setting s,
                 unnest(s.setconfig) c WHERE s.setdatabase = d.oid AND s.setrole = 0))
         ORDER BY d.datname)
  FROM pg_database d WHERE starts_with(d.datname, 'macro_trading')
"""
INSIDE = """
SELECT json_build_object('positions', (SELECT count(*) FROM portfolio_positions),
    'comment', obj_description('_timescaledb_config.bgw_job'::regclass, 'pg_class'),
    'scheduled', (SELECT scheduled FROM _timescaledb_config.bgw_job WHERE id = 1000))
"""


def databases(server: Server) -> list[dict[str, Any]]:
    """Return each database of the PMS: name, OID, mark, settings, what is in it, held jobs."""
    found: list[dict[str, Any]] = json.loads(server.psql(STATE) or "null") or []
    for each in found:
        try:
            inside = json.loads(server.psql(INSIDE, each["name"]))
            each["content"] = CONTENTS[inside.pop("positions")]
        except (AssertionError, KeyError):
            each["content"] = "unfinished"
        else:
            each["jobs"] = inside
    return found


def drop_all(server: Server, *, prefix: str = LIVE) -> None:
    """Drop every database of the PMS."""
    names = server.psql(f"SELECT datname FROM pg_database WHERE starts_with(datname, '{prefix}')")
    server.psql("".join(f"DROP DATABASE {name} WITH (FORCE);\n" for name in names.splitlines()))


def clone(server: Server, template: str, name: str) -> None:
    """Make a database like another one, to which nobody is connected."""
    server.psql(f'CREATE DATABASE "{name}" OWNER macro_user TEMPLATE "{template}"')
    server.psql(
        f"COMMENT ON DATABASE {name} IS 'The fund''s database';"
        f"ALTER DATABASE {name} SET statement_timeout TO '15min';"
    )


# --- What is made ---------------------------------------------------------------------------------


def make_sets(release: Release, older: Release | None, into: Path) -> None:
    """Make the sets, and the database as it is after them."""
    server = release.server
    server.create(LIVE)
    server.psql(f"SET ROLE macro_user;{SCHEMA}", LIVE)
    server.psql(JOB, LIVE)
    if older:
        older.backup()
    with pms() as url:
        release.backup(format="custom", api_url=url)
    server.psql(f"SET ROLE macro_user;{BETWEEN_SETS}", LIVE)
    with pms() as url:
        release.backup(api_url=url)
    # Each set restored once: it has verified.json as the release writes it.
    for folder in sets():
        arguments = {"database": release.database(), **places(), "file": str(folder)}
        done = release.module("pms_restore", arguments)
        assert not done["status"], done
    held = release.module("pms_hold", {"set": str(sets()[0]), "reason": "The auditors ask for it"})
    assert not held["status"], held
    server.psql(f"SET ROLE macro_user;{AFTER_SETS}", LIVE)
    server.psql("SELECT _timescaledb_functions.stop_background_workers()", LIVE)
    server.psql(
        f"ALTER DATABASE {LIVE} ALLOW_CONNECTIONS false;"
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{LIVE}';"
        f"ALTER DATABASE {LIVE} RENAME TO before"
    )
    shutil.copytree(PLACE / "backups", into / "backups", symlinks=True)
    (into / "keys").mkdir()
    shutil.copytree(PLACE / "keys" / "trusted", into / "keys" / "trusted")
    (into / "after_sets.sql").write_text(AFTER_SETS.lstrip())


def sets() -> list[Path]:
    """Return the folders of the sets, oldest first."""
    return sorted(path.parent for path in (PLACE / "backups").glob("2*/manifest.json"))


def begin(server: Server, running: dict[str, Any], pristine: Path) -> None:
    """Have everything as it was before the first order of a scene."""
    drop_all(server)
    clone(server, "before", LIVE)
    shutil.rmtree(PLACE / "backups")
    subprocess.run(["cp", "-a", str(pristine), str(PLACE / "backups")], check=True)
    for each in running.values():
        each.start()


def play(release: Release, orders: list[dict[str, Any]]) -> list[str | None]:
    """Do the orders one after the other; return the names of what each brought."""
    incoming, brought = None, []
    for order in orders:
        result = release.run(order, incoming if order["do"] == "swap" else None)
        assert order.get("kill") or not result["status"], result
        incoming = result.get("side")
        brought.append(incoming or result.get("former"))
        time.sleep(1.1)  # marks say when, to the second
    return brought


def make_scene(
    release: Release, running: dict[str, Any], name: str, into: Path, pristine: Path
) -> None:
    """Play a scene, write down what it left, and what the release itself makes of that."""
    story, orders = SCENES[name]
    begin(release.server, running, pristine)
    play(release, orders)
    folder = into / "killed" / name
    keep_state(folder)
    left = databases(release.server)
    stopped = state_of(running)
    resume = None if orders[-1]["do"] == "rollback" else str(sets()[-1])
    result = release.run({"do": "recover", "resume": resume})
    assert not result["status"], result
    write(
        folder / "scene.json",
        {
            "story": story,
            "databases": left,
            "services_running": stopped,
            "resume": bool(resume),
            "outcome": {
                **{key: result[key] for key in ("changed", "waiting", "finished", "resumed")},
                "databases": databases(release.server),
                "services_running": state_of(running),
            },
        },
    )
    print(f"{name}: {', '.join(result['recovered'])}", flush=True)


class Book(StandIn):
    """A stand-in PMS that serves closed positions too."""

    def answer(self, method: str, path: str, query: dict, body: dict) -> tuple[int, Any]:
        """Return status and body."""
        if (method, path) == ("GET", "/api/v1/pms/book/positions"):
            wanted = query.get("is_open") == "true"
            return 200, [row for row in self.positions if row["is_open"] is wanted]
        return super().answer(method, path, query, body)


CHECKLIST = {
    "version": 1,
    "title": "A checklist",
    "sections": [{"id": "data", "title": "Data"}, {"id": "people", "title": "People"}],
    "checks": [
        {
            "id": name, "section": section, "title": f"Title of {name}", "severity": severity,
            "owner": "platform", "remedy": f"Mend {name}.", "probe": "command",
            "params": {"argv": [command]}, "expect": [{"path": "rc", "eq": 0}], "needs": needs,
        }
        for name, section, severity, command, needs in (
            ("disk", "data", "blocker", "true", []),
            ("backup", "data", "blocker", "DISK", ["disk"]),
            ("restore", "data", "blocker", "true", ["backup"]),
            ("logs", "data", "warning", "false", []),
        )
    ] + [
        {
            "id": "limits", "section": "people", "title": "Limits were reviewed",
            "severity": "blocker", "owner": "risk", "remedy": "Review them.", "probe": "attest",
        }
    ],
}  # fmt: skip
YESTERDAY, NEXT_MONTH = (str(date.today() + timedelta(days=days)) for days in (-1, 30))
STATEMENTS = {
    "attestations": [
        {"check": "limits", "who": "Carla", "when": YESTERDAY, "why": "Reviewed the limits"}
    ],
    "waivers": [
        {
            "check": "logs", "who": "Ana", "when": YESTERDAY, "until": NEXT_MONTH,
            "why": "Planned & agreed",
        }
    ],
}  # fmt: skip
CORRECTION = {
    "position_id": 1, "instrument": "USDBRL", "direction": "SHORT", "notional_brl": 10000000,
    "price": 5.25,
}  # fmt: skip
AS_ANOTHER_HOST = """
import runpy, socket, sys
socket.gethostname = lambda: "pms-host"
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
JOBS_OF_SCHEDULE = [
    {"name": "backup", "title": "Nightly backup", "command": ["true"]},
    {"name": "drill", "title": "Drill", "command": ["false"]},
    {"name": "gate", "title": "Checklist", "command": ["true"]},
]


def make_evidence(release: Release, running: dict[str, Any], into: Path, pristine: Path) -> None:
    """Make the evidence, the ledger, incidents, and a log of requests that a kill cut short."""
    begin(release.server, running, pristine)
    root = str(PLACE / "evidence")

    def module(name: str, **arguments: Any) -> dict[str, Any]:
        done = release.module(name, arguments)
        assert not done.pop("status"), done
        return done

    newest = sets()[-1]
    manifest = json.loads((newest / "manifest.json").read_bytes())
    for kind, record in (
        ("attestation", {"task": "morning.positions", "name": "Carla"}),
        ("backup", {"set": newest.name, "rows": manifest["totals"]["rows"]}),
        (
            "drill",
            {"set": newest.name, "proved": True, "differences": 0, "rto_seconds": 41.2,
             "rpo_seconds": 3600.0, "size_bytes": manifest["totals"]["bytes"]},
        ),
        ("restore", {"set": newest.name, "former": f"{LIVE}__before_20261129000000"}),
        ("rollback", {"brought_back": f"{LIVE}__before_20261129000000"}),
    ):  # fmt: skip
        module("pms_ledger", evidence_root=root, kind=kind, record=record)
    for command in ("false", "true"):  # a no-go and a go
        checklist = json.loads(json.dumps(CHECKLIST).replace("DISK", command))
        gate = module(
            "pms_gate", checklist=checklist, database=release.database(), attestations=STATEMENTS
        )
        gate.pop("invocation")
        written = module(
            "pms_evidence", evidence_root=root, backup_root=str(PLACE / "backups"), gate=gate,
            system={"name": LIVE}, targets={"rto_seconds": 900, "rpo_seconds": 86400},
        )  # fmt: skip
        time.sleep(1.1)
    module(
        "pms_ledger", evidence_root=root, kind="signoff",
        record={"run": written["run"], "record_sha256": written["record_sha256"],
                "verdict": written["verdict"], "role": "Risk officer", "name": "Ana"},
    )  # fmt: skip
    with (PLACE / "evidence" / "ledger.jsonl").open("a") as stream:
        stream.write('{"seq": 99, "at": "of a writer that was ki')
    signs = [{"id": "redis", "title": "Redis does not answer", "finding": "refused"}]
    for scenario, subject in (("redis", {}), ("position", {"position_id": 1})):
        about = {"evidence_root": root, "scenario": scenario, "subject": subject}
        module("pms_incident", **about, state="open", title=f"About {scenario}", signs=signs)
        module("pms_incident", **about, state="noted", action="Looked at it", finished=True)
    module(
        "pms_incident", evidence_root=root, scenario="redis", state="closed",
        facts={"cause": "It was stopped.", "data_loss": "none"},
        checks=[{"id": "redis", "title": "Redis answers", "status": "pass", "finding": "PONG"}],
    )  # fmt: skip
    book = Book()
    book.positions = json.loads(
        release.server.psql("SELECT json_agg(p ORDER BY id) FROM portfolio_positions p", LIVE)
    )
    with served(book) as url:
        release.module(
            "pms_position",
            {
                "database": release.database(),
                "api": {"url": url, "username": "manager", "password": "right"},
                "evidence_root": root,
                **CORRECTION,
            },
            {"file": "*/requests/position_*.json", "key": "steps.close.answered", "value": True,
             "when": "before"},
        )  # fmt: skip
    assert not book.positions[0]["is_open"]
    shutil.copytree(PLACE / "evidence", into / "evidence", symlinks=True)
    write(into / "correction.json", {"request": CORRECTION, "positions": book.positions})


def make_schedule(release: Release, into: Path) -> None:
    """Make the record of the schedule, and of what was told to whom."""
    state, metrics = PLACE / "schedule", PLACE / "schedule" / "metrics"
    rhythm = {"days": "daily", "at": ["22:15"], "window_minutes": 60}
    jobs = [rhythm | each for each in JOBS_OF_SCHEDULE]
    folders = {"state_dir": str(state), "metrics_dir": str(metrics)}
    metrics.mkdir(parents=True)
    config = PLACE / "schedule.json"
    write(config, folders | {"jobs": jobs})
    # A job without a record is due at once; the other one failed before it could begin.
    for action, name, result, status in (
        ("run", "backup", "success", "0"),
        ("end", "backup", "success", "0"),
        ("end", "drill", "exit-code", "203"),
    ):
        environment = os.environ | {
            "PMS_OPS_SCHEDULE": str(config), "INVOCATION_ID": name,
            "SERVICE_RESULT": result, "EXIT_STATUS": status,
        }  # fmt: skip
        script = str(release.checkout / "scripts" / "scheduled.py")
        done = subprocess.run(
            [sys.executable, "-c", AS_ANOTHER_HOST, script, action, name],
            env=environment,
            timeout=60,
        )
        assert done.returncode == 0
    with pms() as url:
        channels = [
            {"name": "desk", "type": "webhook", "url": url},
            {"name": "phone", "type": "webhook", "url": NOBODY_ANSWERS},
        ]
        release.module(
            "pms_notify",
            {"channels": channels, "attempts": 1, "kind": "failure", "source": "drill",
             "summary": "The drill failed.", "code": "restore.different", "state_dir": str(state)},
        )  # fmt: skip
    shutil.copytree(state, into / "schedule")
    shutil.copy(config, into / "schedule.json")


def make_backup(release: Release, running: dict[str, Any], into: Path, pristine: Path) -> None:
    """Keep what a backup leaves that is killed before its set has got its name."""
    begin(release.server, running, pristine)
    release.module(
        "pms_backup",
        {"database": release.database(), **places()},
        {"file": "*/backup.progress", "key": "phase", "value": "checksums", "when": "after"},
    )
    folder = into / "killed-backup"
    keep_state(folder)
    (partial,) = (PLACE / "backups").glob(".partial-*")
    shutil.copytree(partial, folder / partial.name)


def make_weeks(release: Release, running: dict[str, Any], into: Path, pristine: Path) -> None:
    """Write down a server with former databases, one undone and one that waits."""
    begin(release.server, running, pristine)
    play(release, WEEKS)
    folder = into / "marked"
    keep_state(folder)
    write(folder / "scene.json", {"databases": databases(release.server)})


def keep_state(folder: Path) -> None:
    """Keep the folder of locks and journals as it is."""
    folder.mkdir(parents=True)
    shutil.copytree(PLACE / "backups" / ".pms-ops", folder / ".pms-ops")


def state_of(running: dict[str, Any]) -> list[str]:
    """Return the services that run."""
    return [name for name, each in running.items() if is_running(each)]


def is_running(container: Any) -> bool:
    """Tell whether a container runs."""
    container.reload()
    return bool(container.status == "running")


def write(path: Path, document: Any) -> None:
    """Write JSON for people."""
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    """Make everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("into", type=Path)
    parser.add_argument("--older", type=Path, help="a checkout that writes schema 1")
    parser.add_argument("--scene", action="append", help="only these scenes")
    arguments = parser.parse_args()
    PLACE.mkdir(mode=0o755)
    arguments.into.mkdir(parents=True)
    try:
        with running_server() as server, services() as (project, running):
            release = Release(arguments.checkout, server, project)
            older = Release(arguments.older, server, project) if arguments.older else None
            make_sets(release, older, arguments.into)
            pristine = PLACE / "pristine"
            subprocess.run(["cp", "-a", str(PLACE / "backups"), str(pristine)], check=True)
            make_evidence(release, running, arguments.into, pristine)
            make_schedule(release, arguments.into)
            for name in SCENES if arguments.scene is None else arguments.scene:
                make_scene(release, running, name, arguments.into, pristine)
            make_backup(release, running, arguments.into, pristine)
            make_weeks(release, running, arguments.into, pristine)
    finally:
        shutil.rmtree(PLACE)


if __name__ == "__main__":
    os.umask(0o022)
    main()
