# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A polite end: SIGTERM and SIGHUP unwind a run like any error, so that it cleans up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from ansible.module_utils.pmsops.common.errors import OpsError


@contextmanager
def raised() -> Iterator[None]:
    """Turn SIGTERM, SIGHUP and SIGINT into an error while the ``with`` block runs."""

    def interrupt(number: int, _frame: object) -> None:
        for each in previous:
            signal.signal(each, signal.SIG_IGN)  # the clean-up is not to be interrupted
        raise OpsError(
            f"Ended by {signal.Signals(number).name}.",
            "Nothing half-done was left; run it again.",
            code="run.interrupted",
        )

    wanted = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    previous = {number: signal.signal(number, interrupt) for number in wanted}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
