# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Signals as errors: SIGTERM, SIGHUP and SIGINT unwind a run, so that it cleans up."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ansible.module_utils.pmsops.common.errors import OpsError


@contextmanager
def raised(why: Callable[[], str | None] = lambda: None) -> Iterator[None]:
    """Turn SIGTERM, SIGHUP and SIGINT into an error while the ``with`` block runs.

    *why* returns the cause of a signal that this process sent to itself, else None.
    """

    def interrupt(number: int, _frame: object) -> None:
        for each in previous:
            signal.signal(each, signal.SIG_IGN)  # a second signal must not interrupt the clean-up
        raise OpsError(
            f"Ended by {why() or signal.Signals(number).name}.",
            "The run cleaned up; start it again.",
            code="run.interrupted",
        )

    wanted = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    previous = {number: signal.signal(number, interrupt) for number in wanted}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
