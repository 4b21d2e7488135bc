# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands about checkpoints: make, list, release, and return to one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pmsops_cli import commands, inspect, playbooks
from pmsops_cli.commands import Session
from pmsops_cli.exit_status import DONE, FAILED, Stop


def command(session: Session) -> int:
    """Make a checkpoint, list them, or release one."""
    given = session.arguments
    if given.list:
        return _list(session)
    wanted = {"note": given.note, "release": given.release}
    variables = commands.other_database(session) | {
        name: text for name, text in wanted.items() if text is not None
    }
    return session.run("checkpoint", playbooks.FOLDER / "checkpoint.yml", variables)


def rollback(session: Session) -> int:
    """Show the plan, ask for confirmation, return to a checkpoint."""
    given = session.arguments
    if given.to or given.drop_tables or given.drop_server or given.parts or given.parts_only:
        raise Stop(
            "--checkpoint restores one set, and goes with none of --to, --parts, --drop-tables,"
            " --drop-server.",
            "pms-ops rollback --checkpoint, or pms-ops rollback without it.",
        )
    name, which = _chosen(session, given.checkpoint)
    variables = commands.other_database(session) | {"checkpoint": name}
    hosts = ", ".join(sorted(each.host for each in session.systems))
    what = f"This replaces the live database {session.database} on {hosts} by {which}"
    return commands.destroying(session, "rollback", commands.PLAYBOOKS["rollback"], variables, what)


def _chosen(session: Session, wanted: str) -> tuple[str, str]:
    """Return what to pass on, and what people are asked about.

    On this machine the set is chosen once, so that plan and run are about the same one.

    :raises Stop: if there is no such checkpoint.
    """
    from ansible.module_utils.pmsops.common.errors import OpsError
    from ansible.module_utils.pmsops.evidence import checkpoints

    systems = session.systems
    if len(systems) != 1 or not systems[0].local:
        newest = wanted == "latest"
        return wanted, "its newest checkpoint" if newest else f"its checkpoint {wanted!r}"
    below = commands.sets_below(session)
    try:
        found, _ = checkpoints.choose(
            systems[0].backup_root / below, systems[0].evidence_root, wanted
        )
    except OpsError as exc:
        raise Stop(str(exc), exc.remedy, status=FAILED) from exc
    return found.id, f"checkpoint {found.text()}"


def _list(session: Session) -> int:
    """Print the checkpoints of each system, newest first."""
    from ansible.module_utils.pmsops.evidence import checkpoints

    hosts = {host: found for part in session.split() for host, found in _collect(part).items()}
    if session.arguments.json:
        print(json.dumps({"command": "checkpoint", "hosts": hosts}, indent=1, sort_keys=True))
        return DONE
    for host, found in hosts.items():
        print(f"{host}: {len(found)} checkpoint{'s' if len(found) != 1 else ''}")
        checkpoints.describe(found, lambda _, text: print(f"  {text}"))
    return DONE


def _collect(session: Session) -> dict[str, list[dict[str, Any]]]:
    from ansible.module_utils.pmsops.evidence import checkpoints

    systems = session.systems
    if not all(each.local for each in systems):
        states = inspect.ask_hosts(session, {})["status"]
        return {host: state["checkpoints"] for host, state in states.items()}
    below, now = commands.sets_below(session), datetime.now(UTC)
    return {each.host: checkpoints.collect(Path(each.backup_root) / below, now) for each in systems}
