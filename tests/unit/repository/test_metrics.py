# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.common import textfile_metrics
from ansible.module_utils.pmsops.repository import manifest, sets
from ansible.module_utils.pmsops.repository import metrics as backup_metrics

ENDED = datetime(2026, 11, 22, 6, 0, 10, tzinfo=UTC)


@pytest.fixture
def root(tmp_path):
    """Two sets, of which the older one was proved."""
    for day, size in (("21", 100), ("22", 90)):
        folder = tmp_path / f"2026-11-{day}_0600"
        folder.mkdir()
        document = {field: {} for field in manifest.REQUIRED} | {
            "schema_version": 1,
            "snapshot_at": f"2026-11-{day}T06:00:00Z",
            "totals": {"bytes": size, "rows": size * 10},
        }
        (folder / "manifest.json").write_text(json.dumps(document))
    sets.mark_verified(tmp_path / "2026-11-21_0600", {})
    return tmp_path


def values(root, reason):
    gauges = backup_metrics.backup_gauges(
        root, 'm"x', reason=reason, ended_at=ENDED, duration_seconds=9.5
    )
    text = textfile_metrics.render(gauges)
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def test_a_good_run_reports_its_set_and_the_one_before(root):
    found = values(root, "ok")
    label = '{database="m\\"x"}'
    assert found[f"pms_backup_size_bytes{label}"] == "90"
    assert found[f"pms_backup_previous_size_bytes{label}"] == "100"
    assert found[f"pms_backup_rows{label}"] == "900"
    assert found['pms_backup_last_run_success{database="m\\"x",reason="ok"}'] == "1"
    newest, proved = (
        float(found[f"pms_backup_last_{what}_timestamp_seconds{label}"])
        for what in ("success", "verified")
    )
    assert newest - proved == 86400


def test_a_failed_run_says_why_and_keeps_the_last_success(root):
    found = values(root, "disk.full")
    assert found['pms_backup_last_run_success{database="m\\"x",reason="disk.full"}'] == "0"
    assert 'pms_backup_last_success_timestamp_seconds{database="m\\"x"}' in found


def test_without_any_set_there_is_no_success_to_report(tmp_path):
    found = values(tmp_path, "database.unreachable")
    assert not any("last_success" in name or "size" in name for name in found)
    assert found['pms_backup_sets{database="m\\"x"}'] == "0"


def test_the_file_is_replaced_and_readable(root, tmp_path):
    gauges = backup_metrics.backup_gauges(
        root, "m", reason="ok", ended_at=ENDED, duration_seconds=1
    )
    path = textfile_metrics.write(tmp_path / "textfile", gauges, backup_metrics.NAME, "")
    textfile_metrics.write(tmp_path / "textfile", gauges, backup_metrics.NAME, "")
    assert path.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in path.parent.iterdir()] == ["pms_backup.prom"]


@pytest.mark.parametrize(
    ("trial", "refused", "run"),
    [
        ({"status": "passed", "reason": None, "count": 0}, "0", "1"),
        ({"status": "refused", "reason": None, "count": 3}, "3", "1"),
        ({"status": "not run", "reason": "the disk is full", "count": 0}, "0", "0"),
        ({"status": "refused", "reason": "not within 30 s", "count": 1}, "1", "0"),
        ({"status": "off", "reason": None, "count": 0}, None, None),
        (None, None, None),
    ],
)
def test_the_trial_of_the_newest_set_is_reported(root, trial, refused, run):
    path = root / "2026-11-22_0600" / "manifest.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | ({"trial": trial} if trial else {})))
    found = values(root, "ok")
    label = '{database="m\\"x"}'
    assert found.get(f"pms_backup_trial_refused{label}") == refused
    assert found.get(f"pms_backup_trial_run{label}") == run


def test_the_gauges_of_another_database_do_not_replace_those_of_the_pms(tmp_path):
    """One file had the name of both: issue 18, A19."""
    for root, name in (
        (tmp_path / "databases/b", "fund"),
        (tmp_path / "databases/b/other_databases/runs", "runs"),
    ):
        backup_metrics.publish(tmp_path / "m", root, name, reason="ok", duration_seconds=1.0)
    found = sorted(path.name for path in (tmp_path / "m").iterdir())
    assert found == ["pms_backup.prom", "pms_backup_runs.prom"]
