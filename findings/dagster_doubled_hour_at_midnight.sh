#!/usr/bin/env bash
# Runs:    dagster 1.13.28; the zones of Santiago and Cairo, where the clock goes back at midnight,
#          against New York, where it goes back at 02:00. Public API only.
# Seen:    in the night with 23:00 twice, on_cron for 23:30 asks at the first 23:30. In New York
#          on_cron for 01:30 asks at the second 01:30. During the second 23:00 to 23:30,
#          get_partition_key_for_timestamp() raises CheckError ("Invariant failed"), and
#          get_partition_keys() lists one partition less than before: yesterday's, which was there
#          an hour ago, comes back at the second 23:30.
# Guess:   one rule for all zones, no error, and a partition that exists stays.
# Matters: the night's valuation of a Chilean or Egyptian fund. An asset for "the newest partition"
#          takes the day before for half an hour, once a year, and code that asks for the day of an
#          instant ends with an error. Take an hour before 23:00 or after 01:00, or UTC.
# Output:  America/Santiago 30 23: tick 2026-04-04T23:30:00-03:00; at 23:10-04:00 CheckError,
#          newest partition 2026-04-02, at 23:50-03:00 it was 2026-04-03
#          Africa/Cairo 30 23: the same on 2026-10-29
#          America/New_York 30 1: tick 2026-11-01T01:30:00-05:00; no error, nothing comes back
set -euo pipefail
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
export DAGSTER_HOME="$WORK" DAGSTER_DISABLE_TELEMETRY=1
python3 -m venv "$WORK/venv"
timeout 180 "$WORK/venv/bin/pip" install --quiet --no-compile dagster==1.13.28 tzdata==2025.2

timeout 60 "$WORK/venv/bin/python" -W ignore - <<'PYTHON'
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import dagster as dg


def tick(zone, cron, start):
    """The first quarter of an hour from *start* at which on_cron asks for a run."""

    @dg.asset(automation_condition=dg.AutomationCondition.on_cron(cron, cron_timezone=zone))
    def valuation():
        pass

    instance, cursor = dg.DagsterInstance.ephemeral(), None
    for quarter in range(24):
        now = start + timedelta(minutes=15 * quarter)
        result = dg.evaluate_automation_conditions(
            defs=[valuation], instance=instance, cursor=cursor, evaluation_time=now
        )
        cursor = result.cursor
        if result.total_requested:
            return now.astimezone(ZoneInfo(zone)).isoformat()


def key_of(partitions, moment):
    try:
        return partitions.get_partition_key_for_timestamp(moment.timestamp())
    except dg._check.CheckError as error:
        return f"CheckError: {error}"


def look(zone, day, hour):
    """What a daily partition at *hour*:30 says shortly before and in the doubled hour."""
    partitions = dg.DailyPartitionsDefinition(
        start_date=day - timedelta(days=4), timezone=zone, hour_offset=hour, minute_offset=30
    )
    local = day.replace(hour=hour, tzinfo=ZoneInfo(zone))
    first = local.replace(minute=50, fold=0).astimezone(timezone.utc)
    second = local.replace(minute=10, fold=1).astimezone(timezone.utc)
    assert second - first == timedelta(minutes=20)
    return (
        tick(zone, f"30 {hour} * * *", first - timedelta(hours=2, minutes=20)),
        key_of(partitions, second),
        partitions.get_partition_keys(current_time=first)[-1],
        partitions.get_partition_keys(current_time=second)[-1],
    )


seen = {
    zone: look(zone, day, hour)
    for zone, day, hour in (
        ("America/Santiago", datetime(2026, 4, 4), 23),
        ("Africa/Cairo", datetime(2026, 10, 29), 23),
        ("America/New_York", datetime(2026, 11, 1), 1),
    )
}
for zone, (at, key, before, now) in seen.items():
    print(f"{zone}: tick {at}; key {key}; newest partition {before}, 20 minutes later {now}")
expected = {
    "America/Santiago": (
        "2026-04-04T23:30:00-03:00", "CheckError: Invariant failed.", "2026-04-03", "2026-04-02",
    ),
    "Africa/Cairo": (
        "2026-10-29T23:30:00+03:00", "CheckError: Invariant failed.", "2026-10-28", "2026-10-27",
    ),
    "America/New_York": ("2026-11-01T01:30:00-05:00", "2026-10-31", "2026-10-30", "2026-10-30"),
}
assert seen == expected, seen
PYTHON
