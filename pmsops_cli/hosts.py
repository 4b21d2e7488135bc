# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The variables of the managed hosts, as a playbook would see them."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pmsops_cli import inventory, project
from pmsops_cli.exit_status import COULD_NOT_RUN, Stop

if TYPE_CHECKING:
    from ansible.module_utils.pmsops.control.neighbours import Place

GROUP = "pms"
NAMES = (
    *("pms_db_name", "backup_root", "evidence_root"),
    *("pms_db_user", "pms_db_maintenance_name", "pms_keys_dir"),
    "pitr_enabled",
)


@dataclass(frozen=True)
class System:
    """A managed host, and what the front door needs to know of it."""

    host: str
    local: bool
    database: str
    backup_root: Path
    evidence_root: Path
    user: str = "pms_ops"
    maintenance: str = "postgres"
    keys: str = ""
    protected: bool = False  # continuously, by base backups and WAL
    sites: tuple[str, ...] = ()  # which have copies of the sets
    drill_host: str = ""  # of the monthly drill elsewhere
    windows: tuple[str, ...] = ()  # when it may be worked on; none: at any time
    label: str = ""  # of its Prometheus series
    place: Place | None = None  # what no other system may share


@dataclass(frozen=True)
class Sources:
    """Where the variables come from."""

    inventories: list[str]
    extra: list[str]
    limit: str | None = None
    vault_files: list[str] | None = None
    vault_password: str | None = None


def describes_one(source: str) -> bool:
    """Tell whether an inventory has no folders in which further systems may be.

    All hosts of one folder are of one system, so nobody has to read them.
    """
    project.enter()
    from ansible.module_utils.pmsops.control import inventories as sources

    return len(sources.parts(source)) == 1


def described(inventories: list[str]) -> dict[str, list[str]]:
    """Return the folders of the systems that *inventories* describe, with their inventories."""
    project.enter()
    os.environ.setdefault("ANSIBLE_INVENTORY_UNPARSED_WARNING", "False")
    from ansible.module_utils.pmsops.control import inventories as sources
    from ansible.plugins.loader import init_plugin_loader

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it was called before
        init_plugin_loader()
    return sources.systems(inventories)


def describes_several(inventories: list[str]) -> bool:
    """Tell whether an inventory has variables for single hosts, as `init --add` writes them."""
    return any(any(Path(each, "host_vars").glob("*")) for each in inventories if "," not in each)


def read(sources: Sources) -> list[System]:
    """Return the hosts of the group pms.

    :raises Stop: if the inventory cannot be read, has no such host, or lacks a value.
    """
    systems, unread = read_each(sources)
    for host, reason in unread.items():
        raise _unreadable(sources, f"{host}: {reason}")
    return systems


def read_each(sources: Sources) -> tuple[list[System], dict[str, str]]:
    """Return the hosts of the group pms, and why others of it cannot be read, by name.

    A vault that does not open is the matter of one system; the others are read.

    :raises Stop: if the inventory cannot be read, has no such host, or none that can be read.
    """
    project.enter()
    # Ansible prints its warnings on standard error, where they hide ours.
    os.environ.setdefault("ANSIBLE_INVENTORY_UNPARSED_WARNING", "False")
    from ansible.errors import AnsibleError

    try:
        systems, unread = _read(sources)
    except AnsibleError as exc:
        raise _unreadable(sources, _one_line(exc)) from exc
    if not systems:
        raise _unreadable(sources, "; ".join(dict.fromkeys(unread.values())))
    return systems, unread


def require_apart(systems: list[System]) -> None:
    """Refuse two systems that share a database or a folder: one would act on what is the other's.

    :raises Stop: if two do.
    """
    from ansible.module_utils.pmsops.control import neighbours

    places = [each.place for each in systems if each.place]
    shared = neighbours.shared_by_any(places)
    if shared:
        raise Stop(
            f"Nothing was run. {' '.join(shared)}",
            "Give each system a database and folders of its own, in its host_vars.",
        )


def _unreadable(sources: Sources, why: str) -> Stop:
    return Stop(
        f"The inventory {', '.join(sources.inventories)} cannot be read: {why}",
        f"Correct it. {inventory.vault_advice(sources.inventories)}",
        status=COULD_NOT_RUN,
    )


def _one_line(exc: Exception) -> str:
    return " ".join(str(exc).split())


def _read(sources: Sources) -> tuple[list[System], dict[str, str]]:
    import ansible.context
    from ansible.errors import AnsibleError
    from ansible.inventory.manager import InventoryManager
    from ansible.module_utils.common.collections import ImmutableDict
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader
    from ansible.plugins.vars import host_group_vars
    from ansible.vars.manager import VariableManager

    # Ansible remembers which files of variables there were, and `init` has just written some.
    host_group_vars.FOUND.clear()
    host_group_vars.NAK.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it was called before
        init_plugin_loader()
    ansible.context.CLIARGS = ImmutableDict(
        extra_vars=tuple(sources.extra), tags={}, subset=sources.limit
    )
    loader = DataLoader()
    loader.set_vault_secrets(_secrets(loader, sources))
    hosts = InventoryManager(loader=loader, sources=sources.inventories)
    if sources.limit:
        hosts.subset(sources.limit)
    # Ansible's own error for a missing group does not say what to do.
    found = hosts.list_hosts(GROUP) if GROUP in hosts.groups else []
    if not found:
        raise Stop(
            f"The inventory {', '.join(sources.inventories)} has no host in group {GROUP}"
            + (f" within {sources.limit}." if sources.limit else "."),
            "pms-ops init writes an inventory; inventory/example shows one.",
            status=COULD_NOT_RUN,
        )
    variables = VariableManager(loader=loader, inventory=hosts)
    role = project.PROJECT / "roles" / "pms"
    # Its templates are ours: without that word Ansible takes them for plain text.
    defaults, constants = (
        loader.load_from_file(str(role / name / "main.yml"), trusted_as_template=True)
        for name in ("defaults", "vars")
    )
    constants |= {"role_path": str(role)}
    systems: list[System] = []
    unread: dict[str, str] = {}
    for host in found:
        try:
            known = {**defaults, **variables.get_vars(host=host), **constants}
            systems.append(_described(host.name, known, loader))
        except AnsibleError as exc:
            unread[host.name] = _one_line(exc)
    return systems, unread


def _described(host: str, known: dict[str, Any], loader: Any) -> System:
    """Return a host by its variables."""
    from ansible.module_utils.pmsops.control import neighbours
    from ansible.template import Templar

    known.setdefault("pitr_enabled", False)  # of another role
    known.setdefault("ansible_playbook_python", str(project.VENV_BIN / "python"))
    templar = Templar(loader=loader, variables=known)
    values = {name: str(templar.template(known[name])) for name in NAMES}
    sites = templar.template(known.get("offsite_repositories", []))
    connection = {
        name: str(templar.template(known[name])) for name in neighbours.CONNECTION if name in known
    }
    windows = templar.template(known["pms_maintenance_windows"])
    where = connection | {
        name: str(templar.template(known.get(name, ""))) for name in neighbours.NAMES
    }
    return replace(
        _system(host, connection.get("ansible_connection", "ssh"), values),
        sites=tuple(str(each["name"]) for each in sites),
        drill_host=str(templar.template(known.get("schedule_drill_host") or "")),
        windows=(windows,) if isinstance(windows, str) else tuple(map(str, windows or ())),
        label=str(templar.template(known["pms_metrics_system"])),
        place=neighbours.place(host, where),
    )


def _system(host: str, connection: str, values: dict[str, str]) -> System:
    return System(
        host=host,
        local=connection in ("local", "ansible.builtin.local"),
        database=values["pms_db_name"],
        backup_root=Path(values["backup_root"]),
        evidence_root=Path(values["evidence_root"]),
        user=values["pms_db_user"],
        maintenance=values["pms_db_maintenance_name"],
        keys=values["pms_keys_dir"],
        protected=values["pitr_enabled"].lower() in ("true", "yes", "1", "on"),
    )


def _secrets(loader: Any, sources: Sources) -> list[tuple[str, Any]]:
    """Return the passwords of the vaults in Ansible's own order and form."""
    import ansible.constants
    from ansible.cli import CLI
    from ansible.parsing.vault import VaultSecret, VaultSecretsContext

    generated = inventory.vault_arguments(sources.inventories, os.environ)
    ids = [each.removeprefix("--vault-id=") for each in generated]
    secrets: list[tuple[str, Any]] = CLI.setup_vault_secrets(
        loader,
        vault_ids=[*ansible.constants.DEFAULT_VAULT_IDENTITY_LIST, *ids],
        vault_password_files=list(sources.vault_files or []),
        ask_vault_pass=False,
        auto_prompt=False,
        initialize_context=False,
    )
    if sources.vault_password is not None:
        secrets.append(("default", VaultSecret(sources.vault_password.encode())))
    if VaultSecretsContext.current(optional=True) is None:
        VaultSecretsContext.initialize(VaultSecretsContext(secrets))
    return secrets
