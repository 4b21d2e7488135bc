# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands that run a playbook, with the variables that their arguments stand for."""

from __future__ import annotations

import argparse
import copy
import os
import re
import shlex
import sys
import textwrap
from pathlib import Path
from typing import Any

from pmsops_cli import confirm, console, hosts, inventory, orphans, playbooks, runner
from pmsops_cli.exit_status import COULD_NOT_RUN, FAILED, INTERRUPTED, Stop
from pmsops_cli.project import PROJECT

PLAYBOOKS = {
    "golive": PROJECT / "golive.yml",
    "restore": PROJECT / "dr_restore.yml",
    "rollback": PROJECT / "dr_restore.yml",
}
# Runs of many minutes that a person waits for: their steps are told without a terminal, too.
SAYS_STEPS = ("dr_host",)
LATEST = "latest"  # in place of a set's name
MARKET = "market"  # in place of prices: the newest closes
LISTING_COLUMNS = 100
# The command in a text; in /srv/pms-ops/backups it is a folder.
_COMMAND = re.compile(r"(?<![\w/.-])pms-ops(?![\w/.-])")


class Session:
    """One command: its arguments, its folder, the systems that it is about."""

    def __init__(self, arguments: argparse.Namespace, cwd: Path) -> None:
        self.arguments = arguments
        self.cwd = cwd
        self.inventories = inventory.find(arguments.inventory, cwd, os.environ)
        self.extra = [_absolute_extra(each, cwd) for each in arguments.extra_vars]
        self.vault_files = [str(_from(each, cwd)) for each in arguments.vault_password_file]
        self.vault_password = _ask_password() if arguments.ask_vault_pass else None
        self._systems: list[hosts.System] | None = None
        # Hosts whose variables cannot be read, as of a vault that does not open, and why.
        self.unread: dict[str, str] = {}

    def again(self, words: str, host: str | None = None) -> str:
        """Return a command of pms-ops with the -i options of this one, for one host if named."""
        given = "".join(f" -i {shlex.quote(each)}" for each in self.arguments.inventory)
        given += f" -l {shlex.quote(host)}" if host else ""
        return _COMMAND.sub(lambda _: f"pms-ops{given}", words) if given else words

    def split(self) -> list[Session]:
        """Return a session for each system that the inventories describe.

        An inventory without hosts of its own goes with each of them.
        """
        if len(self.inventories) == 1 and hosts.describes_one(self.inventories[0]):
            return [self]
        found = hosts.described(self.inventories)
        if len(found) < 2:
            return [self]
        led = [source for sources in found.values() for source in sources]
        shared = [each for each in self.inventories if each not in led]
        parts = []
        for folder, sources in found.items():
            part = copy.copy(self)
            # A source that leads to several systems is narrowed to the folder of this one.
            own = sources if all(led.count(each) == 1 for each in sources) else [folder]
            part.inventories = [*own, *shared]
            typed = dict(zip(self.inventories, self.arguments.inventory, strict=False))
            part.arguments = argparse.Namespace(**vars(self.arguments))
            part.arguments.inventory = [typed.get(each, each) for each in part.inventories]
            part._systems, part.unread = None, {}
            parts.append(part)
        return parts

    def require_one(self) -> None:
        """Refuse inventories of several systems: Ansible would mix their variables.

        :raises Stop: if there are several.
        """
        parts = self.split()
        if len(parts) > 1:
            each = "; ".join(part.again(f"pms-ops {self.arguments.command}") for part in parts)
            raise Stop(
                f"The inventories describe {len(parts)} systems, whose variables would mix."
                " Nothing was run.",
                f"Run the command once for each system: {each}",
            )

    @property
    def systems(self) -> list[hosts.System]:
        """Return the hosts of the inventory that can be read, at first use.

        :raises Stop: if the inventories describe several systems, or cannot be read; or if two
            hosts have one database or folder.
        """
        if self._systems is None:
            self.require_one()
            found, self.unread = hosts.read_each(
                hosts.Sources(
                    inventories=self.inventories,
                    extra=self.extra,
                    limit=self.arguments.limit,
                    vault_files=self.vault_files,
                    vault_password=self.vault_password,
                )
            )
            hosts.require_apart(found)
            self._systems = found
        return self._systems

    def _limit(self) -> str | None:
        """Return the hosts that a playbook is to run on; one that cannot be read would end it."""
        limit: str | None = self.arguments.limit
        if not hosts.describes_several(self.inventories):
            return limit
        left = len(self.systems) and self.unread
        return ":".join([limit or "all", *(f"!{host}" for host in left)]) if left else limit

    @property
    def database(self) -> str:
        """Return what a confirmation repeats: the database, or each system with its own."""
        from ansible.module_utils.pmsops.control import confirmation

        other = getattr(self.arguments, "database", None)
        return confirmation.expected({each.host: other or each.database for each in self.systems})

    def run(
        self, name: str, playbook: Path, variables: dict[str, Any], *, check: bool | None = None
    ) -> int:
        """Run a playbook, print its result, return the exit status."""
        checking = self.arguments.check if check is None else check
        status, document, shown = self.quiet_run(name, playbook, variables, check=checking)
        shown.end(document)
        return status

    def quiet_run(
        self,
        name: str,
        playbook: Path,
        variables: dict[str, Any],
        *,
        check: bool,
        only: list[str] | None = None,
    ) -> tuple[int, dict[str, Any], console.Display]:
        """Run a playbook; return exit status, result, and a display that has not printed it.

        :param only: hosts to run it on, and no others; the caller names those that are left out.
        """
        self.require_one()
        given = self.arguments
        limit = self._limit() if only is None else ",".join(only)
        verbose = given.verbose or name in SAYS_STEPS
        shown = console.Display(name, as_json=given.json, verbose=verbose)
        request = runner.Request(
            name=name,
            playbook=playbook,
            inventories=self.inventories,
            variables=variables,
            arguments=[
                *(["--check"] if check else []),
                *([f"--limit={limit}"] if limit else []),
                *(word for each in self.extra for word in ("-e", each)),
                *(f"--vault-password-file={each}" for each in self.vault_files),
                *given.passed,
            ],
            vault_password=self.vault_password,
        )
        with shown.live():
            summary, log = runner.run(request, shown.show)
        for host, why in self.unread.items() if only is None else ():
            summary.outcomes.left_out(host, why)
        status = summary.status
        if summary.signalled:
            status = INTERRUPTED
        elif summary.killed:
            status = orphans.settle(
                summary, self.systems, shown.tell, status_command=self.again("pms-ops status")
            )
        elif status == COULD_NOT_RUN and not summary.errors and not summary.failed:
            summary.errors.append(_reason_nothing_ran(summary.rc, self.inventories))
        if summary.locked_vault:
            summary.errors.append(f"-> {inventory.vault_advice(self.inventories)}")
        document = console.document(name, playbook, summary, log, status=status, check=check)
        return status, document, shown


def golive(session: Session) -> int:
    """Run the go-live checklist."""
    return session.run("golive", PLAYBOOKS["golive"], golive_variables(session))


def golive_variables(session: Session) -> dict[str, Any]:
    """Return the variables of a run over the checklist."""
    given = session.arguments
    variables: dict[str, Any] = {}
    if given.sections:
        variables["golive_sections"] = _words(given.sections)
    if given.only:
        variables["golive_checks"] = _words(given.only)
    if given.verbose:
        variables["golive_details"] = True
    if given.attestations:
        variables["golive_attestations"] = str(_existing(given.attestations, session.cwd))
    return variables


def simple(session: Session) -> int:
    """Run backup, doctor or prepare: a playbook of that name."""
    given = session.arguments
    variables = {"remote_state": "absent"} if getattr(given, "remove", False) else {}
    if host := getattr(given, "host", None):
        variables["drill_host"] = host
    return session.run(given.command, playbooks.FOLDER / f"{given.command}.yml", variables)


def drill(session: Session) -> int:
    """Restore a set into a staging database, or recover a copy to a moment, and prove it."""
    if host := session.arguments.host:
        return session.run("drill", playbooks.FOLDER / "drill.yml", _drill_elsewhere(session, host))
    variables = file_variable(session) | other_database(session)
    if moment := session.arguments.at:
        if variables:
            raise Stop(
                "A drill is of a set or of a moment, which is one of the whole server.",
                "Leave SET and --database out, or --at.",
            )
        variables = {"drill_at": moment}
    return session.run("drill", playbooks.FOLDER / "drill.yml", variables)


def _drill_elsewhere(session: Session, host: str) -> dict[str, Any]:
    """Return the variables of a drill on another host: it has none of the files of this one."""
    given = session.arguments
    if given.at:
        raise Stop(
            "A drill on another host is of a set, which comes from a site.",
            "Leave --at out, or --host.",
        )
    named = {"file": Path(given.file).name} if given.file else {}
    return other_database(session) | named | {"drill_host": host}


def verify(session: Session) -> int:
    """Compare the live database with a set."""
    given = session.arguments
    variables = file_variable(session) | {
        name: True for name in ("strict", "amcheck") if getattr(given, name)
    }
    renamed = {name if name == "file" else f"verify_{name}": v for name, v in variables.items()}
    return session.run("verify", playbooks.FOLDER / "verify.yml", renamed)


def restore(session: Session) -> int:
    """Show the plan, ask for confirmation, restore."""
    given = session.arguments
    variables = {"at": given.at} if given.at else file_variable(session)
    source = f"its state of {given.at}" if given.at else Path(variables["file"]).name
    variables |= other_database(session)
    if given.whole_server or given.replace_live:
        return _whole_server(session, variables)
    if given.only:
        return _only(session, variables, source)
    if bool(given.tables) != bool(given.into or given.in_place) or (given.into and given.in_place):
        raise Stop(
            "--tables goes with either --into or --in-place.",
            "Give the tables, and a new schema for them or --in-place.",
        )
    if given.in_place:
        variables |= {"tables": _words(given.tables), "in_place": True}
        what = (
            f"This replaces the live tables {given.tables} of {session.database}"
            f" by those of {source}"
        )
        return destroying(session, "restore", PLAYBOOKS["restore"], variables, what)
    if given.tables:
        # They go into a schema of their own and replace nothing: no confirmation.
        variables |= {"tables": _words(given.tables), "into": given.into}
        return session.run("restore", PLAYBOOKS["restore"], variables)
    variables |= _parts(session)
    hosts = ", ".join(sorted(each.host for each in session.systems))
    what = f"This replaces the live database {session.database} on {hosts} by {source}"
    if given.parts_only:
        what = f"This replaces {given.parts} of {session.database} on {hosts} by those of {source}"
    elif given.parts:
        what += f", and with it {given.parts}"
    return destroying(session, "restore", PLAYBOOKS["restore"], variables, what)


def _only(session: Session, variables: dict[str, Any], source: str) -> int:
    """Bring the tables that differ."""
    given = session.arguments
    if given.into or given.in_place or given.parts:
        raise Stop(
            "--only different puts tables in place, and brings nothing else.",
            "Leave --into, --in-place and --parts out; --tables may narrow it.",
        )
    variables |= {"only": given.only} | ({"tables": _words(given.tables)} if given.tables else {})
    what = f"This replaces the tables of {session.database} that differ from {source} by its own"
    return destroying(session, "restore", PLAYBOOKS["restore"], variables, what)


def _parts(session: Session) -> dict[str, Any]:
    """Return the variables about parts."""
    given = session.arguments
    if given.parts_only and not given.parts:
        raise Stop(
            "--parts-only goes with --parts.",
            "For example: --parts-only --parts compose,grafana",
        )
    if not given.parts:
        return {}
    return {"parts": _words(given.parts)} | ({"parts_only": True} if given.parts_only else {})


def _whole_server(session: Session, variables: dict[str, Any]) -> int:
    """Bring a lost server back as it was at a moment."""
    given = session.arguments
    if not (given.whole_server and given.at) or given.tables or "other_database" in variables:
        raise Stop(
            "--whole-server is of a moment and of everything on the server.",
            'For example: pms-ops restore --at latest --whole-server, or --at "2026-11-27 14:59".',
        )
    variables |= {"whole_server": True} | ({"replace_live": True} if given.replace_live else {})
    hosts = ", ".join(sorted(each.host for each in session.systems))
    what = (
        f"This replaces the whole database server of {session.database} on {hosts} by its state of"
        f" {given.at}"
    )
    return destroying(session, "restore", PLAYBOOKS["restore"], variables, what)


def rollback(session: Session) -> int:
    """Show the plan, ask for confirmation, bring the former database back."""
    if schema := session.arguments.drop_tables:
        drop = other_database(session) | {"drop_former_tables": _words(schema)}
        what = f"This drops former tables of {session.database} ({schema}), for good"
        return destroying(session, "rollback", PLAYBOOKS["rollback"], drop, what)
    if volume := session.arguments.drop_server:
        what = f"This removes a former server of {session.database} ({volume}), for good"
        variables = {"drop_former_server": volume}
        return destroying(session, "rollback", PLAYBOOKS["rollback"], variables, what)
    if session.arguments.checkpoint:
        from pmsops_cli import checkpoints

        return checkpoints.rollback(session)
    variables = {"rollback": True} | other_database(session) | _parts(session)
    if session.arguments.parts_only:
        what = f"This puts back what the last restore of {session.arguments.parts} replaced"
        return destroying(session, "rollback", PLAYBOOKS["rollback"], variables, what)
    if session.arguments.to:
        variables["restore_former"] = session.arguments.to
    what = (
        f"This replaces the live database {session.database} by the former one, or its server or"
        " tables if those were restored last"
    )
    return destroying(session, "rollback", PLAYBOOKS["rollback"], variables, what)


def dr(session: Session) -> int:
    """Run a scenario, or list them."""
    given = session.arguments
    if not given.scenario:
        return _list(session, "dr")
    playbook = playbooks.chosen("dr", given.scenario)
    name = f"dr_{playbook.name}"
    variables = prices(given)
    if given.confirm is not None:
        variables["confirm"] = confirm.ask(session.database, given.confirm, what="")
    # Not asked for at the start: the playbook first takes the steps that destroy nothing, and says
    # when only destructive ones are left.
    return session.run(name, playbook.path, variables)


def ops(session: Session) -> int:
    """Run a time block, or list them."""
    if not session.arguments.block:
        return _list(session, "ops")
    given = session.arguments
    playbook = playbooks.chosen("ops", given.block)
    variables = prices(given)
    if given.done:
        variables |= {"done": [each for text in given.done for each in _words(text)]}
    if given.by:
        variables["done_by"] = given.by
    return session.run(f"ops_{playbook.name}", playbook.path, variables)


def prices(given: argparse.Namespace) -> dict[str, Any]:
    """Return the prices to mark with, and their source.

    :raises Stop: where one is no TICKER=PRICE.
    """
    found: dict[str, float] = {}
    if given.price == [MARKET]:
        return {"prices": MARKET} | ({"source": given.source} if given.source else {})
    for each in given.price:
        ticker, equals, text = each.partition("=")
        try:
            found[ticker.strip()] = float(text)
        except ValueError:
            equals = ""
        if not equals or not ticker.strip():
            raise Stop(
                f"--price {each} is no price.",
                "For example --price USDBRL=5.46, with a point; --price market stands alone.",
            )
    variables: dict[str, Any] = {"prices": found} if found else {}
    for name in ("source", "fx_rate"):
        if getattr(given, name, None):
            variables[name] = getattr(given, name)
    return variables


def destroying(
    session: Session,
    name: str,
    playbook: Path,
    variables: dict[str, Any],
    what: str,
) -> int:
    """Run a destructive playbook after its confirmation; at a terminal, show the plan first."""
    given = session.arguments
    if given.check:
        return session.run(name, playbook, variables)
    at_terminal = given.confirm is None and sys.stdin.isatty()
    if at_terminal:
        status, document, shown = session.quiet_run(name, playbook, variables, check=True)
        if status or not given.json:
            shown.end(document)
        if status:
            return status
    typed = confirm.ask(session.database, given.confirm, what=what.rstrip("."))
    return session.run(name, playbook, variables | {"confirm": typed})


def _list(session: Session, kind: str) -> int:
    import json

    found = playbooks.listed(kind)
    if session.arguments.json:
        plain = [
            {"name": each.name, "playbook": str(each.path), "examples": each.examples} | each.fields
            for each in found
        ]
        print(json.dumps(plain, indent=1))
        return 0
    width = max((len(each.name) for each in found), default=0)
    margin = " " * (width + 2)
    for each in found:
        when = textwrap.wrap(each.when[:1].upper() + each.when[1:], LISTING_COLUMNS - len(margin))
        print(each.name.ljust(width), f" {when[0]}")
        for line in when[1:]:
            print(margin + line)
        for example in each.examples:
            print(f"{margin}{session.again('pms-ops')} {kind} {each.name} {example}")
    asks = [each.name for each in found if each.confirms]
    if asks:
        print(f"\nDestructive steps of {', '.join(asks)} need --confirm DATABASE.")
    print(f"Run one: {session.again('pms-ops')} {kind} NAME (--check shows its plan).")
    return 0


def other_database(session: Session) -> dict[str, str]:
    """Return the variable that names another database of the server, if one was given."""
    name = getattr(session.arguments, "database", None)
    return {"other_database": name} if name else {}


def _roots(session: Session) -> set[Path]:
    """Return the folders of the sets of the database that the command is about."""
    return {each.backup_root / sets_below(session) for each in session.systems}


def sets_below(session: Session) -> Path:
    """Return where the sets of that database are, below backup_root."""
    from ansible.module_utils.pmsops.repository import sets

    name = getattr(session.arguments, "database", None)
    return Path(sets.OTHERS, name) if name else Path()


def file_variable(session: Session) -> dict[str, Any]:
    """Return the variable `file` of a set: a path from the caller's folder, or a set's name.

    :raises Stop: if the set should be on this machine and is not.
    """
    given = session.arguments.file
    if not given:
        return {}
    path = _from(given, session.cwd)
    if path.exists():
        return {"file": str(path.resolve())}
    if given == LATEST:
        return {"file": str(_latest(session))}
    if Path(given).is_absolute() and not all(each.local for each in session.systems):
        return {"file": given}
    roots = _roots(session)
    if len(roots) == 1:
        by_name = roots.pop() / given
        if by_name.exists() or not all(each.local for each in session.systems):
            return {"file": str(by_name)}
    where = ", ".join(str(root) for root in sorted(_roots(session)))
    raise Stop(
        f"{given} is neither a path in {session.cwd} nor a set in {where}.",
        f"{session.again('pms-ops status')} names the newest set.",
    )


def _latest(session: Session) -> Path:
    """Return the newest set, once, so that the plan and the run are about the same one.

    :raises Stop: if there is none, or the folder is not on this machine.
    """
    from ansible.module_utils.pmsops.common.errors import OpsError
    from ansible.module_utils.pmsops.repository import sets

    roots = _roots(session)
    if len(roots) != 1 or not all(each.local for each in session.systems):
        raise Stop(
            f"{LATEST} works for one system, on this machine.",
            "Give the set's name; pms-ops status names the newest set of each system.",
        )
    try:
        return sets.newest(roots.pop())
    except OpsError as exc:
        raise Stop(str(exc), exc.remedy, status=FAILED) from exc


def _absolute_extra(given: str, cwd: Path) -> str:
    return f"@{_existing(given[1:], cwd)}" if given.startswith("@") else given


def _from(given: str, cwd: Path) -> Path:
    return cwd / Path(given).expanduser()


def _existing(given: str, cwd: Path) -> Path:
    path = _from(given, cwd)
    if not path.is_file():
        raise Stop(
            f"{path} is not a file.", "Correct the path; it is relative to the current folder."
        )
    return path.resolve()


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _ask_password() -> str:
    import getpass

    if not sys.stdin.isatty():
        raise Stop("--ask-vault-pass needs a terminal.", "Use --vault-password-file without one.")
    return getpass.getpass("Vault password: ", stream=sys.stderr)


def _reason_nothing_ran(rc: int | None, inventories: list[str]) -> str:
    if rc == 0:
        return f"No host of {', '.join(inventories)} matched; nothing was run."
    return f"ansible-playbook ended with status {rc}; its log says why."
