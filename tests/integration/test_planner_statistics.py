# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The planner's statistics of a set, on a server of PostgreSQL 18: taken over, not gathered."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import docker
import pyrage
import pytest
from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.common import progress
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import manifest, sets
from ansible.module_utils.pmsops.restore import phases, planner_statistics, single_tables
from ansible.module_utils.pmsops.restore.plan import plan_restore
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import restore_set

from tests.support import client_tools
from tests.support.server import (
    HAS_TIMESCALEDB,
    POSTGRESQL,
    execute,
    image_of,
    running_server,
)

since_18 = pytest.mark.skipif(POSTGRESQL < 18, reason="statistics are dumped by PostgreSQL 18")

HYPERTABLE = (
    "SELECT create_hypertable('md', 'at', chunk_time_interval => interval '7 days')"
    if HAS_TIMESCALEDB
    else "SELECT 1"
)
SCHEMA = f"""
SET ROLE macro_user;
CREATE TABLE md (id bigserial, at timestamptz NOT NULL, value float8, PRIMARY KEY (id, at));
{HYPERTABLE};
INSERT INTO md (at, value) SELECT t, extract(hour FROM t)
  FROM generate_series(timestamptz '2026-01-01 00:00Z', '2026-04-30 00:00Z', '1 hour') t;
CREATE TABLE book (id int PRIMARY KEY, name text, "Odd ""Name" numeric);
INSERT INTO book SELECT n, 'p' || n % 7, n / 3.0 FROM generate_series(1, 5000) n;
CREATE INDEX book_upper ON book (upper(name));
CREATE TABLE parted (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
INSERT INTO parted SELECT n, date '2026-01-01' + n FROM generate_series(1, 300) n;
CREATE TABLE above (id int); CREATE TABLE below (more text) INHERITS (above);
INSERT INTO below SELECT n, 'x' FROM generate_series(1, 100) n;
CREATE MATERIALIZED VIEW sums AS SELECT at, count(*) FROM parted GROUP BY at;
CREATE TABLE empty (id int);
"""
PLAIN = SCHEMA.replace(HYPERTABLE, "SELECT 1")
ANALYZED = "ANALYZE md; ANALYZE book; ANALYZE parted; ANALYZE above; ANALYZE sums; ANALYZE empty;"
# What was never analyzed, and what pg_dump 18 leaves out.
LACKING = """
SET ROLE macro_user;
CREATE TABLE "Never ""done" (id int, name text);
INSERT INTO "Never ""done" SELECT n, n::text FROM generate_series(1, 1000) n;
CREATE STATISTICS pairs (dependencies) ON id, name FROM book;
"""
OF_USERS = """c.relkind IN ('r', 'p', 'm') AND n.nspname IN ('public', '_timescaledb_internal')
              AND c.relname !~ '^(bgw_|canary)'"""
# All that the planner knows of each column, by name: two databases with the same answer plan alike.
PG_STATS = """
SELECT md5(string_agg(s::text, E'\\n' ORDER BY s::text)) || ' ' || count(*) FROM (
    SELECT schemaname, tablename, attname, inherited, null_frac, avg_width, n_distinct,
           most_common_vals::text, most_common_freqs, histogram_bounds::text, correlation
      FROM pg_stats WHERE schemaname IN ('public', '_timescaledb_internal')
       AND tablename !~ '^(bgw_|canary)') s"""
WITHOUT = f"""
WITH filled AS (SELECT c.oid, c.relkind FROM pg_class c JOIN pg_namespace n
                    ON n.oid = c.relnamespace
                 WHERE {OF_USERS} AND (SELECT count(*) FROM pg_inherits WHERE inhparent = c.oid)
                                      + pg_relation_size(c.oid) > 0)
SELECT 'columns of ' || oid::regclass FROM filled
 WHERE NOT EXISTS (SELECT FROM pg_statistic WHERE starelid = oid)
UNION ALL SELECT 'expression of ' || indexrelid::regclass
  FROM pg_index JOIN filled ON indrelid = oid
 WHERE indexprs IS NOT NULL AND NOT EXISTS (SELECT FROM pg_statistic WHERE starelid = indexrelid)
UNION ALL SELECT 'extended ' || stxname FROM pg_statistic_ext
 WHERE NOT EXISTS (SELECT FROM pg_statistic_ext_data WHERE stxoid = pg_statistic_ext.oid)
 ORDER BY 1"""
COUNTS = f"""
SELECT c.oid::regclass || ' ' || s.analyze_count FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_stat_all_tables s ON s.relid = c.oid
 WHERE {OF_USERS} ORDER BY 1"""
SIZES = f"""
SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE {OF_USERS.replace("'p', ", "")} AND pg_relation_size(c.oid) > 0
   AND (relpages, relallvisible) IS DISTINCT FROM (pg_relation_size(c.oid) / 8192, 0::int)"""


@pytest.fixture
def source(database, host_tools):
    """A database whose tables are all analyzed; the host's own tools start sooner."""
    execute(database, SCHEMA)
    execute(database, ANALYZED)
    return client_tools.reached_from_here(database, host_tools)


@pytest.fixture
def request_(tmp_path):
    return Request(root=tmp_path / "backups", keys=tmp_path / "keys", keep=True)


@pytest.fixture
def restore(server):
    """Restore the newest set; the staging databases go when the test ends."""
    made = []

    def run(database, request):
        result = restore_set(database, request, progress=progress.Progress())
        made.append(result["side"])
        crash_free(request)
        return result

    yield run
    for name in made:
        server.drop(name)


def crash_free(request):
    """Forget that the staging database waits for its swap."""
    for path in sets.state_folder(request.root).glob("restore*.json"):
        path.unlink()


def backed_up(database, request, **settings):
    options = {"root": request.root, "keys": request.keys, "trial": "none"} | settings
    return backup.run(database, backup.Settings(**options), progress=progress.Progress())


def said(result):
    return [each for each in result["notes"] if "planner's statistics" in each]


@since_18
def test_the_planner_knows_of_the_copy_what_it_knew_of_the_source(
    server, source, request_, restore
):
    # Bloated and vacuumed, which the copy is not.
    server.psql("DELETE FROM book WHERE id > 500", source.name)
    server.psql("VACUUM (ANALYZE) book", source.name)
    made = backed_up(source, request_, trial="schema", canary=False)
    assert made["statistics"] is True
    assert made["trial"]["findings"] == []
    assert manifest.read(Path(made["set"]))["dump"]["statistics"] is True
    assert said(plan_restore(source, request_)) == [
        "The planner's statistics come with the set; tables that lack some are analyzed."
    ]
    before = server.psql(PG_STATS, source.name)
    done = restore(source, request_)
    assert done["differences"] == 0
    (line,) = said(done)
    assert "entries came with the set; analyzed, since they lacked some: no table" in line
    side = done["side"]
    assert server.psql(PG_STATS, side) == before
    assert int(before.split()[1]) > 60 if HAS_TIMESCALEDB else 15
    assert server.psql(WITHOUT, side).splitlines() == []
    counts = server.psql(COUNTS, side).splitlines()
    assert counts and {each.rpartition(" ")[2] for each in counts} == {"0"}, counts
    assert server.psql(SIZES, side).splitlines() == []
    plan = server.psql("EXPLAIN SELECT * FROM book", side)
    assert "rows=500 " in plan, plan
    rows = "SELECT count(*) FROM md; SELECT count(*) FROM book; SELECT count(*) FROM parted;"
    assert server.psql(rows, side) == server.psql(rows, source.name) == "2857\n500\n300"


@since_18
def test_what_lacks_statistics_is_analyzed_by_name_and_nothing_else(
    server, source, request_, restore
):
    server.psql(LACKING, source.name)
    backed_up(source, request_)
    done = restore(source, request_)
    (line,) = said(done)
    assert 'public.book, public."Never ""done"' in line
    side = done["side"]
    assert server.psql(WITHOUT, side).splitlines() == []
    counts = dict(each.rpartition(" ")[::2] for each in server.psql(COUNTS, side).splitlines())
    assert {name for name, count in counts.items() if count != "0"} == {
        "book", '"Never ""done"',
    }  # fmt: skip
    assert {counts[name] for name in ("book", '"Never ""done"')} == {"1"}


def test_without_statistics_every_table_is_analyzed_once(server, source, request_, restore):
    server.psql(LACKING, source.name)
    made = backed_up(source, request_, statistics="never")
    assert made["statistics"] is False
    planned, done = plan_restore(source, request_), restore(source, request_)
    newer = POSTGRESQL >= 18
    assert said(planned) == newer * [
        "The planner's statistics: the set has none, so every table will be analyzed."
    ]
    assert said(done) == newer * [
        "The planner's statistics: the set has none, so every table was analyzed."
    ]
    assert server.psql(WITHOUT, done["side"]).splitlines() == []
    counts = server.psql(COUNTS, done["side"]).splitlines()
    assert counts and {each.rpartition(" ")[2] for each in counts} == {"1"}, counts


@since_18
@pytest.mark.parametrize("way", ["custom", "encrypted"])
def test_a_dump_in_one_piece_brings_them_too(server, source, request_, restore, tmp_path, way):
    if way == "encrypted":
        pair = pyrage.x25519.Identity.generate()
        identity = tmp_path / "identity.txt"
        identity.write_text(f"{pair}\n")
        identity.chmod(0o600)
        options = {"recipients": (str(pair.to_public()),)}
        request_ = replace(request_, identity=identity)
    else:
        options = {"format": "custom"}
    backed_up(source, request_, trial="schema", **options)
    done = restore(source, request_)
    assert "entries came with the set" in said(done)[0]
    assert server.psql(PG_STATS, done["side"]) == server.psql(PG_STATS, source.name)


@since_18
def test_an_entry_that_the_server_refuses_ends_no_restore(
    server, source, request_, restore, monkeypatch
):
    real = planner_statistics.PlannerStatistics.entries
    fit = planner_statistics.PlannerStatistics.fit_to_sizes

    def renamed(self, contents):
        found = real(self, contents)
        server.psql("ALTER TABLE below RENAME TO elsewhere", self.target.name)
        return found

    def renamed_back(self):
        server.psql("ALTER TABLE elsewhere RENAME TO below", self.target.name)
        fit(self)

    monkeypatch.setattr(planner_statistics.PlannerStatistics, "entries", renamed)
    monkeypatch.setattr(planner_statistics.PlannerStatistics, "fit_to_sizes", renamed_back)
    backed_up(source, request_, canary=False)
    done = restore(source, request_)
    (line,) = said(done)
    assert "1 were refused (the first: could not execute query: ERROR:  relation" in line, line
    assert "analyzed, since they lacked some: public.below" in line
    assert server.psql(WITHOUT, done["side"]).splitlines() == []


@since_18
def test_no_proof_trusts_statistics(server, source, request_, restore, monkeypatch):
    # They say of the source that book has a million rows with one name.
    server.psql(
        "SELECT pg_restore_relation_stats('schemaname', 'public', 'relname', 'book',"
        " 'relpages', 1, 'reltuples', 1e6::real)",
        source.name,
    )
    server.psql(
        "SELECT pg_restore_attribute_stats('schemaname', 'public', 'relname', 'book', 'attname',"
        " 'name', 'inherited', false, 'null_frac', 0.9::real, 'n_distinct', 1::real)",
        source.name,
    )
    backed_up(source, request_)
    assert restore(source, request_)["differences"] == 0
    real = phases.PhasedRestore.analyze

    def lose_a_row(self):
        real(self)
        server.psql("DELETE FROM book WHERE id = 7", self.target.name)

    monkeypatch.setattr(phases.PhasedRestore, "analyze", lose_a_row)
    with pytest.raises(OpsError, match=r"public\.book") as caught:
        restore(source, request_)
    assert caught.value.code == "restore.different"


def test_a_table_that_is_restored_by_itself_is_analyzed(server, source, request_):
    """With its indexes: what an expression of one gives was sampled before there was an index."""
    server.psql(LACKING, source.name)
    backed_up(source, request_)
    wish = single_tables.TableRequest.parse(["public.book"], "night")
    done = single_tables.run(source, request_, wish, progress=progress.Progress())
    assert [each["rows"] for each in done["tables"]] == [5000]
    # The tables of the test themselves lack some.
    lacking = WITHOUT.replace("'public', '_timescaledb_internal'", "'night'").replace(
        "FROM pg_statistic_ext\n", "FROM pg_statistic_ext JOIN filled ON stxrelid = filled.oid\n"
    )
    assert server.psql(lacking, source.name).splitlines() == []
    assert "night.book 1" in server.psql(COUNTS.replace("'public'", "'night'"), source.name)


@since_18
def test_an_older_server_takes_none_and_analyzes(host_tools, tmp_path, restore):
    """pg_dump 18 writes statistics of any server; one of 17 has no function that takes them."""
    older = image_of(17)
    if docker.from_env().images.list(older) == []:
        pytest.skip(f"there is no image {older}")
    with running_server(major=17) as server:
        database = client_tools.reached_from_here(
            server.create("older", timescaledb=False), host_tools
        )
        server.psql(PLAIN, database.name)
        request = Request(root=tmp_path / "backups", keys=tmp_path / "keys", keep=True)
        assert backed_up(database, request)["statistics"] is False
        with pytest.raises(OpsError, match="the server is 17") as caught:
            backed_up(database, request, statistics="always")
        assert caught.value.code == "backup.statistics"
        bare = tmp_path / "older.pgdump"
        subprocess.run(
            [host_tools / "pg_dump", "-Fc", "--statistics", f"--file={bare}", database.name],
            env=server.environment("postgres", server.password),
            check=True,
            timeout=120,
        )
        request = replace(request, file=bare)
        assert said(plan_restore(database, request)) == [
            "The planner's statistics: this server cannot take those of the set, so every table"
            " will be analyzed."
        ]
        done = restore_set(database, request, progress=progress.Progress())
        assert said(done) == [
            "The planner's statistics: this server cannot take those of the set, so every table"
            " was analyzed."
        ]
        assert server.psql(WITHOUT, done["side"]).splitlines() == []
        assert server.psql("SELECT count(*) FROM book", done["side"]) == "5000"
