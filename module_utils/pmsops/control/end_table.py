# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The end of a run over several systems: one table, worst first."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

# The exit statuses of pms-ops; a higher one is worse.
DONE, FAILED, COULD_NOT_RUN, BROKEN = 0, 1, 3, 4
BROKEN_PROOF = "proof.broken"
HEAD = ("system", "verdict", "due")
SHOWN_DUE = 3
DUE_COLUMNS = 72
DUE_LINES = 3


@dataclass(frozen=True)
class Row:
    """What a run came to for one system: an exit status, the verdict in a word, what is due."""

    system: str
    status: int
    verdict: str
    due: list[str] = field(default_factory=list)


@dataclass
class _Seen:
    gate: str = ""
    blocking: list[str] = field(default_factory=list)
    due: list[str] | None = None
    set: str = ""
    proved: bool = False
    differences: int | None = None
    failures: list[tuple[str, str]] = field(default_factory=list)  # code, text
    unreachable: str = ""
    left_out: str = ""


class Outcomes:
    """Gathers the results of the tasks by system."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def ok(self, system: str, action: str, result: Mapping[str, Any]) -> None:
        """Take the result of a task that succeeded; *action* is the name of its module."""
        seen = self._of(system)
        name = action.rpartition(".")[2]
        if name == "pms_gate" and result.get("verdict"):
            seen.gate = str(result["verdict"])
            seen.blocking = [str(each) for each in result.get("blocking") or ()]
        elif name == "pms_status" and "status" in result:
            seen.due = [str(each["what"]) for each in result["status"]["due"]]
        elif name == "pms_backup" and result.get("set"):
            # The PMS's database comes first; other databases of the server follow.
            seen.set = seen.set or str(result["set"]).rstrip("/").rpartition("/")[2]
        elif name == "pms_restore" and result.get("verified"):
            seen.proved = True
        elif name == "pms_verify" and result.get("count") is not None:
            seen.differences = int(result["count"])

    def failed(self, system: str, what: str, code: str = "", remedy: str = "") -> None:
        """Take a failed task; whether it was rescued is known at the end."""
        text = " ".join(what.split())
        self._of(system).failures.append((code, f"{text} -> {remedy}" if remedy else text))

    def unreachable(self, system: str, what: str) -> None:
        """Take a host that cannot be reached, or that no longer answers."""
        text = " ".join(what.split()).removeprefix("Task failed: ")
        self._of(system).unreachable = text or "no answer"

    def left_out(self, system: str, why: str) -> None:
        """Take a host that nothing was run on, since its variables cannot be read."""
        self._of(system).left_out = " ".join(why.split())

    def rows(self, ended: Mapping[str, Mapping[str, int]]) -> list[Row]:
        """Return a row for each system, worst first.

        :param ended: by system the numbers of `failures` and `unreachable` that were not rescued.
        """
        systems = {*ended, *(name for name, seen in self._seen.items() if seen.left_out)}
        found = [_row(name, self._of(name), ended.get(name, {})) for name in systems]
        return sorted(found, key=lambda each: (-each.status, not each.due, each.system))

    def _of(self, system: str) -> _Seen:
        return self._seen.setdefault(system, _Seen())


def _row(system: str, seen: _Seen, ended: Mapping[str, int]) -> Row:
    if seen.left_out:
        return Row(system, COULD_NOT_RUN, "not run", [seen.left_out])
    if ended.get("unreachable"):
        return Row(system, COULD_NOT_RUN, "unreachable", [seen.unreachable or "no answer"])
    if ended.get("failures"):
        code, text = seen.failures[-1] if seen.failures else ("", "it gave no reason")
        coded = f"{text} ({code})" if code else text
        if seen.gate == "broken" or BROKEN_PROOF in {each for each, _ in seen.failures}:
            return Row(system, BROKEN, "BROKEN", [text])
        if seen.gate == "no-go":
            # What says no-go has no code; one that has, as of a full disk, came after the verdict.
            due = [*([coded] if code else []), *seen.blocking]
            return Row(system, FAILED, "NO-GO", due or [text])
        return Row(system, FAILED, "failed", [coded])
    if seen.due is not None:
        return Row(system, DONE, "due" if seen.due else "nothing due", seen.due)
    return Row(system, DONE, _done(seen), [] if seen.gate == "go" else seen.blocking)


def _done(seen: _Seen) -> str:
    if seen.gate:
        return seen.gate.upper()
    if seen.differences is not None:
        return f"{seen.differences} differences"
    proved = "proved" if seen.proved else ""
    return ", ".join(each for each in (seen.set and f"set {seen.set}", proved) if each) or "done"


def worst(rows: Iterable[Row]) -> int:
    """Return the exit status of the worst system; DONE of none."""
    return max((each.status for each in rows), default=DONE)


def documents(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return the rows as plain data."""
    return [asdict(each) for each in rows]


def lines(rows: Iterable[Row]) -> list[str]:
    """Return the table for people: of each system no more than a few lines."""
    cells = [(each.system, each.verdict, _due(each.due)) for each in rows]
    widths = [max(len(row[n]) for row in [HEAD, *cells]) for n in range(2)]
    margin = " " * (sum(widths) + 4)
    found = []
    for system, verdict, due in [(*HEAD[:2], [HEAD[2]]), *cells]:
        start = f"{system:<{widths[0]}}  {verdict:<{widths[1]}}  "
        found += [(start + (due[0] if due else "-")).rstrip(), *(margin + line for line in due[1:])]
    return found


def _due(due: list[str]) -> list[str]:
    more = [f"and {len(due) - SHOWN_DUE} more"] if len(due) > SHOWN_DUE else []
    return [
        line
        for each in [*due[:SHOWN_DUE], *more]
        for line in textwrap.wrap(each, DUE_COLUMNS, max_lines=DUE_LINES, placeholder=" ...")
    ]
