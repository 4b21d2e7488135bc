# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands that only look: status, report and ledger verify."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from datetime import UTC, datetime
from typing import Any

from pmsops_cli import playbooks, screen
from pmsops_cli.commands import Session
from pmsops_cli.exits import COULD_NOT_RUN, DONE, NOT_AS_PROMISED, Stop


def status(session: Session) -> int:
    """Say what is there and what is due; 1 where something is."""
    found = _found(session, None)
    for each in found.values():
        for due in each["due"]:
            due["next"] = session.again(due["next"])
    if session.arguments.json:
        print(json.dumps({"command": "status", "hosts": found}, indent=1, sort_keys=True))
    else:
        _print(found)
        # Folders say nothing of containers: "nothing is due" must not be read as "all is well".
        print(f"Whether the PMS is well, {session.again('pms-ops dr triage')} says.")
    return NOT_AS_PROMISED if any(each["due"] for each in found.values()) else DONE


def ledger(session: Session) -> int:
    """Say whether the chain of the ledger is whole; 1 where it is not."""
    chains = {
        host: each["ledger"] for host, each in _found(session, session.arguments.head).items()
    }
    broken = any(chain["problems"] for chain in chains.values())
    if session.arguments.json:
        print(json.dumps({"command": "ledger verify", "hosts": chains}, indent=1, sort_keys=True))
    else:
        for host, chain in chains.items():
            words = "DAMAGED" if chain["problems"] else "chain whole"
            print(f"{host}: {chain['lines']} lines, {words}, head {chain['sha256']}")
            for text in (*chain["problems"], *chain["notes"]):
                print(f"  {text}")
    return NOT_AS_PROMISED if broken else DONE


def report(session: Session) -> int:
    """Print where the report is, and open it where that is asked for."""
    run = session.arguments.run
    paths = []
    for each in session.systems:
        path = each.evidence_root / run / "report.html"
        if not each.local:
            paths.append(f"{each.host}:{path}")
            continue
        if not path.is_file():
            raise Stop(f"There is no {path}.", "pms-ops golive makes one.", status=NOT_AS_PROMISED)
        paths.append(str(path.resolve()))
    if session.arguments.json:
        print(json.dumps({"command": "report", "reports": paths}, indent=1))
    else:
        print("\n".join(paths))
    if session.arguments.open:
        _open(paths[0])
    return DONE


def _open(path: str) -> None:
    browser = shlex.split(os.environ.get("BROWSER", ""))
    if not browser:
        raise Stop("BROWSER is not set, so nothing was opened.", "BROWSER=firefox pms-ops report")
    try:
        subprocess.Popen(
            [*browser, path],
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError as exc:
        raise Stop(f"{browser[0]} cannot be started: {exc.strerror}.", "Set BROWSER.") from exc


def _found(session: Session, head: str | None) -> dict[str, dict[str, Any]]:
    """Return the state of each host: read here where it is here, else by a short playbook."""
    systems = session.systems
    if not all(each.local for each in systems):
        return _asked(session, head)
    from ansible.module_utils.pmsops.evidence import status as state

    now = datetime.now(UTC)
    return {
        each.host: state.collect(each.backup_root, each.evidence_root, now=now, head=head)
        for each in systems
    }


def _asked(session: Session, head: str | None) -> dict[str, dict[str, Any]]:
    variables = {"ledger_head": head} if head else {}
    code, document, _shown = session.quiet_run(
        "status", playbooks.FOLDER / "status.yml", variables, check=False
    )
    if code != DONE:
        failed = "; ".join(f"{each['host']}: {each['what']}" for each in document["failed"])
        raise Stop(
            failed or "; ".join(document["errors"]) or "the hosts could not be asked",
            f"pms-ops doctor says what is missing. Log: {document['log']}",
            status=COULD_NOT_RUN if code != NOT_AS_PROMISED else NOT_AS_PROMISED,
        )
    return document["facts"]["status"]


def _print(found: dict[str, dict[str, Any]]) -> None:
    from ansible.module_utils.pmsops.evidence import status as state

    console = screen.Screen("status", as_json=False).out
    for host, each in found.items():
        console.print(host, style="bold", markup=False)
        state.describe(each, lambda name, text: console.print(f"  {name:<11} {text}", markup=False))
        for due in each["due"]:
            console.print(f"  [red]due[/]         {_plain(due['what'])}")
            console.print(f"              -> {due['next']}", markup=False)
        if not each["due"]:
            console.print("  [green]nothing is due[/]")


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
