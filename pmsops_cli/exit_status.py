# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The exit statuses of pms-ops, and the exception that ends a command early."""

from __future__ import annotations

from collections.abc import Mapping

DONE = 0
FAILED = 1
USAGE = 2
COULD_NOT_RUN = 3
BROKEN = 4  # a proof or a gate did not find its negative control: it says nothing
INTERRUPTED = 130

# Of ansible-playbook: 0; 2, a host failed; 4, one is unreachable, or a file cannot be read; 8, the
# play was ended by any_errors_fatal. Others (1 and 250 its own error, 5 options) are those of a run
# that did not come to its end, whatever the hosts' numbers say.
_ENDED = (0, 2, 4, 8)


class Stop(Exception):
    """Ends the command with what went wrong and the remedy."""

    def __init__(self, what: str, remedy: str = "", *, status: int = USAGE) -> None:
        super().__init__(what)
        self.remedy = remedy
        self.status = status


def from_hosts(stats: Mapping[str, Mapping[str, int]]) -> int:
    """Return the exit status for the numbers of each host: what failed and was not rescued."""
    if any(each.get("unreachable") for each in stats.values()):
        return COULD_NOT_RUN
    return FAILED if any(each.get("failures") for each in stats.values()) else DONE


def from_playbook(rc: int | None, *, hosts: int, found: int) -> int:
    """Return the exit status of a run: *found* by the events of its hosts, where there are any.

    A run on no host ends with 0 there, although it checked nothing: COULD_NOT_RUN. And one that
    ansible-playbook calls bad is never good, though no host's numbers say why.
    """
    if not hosts:
        return COULD_NOT_RUN
    if rc not in _ENDED:
        return max(found, COULD_NOT_RUN)
    if rc and found == DONE:
        return COULD_NOT_RUN if rc == 4 else FAILED
    return found
