# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A second PMS, which shares no name with the lab: made of a lab, whose parts get other names.

Other are the Compose project, its services and containers, the database and the role that owns it.
The database has more kinds of objects than the lab's: publications, a subscription, an event
trigger, a role with limits, a tablespace, large objects. Nothing of pms-ops is in it before
``pms-ops init``. The lab is started once for its data and images, and never again.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import CHECKOUT, PROJECT

PROGRAMS = Path(sys.executable).parent
LAB = f"foreign{CHECKOUT}"
PROJECT_NAME = f"tesouraria{CHECKOUT}"
DATABASE = "caixa"
OWNER = "gestora"
# The lab's name of each service, and the one it gets; the container's name is another again.
SERVICES = {
    "timescaledb": "store",
    "redis": "kv",
    "api": "gateway",
    "dagster-webserver": "flows",
    "dagster-daemon": "flows-runner",
    "grafana": "boards",
}
START_SECONDS = 300

OBJECTS = """
CREATE ROLE tesouraria_reader LOGIN CONNECTION LIMIT 3 VALID UNTIL '2030-01-01';
ALTER ROLE tesouraria_reader SET statement_timeout = '30s';
GRANT SELECT ON trade_proposals TO tesouraria_reader;
CREATE PUBLICATION cdc FOR TABLE trade_proposals, portfolio_positions;
CREATE SUBSCRIPTION feed CONNECTION 'host=127.0.0.1 port=1 dbname=elsewhere' PUBLICATION cdc
  WITH (connect = false, slot_name = NONE);
CREATE FUNCTION noted() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE EVENT TRIGGER noted ON ddl_command_end EXECUTE FUNCTION noted();
SELECT lo_from_bytea(4711, 'a contract');
ALTER LARGE OBJECT 4711 OWNER TO gestora;
CREATE TABLE archived (id int PRIMARY KEY, what varchar CHECK (what IN ('a', 'b'))) TABLESPACE cold;
ALTER TABLE archived OWNER TO gestora;
INSERT INTO archived VALUES (1, 'a'), (2, 'b');
"""
# What pms-ops keeps in a database: a lab has it, a system before its first go-live has not.
WITHOUT_PMS_OPS = """
SET client_min_messages = warning;
DROP OWNED BY pms_ops CASCADE;
"""


@dataclass(frozen=True)
class ForeignSystem:
    """A running PMS, and what is needed to call pms-ops for it."""

    compose_file: Path
    # The folder of inventory/ that init writes.
    inventory: Path
    # Variables that no Compose file can tell: users of the PMS and of Grafana.
    variables: dict[str, Any]
    root: Path

    def psql(self, sql: str, database: str = DATABASE) -> str:
        """Run statements as the superuser in the container; return what they print."""
        client = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database]
        inside = ["docker", "exec", "-i", "-u", "postgres", container("timescaledb")]
        return run([*inside, *client], text_in=sql).stdout.strip()

    def pms_ops(self, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run the command line for this system; its exit status has to be this one."""
        return run([str(PROJECT / "scripts/pms-ops"), *arguments], status=status)

    def playbook(self, name: str, *arguments: str, status: int = 0, **variables: Any) -> str:
        """Run a playbook for this system; return what it says."""
        given = json.dumps(self.variables | variables)
        play = [str(PROGRAMS / "ansible-playbook"), f"--inventory={self.inventory}"]
        play += [f"playbooks/{name}.yml", "--extra-vars", given, *arguments]
        done = run(play, status=status)
        return " ".join(done.stdout.split())


def container(service: str) -> str:
    """Return the name of the container of a service, given by the lab's name."""
    return f"{PROJECT_NAME}.{SERVICES[service]}"


def run(
    command: Sequence[str], *, text_in: str = "", status: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in the project; show what it said where its exit status is another."""
    done = subprocess.run(
        command,
        input=text_in,
        cwd=PROJECT,
        env={**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", **environment}
        | {"ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    said = f"{done.stdout[-6000:]}{done.stderr[-3000:]}"
    assert done.returncode == status, f"{command[:4]}: {done.returncode}\n{said}"
    return done


@contextmanager
def foreign_system(folder: Path) -> Iterator[ForeignSystem]:
    """Make the system in this folder; remove all of it at the end."""
    inventory = PROJECT / "inventory" / PROJECT_NAME
    compose_file = folder / "stack" / "compose.yml"
    lab = {"PMS_LAB_INSTANCE": LAB}
    play = str(PROGRAMS / "ansible-playbook")
    try:
        run([play, "playbooks/lab.yml", "--extra-vars=lab_scale=0.1"], **lab)
        state = yaml.safe_load((PROJECT / f".lab-{LAB}" / "state.yml").read_text())
        _another(PROJECT / f".lab-{LAB}" / "compose.yml", compose_file)
        secrets = state["secrets"]
        made = ForeignSystem(
            compose_file,
            inventory,
            {
                "pms_api_username": "manager",
                "pms_api_password": secrets["pms_manager"],
                "pms_grafana_username": "admin",
                "pms_grafana_password": secrets["grafana_admin"],
                "golive_attestations": str(PROJECT / f".lab-{LAB}" / "attestations.yml"),
                "golive_smoke_test": True,
                "golive_smoke_test_accept_remains": True,
            },
            folder / "root",
        )
        _compose(compose_file, "up", "--detach", "--wait", SERVICES["timescaledb"])
        _rename(made)
        _compose(compose_file, "restart", SERVICES["timescaledb"])  # schedulers find the new name
        _compose(compose_file, "up", "--detach", "--wait", "--wait-timeout", str(START_SECONDS))
        yield made
    finally:
        if compose_file.exists():
            _compose(compose_file, "down", "--timeout", "5")
        run([play, "playbooks/lab_down.yml"], **lab)
        shutil.rmtree(PROJECT / f".lab-{LAB}", ignore_errors=True)
        shutil.rmtree(inventory, ignore_errors=True)


def wait_until_healthy(service: str) -> None:
    """Wait until a container is healthy; fail after a minute."""
    for _ in range(120):
        state = run(
            ["docker", "inspect", "--format", "{{.State.Health.Status}}", container(service)]
        ).stdout.strip()
        if state == "healthy":
            return
        time.sleep(0.5)
    raise AssertionError(f"{container(service)} is {state}")


def _compose(file: Path, *arguments: str) -> None:
    program = PROGRAMS / "docker-compose"
    command = [str(program)] if program.exists() else ["docker", "compose"]
    run([*command, "-f", str(file), *arguments])


def _another(of_lab: Path, file: Path) -> None:
    """Stop the lab, and write its Compose file with other names; the volumes stay the lab's."""
    project = f"pms-lab-{LAB}"
    program = PROGRAMS / "docker-compose"
    command = [str(program)] if program.exists() else ["docker", "compose"]
    run([*command, "-p", project, "-f", str(of_lab), "down", "--timeout", "5"])
    described = yaml.safe_load(of_lab.read_text())
    services = {
        SERVICES[name]: _service(name, service) for name, service in described["services"].items()
    }
    volumes = {
        name: {"name": f"{project}_{name}", "external": True} for name in described["volumes"]
    }
    file.parent.mkdir(parents=True)
    file.write_text(
        yaml.safe_dump(
            {
                "name": PROJECT_NAME,
                "services": services,
                "networks": described["networks"],
                "volumes": volumes,
            }
        )
    )


def _service(name: str, service: Mapping[str, Any]) -> dict[str, Any]:
    names = SERVICES | {"macro_trading": DATABASE, "macro_user": OWNER}
    made = dict(service)
    made.pop("labels", None)
    made["container_name"] = container(name)
    made["environment"] = {
        key: names.get(value, value)
        for key, value in service["environment"].items()
        if key != "PMS_OPS_PASSWORD"
    }
    made["depends_on"] = {
        SERVICES[other]: how for other, how in service.get("depends_on", {}).items()
    }
    if check := service.get("healthcheck"):
        made["healthcheck"] = {**check, "test": [names.get(each, each) for each in check["test"]]}
    return made


def _rename(system: ForeignSystem) -> None:
    """Give database and owner their other names; take pms-ops out; make the further objects."""
    system.psql(WITHOUT_PMS_OPS, "macro_trading")
    system.psql(
        f"{WITHOUT_PMS_OPS} DROP OWNED BY pms_restore; DROP ROLE pms_ops; DROP ROLE pms_restore;"
        f"ALTER DATABASE macro_trading RENAME TO {DATABASE};"
        f"ALTER ROLE macro_user RENAME TO {OWNER};",
        "postgres",
    )
    system.psql("SET allow_in_place_tablespaces = on;\nCREATE TABLESPACE cold LOCATION '';")
    system.psql(f"GRANT CREATE ON TABLESPACE cold TO {OWNER}; {OBJECTS}")
