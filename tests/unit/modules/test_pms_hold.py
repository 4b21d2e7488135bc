# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import errno
import json
from pathlib import Path

import pms_hold
import pytest
from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.repository import retention
from ansible.module_utils.testing import patch_module_args

from tests.support.backup_sets import make_set


def called(capsys, **args):
    with patch_module_args(args), pytest.raises(SystemExit):
        pms_hold.main()
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("state", ["present", "absent"])
def test_check_and_real_runs_agree_and_the_second_changes_nothing(tmp_path, capsys, state):
    folder = make_set(tmp_path / "backups", tmp_path / "keys")
    if state == "absent":
        called(capsys, set=str(folder), reason="audit")
    args = {"set": str(folder), "state": state, "reason": "audit"}
    runs = [
        called(capsys, **args, _ansible_check_mode=check)["changed"]
        for check in (True, False, True, False)
    ]
    assert runs == [True, True, False, False]
    assert (folder / "hold.json").exists() == (state == "present")


def test_a_held_set_outlives_its_policy(tmp_path, capsys):
    root = tmp_path / "backups"
    for day in range(10, 20):
        make_set(root, tmp_path / "keys", f"2026-11-{day}_0600")
    called(capsys, set=str(root / "2026-11-11_0600"), reason="audit")
    gone = retention.expired(root, retention.Policy(1, 0, 0, 0))
    names = [path.name for path in gone]
    assert "2026-11-10_0600" in names
    assert "2026-11-11_0600" not in names


def test_what_is_no_set_cannot_be_held(tmp_path, capsys):
    result = called(capsys, set=str(tmp_path), reason="audit")
    assert result["failed"] and result["code"] == "manifest.missing"


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_disk_that_refuses_a_hold_is_no_traceback(tmp_path, capsys, monkeypatch, state):
    folder = make_set(tmp_path / "backups", tmp_path / "keys")
    if state == "absent":
        called(capsys, set=str(folder), reason="audit")

    def read_only(*_args, **_options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(files, "replace", read_only)
    monkeypatch.setattr(Path, "unlink", read_only)
    result = called(capsys, set=str(folder), state=state, reason="audit")
    assert result["failed"] and result["code"] == "disk.read-only"
