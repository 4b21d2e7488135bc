# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Postpone TimescaleDB jobs whose locks would abort a parallel pg_dump.

Measured: compress_chunk during ``pg_dump -j2`` failed five dumps of six ("could not obtain lock on
relation"). A job is postponed by moving its next start, for a lease that is renewed while the dump
runs: in the worst case the job runs late. The original start is written to a journal first, so
that the next run restores what a killed run moved.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, from_iso
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
)

LOCKING_PROCEDURES = (
    "policy_compression",
    "policy_retention",
    "policy_reorder",
    "policy_refresh_continuous_aggregate",
    "policy_process_hypertable_invalidations",
)
LEASE = timedelta(minutes=15)
WAIT_SECONDS = 600
JOURNAL = "postponed-jobs.json"


class JobCatalogue(Protocol):
    """The operations on a TimescaleDB catalogue that postponing jobs needs."""

    def due(self, before: datetime) -> dict[int, datetime]:
        """Return the scheduled locking jobs that start before a moment, with their starts."""

    def move(self, job: int, start: datetime) -> None:
        """Set a job's next start."""

    def running(self) -> list[int]:
        """Return the locking jobs that run now."""


class NoJobs:
    """The catalogue of a copy in which no scheduler runs: nothing has to be postponed."""

    def due(self, before: datetime) -> dict[int, datetime]:  # noqa: D102
        return {}

    def move(self, job: int, start: datetime) -> None:
        """Nothing is due, so nothing is moved."""

    def running(self) -> list[int]:  # noqa: D102
        return []


class TimescaleJobs:
    """The catalogue of a real database; the Apache edition has no such jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, before: datetime) -> dict[int, datetime]:  # noqa: D102
        with self._database.session(read_only=True) as cursor:
            if not fetch_value(
                cursor, "SELECT to_regclass('timescaledb_information.jobs') IS NOT NULL"
            ):
                return {}
            rows = fetch_all(
                cursor,
                """SELECT j.job_id, coalesce(j.next_start, now())
                     FROM timescaledb_information.jobs j
                    WHERE j.scheduled AND j.proc_name = ANY(%s)
                      AND coalesce(j.next_start, now()) < %s""",
                (list(LOCKING_PROCEDURES), before),
            )
        return dict(rows)

    def move(self, job: int, start: datetime) -> None:  # noqa: D102
        with self._database.session(superuser=True) as cursor:
            cursor.execute(
                "SELECT alter_job(%s, next_start => %s, if_exists => true)", (job, start)
            )

    def running(self) -> list[int]:  # noqa: D102
        with self._database.session(read_only=True) as cursor:
            if not fetch_value(
                cursor, "SELECT to_regclass('timescaledb_information.job_stats') IS NOT NULL"
            ):
                return []
            rows = fetch_all(
                cursor,
                """SELECT s.job_id FROM timescaledb_information.job_stats s
                     JOIN timescaledb_information.jobs j USING (job_id)
                    WHERE s.job_status = 'Running' AND j.proc_name = ANY(%s)""",
                (list(LOCKING_PROCEDURES),),
            )
        return [row[0] for row in rows]


class PostponedJobs:
    """Postpones the locking jobs while a ``with`` block runs; call ``renew`` regularly."""

    def __init__(
        self,
        catalogue: JobCatalogue,
        journal: Path,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._catalogue = catalogue
        self._journal = journal
        self._now = now
        self._sleep = sleep
        self._leased_until = now()
        self.moved: dict[int, datetime] = {}

    def __enter__(self) -> PostponedJobs:
        self._put_off()
        try:
            self._wait_for_running()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        undo(self._catalogue, self._journal)

    def renew(self) -> None:
        """Extend the lease once half of it is over."""
        if self._now() > self._leased_until - LEASE / 2:
            self._put_off()

    def _put_off(self) -> None:
        self._leased_until = self._now() + LEASE
        due = self._catalogue.due(self._leased_until)
        new = {job: start for job, start in due.items() if job not in self.moved}
        if new:
            self.moved |= new
            _record(self._journal, self.moved)
        for job in due:
            self._catalogue.move(job, self._leased_until + timedelta(minutes=1))

    def _wait_for_running(self) -> None:
        for _ in range(WAIT_SECONDS):
            running = self._catalogue.running()
            if not running:
                return
            self.renew()
            self._sleep(1)
        raise OpsError(
            f"Background jobs {running} still run after {WAIT_SECONDS} s; a parallel dump would"
            " fail on their locks.",
            "Look at them in timescaledb_information.job_stats; back up again when they are done.",
            code="backup.jobs-running",
        )


def undo(catalogue: JobCatalogue, journal: Path) -> list[int]:
    """Restore the starts of the jobs that *journal* names, remove it, return the jobs."""
    try:
        recorded: dict[str, Any] = json.loads(journal.read_bytes())
    except FileNotFoundError:
        return []
    jobs = {int(job): from_iso(start) for job, start in recorded.items()}
    for job, start in jobs.items():
        catalogue.move(job, start)
    journal.unlink()
    return sorted(jobs)


def _record(journal: Path, moved: dict[int, datetime]) -> None:
    content = {str(job): start.isoformat() for job, start in moved.items()}
    files.replace(journal, (json.dumps(content) + "\n").encode())
