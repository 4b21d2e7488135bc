# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The probe of the newest backup set, kind sets: its files, and its last drill."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.checks.probes import Deadline, Unanswerable, backup_set
from ansible.module_utils.pmsops.checks.probes.context import Context, Settings
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.repository import quarantine

from tests.support.backup_sets import make_set

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NAME = "2026-11-23_0600"


def newest(tmp_path):
    """Make a signed set."""
    return make_set(tmp_path / "backups", tmp_path / "keys", NAME)


def ask(tmp_path, about):
    (tmp_path / "backups").mkdir(exist_ok=True)
    roots = {"backup_root": str(tmp_path / "backups"), "evidence_root": str(tmp_path / "evidence")}
    params = {"about": about, "keys": str(tmp_path / "keys")}
    return backup_set.ask(params, Context(Settings(now=NOW, **roots)), Deadline.after(5))


def test_without_a_set_nothing_is_wrong(tmp_path):
    assert ask(tmp_path, "files") == {"set": None, "problems": None, "percent": 100.0}
    assert ask(tmp_path, "drill") == {"set": None, "failed": None}


def test_files_that_have_their_checksums_have_no_problem(tmp_path):
    newest(tmp_path)
    found = ask(tmp_path, "files")
    assert (found["set"], found["problems"], found["percent"]) == (NAME, None, 100.0)


@pytest.mark.parametrize("content", ["id\n2\n", "id\n", None], ids=["flipped", "short", "missing"])
def test_a_damaged_file_is_named_with_its_set(tmp_path, content):
    path = newest(tmp_path) / "a.csv"
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert f"{NAME}: a.csv " in ask(tmp_path, "files")["problems"]


def test_a_set_that_cannot_be_read_is_a_problem_and_a_missing_tool_leaves_it_unknown(
    tmp_path, monkeypatch
):
    def denied(*_, **__):
        raise PermissionError(13, "Permission denied", "fund.pgdump")

    def refused(*_, **__):
        raise OpsError("minisign is missing.", "Install it.", code="x")

    newest(tmp_path)
    monkeypatch.setattr(quarantine, "examine", denied)
    assert ask(tmp_path, "files")["problems"] == "fund.pgdump: Permission denied"
    monkeypatch.setattr(quarantine, "examine", refused)
    with pytest.raises(Unanswerable, match="minisign is missing"):
        ask(tmp_path, "files")


@pytest.mark.parametrize(("proved", "failed"), [(True, None), (False, f"{NAME}: signals differ")])
def test_the_last_drill_of_the_set_says_whether_it_failed(tmp_path, proved, failed):
    newest(tmp_path)
    record = {"set": NAME, "proved": proved, "code": "restore.different", "why": "signals differ"}
    ledger.append(tmp_path / "evidence", "drill", record, now=NOW)
    assert ask(tmp_path, "drill")["failed"] == failed


def test_an_unknown_subject_is_refused(tmp_path):
    with pytest.raises(Unanswerable, match="not one of files, drill"):
        ask(tmp_path, "colour")
