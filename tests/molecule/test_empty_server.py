# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The volume of the database server is gone: one command brings PMS and Dagster back."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime

import pytest

from tests.conftest import PROJECT
from tests.molecule.conftest import ENVIRONMENT, PLAYBOOK, lab_name, remove_lab

LAB = lab_name("emptyserver")
CONTAINER = f"macro_timescaledb_{LAB}"
VOLUME = f"pms-lab-{LAB}_timescaledb_data"
PROJECT_FILE = PROJECT / f".lab-{LAB}" / "compose.yml"
COMPOSE = ["docker-compose", "-p", f"pms-lab-{LAB}", "-f", str(PROJECT_FILE)]


def run(*words: str, fails: bool = False) -> str:
    done = subprocess.run(
        words,
        cwd=PROJECT,
        env={**ENVIRONMENT, "PMS_LAB_INSTANCE": LAB},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert bool(done.returncode) == fails, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


def playbook(name: str, *more: str) -> str:
    return run(str(PLAYBOOK), f"playbooks/{name}.yml", *more)


def psql(database: str, statement: str) -> str:
    command = ["docker", "exec", "-u", "postgres", CONTAINER, "psql", "-XAtc", statement]
    return run(*command, database).strip()


@pytest.mark.nightly
def test_a_server_whose_volume_is_gone_comes_back_with_dagster_by_one_command():
    """Dagster's database was in no set, and the way back was by hand: issue 18, A19."""
    try:
        playbook("lab", "-e", "lab_scale=0.1")
        playbook("backup")
        runs = psql("dagster_storage", "SELECT count(*) FROM runs")
        positions = psql("macro_trading", "SELECT count(*) FROM portfolio_positions")
        run("docker", "rm", "--force", CONTAINER)
        run("docker", "volume", "rm", VOLUME)
        run(*COMPOSE, "up", "--detach", "--wait", "timescaledb")
        assert psql("postgres", "SELECT count(*) FROM pg_database WHERE NOT datistemplate") == "1"
        began = datetime.now(UTC)
        said = playbook("dr_database", "-e", "empty_server=true", "-e", "confirm=macro_trading")
        assert "Recovered in" in said
        assert (datetime.now(UTC) - began).total_seconds() < 240
        assert psql("dagster_storage", "SELECT count(*) FROM runs") == runs
        found = psql("macro_trading", "SELECT count(*) FROM portfolio_positions")
        assert found == positions
        # Roles with their passwords and memberships, services on both databases.
        assert "No scenario fits" in " ".join(playbook("dr_triage").split())
        playbook("backup")
    finally:
        remove_lab(LAB)
