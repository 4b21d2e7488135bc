# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which inventory is meant, from any directory, and the password of its vault."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pmsops_cli.exit_status import Stop
from pmsops_cli.project import PROJECT, config_folder

VARIABLES = ("PMS_OPS_INVENTORY", "ANSIBLE_INVENTORY")
DEFAULT = PROJECT / "inventory" / "lab"


def find(given: list[str], cwd: Path, environment: Mapping[str, str]) -> list[str]:
    """Return the inventories as absolute paths (a list of hosts, with a comma, stays as it is).

    First what was given, then PMS_OPS_INVENTORY, then ANSIBLE_INVENTORY, then the lab. A name that
    is no path from *cwd* may be a folder of the project's inventory/.

    :raises Stop: where there is none of that name.
    """
    wanted = given or next(
        ([environment[name]] for name in VARIABLES if environment.get(name)), [str(DEFAULT)]
    )
    return [_absolute(each, cwd) for each in wanted]


def _absolute(given: str, cwd: Path) -> str:
    if "," in given:
        return given
    for path in (cwd / Path(given).expanduser(), PROJECT / "inventory" / given, PROJECT / given):
        if path.exists():
            return str(path.resolve())
    known = sorted(path.name for path in (PROJECT / "inventory").iterdir() if path.is_dir())
    raise Stop(
        f"There is no inventory {given}, seen from {cwd}.",
        f"Name a folder, or one of {', '.join(known)}; pms-ops init writes one.",
    )


def vault_password_file(name: str) -> Path:
    """Return where `init` keeps the password of the vault of inventory *name*."""
    return config_folder() / "vault" / f"{name}.pass"


def vault_names(folder: Path) -> list[str]:
    """Return the names of the vaults of an inventory: its own, and that of each added system."""
    added = sorted(path.parent.name for path in folder.glob("host_vars/*/vault.yml"))
    return [folder.name, *(added_vault(folder, name) for name in added)]


def added_vault(folder: Path, name: str) -> str:
    """Return the name of the vault of a system that `init --add` put into an inventory."""
    return f"{folder.name}.{name}"


def vault_advice(inventories: list[str]) -> str:
    """Return where the passwords of the vaults are looked for, and what else gives them."""
    names = [name for each in inventories if "," not in each for name in vault_names(Path(each))]
    places = ", ".join(
        f"{path} ({'is there' if path.is_file() else 'is missing'})"
        for path in map(vault_password_file, names)
    )
    looked = f"The vault's password is looked for in {places}. Put it there, mode 0600, or give"
    return f"{looked if names else 'Give'} --vault-password-file or --ask-vault-pass."


def vault_arguments(inventories: list[str], environment: Mapping[str, str]) -> list[str]:
    """Return the arguments that open the vaults whose passwords `init` made.

    An operator's own setting goes before them: with ANSIBLE_VAULT_PASSWORD_FILE nothing is added.
    """
    if environment.get("ANSIBLE_VAULT_PASSWORD_FILE"):
        return []
    names = [name for each in inventories if "," not in each for name in vault_names(Path(each))]
    files = [(name, vault_password_file(name)) for name in names]
    return [f"--vault-id={name}@{path}" for name, path in files if path.is_file()]
