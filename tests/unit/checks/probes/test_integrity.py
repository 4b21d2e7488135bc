# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The integrity probe, kind whole: against a set, in the catalogue, page by page, by amcheck."""

from __future__ import annotations

import json

import psycopg2
import psycopg2.errors
import pytest
from ansible.module_utils.pmsops.checks.probes import Failed, Overdue, Unanswerable, integrity
from ansible.module_utils.pmsops.client_tools import pg_amcheck
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import integrity as database_integrity
from ansible.module_utils.pmsops.repository import manifest, sets

from tests.support.recorded_database import connected, soon


def ask(monkeypatch, params, seconds=3.0, answers=None, **settings):
    context, connection = connected(monkeypatch, answers or {}, **settings)
    return integrity.ask(params, context, soon(seconds)), connection


def backup_set(root, name, database="fund", verified=False):
    folder = root / name
    folder.mkdir(parents=True)
    document = {
        "schema_version": 1,
        "id": name,
        "database_name": database,
        "snapshot_at": "2026-11-23T06:00:00Z",
        **{key: {} for key in manifest.REQUIRED[3:-1]},
        "files": {},
    }
    (folder / "manifest.json").write_text(json.dumps(document))
    if verified:
        sets.mark_verified(folder, {"rows": 1})


def compared(monkeypatch):
    """Have the comparison say which set it was given."""
    monkeypatch.setattr(
        database_integrity,
        "missing_tables",
        lambda cursor, document: {"missing_tables": [document["id"]], "fewer_chunks": []},
    )


def test_the_newest_verified_set_of_this_database_is_the_measure(monkeypatch, tmp_path):
    compared(monkeypatch)
    backup_set(tmp_path, "2026-11-20_0600", verified=True)
    backup_set(tmp_path, "2026-11-21_0600")
    backup_set(tmp_path, "2026-11-22_0600", database="other", verified=True)
    (tmp_path / "2026-11-23_0600").mkdir()
    (tmp_path / "2026-11-23_0600" / "manifest.json").write_text("{")
    found, connection = ask(monkeypatch, {"about": "set"}, backup_root=str(tmp_path))
    assert found["set"] == found["missing_tables"] == "2026-11-20_0600"
    assert found["fewer_chunks"] is None
    assert connection.rollbacks == 1


def test_no_set_before_the_newest_verified_one_is_read(monkeypatch, tmp_path):
    compared(monkeypatch)
    for day in range(10, 21):
        backup_set(tmp_path, f"2026-11-{day}_0600", verified=True)
    backup_set(tmp_path, "2026-11-21_0600")
    read, plain = [], manifest.read
    monkeypatch.setattr(manifest, "read", lambda folder: read.append(folder.name) or plain(folder))
    ask(monkeypatch, {"about": "set"}, backup_root=str(tmp_path))
    assert sorted(set(read)) == ["2026-11-20_0600", "2026-11-21_0600"]


def test_without_a_verified_set_the_newest_one_is(monkeypatch, tmp_path):
    compared(monkeypatch)
    backup_set(tmp_path, "2026-11-20_0600")
    backup_set(tmp_path, "2026-11-21_0600")
    assert ask(monkeypatch, {"about": "set"}, backup_root=str(tmp_path))[0]["set"].startswith(
        "2026-11-21"
    )


def test_without_any_set_there_is_nothing_to_compare_with(monkeypatch, tmp_path):
    found, _ = ask(monkeypatch, {"about": "set"}, backup_root=str(tmp_path))
    assert set(found.values()) == {None}


def test_contradictions_of_the_catalogue_come_as_one_line(monkeypatch):
    found = [f"t{number}: lost" for number in range(7)]
    monkeypatch.setattr(database_integrity, "catalogue_contradictions", lambda cursor: found)
    answer, _ = ask(monkeypatch, {"about": "catalogue"})
    assert answer == {
        "contradictions": "t0: lost, t1: lost, t2: lost, t3: lost, t4: lost and 2 more"
    }


def test_jobs_that_failed_and_those_only_recorded_as_failed_come_as_lines(monkeypatch):
    answers = {
        "job_stats') IS NULL": [(False,)],
        "job_errors') IS NOT NULL": [(True,)],
        "last_run_status = 'Failed'": [(1001, "of_the_pms", None, None, None, None)],
        "SELECT err_message": [("division by zero",)],
    }
    answer, _ = ask(monkeypatch, {"about": "jobs"}, answers=answers)
    assert answer == {"failed": "1001 of_the_pms: division by zero", "recorded_as_failed": None}


def test_damaged_pages_are_named_and_the_time_for_the_answer_is_kept(monkeypatch):
    def read(connection, tables, *, deadline):
        assert tables == ["signals"]
        return {"read": 3, "of": 4, "damaged": ["public.signals: invalid page"], "left": deadline}

    monkeypatch.setattr(database_integrity, "unreadable_tables", read)
    found, _ = ask(monkeypatch, {"about": "pages", "tables": ["signals"]})
    assert (found["read"], found["damaged"]) == (3, "public.signals: invalid page")


@pytest.mark.parametrize(
    ("error", "raised", "says"),
    [
        (psycopg2.errors.QueryCanceled("x"), Overdue, "the time was over"),
        (psycopg2.OperationalError("gone"), Failed, "broke the connection: gone"),
        (psycopg2.ProgrammingError("no column"), Failed, "catalogue cannot be read: no column"),
    ],
    ids=["time", "connection", "catalogue"],
)
def test_what_cannot_be_read_is_unknown_or_failed(monkeypatch, error, raised, says):
    def refuse(cursor):
        raise error

    monkeypatch.setattr(database_integrity, "catalogue_contradictions", refuse)
    with pytest.raises(raised, match=says):
        ask(monkeypatch, {"about": "catalogue"})


def test_an_unknown_subject_is_refused(monkeypatch):
    with pytest.raises(Unanswerable, match="about: soul is not one of"):
        ask(monkeypatch, {"about": "soul"})


def test_pg_amcheck_runs_only_when_asked(monkeypatch):
    monkeypatch.setattr(pg_amcheck, "damaged", lambda database: 1 / 0)
    found, _ = ask(monkeypatch, {"about": "amcheck"})
    assert found == {"asked": False, "damaged": None}


def test_pg_amcheck_names_the_damage(monkeypatch):
    monkeypatch.setattr(pg_amcheck, "damaged", lambda database: ["index x lacks a tuple"])
    found, _ = ask(monkeypatch, {"about": "amcheck", "asked": True})
    assert found == {"asked": True, "damaged": "index x lacks a tuple"}


def refused(database):
    raise OpsError("The extension is missing.", "Create it.", code="verify.amcheck")


def slow(database):
    import time

    time.sleep(1)
    return []


@pytest.mark.parametrize(
    ("damaged", "raised", "says"),
    [
        (refused, Unanswerable, "extension is missing"),
        (slow, Overdue, "did not end in time"),
    ],
)
def test_pg_amcheck_that_fails_or_takes_too_long_leaves_it_unknown(
    monkeypatch, damaged, raised, says
):
    monkeypatch.setattr(pg_amcheck, "damaged", damaged)
    with pytest.raises(raised, match=says):
        ask(monkeypatch, {"about": "amcheck", "asked": True}, seconds=0.8)
