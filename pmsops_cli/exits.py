# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the exit status of pms-ops means, and the one way to end early."""

from __future__ import annotations

DONE = 0
NOT_AS_PROMISED = 1
USAGE = 2
COULD_NOT_RUN = 3
INTERRUPTED = 130

# ansible-playbook's own: 2 a host failed, 8 the play was broken off for one. With its other numbers
# (1 and 250 an error of its own, 4 unreachable or unreadable, 5 options) nothing is known.
_FAILED_HOSTS = (2, 8)


class Stop(Exception):
    """Ends the command: *what* is the matter, and the *remedy*."""

    def __init__(self, what: str, remedy: str = "", *, status: int = USAGE) -> None:
        super().__init__(what)
        self.remedy = remedy
        self.status = status


def of_playbook(rc: int | None, *, hosts: int) -> int:
    """Return the exit status for ansible-playbook's, and the number of hosts that it ran on.

    A run on no host at all ends with 0 there; the state that it promises was not looked at.
    """
    if rc in _FAILED_HOSTS:
        return NOT_AS_PROMISED
    return DONE if rc == 0 and hosts else COULD_NOT_RUN
