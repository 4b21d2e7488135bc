# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Recovery from an interrupted restore or swap: it is finished, or its leftovers are removed."""

from __future__ import annotations

import shlex
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.client_tools import sidecar
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.restore import registry, scratch, staging_database, warm_copy
from ansible.module_utils.pmsops.restore.journal import NAME as JOURNAL
from ansible.module_utils.pmsops.restore.swap import Swap

SESSIONS_END_SECONDS = 15
# Progress file and journal, and both while they were being written under another name.
TEMPORARY_FILES = ("restore.progress", "restore.*.tmp", f".{JOURNAL}.*")


@dataclass
class RecoveryReport:
    """What recovery found and did."""

    # For people, one line each.
    lines: list[str] = field(default_factory=list)
    # The proved staging database that waits for its swap, if the caller wants that very set.
    waiting: str | None = None
    # Which swap was finished: the SHA-256 of the set's manifest, or "former" for a rollback.
    finished: str | None = None
    # Why a swap was undone just now.
    undone: str | None = None


def recover(swap: Swap, root: Path, *, resume: str | None = None) -> RecoveryReport:
    """Finish an interrupted run, or clean up after it.

    The caller holds the lock, so no such run is alive. *resume* is the SHA-256 of the manifest
    that is going to be restored: a proved staging database of that set is kept.

    :raises OpsError: database.*, restore.*, services.*
    """
    report = RecoveryReport()
    live, journal = swap.live, swap.journal
    report.lines += _clean(live, root)
    found = registry.read_from(live)
    if not journal.state:
        journal.load_from_marks(found, live.name)
    if journal.state:
        report.lines.append(f"The previous run ended in step '{journal.state['step']}'.")
        try:
            _end_sessions(live, [journal.state.get("side"), journal.state.get("incoming")])
        except (OpsError, psycopg2.Error) as exc:
            report.lines.append(
                f"Sessions of that run could not be ended: {' '.join(str(exc).split())}. They end"
                " with their statements. See them: SELECT pid, query FROM pg_stat_activity WHERE"
                " application_name = 'pms-ops'; end one: SELECT pg_terminate_backend(pid)."
            )
        found = registry.read_from(live)
    if journal.swapping:
        _finish_swap(swap, report)
        found = registry.read_from(live)
    elif live.name in found and not found[live.name].open:
        swap.open([live.name])
        report.lines.append(f"{live.name} refused connections; it accepts them again.")
    waiting = _waiting(found, live.name, resume)
    if waiting:
        report.waiting = waiting
        report.lines.append(f"The staging database {waiting} is proved and waits for its swap.")
        journal.close()
        journal.record("proved", live=live.name, side=waiting, manifest_sha256=resume)
    else:
        journal.close()
    for name in registry.abandoned(found, live.name):
        if name != waiting:
            # One that stays blocks nothing: the next staging database has another name.
            report.lines.append(
                staging_database.drop_or_explain(live, name)
                or f"The staging database {name} was dropped; the live database was not touched."
            )
    report.lines += warm_copy.settle(live, root)
    report.lines += [each["text"] for each in swap.slot_results] + swap.warnings
    return report


def _clean(live: Database, root: Path) -> list[str]:
    """Remove files and containers of dead runs; return what went, and what stays and why.

    Whatever stays blocks nothing: each run has names of its own.
    """
    lines = [f"{path} was removed." for path in scratch.clean(root)]
    lines += [
        f"{path} could not be removed. It may hold a decrypted dump: rm -r {shlex.quote(str(path))}"
        for path in scratch.leftovers(root)
    ]
    for name in TEMPORARY_FILES:
        for path in sets.state_folder(root).glob(name):
            with suppress(OSError):
                path.unlink(missing_ok=True)
    if live.access == "container":
        try:
            sidecar.remove_dead()
        except Exception as exc:  # noqa: BLE001  the engine's library has many; the restore goes on
            lines.append(
                f"Containers of dead runs were not removed: {exc}. Remove them: docker rm -f"
                f" $(docker ps -aq --filter label={sidecar.SIDECAR_LABEL})"
            )
    return lines


def _finish_swap(swap: Swap, report: RecoveryReport) -> None:
    """Bring a swap to its end, whether or not it was killed before the renames."""
    state = swap.journal.state
    incoming, outgoing = state["incoming"], state["outgoing"]
    reverting = state.get("going_back", False)
    problems = swap.restart_services(state["services"])
    if not swap.renamed():
        if problems := problems or swap.settle():
            raise _not_restarted([*problems, *swap.warnings])
        if reverting:
            report.lines.append(
                "It was swapping back, and had renamed: the former database is live."
            )
            report.lines += _kept(swap)
            report.undone = "It was swapping back when it was killed."
        else:
            report.lines.append("The renames had not happened: the live database is unchanged.")
            swap.abandon()
        return
    if outgoing is not None and outgoing not in registry.read_from(swap.live):
        # The disk of the journal failed before the end: it still tells of a swap that is over.
        if problems := problems or swap.settle():
            raise _not_restarted([*problems, *swap.warnings])
        report.lines.append("The swap had ended, which the journal could not say any more.")
        return
    if reverting:
        swap.revert()
        report.lines.append("It was swapping back; that is finished now.")
        report.lines += _kept(swap)
        report.undone = "It was swapping back when it was killed."
        return
    problems = swap.accept_or_revert(problems)
    if problems and outgoing is None:
        raise _not_restarted(problems)
    if problems:
        report.lines.append(
            f"The renames had happened, but the PMS did not work ({problems[0]}): the former"
            " database is live again."
        )
        report.lines += _kept(swap)
        report.undone = "; ".join(problems)
        return
    report.lines.append(
        f"The renames had happened: {incoming} is live"
        + (f", the former database is {outgoing}." if outgoing else ".")
    )
    was_staging = state["incoming_mark"].get("is") == registry.STAGING
    report.finished = state.get("manifest_sha256") if was_staging else registry.FORMER
    swap.finish()


def _kept(swap: Swap) -> list[str]:
    """Keep the database that was swapped back; return what an operator has to know of it."""
    kept = swap.keep_rejected()
    swap.journal.note("not swapped")
    return [each for each in (kept.text, kept.remedy) if each]


def _waiting(
    found: dict[str, registry.ManagedDatabase], live: str, resume: str | None
) -> str | None:
    """Return the proved staging database of the set *resume*, by its mark."""
    for each in reversed(registry.select(found, live, registry.STAGING)):
        if resume and each.mark.get("manifest_sha256") == resume:
            return each.name if each.mark.get("step") == "proved" else None
    return None


def _not_restarted(problems: list[str]) -> OpsError:
    return OpsError(
        "Services that an interrupted run had stopped do not start: " + "; ".join(problems[:3]),
        "Repair these services, then run again: the run continues from here.",
        code="restore.not-revived",
    )


def _end_sessions(live: Database, names: list[str | None]) -> None:
    """End the sessions in which a dead run's statements on *names* are still executing."""
    wanted = [name for name in names if name]
    with live.session(name=live.maintenance_name, superuser=True) as cursor:
        deadline = time.monotonic() + SESSIONS_END_SECONDS
        while time.monotonic() < deadline:
            ended: list[Any] = fetch_all(
                cursor,
                """SELECT pg_terminate_backend(pid) FROM pg_stat_activity, unnest(%s) AS name
                    WHERE application_name = 'pms-ops' AND pid <> pg_backend_pid()
                      AND datname <> name AND state = 'active'
                      AND strpos(query, name) > 0""",
                (wanted,),
            )
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            if not ended:
                return
            time.sleep(0.1)
