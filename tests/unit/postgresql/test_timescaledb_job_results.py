# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Jobs that PostgreSQL 17.12 records as failed although they did their work."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg2.errors
import pytest
from ansible.module_utils.pmsops.postgresql.timescaledb_job_results import results

from tests.support.recorded_database import Connection, Cursor

BEGAN = datetime(2026, 11, 23, 6, tzinfo=UTC)
# As recorded on 17.12 with TimescaleDB 2.19.3 and 2.29.2.
AFTER_THE_WORK = 'cannot drop portal "" while it is being set up'


def judged(procedure, config, error, left=0, *, errors_known=True):
    answers = {
        "job_stats') IS NULL": [(False,)],
        "job_errors') IS NOT NULL": [(errors_known,)],
        "last_run_status = 'Failed'": [(1001, procedure, "public", "md", config, BEGAN)],
        "SELECT err_message": [(error,)] if error else [],
        "timescaledb_information.chunks": left if isinstance(left, Exception) else [(left,)],
    }
    return results(Cursor(Connection(answers)))


@pytest.mark.parametrize(
    ("procedure", "config", "left"),
    [
        ("policy_retention", {"drop_after": "1 year"}, 0),
        ("policy_columnstore", {"compress_after": "7 days"}, 0),
        ("policy_compression", {"compress_after": "7 days", "maxchunks_to_compress": 3}, 9),
        ("policy_compression", {"compress_after": "many"}, psycopg2.errors.DatetimeFieldOverflow()),
        ("policy_refresh_continuous_aggregate", {"end_offset": "1 hour"}, 9),
        ("of_the_pms", None, 9),
    ],
)
def test_a_job_that_left_nothing_undone_did_its_work(procedure, config, left):
    found = judged(procedure, config, AFTER_THE_WORK, left)
    assert found == {
        "failed": [],
        "recorded_as_failed": [f"1001 {procedure} on public.md"],
    }


@pytest.mark.parametrize(
    ("procedure", "config", "error", "said"),
    [
        (
            "policy_retention",
            {"drop_after": "1 year"},
            AFTER_THE_WORK,
            "4 chunks older",
        ),
        ("policy_compression", {"compress_after": "7 days"}, AFTER_THE_WORK, "not compressed"),
        ("of_the_pms", {}, "division by zero", "division by zero"),
        ("of_the_pms", {}, None, "no error is recorded"),
    ],
)
def test_a_job_that_failed_or_left_its_work_undone_is_named(procedure, config, error, said):
    found = judged(procedure, config, error, 4)
    assert found["recorded_as_failed"] == []
    assert said in found["failed"][0]


def test_without_a_record_of_errors_a_failure_is_a_failure():
    assert judged("of_the_pms", {}, AFTER_THE_WORK, errors_known=False)["failed"]


def test_a_database_without_timescaledb_has_no_jobs():
    cursor = Cursor(Connection({"job_stats') IS NULL": [(True,)]}))
    assert results(cursor) == {"failed": [], "recorded_as_failed": []}
