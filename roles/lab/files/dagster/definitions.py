# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The PMS's Dagster jobs and weekday schedules, as small as they can be and still do the work.

The times are UTC, as in the PMS: 09:00 data, 09:30 morning pack, 21:00 end of day.
"""

import json
import os
import time
import urllib.request
from datetime import date

import psycopg2
from dagster import (
    DefaultScheduleStatus,
    Definitions,
    Failure,
    OpExecutionContext,
    ScheduleDefinition,
    in_process_executor,
    job,
    op,
)

API_URL = f"http://{os.environ['PMS_API_HOST']}:8000/api/v1"
API_TIMEOUT_SECONDS = 120
# The newest day of each source that the fund's decisions rest on.
FRESHNESS = """
SELECT 'market_data', max("timestamp" AT TIME ZONE 'UTC')::date FROM market_data
UNION ALL SELECT 'macro_series', max(observation_date) FROM macro_series
UNION ALL SELECT 'curves', max(curve_date) FROM curves
"""
RECORD = """
INSERT INTO pipeline_runs (id, run_date, status, duration_seconds, step_timings)
VALUES (%s, %s, 'SUCCESS', %s, %s) ON CONFLICT (id) DO NOTHING
"""


def connect() -> psycopg2.extensions.connection:
    """Return a connection to the PMS database."""
    return psycopg2.connect(
        host=os.environ["POSTGRES_HOST"],
        port=os.environ["POSTGRES_PORT"],
        dbname=os.environ["POSTGRES_DB"],
        user=os.environ["POSTGRES_USER"],
        password=os.environ["POSTGRES_PASSWORD"],
        connect_timeout=10,
    )


def call(method: str, path: str, body: dict | None = None) -> dict:
    """Return the PMS's JSON answer."""
    request = urllib.request.Request(  # noqa: S310 - an address of the lab
        f"{API_URL}{path}",
        method=method,
        data=json.dumps({} if body is None else body).encode() if method == "POST" else None,
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=API_TIMEOUT_SECONDS) as answer:  # noqa: S310
        return json.load(answer)


@op
def ingest(context: OpExecutionContext) -> dict[str, str]:
    """Read how far each source reaches, and record the run in pipeline_runs."""
    started = time.monotonic()
    connection = connect()
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(FRESHNESS)
            newest = {source: str(day) for source, day in cursor.fetchall()}
            empty = sorted(source for source, day in newest.items() if day == "None")
            if empty:
                raise Failure(f"No rows at all: {', '.join(empty)}")
            seconds = time.monotonic() - started
            timings = json.dumps({"ingest": round(seconds, 3)})
            cursor.execute(RECORD, (context.run_id, date.today(), seconds, timings))
    finally:
        connection.close()
    context.log.info("newest rows: %s", newest)
    return newest


@op
def check_book(context: OpExecutionContext, newest: dict[str, str]) -> None:
    """See that the PMS shows its book over the data."""
    book = call("GET", "/pms/book")
    context.log.info("%s; book: %s", newest, book["summary"])


@op
def end_of_day(context: OpExecutionContext) -> None:
    """Have the PMS mark its book to market and make proposals, pack and returns."""
    result = call("POST", "/pms/pipeline/trigger")
    if result["status"] != "success":
        raise Failure(f"The PMS pipeline ended {result['status']}: {json.dumps(result)}")
    context.log.info("pipeline: %s", result)


@op
def morning_pack(context: OpExecutionContext) -> None:
    """Have the PMS write today's morning pack, if there is none yet."""
    pack = call("POST", "/pms/morning-pack/generate")
    context.log.info("morning pack of %s", pack["briefing_date"])


@job
def bronze_ingest() -> None:
    """Take the data in."""
    ingest()


@job
def daily_pipeline() -> None:
    """Take the data in and look at the book."""
    check_book(ingest())


@job
def pms_eod_pipeline() -> None:
    """Close the day."""
    end_of_day()


@job
def pms_preopen_pipeline() -> None:
    """Prepare the morning."""
    morning_pack()


def weekdays(name: str, of: object, hour: int, minute: int = 0) -> ScheduleDefinition:
    """Return a schedule that runs from Monday to Friday and is on from the start."""
    return ScheduleDefinition(
        name=name,
        job=of,
        cron_schedule=f"{minute} {hour} * * 1-5",
        execution_timezone="UTC",
        default_status=DefaultScheduleStatus.RUNNING,
    )


defs = Definitions(
    executor=in_process_executor,  # a process for each op would cost seconds, and gain nothing here
    jobs=[bronze_ingest, daily_pipeline, pms_eod_pipeline, pms_preopen_pipeline],
    schedules=[
        weekdays("daily_pipeline_schedule", daily_pipeline, 9),
        weekdays("pms_preopen_schedule", pms_preopen_pipeline, 9, 30),
        weekdays("pms_eod_schedule", pms_eod_pipeline, 21),
    ],
)
