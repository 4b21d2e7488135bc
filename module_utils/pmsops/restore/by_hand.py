# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a person does at a swap if no manager of services is known (pms_services_manager: none).

The PMS keeps its book in memory, so it has to be restarted on the new database. Nothing needs to be
stopped before: the swap ends its sessions, and what it writes waits until the swap is accepted.
"""

from __future__ import annotations

from ansible.module_utils.pmsops.services.manager import Services


def restart(services: Services) -> str:
    """Return what to restart as an order; empty if the toolkit restarts the services itself."""
    if not services.by_hand:
        return ""
    return f"restart {_names(services)} NOW by hand"


def plan(services: Services, url: str | None, seconds: float) -> list[str]:
    """Return what a person has to do during the swap, and how long the run waits for it."""
    if not services.by_hand:
        return []
    names = _names(services)
    lines = [
        "Before: stop jobs that must not run into a restart (imports, pipelines). The PMS itself"
        " may run on: its sessions are ended, and its writes wait until the swap is accepted.",
    ]
    if url is None:
        return [
            *lines,
            f"After: restart {names}. Without pms_api_url the run cannot see whether the PMS works"
            " on the new database, and does not wait: set it, and the run waits for the restart.",
        ]
    return [
        *lines,
        f"When the run says so: restart {names}. It waits up to {seconds:.0f} s until the PMS"
        " serves the restored book, and goes on by itself. If nobody does it in time, the former"
        " database becomes live again, and the proved one is kept for the next run.",
    ]


def unchecked(services: Services, url: str | None) -> list[str]:
    """Return what to tell if nothing showed whether the PMS works on the new database."""
    if not services.by_hand or url:
        return []
    return [
        f"Restart {_names(services)} now: until then it serves the book of the former database."
        " Nothing checked it, since neither pms_services_manager nor pms_api_url is set."
    ]


def _names(services: Services) -> str:
    return ", ".join(services.names) or "the PMS, and whatever else keeps the book in memory"
