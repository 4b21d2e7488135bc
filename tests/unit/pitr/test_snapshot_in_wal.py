# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where in the WAL a snapshot lies: its last commit, and those that ran across it."""

from __future__ import annotations

import subprocess

from ansible.module_utils.pmsops.pitr import wal_scan
from ansible.module_utils.pmsops.pitr.moment import Moment

LINE = (
    "rmgr: Transaction len (rec/tot):     34/    34, tx: {xid:>10}, lsn: 0/{lsn:08X},"
    " prev 0/0D002AC0, desc: COMMIT 2026-11-29 13:55:{second:02}.069858 UTC"
)


def scan(snapshot: str, *xids: int) -> wal_scan.Scan:
    kind, target = wal_scan.arguments(Moment("a set", lsn="0/D000000", snapshot=snapshot))
    lines = [
        LINE.format(xid=xid, lsn=0x0D000000 + count * 0x100, second=count)
        for count, xid in enumerate(xids)
    ]
    done = subprocess.run(
        ["awk", "-v", f"kind={kind}", "-v", f"target={target}", wal_scan.AWK],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    return wal_scan.read(done.stdout + "end got 0\n", "00000001000000000000000D", 1, 16 << 20)


def test_the_last_commit_that_the_snapshot_saw_is_the_target():
    found = scan("740:743:740", 738, 739, 741, 742, 743, 740)
    assert found.last_lsn == "0/0D000300"
    assert (found.after, found.crossing) == (2, 0)


def test_a_commit_that_ran_across_the_snapshot_is_counted():
    found = scan("740:743:740", 739, 740, 741, 743)
    assert found.last_lsn == "0/0D000200"
    assert (found.after, found.crossing) == (1, 1)


def test_a_snapshot_without_a_commit_since_the_base_has_no_target():
    found = scan("740:740:", 740, 741)
    assert found.last_lsn is None
    assert found.after == 2


def test_numbers_of_transactions_go_round():
    epoch = 1 << 32
    found = scan(f"{epoch - 1}:{epoch + 4}:{epoch + 3}", epoch - 2, epoch - 1, 3, 4)
    assert found.last_lsn == "0/0D000100"
    assert found.after == 2


def test_the_reader_of_commits_can_stand_in_single_quotes():
    assert "'" not in wal_scan.AWK
