# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A restore that fails names its set, also where nobody named it: a drill's line has to."""

from __future__ import annotations

import json

import pms_restore
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.testing import patch_module_args

from tests.support.backup_sets import make_set


def test_a_drill_of_the_newest_set_that_fails_says_which_one_it_was(tmp_path, capsys, monkeypatch):
    for day in (21, 22):
        make_set(tmp_path / "sets", tmp_path / "keys", f"2026-11-{day}_0600")

    def damaged(*_arguments, **_options):
        raise OpsError("A file is damaged.", "Drill another one.", code="set.damaged")

    monkeypatch.setattr(pms_restore, "restore_set", damaged)
    database = {"access": "host", "host": "127.0.0.1", "port": 1, "name": "pms", "user": "pms_ops"}
    given = {"database": database, "root": str(tmp_path / "sets"), "keys": str(tmp_path / "keys")}
    with patch_module_args(given | {"keep": False}), pytest.raises(SystemExit):
        pms_restore.main()
    said = json.loads(capsys.readouterr().out)
    assert (said.get("code"), said.get("set")) == ("set.damaged", "2026-11-22_0600"), said
