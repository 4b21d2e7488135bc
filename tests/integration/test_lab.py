"""The lab's roles and rights in a real server; the lab as a whole is molecule's to try."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest

from tests.conftest import PROJECT
from tests.support.server import HAS_TIMESCALEDB, Server, execute

RIGHTS = PROJECT / "docs" / "database-rights.sql"
PASSWORD = "only-for-this-test"


def apply_rights(server: Server) -> str:
    """Run the documented file as the superuser; return what it printed."""
    done = subprocess.run(
        [
            *("docker", "exec", "-i", "-u", "postgres", "-e", f"PMS_OPS_PASSWORD={PASSWORD}"),
            *(server.container.name, "psql", "-X", "-v", "ON_ERROR_STOP=1"),
            *("-v", "owner=macro_user"),
        ],
        input=RIGHTS.read_text(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


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
