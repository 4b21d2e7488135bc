# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which former databases retention may drop: the newest never, and none that is too young."""

from __future__ import annotations

from datetime import UTC, datetime

from ansible.module_utils.pmsops.restore import former_retention, registry

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


def database(name, oid, **mark):
    mark = {"of": "pms"} | mark
    return registry.ManagedDatabase(name, oid, True, None, mark)


def aged(*days):
    return [
        database(f"f{day}", day, **{"is": "former"}, since=f"2026-11-{23 - day:02}T00:00:00Z")
        for day in sorted(days, reverse=True)
    ]


def test_nothing_is_dropped_without_a_policy():
    assert former_retention.expired(aged(1, 2, 20), former_retention.Policy(), NOW) == []


def test_number_and_age_have_both_to_be_over():
    policy = former_retention.Policy(count=1, days=3)
    assert former_retention.expired(aged(1, 2, 5, 20), policy, NOW) == ["f20", "f5"]
    assert former_retention.expired(aged(20), policy, NOW) == []


def test_one_that_does_not_say_when_it_was_put_aside_stays():
    everything = [database("x", 1, **{"is": "former"}), *aged(1)]
    assert former_retention.expired(everything, former_retention.Policy(count=1), NOW) == []
