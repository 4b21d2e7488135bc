# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The statements that make a staging database what the backed-up one was."""

from __future__ import annotations

from contextlib import nullcontext
from io import BytesIO

import psycopg2.errors
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import list_settings
from ansible.module_utils.pmsops.repository import encryption
from ansible.module_utils.pmsops.restore import staging_database

from tests.support.fake_server import Server


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ('"$user", public', ["$user", "public"]),
        ('public, "odd, one", "a""b"', ["public", "odd, one", 'a"b']),
        ("", []),
        ('""', [""]),
    ],
)
def test_the_names_of_a_list_setting_are_quoted_one_by_one(value, names):
    assert list_settings.elements(value) == names


def test_settings_become_statements_for_database_and_roles():
    made = staging_database.setting_statements(
        "x",
        {
            "": ['search_path="$user", public', "work_mem=8MB", "timescaledb.restoring=on"],
            "r": ["app.name=a=b"],
        },
    )
    assert made == [
        "ALTER DATABASE \"x\" SET \"search_path\" TO '$user', 'public'",
        'ALTER DATABASE "x" SET "work_mem" TO \'8MB\'',
        'ALTER ROLE "r" IN DATABASE "x" SET "app"."name" TO \'a=b\'',
    ]


@pytest.mark.parametrize(
    ("described", "wanted"),
    [
        ({"provider": "c", "collate": "C", "ctype": "C"}, "LOCALE_PROVIDER libc"),
        (
            {"provider": "i", "collate": "C", "ctype": "C", "locale": "pt", "icu_rules": "&a<b"},
            "ICU_RULES '&a<b'",
        ),
        ({"provider": "b", "collate": "C", "ctype": "C", "locale": "C"}, "BUILTIN_LOCALE 'C'"),
    ],
)
def test_each_kind_of_locale_is_asked_for(described, wanted):
    assert wanted in staging_database.locale_options(described)


@pytest.fixture
def executed(monkeypatch):
    """The statements that would be run on the server."""
    statements = []
    monkeypatch.setattr(
        staging_database, "execute", lambda live, several: statements.extend(several)
    )
    return statements


GLOBALS = """CREATE ROLE owner;
ALTER ROLE owner WITH NOSUPERUSER LOGIN;
CREATE ROLE "odd one";
"""


def test_missing_roles_are_created_as_globals_sql_describes_them(tmp_path, executed):
    (tmp_path / "globals.sql").write_text(GLOBALS)
    live = Server("pms").database("pms")
    staging_database.create_roles(live, ["owner"], tmp_path)
    assert executed == ["CREATE ROLE owner;", "ALTER ROLE owner WITH NOSUPERUSER LOGIN;"]
    executed.clear()
    staging_database.create_roles(live, [], tmp_path)
    assert executed == []


def test_an_encrypted_globals_sql_is_read_with_the_identity(tmp_path, executed, monkeypatch):
    (tmp_path / "globals.sql.age").write_bytes(b"encrypted")
    monkeypatch.setattr(
        encryption, "decrypted", lambda path, identity: nullcontext(BytesIO(GLOBALS.encode()))
    )
    live = Server("pms").database("pms")
    staging_database.create_roles(live, ["odd one"], tmp_path, tmp_path / "identity")
    assert executed == ['CREATE ROLE "odd one";']


@pytest.mark.parametrize("text", [None, "CREATE ROLE other;\n"], ids=["no file", "other role"])
def test_a_role_that_globals_sql_does_not_describe_is_refused(tmp_path, executed, text):
    if text:
        (tmp_path / "globals.sql").write_text(text)
    with pytest.raises(OpsError) as caught:
        staging_database.create_roles(Server("pms").database("pms"), ["owner"], tmp_path)
    assert caught.value.code == "restore.roles"
    assert executed == []


DESCRIBED = {
    "encoding": "UTF8",
    "owner": "macro_user",
    "provider": "c",
    "collate": "C",
    "ctype": "C",
}


def test_a_staging_database_is_marked_as_soon_as_it_is_there():
    server = Server("pms")
    staging_database.create(server.database("pms"), "new", DESCRIBED, 'pms-ops: {"is": "copy"}')
    assert server.mark("new") == {"is": "copy"}
    (statement,) = (each for _name, each in server.statements if each.startswith("CREATE"))
    assert "TEMPLATE template0 ENCODING 'UTF8' OWNER \"macro_user\"" in statement
    staging_database.drop(server.database("pms"), "new")
    staging_database.drop(server.database("pms"), "new")
    assert list(server.databases) == ["pms"]


def test_a_locale_that_the_server_lacks_is_explained():
    server = Server("pms")

    def refuse(statement):
        if statement.startswith("CREATE DATABASE"):
            raise psycopg2.errors.WrongObjectType('invalid LC_COLLATE locale name: "xx_XX"')

    server.before = refuse
    with pytest.raises(OpsError, match="xx_XX") as caught:
        staging_database.create(server.database("pms"), "new", DESCRIBED, "")
    assert caught.value.code == "restore.locale"
