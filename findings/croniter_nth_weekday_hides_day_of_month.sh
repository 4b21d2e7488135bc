#!/usr/bin/env bash
# Runs:    croniter 7.0.0, dagster 1.13.28 (with a croniter of its own), and cronsim 2.8 to compare.
# Seen:    "15 * 5" means the 15th and each Friday in all three. "15 * 5#3" (the 15th and the third
#          Friday) is the third Friday alone in croniter and in Dagster: the 15th is dropped. With
#          "15 * L5" (the 15th and the last Friday) both find nothing and raise
#          CroniterBadDateError, although croniter.is_valid() is true and Dagster's
#          ScheduleDefinition accepts it. cronsim gives both days for 5#3.
# Guess:   cron's rule for two restricted day fields (either will do), as for "15 * 5"; or both must
#          hold.
# Matters: "valuation on the 15th and on the last Friday" in one schedule. It is accepted when it is
#          deployed; then no tick can be computed, or half of the days are left out while the other
#          half is green. Give Dagster two cron strings in a list.
# Output:  15 * 5#3: croniter and Dagster 01-16 02-20 03-20; cronsim 01-15 01-16 02-15
#          15 * L5:  croniter and Dagster CroniterBadDateError; valid, and accepted as a schedule
#          two strings in Dagster: 01-15 01-30 02-15 02-27
set -euo pipefail
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
export DAGSTER_HOME="$WORK" DAGSTER_DISABLE_TELEMETRY=1
python3 -m venv "$WORK/venv"
timeout 180 "$WORK/venv/bin/pip" install --quiet --no-compile \
    dagster==1.13.28 croniter==7.0.0 cronsim==2.8

timeout 60 "$WORK/venv/bin/python" -W ignore - <<'PYTHON'
from datetime import datetime, timezone

import dagster as dg
from croniter import croniter
from cronsim import CronSim

START = datetime(2026, 1, 1)


def by_croniter(cron):
    iterator = croniter(cron, START)
    return [iterator.get_next(datetime) for _ in range(3)]


def by_dagster(cron):
    partitions = dg.TimeWindowPartitionsDefinition(start=START, cron_schedule=cron, fmt="%Y-%m-%d")
    keys = partitions.get_partition_keys(current_time=datetime(2026, 7, 1, tzinfo=timezone.utc))
    return [datetime.fromisoformat(key) for key in keys[:3]]


def by_cronsim(cron):
    iterator = CronSim(cron, START)
    return [next(iterator) for _ in range(3)]


def days(look, cron):
    try:
        return " ".join(day.strftime("%m-%d") for day in look(cron))
    except Exception as error:
        return type(error).__name__


seen = {
    cron: [days(look, f"0 18 {cron}") for look in (by_croniter, by_dagster, by_cronsim)]
    for cron in ("15 * 5", "15 * 5#3", "15 * L5")
}
valid = croniter.is_valid("0 18 15 * L5")


@dg.job
def valuation():
    pass


accepted = dg.ScheduleDefinition(job=valuation, cron_schedule="0 18 15 * L5").cron_schedule
two = dg.ScheduleDefinition(job=valuation, cron_schedule=["0 18 15 * *", "0 18 * * L5"])
each = sorted(day for cron in two.cron_schedule for day in by_dagster(cron)[:2])
for cron, found in seen.items():
    print(f"{cron}: croniter {found[0]}; Dagster {found[1]}; cronsim {found[2]}")
print("two strings:", *(day.strftime("%m-%d") for day in each))
friday = "01-02 01-09 01-15"
assert seen["15 * 5"] == [friday] * 3, seen
assert seen["15 * 5#3"] == ["01-16 02-20 03-20", "01-16 02-20 03-20", "01-15 01-16 02-15"], seen
assert seen["15 * L5"][:2] == ["CroniterBadDateError"] * 2, seen
assert valid and accepted == "0 18 15 * L5"
assert [day.strftime("%m-%d") for day in each] == ["01-15", "01-30", "02-15", "02-27"], each
PYTHON
