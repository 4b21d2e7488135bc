# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs a playbook by ansible-runner: events to whoever shows them, everything to the log."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pmsops_cli import inventory, project, runs
from pmsops_cli.exit_status import COULD_NOT_RUN, Stop
from pmsops_cli.orphans import MARK
from pmsops_cli.project import PROJECT
from pmsops_cli.run_summary import RunSummary

# How often the action plugins say how far a backup or a restore is.
PROGRESS_SECONDS = "1"
VAULT_PROMPT = r"Vault password[^:]*:\s*$"
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


@dataclass(frozen=True)
class Request:
    """What is to be run: `variables` are ours, `arguments` are ansible-playbook's as they are."""

    name: str
    playbook: Path
    inventories: list[str]
    variables: dict[str, Any] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    vault_password: str | None = field(default=None, repr=False)


def run(request: Request, show: Callable[[RunSummary], None]) -> tuple[RunSummary, Path]:
    """Run the playbook to its end; return what it came to, and its log.

    SIGINT, SIGTERM and SIGHUP reach the playbook as an interrupt: its modules then unwind and clean
    up. A second one ends it at once.

    :raises Stop: where there is no place for the log.
    """
    import ansible_runner
    import pexpect

    summary = RunSummary()
    log = runs.new_log(request.name, summary.began.astimezone())
    private = Path(tempfile.mkdtemp(prefix=".run-", dir=log.parent))
    try:
        (private / "env").mkdir(mode=0o700)
        extra = private / "env" / "extravars"
        extra.touch(mode=0o600)
        extra.write_text(json.dumps(request.variables), encoding="utf-8")
        with log.open("w", encoding="utf-8") as stream, _signals(summary):
            print(f"# {request.name}: {request.playbook}", file=stream)
            found = ansible_runner.run(
                private_data_dir=str(private),
                project_dir=str(project.PROJECT),
                playbook=str(request.playbook),
                inventory=request.inventories,
                cmdline=_joined(_arguments(request)),
                envvars=_environment() | {MARK: summary.token},
                passwords=_passwords(request),
                settings={"pexpect_timeout": 1},
                quiet=True,
                event_handler=lambda event: _event(event, summary, stream, show),
                # One of our own, so that ansible-runner installs no signal handlers: its own kill.
                cancel_callback=lambda: False,
            )
        summary.rc = found.rc
        summary.killed = found.rc is None
    except pexpect.TIMEOUT:
        # The playbook has ended, and a module that it started has not: it still unwinds, or, if
        # nobody told it to, goes on.
        summary.killed = not summary.signalled
    except ansible_runner.AnsibleRunnerException as exc:
        raise Stop(
            f"ansible-runner could not run {request.playbook.name}: {exc}",
            f"Its log is {log}.",
            status=COULD_NOT_RUN,
        ) from exc
    finally:
        shutil.rmtree(private, ignore_errors=True)
        runs.prune()
    return summary, log


def _event(
    event: dict[str, Any], summary: RunSummary, stream: IO[str], show: Callable[[RunSummary], None]
) -> bool:
    """Take an event in; False, so that ansible-runner keeps no file of it."""
    text = _COLOUR.sub("", event.get("stdout") or "")
    summary.take(event | {"stdout": text})
    if text:
        print(text, file=stream, flush=True)
    show(summary)
    return False


def _arguments(request: Request) -> list[str]:
    vault = inventory.vault_arguments(request.inventories, os.environ)
    asked = ["--ask-vault-pass"] if request.vault_password is not None else []
    return [*vault, *asked, *request.arguments]


def _passwords(request: Request) -> dict[str, str]:
    return {} if request.vault_password is None else {VAULT_PROMPT: request.vault_password}


def _environment() -> dict[str, str]:
    return {
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORCE_COLOR": "0",
        # ansible-runner sets it for a plugin of its own, and with that hides the project's.
        "ANSIBLE_CALLBACK_PLUGINS": str(PROJECT / "plugins" / "callback"),
        # ansible-runner switches the check of host keys off where nothing is set.
        "ANSIBLE_HOST_KEY_CHECKING": os.environ.get("ANSIBLE_HOST_KEY_CHECKING", "True"),
        "PMS_OPS_PROGRESS_SECONDS": PROGRESS_SECONDS,
    }


def _joined(arguments: list[str]) -> str:
    import shlex

    return shlex.join(arguments)


@contextmanager
def _signals(summary: RunSummary) -> Iterator[None]:
    """Hand what would end us to the playbook, while it runs."""

    def forward(_number: int, _frame: object) -> None:
        again = summary.signalled
        summary.signalled = True
        for child in children():
            # A second wish to end it is meant: the whole group of the playbook goes.
            if again:
                os.killpg(child, signal.SIGKILL)
            else:
                os.kill(child, signal.SIGINT)

    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, forward) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def children() -> list[int]:
    """Return the processes that this one started and that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(after_name[1]) == os.getpid() and after_name[0] != "Z":
            found.append(int(path.parent.name))
    return found
