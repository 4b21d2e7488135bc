# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every check can say no: the table of faults, each of which turns its check red and no other.

Faults that have nothing to do with each other are made at once, so that the table takes a minute.
GOLIVE_FAULTS_ALONE=1 makes each one by itself.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.pmsops.evidence import run_record
from ansible.module_utils.pmsops.pms import smoke_test
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.pms.smoke_test_steps import SmokeTest
from ansible.module_utils.pmsops.pms.smoke_test_traces import INSTRUMENT, TAG_PREFIX

from tests.support.altering import standing_in
from tests.support.golive_faults import FAULTS, Fault
from tests.support.golive_system import (
    ATTESTED,
    CHECKS,
    Overrides,
    System,
    dependents,
    part,
    whole_system,
)
from tests.support.standin_pms import StandIn, served
from tests.support.tiers import deep_but

GOOD = ("pass", "attested")
# Which probes see what a kind of fault breaks; the others look elsewhere.
SEES = {
    "sql": ("sql", "journal", "whole"),
    "settings": ("sql", "journal", "whole", "drill", "backup"),
    "redis": ("redis",),
    "answer": ("http", "dagster", "grafana"),
    "pms": ("http",),
    "container": ("container",),
    "files": (
        *("backup", "drill", "ledger", "anchors", "deficiencies"),
        *("disk", "command", "file", "pitr", "offsite"),
    ),
    "pitr": ("pitr",),
    "smoke": ("smoke",),
    "step": ("smoke", "backup", "drill"),
    "attest": ("attest",),
}
# The cache is another PMS's: what that one put there would be shown.
WITHOUT_CACHE = {"REDIS_PORT": "1"}
# Kinds of which several faults can be made at once.
TOGETHER = ("sql", "answer", "pms", "container")


@pytest.fixture(scope="module")
def system(server, tmp_path_factory) -> Iterator[System]:
    """A system on which every check is good."""
    with whole_system(server, tmp_path_factory.mktemp("system")) as made:
        yield made


# --- the table ------------------------------------------------------------------------------------


def footprint(fault: Fault) -> set[str]:
    """Return every check whose verdict the fault changes."""
    red = {fault.check, *fault.touches}
    return red | dependents(red, part(*SEES[fault.kind]))


def batches() -> list[list[Fault]]:
    """Put faults together that touch none of each other's checks."""
    alone = bool(os.environ.get("GOLIVE_FAULTS_ALONE"))
    made: list[tuple[str, set[str], list[Fault]]] = []
    for fault in FAULTS:
        mine = footprint(fault)
        fitting = (
            (kind, taken, faults)
            for kind, taken, faults in made
            if kind == fault.kind and kind in TOGETHER and not taken & mine
            if not (kind == "pms" and any(set(each.do) & set(fault.do) for each in faults))
        )
        found = None if alone else next(fitting, None)
        if found is None:
            made.append((fault.kind, mine, [fault]))
        else:
            found[1].update(mine)
            found[2].append(fault)
    return [faults for _, _, faults in made]


BATCHES = batches()


def name_of(faults: list[Fault]) -> str:
    more = f"-and-{len(faults) - 1}-more" if len(faults) > 1 else ""
    return f"{faults[0].kind}-{faults[0].check}{more}"


def test_every_check_has_a_fault_and_every_fault_a_check():
    assert sorted(fault.check for fault in FAULTS) == sorted(CHECKS)
    assert {name for fault in FAULTS for name in fault.touches} <= set(CHECKS)
    assert all(reason.strip() for fault in FAULTS for reason in fault.touches.values())


def test_the_kinds_of_faults_look_at_every_kind_of_probe():
    assert {probe for probes in SEES.values() for probe in probes} == {
        check["probe"] for check in CHECKS.values()
    }


# Each step of the smoke test breaks without a server, too; here the gate turns it into a verdict.
SMOKE = [faults for faults in BATCHES if faults[0].kind == "smoke"]


@pytest.mark.parametrize(
    "faults",
    deep_but(
        BATCHES,
        stay=[faults for faults in BATCHES if faults not in SMOKE[1:]],
        by=(
            "tests/unit/pms/test_smoke_test.py"
            "::test_a_broken_system_fails_the_step_that_shows_it_and_is_left_clean",
            "tests/integration/test_golive_faults.py"
            "::test_a_fault_turns_its_check_red_and_no_other[smoke-smoke.login]",
        ),
    ),
    ids=name_of,
)
def test_a_fault_turns_its_check_red_and_no_other(system, tmp_path, faults):
    checks = part(*SEES[faults[0].kind])
    with broken(system, faults, tmp_path) as overrides:
        found = system.gate(checks, overrides)
    red = {name for fault in faults for name in (fault.check, *fault.touches)}
    unknown = dependents(red, checks)
    wanted = {
        check["id"]: "red"
        if check["id"] in red
        else "unknown"
        if check["id"] in unknown
        else "good"
        for check in checks
    }
    seen = {each["id"]: each for each in found["results"]}
    differing = {
        name: (want, seen[name]["status"], seen[name]["finding"])
        for name, want in wanted.items()
        if seen[name]["status"]
        not in {"red": (red_status(name),), "unknown": ("unknown",), "good": GOOD}[want]
    }
    assert differing == {}
    assert all(seen[name]["needs"] for name in unknown if CHECKS[name]["probe"] != "smoke")
    assert all(seen[name]["remedy"] and seen[name]["finding"] for name in red)


def red_status(name: str) -> str:
    """Return how a broken check shows: what nobody vouches for is unknown, and stops too."""
    return "unknown" if CHECKS[name]["probe"] == "attest" else "fail"


# --- how each kind is made ------------------------------------------------------------------------


@contextmanager
def broken(system: System, faults: list[Fault], folder: Path) -> Iterator[Overrides]:
    """Break the system, say what to look at, and mend it."""
    kind = faults[0].kind
    with ExitStack() as stack:
        if kind == "sql":
            database = stack.enter_context(system.copy())
            # In one session: a setting of the database must not get in the way of the others.
            statements = ";\n".join(fault.do for fault in faults)
            system.server.psql(statements.replace("{database}", database.name), database.name)
            yield Overrides(
                settings={"database": system.settings.database | {"name": database.name}}
            )
        elif kind == "settings":
            yield Overrides(
                settings={"database": system.settings.database | faults[0].do.settings["database"]}
            )
        elif kind == "redis":
            command, undo = faults[0].do
            password = system.settings.redis["password"]
            system.redis_admin.execute_command(*command)
            stack.callback(
                system.redis_admin.execute_command,
                *(word.replace("{password}", password) for word in undo),
            )
            yield Overrides()
        elif kind == "answer":
            for fault in faults:
                rules = system.services[fault.do.service].rules
                rules.append(fault.do)
                stack.callback(rules.remove, fault.do)
            yield Overrides()
        elif kind == "pms":
            environment = {name: value for fault in faults for name, value in fault.do.items()}
            api = system.start(**WITHOUT_CACHE, **environment)
            yield Overrides(
                settings={
                    "api": {
                        "url": api.url,
                        "username": "manager",
                        "password": api.passwords["manager"],
                    }
                }
            )
        elif kind == "container":
            changes = merged(system, faults)
            for service, spec in changes.items():
                stack.callback(system.containers.put, service)
                system.containers.put(service, **spec)
            yield Overrides()
        elif kind == "files":
            full = folder / "full"
            full.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", full], check=True)
            stack.callback(subprocess.run, ["umount", full], check=True)
            yield faults[0].do(system, folder)
        elif kind == "pitr":
            yield Overrides(pitr=faults[0].do)
        elif kind == "smoke":
            yield Overrides(steps={step["id"]: step for step in traded(**faults[0].do)})
        elif kind == "step":
            failed = {"status": "fail", "finding": "it ended with an error"}
            yield Overrides(steps={fault.do: failed for fault in faults})
        else:
            missing = {fault.check for fault in faults}
            yield Overrides(attested=tuple(set(ATTESTED) - missing))


def merged(system: System, faults: list[Fault]) -> dict[str, dict[str, Any]]:
    """Return what is different about each service's container, of all faults together."""
    found: dict[str, dict[str, Any]] = {}
    for fault in faults:
        service, changes = fault.do
        spec = found.setdefault(service, {})
        for name, value in changes.items():
            if name == "environment":
                known = spec.get(name, system.containers.specs[service][name])
                value = {key: text for key, text in (known | value).items() if text is not None}
            assert name not in spec or name == "environment", f"{fault.check}: {name} twice"
            spec[name] = value
    return found


def traded(
    *,
    faults: set[str] = frozenset(),
    lost: tuple[str, int] | None = None,
    password: str = "right",  # noqa: S107 -- the stand-in's
) -> list[dict[str, Any]]:
    """Return the steps of a smoke test through the unit tests' stand-in, broken so."""
    book = StandIn()
    fund = {
        "instrument": "USDBRL",
        "asset_class": "FX",
        "direction": "LONG",
        "notional_brl": 1_000_000.0,
        "execution_price": 5.0,
        "manager_thesis": "of the fund",
    }
    book.open(fund)
    book.mark({"price_overrides": {"USDBRL": 5.5}, "fx_rate": 5.5})
    if "stuck_leftover" in faults:
        book.open(fund | {"instrument": INSTRUMENT, "manager_thesis": f"{TAG_PREFIX} left"})
    book.faults |= faults
    looks = count(1)

    def rows(sql: str, params: Any) -> list[dict[str, Any]]:
        if lost and lost[0] in sql and next(looks) == lost[1]:
            return []
        return book.rows(sql, params)

    with served(book) as url:
        api = PmsApi(url, "manager", password)
        return SmokeTest(api, rows, tag=f"{TAG_PREFIX} test", today=date(2026, 11, 23)).run()


# --- a target that is missing, empty or misspelt --------------------------------------------------

NOWHERE = "http://127.0.0.1:9"


def unneeded(checks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the checks as if each stood by itself: each one is asked."""
    return [check | {"needs": [], "retries": 0} for check in checks]


def misspelt(check: dict[str, Any]) -> dict[str, Any]:
    """Return a check whose own parameters name something that there is not."""
    params = check.get("params", {})
    other = {
        "sql": lambda: {"database": "macro_tradign"},
        "whole": lambda: {"about": "jbos"},
        "journal": dict,  # it has none: the settings name its database
        "http": lambda: {
            "url": [f"{url}x/no-such-page" for url in params["url"]]
            if isinstance(params["url"], list)
            else f"{params['url']}x/no-such-page"
        },
        "redis": lambda: {"command": [*params["command"][:-1], f"{params['command'][-1]}x"]},
        "container": lambda: {
            name: f"{value}x" for name, value in params.items() if name in ("part", "service")
        },
        "dagster": lambda: {"about": params["about"] + "x"},
        "grafana": lambda: {name: f"{value}x" for name, value in params.items()},
        "disk": lambda: {"path": "/no/such/folder"},
        "command": lambda: {"argv": ["no-such-command"]},
        "backup": lambda: {"root": "/no/such/folder"},
        "file": lambda: {"path": f"{params['path']}x"},
        "drill": dict,
        "pitr": lambda: {"about": params["about"] + "x"},
        "offsite": lambda: {"about": params["about"] + "x"},
        "ledger": lambda: {"head": "0" * 64},
        "smoke": lambda: {"step": params["step"] + "x"},
        "attest": dict,
    }[check["probe"]]()
    return check | ({"params": params | other} if params or other else {})


NOTHING_SEEN = {
    "earliest": None,
    "latest": None,
    "backups": 0,
    "lag_seconds": None,
    "active": False,
    "problems": ["The server has no slot for the receiver."],
}
EMPTY = {
    "database": {},
    "redis": {},
    "api": {},
    "grafana": {},
    "dagster_url": "",
    "compose_project": "",
    "app_dir": "",
    "backup_root": "",
    "evidence_root": "",
}
# Checks of the host itself, whose answer is never empty.
OF_THE_HOST = {"infra.database.disk"}


def passing(found: dict[str, Any]) -> set[str]:
    return {each["id"] for each in found["results"] if each["status"] in GOOD}


def test_nothing_passes_where_nothing_is_given(system):
    steps = {step["id"]: {"status": "unknown", "finding": ""} for step in system.steps}
    found = system.gate(
        unneeded(list(CHECKS.values())),
        Overrides(
            settings=EMPTY,
            steps=steps,
            attested=(),
            variables={"schedule_status": ""},
            pitr=None,
            sites=(),
            drill_host="",
        ),
    )
    assert passing(found) == set()
    assert len(found["results"]) == len(CHECKS)


def test_nothing_passes_where_nothing_is_there(system, tmp_path):
    gone = {
        "database": system.settings.database | {"name": "macro_tradign", "container": "pms-tset"},
        "redis": system.settings.redis | {"port": 9},
        "api": system.settings.api | {"url": NOWHERE},
        "grafana": system.settings.grafana | {"url": NOWHERE},
        "dagster_url": NOWHERE,
        "compose_project": "pms-tset",
        "app_dir": str(tmp_path / "gone"),
        "backup_root": str(tmp_path / "gone"),
        "evidence_root": str(tmp_path / "gone"),
    }
    steps = {step["id"]: {"id": "another"} for step in system.steps}
    found = system.gate(
        unneeded(list(CHECKS.values())),
        Overrides(
            settings=gone,
            steps=steps,
            attested=(),
            variables={
                "data_path": str(tmp_path / "gone"),
                "schedule_status": str(tmp_path / "gone"),
            },
            pitr=NOTHING_SEEN,
        ),
    )
    assert passing(found) == set()


def test_nothing_passes_where_its_own_parameters_are_misspelt(system):
    others = {"journal", "drill", "attest", "anchors", "deficiencies"}  # these have no parameters
    checks = [misspelt(check) for check in CHECKS.values() if check["probe"] not in others]
    assert all(check["params"] != CHECKS[check["id"]].get("params") for check in checks)
    assert passing(system.gate(unneeded(checks))) == set()


@pytest.mark.parametrize(
    "said",
    deep_but(
        ["{}", "[]", "null", ""],
        stay=("{}", ""),
        by="tests/integration/test_golive_faults.py"
        "::test_nothing_passes_where_every_answer_is_empty[object]",
    ),
    ids=["object", "list", "null", "none"],
)
def test_nothing_passes_where_every_answer_is_empty(system, tmp_path, said):
    """A service that answers 200 and nothing, no rows, folders without files."""

    def empty(*_asked: object) -> tuple[int, str, bytes]:
        return 200, "application/json", said.encode()

    for name in ("backups", "evidence", "app"):
        (tmp_path / name).mkdir()
    (tmp_path / "schedule.json").write_text(said)
    checks = [
        check | {"params": check["params"] | {"query": no_rows(check["params"]["query"])}}
        if check["probe"] == "sql"
        else check
        for check in CHECKS.values()
        # Without statements and steps, and the state of the host, of Redis, of containers and of
        # the database's jobs and catalogue is never empty.
        if check["probe"] not in ("attest", "smoke", "journal", "redis", "container")
        and check["id"]
        not in OF_THE_HOST | {"monitoring.disk", "infra.database.jobs", "infra.database.catalogue"}
    ]
    with standing_in(empty) as service:
        found = system.gate(
            unneeded(checks),
            Overrides(
                settings={
                    "api": system.settings.api | {"url": service.url, "username": ""},
                    "grafana": {"url": service.url},
                    "dagster_url": service.url,
                    "app_dir": str(tmp_path / "app"),
                    "backup_root": str(tmp_path / "backups"),
                    "evidence_root": str(tmp_path / "evidence"),
                },
                variables={"schedule_status": str(tmp_path / "schedule.json")},
                pitr=NOTHING_SEEN,
            ),
        )
    assert passing(found) == set()


def no_rows(query: str) -> str:
    """Return a query that gives no row of what it would give."""
    return f"SELECT * FROM ({query}) AS found WHERE false"


# --- the whole ------------------------------------------------------------------------------------


def test_a_healthy_system_is_a_go_each_time(system, often):
    for number in range(often):
        found = system.gate()
        wrong = [each for each in found["results"] if each["status"] not in GOOD]
        assert (found["verdict"], wrong) == ("go", []), number
        assert found["counts"]["flaky"] == 0, number


def test_a_pms_that_keeps_nothing_is_a_no_go_that_names_its_reasons(system):
    """The real PMS, as its code is: the stand-in in the mode faithful."""
    api = system.start(**WITHOUT_CACHE, PMS_MODE="faithful")
    login = ("manager", api.passwords["manager"])
    database = system.server.database(system.data.name)
    done = smoke_test.run(PmsApi(api.url, *login), database, deadline_seconds=60, accepts=True)
    options = {"url": api.url, "username": login[0], "password": login[1]}
    found = system.gate(
        overrides=Overrides(
            settings={"api": options}, steps={step["id"]: step for step in done["steps"]}
        )
    )
    causes = {each["id"] for each in found["results"] if each["status"] == "fail"}
    assert found["verdict"] == "no-go"
    assert causes == FAITHFUL
    told = {each["id"]: each["finding"] for each in found["results"]}
    assert "not in portfolio_positions" in told["smoke.open_stored"]
    # Nothing of the test is open in the book; what only a restart takes away is said.
    assert "this release cannot undo that trade" in told["smoke.compensated"]


# What it keeps to itself, and what it never had.
FAITHFUL = {
    "infra.api.attribution",
    "infra.api.journal",
    "infra.api.var",
    "smoke.compensated",
    "smoke.open_stored",
    "smoke.journal",
    "smoke.mtm_stored",
    "smoke.morning_pack_stored",
    "smoke.proposals_stored",
    "smoke.approve",
    "smoke.reject_stored",
    "smoke.close_stored",
    "smoke.audit_trail",
}


def test_no_secret_is_in_any_file_of_the_evidence(system, tmp_path):
    """Of a system that is well, and of one where every password is refused."""
    known = {
        system.settings.database["password"],
        system.settings.redis["password"],
        system.settings.api["password"],
        system.settings.grafana["password"],
        *system.containers.specs["api"]["environment"].values(),
    } - {"America/Sao_Paulo"}
    wrong = {"password": "a-secret-that-is-wrong"}
    refused = {
        name: getattr(system.settings, name) | wrong
        for name in ("database", "redis", "api", "grafana")
    }
    for overrides in (None, Overrides(settings=refused)):
        found = system.gate(overrides=overrides)
        written = run_record.write(found, run_record.Options(tmp_path), now=system.settings.now)
    texts = {
        str(path.relative_to(tmp_path)): path.read_text()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert {Path(name).name for name in texts} >= {
        *("record.json", "report.html", "checklist.md", "junit.xml", "ledger.jsonl"),
    }
    assert Path(written["report"]).is_file()
    leaks = {
        (name, len(secret))
        for name, text in texts.items()
        for secret in known | set(wrong.values())
        if secret in text
    }
    assert leaks == set()
