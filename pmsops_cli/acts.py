# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands about approvals, holds, signatures, timers, sites, machines and the ledger."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pmsops_cli import commands, hosts, inspect, playbooks
from pmsops_cli.commands import Session
from pmsops_cli.exit_status import DONE, FAILED, Stop

SCHEDULE = "/etc/pms-ops/schedule.json"


def hold(session: Session) -> int:
    """Keep a set from retention, or lift its hold."""
    given = session.arguments
    if given.lift == bool(given.reason):
        raise Stop(
            "A hold has a reason; to lift it has none.",
            'pms-ops hold SET --reason "annual audit", or pms-ops hold SET --lift',
        )
    variables = commands.file_variable(session)
    more = {"hold_state": "absent"} if given.lift else {"reason": given.reason}
    return session.run("hold", playbooks.FOLDER / "hold.yml", variables | more)


def signoff(session: Session) -> int:
    """Sign a run of the go-live checklist."""
    given = session.arguments
    variables = {
        "role": given.role,
        "name": given.by,
        "decision": given.decision,
        "run": given.run,
    }
    wanted = {name: value for name, value in variables.items() if value}
    return session.run("signoff", playbooks.FOLDER / "signoff.yml", wanted)


def approve(session: Session) -> int:
    """Show the plan of another person's run, ask for confirmation, sign it; or make a key."""
    given = session.arguments
    playbook = playbooks.FOLDER / "approve.yml"
    variables = {"approver_key": str(session.cwd / Path(given.key).expanduser())}
    if given.new_key == bool(given.plan):
        raise Stop(
            "A plan is approved by its hash; --new-key goes without one.",
            "pms-ops approve HASH --key FILE, or pms-ops approve --new-key --key FILE",
        )
    if given.new_key:
        return session.run("approve", playbook, variables | {"approver_new_key": True})
    what = f"This lets the run of plan {given.plan} go on, once and within the hour"
    return commands.destroying(session, "approve", playbook, variables | {"plan": given.plan}, what)


def notify(session: Session) -> int:
    """Send a test message to every channel."""
    return session.run("notify", playbooks.FOLDER / "notify_test.yml", {})


def schedule(session: Session) -> int:
    """Install or remove the timers of the jobs, or print the state of each job."""
    action = session.arguments.action
    if action == "status":
        return _schedule_status(session)
    variables = {"schedule_state": "absent"} if action == "remove" else {}
    return session.run("schedule", playbooks.FOLDER / "schedule.yml", variables)


def pitr(session: Session) -> int:
    """Switch continuous protection on or off, look at it, or make a base backup."""
    given = session.arguments
    if given.incremental and given.action != "backup":
        raise Stop("--incremental goes with backup.", "pms-ops pitr backup --incremental")
    variables = {"pitr_action": given.action}
    if given.incremental:
        variables["pitr_kind"] = "incremental"
    return session.run("pitr", playbooks.FOLDER / "pitr.yml", variables)


def offsite(session: Session) -> int:
    """Show the copies on other sites, or act on them."""
    given = session.arguments
    if bool(given.into) != (given.action == "fetch"):
        raise Stop(
            "fetch brings a copy into an empty folder; no other act takes one.",
            "pms-ops offsite fetch proved --into /srv/fetched",
        )
    if bool(given.reason) != (given.action == "accept"):
        raise Stop(
            "Signs of ransomware are accepted for a reason; no other act has one.",
            'pms-ops offsite accept --reason "the archive was split"',
        )
    if given.set and given.action not in ("fetch", "upload"):
        raise Stop("A set goes with fetch or upload.", "pms-ops offsite fetch SET --into FOLDER")
    variables = {
        "offsite_action": given.action,
        "offsite_site": given.site,
        "file": given.set,
        "into": str(Path(given.into).absolute()) if given.into else None,
        "reason": given.reason,
    }
    wanted = {name: value for name, value in variables.items() if value}
    return session.run("offsite", playbooks.FOLDER / "offsite.yml", wanted)


def envelope(session: Session) -> int:
    """Print the page for the envelope; with --test, open each repository by what it names."""
    variables = {"envelope_test": True} if session.arguments.test else {}
    return session.run("envelope", playbooks.FOLDER / "envelope.yml", variables)


def merge(session: Session) -> int:
    """Bring the evidence of a replaced machine here."""
    folder = Path(session.arguments.folder).expanduser()
    variables = {"lost": str(session.cwd / folder)}
    return session.run("merge", playbooks.FOLDER / "merge.yml", variables)


def ledger(session: Session) -> int:
    """Check the ledger, change its key, or accept lines that are not signed."""
    given = session.arguments
    if given.anchors and given.action != "verify":
        raise Stop("--anchors goes with verify.", "pms-ops ledger verify --anchors")
    if given.action == "verify" and not given.anchors:
        return inspect.ledger(session)
    if bool(given.reason) != (given.action in ("replace-key", "accept")):
        raise Stop(
            "A key is replaced, and a line accepted, for a reason; a rotation has none.",
            'pms-ops ledger replace-key --reason "the disk is lost"',
        )
    if bool(given.line and given.by) != (given.action == "accept"):
        raise Stop(
            "A person accepts lines by their numbers; no other act has them.",
            'pms-ops ledger accept --line 41 --by "Maria Silva" --reason "keys not mounted"',
        )
    if given.action in ("verify", "anchor"):
        act = {"anchor_action": "verify"} if given.anchors else {"anchor_force": True}
        return session.run("ledger", playbooks.FOLDER / "anchor.yml", act)
    states = {"rotate-key": "rotated", "replace-key": "replaced", "accept": "accepted"}
    variables = {
        "ledger_key_state": states[given.action],
        "lines": given.line,
        "name": given.by,
        "reason": given.reason,
    }
    wanted = {name: value for name, value in variables.items() if value}
    return session.run("ledger", playbooks.FOLDER / "ledger_key.yml", wanted)


def evidence(session: Session) -> int:
    """Export the evidence of a period as one signed zip."""
    given = session.arguments
    variables = {"since": given.since, "until": given.until, "lang": given.lang}
    return session.run("evidence", playbooks.FOLDER / "evidence_export.yml", variables)


def _schedules(session: Session) -> dict[str, Path | None]:
    """Return the schedules of this machine by system; in a fleet each system has its own, or none.

    One that was installed before the inventory had several systems is of all of them.
    """
    given = os.environ.get("PMS_OPS_SCHEDULE")
    if given or not hosts.describes_several(session.inventories):
        return {"": Path(given or SCHEDULE)}
    found: dict[str, Path] = {}
    for path in sorted(Path(SCHEDULE).parent.glob("*/schedule.json")):
        with suppress(OSError, ValueError):
            system = json.loads(path.read_text())["system"]
            if system["inventories"] == session.inventories and system.get("host"):
                found[system["host"]] = path
    known = [each.host for each in session.systems]
    mine = {name: found.get(name) for name in known}
    return mine if any(mine.values()) else {"": Path(SCHEDULE)}


def _schedule_status(session: Session) -> int:
    from ansible.module_utils.pmsops.common.errors import OpsError
    from ansible.module_utils.pmsops.schedule import messages
    from ansible.module_utils.pmsops.schedule.state import Schedule

    lines: list[str] = []
    status, found = DONE, _schedules(session)
    try:
        for name, path in found.items():
            shown = [] if path else ["FAILED nothing is scheduled: pms-ops schedule install"]
            status |= (
                messages.show(Schedule.read(path), datetime.now(UTC), shown.append)
                if path
                else FAILED
            )
            several = len(found) > 1
            lines += [f"{name}:", *(f"  {each}" for each in shown)] if several else shown
    except OpsError as exc:
        raise Stop(str(exc), exc.remedy, status=FAILED) from exc
    if session.arguments.json:
        document: dict[str, Any] = {"command": "schedule status", "jobs": lines}
        print(json.dumps(document, indent=1))
    else:
        print("\n".join(lines))
    return FAILED if status else DONE
