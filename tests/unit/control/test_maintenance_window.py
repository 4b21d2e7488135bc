# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a system may be worked on, in São Paulo's time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.control import maintenance_window

SATURDAY = "2026-11-28"  # São Paulo is three hours behind UTC


def at(moment: str) -> datetime:
    """Return a moment of São Paulo's clock."""
    return datetime.fromisoformat(f"{moment}-03:00").astimezone(UTC)


@pytest.mark.parametrize(
    ("windows", "moment", "is_open"),
    [
        ([], "2026-11-30 12:00", True),
        (["00:00-24:00"], "2026-11-30 12:00", True),
        (["02:00-06:00"], "2026-11-30 02:00", True),
        (["02:00-06:00"], "2026-11-30 01:59", False),
        (["02:00-06:00"], "2026-11-30 06:00", False),
        (["Sat,Sun 02:00-06:00"], f"{SATURDAY} 03:00", True),
        (["Sat,Sun 02:00-06:00"], "2026-11-27 03:00", False),
        # Over midnight, and of the day that it begins on: Saturday at one is still Friday's.
        (["Mon-Fri 22:00-05:00"], f"{SATURDAY} 01:00", True),
        (["Mon-Fri 22:00-05:00"], f"{SATURDAY} 23:00", False),
        (["Mon-Fri 22:00-05:00"], "2026-11-29 23:00", False),
        (["Mon-Fri 22:00-05:00"], "2026-11-30 23:00", True),
        # From Saturday to Monday
        (["Sat-Mon 12:00-13:00"], "2026-11-30 12:30", True),
        (["Sat-Mon 12:00-13:00"], "2026-12-01 12:30", False),
        (["Sat 02:00-06:00", "Mon 12:00-13:00"], "2026-11-30 12:30", True),
    ],
)
def test_a_window_is_open_by_the_clock_of_sao_paulo(windows, moment, is_open):
    assert (maintenance_window.closed(windows, at(moment)) == "") is is_open


def test_outside_of_it_the_next_opening_is_named():
    windows = ["Sat 02:00-06:00", "Wed 22:00-24:00"]
    assert maintenance_window.closed(windows, at("2026-11-30 12:00")) == (
        "outside its window (Sat 02:00-06:00; Wed 22:00-24:00); the next one opens"
        " Wed 2026-12-02 22:00 in São Paulo"
    )
    # A week ahead, if it has just ended.
    assert "Sat 2026-12-05 02:00" in maintenance_window.closed(windows[:1], at(f"{SATURDAY} 06:00"))


@pytest.mark.parametrize(
    "text",
    ["", "night", "25:00-26:00", "2:00-6:00", "Sab 02:00-06:00", "Mon- 02:00-06:00", "24:00-02:00"],
)
def test_what_is_no_window_is_refused_with_an_example(text):
    with pytest.raises(OpsError) as refused:
        maintenance_window.closed([text], at("2026-11-30 12:00"))
    assert refused.value.code == "fleet.window" and repr(text) in str(refused.value)
    assert "Sat,Sun 02:00-06:00" in refused.value.remedy
