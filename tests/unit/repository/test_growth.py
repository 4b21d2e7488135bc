# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import os

import pytest
from ansible.module_utils.pmsops.repository import manifest
from ansible.module_utils.pmsops.repository.growth import growth_bytes_per_day

from tests.support.backup_sets import make_set


@pytest.fixture
def sets_of(tmp_path):
    def make(*sizes):
        for number, size in enumerate(sizes):
            name = f"2026-11-{20 + number}_0600"
            make_set(tmp_path / "backups", tmp_path / "keys", name, {"a.csv": "x" * size})
        return tmp_path / "backups"

    return make


def manifests(root):
    return {path.name: (path / manifest.NAME).stat().st_size for path in root.glob("2026*")}


def test_nothing_grows_where_there_is_no_set(tmp_path):
    assert growth_bytes_per_day(tmp_path) == 0.0


def test_one_set_counts_as_what_each_day_adds(sets_of):
    root = sets_of(1000)
    assert growth_bytes_per_day(root) == 1000 + sum(manifests(root).values())


def test_the_first_set_is_not_growth_and_the_others_are_spread_over_the_days(sets_of):
    root = sets_of(9999, 1000, 3000)
    later = sum(size for name, size in manifests(root).items() if name != "2026-11-20_0600")
    assert growth_bytes_per_day(root) == pytest.approx((4000 + later) / 2)


def test_a_file_that_two_sets_share_is_counted_once(sets_of):
    root = sets_of(5000, 5000)
    newer = root / "2026-11-21_0600" / "a.csv"
    newer.unlink()
    os.link(root / "2026-11-20_0600" / "a.csv", newer)
    assert growth_bytes_per_day(root) == manifests(root)["2026-11-21_0600"]


def test_two_sets_of_one_hour_count_as_a_day_and_not_as_an_hour(tmp_path):
    root = tmp_path / "backups"
    for name in ("2026-11-20_0600", "2026-11-20_0700"):
        make_set(root, tmp_path / "keys", name, {"a.csv": "x" * 1000})
    assert growth_bytes_per_day(root) == 1000 + manifests(root)["2026-11-20_0700"]
