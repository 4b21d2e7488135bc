# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The charts: what is drawn, in which unit, and when there is nothing to draw."""

from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.reports import charts

# The class that the chart gives the line of the targets
SECOND_LINE = "serie-1"


def backup(day, size, seconds=3.0):
    stamp = f"2026-11-{day:02}T06:00:00Z"
    return {"snapshot_at": stamp, "size_bytes": size, "duration_seconds": seconds}


def drill(day, rto, rpo=None, target=None):
    known = {"at": f"2026-11-{day:02}T06:00:00Z", "rto_seconds": rto, "rpo_seconds": rpo}
    return known | {"rto_target_seconds": target}


def titles(drawn):
    return [chart["title"] for chart in drawn]


def test_sets_have_a_chart_of_their_size_and_one_of_their_time():
    drawn = charts.of_backups([backup(1, 40 << 20), backup(2, 44 << 20, 200.0)])
    assert titles(drawn) == ["Size of each set, MB", "Time each set took, minutes"]
    assert all("<script" not in chart["svg"] for chart in drawn)
    assert "1 Nov" in drawn[0]["svg"]


def test_sets_of_which_no_time_is_known_have_no_chart_of_it():
    assert titles(charts.of_backups([backup(1, 900, None)])) == ["Size of each set, bytes"]


def test_a_set_that_could_not_be_read_is_left_out():
    assert charts.of_backups([{"id": "x", "problem": "no manifest"}]) == []


def test_drills_are_drawn_against_their_target():
    drawn = charts.of_drills(
        [drill(1, 50.0, 4000.0), drill(2, 60.0, 9000.0)], {"rto_seconds": 120.0}
    )
    assert titles(drawn) == [
        "Time to recover, seconds (target 2 minutes)",
        "Data loss (recovery point), hours",
    ]
    assert [SECOND_LINE in chart["svg"] for chart in drawn] == [True, False]


def test_a_target_far_above_the_measurements_is_named_and_not_drawn():
    (drawn,) = charts.of_drills([drill(1, 50.0, target=7200.0)], {})
    assert drawn["title"].endswith("(target 2 hours)")
    assert SECOND_LINE not in drawn["svg"]


def test_data_loss_has_a_second_line_of_what_a_restore_to_any_moment_would_lose():
    days = [drill(1, 50.0, 40000.0), drill(2, 50.0, 80000.0), drill(3, 50.0, 60000.0)]
    rpo = charts.of_drills(days, {})[1]
    assert SECOND_LINE not in rpo["svg"]  # the system had no such protection
    days[1]["rpo_moment_seconds"], days[2]["rpo_moment_seconds"] = 0.0, 12.0
    rto, rpo = charts.of_drills(days, {})
    assert rpo["title"] == "Data loss (recovery point), hours; below: to any moment"
    assert SECOND_LINE in rpo["svg"] and SECOND_LINE not in rto["svg"]
    assert "var(--good)" in rpo["svg"]


@pytest.mark.parametrize("count", [1, 5, 6, 30])
def test_a_long_history_has_at_most_five_labels(count):
    (drawn,) = charts.of_backups([backup(day, 1000, None) for day in range(1, count + 1)])
    assert 1 <= drawn["svg"].count(" Nov</text>") <= charts.MAX_LABELS


def test_sizes_are_read_by_people():
    assert [charts.size(n) for n in (None, 12, 2048, 3 << 30)] == [
        "unknown",
        "12 bytes",
        "2 kB",
        "3 GB",
    ]


def test_another_host_is_not_in_the_curve_of_this_one():
    here, there = drill(1, 50.0), drill(2, 500.0) | {"drill_host": "far"}
    assert charts.of_drills([here, there], {}) == charts.of_drills([here], {})
    assert charts.of_drills([there], {}) == []
