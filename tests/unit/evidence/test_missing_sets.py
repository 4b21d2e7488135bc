# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A set that vanished is a finding of status, triage and restore: issue 18, A11."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.checks.probes import Deadline, backup_set
from ansible.module_utils.pmsops.checks.probes.context import Context, Settings
from ansible.module_utils.pmsops.evidence import ledger, missing_sets, status
from ansible.module_utils.pmsops.repository import manifest, quarantine, retention
from ansible.module_utils.pmsops.restore.request import Request

from tests.support.backup_sets import make_set

NAMES = ("2026-11-21_0600", "2026-11-22_0600")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def roots(tmp_path):
    """Two sets, each with its line in the ledger."""
    backups, evidence = tmp_path / "backups", tmp_path / "evidence"
    for name in NAMES:
        make_set(backups, tmp_path / "keys", name)
        record(evidence, {"set": name, "root": str(backups), "removed": []}, name[:10])
    return backups, evidence


def record(evidence, content, day):
    moment = datetime.fromisoformat(f"{day}T06:00:05+00:00")
    ledger.append(evidence, "backup", content, now=moment)


def found(roots):
    return [each.name for each in missing_sets.of_roots(*roots)]


def vanished(backups, name):
    path = backups / name / manifest.NAME
    path.unlink()


def test_sets_that_are_there_are_not_missing(roots):
    assert found(roots) == []
    assert missing_sets.summary([]) == ""


def test_a_set_whose_manifest_was_deleted_is_named_everywhere(roots, tmp_path):
    backups, evidence = roots
    vanished(backups, NAMES[1])
    what = "set 2026-11-22_0600 of 2026-11-22T06:00 has no manifest.json"
    seen = status.collect(backups, evidence, now=NOW)
    assert seen["missing_sets"][0]["what"].startswith(what)
    assert any(each["what"].startswith(what) for each in seen["due"])
    context = Context(Settings(now=NOW, backup_root=str(backups), evidence_root=str(evidence)))
    answer = backup_set.ask({"about": "missing"}, context, Deadline.after(5))
    assert answer["count"] == 1
    assert answer["missing"].startswith(what)
    request = Request(root=backups, keys=tmp_path / "keys", evidence=evidence)
    assert request.missing_sets()[0].startswith(f"Missing: {what}")


def test_a_set_whose_folder_is_gone_is_named(roots):
    shutil.rmtree(roots[0] / NAMES[0])
    assert "is not in" in missing_sets.of_roots(*roots)[0].text()


def test_what_retention_and_the_quarantine_took_away_is_not_missing(roots):
    retention.remove(roots[0] / NAMES[0])
    aside = quarantine.set_aside(roots[0] / NAMES[1], "rotten", now=NOW)
    shutil.rmtree(aside)
    assert found(roots) == []


def test_a_removal_of_the_ledger_counts_and_a_later_backup_of_that_name_does_too(roots):
    shutil.rmtree(roots[0] / NAMES[0])
    record(roots[1], {"removed": [NAMES[0]], "reason": "archived"}, "2026-11-22")
    assert found(roots) == []
    record(roots[1], {"set": NAMES[0], "removed": []}, "2026-11-23")
    assert found(roots) == [NAMES[0]]


def test_sets_of_another_backup_root_are_looked_for_there(roots, tmp_path):
    moved = tmp_path / "moved"
    moved.mkdir()
    assert missing_sets.of_roots(moved, roots[1]) == []
    vanished(roots[0], NAMES[0])
    assert [each.name for each in missing_sets.of_roots(moved, roots[1])] == [NAMES[0]]
