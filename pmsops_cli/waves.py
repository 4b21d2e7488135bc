# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A playbook over a fleet in waves: each wave a run of its own, none after a red one.

Ansible's `serial` does not serve. With a strategy other than `linear`, it goes on after a batch in
which one host of several failed (`max_fail_percentage` is ignored), names nobody of the batches
that it never began, and asks for no window when a batch begins.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pmsops_cli import console
from pmsops_cli.commands import Session
from pmsops_cli.exit_status import COULD_NOT_RUN, DONE, INTERRUPTED, Stop
from pmsops_cli.hosts import System

if TYPE_CHECKING:
    from ansible.module_utils.pmsops.control.end_table import Row

ALL = "100%"


def sizes(serial: str, count: int) -> list[int]:
    """Return the sizes of the waves: numbers and shares, as Ansible's `serial`; the last repeats.

    :raises Stop: if one of them is neither.
    """
    from ansible.utils.helpers import pct_to_int

    given = [word.strip() for word in serial.split(",")]
    if not all(
        word.removesuffix("%").isdecimal() and int(word.removesuffix("%")) for word in given
    ):
        raise Stop(
            f"--serial {serial} is no list of sizes.",
            "Give numbers of systems, or shares of them: --serial 1,3,50%",
        )
    found: list[int] = []
    while sum(found) < count:
        word = given[min(len(found), len(given) - 1)]
        found.append(min(int(pct_to_int(word, count)), count - sum(found)))
    return found


def split(systems: list[System], serial: str) -> list[list[System]]:
    """Return the waves, in the order of the inventory.

    :raises Stop: if *serial* is no list of sizes.
    """
    waves, begin = [], 0
    for size in sizes(serial, len(systems)):
        waves.append(systems[begin : begin + size])
        begin += size
    return waves


class Waves:
    """One command over a fleet, and what each of its waves came to."""

    def __init__(self, session: Session, name: str, playbook: Path) -> None:
        self.session = session
        self.name = name
        self.playbook = playbook
        self.began = datetime.now(UTC)
        self.rows: dict[str, Row] = {}
        self.parts: list[dict[str, Any]] = []
        self.red = ""  # why no further wave begins
        for host, why in sorted(session.unread.items()):
            self._left_out(host, "not run", why)

    def leave_out(self, systems: list[System], why: Callable[[System], str]) -> list[System]:
        """Name those that are not run, each with its reason; return the others."""
        reasons = {each.host: why(each) for each in systems}
        for host, reason in reasons.items():
            if reason:
                self._left_out(host, "not run", reason)
        return [each for each in systems if not reasons[each.host]]

    def run(self, waves: list[list[System]], variables: dict[str, Any]) -> int:
        """Run one wave after the other, print one end for all of them; return the exit status."""
        given = self.session.arguments
        for number, wave in enumerate(waves, 1):
            if self.red:
                for each in wave:
                    self._left_out(each.host, "not begun", self.red)
                continue
            ready = wave if given.any_time else self.leave_out(wave, _closed)
            if not ready:
                continue
            if len(waves) > 1:
                self._tell(f"wave {number} of {len(waves)}: {', '.join(s.host for s in ready)}")
            hosts = [each.host for each in ready]
            _status, document, _shown = self.session.quiet_run(
                self.name, self.playbook, variables, check=given.check, only=hosts
            )
            self._take(number, hosts, document)
        document = self.document()
        console.Display(self.name, as_json=given.json).end(document)
        return int(document["exit_code"])

    def _take(self, number: int, hosts: list[str], document: dict[str, Any]) -> None:
        from ansible.module_utils.pmsops.control.end_table import Row

        found = {each["system"]: Row(**each) for each in document["systems"]}
        for host in hosts:
            if host not in found:
                why = document["errors"] or [f"it was not reached; the log is {document['log']}"]
                self._left_out(host, "not run", " ".join(why))
        self.rows |= found
        self.parts.append(document | {"wave": hosts})
        if document["exit_code"] == DONE:
            return
        bad = [host for host in hosts if self.rows[host].status] or hosts
        ended = "was interrupted" if document["exit_code"] == INTERRUPTED else "ended red"
        self.red = f"wave {number} {ended} ({', '.join(bad)})"

    def document(self) -> dict[str, Any]:
        """Return the result of all waves, in the form of that of one run."""
        from ansible.module_utils.pmsops.common.timestamps import utc_stamp
        from ansible.module_utils.pmsops.control import end_table

        rows = sorted(self.rows.values(), key=lambda e: (-e.status, not e.due, e.system))
        status = max([end_table.worst(rows), *(each["exit_code"] for each in self.parts)])
        one = self.parts[0] if len(self.parts) == len(rows) == 1 else {}
        return {
            "command": self.name,
            "playbook": str(self.playbook),
            "check": self.session.arguments.check,
            "exit_code": status,
            "status": console.WORDS[status][1],
            "started_at": utc_stamp(self.began),
            "seconds": round((datetime.now(UTC) - self.began).total_seconds(), 1),
            "hosts": {host: each for part in self.parts for host, each in part["hosts"].items()},
            "systems": end_table.documents(rows),
            "table": end_table.lines(rows),
            "facts": one.get("facts", {}),
            "log": self.parts[-1]["log"] if self.parts else None,
            "messages": [line for part in self.parts for line in _messages(part, len(rows))],
            "waves": [
                {"systems": part["wave"]} | {name: part[name] for name in ("exit_code", "log")}
                for part in self.parts
            ],
        } | {
            name: [each for part in self.parts for each in part[name]]
            for name in ("changed", "failed", "errors")
        }

    def _left_out(self, host: str, verdict: str, why: str) -> None:
        from ansible.module_utils.pmsops.control.end_table import Row

        self.rows[host] = Row(host, COULD_NOT_RUN, verdict, [" ".join(why.split())])

    def _tell(self, text: str) -> None:
        # A cron job mails what stands on standard error: there is a failure's reason alone.
        given = self.session.arguments
        if not given.json and (given.verbose or sys.stderr.isatty()):
            print(text, file=sys.stderr)


def _messages(part: dict[str, Any], systems: int) -> list[str]:
    """Return what a wave said; that of a wave of one host has no name above it yet."""
    said = part["messages"]
    if systems < 2 or len(part["wave"]) > 1 or not said:
        return list(said)
    return [f"{part['wave'][0]}:", *(f"  {each}" for each in said)]


def _closed(system: System) -> str:
    """Return why a system is not to be worked on now."""
    from ansible.module_utils.pmsops.common.errors import OpsError
    from ansible.module_utils.pmsops.control import maintenance_window

    try:
        return maintenance_window.closed(system.windows, datetime.now(UTC))
    except OpsError as exc:
        return f"{exc} -> {exc.remedy} ({exc.code})"
