# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a restore would lose: the rows of a hypertable are those of its chunks."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.restore import data_loss

TAKEN = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
MANIFEST = {
    "snapshot_at": "2026-11-22T06:00:00Z",
    "contents": {
        "public.pnl": {"rows": 0},
        "inner.chunk_1": {"rows": 100},
        "inner.chunk_2": {"rows": 14},
        "public.book": {"rows": 5},
    },
    "facts": {
        "tables": {
            "public.pnl": {"parents": []},
            "inner.chunk_1": {"parents": ["public.pnl"]},
            "inner.chunk_2": {"parents": ["public.pnl"]},
            "public.book": {},
        }
    },
}


class Live:
    """A stand-in for the live database: it counts so many rows of any table."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    @contextmanager
    def session(self, **_options):
        yield self

    def execute(self, _sql, _parameters=None):
        pass

    def fetchone(self):
        return (self.rows,)


@pytest.mark.parametrize(("live", "more"), [(114, 0), (117, 3)])
def test_the_rows_of_a_hypertable_are_those_of_its_chunks(live, more):
    found = data_loss.estimate(Live(live), MANIFEST, ["pnl"], now=TAKEN + timedelta(minutes=30))
    assert found["rows"] == {"pnl": more}
    assert found["rpo_minutes"] == 30
    assert ("at least 3 rows of pnl" in found["text"]) == bool(more)


def test_the_rows_of_a_plain_table_are_its_own():
    assert data_loss.estimate(Live(6), MANIFEST, ["book"], now=TAKEN)["rows"] == {"book": 1}
