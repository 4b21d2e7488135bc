# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a stream has to begin anew: by the segments themselves, in whatever language a log is."""

from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.pitr import engine, receiver, wal


def archive(*segments: int, partial: int | None = None, timeline: int = 1) -> engine.Info:
    return engine.Info(
        backups=(),
        segments=tuple(wal.name(timeline, each) for each in segments),
        partial=None if partial is None else wal.name(timeline, partial),
        receiving=False,
    )


@pytest.mark.parametrize(
    ("info", "oldest", "gone"),
    [
        (archive(4, 5, 6, partial=7), wal.name(1, 7), False),
        (archive(4, 5, 6, partial=7), wal.name(1, 8), True),
        (archive(4, 5, 6), wal.name(1, 7), False),
        (archive(4, 5, 6), wal.name(1, 8), True),
        (archive(4, 5, 6, partial=7), wal.name(2, 7), False),  # the server has been promoted
        (archive(254, 255), wal.name(1, 256), False),  # the next log begins
        (archive(), wal.name(1, 8), False),  # a new archive begins where the server is
        (archive(4), None, False),
    ],
)
def test_what_the_server_has_removed_is_told_by_the_names_of_segments(info, oldest, gone):
    assert receiver.lies_before(info, oldest) is gone
