# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which commits belong to a moment, by what pg_waldump prints of them."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import pytest
from ansible.module_utils.pmsops.pitr import moment, wal_scan

# Where each commit record begins, and when it was written.
COMMITS = (
    ("0/01A068B0", "2026-11-29 14:59:29.100000"),
    ("0/01A06920", "2026-11-29 14:59:30.200000"),
    ("0/01A07000", "2026-11-29 14:59:31.300000"),
)


def scanned(asked: str, commits: Sequence[tuple[str, str]] = COMMITS) -> wal_scan.Scan:
    """Return what the script finds in WAL with these commits."""
    lines = "".join(
        f"rmgr: Transaction len (rec/tot):     34/    34, tx:        {750 + number}, lsn: {lsn},"
        f" prev 0/01A06878, desc: COMMIT {at} UTC\n"
        for number, (lsn, at) in enumerate(commits)
    )
    kind, target = wal_scan.arguments(moment.parse(asked))
    found = subprocess.run(
        ["awk", "-v", f"kind={kind}", "-v", f"target={target}", wal_scan.AWK],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    ).stdout
    return wal_scan.read(f"{found}end \n", "000000010000000000000001", 1, 16 << 20)


@pytest.mark.parametrize(
    ("asked", "last", "after"),
    [
        ("2026-11-29 14:59:30+00:00", "0/01A068B0", 2),
        ("2026-11-29 14:59:30.200000+00:00", "0/01A06920", 1),
        ("latest", "0/01A07000", 0),
        ("0/1A07000", "0/01A06920", 1),
        ("0/1A07001", "0/01A07000", 0),
    ],
)
def test_the_last_commit_of_a_moment_and_what_comes_after_it(asked, last, after):
    found = scanned(asked)
    assert (found.last_lsn, found.after) == (last, after)


def test_the_commit_that_begins_at_the_position_was_not_there_yet():
    """pg_current_wal_lsn() says where the next record begins; it may commit the damage."""
    found = scanned(COMMITS[0][0])
    assert (found.last_lsn, found.after) == (None, 3)
