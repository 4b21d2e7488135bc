# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Print one table at the end of a playbook that ran on several systems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ansible.constants
import ansible.module_utils
from ansible.plugins.callback import CallbackBase

_OURS = str(Path(__file__).resolve().parents[2] / "module_utils")
if _OURS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_OURS)

DOCUMENTATION = r"""
name: pms_systems
type: aggregate
short_description: Show what a playbook came to on each system
description:
  - Prints a table of system, verdict and what is due, worst first, at the end of a playbook that
    ran on several hosts of the group C(pms). With one host it prints nothing.
  - Ends a playbook over that group with status 1 where the group has no host.
  - Has Ansible look for results less often where it works on many systems.
author: Operations team (@ops)
requirements:
  - enabled in ansible.cfg
"""

GROUP = "pms"
# Seconds between two looks for results, for each system of a play, and at most. At each look
# Ansible's strategy asks for the next task of every system: of twelve, two hundred times in a
# second, that takes a tenth of a processor. A task waits for half of it, and others work meanwhile.
LOOK_SECONDS = 0.0015
LONGEST_LOOK_SECONDS = 0.05


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible has no types
    """Gathers the results by host, and prints them when the playbook has ended."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "pms_systems"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._systems: set[str] = set()
        self._pattern: list[str] = []
        self._outcomes: Any = None
        self._look = ansible.constants.DEFAULT_INTERNAL_POLL_INTERVAL  # of ansible.cfg

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Learn which hosts are systems; nothing is gathered for one alone."""
        inventory = play.get_variable_manager()._inventory
        several = LOOK_SECONDS * len(inventory.get_hosts(play.hosts))
        ansible.constants.DEFAULT_INTERNAL_POLL_INTERVAL = max(
            self._look, min(several, LONGEST_LOOK_SECONDS)
        )
        group = inventory.groups.get(GROUP)
        self._pattern = [play.hosts] if isinstance(play.hosts, str) else list(play.hosts or [])
        self._systems = {host.get_name() for host in group.get_hosts()} if group else set()
        if len(self._systems) > 1 and self._outcomes is None:
            from ansible.module_utils.pmsops.control.end_table import Outcomes

            self._outcomes = Outcomes()

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """End with status 1 where a play over the systems has none: Ansible itself ends with 0.

        A job of the schedule would count as a good run, though it has backed up nothing.
        """
        if GROUP in self._pattern:
            self._display.error(
                f"The group {GROUP} of the inventory has no host: nothing was run.", wrap_text=False
            )
            raise SystemExit(1)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Take a result that says something of a system."""
        if self._outcomes is not None:
            self._outcomes.ok(result.host.get_name(), result.task.action, result.result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Take a failure."""
        if self._outcomes is not None and not ignore_errors:
            said = result.result
            several = [each for each in said.get("results") or [] if each.get("failed")]
            for each in several or [said]:
                hidden = "its output is hidden: it may hold a secret" if "censored" in each else ""
                self._outcomes.failed(
                    result.host.get_name(),
                    str(each.get("msg") or hidden),
                    code=str(each.get("code") or ""),
                    remedy=str(each.get("remedy") or ""),
                )

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Take a host that does not answer."""
        if self._outcomes is not None:
            self._outcomes.unreachable(result.host.get_name(), str(result.result.get("msg") or ""))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Print the table, if there are several systems."""
        ended = {
            host: {
                "failures": stats.failures.get(host, 0),
                "unreachable": stats.dark.get(host, 0),
            }
            for host in stats.processed
            if host in self._systems
        }
        if self._outcomes is None or len(ended) < 2:
            return
        from ansible.module_utils.pmsops.control import end_table

        self._display.banner("SYSTEMS")
        for line in end_table.lines(self._outcomes.rows(ended)):
            self._display.display(line)
