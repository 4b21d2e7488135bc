# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command line: every command, its arguments, and a help that one can learn from."""

from __future__ import annotations

import argparse

ABOUT = """\
Operate a PMS: go-live checklist, backups that are proved, disaster recovery.

  before a release   pms-ops golive                 go or no-go, with evidence
  every night        pms-ops backup                 a signed set, verified
  every week         pms-ops drill                  restore the newest set aside and prove it
  on the worst day   pms-ops dr                     what happened? the scenarios
                     pms-ops restore SET --check    the plan; without --check it asks, then restores
                     pms-ops rollback               undo the last restore
  at any time        pms-ops status                 what is there, what is due; changes nothing

A system of your own, in three commands:
  pms-ops init /opt/macro_trading/docker-compose.yml --name prod --create-role
  pms-ops -i prod doctor
  pms-ops -i prod golive
"""
CLOSING = """\
The inventory: -i, or PMS_OPS_INVENTORY, or ANSIBLE_INVENTORY, or else the lab. A name alone is a
folder of the project's inventory/. What follows -- goes to ansible-playbook as it is.

Exit status: 0 done; 1 not in the promised state; 2 wrong use, nothing was run; 3 could not run;
130 interrupted. Logs: ~/.local/state/pms-ops/runs (the newest 50, private).
"""


class _Version(argparse.Action):
    """Prints the version; only this imports Ansible here, which takes a moment."""

    def __call__(self, parser, *_args) -> None:
        from pmsops_cli import project

        project.enter()
        from ansible.module_utils.pmsops.common.version import TOOL

        print(f"{TOOL['name']} {TOOL['version']}")
        parser.exit()


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)


def _common(*, top: bool) -> argparse.ArgumentParser:
    """Return the options of every command; given before it they count too."""
    none = argparse.SUPPRESS
    common = argparse.ArgumentParser(add_help=False)
    group = common.add_argument_group("what every command takes")
    add = group.add_argument
    add(
        "-i",
        "--inventory",
        action="append",
        default=[] if top else none,
        metavar="INVENTORY",
        help="which system: a folder, a file, or a name in inventory/",
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
        help="one JSON document on standard output, and nothing else",
    )
    add(
        "-v",
        "--verbose",
        action="store_true",
        default=False if top else none,
        help="without a terminal: show each line of progress too",
    )
    add(
        "--vault-password-file",
        action="append",
        default=[] if top else none,
        metavar="FILE",
        help="where the vault's password is (init's own is found without)",
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
    _disasters(add)
    _looking(add)
    _first_contact(add)
    return whole


def _checklist(add) -> None:
    golive = add(
        "golive",
        "run the go-live checklist and give a verdict",
        "  pms-ops golive\n"
        "  pms-ops -i prod golive --sections monitoring,backups\n"
        "  pms-ops -i prod golive --only infra.redis.ping       did it help?\n"
        "  pms-ops -i prod golive --attestations signed.yml --json",
    )
    golive.add_argument("--sections", metavar="A,B", help="only these sections: no full go-live")
    golive.add_argument("--only", metavar="ID,ID", help="only these checks, with what they need")
    golive.add_argument("--attestations", metavar="FILE", help="what people vouch for, and waivers")


def _backups(add) -> None:
    add(
        "backup",
        "make a backup set: dump, exports, signed manifest",
        "  pms-ops backup\n  pms-ops backup --check -- --diff      what retention would let go",
    )
    drill = add(
        "drill",
        "restore a set aside, prove it, measure, drop it",
        "  pms-ops drill\n  pms-ops drill backups/2026-11-22_0600",
    )
    drill.add_argument("file", nargs="?", metavar="SET", help="the set; without: the newest")
    verify = add(
        "verify",
        "compare the live database with a set, table by table",
        "  pms-ops verify\n  pms-ops verify 2026-11-22_0600 --strict",
    )
    verify.add_argument("file", nargs="?", metavar="SET", help="the set; without: the newest")
    verify.add_argument("--strict", action="store_true", help="exit 1 where anything differs")
    verify.add_argument("--amcheck", action="store_true", help="check pages and indexes too")
    restore = add(
        "restore",
        "put a set in the place of the live database, which is kept",
        "  pms-ops restore 2026-11-22_0600 --check   the plan\n"
        "  pms-ops restore 2026-11-22_0600           the plan, then asks, then restores\n"
        "  pms-ops restore latest --confirm macro_trading         the newest, without a terminal\n"
        "  pms-ops restore old.pgdump --confirm macro_trading     what pg_dump -Fc made\n"
        "  pms-ops restore 2026-11-22_0600 --tables portfolio_positions --into friday",
    )
    restore.add_argument(
        "file",
        metavar="SET",
        help="a set's folder or name, latest, its dump, or a .pgdump of pg_dump -Fc",
    )
    restore.add_argument("--tables", metavar="A,B", help="only these, beside the live ones")
    restore.add_argument("--into", metavar="SCHEMA", help="the schema that --tables come into")
    _confirm(restore)
    rollback = add(
        "rollback",
        "bring the database back that the last restore put aside",
        "  pms-ops rollback --check\n  pms-ops rollback --confirm macro_trading",
    )
    rollback.add_argument("--to", metavar="DATABASE", help="one that was put aside earlier")
    _confirm(rollback)


def _confirm(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--confirm",
        metavar="DATABASE",
        help="the database's name, in place of typing it; without a terminal it is required",
    )


def _disasters(add) -> None:
    scenarios = add(
        "dr",
        "recover from a disaster; without a scenario: list them",
        "  pms-ops dr triage\n  pms-ops dr redis --check\n"
        "  pms-ops dr database                            all that destroys nothing\n"
        "  pms-ops dr database --confirm macro_trading    a restore too, if nothing less helps",
    )
    scenarios.add_argument("scenario", nargs="?", metavar="SCENARIO", help="what is broken")
    _confirm(scenarios)
    blocks = add(
        "ops",
        "do a block of the day's runbook; without one: list them",
        "  pms-ops ops\n  pms-ops ops premarket\n  pms-ops ops close --json",
    )
    blocks.add_argument("block", nargs="?", metavar="BLOCK", help="the time block")


def _looking(add) -> None:
    add(
        "status",
        "tell what is there and what is due, from folders alone",
        "  pms-ops status                exit 1 where something is due\n"
        "  pms-ops -i prod status --json",
    )
    report = add(
        "report",
        "print where the newest go-live report is",
        "  pms-ops report\n  BROWSER=firefox pms-ops report --open",
    )
    report.add_argument("--run", metavar="RUN", default="latest", help="another run's")
    report.add_argument("--open", action="store_true", help="open it with $BROWSER")
    ledger = add(
        "ledger",
        "check the evidence ledger",
        "  pms-ops ledger verify\n  pms-ops ledger verify --head 5f3c1e0a9b77",
    )
    ledger.add_argument("action", choices=["verify"], help="check the chain of hashes")
    ledger.add_argument("--head", metavar="HASH", help="a line's hash that was kept elsewhere")


def _first_contact(add) -> None:
    init = add(
        "init",
        "write an inventory from a Compose file and its .env",
        "  pms-ops init /opt/macro_trading/docker-compose.yml\n"
        "  pms-ops init compose.yml --name prod --host ops@pms.example.net\n"
        "  pms-ops init compose.yml --service database=pg --force",
    )
    init.add_argument("compose_file", metavar="COMPOSE_FILE", help="the PMS's Compose file")
    init.add_argument("--env", metavar="FILE", help="its .env; without: the one beside it")
    init.add_argument("--name", default="prod", help="folder below inventory/ (prod)")
    init.add_argument("--host", metavar="USER@HOST", help="where it runs; without: this machine")
    init.add_argument(
        "--project", metavar="NAME", help="the Compose project, where it was started with -p"
    )
    init.add_argument(
        "--service",
        action="append",
        default=[],
        metavar="ROLE=SERVICE",
        help="which service is database, redis, api, dagster, daemon or grafana",
    )
    init.add_argument(
        "--root", metavar="FOLDER", help="where backups and evidence go there (/srv/pms-ops/NAME)"
    )
    init.add_argument(
        "--create-role",
        action="store_true",
        help="make the maintenance role too (docs/database-rights.sql), by docker exec",
    )
    init.add_argument(
        "--plain-secrets",
        action="store_true",
        help="keep the secrets in a plain 0600 file in place of a vault",
    )
    init.add_argument("--force", action="store_true", help="write over what is there")
    add(
        "doctor",
        "say what is missing on this machine and on the hosts",
        "  pms-ops doctor\n  pms-ops -i prod doctor --json",
    )
    prepare = add(
        "prepare",
        "make the Python environment on remote hosts that the modules need",
        "  pms-ops -i prod prepare\n  pms-ops -i prod prepare --remove",
    )
    prepare.add_argument("--remove", action="store_true", help="remove it again")
    completion = add(
        "completion",
        "print the completion script of a shell",
        "  source <(pms-ops completion bash)\n"
        "  pms-ops completion fish > ~/.config/fish/completions/pms-ops.fish",
    )
    completion.add_argument("shell", choices=["bash", "zsh", "fish"])


def parse(argv: list[str]) -> argparse.Namespace:
    """Return the arguments; `passed` is what follows --, for ansible-playbook.

    Options that every command takes may stand before the command or after it.
    """
    mine, passed = argv, []
    if "--" in argv:
        at = argv.index("--")
        mine, passed = argv[:at], argv[at + 1 :]
    before = _common(top=True).parse_known_args(_until_command(mine))[0]
    found = parser().parse_args(mine)
    for name in ("inventory", "extra_vars", "vault_password_file"):
        # A subcommand's own list replaces the one that stood before it.
        early, all_of_it = getattr(before, name), getattr(found, name)
        if early and all_of_it[: len(early)] != early:
            setattr(found, name, early + all_of_it)
    found.passed = passed
    return found


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command."""
    action = next(
        each for each in parser()._actions if isinstance(each, argparse._SubParsersAction)
    )
    return dict(action.choices)


def _until_command(argv: list[str]) -> list[str]:
    known = commands()
    for at, word in enumerate(argv):
        if word in known:
            return argv[:at]
    return argv
