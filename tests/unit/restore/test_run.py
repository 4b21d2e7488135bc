# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json

import pytest
from ansible.module_utils.pmsops.client_tools import archive_toc
from ansible.module_utils.pmsops.restore import (
    pg_restore_errors,
    phases,
    preflight,
    registry,
    staging_database,
)
from ansible.module_utils.pmsops.restore.journal import Journal

LIST = """;
; Archive created at 2026-11-23 03:09:02 UTC
;     dbname: pms
;     Dumped from database version: 17.12 (Debian 17.12-0+deb13u1)
;
2; 3079 17156 EXTENSION - timescaledb\x20
4070; 0 0 COMMENT - EXTENSION timescaledb\x20
15; 2615 17908 SCHEMA - odd one postgres
16; 2615 17909 SCHEMA - odd postgres
3748; 0 17178 TABLE DATA _timescaledb_catalog hypertable postgres
4287; 0 17909 TABLE DATA public hypertable postgres
"""


def test_the_list_of_entries_says_of_what_and_of_which_release_a_dump_is():
    contents = archive_toc.parse(LIST)
    assert contents.database == "pms"
    assert contents.server_major == 17
    assert contents.extensions == ["timescaledb"]
    assert len(contents.lines) == 6


def test_comments_on_extensions_and_schemas_made_beforehand_are_left_out():
    kept = archive_toc.parse(LIST).without(["odd"])
    assert not any(
        "COMMENT - EXTENSION" in line or "SCHEMA - odd postgres" in line for line in kept
    )
    assert any("SCHEMA - odd one" in line for line in kept)


def test_data_entries_are_told_apart_by_schema():
    contents = archive_toc.parse(LIST)
    catalogue = {("_timescaledb_catalog", "hypertable")}
    assert len(contents.data_of(catalogue)) == 1
    assert len(contents.data_not_of(catalogue)) == 5


def test_indexes_and_keys_are_counted():
    keys = """1; 2606 5 CONSTRAINT public t t_pkey owner
2; 1259 6 INDEX public by_name owner
3; 2606 7 FK CONSTRAINT public t t_fkey owner
4; 2606 8 CHECK CONSTRAINT public t positive owner
"""
    assert archive_toc.parse(LIST + keys).indexes == 2


SAID = """pg_restore: while PROCESSING TOC:
pg_restore: from TOC entry 281; 1259 17909 TABLE md macro_user
pg_restore: error: could not execute query: ERROR:  role "macro_user" does not exist
Command was: ALTER TABLE public.md OWNER TO macro_user;

pg_restore: from TOC entry 282; 1259 17909 TABLE other macro_user
pg_restore: error: could not execute query: ERROR:  disk full
"""


def test_each_error_of_pg_restore_is_kept_with_its_object():
    rows = pg_restore_errors.parse(SAID)
    assert [row["object"] for row in rows] == ["TABLE md macro_user", "TABLE other macro_user"]
    assert "does not exist / Command was: ALTER TABLE" in rows[0]["error"]
    error = pg_restore_errors.to_error("pre-data", SAID)
    assert error.rows == rows
    assert "TABLE md macro_user: could not execute" in str(error)
    assert "TABLE other macro_user" in str(error)


def test_a_tool_that_ends_without_a_word_is_an_error_too():
    assert pg_restore_errors.parse("")[0]["error"] == "pg_restore wrote nothing"


def test_a_database_of_any_name_can_be_connected_to():
    assert phases.conninfo("a'b\\c=d") == "dbname='a\\'b\\\\c=d'"


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
    assert staging_database.list_elements(value) == names


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


def test_the_smaller_of_two_disks_decides():
    listed = (
        "Filesystem 1B-blocks Used Available Capacity Mounted on\n"
        "/dev/a 100 50 50 50% /var/lib/postgresql\n/dev/b 100 90 10 90% /wal\n"
    )
    assert preflight.smallest_free(listed) == 10
    assert preflight.smallest_free("df: no such folder\n") is None


def test_the_journal_is_on_disk_before_a_step_begins(tmp_path):
    journal = Journal.open(tmp_path / "restore.json")
    assert journal.state == {}
    journal.record("aside", side="x")
    journal.record("proved")
    again = Journal.open(tmp_path / "restore.json")
    assert again.proved and not again.swapping
    assert again.state["side"] == "x"
    assert [step for step, _ in again.state["steps"]] == ["aside", "proved"]
    again.close()
    assert list(tmp_path.iterdir()) == []


def test_a_journal_that_is_lost_is_read_from_the_databases(tmp_path):
    journal = Journal(tmp_path / "restore.json")
    mark = {"of": "pms", "is": "former", "state": {"step": "rename", "incoming": "x"}}
    found = {
        "a": registry.ManagedDatabase("a", 1, True, None, mark | {"of": "other"}),
        "b": registry.ManagedDatabase("b", 2, True, None, json.loads(json.dumps(mark))),
    }
    journal.load_from_marks(found, "pms")
    assert journal.swapping
    assert journal.state["incoming"] == "x"


@pytest.mark.parametrize(
    ("cores", "jobs", "alone"), [(2, 2, True), (2, 1, False), (16, 2, False), (1, 1, False)]
)
def test_indexes_are_built_alone_where_the_processes_fill_the_processors(
    monkeypatch, cores, jobs, alone
):
    monkeypatch.setattr(phases.os, "cpu_count", lambda: cores)
    assert ("max_parallel_maintenance_workers" in phases.session_settings(jobs)) == alone
