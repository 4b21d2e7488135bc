# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a killed restore or swap has left: found, said, and finished or cleaned up."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.client_tools import sidecar
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
)
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.restore import journal as restore_journal
from ansible.module_utils.pmsops.restore import registry as beside
from ansible.module_utils.pmsops.restore import scratch
from ansible.module_utils.pmsops.restore import staging_database as side
from ansible.module_utils.pmsops.restore.swap import Swap

ENDED_SECONDS = 15
# What a run was just writing: how far it is, and its journal, each before it got its name.
LEFT = ("restore.progress", "restore.*.tmp", f".{restore_journal.NAME}.*")


@dataclass
class Found:
    """What a recovery found and did: lines for people, and what it brought to its end."""

    said: list[str] = field(default_factory=list)
    # The copy that is proved and waits for its swap, where the caller wants that very set.
    waiting: str | None = None
    # What a finished swap brought live: the manifest's SHA-256, or "former" for a rollback.
    finished: str | None = None


def recover(swap: Swap, root: Path, *, resume: str | None = None) -> Found:
    """Finish or clean up after a killed run; whoever calls holds the lock, so all of it is dead.

    *resume* is the SHA-256 of the manifest that is asked for: a proved copy of it is kept.

    :raises OpsError: database.*, restore.*, services.*
    """
    result = Found()
    live, journal = swap.live, swap.journal
    result.said += [f"{path} was removed." for path in scratch.clean(root)]
    for name in LEFT:
        for path in sets.state_folder(root).glob(name):
            path.unlink(missing_ok=True)
    if live.access == "container":
        sidecar.remove_dead()
    found = beside.present(live)
    if not journal.state:
        journal.from_marks(found, live.name)
    if journal.state:
        result.said.append(f"The run before ended in step '{journal.state['step']}'.")
        _end_sessions(live, [journal.state.get("side"), journal.state.get("incoming")])
        found = beside.present(live)
    if journal.swapping:
        _swapped(swap, found, result)
        found = beside.present(live)
    elif live.name in found and not found[live.name].open:
        swap.open([live.name])
        result.said.append(f"{live.name} took no connections; it does now.")
    keep = _kept(found, live.name, resume)
    if keep:
        result.waiting = keep
        result.said.append(f"Its copy {keep} is proved and waits for the swap.")
        journal.close()
        journal.record("proved", live=live.name, side=keep, manifest_sha256=resume)
    else:
        journal.close()
    for name in beside.orphans(found, live.name):
        if name != keep:
            side.drop(live, name)
            result.said.append(f"The copy {name} was dropped; the live database is untouched.")
    return result


def _swapped(swap: Swap, found: dict[str, beside.Beside], result: Found) -> None:
    """Bring a swap to its end, whichever side of the renames it was killed on."""
    state = swap.journal.state
    incoming, outgoing, back = state["incoming"], state["outgoing"], state.get("going_back", False)
    problems = swap.revive(state["services"])
    if incoming in found or swap.live.name not in found:
        if problems:
            raise _not_revived(problems)
        result.said.append(
            "It was going back, and had: the former database is live."
            if back
            else "The renames had not happened: the live database is the one of before."
        )
        return swap.given_up(keep=not back)
    if back:
        swap.back()
        result.said.append("It was going back; that is finished now.")
        return swap.given_up(keep=False)
    problems = swap.settle(problems)
    if problems and outgoing is None:
        raise _not_revived(problems)
    if problems:
        result.said.append(
            f"The renames had happened, but the PMS did not work ({problems[0]}): the former"
            " database is live again."
        )
        return swap.given_up(keep=False)
    result.said.append(
        f"The renames had happened: {incoming} is live"
        + (f", the former one is {outgoing}." if outgoing else ".")
    )
    was_copy = state["incoming_mark"].get("is") == beside.COPY
    result.finished = state.get("manifest_sha256") if was_copy else beside.FORMER
    return swap.finish()


def _kept(found: dict[str, beside.Beside], live: str, resume: str | None) -> str | None:
    """Return the proved copy of the set that is asked for; its own mark says what it is."""
    for each in reversed(beside.of(found, live, beside.COPY)):
        if resume and each.mark.get("manifest_sha256") == resume:
            return each.name if each.mark.get("step") == "proved" else None
    return None


def _not_revived(problems: list[str]) -> OpsError:
    return OpsError(
        "What a killed run had stopped does not come up: " + "; ".join(problems[:3]),
        "Mend that, then run again; the run goes on from here.",
        code="restore.not-revived",
    )


def _end_sessions(live: Database, names: list[str | None]) -> None:
    """End what a dead run's sessions still do to a copy, so that nothing of it appears later."""
    wanted = [name for name in names if name]
    with live.session(name=live.maintenance_name, superuser=True) as cursor:
        deadline = time.monotonic() + ENDED_SECONDS
        while time.monotonic() < deadline:
            alive: list[Any] = fetch_all(
                cursor,
                """SELECT pg_terminate_backend(pid) FROM pg_stat_activity, unnest(%s) AS name
                    WHERE application_name = 'pms-ops' AND pid <> pg_backend_pid()
                      AND datname <> name AND state = 'active'
                      AND strpos(query, name) > 0""",
                (wanted,),
            )
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            if not alive:
                return
            time.sleep(0.1)
