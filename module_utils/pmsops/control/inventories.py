# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which systems several inventories describe.

Ansible merges the group variables of all its inventories, so a host of the first would be given the
database, the folders and the passwords of the second.
"""

from __future__ import annotations

from pathlib import Path

GROUP = "pms"
VARIABLES = ("group_vars", "host_vars")


def systems(sources: list[str]) -> dict[str, list[str]]:
    """Return the folders that have hosts of the group pms, each with the sources that lead to it.

    An inventory without such a host only adds variables and is no system.
    """
    # Half a second of a processor, which a caller with one plain folder does not need.
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader

    found: dict[str, list[str]] = {}
    for source, part in ((s, p) for s in dict.fromkeys(sources) for p in parts(s)):
        group = InventoryManager(loader=DataLoader(), sources=[part]).groups.get(GROUP)
        for host in group.get_hosts() if group else []:
            folder = host.vars.get("inventory_dir")
            led = found.setdefault(str(Path(folder).resolve()) if folder else part, [])
            if source not in led:
                led.append(source)
    return found


def parts(source: str) -> list[str]:
    """Return a source, and the folders in it: hosts of one name in two of them become one host."""
    folder = Path(source)
    if not folder.is_dir():
        return [source]
    inner = (each for each in sorted(folder.iterdir()) if each.is_dir())
    return [source, *(str(each) for each in inner if each.name not in VARIABLES)]
