# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Progress costs a share of a run, however many files the database has."""

from __future__ import annotations

from ansible.module_utils.pmsops.backup import dump
from ansible.module_utils.pmsops.common.sparing import SHARE, Sparing
from ansible.module_utils.pmsops.restore import progress_query


class Clock:
    """A clock that stands still but for the work that is measured, and for waiting."""

    def __init__(self):
        self.now = 100.0
        self.worked = 0.0

    def __call__(self):
        return self.now

    def work(self, seconds):
        self.now += seconds
        self.worked += seconds


def watched(cost, seconds):
    """Read every second for so long; return how often and how long it measured."""
    clock, calls = Clock(), []

    def measure():
        calls.append(clock.now)
        clock.work(cost(len(calls)))
        return len(calls)

    sparing = Sparing(measure, now=clock)
    ends = clock.now + seconds
    numbers = []
    while clock.now < ends:
        numbers.append(sparing.read())
        clock.now += 1.0
    assert numbers == sorted(numbers) and numbers[0] == 1
    return len(calls), clock.worked / seconds


def test_what_is_quick_is_measured_each_time():
    calls, _share = watched(lambda _n: 0.001, 60)
    assert calls == 60


def test_what_is_slow_takes_a_share_of_the_time_only():
    calls, share = watched(lambda _n: 0.5, 600)
    assert 20 <= calls <= 24
    assert share <= SHARE * 1.1


def test_what_gets_slower_does_too():
    _calls, share = watched(lambda n: 0.05 * n, 2000)
    assert share <= SHARE * 1.3


def test_the_size_of_a_growing_dump_and_database_are_measured_so(monkeypatch, tmp_path):
    monkeypatch.setattr(Sparing, "read", lambda _self: 42)
    query = progress_query.ProgressQuery(None, "fund", "SELECT 1")
    assert query.read() == 42
    seen = []
    options = type("Options", (), {"target": tmp_path})
    watched = dump.Dump(
        None, options, None, database_name="fund", tables=(), recipients=[], compression=None,
        tick=seen.append,
    )  # fmt: skip
    watched._look()
    assert seen == [42]
