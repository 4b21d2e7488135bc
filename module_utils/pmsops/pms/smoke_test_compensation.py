# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Smoke test steps around the trades: what was there before, and that it is so again."""

from __future__ import annotations

from ansible.module_utils.pmsops.pms import smoke_test_remains as remains
from ansible.module_utils.pmsops.pms.smoke_test_run import Run, ids
from ansible.module_utils.pmsops.pms.smoke_test_traces import Mismatch


def leftovers(run: Run) -> str:
    """Close positions and reject proposals that an interrupted test left.

    What the PMS shows then is what it has to show after the test.
    """
    left = run.traces.open_and_ours()
    for position in left:
        run.traces.close_at_entry(position, "left by an interrupted smoke test")
    pending = run.traces.pending_and_ours()
    for proposal in pending:
        run.traces.reject(proposal, "left by an interrupted smoke test")
    if still := run.traces.open_and_ours():
        raise Mismatch(f"still open: positions {ids(still)}")
    run.created.all_closed = True
    run.created.before = remains.read(run.api, run.today)
    if not left and not pending:
        return "none"
    return f"closed {len(left)} positions and rejected {len(pending)} proposals"


def compensated(run: Run) -> str:
    """Close and reject whatever the test left open, and check that nothing is."""
    left = run.traces.open_and_ours()
    for position in left:
        run.traces.close_at_entry(position, "compensation")
    pending = run.traces.pending_and_ours()
    for proposal in pending:
        run.traces.reject(proposal, "compensation")
    still, waiting = run.traces.open_and_ours(), run.traces.pending_and_ours()
    if still or waiting:
        raise Mismatch(
            f"still open: positions {ids(still) or 'none'}, proposals {ids(waiting) or 'none'}"
        )
    run.created.all_closed = True
    return f"{len(left)} positions and {len(pending)} proposals had to be undone; {_remains(run)}"


def _remains(run: Run) -> str:
    """Return what stays: rows and costs of the test.

    :raises Mismatch: where anything else of the book differs, or a trade cannot be undone.
    """
    if run.created.before is None:
        raise Mismatch("nothing is open, but what the book was before is not known")
    found = remains.compare(run.created.before, remains.read(run.api, run.today))
    others = list(found.others)
    if run.created.approved and not run.created.hedge:
        others.insert(
            0,
            f"proposal {run.created.approved.get('id')} was approved, and its position is not in"
            " the book: this release cannot undo that trade, and another part of the PMS keeps the"
            " exposure until it is restarted",
        )
    run.created.differences[:] = [*others, *found.costs]
    if others:
        raise Mismatch(f"not as before ({len(others)} differences): {'; '.join(others)}")
    stays = f"{', '.join(found.own) or 'no row'} of the test"
    if found.costs:
        stays += f", and its costs in {len(found.costs)} figures: {'; '.join(found.costs)}"
    return f"what stays: {stays}"
