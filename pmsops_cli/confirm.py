# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The typed confirmation of what destroys."""

from __future__ import annotations

import sys
from typing import Any

from pmsops_cli.exit_status import Stop


def ask(database: str, given: str | None, *, what: str, stream: Any = None) -> str:
    """Return the name of the database, typed by somebody at a terminal or given by --confirm.

    :raises Stop: where nobody can be asked, or another name was given.
    """
    from ansible.module_utils.pmsops.control import confirmation

    several = "," in database
    noun = "names of all systems and their databases" if several else "name of the database"
    source = stream or sys.stdin
    if given is None:
        if not source.isatty():
            raise Stop(
                f"Nothing was changed. {what}, and nobody is at a terminal to confirm it.",
                f"Add --confirm {database}, or see the plan with --check."
                + (" One system alone: --limit." if several else ""),
            )
        print(f"{what}.", file=sys.stderr)
        print(
            f"To go on, type the {noun} ({database}), then Enter: ",
            end="",
            file=sys.stderr,
            flush=True,
        )
        given = source.readline().strip()
    if not confirmation.same(given, database):
        what = "The systems and their databases are" if several else "The database is"
        meant = (
            "you mean all of them; --limit names one" if several else "this is the system you mean"
        )
        raise Stop(
            f"Nothing was changed. {what} {database}, and "
            + (f"{given!r} was given." if given else "nothing was typed."),
            f"Run it again with {database}, if {meant}.",
        )
    return given
