# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings that stop a running database from working: found, and reset."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import Action
from ansible.module_utils.pmsops.recovery.database_settings import fix, needed

from tests.support.recorded_database import RecordedDatabase

HEALTHY = {
    "pg_is_in_recovery": [(False,)],
    "pg_get_userbyid": [("macro_user",)],
    "timescaledb.restoring": [("off",)],
    "pg_db_role_setting": [],
    "pg_file_settings": [],
    "FROM pg_roles": [("postgres",)],
    "extname = 'timescaledb'": [(1,)],
    "count(*) FROM pg_stat_activity": [(1,)],
}
RESET = "RESET default_transaction_read_only"


def database(**answers: Any) -> RecordedDatabase:
    return RecordedDatabase(HEALTHY | {key.replace("__", " "): v for key, v in answers.items()})


def fixed(found: RecordedDatabase) -> tuple[list[str], bool]:
    return fix(found, record=lambda _text: nullcontext(Action()))


def test_a_healthy_database_needs_no_fix():
    assert needed(database()) == []
    assert fixed(database()) == ([], False)


@pytest.mark.parametrize(
    ("row", "target"),
    [
        ((True, None), 'DATABASE "fund"'),
        ((True, "macro_user"), 'ROLE "macro_user" IN DATABASE "fund"'),
        ((False, "macro_user"), 'ROLE "macro_user"'),
    ],
)
def test_a_read_only_default_is_reset_where_it_is_set(row, target):
    found = database(pg_db_role_setting=[row])
    statement = f"ALTER {target} {RESET}"
    assert fixed(found) == ([f"Make it writable: {statement}"], True)
    executed = found.connection.executed
    # Its own session may begin read-only too.
    assert executed.index("SET default_transaction_read_only = off") < executed.index(statement)


def test_a_read_only_default_of_alter_system_is_reset_and_loaded():
    found = database(pg_file_settings=[("/data/postgresql.auto.conf",)])
    assert fixed(found) == ([f"Make it writable: ALTER SYSTEM {RESET}"], True)
    assert found.connection.executed[-1] == "SELECT pg_reload_conf()"


def test_a_read_only_default_in_a_file_of_the_administrator_is_an_error():
    with pytest.raises(OpsError, match=r"/etc/postgresql.conf makes") as caught:
        needed(database(pg_file_settings=[("/etc/postgresql.conf",)]))
    assert caught.value.code == "care.read-only"


def test_files_are_not_read_without_a_superuser():
    found = database(pg_file_settings=[("/etc/postgresql.conf",)], FROM__pg_roles=[])
    assert needed(found) == []


def test_restoring_mode_is_ended():
    found = database(**{"timescaledb.restoring": [("on",)]})
    assert fixed(found) == (["End restoring mode"], True)
    assert "SELECT timescaledb_post_restore()" in found.connection.executed


def test_a_scheduler_that_does_not_run_is_to_be_started():
    found = RecordedDatabase(HEALTHY | {"count(*) FROM pg_stat_activity": [(0,)]})
    (only,) = needed(found)
    assert (only.text, only.sessions) == ("Start TimescaleDB's scheduler", False)


def test_a_standby_is_not_touched():
    with pytest.raises(OpsError) as caught:
        needed(database(pg_is_in_recovery=[(True,)]))
    assert caught.value.code == "care.standby"
