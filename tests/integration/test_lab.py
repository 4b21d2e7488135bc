"""The lab's roles and rights in a real server; the lab as a whole is molecule's to try."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest
import yaml

from tests.conftest import PROJECT
from tests.support.server import HAS_TIMESCALEDB, Server, execute

RIGHTS = PROJECT / "docs" / "database-rights.sql"
PASSWORD = "only-for-this-test"


def run_rights(
    server: Server, *options: str, password: str = PASSWORD, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the documented file as the superuser, as it says itself."""
    return subprocess.run(
        [
            *("docker", "exec", "-i", "-u", "postgres", "-e", f"PMS_OPS_PASSWORD={password}"),
            *(server.container.name, "psql", "-X", *options),
        ],
        input=text or RIGHTS.read_text(),
        capture_output=True,
        text=True,
        timeout=60,
    )


def apply_rights(server: Server) -> str:
    """Run the documented file; return what it printed."""
    done = run_rights(server, "-v", "owner=macro_user")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_rights_that_cannot_be_granted_in_full_are_not_granted_in_part(server):
    """psql ended with 0, and the roles were half made: issue 18, A25."""
    text = RIGHTS.read_text().replace("pms_restore", "half_restore")
    broken = text.replace("('pg_monitor', true)", "('no_such_role', true)")
    done = run_rights(server, "-v", "owner=macro_user", text=broken)
    assert done.returncode == 3, done.stderr
    assert server.psql("SELECT count(*) FROM pg_roles WHERE rolname = 'half_restore'") == "0"


def test_the_form_of_servers_before_16_grants_the_same_memberships(server):
    text = RIGHTS.read_text().replace("pms_restore", "old_restore").replace("160000", "990000")
    try:
        done = run_rights(server, "-v", "owner=macro_user", text=text)
        assert done.returncode == 0, done.stderr
        member = "SELECT pg_has_role('pms_ops', 'old_restore', 'MEMBER')"
        assert server.psql(member) == "t"
    finally:
        server.psql("DROP ROLE IF EXISTS old_restore")


@pytest.mark.parametrize(
    ("options", "said"),
    [((), "Name the owner of the PMS database"), (("-v", "owner=nobody"), "no role nobody")],
)
def test_a_missing_owner_is_named(server, options, said):
    done = run_rights(server, *options)
    assert done.returncode == 3
    assert said in done.stderr


def test_an_empty_server_without_the_owner_gets_the_maintenance_role(server):
    """The way back from a lost volume began with a role that only the restore can make."""
    text = RIGHTS.read_text().replace("pms_ops", "new_ops")
    try:
        done = run_rights(server, "-v", "owner=nobody", "-v", "empty_server=true", text=text)
        assert done.returncode == 0, done.stderr
        assert server.psql("SELECT pg_has_role('new_ops', 'pms_restore', 'MEMBER')") == "t"
    finally:
        server.psql("DROP ROLE IF EXISTS new_ops")


def test_a_role_without_a_password_is_not_made(server):
    text = RIGHTS.read_text().replace("pms_ops", "other_ops")
    done = run_rights(server, "-v", "owner=macro_user", password="", text=text)
    assert done.returncode == 3
    assert "give it a password" in done.stderr


def test_the_documented_rights_can_be_granted_twice_and_change_nothing_the_second_time(server):
    apply_rights(server)
    again = apply_rights(server)
    assert "GRANT" not in again
    assert "CREATE ROLE" not in again


def test_the_toolkit_s_role_is_a_superuser_only_where_it_says_so(server, database):
    apply_rights(server)
    execute(database, "CREATE TABLE mine (id int)")
    setting = (
        "timescaledb.restoring = off" if HAS_TIMESCALEDB else "session_replication_role = origin"
    )
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        execute(database, f"SET {setting}")
    execute(database, f"SET ROLE pms_restore; SET {setting}")


def test_compose_of_the_project_says_that_it_failed():
    program = Path(sys.executable).with_name("docker-compose")
    done = subprocess.run([program, "--file", "/nonexistent.yml", "config"], capture_output=True)
    assert done.returncode != 0
    assert b"nonexistent.yml" in done.stderr


@pytest.mark.parametrize(
    ("check", "missing"),
    [
        (
            "database.reads",
            "attribute BYPASSRLS, membership in pg_read_all_data, membership in pg_monitor",
        ),
        (
            "database.restores",
            "attribute CREATEDB, membership in pg_signal_backend, membership in macro_user, which"
            " owns the database, membership in pms_restore, a superuser",
        ),
    ],
)
def test_doctor_names_the_rights_that_are_missing(server, database, check, missing):
    checks = yaml.safe_load((PROJECT / "roles/doctor/files/checklist.yml").read_text())["checks"]
    query = next(each for each in checks if each["id"] == check)["params"]["query"]
    as_poor = f"SET SESSION AUTHORIZATION poor_role; {query}"
    server.psql("CREATE ROLE poor_role")
    try:
        assert server.psql(as_poor, database.name) == missing
    finally:
        server.psql("DROP ROLE poor_role")
    assert server.psql(f"SET SESSION AUTHORIZATION pms_ops; {query}", database.name) == ""
