# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Everything that an operator does, on a host without Docker, TimescaleDB and Dagster, in order.

Debian 12 under systemd with its PostgreSQL 15 and Redis, and the PMS under uvicorn. The tests
follow each other. The last ones have the same host with nothing that manages its services.
"""

from __future__ import annotations

import re
import sys
from datetime import date

import pytest
import yaml

from tests.support import host_installation
from tests.support.host_installation import CA_FILE, DATABASE, HOME, OWNER, ROOT, TLS_PORT, UNITS

pytestmark = [
    pytest.mark.nightly,  # a quarter of an hour
    pytest.mark.skipif(
        sys.version_info[:2] != (3, 11), reason="the host has this Python, and Debian 12 has 3.11"
    ),
]

RIGHTS = f"{HOME}/docs/database-rights.sql"
ATTESTED = (
    "config.risk_limits.reviewed",
    "backup.dr_playbook",
    "monitoring.alert_rules",
    "monitoring.alert_channels",
)
# No Docker, no TimescaleDB in Debian 12, and no Dagster on this host.
LACKED = ["dagster", "timescaledb"]
REDIS_CHECKS = [
    *("infra.redis.ping", "infra.redis.password", "infra.redis.eviction", "infra.redis.memory"),
    *("infra.redis.ready", "infra.container.redis", "config.ports.redis"),
]


@pytest.fixture(scope="module")
def host():
    with host_installation.running() as made:
        made.run(
            *("psql", "-X", "-v", f"owner={OWNER}", "-f", RIGHTS, "postgres"),
            user="postgres",
            environment={"PMS_OPS_PASSWORD": made.passwords["pms_ops"]},
        )
        attested = [
            {"check": check, "who": "The test", "when": date.today(), "why": "The host is a test."}
            for check in ATTESTED
        ]
        made.write(f"{HOME}/attestations.yml", yaml.safe_dump({"attestations": attested}))
        made.describe(**inventory(made.passwords))
        yield made


def inventory(passwords):
    """The inventory of this host, by hand: init needs a Compose file."""
    return {
        "pms_db_access": "host",
        "pms_db_name": DATABASE,
        "pms_db_user": "pms_ops",
        "pms_db_password": passwords["pms_ops"],
        "pms_db_container": "",
        "pms_redis_password": passwords["redis"],
        "pms_redis_container": "",
        "pms_api_username": "manager",
        "pms_api_password": passwords["manager"],
        "pms_grafana_url": "http://127.0.0.1:3000",
        "pms_grafana_password": passwords["grafana"],
        "pms_services_manager": "systemd",
        "pms_compose_project": "",
        "pms_app_services": [UNITS["api"]],
        "golive_services": UNITS,
        "pms_without": LACKED,
        "backup_root": f"{ROOT}/backups",
        "backup_other_databases": [],
        "evidence_root": f"{ROOT}/evidence",
        "notify_details": False,
        "golive_attestations": f"{HOME}/attestations.yml",
        "golive_smoke_test": True,
        "golive_smoke_test_accept_remains": True,
    }


def triage(host):
    """Run triage; return the numbers of the scenarios that it names."""
    said = host.playbook("dr_triage")
    assert " changed=0 " in said
    return [int(each) for each in re.findall(r"SEEN: [^(]*\(scenario (\d+)", said)]


NUMBERS = {"database": 1, "redis": 2, "pipeline": 5, "api": 6, "disk": 7, "bad_backup": 8}


def test_a_second_run_of_the_rights_changes_nothing(host):
    said = host.run(
        *("psql", "-X", "-v", f"owner={OWNER}", "-f", RIGHTS, "postgres"), user="postgres"
    )
    assert "GRANT" not in said and "COMMIT" in said


def test_the_doctor_finds_the_requirements_met(host):
    said = host.playbook("doctor")
    assert re.search(r"GO: \d+ passed, 3 not in the inventory", said), said[-2000:]
    # Nobody is told to set what is set as it should be.
    assert "->" not in said


@pytest.mark.parametrize(
    ("without", "again", "told"),
    [
        ("REVOKE pg_read_all_data FROM pms_ops", None, "membership in pg_read_all_data"),
        ("REVOKE pg_signal_backend FROM pms_ops", None, "membership in pg_signal_backend"),
        ("REVOKE pms_restore FROM pms_ops", None, "membership in pms_restore"),
        (f"REVOKE {OWNER} FROM pms_ops", None, "permission denied for database"),
        ("ALTER ROLE pms_ops NOBYPASSRLS", "ALTER ROLE pms_ops BYPASSRLS", "attribute BYPASSRLS"),
        ("ALTER ROLE pms_ops NOCREATEDB", "ALTER ROLE pms_ops CREATEDB", "attribute CREATEDB"),
    ],
    ids=["reads", "ends sessions", "becomes superuser", "owns", "row security", "databases"],
)
def test_the_doctor_names_the_right_that_lacks(host, without, again, told):
    """Membership, or attribute, that PostgreSQL 15 has no options for."""
    host.psql(without, "postgres")
    try:
        assert told in host.playbook("doctor", status=2)
    finally:
        if again:
            host.psql(again, "postgres")
        host.run(*("psql", "-X", "-v", f"owner={OWNER}", "-f", RIGHTS, "postgres"), user="postgres")


def test_a_healthy_host_is_quiet(host):
    host.playbook("backup")
    host.playbook("drill")
    assert triage(host) == []
    for name in NUMBERS:
        said = host.playbook(f"dr_{name}")
        assert " changed=0 " in said, name
        assert "Healthy, nothing was changed" in said, name


def test_the_checklist_says_go(host):
    said = host.playbook("../golive")
    assert "NO-GO" not in said
    counted = re.search(r"GO: \d+ passed, 4 attested, (\d+) unknown, 21 not in the inventory", said)
    assert counted, said[-3000:]
    # The PMS's own scripts, and the schedule: neither is set up here.
    assert counted[1] == "3"


def test_a_restore_brings_the_book_back_and_rollback_undoes_it(host):
    host.playbook("backup")
    host.psql("UPDATE portfolio_positions SET notes = 'after the set' WHERE is_open")
    count = "SELECT count(*) FROM portfolio_positions WHERE notes = 'after the set'"
    marked = host.psql(count)
    host.playbook("dr_restore", confirm=DATABASE, file="latest")
    assert host.psql(count) == "0"
    assert triage(host) == []
    host.playbook("dr_restore", rollback=True, confirm=DATABASE)
    assert host.psql(count) == marked != "0"
    host.psql("UPDATE portfolio_positions SET notes = NULL WHERE notes = 'after the set'")
    assert triage(host) == []


@pytest.mark.parametrize(
    ("scenario", "how"),
    [("database", "stop"), ("redis", "stop"), ("api", "kill --signal=STOP")],
)
def test_a_disaster_is_found_and_mended(host, scenario, how):
    host.systemctl(*how.split(), UNITS[scenario])
    assert NUMBERS[scenario] in triage(host)
    said = host.playbook(f"dr_{scenario}")
    assert UNITS[scenario] in said
    assert triage(host) == []


def test_a_unit_that_starts_all_clusters_is_as_good_a_name_of_the_database(host):
    """Debian's postgresql.service stays active when the cluster is down."""
    host.describe(golive_services=UNITS | {"database": "postgresql.service"})
    try:
        host.systemctl("stop", UNITS["database"])
        assert NUMBERS["database"] in triage(host)
        assert "Restart postgresql.service" in host.playbook("dr_database")
        assert triage(host) == []
    finally:
        host.describe(golive_services=UNITS)


# Each way to the Redis of the PMS beside the plain port.
WAYS = {
    "tls": {"pms_redis_port": TLS_PORT, "pms_redis_tls": True, "pms_redis_ca_file": CA_FILE},
    "socket": {"pms_redis_socket": "/run/redis/redis-server.sock"},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_user_of_redis_over_tls_and_over_a_socket_is_enough(host, way):
    """The user has just the rights that roles/pms/README.md names."""
    changed = WAYS[way] | {"pms_redis_username": "ops"}
    before = {name: host.inventory.get(name) for name in changed}
    host.describe(**changed)
    try:
        assert "NO-GO" not in host.playbook("doctor")
        host.playbook("../golive", golive_checks=REDIS_CHECKS)
        assert "Healthy, nothing was changed" in host.playbook("dr_redis")
        host.systemctl("stop", UNITS["redis"])
        assert triage(host) == [NUMBERS["redis"]]
        assert UNITS["redis"] in host.playbook("dr_redis")
        assert triage(host) == []
    finally:
        host.describe(**before)


@pytest.fixture(scope="module")
def users_only(host):
    """The variables of a Redis that takes TLS connections of one ACL user and nothing else."""
    unit = host.second_redis("tls", TLS_PORT + 1)
    return WAYS["tls"] | {
        "pms_redis_port": TLS_PORT + 1,
        "pms_redis_username": "ops",
        "golive_services": UNITS | {"redis": unit},
    }


def test_a_redis_without_a_default_user_is_healthy(host, users_only):
    before = {name: host.inventory.get(name) for name in users_only}
    host.describe(**users_only)
    try:
        assert "NO-GO" not in host.playbook("doctor")
        host.playbook("../golive", golive_checks=REDIS_CHECKS)
        assert "Healthy, nothing was changed" in host.playbook("dr_redis")
    finally:
        host.describe(**before)


def test_a_wrong_authority_is_named_and_not_taken_for_a_server_that_is_down(host, users_only):
    before = {name: host.inventory.get(name) for name in users_only}
    host.describe(**users_only | {"pms_redis_ca_file": ""})
    try:
        said = host.playbook("doctor", status=2)
        assert "certificate verify failed" in said
        assert "pms_redis_ca_file" in said
    finally:
        host.describe(**before)


TOLD = {
    "database": "Start the server by hand, then run this again.",
    "redis": "Start or restart it yourself, then run this playbook again",
    "api": "restart it with its own service manager, and run this again",
}


@pytest.mark.parametrize("scenario", TOLD)
def test_where_nothing_manages_the_services_a_person_is_told_the_step(host, scenario):
    host.describe(pms_services_manager="none")
    host.systemctl("stop", UNITS[scenario])
    assert NUMBERS[scenario] in triage(host)
    said = host.playbook(f"dr_{scenario}", status=2)
    assert TOLD[scenario] in said
    assert "incident_database_unit" not in said
    host.systemctl("start", UNITS[scenario])
    said = host.playbook(f"dr_{scenario}")
    assert re.search(r"Recovered in [\d.]+ s \(target \d+ s\): [A-Za-z]", said)
    assert triage(host) == []


def test_the_checklist_says_go_where_nothing_manages_the_services(host):
    host.describe(pms_services_manager="none")
    said = host.playbook("../golive")
    assert "NO-GO" not in said and re.search(r"\bGO: \d+ passed", said), said[-3000:]
