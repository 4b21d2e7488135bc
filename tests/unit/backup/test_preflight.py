# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""20,000 tables: pg_dump ran out of locks, and nothing said what was needed: issue 18, A37."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from ansible.module_utils.pmsops.backup import preflight
from ansible.module_utils.pmsops.backup.settings import Settings
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import lock_table
from ansible.module_utils.pmsops.postgresql.lock_table import LockTable


class FakeDatabase:
    """A database whose session leads nowhere."""

    name = "macro"

    @contextmanager
    def session(self, **_options):
        yield None


def fitting(monkeypatch, tmp_path, **figures):
    default = {"tables": 20_000, "indexes": 20_000, "others": 0, "setting": 64, "sessions": 120}
    monkeypatch.setattr(lock_table, "read", lambda _cursor: LockTable(**default | figures))
    settings = Settings(root=tmp_path, keys=tmp_path, jobs=4)
    found, warnings = preflight.fitting(FakeDatabase(), settings)
    return found.jobs, warnings


def test_twenty_thousand_tables_are_refused_with_the_value_that_is_needed(monkeypatch, tmp_path):
    with pytest.raises(OpsError, match="max_locks_per_transaction of 459, and the server has 64"):
        fitting(monkeypatch, tmp_path)
    assert fitting(monkeypatch, tmp_path, setting=459) == (4, [])


def test_a_table_of_locks_that_takes_one_process_gets_one(monkeypatch, tmp_path):
    jobs, warnings = fitting(monkeypatch, tmp_path, setting=400)
    assert jobs == 1
    assert "4 processes need a max_locks_per_transaction of 459" in warnings[0]


def test_a_small_database_needs_nothing(monkeypatch, tmp_path):
    assert fitting(monkeypatch, tmp_path, tables=50, indexes=80) == (4, [])


@pytest.mark.parametrize(
    ("wanted", "server", "pg_dump", "decided"),
    [
        ("auto", "18.6", "18.6", "always"),
        ("auto", "19.1", "19.1", "always"),
        ("auto", "17.12", "18.6", "never"),
        ("auto", "17.12", "17.12", "never"),
        ("always", "18.6", "18.6", "always"),
        ("never", "18.6", "18.6", "never"),
    ],
)
def test_the_planners_statistics_are_dumped_where_server_and_tools_can(
    tmp_path, wanted, server, pg_dump, decided
):
    settings = Settings(root=tmp_path, keys=tmp_path, statistics=wanted)
    made = {"server": server, "pg_dump": pg_dump}
    assert preflight.with_statistics(settings, made).statistics == decided


def test_statistics_that_are_demanded_of_an_older_server_are_refused(tmp_path):
    settings = Settings(root=tmp_path, keys=tmp_path, statistics="always")
    with pytest.raises(OpsError, match=r"server is 17\.12; both have to be 18") as caught:
        preflight.with_statistics(settings, {"server": "17.12", "pg_dump": "18.6"})
    assert caught.value.code == "backup.statistics"
    assert "backup_statistics: auto" in caught.value.remedy
    with pytest.raises(OpsError, match=r"server is 17\.12 and pg_dump is 17\.12"):
        preflight.with_statistics(settings, {"server": "17.12", "pg_dump": "17.12"})
