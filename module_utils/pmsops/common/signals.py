# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Signals as errors: SIGTERM, SIGHUP and SIGINT unwind a run, so that it cleans up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ansible.module_utils.pmsops.common.errors import InterruptError

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


@contextmanager
def raised(why: Callable[[], str | None] = lambda: None) -> Iterator[None]:
    """Turn SIGTERM, SIGHUP and SIGINT into an error while the ``with`` block runs.

    *why* returns the cause of a signal that this process sent to itself, else None.
    """

    def interrupt(number: int, _frame: object) -> None:
        for each in previous:
            signal.signal(each, signal.SIG_IGN)  # a second signal must not interrupt the clean-up
        raise InterruptError(
            f"Ended by {why() or signal.Signals(number).name}.",
            "The run cleaned up; start it again.",
            code="run.interrupted",
        )

    previous = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Deferral:
    """Lets a signal wait, from ``begin`` to the end of its ``with`` block.

    For what must not stay half done: the next run would finish it, but nobody is served until then.
    Keep it short, and bounded. An error that leaves the block goes before the signal.
    """

    def __init__(self) -> None:
        self._previous: dict[int, Any] = {}
        self._came: list[int] = []
        # What is done for good, whatever signal came meanwhile.
        self.done = ""

    def __enter__(self) -> Deferral:
        return self

    def begin(self) -> None:
        """Let each signal wait from here on; in a thread nothing is to be done, as none comes."""
        if threading.current_thread() is threading.main_thread() and not self._previous:
            self._previous = {number: signal.signal(number, self._keep) for number in SIGNALS}

    def _keep(self, number: int, _frame: object) -> None:
        self._came.append(number)

    def __exit__(self, kind: object, *_exc: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if not self._came or kind is not None:
            return
        try:
            signal.raise_signal(self._came[0])
        except InterruptError as exc:
            if self.done:
                exc.args, exc.remedy = (f"{exc} {self.done}",), "Nothing has to be run again."
            raise


@contextmanager
def deferred() -> Iterator[None]:
    """Let a signal wait until the ``with`` block has ended."""
    with Deferral() as deferral:
        deferral.begin()
        yield
