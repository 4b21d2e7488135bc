# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands that only look: status, report, site and ledger verify."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pmsops_cli import console, playbooks
from pmsops_cli.commands import Session
from pmsops_cli.exit_status import COULD_NOT_RUN, DONE, FAILED, Stop


def status(session: Session) -> int:
    """Print what exists and what is due; return 1 if something is due."""
    found = collect(session)
    if session.arguments.json:
        print(json.dumps({"command": "status", "hosts": found}, indent=1, sort_keys=True))
    else:
        _print(found)
        # Folders say nothing about containers: "nothing is due" does not mean that the PMS is up.
        for part in session.split():
            print(f"To check that the PMS is healthy: {part.again('pms-ops dr triage')}")
    return FAILED if any(each["due"] for each in found.values()) else DONE


def ledger(session: Session) -> int:
    """Print whether chain and signatures of the ledger are intact; return 1 if they are not."""
    chains = {
        host: each["ledger"] for host, each in collect(session, session.arguments.head).items()
    }
    broken = any(chain["problems"] for chain in chains.values())
    if session.arguments.json:
        print(json.dumps({"command": "ledger verify", "hosts": chains}, indent=1, sort_keys=True))
    else:
        for host, chain in chains.items():
            words = "DAMAGED" if chain["problems"] else "chain intact"
            signed = f"{chain['signed_lines']} signed" if chain["key"] else "none signed"
            print(f"{host}: {chain['lines']} lines, {signed}, {words}, head {chain['sha256']}")
            if chain["key"]:
                print(f"  signed by key {chain['key']}")
            for text in (*chain["problems"], *chain["notes"]):
                print(f"  {text}")
    return FAILED if broken else DONE


def report(session: Session) -> int:
    """Print the path of the report; with --open, open it."""
    run = session.arguments.run
    paths = []
    for each in [system for part in session.split() for system in part.systems]:
        path = each.evidence_root / run / "report.html"
        if not each.local:
            paths.append(f"{each.host}:{path}")
            continue
        if not path.is_file():
            raise Stop(
                f"{path} does not exist.", "Run pms-ops golive; it writes a report.", status=FAILED
            )
        paths.append(str(path.resolve()))
    if session.arguments.json:
        print(json.dumps({"command": "report", "reports": paths}, indent=1))
    else:
        print("\n".join(paths))
    if session.arguments.open:
        _open(paths[0], "report")
    return DONE


def site(session: Session) -> int:
    """Write the page over all runs on each host, and print its path; with --open, open it."""
    given = session.arguments
    pages: dict[str, dict[str, Any]] = {}
    here: list[str] = []
    for part in session.split():
        written = _pages(part)
        local = {each.host for each in part.systems if each.local}
        for host, page in written.items():
            # Two systems may call their hosts alike.
            pages[host if host not in pages else f"{host} ({part.inventories[0]})"] = page
            here += [page["path"]] if host in local else []
    if given.json:
        print(json.dumps({"command": "site", "pages": pages}, indent=1, sort_keys=True))
    else:
        for host, page in pages.items():
            print(page["path"] if page["path"] in here else f"{host}:{page['path']}")
            for text in page["problems"]:
                print(f"  {text}")
    if given.open:
        if not here:
            raise Stop(
                "The page is on another machine, so nothing was opened.",
                "Copy the folder of the evidence here: the page links to the files beside it.",
            )
        if not given.check:
            _open(here[0], "site")
    return DONE


def _pages(session: Session) -> dict[str, dict[str, Any]]:
    """Return the page of each host, written there.

    :raises Stop: where a host did not write it.
    """
    found: dict[str, dict[str, Any]] = ask_hosts(
        session, {}, playbook="site", check=session.arguments.check
    )["pages"]
    return found


def _open(path: str, command: str) -> None:
    browser = shlex.split(os.environ.get("BROWSER", ""))
    if not browser:
        raise Stop(
            "BROWSER is not set, so nothing was opened.", f"BROWSER=firefox pms-ops {command}"
        )
    try:
        subprocess.Popen(
            [*browser, path],
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError as exc:
        raise Stop(f"{browser[0]} cannot be started: {exc.strerror}.", "Set BROWSER.") from exc


def collect(session: Session, head: str | None = None) -> dict[str, dict[str, Any]]:
    """Return the state of each host, with commands for its system; several systems one by one."""
    found: dict[str, dict[str, Any]] = {}
    for part in session.split():
        of_part = _collect_one(part, head)
        for host, state in of_part.items():
            for due in state["due"]:
                due["next"] = part.again(due["next"], host if len(of_part) > 1 else None)
            # Two systems may call their hosts alike.
            found[host if host not in found else f"{host} ({part.inventories[0]})"] = state
    return found


def _collect_one(session: Session, head: str | None) -> dict[str, dict[str, Any]]:
    """Return the state of each host, read here if it is local, else by a short playbook.

    The playbook also looks at continuous protection, where there is one. If it fails on a local
    host, as in an outage, what was seen before is shown.
    """
    systems = session.systems
    if not all(each.local for each in systems):
        return _ask_hosts(session, head)
    if any(each.protected for each in systems) and session.arguments.command == "status":
        with suppress(Stop):
            return _ask_hosts(session, head)
    from ansible.module_utils.pmsops.evidence import status as system_status

    now = datetime.now(UTC)
    signatures = session.arguments.command == "ledger"
    return {
        each.host: system_status.collect(
            each.backup_root,
            each.evidence_root,
            now=now,
            head=head,
            protects=each.protected,
            sites=each.sites,
            keys=Path(each.keys).expanduser() if signatures else None,
            drill_host=each.drill_host,
        )
        for each in systems
    }


def _ask_hosts(session: Session, head: str | None) -> dict[str, dict[str, Any]]:
    wanted: dict[str, Any] = {"ledger_head": head} if head else {}
    if session.arguments.command == "ledger":
        wanted["status_signatures"] = True
    found: dict[str, dict[str, Any]] = ask_hosts(session, wanted)["status"]
    return found


def ask_hosts(
    session: Session, variables: dict[str, Any], *, playbook: str = "status", check: bool = False
) -> dict[str, Any]:
    """Return what the short playbook found on other hosts.

    :raises Stop: where a host did not answer.
    """
    code, document, _shown = session.quiet_run(
        playbook, playbooks.FOLDER / f"{playbook}.yml", variables, check=check
    )
    if code != DONE:
        failed = "; ".join(f"{each['host']}: {each['what']}" for each in document["failed"])
        raise Stop(
            failed or "; ".join(document["errors"]) or "the hosts did not answer",
            f"Run pms-ops doctor; it names what is missing. Log: {document['log']}",
            status=COULD_NOT_RUN if code != FAILED else FAILED,
        )
    facts: dict[str, Any] = document["facts"]
    return facts


def _print(found: dict[str, dict[str, Any]]) -> None:
    from ansible.module_utils.pmsops.evidence import status as system_status

    out = console.Display("status", as_json=False).out
    for host, each in found.items():
        out.print(host, style="bold", markup=False)
        system_status.describe(
            each, lambda name, text: out.print(f"  {name:<11} {text}", markup=False)
        )
        for due in each["due"]:
            out.print(f"  [red]due[/]         {_plain(due['what'])}")
            out.print(f"              -> {due['next']}", markup=False)
        if not each["due"]:
            out.print("  [green]nothing is due[/]")


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
