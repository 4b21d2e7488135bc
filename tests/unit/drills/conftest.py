# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The system with a site that the tests of the package offsite have."""

from __future__ import annotations

from tests.unit.offsite.conftest import fund, program, stocked

__all__ = ["fund", "program", "stocked"]
