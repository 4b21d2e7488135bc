# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which server a drill takes, and that it leaves no role on one that is there."""

from __future__ import annotations

import json
from contextlib import contextmanager

import psycopg2.errors
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.drills import server
from ansible.module_utils.pmsops.restore import staging_database


class Cursor:
    """Answers by the first word of *answers* that a statement has in it."""

    def __init__(self, answers, refused=()):
        self.answers, self.refused = answers, refused
        self.done, self._rows = [], []

    def execute(self, sql, params=None):
        self.done.append(sql)
        if any(name in sql for name in self.refused):
            raise psycopg2.errors.DependentObjectsStillExist("objects depend on it")
        self._rows = next((rows for word, rows in self.answers.items() if word in sql), [])

    def fetchone(self):
        return self._rows[0] if self._rows else None

    def fetchall(self):
        return self._rows


class Reached:
    """A database whose sessions have one cursor."""

    name, maintenance_name = "app", "postgres"

    def __init__(self, answers, refused=()):
        self.cursor = Cursor(answers, refused)

    @contextmanager
    def session(self, **_options):
        yield self.cursor


def answers(major=17, timescaledb=("2.19.3",), system="2"):
    return {
        "'server_version_num'": [(major * 10000 + 1,)],
        "'server_version'": [(f"{major}.1",)],
        "pg_available_extension_versions": [(each,) for each in timescaledb],
        "pg_control_system": [(system,)],
    }


def document(major=17, timescaledb="2.19.3", system="1"):
    extensions = {"timescaledb": {"version": timescaledb}} if timescaledb else {}
    return {
        "server": {"version_num": major * 10000 + 2, "system_identifier": system},
        "facts": {"extensions": extensions},
    }


def test_a_server_of_the_same_versions_is_taken():
    assert server.require_versions(Reached(answers()), document()) == "17.1"
    assert server.require_versions(Reached(answers(timescaledb=())), document(timescaledb=None))


@pytest.mark.parametrize(
    ("here", "wanted", "code", "says"),
    [
        (answers(major=18), document(), "drill.version", "PostgreSQL 18; the set is of PostgreSQL"),
        (answers(), document(timescaledb="2.20.0"), "drill.version", "TimescaleDB 2.19.3"),
        (answers(timescaledb=()), document(), "drill.version", "not at all"),
        (answers(system="1"), document(), "drill.same-machine", "comes from"),
    ],
)
def test_another_version_or_the_source_itself_is_refused(here, wanted, code, says):
    with pytest.raises(OpsError, match=says) as error:
        server.require_versions(Reached(here), wanted)
    assert error.value.code == code


def test_roles_that_a_drill_made_are_dropped_and_others_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(staging_database, "drop_or_explain", lambda database, name: None)
    (tmp_path / server.ROLES).write_text(json.dumps(["macro_user", "owner of more"]))
    reached = Reached({}, refused=["owner of more"])
    (stays,) = server.drop_remains(reached, tmp_path)
    assert reached.cursor.done == [
        'DROP ROLE IF EXISTS "macro_user"',
        'DROP ROLE IF EXISTS "owner of more"',
    ]
    assert "role owner of more stays: objects depend on it" in stays


def test_without_a_note_no_role_is_dropped(tmp_path):
    reached = Reached({})
    assert server.drop_remains(reached, tmp_path) == [] and reached.cursor.done == []
