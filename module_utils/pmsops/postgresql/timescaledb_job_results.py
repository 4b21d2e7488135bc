# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether TimescaleDB's background jobs did their work in their last run.

On PostgreSQL 17.12 the workers of TimescaleDB 2.19.3 and 2.29.2 do the work of every job, commit
it, and then record the run as failed: ``cannot drop portal "" while it is being set up``. So a run
with that error is judged by what it left: chunks that it had to drop or to compress.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.postgresql.connection import fetch_all, fetch_value

AFTER_THE_WORK = "cannot drop portal"
# Jobs of the extension itself, which nothing of the PMS depends on.
_OWN = ("policy_telemetry", "policy_job_stat_history_retention")
_FAILED = """
SELECT j.job_id, j.proc_name, j.hypertable_schema, j.hypertable_name, j.config,
       s.last_run_started_at
  FROM timescaledb_information.job_stats s JOIN timescaledb_information.jobs j USING (job_id)
 WHERE s.last_run_status = 'Failed' AND j.proc_name <> ALL(%s) ORDER BY 1"""
_ERROR = """
SELECT err_message FROM timescaledb_information.job_errors
 WHERE job_id = %s ORDER BY start_time DESC LIMIT 1"""
# Chunks that were old enough when the job ran; one that was made since was not its business.
_LEFT = """
SELECT count(*) FROM timescaledb_information.chunks c
 WHERE c.hypertable_schema = %(schema)s AND c.hypertable_name = %(name)s AND {state}
   AND c.range_end < %(began)s - %(age)s::interval
   AND coalesce((to_jsonb(c) ->> 'chunk_creation_time')::timestamptz < %(began)s, true)"""
# Procedure: the key of its configuration with an age, the state of a chunk left undone, the words.
_WORK = {
    "policy_retention": ("drop_after", "true", "not dropped"),
    "policy_compression": ("compress_after", "NOT c.is_compressed", "not compressed"),
    "policy_columnstore": ("compress_after", "NOT c.is_compressed", "not compressed"),
}


def results(cursor: Any) -> dict[str, list[str]]:
    """Return the jobs whose last run failed, and those that are only recorded as failed."""
    failed, recorded = [], []
    if fetch_value(cursor, "SELECT to_regclass('timescaledb_information.job_stats') IS NULL"):
        return {"failed": [], "recorded_as_failed": []}
    has_errors = fetch_value(
        cursor, "SELECT to_regclass('timescaledb_information.job_errors') IS NOT NULL"
    )
    for job, procedure, schema, name, config, began in fetch_all(cursor, _FAILED, (list(_OWN),)):
        error = fetch_value(cursor, _ERROR, (job,)) if has_errors else None
        text = f"{job} {procedure}" + (f" on {schema}.{name}" if name else "")
        if AFTER_THE_WORK not in (error or ""):
            failed.append(f"{text}: {error or 'no error is recorded'}")
        elif left := _left(cursor, procedure, schema, name, config or {}, began):
            failed.append(f"{text}: {left}")
        else:
            recorded.append(text)
    return {"failed": failed, "recorded_as_failed": recorded}


def _left(
    cursor: Any,
    procedure: str,
    schema: str | None,
    name: str | None,
    config: dict[str, Any],
    began: datetime,
) -> str | None:
    """Return what a policy left undone; None if nothing, or if its work leaves no trace."""
    key, state, words = _WORK.get(procedure, ("", "", ""))
    if name is None or config.get(key) is None or config.get("maxchunks_to_compress"):
        return None
    values = {"schema": schema, "name": name, "began": began, "age": str(config[key])}
    cursor.execute("SAVEPOINT job")
    try:
        count = fetch_value(cursor, _LEFT.format(state=state), values)
    except psycopg2.DataError:  # the age is a number, for a hypertable without times
        cursor.execute("ROLLBACK TO SAVEPOINT job")
        return None
    return f"{count} chunks older than {config[key]} are {words}" if count else None
