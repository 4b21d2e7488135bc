# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the preflight reads of the server's disks."""

from __future__ import annotations

from ansible.module_utils.pmsops.restore import preflight


def test_the_smaller_of_two_disks_decides():
    listed = (
        "Filesystem 1B-blocks Used Available Capacity Mounted on\n"
        "/dev/a 100 50 50 50% /var/lib/postgresql\n/dev/b 100 90 10 90% /wal\n"
    )
    assert preflight.smallest_free(listed) == 10
    assert preflight.smallest_free("df: no such folder\n") is None
