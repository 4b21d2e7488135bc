# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What plan, desk and journal read of a lost machine: moments, and nothing that nobody counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import jinja2
import pytest
import yaml
from ansible.module_utils.pmsops.offsite.copies import PITR, REPLACED, Copy
from ansible.module_utils.pmsops.recovery import new_host_plan, new_host_words

from tests.conftest import PROJECT

TAKEN = datetime(2026, 11, 30, 6, 34, 43, tzinfo=UTC)
NOW = TAKEN + timedelta(minutes=31)
SET = Copy(
    *("snapshot", "fund", TAKEN + timedelta(minutes=3), "set"),
    set="2026-11-30_0634",
    database="macro_trading",
    taken_at="2026-11-30T06:34:43Z",
    proved=True,
)
NOTE = {
    "site": "vault",
    "set": SET.set,
    "snapshot": "9a3b4c5d6e7f8091",
    "taken_at": SET.taken_at,
}


def plan(*copies, parts=None, document=None, unfired=""):
    seen = new_host_plan.Seen({"vault": [SET, *copies]}, NOW, unfired)
    chosen = SimpleNamespace(archive=None, why="", needs="")
    images = {"here": [], "to_pull": [], "lost": []}
    known = document or {"files": []}
    return new_host_plan.lines(SET, "vault", {}, known, parts or {}, images, chosen, seen)


def test_a_moment_is_said_in_both_zones_with_its_age():
    text = new_host_words.with_age(TAKEN, NOW)
    assert text == "2026-11-30 06:34:43 UTC, 03:34:43 in São Paulo, 31 minutes ago"
    late = datetime(2026, 11, 30, 1, 15, tzinfo=UTC)
    assert "2026-11-29 22:15:00 in São Paulo" in new_host_words.both_zones(late)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 seconds"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (7199, "119 minutes"),
        (7260, "2 h 1 min"),
        (200_000, "2 days 7 h"),
    ],
)
def test_a_length_is_in_minutes_as_long_as_people_count_them(seconds, text):
    assert new_host_words.length(TAKEN, TAKEN + timedelta(seconds=seconds)) == text


def test_the_plan_says_how_much_may_be_lost_and_that_nothing_is_newer():
    will, cannot = plan()
    assert "no site has a newer set" in will[0] and "31 minutes ago" in will[0]
    assert "at most the 31 minutes until now" in cannot[0]
    assert "cannot be counted" in cannot[0]
    assert "at least the 3 minutes" in cannot[0]  # it lived when it made the copy
    mark = replace(SET, kind=REPLACED, at=NOW)  # another machine's, which says nothing of this one
    assert "at least the 3 minutes" in plan(mark)[1][0]
    archive = replace(SET, kind=PITR, at=TAKEN + timedelta(minutes=9))
    assert "at least the 9 minutes" in plan(archive)[1][0]


def test_the_plan_names_what_is_newer_and_not_proved():
    at = TAKEN + timedelta(minutes=20)
    later = replace(
        SET, set="2026-11-30_0654", taken_at="2026-11-30T06:54:43Z", at=at, proved=False
    )
    other = replace(later, set="2026-11-30_0655", database="dagster_storage")
    will, cannot = plan(later, other)
    assert "newer" not in will[0]
    (line,) = [each for each in cannot if "newer" in each]
    assert "2026-11-30_0654" in line and "not proved" in line and "11 minutes ago" in line
    assert "0655" not in line


def test_the_plan_names_parts_that_are_left_out_and_that_redis_begins_empty():
    part = {"not_taken": "", "left_out": [], "count": 3, "read_at": "2026-11-30T06:34:50Z"}
    parts = {
        "compose": part | {"kind": "files", "left_out": ["/opt/a.env: it is no file"]},
        "grafana": part | {"kind": "files", "not_taken": "it does not answer"},
        "redis": part | {"kind": "redis"},
    }
    will, cannot = plan(parts=parts)
    assert any("part compose" in each and "/opt/a.env" in each for each in will)
    assert any("grafana" in each and "it does not answer" in each for each in cannot)
    (line,) = [each for each in cannot if "Redis" in each]
    assert "begins empty" in line and "3 packs" in line and "--parts redis" in line


def test_timers_that_nothing_fires_are_not_promised():
    """The plan promised them on a machine without systemd, and nobody said what will fire."""
    scheduled = {"files": [], "scheduled": True}
    will, cannot = plan(document=scheduled)
    assert any("timers" in each for each in will)
    will, cannot = plan(document=scheduled, unfired="this machine does not run systemd")
    assert not any("timers" in each for each in will)
    assert "Nothing fires these jobs here: this machine does not run systemd" in cannot[-1]


def test_the_journal_says_that_the_machine_was_lost_and_counts_nothing():
    """The fund's journal said that TimescaleDB was damaged, and named minutes that were others."""
    found = new_host_words.entry(NOTE, "4be1" * 8)
    assert found["title"] == "The machine was lost and replaced"
    assert "2026-11-30 06:34:43 UTC (03:34:43 in São Paulo)" in found["text"]
    assert "set 2026-11-30_0634 of site vault" in found["text"]
    assert "not there" in found["text"] and "cannot be counted" in found["text"]
    assert not any(word in found["text"] for word in ("TimescaleDB", "minutes", "rows"))
    of_moment = new_host_words.entry(NOTE | {"moment_at": "2026-11-30T06:50:00Z"}, "4be1" * 8)
    assert "06:50:00 UTC" in of_moment["text"] and "base backups and WAL" in of_moment["text"]
    assert of_moment["mark"] == found["mark"] != new_host_words.entry(NOTE, "5")["mark"]


def test_the_incident_of_the_restore_tells_the_same():
    role = PROJECT / "roles"
    tasks = yaml.safe_load((role / "host" / "tasks" / "databases.yml").read_text())
    (given,) = [each["vars"] for each in tasks if "incident_empty_server" in each.get("vars", {})]
    assert "entry" in given["incident_told"] and given["incident_journal"] is False
    told = new_host_words.entry(NOTE, "4be1" * 8)
    symptoms = {"incident_told": told, "__incident_set": {"loss": "the last 36 minutes"}}
    variables = yaml.safe_load((role / "incident" / "vars" / "main.yml").read_text())
    record = yaml.safe_load((role / "incident" / "tasks" / "record.yml").read_text())
    cause = record[1]["pms_incident"]["facts"]["cause"]
    for text, wanted in ((variables["__incident_loss"], "data_loss"), (cause, "cause")):
        shown = (
            jinja2.Environment(autoescape=True)
            .from_string(text)
            .render(**symptoms, __incident_cause="127.0.0.1:23213 has no database macro_trading")
        )
        assert shown.strip() == told[wanted]
