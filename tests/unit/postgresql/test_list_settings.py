# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import psycopg2
import pytest
from ansible.module_utils.pmsops.postgresql import list_settings
from ansible.module_utils.pmsops.postgresql.connection import Database

from tests.support.recorded_database import Connection

NOBODY = Database("127.0.0.1", 1, "fund", "pms_ops", access="host")


@pytest.mark.parametrize(
    ("name", "value", "spelled"),
    [
        ("search_path", 'app, "odd, one"', "'app', 'odd, one'"),
        ("Search_Path", "app", "'app'"),
        ("search_path", "", "''"),
        ("datestyle", "ISO, DMY", "'ISO, DMY'"),
        ("app.names", "a, b", "'a, b'"),
    ],
)
def test_a_setting_is_spelled_as_set_takes_it(name, value, spelled):
    assert list_settings.spelled(name, value) == spelled


def test_a_server_is_asked_only_about_settings_that_could_be_lists(monkeypatch):
    monkeypatch.setattr(Database, "connect", lambda self, **_: pytest.fail("it was asked"))
    settings = [("search_path", "a, b"), ("work_mem", "8MB"), ("app.names", "a, b")]
    assert list_settings.among(NOBODY, settings) == list_settings.KNOWN


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ({"current_setting": [("a, b",)]}, {"libraries"}),
        ({"current_setting": [('"a, b"',)]}, set()),
        ({"SET LOCAL": psycopg2.Error("SET libraries takes only one argument")}, set()),
    ],
)
def test_a_list_is_what_the_server_reads_back_as_it_was(monkeypatch, answers, found):
    connection = Connection(answers)
    monkeypatch.setattr(Database, "connect", lambda self, **_: connection)
    assert list_settings.among(NOBODY, [("libraries", "a, b")]) - list_settings.KNOWN == found
    assert "SET LOCAL \"libraries\" TO 'a', 'b'" in connection.executed
    assert connection.executed[-1] == "ROLLBACK TO SAVEPOINT probe"
    assert connection.rollbacks and connection.closed
