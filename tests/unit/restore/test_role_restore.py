# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Roles came back as NOLOGIN, without limit, expiry, settings and memberships: issue 18, A4."""

from __future__ import annotations

from contextlib import contextmanager
from copy import deepcopy
from types import SimpleNamespace

import psycopg2
import pytest
from ansible.module_utils.pmsops.client_tools import globals_sql
from ansible.module_utils.pmsops.restore import role_restore

PLAIN = {
    "superuser": False, "inherit": True, "create_role": False, "create_db": False, "login": False,
    "replication": False, "bypass_rls": False, "connection_limit": -1, "valid_until": None,
    "settings": [], "comment": None, "member_of": {},
}  # fmt: skip
MEMBER = {"admin": False, "inherit": False, "set": True}
ROLES = {
    'odd "one"': PLAIN
    | {
        "login": True,
        "connection_limit": 5,
        "valid_until": "2027-01-01 00:00:00+00",
        "settings": ["search_path=app, public", "statement_timeout=5s"],
        "comment": "the desk's",
        "member_of": {"readers": MEMBER},
    },
    "readers": PLAIN | {"inherit": False},
}
THERE = {'odd "one"', "readers"}


def test_a_role_is_made_with_all_that_it_had():
    assert list(role_restore.statements(ROLES, ROLES)) == [
        'CREATE ROLE "odd ""one""" NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB LOGIN NOREPLICATION'
        " NOBYPASSRLS CONNECTION LIMIT 5 VALID UNTIL '2027-01-01 00:00:00+00'",
        """ALTER ROLE "odd ""one\"\"" SET "search_path" TO 'app', 'public'""",
        """ALTER ROLE "odd ""one\"\"" SET "statement_timeout" TO '5s'""",
        """COMMENT ON ROLE "odd ""one\"\"" IS 'the desk''s'""",
        'CREATE ROLE "readers" NOSUPERUSER NOINHERIT NOCREATEROLE NOCREATEDB NOLOGIN NOREPLICATION'
        " NOBYPASSRLS CONNECTION LIMIT -1",
    ]


@pytest.mark.parametrize(
    ("version", "options"),
    [(170000, " WITH ADMIN FALSE, INHERIT FALSE, SET TRUE"), (150000, "")],
)
def test_memberships_come_back_as_the_server_knows_them(version, options):
    grant = 'GRANT "readers" TO "odd ""one"""' + options
    for created in (['odd "one"'], ["readers"]):
        assert list(role_restore.grants(created, ROLES, THERE, version)) == [grant]
    assert list(role_restore.grants([], ROLES, THERE, version)) == []
    assert list(role_restore.grants(["readers"], ROLES, {"readers"}, version)) == []


def test_each_attribute_setting_and_membership_that_differs_is_named():
    assert role_restore.differences(ROLES, deepcopy(ROLES), THERE) == []
    found = deepcopy(ROLES)
    found['odd "one"'] |= {"login": False, "settings": [], "member_of": {}}
    assert role_restore.differences(ROLES, found, THERE) == [
        'role odd "one": login is False, not True, settings is [], not [\'search_path=app,'
        " public', 'statement_timeout=5s'], is no member of readers"
    ]
    older = deepcopy(ROLES)
    older['odd "one"']["member_of"]["readers"] = {"admin": False, "inherit": None, "set": None}
    assert role_restore.differences(ROLES, older, THERE) == []
    assert role_restore.differences(ROLES, {}, THERE)[1] == "role readers is missing"


def test_globals_sql_of_an_older_set_gives_limit_and_expiry():
    text = (
        "CREATE ROLE trader;\n"
        "ALTER ROLE trader WITH NOSUPERUSER INHERIT LOGIN CONNECTION LIMIT 5"
        " VALID UNTIL '2027-01-01 00:00:00+00';\n"
    )
    assert globals_sql.roles(text) == {"trader": text.splitlines()}


class Server:
    """A server with roles, some of them without a password, that lists what it is given."""

    maintenance_name = "postgres"

    def __init__(self, *lacking):
        self.ran, self.lacking, self.rows = [], list(lacking), []

    @contextmanager
    def session(self, **_options):
        yield self

    def execute(self, sql, params=()):
        self.ran.append((sql, params))
        if "pg_authid" in sql:
            self.rows = [(name,) for name in self.lacking if params[0] is None or name in params[0]]

    def fetchall(self):
        return self.rows

    @property
    def altered(self):
        return [each for each in self.ran if each[0].startswith("ALTER ROLE")]


def given(server, passwords, **options):
    options = {"keep": True, "create_roles": True} | options
    request = SimpleNamespace(role_passwords=passwords, **options)
    required = SimpleNamespace(roles={'odd "one"'}, role_facts=ROLES)
    return role_restore.give_passwords(server, required, request)


def test_a_role_is_given_the_password_of_the_inventory_and_no_log_shows_it():
    server = Server('odd "one"')
    assert given(server, {'odd "one"': "s3cret", "x": "y"}) == []
    assert server.altered == [('ALTER ROLE "odd ""one""" PASSWORD %s', ("s3cret",))]
    assert any("log_statement" in sql for sql, _ in server.ran)
    assert all("s3cret" not in sql for sql, _ in server.ran)


def test_a_repeated_run_gives_the_password_that_the_first_run_was_not_given():
    server = Server('odd "one"')
    assert "Roles without a password: odd" in given(server, {})[0]
    assert server.altered == []
    assert given(server, {'odd "one"': "s3cret"}) == []
    assert len(server.altered) == 1


def test_a_role_that_has_a_password_keeps_it():
    server = Server()
    assert given(server, {'odd "one"': "s3cret"}) == []
    assert server.altered == []


def test_a_role_of_another_database_is_left_alone():
    server = Server("stranger")
    assert given(server, {"stranger": "s3cret"}) == []
    assert server.altered == []


def test_an_empty_password_is_none():
    server = Server('odd "one"')
    assert "restore_role_passwords" in given(server, {'odd "one"': ""})[0]
    assert server.altered == []


def test_a_drill_changes_no_role_of_the_live_server():
    server = Server('odd "one"')
    assert given(server, {'odd "one"': "s3cret"}, keep=False, create_roles=False) == []
    assert server.ran == []


def test_what_cannot_be_asked_is_no_suspect():
    class Refuses(Server):
        def execute(self, sql, params=()):
            raise psycopg2.errors.InsufficientPrivilege

    assert role_restore.suspected(Refuses("a")) == ""
    assert role_restore.suspected(Server()) == ""
    assert "Roles without a password: a, b." in role_restore.suspected(Server("a", "b"))
