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

# A set of today: chunks by range, under the name of their hypertable; a table may be partitioned.
BY_RANGE = {
    "snapshot_at": "2026-11-22T06:00:00Z",
    "contents": {
        "public.pnl": {"rows": 0},
        "public.pnl [0 .. 10)": {"rows": 100, "of": "public.pnl"},
        "public.pnl [10 .. 20)": {"rows": 14, "of": "public.pnl"},
        "public.pnl_2 [0 .. 10)": {"rows": 3, "of": "public.pnl_2"},
        "public.book 1": {"rows": 2},
        "public.book 2": {"rows": 3},
    },
    "facts": {
        "tables": {
            "public.pnl": {"parents": None},
            "public.pnl_2": {"parents": None},
            "public.book": {},
            "public.book 1": {"parents": ["public.book"]},
            "public.book 2": {"parents": ['public."book 1"']},
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


@pytest.mark.parametrize("manifest", [MANIFEST, BY_RANGE], ids=["schema 2", "schema 3"])
@pytest.mark.parametrize(("live", "more"), [(114, 0), (117, 3)])
def test_the_rows_of_a_hypertable_are_those_of_its_chunks(manifest, live, more):
    found = data_loss.estimate(Live(live), manifest, ["pnl"], now=TAKEN + timedelta(minutes=30))
    assert found["rows"] == {"pnl": more}
    assert found["rpo_minutes"] == 30
    assert ("at least 3 rows of pnl" in found["text"]) == bool(more)


def test_the_rows_of_a_plain_table_are_its_own():
    assert data_loss.estimate(Live(6), MANIFEST, ["book"], now=TAKEN)["rows"] == {"book": 1}


def test_the_rows_of_a_partitioned_table_are_those_of_all_below_it():
    assert data_loss.estimate(Live(6), BY_RANGE, ["book"], now=TAKEN)["rows"] == {"book": 1}
