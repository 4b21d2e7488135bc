# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one exception family of pms-ops."""

from __future__ import annotations


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
