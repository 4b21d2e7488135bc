#!/usr/bin/env bash
# Runs:    dagster 1.13.28: an asset of prices on New York's days and an asset of NAV on São Paulo's
#          days, both made by DailyPartitionsDefinition(exclusions=...).
# Seen:    the NAV of 2026-06-19 (New York closed) has no upstream partition. The run succeeds with
#          None as its prices. With TimeWindowPartitionMapping(start_offset=-1, end_offset=-1), "the
#          business day before", the NAV of Monday the 22nd has none either: the step back is made
#          on São Paulo's days, to the 19th, and New York has no such day; its newest prices, of the
#          18th, are not taken. The prices of 2026-06-04 (São Paulo closed) go into no NAV. Nothing
#          counts as missing, although allow_nonexistent_upstream_partitions is False.
# Guess:   an upstream partition that does not exist is an error, as it is before the upstream's
#          start date; or the step back ends at the newest day that the upstream has.
# Matters: each fund with two markets, on each holiday that they do not share. A green NAV was made
#          of no prices, or of what the code does with None. Map days with a function of your own,
#          and let the asset refuse None.
# Output:  NAV of 06-18: prices of 06-18; of 06-19: None, success; of 06-22: prices of 06-22
#          the day before: NAV of 06-19: 06-18; of 06-22: nothing; NAVs of the prices of 06-04: none
#          NAV of 05-29, before the start of the prices: the run fails
set -euo pipefail
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
export DAGSTER_HOME="$WORK" DAGSTER_DISABLE_TELEMETRY=1
python3 -m venv "$WORK/venv"
timeout 180 "$WORK/venv/bin/pip" install --quiet --no-compile dagster==1.13.28
touch "$WORK/dagster.yaml"
FAILED=0

timeout 90 "$WORK/venv/bin/python" -W ignore - 2>"$WORK/log" <<'PYTHON' || FAILED=1
from datetime import datetime, timezone

import dagster as dg

WEEKENDS = ["0 0 * * 6", "0 0 * * 0"]
NOW = datetime(2026, 6, 30, tzinfo=timezone.utc)
NEW_YORK = dg.DailyPartitionsDefinition("2026-06-01", exclusions=[*WEEKENDS, datetime(2026, 6, 19)])
SAO_PAULO = dg.DailyPartitionsDefinition("2026-05-29", exclusions=[*WEEKENDS, datetime(2026, 6, 4)])
given = {}


@dg.asset(partitions_def=NEW_YORK)
def prices(context):
    return context.partition_key


@dg.asset(partitions_def=SAO_PAULO)
def nav(context, prices):
    given[context.partition_key] = prices


def value(day):
    """The prices that the NAV of *day* was made of, or "failed"."""
    result = dg.materialize(
        [prices, nav], selection=[nav], partition_key=day, instance=instance, raise_on_error=False
    )
    return given[day] if result.success else "failed"


instance = dg.DagsterInstance.ephemeral()
for day in ("2026-06-18", "2026-06-22"):
    dg.materialize([prices], partition_key=day, instance=instance)
values = {day: value(day) for day in ("2026-06-18", "2026-06-19", "2026-06-22", "2026-05-29")}


def before(day):
    """The upstream days of the day before, and those that count as missing."""
    mapped = dg.TimeWindowPartitionMapping(
        start_offset=-1, end_offset=-1, allow_nonexistent_upstream_partitions=False
    ).get_upstream_mapped_partitions_result_for_partitions(
        SAO_PAULO.subset_with_partition_keys([day]), SAO_PAULO, NEW_YORK, current_time=NOW
    )
    missing = mapped.required_but_nonexistent_subset
    return list(mapped.partitions_subset.get_partition_keys()), list(missing.get_partition_keys())


steps = {day: before(day) for day in ("2026-06-19", "2026-06-22")}
used = dg.TimeWindowPartitionMapping().get_downstream_partitions_for_partitions(
    NEW_YORK.subset_with_partition_keys(["2026-06-04"]), NEW_YORK, SAO_PAULO, current_time=NOW
)
users = list(used.get_partition_keys())
print("prices of the NAV:", values)
print("the day before (found, missing):", steps)
print("NAVs of the prices of 2026-06-04:", users)
assert steps == {"2026-06-19": (["2026-06-18"], []), "2026-06-22": ([], [])}, steps
assert users == [], users
assert values == {
    "2026-06-18": "2026-06-18",
    "2026-06-19": None,
    "2026-06-22": "2026-06-22",
    "2026-05-29": "failed",
}, values
PYTHON
# Dagster logs what it does; the end of it matters only when something is not as recorded.
if ((FAILED)); then
    tail -n 5 "$WORK/log" >&2
    exit 1
fi
