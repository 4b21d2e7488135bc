# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import re
from datetime import datetime

import pytest
from ansible.module_utils.pmsops.common.timestamps import from_iso, spelled_out

# What the manual of Python 3.9 says that its datetime.fromisoformat reads.
OLD = re.compile(
    r"\d{4}-\d\d-\d\d(?:.\d\d(?::\d\d(?::\d\d(?:\.\d{3}(?:\d{3})?)?)?)?"
    r"(?:[+-]\d\d:\d\d(?::\d\d(?:\.\d{6})?)?)?)?",
    re.ASCII,
)
TIMES = [
    day + clock + zone
    for day in ("2026-11-30", "20261130")
    for clock in ("T06", "T06:05", " 06:05:04", "T060504", "T06:05:04.1", "T06:05:04,1234567")
    for zone in ("", "Z", "+00", "-03:00", "-0330", "+05:53:28", "-00:00:01.5")
]


@pytest.mark.parametrize("text", ["2026-11-30", "20261130", *TIMES])
def test_an_old_python_reads_what_a_new_one_reads(text):
    spelled = spelled_out(text)
    assert OLD.fullmatch(spelled)
    assert datetime.fromisoformat(spelled) == datetime.fromisoformat(text) == from_iso(text)


@pytest.mark.parametrize("text", ["", "now", "2026-11-30T", "2026-1130", "2026-11-30T6:05Z"])
def test_what_is_no_time_is_none_when_spelled_out(text):
    assert spelled_out(text) == text
    with pytest.raises(ValueError, match="Invalid isoformat string"):
        from_iso(text)


@pytest.mark.parametrize("text", ["2026-13-30T06:05:04Z", "2026-11-31", "2026-11-30T25:00Z"])
def test_a_day_or_an_hour_that_does_not_exist_is_refused(text):
    for each in (text, spelled_out(text)):
        with pytest.raises(ValueError, match=r"must be in|day is out of range"):
            from_iso(each)
