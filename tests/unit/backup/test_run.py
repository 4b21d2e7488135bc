# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.backup import leftovers, run
from ansible.module_utils.pmsops.backup.settings import Settings
from ansible.module_utils.pmsops.client_tools import factory
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress


def test_a_failed_backup_leaves_no_progress_file(tmp_path, monkeypatch):
    """Status showed it as running: issue 18, A37."""
    settings = Settings(root=tmp_path / "backups", keys=tmp_path / "keys")
    progress = Progress(settings.progress_file)

    def fail(*_args):
        with progress.phase("dump and fingerprint"):
            assert settings.progress_file.exists()
            raise OpsError("The disk is full.", "Free space.", code="disk.full")

    monkeypatch.setattr(factory, "for_database", lambda _database: None)
    monkeypatch.setattr(leftovers, "clean", lambda *_args, **_options: [])
    monkeypatch.setattr(run.preflight, "check", fail)
    with pytest.raises(OpsError, match="full"):
        run.run(None, settings, progress=progress)
    assert not settings.progress_file.exists()
