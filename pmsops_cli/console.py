# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The display of a run: progress while it goes on, a summary at its end."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.control import end_table

from pmsops_cli.exit_status import BROKEN, COULD_NOT_RUN, DONE, FAILED, INTERRUPTED
from pmsops_cli.run_summary import BY_HOST, RunSummary

SHOWN_CHANGES = 8
# Ansible skips a task within milliseconds; one that takes longer does something.
AT_WORK_SECONDS = 0.5
WORDS = {
    DONE: ("green", "done"),
    FAILED: ("red", "failed"),
    COULD_NOT_RUN: ("red", "could not run"),
    BROKEN: ("red", "broken"),
    INTERRUPTED: ("yellow", "interrupted"),
}


# The front door itself in a message; in a path it is a file.
_SCRIPT = re.compile(r"(?<![\w/.-])scripts/pms-ops(?![\w/.-])")
# A playbook in a message, which users of the front door start by another name.
_PLAYBOOK = re.compile(
    r"ansible-playbook((?: (?:-i|--limit) \S+)*)"
    r" (?:playbooks/(dr|ops)_(?!restore)(\w+)\.yml|golive\.yml(?! -))"
)


class Display:
    """Progress on standard error while a playbook runs, its result on standard output.

    Without a terminal, as in a cron job, standard error holds the reason of a failure and nothing
    else, unless progress was asked for.
    """

    def __init__(self, name: str, *, as_json: bool, verbose: bool = False) -> None:
        from rich.console import Console

        self._name = name
        self._json = as_json
        self._verbose = verbose
        self._live: Any = None
        self._shown = ("", "")
        self._told = 0  # how many of the lines that are said at once
        self._due = ""
        self._soon = threading.Timer(0, self._announce)
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self.out = Console(highlight=False, soft_wrap=True)
        self.err = Console(stderr=True, highlight=False)
        self.err.soft_wrap = not self.err.is_terminal

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show one moving line on a terminal, and plain lines anywhere else."""
        if self._json or not self.err.is_terminal:
            try:
                yield
            finally:
                self._soon.cancel()
            return
        from rich.live import Live

        with Live(get_renderable=self._line, console=self.err, transient=True) as self._live:
            yield
        self._live = None

    def tell(self, text: str) -> None:
        """Say something while a run goes on, on standard error."""
        self.err.print(text, markup=False)

    def show(self, summary: RunSummary) -> None:
        """Show the progress of the run."""
        if self._json:
            return
        before, self._shown = self._shown, (summary.task, summary.progress)
        for line in summary.at_once[self._told :]:
            self.err.print(line, markup=False)
        self._told = len(summary.at_once)
        if self._live is None and not self.err.is_terminal and self._verbose:
            self._show_plainly(summary, before)

    def _show_plainly(self, summary: RunSummary, before: tuple[str, str]) -> None:
        """Print a line for each task that is not skipped, as soon as it is known not to be."""
        if summary.task != before[0]:
            self._soon.cancel()
            self._due = f"[{self._seconds()}] {summary.task}"
            self._soon = threading.Timer(AT_WORK_SECONDS, self._announce)
            self._soon.start()
        if summary.at_work:
            self._announce()
        elif summary.skipped:
            self._soon.cancel()
        if self._verbose and summary.progress and summary.progress != before[1]:
            self.err.print(f"       {summary.progress}", markup=False)

    def _announce(self) -> None:
        with self._lock:
            line, self._due = self._due, ""
        if line:
            self.err.print(line, markup=False)

    def _line(self) -> Any:
        from rich.spinner import Spinner
        from rich.text import Text

        task, progress = self._shown
        text = Text.assemble(
            (f"{self._name} ", "bold"), (f"{self._seconds()}  ", "dim"), task or "starting"
        )
        if progress:
            text.append(f"\n  {progress}", "cyan")
        if not hasattr(self, "_spinner"):
            self._spinner = Spinner("dots")
        self._spinner.update(text=text)
        return self._spinner

    def _seconds(self) -> str:
        return time.strftime("%M:%S", time.gmtime(time.monotonic() - self._began))

    def end(self, document: dict[str, Any]) -> None:
        """Print the result: one JSON document, or a summary for people."""
        if self._json:
            plain = {name: each for name, each in document.items() if name != "table"}
            print(json.dumps(plain, indent=1, sort_keys=True, default=str))
            self._reasons(document)
            return
        for line in document["messages"]:
            self.out.print(line, markup=False)
        self._changes(document)
        self._reasons(document)
        colour, words = WORDS[document["exit_code"]]
        check = ", check mode" if document["check"] else ""
        seconds = document["seconds"]
        several = len(document["systems"]) > 1
        for line in document["table"] if several else []:
            self.out.print(line, markup=False)
        self.out.print(f"[{colour}]{self._name}: {words}[/]{check}, {seconds:.0f} s")
        for line in _taken_over(document):
            self.out.print(f"  {line}", markup=False)
        for name in ("report", "set", "former_database"):
            # In check mode the database does not exist yet; the plan names it.
            if document["facts"].get(name) and not document["check"] and not several:
                shown = name.replace("_", " ")
                self.out.print(f"  {shown:<8} {document['facts'][name]}", markup=False)
        if document["log"]:  # nothing ran if all systems were left out
            self.out.print(f"  {'log':<8} {document['log']}", markup=False)

    def _changes(self, document: dict[str, Any]) -> None:
        changed = document["changed"]
        if changed:
            verb = "would change" if document["check"] else "changed"
            self.out.print(f"{verb}:", style="bold")
        for each in changed[:SHOWN_CHANGES]:
            self.out.print(f"  {each['host']}: {each['task']}", markup=False)
        if len(changed) > SHOWN_CHANGES:
            self.out.print(f"  and {len(changed) - SHOWN_CHANGES} more (see the log)")

    def _reasons(self, document: dict[str, Any]) -> None:
        # A pipe keeps what was printed before; on a terminal the reason stands in its place.
        self.out.file.flush()
        for failure in document["failed"]:
            self._failure(failure)
        for text in document["errors"]:
            self.err.print(f"  {text}", markup=False, soft_wrap=True)

    def _failure(self, failure: dict[str, str]) -> None:
        code = f"  ({failure['code']})" if failure["code"] else ""
        self.err.print("failed:", style="bold red")
        self.err.print(
            f"  {failure['host']}: {failure['task']}{code}", markup=False, soft_wrap=True
        )
        for line in failure["what"].splitlines():
            self.err.print(f"  {line}", markup=False, soft_wrap=True)
        if failure["remedy"]:
            self.err.print(f"  -> {failure['remedy']}", markup=False, soft_wrap=True)


def _taken_over(document: dict[str, Any]) -> list[str]:
    """Return that a new machine is back, whatever failed after it had taken over."""
    facts = document["facts"]
    if "taken_over" not in facts or document["check"]:
        return []
    if document["exit_code"] == DONE:
        rest = ""
    elif facts.get("verdict"):
        rest = f"; the checklist says {str(facts['verdict']).replace('_', '-')}"
    else:
        rest = "; what failed came after that"
    return [f"The machine is back, as of {facts['taken_over']}: it has taken over{rest}."]


def _ours(text: str) -> str:
    """Return the text with its ansible-playbook commands as commands of pms-ops."""
    text = _PLAYBOOK.sub(
        lambda m: f"pms-ops{m[1]} {m[2]} {m[3]}" if m[2] else f"pms-ops{m[1]} golive", text
    )
    return _SCRIPT.sub("pms-ops", text)


def document(
    name: str, playbook: Path, summary: RunSummary, log: Path, *, status: int, check: bool
) -> dict[str, Any]:
    """Return the result of a run as plain data."""
    from datetime import UTC, datetime

    return {
        "command": name,
        "playbook": str(playbook),
        "check": check,
        "exit_code": status,
        "status": WORDS[status][1],
        "started_at": utc_stamp(summary.began),
        "seconds": round((datetime.now(UTC) - summary.began).total_seconds(), 1),
        "hosts": summary.stats,
        "systems": end_table.documents(summary.rows),
        "table": end_table.lines(summary.rows),
        "changed": summary.changed,
        "failed": [
            each | {name: _ours(each[name]) for name in ("what", "remedy")}
            for each in summary.failed
        ],
        "errors": summary.errors,
        "messages": [_ours(line) for line in summary.messages],
        "facts": {
            name: value
            for name, value in summary.facts.items()
            if name in BY_HOST or len(summary.rows) < 2
        },
        "log": str(log),
    }
