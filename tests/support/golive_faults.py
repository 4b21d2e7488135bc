# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""For each check of the checklist a way to break the system that turns this check red.

*kind* says what is broken, and so which probes can see it; see test_golive_faults.py, which runs
through the table. What *do* is depends on it:

- sql: statements run as the superuser in a copy of the database;
- answer: answers of the PMS, Dagster or Grafana that a stand-in in front of them alters;
- pms: the environment of a PMS started for it;
- container: what is different about the container of a service;
- redis: a command to Redis, and the one that undoes it;
- files: a function that breaks a copy of backups, evidence or scripts, and says what to look at;
- smoke: what is wrong with a PMS while the smoke test trades through it;
- step: the step of the go-live that fails;
- pitr: what is different about the continuous protection that was seen;
- settings: what the inventory says wrongly;
- attest: nothing; the statement is not there, and the check is unknown.

*touches* are other checks that turn red too, each with the reason.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import exchange_calendar, files
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.repository import manifest, set_parts, sets, site_notes

from tests.support.altering import Alter, body, status
from tests.support.golive_system import (
    TODAY,
    Overrides,
    System,
    anchor,
    record_drill,
    record_drill_elsewhere,
    record_proof,
    record_site_proof,
    schedule_status,
)

DAYS = [TODAY]
while len(DAYS) < 8:
    DAYS.append(exchange_calendar.previous_business_day(DAYS[-1]))


@dataclass(frozen=True)
class Fault:
    """One way to break the system."""

    check: str
    how: str
    kind: str
    do: Any = None
    touches: Mapping[str, str] = field(default_factory=dict)


# --- SQL ------------------------------------------------------------------------------------------


def lie(name: str, value: str) -> str:
    """Make the database say something else of itself than it does."""
    return f"INSERT INTO lies.said VALUES ('{name}', '{value}')"


def series_ends(code: str, before: Any) -> str:
    """Take a series' values away from a day on."""
    return (
        "DELETE FROM macro_series USING series_metadata s, data_sources d"
        " WHERE s.id = series_id AND d.id = s.source_id AND d.name = 'BCB_SGS'"
        f" AND s.series_code = '{code}' AND observation_date >= '{before}'"
    )


def prices_of(ticker: str, where: str) -> str:
    """Take prices of an instrument away."""
    return (
        "DELETE FROM market_data m USING instruments i WHERE i.id = m.instrument_id"
        f" AND i.ticker = '{ticker}' AND {where}"
    )


DAY_OF_PRICE = "(m.\"timestamp\" AT TIME ZONE 'UTC')::date"
SAME_ROWS = "it reads the same rows"

SQL = (
    Fault(
        "infra.database.reachable",
        "the database is not there",
        "settings",
        Overrides(settings={"database": {"name": "macro_trading_gone"}}),
    ),
    Fault(
        "infra.database.version",
        "the server says that it is release 14",
        "sql",
        lie("server_version_num", "140011"),
    ),
    Fault("infra.database.extension", "timescaledb is too old", "sql", lie("extversion", "2.13.1")),
    Fault(
        "infra.database.extension_current",
        "the server's files are of a newer timescaledb",
        "sql",
        lie("default_version", "2.99.0"),
    ),
    Fault(
        "infra.database.not_restoring",
        "a restore was not finished",
        "sql",
        'ALTER DATABASE "{database}" SET timescaledb.restoring = on',
    ),
    Fault(
        "infra.database.scheduler",
        "the background workers were stopped",
        "sql",
        "SELECT _timescaledb_functions.stop_background_workers()",
    ),
    Fault(
        "infra.database.pms_tables",
        "a table of the PMS was dropped",
        "sql",
        "DROP TABLE daily_briefings",
    ),
    Fault(
        "infra.database.market_tables",
        "a table of the market data was dropped",
        "sql",
        "DROP TABLE nlp_documents",
    ),
    Fault(
        "infra.database.revision",
        "the last migration did not run",
        "sql",
        "UPDATE alembic_version SET version_num = 'i9j0k1l2m3n4'",
    ),
    Fault(
        "infra.database.hypertables",
        "a restore left a plain table in place of a hypertable",
        "sql",
        "CREATE TABLE plain AS SELECT * FROM vol_surfaces; DROP TABLE vol_surfaces;"
        " ALTER TABLE plain RENAME TO vol_surfaces",
    ),
    Fault(
        "infra.database.catalogue",
        "a row came into the root table while a restore was not finished",
        "sql",
        "SET session_replication_role = replica; SET timescaledb.restoring = on;"
        " INSERT INTO vol_surfaces SELECT * FROM vol_surfaces LIMIT 1",
    ),
    Fault(
        "infra.database.foreign_keys",
        "a foreign key is lost",
        "sql",
        "ALTER TABLE decision_journal DROP CONSTRAINT decision_journal_position_id_fkey",
    ),
    Fault(
        "infra.database.compression",
        "the edition has compression and no job does it",
        "sql",
        lie("timescaledb.license", "timescale"),
    ),
    Fault(
        "infra.database.jobs",
        "a job of the PMS failed in its last run",
        "sql",
        """INSERT INTO _timescaledb_config.bgw_job (id, application_name, schedule_interval,
             max_runtime, max_retries, retry_period, proc_schema, proc_name, owner, scheduled,
             fixed_schedule, initial_start)
           VALUES (1001, 'of the PMS', '1 day', '0', 0, '1 day', 'public', 'of_the_pms',
             'macro_user', false, false, now());
           INSERT INTO _timescaledb_internal.bgw_job_stat (job_id, last_start, last_finish,
             next_start, last_successful_finish, last_run_success, total_runs, total_duration,
             total_duration_failures, total_successes, total_failures, total_crashes,
             consecutive_failures, consecutive_crashes, flags)
           VALUES (1001, now(), now(), now() + '1 day', '-infinity', false, 1, '1 s', '1 s', 0, 1,
             0, 1, 0, 0)""",
    ),
    Fault(
        "infra.database.connections",
        "the server takes fewer connections than are in use",
        "sql",
        lie("max_connections", "2"),
    ),
    Fault(
        "infra.database.blocked",
        "a transaction has been open for two hours",
        "sql",
        lie("open_for", "2 hours"),
    ),
    Fault(
        "infra.database.wraparound",
        "transaction ids were not frozen for long",
        "sql",
        lie("age", "1500000000"),
    ),
    Fault(
        "infra.database.current",
        "nothing was ingested for the last business day",
        "sql",
        f"DELETE FROM market_data m WHERE {DAY_OF_PRICE} >= '{DAYS[1]}'",
        dict.fromkeys(("data.usdbrl", "data.ptax", "data.gaps"), SAME_ROWS),
    ),
    Fault(
        "config.owner",
        "a superuser owns the database",
        "sql",
        'ALTER DATABASE "{database}" OWNER TO postgres',
    ),
    Fault("data.selic", "SELIC's newest value is missing", "sql", series_ends("432", DAYS[1])),
    Fault("data.selic_daily", "the daily SELIC stands still", "sql", series_ends("11", DAYS[2])),
    Fault("data.cdi", "CDI stands still", "sql", series_ends("12", DAYS[2])),
    Fault("data.ipca", "IPCA stands still", "sql", series_ends("433", "2000-01-01")),
    Fault("data.ipca_12m", "IPCA 12m stands still", "sql", series_ends("13522", "2000-01-01")),
    Fault("data.stale", "PTAX of the central bank stands still", "sql", series_ends("1", DAYS[6])),
    Fault(
        "data.di_curve",
        "the curve is in percent and not in decimals",
        "sql",
        f"UPDATE curves SET rate = 13.5 WHERE curve_id = 'DI_PRE' AND curve_date >= '{DAYS[5]}'",
    ),
    Fault(
        "data.usdbrl",
        "the newest price is a hundred times too high",
        "sql",
        "UPDATE market_data m SET close = close * 100 FROM instruments i"
        f" WHERE i.id = m.instrument_id AND i.ticker = 'USDBRL' AND {DAY_OF_PRICE} >= '{DAYS[1]}'",
    ),
    Fault(
        "data.ptax",
        "PTAX's newest value is missing",
        "sql",
        prices_of("USDBRL_PTAX", f"{DAY_OF_PRICE} >= '{DAYS[1]}'"),
    ),
    Fault(
        "data.depth",
        "the history was never loaded",
        "sql",
        prices_of("USDBRL", "m.\"timestamp\" < now() - interval '100 days'"),
    ),
    Fault(
        "data.returns",
        "the portfolio's returns were never made",
        "sql",
        "DELETE FROM portfolio_returns WHERE return_date > current_date - 900",
    ),
    Fault(
        "data.gaps",
        "a day of last week is missing",
        "sql",
        prices_of("USDBRL", f"{DAY_OF_PRICE} = '{DAYS[3]}'"),
    ),
    Fault(
        "data.duplicates",
        "two connectors write the same price",
        "sql",
        """DO $$DECLARE name text; BEGIN
             FOR name IN SELECT conname FROM pg_constraint
                          WHERE conrelid = 'market_data'::regclass AND contype IN ('u', 'p')
             LOOP EXECUTE format('ALTER TABLE market_data DROP CONSTRAINT %I', name); END LOOP;
             FOR name IN SELECT indexname FROM pg_indexes
                          WHERE tablename = 'market_data' AND indexdef LIKE 'CREATE UNIQUE%'
             LOOP EXECUTE format('DROP INDEX %I', name); END LOOP;
           END$$;
           INSERT INTO market_data SELECT * FROM market_data m
            WHERE m."timestamp" > now() - interval '9 days' LIMIT 1""",
    ),
    Fault(
        "data.prices",
        "a price is zero",
        "sql",
        "UPDATE market_data m SET close = 0 WHERE m.id = (SELECT m.id FROM market_data m"
        " JOIN instruments i ON i.id = m.instrument_id WHERE i.ticker NOT LIKE 'USDBRL%'"
        " AND m.frequency = 'daily' AND m.\"timestamp\" > now() - interval '9 days' LIMIT 1)",
    ),
    Fault(
        "data.agents",
        "an agent did not report",
        "sql",
        "DELETE FROM agent_reports WHERE agent_id = 'fx_agent'",
    ),
    Fault(
        "data.journal",
        "somebody wrote an entry by hand",
        "sql",
        "INSERT INTO decision_journal (entry_type, content_hash, is_locked)"
        " VALUES ('NOTE', repeat('0', 64), true)",
    ),
    Fault(
        "data.journal_trigger",
        "somebody switched the trigger off",
        "sql",
        "ALTER TABLE decision_journal DISABLE TRIGGER USER",
    ),
    Fault(
        "data.positions",
        "nothing was marked since last week",
        "sql",
        f"DELETE FROM position_pnl_history WHERE snapshot_date >= '{DAYS[4]}'",
    ),
    Fault(
        "data.pnl",
        "a result does not follow from its prices, here and in the history",
        "sql",
        "UPDATE portfolio_positions SET unrealized_pnl_brl = unrealized_pnl_brl + 1000"
        " WHERE is_open; UPDATE position_pnl_history"
        " SET unrealized_pnl_brl = unrealized_pnl_brl + 1000",
    ),
    Fault(
        "data.pnl_history",
        "the history has another price than the position",
        "sql",
        "UPDATE position_pnl_history SET mark_price = mark_price * 1.1",
    ),
    Fault(
        "data.book",
        "a closed position has no time of closing",
        "sql",
        "UPDATE portfolio_positions SET closed_at = NULL WHERE NOT is_open",
    ),
    Fault(
        "data.approvals",
        "an approved proposal has no position",
        "sql",
        "UPDATE trade_proposals SET position_id = NULL WHERE status = 'APPROVED'",
    ),
)

# --- Redis ----------------------------------------------------------------------------------------


def configured(check: str, how: str, name: str, wrong: str, right: str) -> Fault:
    """Return a fault of Redis's configuration."""
    return Fault(
        check, how, "redis", (["CONFIG", "SET", name, wrong], ["CONFIG", "SET", name, right])
    )


REDIS = (
    Fault(
        "infra.redis.ping",
        "the role may not PING any more",
        "redis",
        (["ACL", "SETUSER", "default", "-ping"], ["ACL", "SETUSER", "default", "+ping"]),
    ),
    configured("infra.redis.password", "there is no password", "requirepass", "", "{password}"),
    configured(
        "infra.redis.eviction",
        "a full Redis refuses writes",
        "maxmemory-policy",
        "noeviction",
        "allkeys-lru",
    ),
    configured("infra.redis.memory", "there is no limit", "maxmemory", "0", "256mb"),
    configured("infra.redis.ready", "no append-only file", "appendonly", "no", "yes"),
)

# --- The PMS, Dagster, Grafana --------------------------------------------------------------------


def answer(
    check: str,
    how: str,
    path: str,
    change: Any,
    *,
    service: str = "api",
    asked: str = "",
    delay: float = 0.0,
    touches: Mapping[str, str] | None = None,
) -> Fault:
    """Return a fault that is one altered answer."""
    rule = Alter(service, path, change, asked, delay)
    return Fault(check, how, "answer", rule, touches or {})


def _set(*path: Any, to: Any) -> Any:
    """Return a change that puts a value at a place of the body."""

    def change(found: Any) -> None:
        for step in path[:-1]:
            found = found[step]
        found[path[-1]] = to

    return body(change)


def _without_route(found: Any) -> None:
    del found["paths"]["/api/v1/pms/morning-pack/generate"]


def _misspelt_panel(found: Any) -> None:
    """Let the first panel with a query ask for a column that there is not."""
    panels = found["dashboard"]["panels"]
    target = next(
        target for panel in panels for target in panel.get("targets") or [] if target.get("rawSql")
    )
    target["rawSql"] = f"SELECT no_such_column FROM ({target['rawSql'].rstrip('; ')}) AS panel"


def _failed_location(found: Any) -> None:
    entry = found["data"]["workspaceOrError"]["locationEntries"][0]
    entry["locationOrLoadError"] = {"__typename": "PythonError", "message": "No module named x"}


def _stopped(found: Any) -> None:
    schedules = found["data"]["repositoriesOrError"]["nodes"][0]["schedules"]
    schedules[1]["scheduleState"]["status"] = "STOPPED"


def _silent_for_three_minutes(found: Any) -> None:
    for daemon in found["data"]["instance"]["daemonHealth"]["allDaemonStatuses"]:
        daemon["lastHeartbeatTime"] -= 180


def _failed_run(found: Any) -> None:
    found["data"]["runsOrError"]["results"][0]["status"] = "FAILURE"


def _degraded(_found: Any) -> Any:
    return {"status": "degraded", "database": "disconnected"}


def _fewer(found: Any) -> Any:
    return [each for each in found if each["uid"] != "risk-dashboard"]


def panels(check: str, uid: str) -> Fault:
    """Return the fault of a dashboard's panel."""
    how = "a panel asks for a column that there is not"
    path = f"/api/dashboards/uid/{uid}"
    return answer(check, how, path, body(_misspelt_panel), service="grafana")


ANSWERS = (
    answer(
        "infra.api.health",
        "the PMS lost its database, and answers 200 all the same",
        "/health",
        body(_degraded),
    ),
    answer(
        "infra.api.data",
        "the PMS is connected to an empty database",
        "/health/data-status",
        _set("table_counts", "market_data", to=0),
    ),
    answer("infra.api.routes", "another release runs", "/openapi.json", body(_without_route)),
    answer(
        "infra.api.positions",
        "the book is empty",
        "/api/v1/pms/book/positions",
        body(lambda _: []),
    ),
    answer(
        "infra.api.proposals",
        "no proposal was read from the database",
        "/api/v1/pms/trades/proposals",
        body(lambda _: []),
    ),
    answer(
        "infra.api.journal",
        "the journal is empty over HTTP",
        "/api/v1/pms/journal/",
        body(lambda _: []),
    ),
    answer(
        "infra.api.risk",
        "a concentration limit is breached, which only the alerts say",
        "/api/v1/pms/risk/live",
        _set("alerts", to=[{"type": "CONCENTRATION_BREACH", "severity": "BREACH"}]),
    ),
    answer(
        "infra.api.var",
        "the risk is not computed",
        "/api/v1/pms/risk/live",
        _set("var", "parametric_95", to=0.0),
    ),
    answer(
        "infra.api.attribution",
        "nothing is attributed",
        "/api/v1/pms/attribution",
        _set("by_asset_class", to=[]),
    ),
    answer(
        "infra.api.fast",
        "the book takes longer than two seconds",
        "/api/v1/pms/book",
        body(lambda _: None),
        delay=2.1,
    ),
    answer(
        "config.risk_limits.configured",
        "the release has no limits",
        "/api/v1/pms/risk/limits",
        _set("config", to={}),
    ),
    answer(
        "config.risk_limits.var",
        "the VaR limit is another than the approved one",
        "/api/v1/pms/risk/live",
        _set("var", "limit_95_pct", to=5.0),
    ),
    answer(
        "config.narrative",
        "neither model nor template wrote anything",
        "/api/v1/pms/morning-pack/latest",
        _set("macro_narrative", to=""),
    ),
    answer(
        "config.auth",
        "a write without a token is not refused",
        "/api/v1/pms/book/positions/0/close",
        status(404),
    ),
    answer(
        "monitoring.alerts_route",
        "the PMS does not read its alerts",
        "/api/v1/monitoring/alerts",
        _set("status", to="error"),
    ),
    answer(
        "monitoring.components",
        "the PMS says that its database is not well",
        "/api/v1/monitoring/system-health",
        _set("data", "components", "database", "status", to="unhealthy"),
    ),
    answer(
        "infra.dagster.webserver",
        "something else answers at Dagster's port",
        "/server_info",
        body(lambda _: {"name": "something else"}),
        service="dagster",
    ),
    answer(
        "infra.dagster.code",
        "the code location does not load",
        "/graphql",
        body(_failed_location),
        service="dagster",
        asked="workspaceOrError",
    ),
    answer(
        "infra.dagster.schedules",
        "a schedule is stopped",
        "/graphql",
        body(_stopped),
        service="dagster",
        asked="schedules {",
    ),
    answer(
        "infra.dagster.daemons",
        "a scheduler that died is healthy to Dagster",
        "/graphql",
        body(_silent_for_three_minutes),
        service="dagster",
        asked="daemonHealth",
    ),
    answer(
        "infra.dagster.last_run",
        "the last run failed",
        "/graphql",
        body(_failed_run),
        service="dagster",
        asked="runsOrError",
    ),
    answer(
        "monitoring.dagster",
        "a proxy's page stands where Dagster's should",
        "/",
        body(lambda _: "<html>Bad gateway</html>"),
        service="dagster",
    ),
    answer(
        "monitoring.grafana",
        "Grafana lost its own database",
        "/api/health",
        _set("database", to="failing"),
        service="grafana",
    ),
    answer(
        "monitoring.dashboards",
        "a dashboard was not provisioned",
        "/api/search",
        body(_fewer),
        service="grafana",
    ),
    answer(
        "monitoring.datasource",
        "the data source was provisioned without its uid",
        "/api/datasources",
        _set(0, "uid", to="P0000000001"),
        service="grafana",
    ),
    panels("monitoring.panels.pipeline_health", "pipeline-health"),
    panels("monitoring.panels.portfolio_performance", "portfolio-performance"),
    panels("monitoring.panels.risk_dashboard", "risk-dashboard"),
    panels("monitoring.panels.signal_overview", "signal-overview"),
)

EVERYBODY = "in debug mode every caller is an administrator"
PMS = (
    Fault(
        "config.debug",
        "DEBUG=true",
        "pms",
        {"DEBUG": "true"},
        dict.fromkeys(("config.jwt.empty", "config.jwt.placeholder", "config.auth"), EVERYBODY),
    ),
    Fault("config.aum", "the PMS counts with another AUM", "pms", {"FUND_AUM_BRL": "200000000"}),
    Fault("config.jwt.empty", "JWT_SECRET_KEY is empty", "pms", {"JWT_SECRET_KEY": ""}),
    Fault(
        "config.jwt.placeholder",
        "JWT_SECRET_KEY is the shipped one",
        "pms",
        {"JWT_SECRET_KEY": "changeme-generate-a-real-secret"},
    ),
    Fault(
        "config.passwords.login",
        "admin has the password changeme",
        "pms",
        {"PMS_ADMIN_PASSWORD": "changeme"},
    ),
    Fault("config.manager", "the manager has no password", "pms", {"PMS_MANAGER_PASSWORD": ""}),
)

# --- Containers -----------------------------------------------------------------------------------

UNHEALTHY = {
    "healthcheck": {
        "test": ["CMD", "false"],
        "interval": 200_000_000,
        "timeout": 2_000_000_000,
        "retries": 1,
    },
    "until": lambda found: found["State"]["Health"]["Status"] == "unhealthy",
}
ENDS_AT_ONCE = {
    "command": ["false"],
    "until": lambda found: found["RestartCount"] > 0,
}


def container(check: str, how: str, service: str, **changes: Any) -> Fault:
    """Return a fault of a service's container."""
    return Fault(check, how, "container", (service, changes))


def environment(check: str, how: str, **variables: str | None) -> Fault:
    """Return a fault of what the API's container was started with."""
    return container(check, how, "api", environment=variables)


def bound_to_all(check: str, service: str) -> Fault:
    """Return a fault of a service's port."""
    return container(check, "the port is bound to every address", service, address="0.0.0.0")


def endless_log(check: str, service: str) -> Fault:
    """Return a fault of a service's log."""
    return container(check, "the log is never rotated", service, log={})


CONTAINERS = (
    container("infra.container.timescaledb", "it is paused", "timescaledb", state="paused"),
    container("infra.container.redis", "it was made and never started", "redis", state="created"),
    container("infra.container.api", "its health check fails", "api", **UNHEALTHY),
    container(
        "infra.container.dagster_webserver",
        "it ends as soon as it starts, again and again",
        "dagster-webserver",
        **ENDS_AT_ONCE,
    ),
    container(
        "infra.container.dagster_daemon", "it was never started", "dagster-daemon", state="created"
    ),
    container("infra.container.grafana", "it was never started", "grafana", state="created"),
    container(
        "infra.container.restart",
        "it does not start again after a reboot",
        "timescaledb",
        restart_policy={"Name": "no"},
    ),
    environment("config.timezone", "the API counts in UTC", TZ=None),
    environment("config.jwt.length", "the secret is short", JWT_SECRET_KEY="too-short"),
    environment("config.users", "a user has no password", PMS_RISK_PASSWORD=None),
    environment(
        "config.passwords.stores", "the database's password ships", POSTGRES_PASSWORD="macro_pass1"
    ),
    environment(
        "config.passwords.users", "a user's password ships", PMS_VIEWER_PASSWORD="changeme"
    ),
    bound_to_all("config.ports.timescaledb", "timescaledb"),
    bound_to_all("config.ports.redis", "redis"),
    bound_to_all("config.ports.api", "api"),
    bound_to_all("config.ports.dagster", "dagster-webserver"),
    bound_to_all("config.ports.grafana", "grafana"),
    endless_log("monitoring.logs.timescaledb", "timescaledb"),
    endless_log("monitoring.logs.api", "api"),
    endless_log("monitoring.logs.dagster", "dagster-daemon"),
)

# --- Backups, drills, evidence, disks, commands ---------------------------------------------------


def _copied_set(system: System, folder: Path) -> Path:
    """Return the folder of a copy of the one backup set."""
    shutil.copytree(system.settings.backup_root, folder / "backups", symlinks=True)
    return sets.newest(folder / "backups")


def _rewritten(system: System, folder: Path, **changes: Any) -> Overrides:
    """Change what a set says of itself; it stays a verified one."""
    taken = _copied_set(system, folder)
    document = manifest.read(taken)
    for name, value in changes.items():
        section = document.get(name)
        document[name] = {**section, **value} if isinstance(section, dict) else value
    files.replace(taken / manifest.NAME, json.dumps(document).encode(), mode=0o400)
    sets.mark_verified(taken, {"set": document["id"]})
    return Overrides(settings={"backup_root": str(folder / "backups")})


def _old_set(system: System, folder: Path) -> Overrides:
    return _rewritten(system, folder, snapshot_at="2026-01-02T06:00:00Z")


def _set_of_another_server(system: System, folder: Path) -> Overrides:
    return _rewritten(system, folder, server={"system_identifier": "7000000000000000001"})


def _empty_set(system: System, folder: Path) -> Overrides:
    return _rewritten(system, folder, totals={"bytes": 512})


def _trial_of(**found: Any) -> Any:
    trial = {"status": "passed", "reason": None, "findings": [], "count": 0, "seconds": 1.0}
    return lambda system, folder: _rewritten(system, folder, trial=trial | found)


_refused_set = _trial_of(
    status="refused",
    findings=[{"object": "COLUMN public.c.n", "what": "has nulls.", "remedy": "Set them."}],
    count=1,
)
_untried_set = _trial_of(status="not run", reason="the server's disk has 1 kB free")


def _set_without_packs(system: System, folder: Path) -> Overrides:
    parts = {"redis": set_parts.not_taken(set_parts.REDIS, "Redis did not answer.")}
    return _rewritten(system, folder, parts=parts)


def _shrunk_set(system: System, folder: Path) -> Overrides:
    lost = {"since": "2026-01-01_0600", "findings": ["table public.t has 1 rows of 5001"]}
    return _rewritten(system, folder, shrunk=lost)


def _unproved_set(system: System, folder: Path) -> Overrides:
    (_copied_set(system, folder) / sets.VERIFIED).unlink()
    return Overrides(settings={"backup_root": str(folder / "backups")})


def _growing_sets(system: System, folder: Path) -> Overrides:
    """Let a set be as large as a tenth of what is free; the file has no blocks."""
    taken = _copied_set(system, folder)
    with (taken / "grown").open("wb") as stream:
        stream.truncate(shutil.disk_usage(folder).free // 10)
    return Overrides(settings={"backup_root": str(folder / "backups")})


def _drilled(**record: Any) -> Any:
    def change(system: System, folder: Path) -> Overrides:
        document = manifest.read(sets.newest(Path(system.settings.backup_root)))
        record_drill(folder / "evidence", document, "0" * 64, **record)
        return Overrides(settings={"evidence_root": str(folder / "evidence")})

    return change


def _altered_ledger(system: System, folder: Path) -> Overrides:
    shutil.copytree(system.settings.evidence_root, folder / "evidence")
    path = folder / "evidence" / "ledger.jsonl"
    text = path.read_text()
    path.write_text(text.replace('"rto_seconds":12.0', '"rto_seconds":11.0'))
    assert path.read_text() != text
    return Overrides(settings={"evidence_root": str(folder / "evidence")})


def _full_disk(system: System, folder: Path) -> Overrides:
    """Fill a file system of one megabyte; *folder* / full is one."""
    full = folder / "full"
    (full / "ballast").write_bytes(bytes(970_000))
    return Overrides(variables={"data_path": str(full)})


def _full_evidence(system: System, folder: Path) -> Overrides:
    full = folder / "full"
    shutil.copytree(system.settings.evidence_root, full / "evidence")
    (full / "ballast").write_bytes(bytes(940_000))
    return Overrides(settings={"evidence_root": str(full / "evidence")})


def _failing_script(name: str) -> Any:
    def change(system: System, folder: Path) -> Overrides:
        shutil.copytree(system.settings.app_dir, folder / "app")
        (folder / "app" / "scripts" / f"{name}.py").write_text("raise SystemExit(1)\n")
        return Overrides(settings={"app_dir": str(folder / "app")})

    return change


def _late_job(system: System, folder: Path) -> Overrides:
    status = folder / "schedule.json"
    status.write_text(schedule_status("2026-01-02T00:00:00+00:00"))
    return Overrides(variables={"schedule_status": str(status)})


def _failed_proof(system: System, folder: Path) -> Overrides:
    shutil.copytree(system.settings.evidence_root, folder / "evidence")
    record_proof(folder / "evidence", "2026-01-02_0600", proved=False, code="pitr.differs")
    return Overrides(settings={"evidence_root": str(folder / "evidence")})


def _failed_site_proof(system: System, folder: Path) -> Overrides:
    shutil.copytree(system.settings.evidence_root, folder / "evidence")
    failed = {"proved": False, "code": "set.damaged", "why": "a.csv has another content"}
    record_site_proof(folder / "evidence", "second", "2026-01-02_0600", **failed)
    return Overrides(settings={"evidence_root": str(folder / "evidence")})


def _drilled_on_the_same_machine(system: System, folder: Path) -> Overrides:
    shutil.copytree(system.settings.evidence_root, folder / "evidence")
    kernel = "both are containers of one machine: their kernel is the same"
    shared = {"segregated": False, "shared": [kernel]}
    record_drill_elsewhere(folder / "evidence", "2026-01-02_0600", **shared)
    return Overrides(settings={"evidence_root": str(folder / "evidence")})


def _recomputed_ledger(system: System, folder: Path) -> Overrides:
    """Let an anchor have another head than the ledger, whose own head fits."""
    shutil.copytree(system.settings.evidence_root, folder / "evidence")
    anchor(folder / "evidence", sha256="0" * 64)
    return Overrides(settings={"evidence_root": str(folder / "evidence")})


def _forgotten_deficiency(system: System, folder: Path) -> Overrides:
    shutil.copytree(system.settings.evidence_root, folder / "evidence")
    record = {"act": "opened", "id": "D-1", "title": "t", "owner": "o", "due": "2026-01-01"}
    ledger.append(folder / "evidence", "deficiency", record, now=datetime.now(UTC))
    return Overrides(settings={"evidence_root": str(folder / "evidence")})


def _noted(act: str, **facts: Any) -> Any:
    """Let the note of one site say this of an act on it."""

    def change(system: System, folder: Path) -> Overrides:
        taken = _copied_set(system, folder)
        newest = {"set": taken.name} if act == "upload" else {}
        site_notes.done(folder / "backups", "second", act, newest | facts, datetime.now(UTC))
        return Overrides(settings={"backup_root": str(folder / "backups")})

    return change


OTHER_SET = {"set": "2026-01-02_0600", "manifest_sha256": "1" * 64}
FILES = (
    Fault("backup.age", "the nightly run did not happen", "files", _old_set),
    Fault(
        "backup.system",
        "another server writes into the same folder",
        "files",
        _set_of_another_server,
    ),
    Fault("backup.verified", "nobody ever restored the set", "files", _unproved_set),
    Fault("backup.restorable", "a child has nulls that its parent refuses", "files", _refused_set),
    Fault("backup.tried", "the server had no room for a trial", "files", _untried_set),
    Fault("backup.parts", "Redis hung during the backup", "files", _set_without_packs),
    Fault("backup.size", "the set was made of an empty database", "files", _empty_set),
    Fault("backup.not_shrunk", "somebody deleted most rows of a table", "files", _shrunk_set),
    Fault("backup.space", "sets grow faster than the disk has room", "files", _growing_sets),
    Fault("backup.drill", "the last drill was of an older set", "files", _drilled(**OTHER_SET)),
    Fault("backup.rto", "a restore takes a day", "files", _drilled(rto_seconds=86400.0)),
    Fault("backup.rpo", "a restore loses a week", "files", _drilled(rpo_seconds=604800.0)),
    Fault("backup.ledger", "somebody altered a line of the ledger", "files", _altered_ledger),
    Fault("backup.pitr_proved", "a copy of pages and WAL differs", "files", _failed_proof),
    Fault(
        "backup.offsite_current",
        "somebody signed the newest set with a key of today",
        "files",
        _noted("upload", proved=True, signs=["it is signed by key 0123456789ab"]),
    ),
    Fault(
        "evidence.anchored",
        "the ledger was computed anew after its head had left the machine",
        "files",
        _recomputed_ledger,
    ),
    Fault(
        "evidence.deficiencies",
        "its owner forgot a deficiency",
        "files",
        _forgotten_deficiency,
    ),
    Fault("backup.offsite_proved", "a set came back damaged", "files", _failed_site_proof),
    Fault(
        "backup.drilled_elsewhere",
        "the host of the drill is a container of the same machine",
        "files",
        _drilled_on_the_same_machine,
    ),
    Fault(
        "backup.offsite_immutable",
        "a site let this machine delete a copy",
        "files",
        _noted("immutable", refused=False),
    ),
    Fault(
        "backup.offsite_sites",
        "one of two sites has an older set",
        "files",
        _noted("upload", set="2026-01-02_0600", proved=True, signs=[]),
        touches={"backup.offsite_current": "that site lacks the newest set"},
    ),
    Fault("monitoring.schedule", "the nightly job is late", "files", _late_job),
    Fault("infra.database.disk", "the disk of the containers is full", "files", _full_disk),
    Fault("monitoring.disk", "the disk of the evidence is full", "files", _full_evidence),
    Fault("data.verify_phase2", "the script fails", "files", _failing_script("verify_phase2")),
    Fault("data.verify_phase3", "the script fails", "files", _failing_script("verify_phase3")),
)

# --- Continuous protection ------------------------------------------------------------------------

MISSING = "0000000100000000000000A1"
PITR = (
    Fault(
        "backup.window",
        "a WAL segment is missing",
        "pitr",
        {"missing": MISSING, "problems": [f"WAL segment {MISSING} is missing."]},
    ),
    Fault(
        "backup.stream_lag",
        "the receiver has been away for ten minutes",
        "pitr",
        {"active": False, "lag_seconds": 600.0},
    ),
)

# --- The smoke test -------------------------------------------------------------------------------


def lost(table: str, number: int) -> dict[str, Any]:
    """Let the n-th look into a table find nothing, as if the write had not arrived."""
    return {"lost": (table, number)}


def wrong(*names: str) -> dict[str, Any]:
    """Switch faults of the unit tests' stand-in on."""
    return {"faults": set(names)}


NO_ENTRY = "the journal lacks the entry of what did not happen as it should"
SMOKE = (
    Fault("smoke.login", "the manager's password is wrong", "smoke", {"password": "wrong"}),
    Fault(
        "smoke.leftovers",
        "a position of an earlier test cannot be closed",
        "smoke",
        wrong("stuck_leftover"),
        {"smoke.compensated": "the same position is still open in the end"},
    ),
    Fault("smoke.open", "the answer has another shape", "smoke", wrong("other_shape")),
    Fault("smoke.open_stored", "not stored", "smoke", lost("portfolio_positions", 1)),
    Fault("smoke.journal", "the entry comes late", "smoke", wrong("late_journal")),
    Fault(
        "smoke.mtm",
        "others are marked back to entry",
        "smoke",
        wrong("marks_reset_others"),
        {"smoke.compensated": "the fund's own position keeps the wrong mark"},
    ),
    Fault(
        "smoke.pnl",
        "the result is one percent off",
        "smoke",
        wrong("wrong_pnl"),
        {"smoke.compensated": "the fund's own result is off too"},
    ),
    Fault("smoke.mtm_stored", "not stored", "smoke", lost("position_pnl_history", 1)),
    Fault("smoke.morning_pack", "the pack has no agents", "smoke", wrong("no_agents")),
    Fault("smoke.morning_pack_stored", "not stored", "smoke", lost("daily_briefings", 1)),
    Fault("smoke.proposals", "there is no threshold", "smoke", wrong("no_threshold")),
    Fault("smoke.proposals_stored", "not stored", "smoke", lost("trade_proposals", 2)),
    Fault(
        "smoke.approve",
        "it is not in the book",
        "smoke",
        wrong("approved_elsewhere"),
        {"smoke.compensated": "nobody can close that position"},
    ),
    Fault("smoke.approve_stored", "not stored", "smoke", lost("trade_proposals", 3)),
    Fault(
        "smoke.reject_without_notes",
        "notes are optional",
        "smoke",
        wrong("notes_optional"),
        {"smoke.audit_trail": "it has a second rejection, the one that should be refused"},
    ),
    Fault(
        "smoke.reject",
        "the rejection fails",
        "smoke",
        wrong("reject_fails_once"),
        {"smoke.audit_trail": NO_ENTRY},
    ),
    Fault("smoke.reject_stored", "not stored", "smoke", lost("trade_proposals", 4)),
    Fault("smoke.close", "closing fails", "smoke", wrong("close_fails_once")),
    Fault("smoke.close_stored", "not stored", "smoke", lost("portfolio_positions", 4)),
    Fault("smoke.audit_trail", "entries are not stored", "smoke", lost("decision_journal", 1)),
    Fault(
        "smoke.compensated",
        "a proposal that the test caused cannot be rejected",
        "smoke",
        wrong("stubborn_proposal"),
    ),
)

STEPS = (
    Fault("infra.dagster.trigger", "the pipeline fails", "step", "pipeline"),
    Fault("backup.ran", "the backup fails", "step", "backup"),
    Fault("backup.drill_ran", "the drill fails", "step", "drill"),
)

ATTESTED = tuple(
    Fault(check, "nobody vouches for it", "attest")
    for check in (
        "config.risk_limits.reviewed",
        "backup.dr_playbook",
        "monitoring.alert_rules",
        "monitoring.alert_channels",
    )
)

FAULTS = (*SQL, *REDIS, *ANSWERS, *PMS, *CONTAINERS, *FILES, *PITR, *SMOKE, *STEPS, *ATTESTED)
