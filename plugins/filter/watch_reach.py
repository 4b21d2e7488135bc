# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a small program of the control node reaches a host, without a run of Ansible."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

DOCUMENTATION = r"""
name: pms_watch_reach
short_description: Say how a program reaches a host
description:
  - Makes the command that runs a program on a host, from the variables of the host by which Ansible
    connects to it. The watch over continuous protection uses it twice a minute.
author: Operations team (@ops)
options:
  _input:
    description: The variables of the host.
    type: dict
    required: true
"""

EXAMPLES = r"""
reach: "{{ hostvars[inventory_hostname] | pms_watch_reach }}"
"""

RETURN = r"""
_value:
  description:
    - C(connection), empty on this machine, and C(become). None for a connection other than local
      and ssh.
  type: dict
  sample: {connection: [ssh, -o, BatchMode=yes, db1], become: [sudo, -n]}
"""

SSH_OPTIONS = ("BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=5")


def watch_reach(host: Mapping[str, Any]) -> dict[str, list[str]] | None:
    """Return how a program of the control node reaches a host, from the variables of the host.

    None for a connection other than local and ssh: the watch cannot use it.
    """
    kind = str(host.get("ansible_connection") or "ssh")
    become: list[str] = []
    if host.get("ansible_become") in (True, "true", "True", "yes"):
        become = ["sudo", "-n"]
        if user := host.get("ansible_become_user"):
            become += ["-u", str(user)]
    if kind == "local":
        return {"connection": [], "become": become}
    if kind not in ("ssh", "ansible.builtin.ssh", "smart"):
        return None
    words = ["ssh", *(word for each in SSH_OPTIONS for word in ("-o", each))]
    for option, names in (
        ("-p", ("ansible_port", "ansible_ssh_port")),
        ("-l", ("ansible_user", "ansible_ssh_user")),
        ("-i", ("ansible_ssh_private_key_file", "ansible_private_key_file")),
    ):
        value = next((host[name] for name in names if host.get(name)), None)
        words += [option, str(value)] if value is not None else []
    for name in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        words += shlex.split(str(host.get(name) or ""))
    address = host.get("ansible_host") or host.get("ansible_ssh_host")
    return {
        "connection": [*words, str(address or host["inventory_hostname"])],
        "become": become,
    }


class FilterModule:
    """Gives the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"pms_watch_reach": watch_reach}
