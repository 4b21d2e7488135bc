#!/usr/bin/env bash
# Runs:    dagster 1.13.28.
# Seen:    MonthlyPartitionsDefinition(day_offset=31) is accepted and has seven partitions a year.
#          Months without a 31st get none, and their days belong to the partition before: 2026-01-31
#          covers 59 days. With 29, February has one in leap years only.
# Guess:   an error when it is defined; or the last day of each month, as date libraries clamp.
# Matters: month-end books. The backfill of a year is complete and green with seven partitions, and
#          the report of 31 January holds February too. No partition is missing, so no freshness
#          check and no "missing" count shows it. Split on the 1st and value the day before.
# Output:  31: 2026-01-31 03-31 05-31 07-31 08-31 10-31 12-31; the first has 59 days
#          29 in 2026: no 2026-02-29, 11 partitions; in 2028: 12
set -euo pipefail
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
export DAGSTER_HOME="$WORK" DAGSTER_DISABLE_TELEMETRY=1
python3 -m venv "$WORK/venv"
timeout 180 "$WORK/venv/bin/pip" install --quiet --no-compile dagster==1.13.28

timeout 60 "$WORK/venv/bin/python" -W ignore - <<'PYTHON'
from datetime import datetime, timezone

import dagster as dg


def of_year(year, day):
    """The partitions of a year, each with its days."""
    partitions = dg.MonthlyPartitionsDefinition(start_date=f"{year}-01-01", day_offset=day)
    later = datetime(year + 1, 6, 1, tzinfo=timezone.utc)
    windows = {
        key: partitions.time_window_for_partition_key(key)
        for key in partitions.get_partition_keys(current_time=later)
        if key.startswith(str(year))
    }
    return {key: (window.end - window.start).days for key, window in windows.items()}


month_end, leap, plain = of_year(2026, 31), of_year(2028, 29), of_year(2026, 29)
print("31 in 2026:", month_end)
print("29 in 2026:", len(plain), "in 2028:", len(leap))
assert list(month_end) == [f"2026-{month:02}-31" for month in (1, 3, 5, 7, 8, 10, 12)]
assert month_end["2026-01-31"] == 59
assert len(plain) == 11 and plain["2026-01-29"] == 59 and len(leap) == 12
PYTHON
