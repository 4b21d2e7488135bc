# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Everything that an operator does, on a PMS that shares no name with the lab, in order.

Healthy is quiet; each disaster is found and mended as on the lab. The tests follow each other: a
real system has a past, too.
"""

from __future__ import annotations

import json
import re
import shutil

import pytest
import yaml

from tests.conftest import PROJECT
from tests.support import foreign_system
from tests.support.foreign_system import DATABASE, OWNER, PROJECT_NAME, SERVICES, container, run
from tests.support.pausing import pause

pytestmark = pytest.mark.nightly  # ten minutes


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    with foreign_system.foreign_system(tmp_path_factory.mktemp("foreign")) as made:
        yield made


@pytest.fixture(scope="module")
def described(system):
    """The system with the inventory that init writes."""
    arguments = ["init", str(system.compose_file), "--name", PROJECT_NAME]
    arguments += ["--root", str(system.root), "--plain-secrets", "--create-role", "--json"]
    # A stand-in: nothing in its image or command says Grafana.
    arguments += ["--service", f"grafana={SERVICES['grafana']}", "--port", "grafana=3000"]
    system.pms_ops(*arguments)
    return system


SCENARIOS = yaml.safe_load((PROJECT / "roles/incident/files/scenarios.yml").read_text())[
    "scenarios"
]
NAMES = {each["number"]: name for name, each in SCENARIOS.items()}


def triage(system):
    """Run triage; return the scenarios that it names."""
    said = system.playbook("dr_triage")
    assert " changed=0 " in said
    return [NAMES[int(each)] for each in re.findall(r"SEEN: [^(]*\(scenario (\d+)", said)]


def test_init_finds_each_part_by_what_it_is(described):
    written = yaml.safe_load((described.inventory / "group_vars/pms/pms.yml").read_text())
    assert written["golive_services"] == {
        "database": SERVICES["timescaledb"],
        "redis": SERVICES["redis"],
        "api": SERVICES["api"],
        "dagster": SERVICES["dagster-webserver"],
        "daemon": SERVICES["dagster-daemon"],
        "grafana": SERVICES["grafana"],
    }
    assert sorted(written["pms_app_services"]) == ["flows", "flows-runner", "gateway"]
    assert written["pms_db_name"] == DATABASE
    assert written["pms_db_container"] == container("timescaledb")
    assert written["pms_redis_container"] == container("redis")
    assert written["pms_compose_project"] == PROJECT_NAME


def test_doctor_finds_the_requirements_met(described):
    said = described.playbook("doctor")
    # Where nobody set one it said "There is no image none".
    assert "off (pitr_enabled). pitr_image is not set" in said


def test_a_healthy_system_is_quiet(described):
    described.playbook("backup")
    described.playbook("drill")
    assert triage(described) == []
    for name in ("database", "redis", "pipeline", "api", "disk", "bad_backup"):
        said = described.playbook(f"dr_{name}")
        assert " changed=0 " in said, name
        assert "Healthy, nothing was changed" in said, name


def test_the_checklist_says_go(described):
    said = described.playbook("../golive")
    assert re.search(r"\bGO\b", said)
    assert "NO-GO" not in said


def test_a_set_has_the_objects_that_the_lab_lacks_and_names_what_no_restore_brings(described):
    newest = max((described.root / "backups").glob("20*/manifest.json"))
    manifest = json.loads(newest.read_text())
    assert manifest["database_name"] == DATABASE
    assert manifest["facts"]["publications"].keys() == {"cdc"}
    assert manifest["facts"]["event_triggers"].keys() == {"noted"}
    assert any("feed" in json.dumps(each) for each in manifest["not_restored"])


def test_a_restore_brings_the_book_back_and_rollback_undoes_it(described):
    described.playbook("backup")
    described.psql("UPDATE portfolio_positions SET notes = 'after the set' WHERE is_open")
    described.playbook("dr_restore", confirm=DATABASE, file="latest")
    count = "SELECT count(*) FROM portfolio_positions WHERE notes = 'after the set'"
    assert described.psql(count) == "0"
    assert described.psql("SELECT convert_from(lo_get(4711), 'UTF8')") == "a contract"
    assert (
        described.psql("SELECT datdba::regrole FROM pg_database WHERE datname = current_database()")
        == OWNER
    )
    assert triage(described) == []
    described.playbook("dr_restore", rollback=True, confirm=DATABASE)
    assert described.psql(count) != "0"
    described.psql("UPDATE portfolio_positions SET notes = NULL WHERE notes = 'after the set'")
    assert triage(described) == []


BREAK = {
    "database": lambda: run(["docker", "stop", "--time=20", container("timescaledb")]),
    "redis": lambda: run(["docker", "kill", container("redis")]),
    "pipeline": lambda: run(["docker", "stop", "--time=5", container("dagster-daemon")]),
    "api": lambda: pause(container("api")),
}


@pytest.mark.parametrize("scenario", BREAK)
def test_a_disaster_is_found_and_mended(described, scenario):
    days_work = "SELECT count(*), max(id) FROM trade_proposals"
    before = described.psql(days_work)
    BREAK[scenario]()
    assert scenario in triage(described)
    described.playbook(f"dr_{scenario}")
    assert triage(described) == []
    # Whatever was mended, the fund's day was not run again.
    assert described.psql(days_work) == before


def test_a_damaged_set_is_found_and_quarantined(described):
    newest = max((described.root / "backups").glob("20*/manifest.json")).parent
    (file, *_) = sorted(each for each in newest.rglob("*.csv") if each.stat().st_size > 1000)
    with file.open("r+b") as opened:
        opened.seek(600)
        opened.write(b"X")
    described.playbook("dr_bad_backup")
    assert newest.with_name(f"{newest.name}.damaged").is_dir()
    assert triage(described) == []


def test_a_full_disk_of_sets_is_emptied_of_what_may_go(described):
    newest = max((described.root / "backups").glob("20*/manifest.json")).parent
    disk = described.root / "small"
    disk.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=100m,mode=700", "tmpfs", str(disk)])
    try:
        shutil.copytree(newest, disk / newest.name)
        (disk / ".partial-2026-01-01_0600").mkdir()
        run(["fallocate", "-l", "20M", str(disk / ".partial-2026-01-01_0600/dump")])
        free = shutil.disk_usage(disk).free - 3_000_000
        run(["fallocate", "-l", str(free), str(disk / "somebody.tar")])
        said = described.playbook("dr_disk", backup_root=str(disk))
        assert "Recovered in" in said
        left = {each.name for each in disk.iterdir()} - {".pms-ops"}
        assert left == {newest.name, "somebody.tar"}
    finally:
        run(["umount", str(disk)])
    assert triage(described) == []


def test_a_wrong_position_is_replaced_by_the_right_one(described):
    first = "SELECT min(id) FROM portfolio_positions WHERE is_open"
    (wrong, instrument, direction, entry) = described.psql(
        "SELECT id, instrument, direction, entry_price FROM portfolio_positions"
        f" WHERE id = ({first})"
    ).split("|")
    right = {"LONG": "SHORT", "SHORT": "LONG"}[direction]
    arguments = {
        "position_id": int(wrong),
        "instrument": instrument,
        "direction": right,
        "notional_brl": 12_000_000,
        "price": float(entry),
    }
    assert "Recovered in" in described.playbook("dr_position", **arguments)
    assert described.psql(f"SELECT is_open FROM portfolio_positions WHERE id = {wrong}") == "f"
    opened = (
        "SELECT count(*) FROM portfolio_positions WHERE is_open AND notional_brl = 12000000"
        f" AND instrument = '{instrument}' AND direction = '{right}'"
    )
    assert described.psql(opened) == "1"
    described.playbook("dr_position", **arguments)
    assert described.psql(opened) == "1"


def test_a_wrong_mark_is_corrected(described):
    described.psql(
        "UPDATE portfolio_positions SET current_price = current_price * 10"
        " WHERE is_open AND instrument = 'USDBRL'"
    )
    run(["docker", "restart", "--time=2", container("api")])
    foreign_system.wait_until_healthy("api")
    price = described.psql(
        "SELECT close FROM market_data m JOIN instruments i ON i.id = m.instrument_id WHERE ticker"
        " = 'USDBRL' AND frequency = 'daily' ORDER BY m.timestamp DESC LIMIT 1"
    )
    described.playbook("dr_mtm", prices={"USDBRL": float(price)}, source="the market")
    assert triage(described) == []
