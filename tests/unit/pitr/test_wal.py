# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of WAL segments: arithmetic, and gaps."""

from __future__ import annotations

from ansible.module_utils.pmsops.pitr import wal


def test_a_segment_and_its_number_are_each_others_way_back():
    for segment in (
        "000000010000000000000001",
        "0000000100000000000000FF",
        "0000000A0000000300000010",
    ):
        count = wal.number(segment)
        assert wal.name(int(segment[:8], 16), count) == segment


def test_the_segment_after_ff_begins_a_new_log():
    last = wal.number("0000000100000000000000FF")
    assert wal.name(1, last + 1) == "000000010000000100000000"


def test_a_position_lies_in_its_segment():
    assert wal.position("1/2000028") == (1 << 32) + 0x2000028
    assert wal.of_lsn("0/A068B20", 1) == "00000001000000000000000A"


def test_a_missing_segment_is_named_only_if_a_later_one_is_there():
    names = [wal.name(1, count) for count in (4, 5, 7)]
    assert wal.first_gap(names, wal.name(1, 4)) == wal.name(1, 6)
    assert wal.first_gap(names[:2], wal.name(1, 4)) is None
    assert wal.first_gap(names, wal.name(1, 7)) is None
    assert wal.first_gap(names, wal.name(1, 3)) == wal.name(1, 3)


def test_a_new_timeline_goes_on_where_the_old_one_ended():
    assert wal.first_gap([wal.name(1, 4), wal.name(1, 5), wal.name(2, 6)], wal.name(1, 4)) is None
