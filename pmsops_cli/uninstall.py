# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command `uninstall`: everything that pms-ops has put somewhere, and how each is removed.

It removes nothing: sets and evidence may have to be kept for years, and a role may have a grant
that somebody else needs. The order is that of typing.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from pmsops_cli import inventory, project
from pmsops_cli.commands import Session
from pmsops_cli.exit_status import DONE
from pmsops_cli.hosts import System

UNITS = "/etc/systemd/system/pms-ops-*"
CONFIGURATION = "/etc/pms-ops"
REMOTE = "/opt/pms-ops"
# What a restore, a rollback or a kill of one may have left beside the PMS's database.
COPIES = (
    "SELECT format('DROP DATABASE %I WITH (FORCE);', datname) FROM pg_database"
    " WHERE datname ~ '^{name}__({parts})_'"
)

Part = dict[str, str]


def command(session: Session) -> int:
    """Print what there is to remove of each system, and on this machine."""
    found: dict[str, list[Part]] = {}
    for part in session.split():
        for system in part.systems:
            found[system.host] = _of_system(part, system)
        names = [Path(each).name for each in part.inventories if "," not in each]
        for name, path in zip(names, part.inventories, strict=False):
            found.setdefault("this machine", []).extend(_of_inventory(name, path))
    found.setdefault("this machine", []).extend(_of_machine())
    if session.arguments.json:
        print(json.dumps({"command": "uninstall", "places": found}, indent=1))
        return DONE
    print("Nothing is removed by this command. In this order:")
    for place, parts in found.items():
        print(f"\n{place}")
        for each in parts:
            print(f"  {each['what']}\n    {each['command']}")
    return DONE


def _of_system(session: Session, system: System) -> list[Part]:
    from ansible.module_utils.pmsops.restore.registry import NAME_PARTS

    database = system.database
    psql = "psql -X -U SUPERUSER"
    folder = "rm -r" if system.local else f"on {system.host}: rm -r"
    copies = COPIES.format(name=database, parts="|".join(NAME_PARTS.values()))
    drop = (
        f"DROP SCHEMA IF EXISTS pms_ops CASCADE; DROP OWNED BY {system.user};"
        f" DROP ROLE {system.user}; DROP ROLE pms_restore;"
    )
    return [
        _part(
            f"timers and services of the schedule ({UNITS}, {CONFIGURATION})",
            f"sudo {session.again('pms-ops schedule remove')}",
        ),
        _part(
            "continuous protection, if it was enabled: role, slot, a line of pg_hba.conf, its"
            " container, base backups and WAL",
            session.again("pms-ops pitr disable -e pitr_purge=true"),
        ),
        _part(
            f"databases that restores left ({database}__before_..., __restore_..., __undone_...)",
            f"{psql} -At -d {system.maintenance} -c {shlex.quote(copies)} prints what drops them",
        ),
        _part(
            "former servers, which restores of a whole server left (volumes)",
            session.again("pms-ops rollback --drop-server all"),
        ),
        _part(
            f"schema pms_ops in {database}, roles {system.user} and pms_restore",
            f"{psql} -d {database} -c {shlex.quote(drop)}",
        ),
        _part(
            f"Python environment of the modules ({REMOTE}), if prepare made one",
            session.again("pms-ops prepare --remove"),
        ),
        _part(
            f"signing keys ({system.keys}): without the public half no set can be checked again",
            f"{folder} {shlex.quote(system.keys)}",
        ),
        _part("backup sets: the only copies?", f"{folder} {shlex.quote(str(system.backup_root))}"),
        _part(
            "evidence, ledger and incidents: how long do they have to be kept?",
            f"{folder} {shlex.quote(str(system.evidence_root))}",
        ),
        _part(
            "record of the schedule and its metrics (schedule_state_dir), and metrics elsewhere",
            f"{folder} /var/lib/pms-ops, and pms_*.prom in backup_metrics_dir",
        ),
        _part(
            "containers of client tools that a kill left, if any",
            "docker rm -f $(docker ps -aq --filter label=pms-ops.client-of)",
        ),
    ]


def _of_inventory(name: str, path: str) -> list[Part]:
    found = [_part(f"inventory {name}, with its vault", f"rm -r {shlex.quote(path)}")]
    password = inventory.vault_password_file(name)
    if password.exists():
        found.append(_part("password of the vault", f"rm {shlex.quote(str(password))}"))
    return found


def _of_machine() -> list[Part]:
    return [
        _part("keys and passwords of vaults", f"rm -r {project.config_folder()}"),
        _part("logs of runs", f"rm -r {project.state_folder()}"),
        _part("this clone, and a link to it in the PATH", f"rm -r {project.PROJECT}"),
    ]


def _part(what: str, how: str) -> Part:
    return {"what": what, "command": how}
