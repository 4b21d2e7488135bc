# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command `fleet`: all systems of an inventory on one screen, one page, one series."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pmsops_cli import commands, gather, playbooks, project, sets, waves
from pmsops_cli.commands import Session
from pmsops_cli.exit_status import Stop
from pmsops_cli.hosts import System

if TYPE_CHECKING:
    from ansible.module_utils.pmsops.control.fleet_record import Record, Seen
    from ansible.module_utils.pmsops.control.fleet_rows import Row

HEAD_OF_HOST = "{{ fleet_heads[inventory_hostname] | default('') }}"
# Each system on its own one.
DRILL_HOST_OF_SYSTEM = "{{ schedule_drill_host }}"
NO_DRILL_HOST = (
    "it names no host for drills elsewhere -> Set schedule_drill_host (docs/OFFSITE.md)."
)
PAGE = "index.html"
METRICS = "pms_fleet.prom"
# A host that is only looked at answers within a minute, or is named.
LOOK_SECONDS = "60"
# What the playbooks take by themselves, and `fleet` has no options for.
NOT_GIVEN = ("at", "attestations", "database", "file", "host", "only", "sections")


def command(session: Session) -> int:
    """Run one action over all systems."""
    given = session.arguments
    _require_fitting(given)
    if given.action == "status":
        return _status(session)
    if given.action == "report":
        return _report(session)
    if given.action == "gather":
        return _gather(session)
    for name in NOT_GIVEN:
        setattr(given, name, None)
    given.command = given.action
    status = commands.simple(session) if given.action == "backup" else _in_waves(session)
    if not given.check:
        _look(session, ask=True)
    return status


def _in_waves(session: Session) -> int:
    """Run go-live, drills or prepare, wave by wave; return the status of the worst system."""
    given = session.arguments
    variables = {}
    playbook = playbooks.FOLDER / f"{given.action}.yml"
    if given.action == "golive":
        playbook, variables = commands.PLAYBOOKS["golive"], commands.golive_variables(session)
    systems = session.systems
    whole = waves.Waves(session, given.action, playbook)
    if given.elsewhere:
        variables = {"drill_host": DRILL_HOST_OF_SYSTEM}
        systems = whole.leave_out(systems, lambda each: "" if each.drill_host else NO_DRILL_HOST)
    return whole.run(waves.split(systems, given.serial), variables)


def _require_fitting(given: argparse.Namespace) -> None:
    """Refuse options that the action would ignore.

    :raises Stop: if there is one.
    """
    in_waves = given.action in ("golive", "drill", "prepare")
    if not in_waves and (given.serial != waves.ALL or given.any_time):
        raise Stop(
            "--serial and --any-time go with golive, drill and prepare.",
            "pms-ops fleet golive --serial 1,50%",
        )
    if given.elsewhere and given.action != "drill":
        raise Stop("--elsewhere goes with drill.", "pms-ops fleet drill --elsewhere")
    if (given.action == "gather") != bool(given.streams):
        raise Stop("Streams go with gather.", "pms-ops fleet gather part1 part2")
    if given.action != "status" and (given.ask or given.metrics):
        raise Stop("--ask and --metrics go with status.", "pms-ops fleet status --ask")


def _status(session: Session) -> int:
    """Print the fleet; return the status of the worst system."""
    from ansible.module_utils.pmsops.common import textfile_metrics
    from ansible.module_utils.pmsops.control import end_table, fleet_rows

    given = session.arguments
    rows = _rows(session, ask=given.ask)
    worst = max((each.status for each in rows), default=end_table.DONE)
    if given.metrics:
        folder = session.cwd / Path(given.metrics).expanduser()
        # Each sample names its own system.
        textfile_metrics.write(folder, fleet_rows.gauges(rows), METRICS, "")
    if given.json:
        _print_document("fleet status", worst, fleet_rows.documents(rows))
    else:
        print("\n".join(fleet_rows.lines(rows)))
    return worst


def _gather(session: Session) -> int:
    """Print one table of what worker nodes did; return the status of the worst system."""
    from ansible.module_utils.pmsops.control import end_table

    given = session.arguments
    rows = gather.rows([session.cwd / Path(each).expanduser() for each in given.streams])
    worst = end_table.worst(rows)
    if given.json:
        _print_document("fleet gather", worst, end_table.documents(rows))
    else:
        print("\n".join(end_table.lines(rows)))
    return worst


def _print_document(command: str, worst: int, systems: list[dict[str, Any]]) -> None:
    document = {"command": command, "exit_code": worst, "systems": systems}
    print(json.dumps(document, indent=1, sort_keys=True))


def _report(session: Session) -> int:
    """Let each system write its page, and write one that links to all; print its path."""
    from ansible.module_utils.pmsops.common import files
    from ansible.module_utils.pmsops.control import end_table, fleet_page

    given = session.arguments
    with _limit_of_a_look():
        _code, document, _shown = session.quiet_run(
            "site", playbooks.FOLDER / "site.yml", {}, check=given.check
        )
    written = document["facts"].get("pages", {})
    local = {each.host for each in session.systems if each.local}
    pages = {
        host: Path(page["path"]).as_uri() if host in local else f"{host}:{page['path']}"
        for host, page in written.items()
    }
    rows = _rows(session, ask=True)
    path = _folder(session) / PAGE
    if not given.check:
        files.make_private_folder(path.parent)
        text = fleet_page.page(rows, pages, now=datetime.now(UTC))
        files.replace(path, text.encode(errors="replace"), mode=0o600)
    if given.json:
        print(json.dumps({"command": "fleet report", "page": str(path), "pages": pages}, indent=1))
    else:
        print(path)
    return max((each.status for each in rows if each.status != 1), default=end_table.DONE)


def _rows(session: Session, *, ask: bool) -> list[Row]:
    from ansible.module_utils.pmsops.control import fleet_rows

    found, failures = _look(session, ask=ask)
    now = datetime.now(UTC)
    labels = {each.host: each.label for each in session.systems}
    silent = sets.seconds(session.arguments.silent) or 0.0
    return fleet_rows.ordered(
        fleet_rows.row(
            seen,
            label=labels.get(seen.system) or seen.system,
            now=now,
            silent_seconds=silent,
            failure=failures.get(seen.system, ""),
        )
        for seen in found
    )


def _look(session: Session, *, ask: bool) -> tuple[list[Seen], dict[str, str]]:
    """Return what is known of each system, and why one could not be looked at.

    The folders of this machine are read now. Other machines are asked with *ask*, by one playbook;
    else what was seen last is returned, with its moment.
    """
    from ansible.module_utils.pmsops.control.fleet_record import Record

    record, now = Record(_folder(session)), datetime.now(UTC)
    away = [each for each in session.systems if not each.local]
    failures = dict(session.unread)
    found = [_here(record, each, now) for each in session.systems if each.local]
    if ask and away:
        answers, silent = _asked(session, record, away)
        failures |= silent
        for host, status in answers.items():
            record.take(host, status, now)
    found += [record.last(each.host) for each in away]
    found += [record.last(host) for host in session.unread]
    return found, failures


def _here(record: Record, system: System, now: datetime) -> Seen:
    from ansible.module_utils.pmsops.evidence import status

    found = status.collect(
        system.backup_root,
        system.evidence_root,
        now=now,
        head=record.head(system.host),
        protects=system.protected,
        sites=system.sites,
        drill_host=system.drill_host,
    )
    return record.take(system.host, found, now)


def _asked(
    session: Session, record: Record, away: list[System]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the status of each host that answers, and why the others do not."""
    heads = {each.host: record.head(each.host) or "" for each in away}
    with _limit_of_a_look():
        _code, document, _shown = session.quiet_run(
            "status",
            playbooks.FOLDER / "status.yml",
            {"fleet_heads": heads, "ledger_head": HEAD_OF_HOST},
            check=False,
        )
    answers = document["facts"].get("status", {})
    reasons = {each["system"]: "; ".join(each["due"]) for each in document["systems"]}
    return (
        {host: status for host, status in answers.items() if host in heads},
        {host: reasons.get(host) or "no answer" for host in heads if host not in answers},
    )


@contextmanager
def _limit_of_a_look() -> Iterator[None]:
    """Give tasks that only look a limit of time, unless the operator gave one."""
    name = "ANSIBLE_TASK_TIMEOUT"
    given = name in os.environ
    os.environ.setdefault(name, LOOK_SECONDS)
    try:
        yield
    finally:
        if not given:
            del os.environ[name]


def _folder(session: Session) -> Path:
    """Return the folder of the fleet's record: that of one inventory alone."""
    source = session.inventories[0]
    digest = hashlib.sha256(source.encode()).hexdigest()[:12]
    return project.state_folder() / "fleet" / f"{Path(source).name}-{digest}"
