#!/usr/bin/env bash
# Runs:    pandas_market_calendars 5.5.0 (BMF), exchange_calendars 4.13.2 (BVMF), holidays 0.109
#          (BVMF).
# Seen:    the sessions of B3 from 2019 to 2026 are the same in the first two. From 2020 on not one
#          close is: 17:00 in the one, 18:00 in the other, each all year round; on Ash Wednesday
#          13:01 and 13:00 for the opening too. holidays has five trading days more, all city and
#          state holidays of São Paulo in 2019 and 2021. For Hong Kong the first has no half day
#          (16:00 against 12:00, nine days in three years).
# Guess:   calendars that agree on 1,990 sessions agree on the hours; where the exchange moves its
#          close with New York's clock, as B3 does, the hour changes in March and November in both.
# Matters: "prices are late 30 minutes after the close" rings an hour early or late, all year with
#          one package and half the year with the other. A check of old gaps in prices reports five
#          days that had no trading. The last hour comes from the fund's own settings; calendars
#          give days.
# Output:  sessions 1990 1990, closes since 2020 that agree: 0; all 17:00 and 18:00
#          only in holidays: 2019-01-25 2019-07-09 2019-11-20 2021-01-25 2021-07-09
#          Hong Kong 2024 to 2026: 9 days with 16:00 and 12:00
set -euo pipefail
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
timeout 240 "$WORK/venv/bin/pip" install --quiet --no-compile \
    pandas==3.1.1 pandas_market_calendars==5.5.0 exchange_calendars==4.13.2 holidays==0.109

timeout 100 "$WORK/venv/bin/python" -W ignore - <<'PYTHON'
from datetime import date, timedelta

import exchange_calendars
import holidays
import pandas_market_calendars


def hours(first, second, zone, start, end):
    """Both packages' openings and closes by day, as local clock times."""
    one = pandas_market_calendars.get_calendar(first).schedule(start, end)
    two = exchange_calendars.get_calendar(second, start=start, end=end).schedule

    def local(table, opening, close):
        return {
            day.date(): tuple(
                at.tz_convert(zone).strftime("%H:%M") for at in (row[opening], row[close])
            )
            for day, row in table.iterrows()
        }

    return local(one, "market_open", "market_close"), local(two, "open", "close")


one, two = hours("BMF", "BVMF", "America/Sao_Paulo", "2019-01-02", "2026-12-30")
off = holidays.financial_holidays("BVMF", years=range(2019, 2027))
first, last = min(one), max(one)
days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
three = {day for day in days if day.weekday() < 5 and day not in off}
recent = [day for day in one if day.year >= 2020]
agree = sum(one[day][1] == two[day][1] for day in recent)
usual = {(one[day][1], two[day][1]) for day in recent}
ash = (one[date(2026, 2, 18)][0], two[date(2026, 2, 18)][0])
extra = sorted(map(str, three - set(one)))
hong_kong, kong_hong = hours("HKEX", "XHKG", "Asia/Hong_Kong", "2024-01-02", "2026-12-31")
half = [
    day
    for day, (_, close) in kong_hong.items()
    if close == "12:00" and hong_kong[day][1] == "16:00"
]
print("sessions", len(one), len(two), "closes since 2020 that agree:", agree, usual)
print("Ash Wednesday 2026 opens", ash)
print("only in holidays:", *extra)
print("Hong Kong:", len(half), "days with 16:00 and 12:00")
assert set(one) == set(two) and agree == 0, (len(one), len(two), agree)
assert usual == {("17:00", "18:00")} and ash == ("13:01", "13:00"), (usual, ash)
assert extra == ["2019-01-25", "2019-07-09", "2019-11-20", "2021-01-25", "2021-07-09"], extra
assert set(one) <= three and len(half) == 9, half
PYTHON
