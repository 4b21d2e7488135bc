# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A dump that lost a race for locks is tried again by itself: issue 18, A24."""

from __future__ import annotations

import psycopg2
import pytest
from ansible.module_utils.pmsops.backup import attempts
from ansible.module_utils.pmsops.client_tools import tool_errors
from ansible.module_utils.pmsops.common.errors import OpsError

LOST = OpsError("pg_dump ended", "Run again.", code="database.locked")


class Dumps:
    """A dump that loses its first races."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.seen = []

    def __call__(self, attempt):
        self.seen.append((attempt.jobs, attempt.readers))
        if self.errors:
            raise self.errors.pop(0)
        return "made"


def test_a_dump_that_wins_is_made_once(tmp_path):
    dump, warnings = Dumps(), []
    assert attempts.until_won(4, tmp_path, dump, warnings) == "made"
    assert (dump.seen, warnings) == ([(4, 2)], [])


def test_a_lost_dump_is_made_again_in_an_empty_folder_and_in_the_end_by_one_process(tmp_path):
    (tmp_path / "app.pgdump").mkdir()
    (tmp_path / "app.pgdump" / "toc.dat").write_text("half")
    (tmp_path / "globals.sql").write_text("half")
    gone = psycopg2.Error("could not open relation with OID 16390")
    dump, warnings = Dumps(LOST, gone), []
    assert attempts.until_won(4, tmp_path, dump, warnings) == "made"
    assert dump.seen == [(4, 2), (4, 2), (1, 1)]
    assert list(tmp_path.iterdir()) == []
    assert warnings[0].startswith("Attempt 3 made the dump, with 1 processes")


def test_a_dump_that_always_loses_says_so_and_the_last_attempts_have_one_process(tmp_path):
    dump = Dumps(*[LOST] * attempts.ATTEMPTS)
    with pytest.raises(OpsError, match="12 attempts at a dump lost a race") as caught:
        attempts.until_won(2, tmp_path, dump, [])
    assert caught.value.code == "database.locked"
    assert dump.seen[-1] == (1, 1)


def test_another_error_ends_the_run_at_once(tmp_path):
    dump = Dumps(OpsError("full", "Free space.", code="disk.full"))
    with pytest.raises(OpsError, match="full"):
        attempts.until_won(2, tmp_path, dump, [])
    assert len(dump.seen) == 1


@pytest.mark.parametrize(
    "said",
    [
        'pg_dump: error: query failed: ERROR:  relation "public.coming" does not exist',
        'pg_dump: error: could not obtain lock on relation "public.kept"',
        "pg_dump: error: query failed: ERROR:  could not open relation with OID 16390",
        "pg_dump: error: query failed: ERROR:  schema with OID 16388 does not exist",
        "pg_dump: error: query failed: ERROR:  cache lookup failed for index 16395",
        "pg_dump: error: query failed: ERROR:  deadlock detected",
    ],
)
def test_a_table_that_vanished_under_pg_dump_is_a_lost_race(said):
    assert tool_errors.to_error("pg_dump", 1, said).code == "database.locked"
    if "does not exist" in said:
        assert tool_errors.to_error("pg_restore", 1, said).code != "database.locked"
