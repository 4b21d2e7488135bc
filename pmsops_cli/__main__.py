# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The front door: one command line in, one exit status out."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from pmsops_cli import arguments, completion
from pmsops_cli.exit_status import COULD_NOT_RUN, DONE, INTERRUPTED, USAGE, Stop


def main(argv: list[str], cwd: Path) -> int:
    """Run one command; return its exit status."""
    if argv[:1] == [completion.HIDDEN]:
        print("\n".join(completion.candidates(argv[1:])))
        return DONE
    try:
        given = arguments.parse(argv)
    except SystemExit as exc:  # argparse has said what is wrong, or shown its help
        return DONE if exc.code in (0, None) else USAGE
    try:
        return _run(given, cwd)
    except Stop as exc:
        _print_stop(exc, given)
        return exc.status
    except KeyboardInterrupt:
        print("pms-ops: interrupted; nothing was run.", file=sys.stderr)
        return INTERRUPTED


def _run(given: argparse.Namespace, cwd: Path) -> int:
    if given.command == "completion":
        print(completion.SCRIPTS[given.shell], end="")
        return DONE
    if given.command == "init":
        from pmsops_cli import init

        return init.command(given, cwd)
    from pmsops_cli import project

    project.enter()  # before the next import, which needs the project's own modules
    from pmsops_cli import (
        acts,
        checkpoints,
        commands,
        deficiencies,
        fleet,
        inspect,
        sets,
        uninstall,
    )

    known: dict[str, Callable[[commands.Session], int]] = {
        "golive": commands.golive,
        "backup": commands.simple,
        "doctor": commands.simple,
        "prepare": commands.simple,
        "drill": commands.drill,
        "verify": commands.verify,
        "restore": commands.restore,
        "checkpoint": checkpoints.command,
        "rollback": commands.rollback,
        "dr": commands.dr,
        "ops": commands.ops,
        "approve": acts.approve,
        "hold": acts.hold,
        "signoff": acts.signoff,
        "notify": acts.notify,
        "schedule": acts.schedule,
        "pitr": acts.pitr,
        "offsite": acts.offsite,
        "envelope": acts.envelope,
        "merge": acts.merge,
        "sets": sets.command,
        "uninstall": uninstall.command,
        "status": inspect.status,
        "report": inspect.report,
        "site": inspect.site,
        "evidence": acts.evidence,
        "ledger": acts.ledger,
        "deficiency": deficiencies.command,
        "fleet": fleet.command,
    }
    return known[given.command](commands.Session(given, cwd))


def _print_stop(stop: Stop, given: argparse.Namespace) -> None:
    if given.json:
        document = {
            "command": given.command,
            "exit_code": stop.status,
            "error": str(stop),
            "remedy": stop.remedy,
        }
        print(json.dumps(document, indent=1, sort_keys=True))
    print(f"pms-ops: {stop}", file=sys.stderr)
    if stop.remedy:
        print(f"  -> {stop.remedy}", file=sys.stderr)


def entry() -> None:
    """Leave with the exit status of the command."""
    try:
        status = main(sys.argv[1:], Path.cwd())
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader is gone, for example head(1): nothing more can be printed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = COULD_NOT_RUN
    except Exception:  # noqa: BLE001  a fault of this program is not a verdict on the system
        traceback.print_exc()
        status = COULD_NOT_RUN
    sys.exit(status)


if __name__ == "__main__":
    entry()
