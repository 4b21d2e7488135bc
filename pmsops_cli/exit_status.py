# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The exit statuses of pms-ops, and the exception that ends a command early."""

from __future__ import annotations

DONE = 0
FAILED = 1
USAGE = 2
COULD_NOT_RUN = 3
BROKEN = 4  # a proof or a gate did not find its negative control: it says nothing
INTERRUPTED = 130

# Of ansible-playbook: 2 means that a host failed, 8 that any_errors_fatal ended the play. Its other
# statuses (1 and 250 its own error, 4 unreachable or unreadable, 5 options) say nothing.
_FAILED_HOSTS = (2, 8)


class Stop(Exception):
    """Ends the command with what went wrong and the remedy."""

    def __init__(self, what: str, remedy: str = "", *, status: int = USAGE) -> None:
        super().__init__(what)
        self.remedy = remedy
        self.status = status


def from_playbook(rc: int | None, *, hosts: int) -> int:
    """Return the exit status for ansible-playbook's, and the number of hosts that it ran on.

    A run on no host ends with 0 there, although it checked nothing: COULD_NOT_RUN.
    """
    if rc in _FAILED_HOSTS:
        return FAILED
    return DONE if rc == 0 and hosts else COULD_NOT_RUN
