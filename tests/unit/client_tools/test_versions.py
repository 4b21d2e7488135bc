# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Versions to the minor, of servers, tools and manifests of all ages."""

from __future__ import annotations

import psycopg2
import pytest
from ansible.module_utils.pmsops.client_tools import versions
from ansible.module_utils.pmsops.client_tools.archive_parameters import (
    COLUMN,
    INDEX,
    SETTING,
    TABLE,
    VIEW,
    Parameter,
)
from ansible.module_utils.pmsops.client_tools.base import read_version
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.restore import versions as of_sets

from tests.support.recorded_database import Connection


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("pg_dump (PostgreSQL) 17.11 (Debian 17.11-0+deb13u1)\n", "17.11"),
        ("pg_restore (PostgreSQL) 19rc1\n", "19rc1"),
        ("pg_dump (PostgreSQL) 18beta2 (Debian 18~beta2-1)", "18beta2"),
        ("pg_dump (PostgreSQL) 19devel", "19devel"),
    ],
)
def test_the_version_of_a_tool_is_read_to_the_minor(printed, version):
    assert read_version("pg_dump", printed) == version
    assert versions.parts(version)[0] == int(version[:2])


def test_a_tool_that_is_none_of_postgresqls_is_refused():
    with pytest.raises(OpsError) as caught:
        read_version("pg_dump", "pg_dump: command of another kind 3.1")
    assert caught.value.code == "clients.missing"


@pytest.mark.parametrize(
    ("one", "other", "older"),
    [
        ("17.10", "17.12 (Debian 17.12-1)", True),
        ("17.12", "17.12", False),
        ("17.9", "17.12", True),
        ("18.0", "17.12", False),
        ("16.13", "17.1", False),
        ("19rc1", "19.1", False),
        (17, "17.12", False),
    ],
)
def test_a_minor_version_is_compared_within_its_major_alone(one, other, older):
    assert versions.older_minor(one, other) is older


def test_a_restore_names_what_is_of_another_version():
    assert of_sets.notes({"server": "17.12 (Debian)", "pg_dump": "17.12"}, "17.12", "17.12") == []
    other = of_sets.notes({"server": "17.12", "pg_dump": "18.1"}, "17.10 (Debian)", "17.9")
    assert [note.split(":")[0].split(";")[0] for note in other] == [
        "The set was made on PostgreSQL 17.12",
        "pg_restore 17.9 is older than the server, PostgreSQL 17.10",
        "The set was dumped by pg_dump 18.1",
    ]


def test_a_set_of_an_older_release_names_the_major_version_alone():
    assert of_sets.notes({"server": "17.11", "pg_dump": 17}, "17.11", "17.11") == []


def test_all_parameters_of_a_dump_are_tried_in_one_session(monkeypatch):
    sessions = []

    def connect(self, **_options):
        sessions.append(Connection({"IS NOT NULL": [(True,)]}))
        return sessions[-1]

    monkeypatch.setattr(Database, "connect", connect)
    database = Database("127.0.0.1", 1, "fund", "pms_ops", access="host")
    of_sets.require_known(database, {})
    assert sessions == []
    of_sets.require_known(
        database, {Parameter(SETTING, f"known_{n}", "1"): ["the database"] for n in range(12)}
    )
    assert len(sessions) == 1
    assert len(sessions[0].executed) == 12


class Refusing:
    """A cursor whose server refuses some statements, with its own words."""

    def __init__(self, message: str = "") -> None:
        self.message = message
        self.tried: list[str] = []

    def execute(self, sql, _parameters=None):
        if "SAVEPOINT" not in sql:
            self.tried.append(sql)
            if self.message:
                raise psycopg2.errors.InvalidParameterValue(self.message)

    def fetchone(self):
        return (False,)


UNKNOWN = 'unrecognized parameter "new_one"'
BAD_VALUE = 'invalid value for integer option "fillfactor": x'


@pytest.mark.parametrize(
    ("parameter", "said", "known", "tried"),
    [
        (Parameter(TABLE, "new_one", "1"), UNKNOWN, False, True),
        (Parameter(TABLE, "toast.new_one", "1"), UNKNOWN, False, True),
        (
            Parameter(TABLE, "new_one", "1"),
            'unrecognized attribute parameter "new_one"',
            False,
            True,
        ),
        # Refused for its value: the restore names that with the object.
        (Parameter(TABLE, "fillfactor", "x"), BAD_VALUE, True, True),
        (Parameter(TABLE, "fillfactor", "70"), "", True, True),
        # Of an extension, which the maintenance database has not.
        (Parameter(TABLE, "timescaledb.new_one", "1"), UNKNOWN, True, False),
        # Of an access method that some extension brings.
        (Parameter(INDEX, "lists", "100", "ivfflat"), UNKNOWN, True, False),
        (Parameter(INDEX, "new_one", "1", "gin"), UNKNOWN, False, True),
        (Parameter(COLUMN, "new_one", "1"), UNKNOWN, False, True),
        (Parameter(VIEW, "new_one", "1"), UNKNOWN, False, True),
        (Parameter(SETTING, "timescaledb.new_one", "1"), "", True, False),
    ],
)
def test_a_parameter_is_unknown_where_the_server_says_so_of_it(parameter, said, known, tried):
    cursor = Refusing(said)
    assert of_sets._known(cursor, parameter) is known
    assert bool(cursor.tried) is tried


@pytest.mark.parametrize(
    ("one", "other", "newer"),
    [
        ("18.1", "17.12", True),
        ("17.12", "17.9", True),
        ("17.9", "17.12", False),
        ("17.12", "17.12", False),
        ("16.14", "17.1", False),
        (17, "17.12", False),
    ],
)
def test_newer_is_of_the_major_first(one, other, newer):
    assert versions.newer(one, other) is newer


def test_a_pg_restore_that_is_newer_than_the_dump_is_no_note():
    assert of_sets.notes({"server": "17.12", "pg_dump": "17.9"}, "17.12", "17.12") == []
