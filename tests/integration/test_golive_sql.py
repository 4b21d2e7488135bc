# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The checklist's queries on real servers: with the lab's data, without data, without tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import yaml
from ansible.module_utils.pmsops.checks import gate
from ansible.module_utils.pmsops.checks.probes.context import Settings
from ansible.module_utils.pmsops.common import exchange_calendar
from ansible.module_utils.pmsops.postgresql.connection import Database

from tests.conftest import PROJECT
from tests.support.server import Server

SQL = PROJECT / "roles/lab/files/sql"
DOCUMENT = yaml.safe_load((PROJECT / "roles/golive/files/checklist.yml").read_text())
ASKS_THE_DATABASE = ("sql", "journal")
# What holds whether there are data or not: the server, its settings, and tables that are there.
OF_THE_SERVER = (
    *("reachable", "version", "extension", "extension_current", "not_restoring", "scheduler"),
    *("compression", "jobs", "connections", "blocked", "wraparound"),
)
OF_THE_SCHEMA = ("pms_tables", "market_tables", "hypertables", "foreign_keys", "revision")


def fill(server: Server, name: str, *files: str) -> None:
    """Run the lab's SQL as the PMS's own role, all of it or nothing."""
    today = datetime.now(UTC).date()
    settings = {
        "as_of": exchange_calendar.previous_business_day(today).isoformat(),
        "scale": "0.02",
    }
    text = "".join(f"\\set {key} {value}\n" for key, value in settings.items())
    text += "SET ROLE macro_user;\n"
    text += "".join((SQL / file).read_text() for file in files)
    server.psql("BEGIN;\n" + text + "\nCOMMIT;", name)


def copy(server: Server, name: str, target: str) -> None:
    """Make *target* a copy of a database, whose sessions and background workers end for it."""
    server.psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    try:
        server.psql(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        server.psql(f"CREATE DATABASE {target} TEMPLATE {name} OWNER macro_user STRATEGY FILE_COPY")
    finally:
        server.psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def statuses(database: Database, checks: list[dict] | None = None) -> dict[str, str]:
    """Run the checks that ask the database, and return the status of each."""
    wanted = [
        check for check in checks or DOCUMENT["checks"] if check["probe"] in ASKS_THE_DATABASE
    ]
    known = {check["id"] for check in wanted}
    wanted = [
        check | {"needs": [need for need in check.get("needs", []) if need in known]}
        for check in wanted
    ]
    result = gate.run(
        DOCUMENT | {"checks": wanted},
        Settings(now=datetime.now(UTC), database=dataclasses.asdict(database)),
        gate.Options(variables={"schema_revision": "j0k1l2m3n4o5"}, workers=4),
    )
    return {each["id"]: f"{each['status']}: {each['finding']}" for each in result["results"]}


@pytest.fixture(scope="module")
def seeded(server: Server) -> Iterator[Database]:
    """A database with the lab's tables and data."""
    database = server.create("checks_seeded")
    fill(server, "checks_seeded", "schema.sql", "seed.sql")
    yield database
    server.drop("checks_seeded")


@pytest.fixture(scope="module")
def empty(server: Server) -> Iterator[Database]:
    """A database with the lab's tables and no row in them."""
    database = server.create("checks_empty")
    fill(server, "checks_empty", "schema.sql")
    yield database
    server.drop("checks_empty")


def test_every_query_passes_on_the_labs_data(seeded):
    found = statuses(seeded)
    assert {name: text for name, text in found.items() if not text.startswith("pass")} == {}


def test_nothing_about_data_passes_where_there_are_none(empty):
    found = statuses(empty)
    told_of_data = {
        name
        for name, text in found.items()
        if text.startswith("pass") and name.rsplit(".", 1)[1] not in OF_THE_SERVER + OF_THE_SCHEMA
    }
    # A trigger and an owner need no rows.
    assert told_of_data == {"data.journal_trigger", "config.owner"}


def test_nothing_about_tables_or_data_passes_in_a_database_without_tables(server):
    database = server.create("checks_bare")
    try:
        found = statuses(database)
    finally:
        server.drop("checks_bare")
    passing = {name for name, text in found.items() if text.startswith("pass")}
    assert passing <= {f"infra.database.{name}" for name in OF_THE_SERVER} | {"config.owner"}
    assert all("Traceback" not in text for text in found.values())


def test_a_misspelt_table_or_series_never_passes(seeded):
    """Take each query, break a name in it, and see that it does not hold any more."""
    broken = []
    for check in DOCUMENT["checks"]:
        if check["probe"] != "sql" or "args" not in check["params"]:
            continue
        args = {
            name: [f"{each}x" for each in value] if isinstance(value, list) else f"{value}x"
            for name, value in check["params"]["args"].items()
            if not str(value).startswith("${") and "${" not in str(value)
        }
        if args:
            params = check["params"] | {"args": check["params"]["args"] | args}
            broken.append(check | {"params": params, "needs": []})
    assert len(broken) >= 8
    found = statuses(seeded, broken)
    assert [name for name, text in found.items() if text.startswith("pass")] == []


# What somebody does to the data, and the checks that must then not pass (others may follow).
FAULTS = {
    "DELETE FROM macro_series USING series_metadata s WHERE s.id = series_id AND s.series_code ="
    " '432' AND observation_date > current_date - 30": ["data.selic", "data.stale"],
    "DELETE FROM macro_series USING series_metadata s WHERE s.id = series_id AND s.series_code ="
    " '433' AND observation_date > current_date - 200": ["data.ipca"],
    "DELETE FROM curves WHERE curve_id = 'DI_PRE' AND curve_date > current_date - 10": [
        "data.di_curve"
    ],
    "UPDATE curves SET rate = 13.5 WHERE curve_id = 'DI_PRE' AND curve_date > current_date - 10": [
        "data.di_curve"
    ],
    "DELETE FROM market_data USING instruments i WHERE i.id = instrument_id AND i.ticker = 'USDBRL'"
    " AND \"timestamp\" > now() - interval '5 days'": ["data.usdbrl", "data.gaps"],
    "DELETE FROM market_data USING instruments i WHERE i.id = instrument_id AND i.ticker = 'USDBRL'"
    " AND \"timestamp\" < now() - interval '100 days'": ["data.depth"],
    "UPDATE market_data SET close = 0 WHERE \"timestamp\" > now() - interval '20 days'": [
        "data.prices",
        "data.usdbrl",
    ],
    "DELETE FROM market_data WHERE \"timestamp\" > now() - interval '9 days'": [
        "infra.database.current",
        "data.usdbrl",
        "data.ptax",
        "data.gaps",
    ],
    "DELETE FROM portfolio_returns WHERE return_date > current_date - 900": ["data.returns"],
    "DELETE FROM agent_reports WHERE agent_id = 'fx_agent'": ["data.agents"],
    "DELETE FROM position_pnl_history WHERE snapshot_date > current_date - 10": ["data.positions"],
    "UPDATE portfolio_positions SET unrealized_pnl_brl = unrealized_pnl_brl + 1000 WHERE is_open": [
        "data.pnl",
        "data.pnl_history",
    ],
    "UPDATE portfolio_positions SET closed_at = NULL WHERE NOT is_open": ["data.book"],
    "UPDATE trade_proposals SET position_id = NULL WHERE status = 'APPROVED'": ["data.approvals"],
    "INSERT INTO decision_journal (entry_type, content_hash, is_locked)"
    " VALUES ('NOTE', repeat('0', 64), true)": ["data.journal"],
    "ALTER TABLE decision_journal DISABLE TRIGGER USER": ["data.journal_trigger"],
    "DROP TABLE nlp_documents": ["infra.database.market_tables"],
    "ALTER TABLE decision_journal DROP CONSTRAINT decision_journal_position_id_fkey": [
        "infra.database.foreign_keys"
    ],
    "UPDATE alembic_version SET version_num = 'i9j0k1l2m3n4'": ["infra.database.revision"],
    "ALTER DATABASE checks_fault OWNER TO postgres": ["config.owner"],
    "ALTER DATABASE checks_fault SET timescaledb.restoring = on": ["infra.database.not_restoring"],
}


# The snapshots that the first fault takes away are those that the second check compares.
APART = {"data.positions", "data.pnl_history"}


def batches() -> list[list[str]]:
    """Put faults of the data together whose checks differ, each of the others by itself."""
    made: list[list[str]] = []
    for fault, reds in FAULTS.items():
        fitting = (
            faults
            for faults in made
            if all(name.startswith("data.") and name not in reds for name in turned(faults))
            and not {*reds, *turned(faults)} >= APART
        )
        of_data = all(name.startswith("data.") for name in reds)
        found = next(fitting, None) if of_data else None
        if found is None:
            made.append([fault])
        else:
            found.append(fault)
    return made


def turned(faults: list[str]) -> set[str]:
    """Return the checks that these faults turn red."""
    return {name for fault in faults for name in FAULTS[fault]}


def name_of(faults: list[str]) -> str:
    more = f"-and-{len(faults) - 1}-more" if len(faults) > 1 else ""
    return FAULTS[faults[0]][0] + more


@pytest.mark.parametrize("faults", batches(), ids=name_of)
def test_a_fault_turns_its_check_red_and_no_other(server, seeded, faults):
    copy(server, seeded.name, "checks_fault")
    try:
        server.psql(";\n".join(faults), "checks_fault")
        found = statuses(server.database("checks_fault"))
    finally:
        server.drop("checks_fault")
    # A copy has no scheduler until somebody starts it.
    found.pop("infra.database.scheduler")
    assert {name for name, text in found.items() if text.startswith("fail")} == turned(faults)
    assert all("needs" in text for text in found.values() if text.startswith("unknown"))
