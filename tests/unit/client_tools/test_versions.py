# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Versions to the minor, of servers, tools and manifests of all ages."""

from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.client_tools import versions
from ansible.module_utils.pmsops.client_tools.archive_parameters import SETTING, Parameter
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
