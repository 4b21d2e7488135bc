# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command line: commands, arguments, help."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Container
from typing import Any

ABOUT = """\
Operate a PMS: go-live checklist, verified backups, disaster recovery.

  before a release   pms-ops golive                 go or no-go, with evidence
  every night        pms-ops backup                 make a signed backup set
  every week         pms-ops drill                  verify the newest set in a staging database
  in a disaster      pms-ops dr                     list the scenarios; `dr triage` picks one
                     pms-ops restore SET --check    show the plan; without --check, restore
                     pms-ops rollback               make the former database live again
  before a change    pms-ops checkpoint --note X    make a point to return to
  at any time        pms-ops status                 show the sets, runs and due tasks

A system of your own, in three commands:
  pms-ops init /opt/macro_trading/docker-compose.yml --name prod --create-role
  pms-ops -i prod doctor
  pms-ops -i prod golive
"""
CLOSING = """\
The inventory comes from -i, PMS_OPS_INVENTORY or ANSIBLE_INVENTORY; without one it is the lab. A
name without a slash is a folder of inventory/. Arguments after -- go to ansible-playbook.

Exit status: 0 done; 1 failed; 2 wrong use, nothing was run; 3 could not run; 4 broken
(a proof or gate missed its negative control); 130 interrupted.
Logs: ~/.local/state/pms-ops/runs (the newest 50, private).
"""


# The options of every command that take the next word as their value.
WITH_VALUE = (
    *("-i", "--inventory", "-l", "--limit"),
    *("-e", "--extra-vars", "--vault-password-file"),
)
# Adds a command: name, one line about it, examples.
AddCommand = Callable[[str, str, str], argparse.ArgumentParser]


class _Version(argparse.Action):
    """Print the version. Only this imports Ansible here, which takes a moment."""

    def __call__(self, parser: argparse.ArgumentParser, *_args: Any) -> None:
        from pmsops_cli import project

        project.enter()
        from ansible.module_utils.pmsops.common.version import TOOL

        print(f"{TOOL['name']} {TOOL['version']}")
        parser.exit()


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)


def _common(*, top: bool) -> argparse.ArgumentParser:
    """Return the options of every command; they may also stand before the command."""
    none = argparse.SUPPRESS
    common = argparse.ArgumentParser(add_help=False)
    group = common.add_argument_group("options of every command")
    add = group.add_argument
    add(
        "-i",
        "--inventory",
        action="append",
        default=[] if top else none,
        metavar="INVENTORY",
        help="the system: a folder, a file, or a name in inventory/",
    )
    add(
        "-l",
        "--limit",
        default=None if top else none,
        metavar="HOST",
        help="only this host of the inventory",
    )
    add(
        "-e",
        "--extra-vars",
        action="append",
        default=[] if top else none,
        metavar="VAR=VALUE",
        help="a variable for the playbook; @FILE reads them from a file",
    )
    add(
        "--check",
        action="store_true",
        default=False if top else none,
        help="show the plan and change nothing",
    )
    add(
        "--json",
        action="store_true",
        default=False if top else none,
        help="print one JSON document on standard output",
    )
    add(
        "-v",
        "--verbose",
        action="store_true",
        default=False if top else none,
        help="show each check; without a terminal also the progress, on standard error",
    )
    add(
        "--vault-password-file",
        action="append",
        default=[] if top else none,
        metavar="FILE",
        help="file with the vault's password (not needed for a vault that init made)",
    )
    add(
        "--ask-vault-pass",
        action="store_true",
        default=False if top else none,
        help="ask for the vault's password",
    )
    return common


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    whole = argparse.ArgumentParser(
        prog="pms-ops",
        description=ABOUT,
        epilog=CLOSING,
        formatter_class=_Formatter,
        parents=[_common(top=True)],
        allow_abbrev=False,
    )
    whole.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)
    common = _common(top=False)

    def add(name: str, about: str, examples: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=about,
            description=about[0].upper() + about[1:] + ".",
            epilog="examples:\n" + examples,
            formatter_class=_Formatter,
            parents=[common],
            allow_abbrev=False,
        )

    _checklist(add)
    _backups(add)
    _acts(add)
    _disasters(add)
    _looking(add)
    _first_contact(add)
    return whole


def _checklist(add: AddCommand) -> None:
    golive = add(
        "golive",
        "run the go-live checklist and give a verdict",
        "  pms-ops golive\n"
        "  pms-ops -i prod golive --sections monitoring,backups\n"
        "  pms-ops -i prod golive --only infra.redis.ping       run one check again\n"
        "  pms-ops -i prod golive --attestations signed.yml --json",
    )
    golive.add_argument(
        "--sections", metavar="A,B", help="only these sections (a partial run, without a verdict)"
    )
    golive.add_argument(
        "--only", metavar="ID,ID", help="only these checks and the checks that they need"
    )
    golive.add_argument("--attestations", metavar="FILE", help="attestations and waivers")


def _backups(add: AddCommand) -> None:
    add(
        "backup",
        "make a backup set: dump, exports, signed manifest",
        "  pms-ops backup\n  pms-ops backup --check -- --diff   what retention would delete",
    )
    drill = add(
        "drill",
        "restore a set into a staging database and verify it; keep it for a quick restore",
        "  pms-ops drill\n  pms-ops drill backups/2026-11-22_0600\n"
        "  pms-ops drill --database dagster_storage\n"
        "  pms-ops drill --at random                 a second of the last day, if it is protected\n"
        "  pms-ops drill --host drill1               on another host, from the copy on a site",
    )
    drill.add_argument("file", nargs="?", metavar="SET", help="the set (default: the newest)")
    drill.add_argument(
        "--at",
        metavar="MOMENT",
        help="in place of SET, recover a copy to a moment: random, a time, an LSN, or latest",
    )
    drill.add_argument(
        "--host",
        metavar="NAME",
        help="a host of the inventory that fetches SET (an id, newest or proved) from a site",
    )
    _other(drill)
    verify = add(
        "verify",
        "compare the live database with a set, table by table",
        "  pms-ops verify\n  pms-ops verify 2026-11-22_0600 --strict",
    )
    verify.add_argument("file", nargs="?", metavar="SET", help="the set (default: the newest)")
    verify.add_argument(
        "--strict", action="store_true", help="exit 1 if the database differs from the set"
    )
    verify.add_argument(
        "--amcheck", action="store_true", help="also check pages and indexes with pg_amcheck"
    )
    restore = add(
        "restore",
        "restore a set, and swap it with the live database, which is kept",
        "  pms-ops restore 2026-11-22_0600 --check   the plan\n"
        "  pms-ops restore 2026-11-22_0600           shows the plan, asks, restores\n"
        "  pms-ops restore latest --confirm macro_trading         without a terminal\n"
        '  pms-ops restore --at "2026-11-27 14:59:30" --check     any moment, if it is protected\n'
        "  pms-ops restore --at latest --whole-server             the server itself is gone\n"
        "  pms-ops restore old.pgdump --confirm macro_trading     a dump of pg_dump -Fc\n"
        "  pms-ops restore latest --only different                what differs, no more\n"
        "  pms-ops restore 2026-11-22_0600 --tables portfolio_positions --into friday\n"
        "  pms-ops restore latest --tables portfolio_positions --in-place --confirm macro_trading\n"
        "  pms-ops restore latest --parts-only --parts compose,grafana --check",
    )
    source = restore.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "file",
        nargs="?",
        metavar="SET",
        help="a set's name, folder or dump; latest; or a file made by pg_dump -Fc",
    )
    source.add_argument(
        "--at",
        metavar="MOMENT",
        help="in place of SET: a time (the fund's, unless it has an offset), an LSN, or latest",
    )
    restore.add_argument(
        "--whole-server",
        action="store_true",
        help="with --at: put the recovered data directory in place of a lost server's",
    )
    restore.add_argument(
        "--replace-live",
        action="store_true",
        help="with --whole-server: also if the server is not lost; all its databases go back",
    )
    restore.add_argument(
        "--only",
        choices=["different"],
        help="compare first, and restore only the tables that differ, in place of the live ones",
    )
    restore.add_argument(
        "--tables",
        metavar="A,B",
        help="restore only these tables; with --into, --in-place or --only",
    )
    restore.add_argument("--into", metavar="SCHEMA", help="the new schema for --tables")
    restore.add_argument(
        "--in-place",
        action="store_true",
        help="put --tables in the place of the live ones, which are kept",
    )
    _parts(restore)
    _confirm(restore)
    _other(restore)
    _checkpoint(add)
    rollback = add(
        "rollback",
        "make the former database, or server, of the last restore live again",
        "  pms-ops rollback --check\n  pms-ops rollback --confirm macro_trading\n"
        "  pms-ops rollback --checkpoint                    the newest checkpoint\n"
        '  pms-ops rollback --checkpoint "release 4.2"',
    )
    rollback.add_argument(
        "--checkpoint",
        nargs="?",
        const="latest",
        metavar="NOTE",
        help="return to a checkpoint, by its note or its set (default: the newest): a restore",
    )
    rollback.add_argument(
        "--to",
        metavar="FORMER",
        help="an earlier former database, or the volume of a former server",
    )
    rollback.add_argument(
        "--drop-tables",
        metavar="SCHEMA",
        help="instead, drop the former tables of this schema, which --in-place kept; all: of each",
    )
    rollback.add_argument(
        "--drop-server",
        metavar="VOLUME",
        help="instead, remove this former server, which --whole-server kept; all: each",
    )
    _parts(rollback)
    _confirm(rollback)
    _other(rollback)


def _checkpoint(add: AddCommand) -> None:
    checkpoint = add(
        "checkpoint",
        "make a point before a release, to which rollback --checkpoint returns",
        '  pms-ops checkpoint --note "release 4.2" --check    by what it would be reached again\n'
        '  pms-ops checkpoint --note "release 4.2"\n'
        "  pms-ops checkpoint --list\n"
        '  pms-ops checkpoint --release "release 4.2"         retention may have its set again',
    )
    act = checkpoint.add_mutually_exclusive_group(required=True)
    act.add_argument("--note", metavar="TEXT", help="make one, and call it so")
    act.add_argument("--list", action="store_true", help="list them: age, set, warm or not")
    act.add_argument(
        "--release", metavar="NOTE", help="lift the hold of one, by its note or its set"
    )
    _other(checkpoint)


def _parts(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--parts",
        metavar="A,B",
        help="what surrounds the database, too: dagster, databases, redis, grafana, compose; all",
    )
    command.add_argument(
        "--parts-only", action="store_true", help="with --parts: leave the PMS's database as it is"
    )


def _other(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--database",
        metavar="DATABASE",
        help="another database of the server, one of backup_other_databases",
    )


def _confirm(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--confirm",
        metavar="DATABASE",
        help="the database's name; required without a terminal, else asked for",
    )


APPROVER_KEY = "~/.config/pms-ops/approver.key"


def _acts(add: AddCommand) -> None:
    approve = add(
        "approve",
        "approve the plan of another person's restore, rollback or off-site prune",
        "  pms-ops -i prod approve 4be1c0d2a9f7 --check                   the plan\n"
        "  pms-ops -i prod approve 4be1c0d2a9f7      shows the plan, asks, signs\n"
        "  pms-ops -i prod approve --new-key         a key, and the line for the inventory",
    )
    approve.add_argument("plan", nargs="?", metavar="HASH", help="as the stopped run prints it")
    approve.add_argument(
        "--key", metavar="FILE", default=APPROVER_KEY, help=f"your private key ({APPROVER_KEY})"
    )
    approve.add_argument("--new-key", action="store_true", help="make that key")
    _confirm(approve)
    _other(approve)
    hold = add(
        "hold",
        "keep a set from retention, or lift its hold",
        '  pms-ops hold 2026-11-22_0600 --reason "annual audit"\n'
        "  pms-ops hold 2026-11-22_0600 --lift",
    )
    hold.add_argument("file", metavar="SET", help="a set's name or folder")
    hold.add_argument("--reason", metavar="TEXT", help="why it has to stay")
    hold.add_argument("--lift", action="store_true", help="let retention have it again")
    signoff = add(
        "signoff",
        "sign a run of the go-live checklist",
        '  pms-ops signoff --role "risk officer" --by "Maria Silva"\n'
        '  pms-ops signoff --role manager --by "Ana Lima" --decision no-go --run 2026-11-22_060000',
    )
    signoff.add_argument("--role", required=True, metavar="ROLE", help="the role that signs")
    signoff.add_argument("--by", required=True, metavar="NAME", help="the person who signs")
    signoff.add_argument("--decision", choices=["go", "no-go"], help="default: go")
    signoff.add_argument("--run", metavar="RUN", help="the run (default: the newest)")
    notify = add(
        "notify",
        "send a test message to every notification channel",
        "  pms-ops -i prod notify test",
    )
    notify.add_argument("action", choices=["test"], help="send a message that says it is a test")
    schedule = add(
        "schedule",
        "install the timers of the daily jobs, or show their state",
        "  sudo pms-ops -i prod schedule install --check\n"
        "  pms-ops schedule status                   exit 1 if a job is late or failed\n"
        "  sudo pms-ops -i prod schedule remove",
    )
    schedule.add_argument("action", choices=["install", "status", "remove"])

    pitr = add(
        "pitr",
        "protect the database continuously, so that any moment can be restored",
        "  pms-ops -i prod pitr enable --check       what would be added to the server\n"
        "  pms-ops -i prod pitr enable\n"
        "  pms-ops -i prod pitr status               the window, and what is wrong with it\n"
        "  pms-ops -i prod pitr prove                compare a copy of pages and WAL with a set\n"
        "  pms-ops -i prod pitr backup --incremental",
    )
    pitr.add_argument(
        "action", choices=["enable", "disable", "status", "backup", "maintain", "prove", "expire"]
    )
    pitr.add_argument(
        "--incremental", action="store_true", help="with backup: only what has changed since"
    )
    offsite = add(
        "offsite",
        "copies of sets and evidence on other sites: list, check and fetch them",
        "  pms-ops -i prod offsite list              the copies of each site\n"
        "  pms-ops -i prod offsite init              make the repositories\n"
        "  pms-ops -i prod offsite check             read a part of their data\n"
        "  pms-ops -i prod offsite fetch proved --into /srv/fetched\n"
        "  pms-ops -i prod offsite prove             fetch from each site, and drill what came",
    )
    offsite.add_argument(
        "action",
        nargs="?",
        default="list",
        choices=["list", "init", "upload", "check", "fetch", "prove", "try", "prune", "accept"],
    )
    offsite.add_argument(
        "set", nargs="?", metavar="SET", help="with fetch: a set's id, newest, proved or pitr"
    )
    offsite.add_argument("--site", metavar="NAME", help="only this site")
    offsite.add_argument("--into", metavar="FOLDER", help="with fetch: an empty folder")
    offsite.add_argument("--reason", metavar="TEXT", help="with accept: why all is well")
    envelope = add(
        "envelope",
        "print the page that a new machine needs, to keep in an envelope",
        "  pms-ops -i prod envelope\n"
        "  pms-ops -i prod envelope --test           open each repository by what it names",
    )
    envelope.add_argument(
        "--test", action="store_true", help="open each repository, in an empty home"
    )
    merge = add(
        "merge",
        "bring the evidence of a replaced machine here",
        "  pms-ops -i prod merge /srv/lost/evidence",
    )
    merge.add_argument("folder", metavar="FOLDER", help="its evidence, on the managed host")


def _disasters(add: AddCommand) -> None:
    scenarios = add(
        "dr",
        "recover from a disaster; without a scenario, list them",
        "  pms-ops dr triage\n  pms-ops dr redis --check\n"
        "  pms-ops dr database                            every step that destroys nothing\n"
        "  pms-ops dr database --confirm macro_trading    also a restore, if nothing else helps",
    )
    scenarios.add_argument("scenario", nargs="?", metavar="SCENARIO", help="the scenario")
    _confirm(scenarios)
    _prices(scenarios)
    scenarios.add_argument("--fx-rate", metavar="RATE", help="the USD rate of the marking")
    blocks = add(
        "ops",
        "run a time block of the daily runbook; without one, list them",
        "  pms-ops ops\n  pms-ops ops premarket\n"
        "  pms-ops ops open --price USDBRL=5.46 --source PTAX\n"
        '  pms-ops ops open --done open.execute --by "Maria Silva"',
    )
    blocks.add_argument("block", nargs="?", metavar="BLOCK", help="the time block")
    _prices(blocks)
    blocks.add_argument(
        "--done",
        action="append",
        default=[],
        metavar="TASK",
        help="record a manual task as done (repeatable); needs --by",
    )
    blocks.add_argument("--by", metavar="NAME", help="the name of the person who has done it")


def _prices(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--price",
        action="append",
        default=[],
        metavar="TICKER=PRICE",
        help="mark with this price (repeatable); market: with the newest closes",
    )
    command.add_argument("--source", metavar="TEXT", help="the source of the prices")


def _looking(add: AddCommand) -> None:
    add(
        "status",
        "show sets, runs and due tasks, from the folders of sets and evidence",
        "  pms-ops status                exit 1 if something is due\n"
        "  pms-ops -i prod status --json",
    )
    sets = add(
        "sets",
        "list the backup sets: age, size, proof, hold",
        "  pms-ops sets\n  pms-ops sets '2026-11-*' --unverified\n"
        "  pms-ops -i prod sets --older 30d --held --json",
    )
    sets.add_argument("pattern", nargs="?", default="*", metavar="PATTERN", help="names, with *")
    proof = sets.add_mutually_exclusive_group()
    proof.add_argument("--verified", action="store_true", help="only those that a drill verified")
    proof.add_argument("--unverified", action="store_true", help="only the others")
    sets.add_argument("--held", action="store_true", help="only those that retention must keep")
    sets.add_argument("--damaged", action="store_true", help="only those with a problem")
    sets.add_argument("--older", metavar="AGE", help="only those older than 12h, 30d or 2w")
    sets.add_argument("--newer", metavar="AGE", help="only those newer than that")
    report = add(
        "report",
        "print the path of the newest go-live report",
        "  pms-ops report\n  BROWSER=firefox pms-ops report --open",
    )
    report.add_argument(
        "--run", metavar="RUN", default="latest", help="the run (default: the newest)"
    )
    report.add_argument("--open", action="store_true", help="open it with $BROWSER")
    site = add(
        "site",
        "write one page over all runs, sets, drills and incidents, and print its path",
        "  pms-ops site\n  BROWSER=firefox pms-ops site --open",
    )
    site.add_argument("--open", action="store_true", help="open it with $BROWSER")
    evidence = add(
        "evidence",
        "export the evidence of a period as one signed zip, which an outsider checks",
        "  pms-ops -i prod evidence export --since 2026-01-01 --until 2026-12-31\n"
        "  pms-ops -i prod evidence export --since 2026-01-01 --until 2026-12-31 --lang pt",
    )
    evidence.add_argument("action", choices=["export"], help="write the zip, and print its path")
    evidence.add_argument(
        "--since", metavar="DAY", required=True, help="its first day, such as 2026-01-01"
    )
    evidence.add_argument("--until", metavar="DAY", required=True, help="its last day")
    evidence.add_argument(
        "--lang", choices=["en", "pt"], default="en", help="language of the report (default: en)"
    )
    fleet = add(
        "fleet",
        "show, check, back up or drill all systems of an inventory",
        "  pms-ops -i prod fleet status              the systems on one screen, worst first\n"
        "  pms-ops -i prod fleet status --ask        ask other machines, too\n"
        "  pms-ops -i prod -l 'eu_*' fleet golive\n"
        "  pms-ops -i prod fleet prepare --serial 1,50%    one system first, then halves\n"
        "  pms-ops -i prod fleet drill --elsewhere         each on the host for its drills\n"
        "  pms-ops -i prod fleet report              one page with links to that of each system",
    )
    fleet.add_argument(
        "action",
        choices=["status", "golive", "backup", "drill", "prepare", "report", "gather"],
        help="show what is known; run a playbook on all of them; write one page; one table of what"
        " worker nodes did",
    )
    fleet.add_argument(
        "streams",
        nargs="*",
        metavar="STREAM",
        help="with gather: what ansible-runner worker wrote, a file for each worker",
    )
    fleet.add_argument(
        "--serial",
        metavar="SIZES",
        default="100%",
        help="with golive, drill and prepare: systems of each wave, as numbers or shares, the last"
        " for all further ones; after a wave that is not all done, none begins (default: 100%%)",
    )
    fleet.add_argument(
        "--any-time",
        action="store_true",
        help="with golive, drill and prepare: outside of pms_maintenance_windows, too",
    )
    fleet.add_argument(
        "--elsewhere",
        action="store_true",
        help="with drill: from a site, on the host that each system has for it",
    )
    fleet.add_argument(
        "--ask",
        action="store_true",
        help="with status: ask other machines now; without it their last known state is shown",
    )
    fleet.add_argument(
        "--metrics", metavar="FOLDER", help="with status: also write pms_fleet.prom there"
    )
    fleet.add_argument(
        "--silent",
        metavar="AGE",
        default="26h",
        help="a system that was not seen for so long is silent (default: 26h)",
    )
    ledger = add(
        "ledger",
        "check the evidence ledger, or change the key that signs it",
        "  pms-ops ledger verify\n  pms-ops ledger verify --head 5f3c1e0a9b77\n"
        "  pms-ops -i prod ledger verify --anchors\n"
        "  pms-ops -i prod ledger anchor             now, whether it is due or not\n"
        "  pms-ops ledger rotate-key                 both keys sign the change\n"
        '  pms-ops ledger replace-key --reason "the disk is lost"\n'
        '  pms-ops ledger accept --line 41 --by "Maria Silva" --reason "keys not mounted"',
    )
    ledger.add_argument(
        "action",
        choices=["verify", "anchor", "rotate-key", "replace-key", "accept"],
        help="check chain and signatures; let the head leave the machine; make a new key; accept"
        " lines that are not signed",
    )
    ledger.add_argument(
        "--anchors",
        action="store_true",
        help="with verify: ask each anchor, and say up to which line an outsider can be sure",
    )
    ledger.add_argument(
        "--line", type=int, action="append", metavar="NUMBER", help="with accept: a line"
    )
    ledger.add_argument("--by", metavar="NAME", help="with accept: the person who accepts it")
    ledger.add_argument("--reason", metavar="TEXT", help="with accept and replace-key: why")
    ledger.add_argument(
        "--head", metavar="HASH", help="the hash of a line, from a copy kept elsewhere"
    )
    _deficiency(add)


def _deficiency(add: AddCommand) -> None:
    deficiency = add(
        "deficiency",
        "write down what has to be remedied, by whom and when; close it by what shows it",
        '  pms-ops deficiency open --title "Redis is in no set" --owner "Maria Silva"'
        " --due 2026-12-15\n"
        '  pms-ops deficiency close D-42 --record 57 --by "Ana Souza"\n'
        "  pms-ops deficiency list --all --json",
    )
    deficiency.add_argument("action", choices=["open", "close", "list"], help="what to do")
    deficiency.add_argument("id", nargs="?", metavar="ID", help="with close: its name, as D-42")
    deficiency.add_argument("--title", metavar="TEXT", help="with open: what is deficient")
    deficiency.add_argument("--owner", metavar="NAME", help="with open: who has it remedied")
    deficiency.add_argument("--due", metavar="DAY", help="with open: by when, as 2026-12-15")
    deficiency.add_argument("--finding", metavar="TEXT", help="with open: what was found, where")
    deficiency.add_argument(
        "--record",
        metavar="RECORD",
        help="with close: the line of the ledger that shows the remedy, or a run, incident or set",
    )
    deficiency.add_argument("--note", metavar="TEXT", help="with close: a word on the remedy")
    deficiency.add_argument("--by", metavar="NAME", help="the person who opens or closes it")
    deficiency.add_argument("--all", action="store_true", help="with list: the closed ones too")


def _first_contact(add: AddCommand) -> None:
    init = add(
        "init",
        "write an inventory from a Compose file and its .env",
        "  pms-ops init /opt/macro_trading/docker-compose.yml\n"
        "  pms-ops init compose.yml --name prod --host ops@pms.example.net --become\n"
        "  pms-ops init compose.yml --service database=pg --force\n"
        "  pms-ops -i prod init /opt/fund2/compose.yml --add --name fund2   a further system",
    )
    init.add_argument(
        "compose_file",
        nargs="+",
        metavar="COMPOSE_FILE",
        help="the PMS's Compose file or its folder; several as with docker compose -f",
    )
    init.add_argument("--env", metavar="FILE", help="its .env (default: in the same folder)")
    init.add_argument("--name", default="prod", help="folder below inventory/ (default: prod)")
    init.add_argument(
        "--host", metavar="USER@HOST", help="the managed host (default: this machine)"
    )
    init.add_argument(
        "--become", action="store_true", help="USER becomes root on the managed host by sudo"
    )
    init.add_argument(
        "--project", metavar="NAME", help="the Compose project, if it was started with -p"
    )
    init.add_argument(
        "--service",
        action="append",
        default=[],
        metavar="ROLE=SERVICE",
        help="name a service: ROLE is database, redis, api, dagster, daemon or grafana; nothing"
        " after the = if there is none",
    )
    init.add_argument(
        "--port",
        action="append",
        default=[],
        metavar="ROLE=PORT",
        help="the port inside the container, of a service that publishes several",
    )
    init.add_argument(
        "--profile",
        action="append",
        default=[],
        metavar="PROFILE",
        help="a profile that the PMS is started with (default: COMPOSE_PROFILES of the .env)",
    )
    init.add_argument(
        "--root",
        metavar="FOLDER",
        help="folder for sets and evidence on the managed host (default: /srv/pms-ops/NAME)",
    )
    init.add_argument(
        "--create-role",
        action="store_true",
        help="also create the maintenance role (docs/database-rights.sql) by docker exec",
    )
    init.add_argument(
        "--plain-secrets",
        action="store_true",
        help="keep the secrets in a plain 0600 file instead of a vault",
    )
    init.add_argument(
        "--add",
        action="store_true",
        help="put the system NAME into the inventory that -i names, beside those that it has",
    )
    init.add_argument("--force", action="store_true", help="overwrite existing files")
    add(
        "doctor",
        "check the requirements on the control node and on the managed hosts",
        "  pms-ops doctor\n  pms-ops -i prod doctor --json",
    )
    prepare = add(
        "prepare",
        "create the Python environment of the modules on managed hosts",
        "  pms-ops -i prod prepare\n  pms-ops -i prod prepare --remove\n"
        "  pms-ops -i prod prepare --host drill1     a host for drills",
    )
    prepare.add_argument(
        "--host", metavar="NAME", help="a host of the inventory, in place of those of the PMS"
    )
    prepare.add_argument("--remove", action="store_true", help="remove the environment")
    add(
        "uninstall",
        "name everything that pms-ops has made, and how each is removed",
        "  pms-ops -i prod uninstall",
    )
    completion = add(
        "completion",
        "print the completion script of a shell",
        "  source <(pms-ops completion bash)\n"
        "  pms-ops completion fish > ~/.config/fish/completions/pms-ops.fish",
    )
    completion.add_argument("shell", choices=["bash", "zsh", "fish"])


def parse(argv: list[str]) -> argparse.Namespace:
    """Return the arguments; `passed` holds those after --, for ansible-playbook.

    The options of every command may stand before it or after it.
    """
    mine, passed = argv, []
    if "--" in argv:
        at = argv.index("--")
        mine, passed = argv[:at], argv[at + 1 :]
    whole = parser()
    before = _common(top=True).parse_known_args(_until_command(mine, commands(whole)))[0]
    found = whole.parse_args(mine)
    for name in ("inventory", "extra_vars", "vault_password_file"):
        # A subcommand's own list replaces the one that stood before it.
        early, all_of_it = getattr(before, name), getattr(found, name)
        if early and all_of_it[: len(early)] != early:
            setattr(found, name, early + all_of_it)
    found.passed = passed
    return found


def commands(whole: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command of *whole*, which parser() has made."""
    action = next(each for each in whole._actions if isinstance(each, argparse._SubParsersAction))
    return dict(action.choices)


def _until_command(argv: list[str], known: Container[str]) -> list[str]:
    """Return the words before the command; an inventory or a host may be named like one."""
    for at, word in enumerate(argv):
        if word in known and (at == 0 or argv[at - 1] not in WITH_VALUE):
            return argv[:at]
    return argv
