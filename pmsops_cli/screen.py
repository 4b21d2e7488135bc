# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run shows while it goes on, and when it has ended."""

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

from pmsops_cli.exits import COULD_NOT_RUN, DONE, INTERRUPTED, NOT_AS_PROMISED
from pmsops_cli.outcome import Outcome

SHOWN_CHANGES = 8
# A task that is skipped is so within milliseconds; one that goes on for longer is at work.
AT_WORK_SECONDS = 0.5
WORDS = {
    DONE: ("green", "done"),
    NOT_AS_PROMISED: ("red", "not in the promised state"),
    COULD_NOT_RUN: ("red", "could not run"),
    INTERRUPTED: ("yellow", "interrupted"),
}


# A command that a playbook tells a person to type; whoever uses us has it by another name.
_PLAYBOOK = re.compile(
    r"ansible-playbook((?: -i \S+)*) (?:playbooks/(dr|ops)_(?!restore)(\w+)\.yml|golive\.yml(?! -))"
)


class Screen:
    """Standard error shows how far it is, standard output what came of it."""

    def __init__(self, name: str, *, as_json: bool, verbose: bool = False) -> None:
        from rich.console import Console

        self._name = name
        self._json = as_json
        self._verbose = verbose
        self._live: Any = None
        self._said = ("", "")
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

    def show(self, outcome: Outcome) -> None:
        """Take in how far the run is."""
        if self._json:
            return
        before, self._said = self._said, (outcome.task, outcome.progress)
        if self._live is None and not self.err.is_terminal:
            self._show_plainly(outcome, before)

    def _show_plainly(self, outcome: Outcome, before: tuple[str, str]) -> None:
        """Print a line for each task that is not skipped, as soon as that can be told."""
        if outcome.task != before[0]:
            self._soon.cancel()
            self._due = f"[{self._seconds()}] {outcome.task}"
            self._soon = threading.Timer(AT_WORK_SECONDS, self._announce)
            self._soon.start()
        if outcome.at_work:
            self._announce()
        elif outcome.skipped:
            self._soon.cancel()
        if self._verbose and outcome.progress and outcome.progress != before[1]:
            self.err.print(f"       {outcome.progress}", markup=False)

    def _announce(self) -> None:
        with self._lock:
            line, self._due = self._due, ""
        if line:
            self.err.print(line, markup=False)

    def _line(self) -> Any:
        from rich.spinner import Spinner
        from rich.text import Text

        task, progress = self._said
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
        """Say what came of it: one JSON document, or a summary for people."""
        if self._json:
            print(json.dumps(document, indent=1, sort_keys=True, default=str))
            return
        for line in document["messages"]:
            self.out.print(line, markup=False)
        self._changes(document)
        for failure in document["failed"]:
            self._failure(failure)
        for text in document["errors"]:
            self.out.print(f"  {text}", markup=False)
        colour, words = WORDS[document["exit_code"]]
        check = ", check mode" if document["check"] else ""
        seconds = document["seconds"]
        self.out.print(f"[{colour}]{self._name}: {words}[/]{check}, {seconds:.0f} s")
        for name in ("report", "set", "former_database"):
            # In check mode there is no such database yet; the plan says its name.
            if document["facts"].get(name) and not document["check"]:
                shown = name.replace("_", " ")
                self.out.print(f"  {shown:<8} {document['facts'][name]}", markup=False)
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

    def _failure(self, failure: dict[str, str]) -> None:
        code = f"  ({failure['code']})" if failure["code"] else ""
        self.out.print("failed:", style="bold red")
        self.out.print(f"  {failure['host']}: {failure['task']}{code}", markup=False)
        for line in failure["what"].splitlines():
            self.out.print(f"  {line}", markup=False)
        if failure["remedy"]:
            self.out.print(f"  -> {failure['remedy']}", markup=False)


def _ours(text: str) -> str:
    """Return a text with the playbooks that it says to run as commands of ours."""
    text = _PLAYBOOK.sub(
        lambda m: f"pms-ops{m[1]} {m[2]} {m[3]}" if m[2] else f"pms-ops{m[1]} golive", text
    )
    return text.replace("scripts/pms-ops", "pms-ops")


def document(
    name: str, playbook: Path, outcome: Outcome, log: Path, *, status: int, check: bool
) -> dict[str, Any]:
    """Return all that came of a run as plain data."""
    from datetime import UTC, datetime

    return {
        "command": name,
        "playbook": str(playbook),
        "check": check,
        "exit_code": status,
        "status": WORDS[status][1],
        "started_at": utc_stamp(outcome.began),
        "seconds": round((datetime.now(UTC) - outcome.began).total_seconds(), 1),
        "hosts": outcome.stats,
        "changed": outcome.changed,
        "failed": [
            each | {name: _ours(each[name]) for name in ("what", "remedy")}
            for each in outcome.failed
        ],
        "errors": outcome.errors,
        "messages": [_ours(line) for line in outcome.messages],
        "facts": outcome.facts,
        "log": str(log),
    }
