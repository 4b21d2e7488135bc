# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The mark of the machine that a system runs on."""

from __future__ import annotations

from datetime import UTC, datetime

from ansible.module_utils.pmsops.offsite import fence
from ansible.module_utils.pmsops.offsite.copies import REPLACED, Copy


def test_the_sets_of_another_database_are_of_the_same_machine(tmp_path):
    """A new machine that took the system over was told that it was replaced, by its own mark."""
    root = tmp_path / "backups"
    mine = fence.machine_id(root, create=True)
    marks = [Copy("s", "fund", datetime.now(UTC), REPLACED, machine=mine)]
    other = root / "other_databases" / "dagster"
    fence.require_current("vault", marks, other)
    assert not (other / ".pms-ops").exists()
