# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The phases of a restore: their order, what pg_restore is given, and how they end."""

from __future__ import annotations

from pathlib import Path

import psycopg2
import pytest
from ansible.module_utils.pmsops.client_tools import archive_toc
from ansible.module_utils.pmsops.common import sparing
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.restore import pg_restore_errors, phases, progress_query

from tests.support.recorded_database import RecordedDatabase


def test_a_database_of_any_name_can_be_connected_to():
    assert phases.conninfo("a'b\\c=d") == "dbname='a\\'b\\\\c=d'"


@pytest.mark.parametrize(
    ("cores", "jobs", "alone"), [(2, 2, True), (2, 1, False), (16, 2, False), (1, 1, False)]
)
def test_indexes_are_built_alone_where_the_processes_fill_the_processors(
    monkeypatch, cores, jobs, alone
):
    monkeypatch.setattr(phases.os, "cpu_count", lambda: cores)
    assert ("max_parallel_maintenance_workers" in phases.session_settings(jobs)) == alone


TOC = archive_toc.parse(
    """;     dbname: pms
2; 3079 17156 EXTENSION - timescaledb\x20
15; 2615 17908 SCHEMA - tools owner
3748; 0 17178 TABLE DATA _timescaledb_catalog hypertable postgres
4287; 0 17909 TABLE DATA public book owner
4300; 1259 17910 INDEX public by_name owner
"""
)
ANSWERS = {
    "rolsuper": [("pms_restore",)],
    "extconfig": [("_timescaledb_catalog", "hypertable")],
    "timescaledb.restoring')": [("off",)],
    "pg_relation_size": [("public.book",), ("public.other",)],
    "pg_database_size": [(77,)],
}


class Tools:
    """Client tools that note what pg_restore is started with."""

    def __init__(self):
        self.calls, self.status, self.output, self.stopped = [], 0, "", 0

    def start(self, tool, arguments, *, database, folders, settings):
        listing = next(each for each in arguments if each.startswith("--use-list="))
        entries = Path(listing.partition("=")[2]).read_text()
        self.calls.append((tool, arguments, entries, settings))
        return self

    def watch(self):
        yield

    def wait(self):
        return self.status

    def errors(self):
        return self.output

    def stop(self):
        self.stopped += 1


@pytest.fixture
def restore(tmp_path):
    """A restore of a small archive into a database that answers by a table."""
    database = RecordedDatabase(ANSWERS)
    database.connect = lambda **options: database.connection
    return phases.PhasedRestore(
        target=database,
        dump=tmp_path / "app.pgdump",
        contents=TOC,
        tools=Tools(),
        progress=Progress(),
        scratch=tmp_path,
        extensions={"timescaledb": {"version": "2.19", "schema": "tools", "owner": "owner"}},
    )


def statements(restore):
    return [" ".join(each.split()) for each in restore.target.connection.executed]


def test_the_sections_come_in_their_order_the_extensions_tables_first(restore):
    restore.run()
    sections = [
        (next(each for each in arguments if "--section" in each), "book" in entries)
        for _tool, arguments, entries, _settings in restore.tools.calls
    ]
    assert [section for section, _book in sections] == [
        "--section=pre-data", "--section=data", "--section=data", "--section=post-data",
    ]  # fmt: skip
    assert [book for _section, book in sections[1:3]] == [False, True]
    assert list(restore.progress.seconds) == [
        "extensions", "pre-data", "catalogue", "data", "post-data", "post-restore", "analyze",
        "autovacuum",
    ]  # fmt: skip
    assert restore.tools.stopped == 4


def test_schemas_and_extensions_made_beforehand_are_not_made_by_pg_restore(restore):
    restore.run()
    done = statements(restore)
    schema = 'CREATE SCHEMA IF NOT EXISTS "tools" AUTHORIZATION "owner"'
    extension = (
        'CREATE EXTENSION IF NOT EXISTS "timescaledb" SCHEMA "tools" VERSION \'2.19\' CASCADE'
    )
    assert done.index(schema) < done.index(extension)
    assert done.index(extension) < done.index("SELECT timescaledb_pre_restore()")
    assert done.index("SELECT timescaledb_pre_restore()") < done.index(
        "SELECT timescaledb_post_restore()"
    )
    assert "SCHEMA - tools" not in restore.tools.calls[0][2]


def test_each_table_is_analyzed_once(restore):
    restore.run()
    analyzed = [each for each in statements(restore) if each.startswith("ANALYZE")]
    assert sorted(analyzed) == ["ANALYZE public.book", "ANALYZE public.other"]


def test_pg_restore_acts_as_the_superuser_and_stops_at_its_first_error(restore):
    restore.run()
    for tool, arguments, _entries, settings in restore.tools.calls:
        assert tool == "pg_restore"
        assert {"--role=pms_restore", "--exit-on-error", "--no-password"} <= set(arguments)
        assert settings["synchronous_commit"] == "off"


def test_an_error_of_pg_restore_ends_the_restore_with_all_that_it_said(restore):
    restore.tools.status = 1
    restore.tools.output = (
        "pg_restore: from TOC entry 15; 2615 17908 SCHEMA tools owner\n"
        "pg_restore: error: could not execute query: ERROR:  no\n"
    )
    with pytest.raises(pg_restore_errors.RestoreError, match="SCHEMA tools owner") as caught:
        restore.run()
    assert caught.value.code == "restore.failed"
    assert len(restore.tools.calls) == restore.tools.stopped == 1


def test_warnings_of_a_restore_that_went_well_are_kept(restore):
    restore.tools.output = "pg_restore: warning: something\n\n"
    restore.section("data", [])
    assert restore.warnings == ["pg_restore: warning: something"]


def test_restoring_mode_that_stays_on_is_refused(restore):
    restore.target.connection.answers = ANSWERS | {"timescaledb.restoring')": [("on",)]}
    with pytest.raises(OpsError) as caught:
        restore.end_restoring()
    assert caught.value.code == "restore.restoring"


def test_without_timescaledb_there_is_no_restoring_mode(restore):
    restore.extensions = {}
    restore.run()
    assert not any("timescaledb" in each for each in statements(restore))


def test_a_progress_that_cannot_be_read_is_no_failure(restore, monkeypatch):
    monkeypatch.setattr(sparing, "SHARE", float("inf"))  # each number is read, however slow
    query = progress_query.of_size(restore.target)
    with query:
        assert query.read() == 77
        restore.target.connection.answers = {"pg_database_size": psycopg2.OperationalError("gone")}
        assert query.read() == 0
    assert restore.target.connection.closed
    indexes = progress_query.of_indexes(restore.target)
    restore.target.connect = refuse
    with indexes:
        assert indexes.read() == 0


def refuse(**_options):
    raise OpsError("It is gone.", "Look.", code="database.unreachable")


STATISTICS = archive_toc.parse(
    """;     dbname: pms
4287; 0 17909 TABLE DATA public book owner
4300; 1259 17910 INDEX public by_name owner
4301; 0 0 STATISTICS DATA public book\x20
4302; 0 0 STATISTICS DATA public by_name\x20
"""
)
BY_SERVER = {
    "indexprs IS NOT NULL))": [("public", "book")],
    "IS DISTINCT FROM ((pg_relation_size": [(oid,) for oid in range(450)],
    "WITH RECURSIVE": [("public.other", False), ("_timescaledb_catalog.chunk", True)],
}


def of_version(restore, version, contents):
    restore.target.connection.server_version = version
    restore.target.connection.answers = BY_SERVER | ANSWERS
    restore.contents = contents
    restore.run()
    done = statements(restore)
    return [each for each in done if each.startswith("ANALYZE")], restore.tools.calls[-1]


def test_statistics_of_the_dump_are_taken_and_only_what_lacks_some_is_analyzed(restore):
    analyzed, (tool, arguments, entries, _settings) = of_version(restore, 180006, STATISTICS)
    assert sorted(analyzed) == [
        "ANALYZE ONLY _timescaledb_catalog.chunk",
        "ANALYZE ONLY public.other",
    ]
    assert tool == "pg_restore" and "--exit-on-error" not in arguments
    assert entries == "4301; 0 0 STATISTICS DATA public book \n"
    fitted = [each for each in statements(restore) if each.startswith("SELECT pg_restore_relation")]
    assert len(fitted) == 3  # of 450 relations
    assert restore.notes == [
        "The planner's statistics: 1 entries came with the set; analyzed, since they lacked some:"
        " public.other; and 1 tables of extensions."
    ]
    assert list(restore.progress.seconds)[-3:] == ["statistics", "analyze", "autovacuum"]


def test_refused_statistics_end_no_restore(restore, monkeypatch):
    real = restore.tools.start

    def start(tool, arguments, **options):
        restore.tools.status = int("--exit-on-error" not in arguments)
        restore.tools.output = (
            "pg_restore: error: could not execute query: ERROR:  no such column\n"
            "Command was: SELECT 1\n"
        )
        return real(tool, arguments, **options)

    monkeypatch.setattr(restore.tools, "start", start)
    of_version(restore, 180006, STATISTICS)
    assert restore.notes == [
        "The planner's statistics: 0 entries came with the set, 1 were refused (the first: could"
        " not execute query: ERROR:  no such column); analyzed, since they lacked some:"
        " public.other; and 1 tables of extensions."
    ]


@pytest.mark.parametrize(
    ("version", "contents", "only", "note"),
    [
        (180006, TOC, "ONLY ", ["the set has none"]),
        (170012, STATISTICS, "", ["this server cannot take those of the set"]),
        (170012, TOC, "", []),
    ],
)
def test_without_statistics_that_the_server_takes_every_table_is_analyzed(
    restore, version, contents, only, note
):
    analyzed, (_tool, _arguments, entries, _settings) = of_version(restore, version, contents)
    assert sorted(analyzed) == [f"ANALYZE {only}public.book", f"ANALYZE {only}public.other"]
    assert "STATISTICS" not in entries
    assert restore.notes == [
        f"The planner's statistics: {why}, so every table was analyzed." for why in note
    ]
