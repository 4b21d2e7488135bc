# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one exception family of pms-ops."""

from __future__ import annotations

from typing import Any


class OpsError(Exception):
    """An error that an operator can act on.

    *what* names the thing, the value seen and the value expected; *remedy* is the next command or
    setting; *code* is the stable, machine-readable name of the situation (``area.slug``), listed
    in docs/ERRORS.md.
    """

    def __init__(self, what: str, remedy: str, *, code: str) -> None:
        super().__init__(what)
        self.remedy = remedy
        self.code = code


class InterruptError(BaseException):
    """The end of a run that a signal, or the end of its caller, asks for.

    It is no OpsError and no Exception: code that goes on after an error of either kind does not go
    on after this one. What has to be put right on the way out catches it by name, or says
    ``finally``, and raises it again (tests/unit/common/test_signals.py).
    """

    def __init__(self, what: str, remedy: str, *, code: str) -> None:
        super().__init__(what)
        self.remedy = remedy
        self.code = code


# What the main function of a module reports as a failed task.
ENDINGS = (OpsError, InterruptError)


class BrokenProofError(OpsError):
    """A comparison did not find its negative control, so it says nothing: no pass, and no failure.

    *record* is that of the control, without a value of a row.
    """

    def __init__(self, what: str, remedy: str, *, code: str, record: dict[str, Any]) -> None:
        super().__init__(what, remedy, code=code)
        self.record = record
