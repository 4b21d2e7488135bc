# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""No base backup is deleted under a restore of a moment that reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.pmsops.common import process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import deletion, former_servers
from ansible.module_utils.pmsops.pitr.run import Protection
from ansible.module_utils.pmsops.pitr.settings import Settings
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import sets


class Archive:
    """Stands in for Barman: notes that it was asked to delete."""

    deleted: tuple[str, ...] = ()

    def expire(self, _also: object = ()) -> list[str]:
        self.deleted += ("20261101T020000",)
        return list(self.deleted)


@pytest.fixture
def protection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Protection:
    made = Protection(
        Database(host="127.0.0.1", port=1, name="pms", user="u", container="db"),
        Settings("pitr", "image", root=tmp_path),
    )
    monkeypatch.setattr(made, "engine", Archive())
    monkeypatch.setattr(made, "_make_room", lambda **_options: [])
    monkeypatch.setattr(former_servers, "listed", lambda _container: [])
    return made


def test_a_base_backup_stays_while_a_restore_of_a_moment_reads_it(protection, tmp_path):
    with process_lock.exclusive(sets.state_folder(tmp_path) / deletion.LOCK, "restore"):
        assert protection.expire(check=False) == []
    assert protection.engine.deleted == ()
    assert protection.notes == [deletion.LATER]


def test_it_goes_once_nobody_reads_it(protection):
    assert protection.expire(check=False) == ["deleted base backup 20261101T020000"]
    assert protection.notes == []


def test_a_restore_does_not_begin_while_base_backups_are_deleted(tmp_path):
    with deletion.readers_kept_away(tmp_path) as alone:
        assert alone
        with (
            pytest.raises(OpsError, match="deletion of base backups") as caught,
            process_lock.exclusive(sets.state_folder(tmp_path) / deletion.LOCK, "restore"),
        ):
            pass
    assert caught.value.code == "lock.held"


def test_a_disk_that_refuses_the_lock_is_no_reader(tmp_path, monkeypatch):
    def refuse(*_arguments: object) -> None:
        raise OpsError("read-only", "mend it", code="disk.read-only")

    monkeypatch.setattr(process_lock, "exclusive", refuse)
    with pytest.raises(OpsError) as caught, deletion.readers_kept_away(tmp_path):
        pass
    assert caught.value.code == "disk.read-only"
