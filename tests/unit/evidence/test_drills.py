# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Drills in the ledger: beside the live database, and on other hosts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.evidence import drills, last_drills
from ansible.module_utils.pmsops.repository import quarantine

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
GOOD = {
    "set": "2026-11-29_0115",
    "proved": True,
    "segregated": True,
    "shared": [],
    "drill_host": "far",
    "source": {"kind": "offsite", "site": "vault", "snapshot": "5f3c"},
    "rto_seconds": 41.0,
    "fetch_seconds": 9.0,
    "rto_with_fetch_seconds": 50.0,
}


def entry(days: float = 1, **record):
    at = (NOW - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"kind": "drill", "at": at, "record": record}


def last(*entries, host="far"):
    return last_drills.elsewhere(entries, NOW, host)


def said(found):
    lines = {}
    last_drills.describe(found, lambda name, text: lines.update({name: text}))
    return lines


def test_rto_is_told_with_and_without_the_fetch():
    found = last(entry(**GOOD))
    assert last_drills.due(found) == []
    assert said(found) == {
        "elsewhere": "24 h ago on far, segregated, verified set 2026-11-29_0115 in 41 s; 50 s with"
        " the fetch"
    }


def test_a_drill_elsewhere_is_no_drill_of_this_server():
    here = {"set": "s", "proved": True, "rto_seconds": 7.0}
    entries = [entry(2, **here), entry(1, **GOOD)]
    assert last_drills.here(entries, NOW)["rto_seconds"] == 7.0
    assert [each["record"] for each in drills.elsewhere(entries)] == [GOOD]
    assert last_drills.here(entries[1:], NOW) is None


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([], "no drill was run on host far yet"),
        (
            [entry(**GOOD | {"proved": False, "why": "set.damaged"})],
            "the last drill on host far failed: set.damaged",
        ),
        (
            [entry(**GOOD | {"segregated": False, "shared": ["one kernel"]})],
            "the last drill on host far was not on a machine apart: one kernel",
        ),
        ([entry(36, **GOOD)], "the last drill on host far is 36 d old"),
    ],
)
def test_what_is_wrong_with_the_monthly_drill_is_due(entries, says):
    assert last_drills.due(last(*entries)) == [(says, "pms-ops drill --host far")]


def test_without_a_schedule_nothing_is_due():
    assert last(host="") is None and last_drills.due(None) == []
    found = last(entry(400, **GOOD), host="")
    assert last_drills.due(found) == [] and said(found)


def test_a_failed_drill_elsewhere_says_failed():
    assert said(last(entry(**GOOD | {"proved": False}))) == {"elsewhere": "24 h ago on far, failed"}
    assert said(last()) == {}


def test_a_damaged_copy_does_not_condemn_the_set_here(tmp_path):
    """The copy of a site may be damaged where the set is whole."""
    folder = tmp_path / "2026-11-29_0115"
    failed = {"set": folder.name, "proved": False, "code": "set.damaged", "why": "a.csv differs"}
    assert quarantine.failed_drill([entry(**failed)], folder) == "a.csv differs"
    assert quarantine.failed_drill([entry(**failed, drill_host="far")], folder) is None
