# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import timescaledb_postponed_jobs

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SOON = NOON + timedelta(minutes=5)
LATER = NOON + timedelta(hours=2)


class FakeCatalogue:
    """A stand-in for TimescaleDB's jobs, since the Apache edition has none that take locks."""

    def __init__(self, starts, running=()):
        self.starts = dict(starts)
        self._running = [list(step) for step in running]

    def due(self, before):
        return {job: start for job, start in self.starts.items() if start < before}

    def move(self, job, start):
        self.starts[job] = start

    def running(self):
        return self._running.pop(0) if self._running else []


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += timedelta(seconds=seconds)


def postponed(catalogue, path, clock):
    return timescaledb_postponed_jobs.PostponedJobs(catalogue, path, now=clock, sleep=clock.sleep)


def test_jobs_due_soon_are_put_off_and_put_back(tmp_path):
    catalogue, clock = FakeCatalogue({1000: SOON, 1001: LATER}), Clock()
    journal = tmp_path / "jobs.json"
    with postponed(catalogue, journal, clock):
        assert catalogue.starts[1000] > NOON + timescaledb_postponed_jobs.LEASE
        assert catalogue.starts[1001] == LATER
        assert json.loads(journal.read_text()) == {"1000": SOON.isoformat()}
    assert catalogue.starts == {1000: SOON, 1001: LATER}
    assert not journal.exists()


def test_they_are_put_back_when_the_dump_fails(tmp_path):
    catalogue, clock = FakeCatalogue({1000: SOON}), Clock()
    with pytest.raises(RuntimeError), postponed(catalogue, tmp_path / "j", clock):
        raise RuntimeError("pg_dump died")
    assert catalogue.starts == {1000: SOON}


def test_what_a_killed_run_moved_is_put_back_by_the_next(tmp_path):
    catalogue, clock = FakeCatalogue({1000: SOON}), Clock()
    journal = tmp_path / "jobs.json"
    postponed(catalogue, journal, clock).__enter__()  # killed here: no __exit__
    assert catalogue.starts[1000] != SOON
    assert timescaledb_postponed_jobs.undo(catalogue, journal) == [1000]
    assert catalogue.starts == {1000: SOON}
    assert timescaledb_postponed_jobs.undo(catalogue, journal) == []


def test_a_job_that_falls_due_during_a_long_dump_is_put_off_too(tmp_path):
    catalogue, clock = FakeCatalogue({1000: SOON, 1001: NOON + timedelta(minutes=20)}), Clock()
    with postponed(catalogue, tmp_path / "j", clock) as lease:
        clock.now += timedelta(minutes=10)
        lease.renew()
        assert catalogue.starts[1001] > clock.now + timedelta(minutes=14)
        assert catalogue.starts[1000] > clock.now + timedelta(minutes=14)
    assert catalogue.starts == {1000: SOON, 1001: NOON + timedelta(minutes=20)}


def test_a_running_job_is_waited_for(tmp_path):
    catalogue, clock = FakeCatalogue({}, running=[[1000], [1000], []]), Clock()
    with postponed(catalogue, tmp_path / "j", clock):
        assert clock.now == NOON + timedelta(seconds=2)


def test_a_job_that_never_ends_stops_the_backup_and_everything_is_put_back(tmp_path):
    catalogue = FakeCatalogue(
        {1000: SOON}, running=[[1007]] * (timescaledb_postponed_jobs.WAIT_SECONDS + 1)
    )
    with (
        pytest.raises(OpsError, match=r"1007.* still run") as caught,
        postponed(catalogue, tmp_path / "j", Clock()),
    ):
        pass
    assert caught.value.code == "backup.jobs-running"
    assert catalogue.starts == {1000: SOON}
