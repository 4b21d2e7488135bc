# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where `init` writes: an inventory of its own, or, with --add, one more system of an inventory."""

from __future__ import annotations

import os
from argparse import Namespace
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pmsops_cli import hosts, inventory, project
from pmsops_cli.exit_status import Stop
from pmsops_cli.inventory_writer import Description

GROUP_FILES = ("group_vars/pms.yml", "group_vars/pms.yaml", "group_vars/pms")
# How a host is reached may be said for the whole group.
SHARED = "ansible_"
OF_VAULT = "vault_"


@dataclass(frozen=True)
class Target:
    """The folder of an inventory, and the names of one system's files in it."""

    folder: Path
    hosts: str = "hosts.yml"
    variables: str = "group_vars/pms/pms.yml"
    secrets: str = "group_vars/pms/vault.yml"
    vault: str = ""  # the vault's name
    # What the group says of another system, with the values that hold without it.
    others: dict[str, Any] = field(default_factory=dict)


def added(given: Namespace, cwd: Path, project_folder: Path) -> Target:
    """Return the place of one more system in the inventory that -i names.

    :raises Stop: where that is no folder, is the lab's, cannot be read, or has the name already.
    """
    named = any(os.environ.get(each) for each in inventory.VARIABLES)
    if not given.inventory and not named:
        raise Stop("--add puts a system into an inventory.", "Name it: pms-ops -i prod init --add")
    found = inventory.find(given.inventory, cwd, os.environ)
    folder = Path(found[0])
    if len(found) > 1 or not folder.is_dir():
        raise Stop(
            f"{', '.join(found)} is not one folder, and --add writes files into one.",
            "Name the folder of the inventory by -i.",
        )
    if folder in ((project_folder / "inventory" / each).resolve() for each in ("lab", "example")):
        raise Stop(f"{folder} is part of the project.", "Make one of your own: pms-ops init.")
    target = Target(
        folder,
        hosts=f"{given.name}.yml",
        variables=f"host_vars/{given.name}/pms.yml",
        secrets=f"host_vars/{given.name}/vault.yml",
        vault=inventory.added_vault(folder, given.name),
    )
    _require_free_name(target, given.name)
    return target


def _require_free_name(target: Target, name: str) -> None:
    """Refuse a name that the inventory has, unless it is that of the same system.

    :raises Stop: where it has.
    """
    project.enter()
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader

    file = target.folder / target.hosts
    if file.is_file():
        document = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        group = document.get(hosts.GROUP) if isinstance(document, dict) else None
        if list((group or {}).get("hosts") or ()) == [name]:
            return  # written by an earlier init --add
        raise Stop(f"{file} is there and is not the file of system {name}.", "Choose another name.")
    os.environ.setdefault("ANSIBLE_INVENTORY_UNPARSED_WARNING", "False")
    known = InventoryManager(loader=DataLoader(), sources=[str(target.folder)])
    if name in known.hosts or name in known.groups or (target.folder / "host_vars" / name).exists():
        raise Stop(
            f"{target.folder} has {name} already.", "Choose another --name; the first stays."
        )


def require_apart(
    target: Target, name: str, given: Namespace, found: Description, connection: dict[str, Any]
) -> None:
    """Refuse a database, or a folder, that a system of the inventory has.

    :raises Stop: where one has it, or where the others cannot be read.
    """
    from ansible.module_utils.pmsops.control import neighbours

    values = {"pms_db_access": "container", **connection, **found.values}
    mine = neighbours.place(name, values)
    for system in _others(target, name, given):
        if system.place and (shared := neighbours.shared(mine, system.place)):
            raise Stop(
                f"Nothing was written. {' '.join(shared)}",
                "Each system has a database and folders of its own: give another --root, or name"
                " the inventory of this system.",
            )


def _others(target: Target, name: str, given: Namespace) -> list[hosts.System]:
    files = [str(Path(each).expanduser().absolute()) for each in given.vault_password_file]
    found = hosts.read(hosts.Sources([str(target.folder)], [], vault_files=files))
    return [each for each in found if each.host != name]


def of_other_systems(target: Target, given: Namespace, mine: set[str]) -> dict[str, Any]:
    """Return the variables of the group that *mine* lacks, with the values that hold without it.

    They are another system's: its channels, sites and passwords. The group stays as it is.
    """
    from ansible.parsing.dataloader import DataLoader

    loader = DataLoader()
    files = [str(Path(each).expanduser().absolute()) for each in given.vault_password_file]
    loader.set_vault_secrets(
        hosts._secrets(loader, hosts.Sources([str(target.folder)], [], vault_files=files))
    )
    names: set[str] = set()
    for each in GROUP_FILES:
        path = target.folder / each
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            if file.is_file():
                # Ansible's strings carry where they come from; YAML's writer knows plain ones.
                loaded = loader.load_from_file(str(file), cache="none") or {}
                names |= {"".join(name) for name in loaded}
    defaults = _defaults()
    return {
        name: defaults.get(name, "") for name in sorted(names - mine) if not name.startswith(SHARED)
    }


def _defaults() -> dict[str, Any]:
    """Return the defaults of the roles, templates as they are written."""
    found: dict[str, Any] = {}
    for file in sorted((project.PROJECT / "roles").glob("*/defaults/main.yml")):
        found |= yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return found
