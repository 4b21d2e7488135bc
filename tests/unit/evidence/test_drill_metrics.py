# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gauges of drills on other hosts."""

from __future__ import annotations

import pms_drill_metrics
import pytest
from ansible.module_utils.pmsops.evidence import drill_metrics, ledger
from ansible.module_utils.testing import patch_module_args

from tests.unit.evidence.test_drills import GOOD, NOW


def published(tmp_path, *records, **more):
    for record in records:
        ledger.append(tmp_path, "drill", record, now=NOW)
    arguments = {
        "evidence_root": str(tmp_path),
        "database": "app",
        "folder": str(tmp_path / "metrics"),
    }
    with patch_module_args(arguments | more), pytest.raises(SystemExit) as end:
        pms_drill_metrics.main()
    assert end.value.code == 0
    path = tmp_path / "metrics" / drill_metrics.METRICS
    lines = path.read_text().splitlines() if path.exists() else []
    samples = dict(line.rsplit(" ", 1) for line in lines if line[:1] not in ("", "#"))
    return {
        name.partition("{")[0].removeprefix("pms_drill_elsewhere_"): v
        for name, v in samples.items()
    }


def test_rto_is_published_with_and_without_the_fetch(tmp_path):
    found = published(tmp_path, {"set": "s", "proved": True, "rto_seconds": 7.0}, GOOD)
    assert float(found["rto_seconds"]) == 41.0
    assert float(found["rto_with_fetch_seconds"]) == 50.0
    assert float(found["proved"]) == float(found["segregated"]) == 1
    assert float(found["last_success_timestamp_seconds"]) == NOW.timestamp()


def test_a_failed_drill_leaves_the_times_of_the_last_good_one(tmp_path):
    found = published(tmp_path, GOOD, GOOD | {"proved": False, "rto_seconds": None})
    assert float(found["proved"]) == 0 and float(found["rto_seconds"]) == 41.0


def test_without_such_a_drill_there_is_no_sample(tmp_path):
    assert published(tmp_path, {"set": "s", "proved": True}) == {}
    assert published(tmp_path, GOOD, _ansible_check_mode=True) == {}
