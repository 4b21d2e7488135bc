# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commit that dropped a table, found in the WAL; lines of pg_waldump 18 as it printed them."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import damage, engine

NOW = datetime(2026, 11, 29, 18, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
# Table 16385 is truncated, then dropped in a subtransaction; 16388 is dropped; then the database.
WAL = """\
rmgr: Transaction len (rec/tot):    757/   757, tx:        753, lsn: 0/01BAA4A8, prev 0/01BAA460,\
 desc: COMMIT 2026-11-29 17:16:06.252637 UTC; inval msgs: catcache 82 catcache 81
rmgr: Transaction len (rec/tot):    114/   114, tx:        754, lsn: 0/01BAA940, prev 0/01BAA900,\
 desc: COMMIT 2026-11-29 17:16:08.188542 UTC; rels: base/16384/16385; inval msgs: relcache 16385
rmgr: Transaction len (rec/tot):    481/   481, tx:        755, lsn: 0/01BAACC0, prev 0/01BAAC88,\
 desc: COMMIT 2026-11-29 17:16:09.041300 UTC; rels: base/16384/16391; subxacts: 756;\
 dropped stats: 2/16384/16385; inval msgs: catcache 82 catcache 81
rmgr: Transaction len (rec/tot):    473/   473, tx:        757, lsn: 0/01BAB1F8, prev 0/01BAB1C0,\
 desc: COMMIT 2026-11-29 17:16:09.947463 UTC; rels: base/16384/16388 base/16384/16399;\
 dropped stats: 2/16384/16388 2/16384/16399; inval msgs: catcache 82
rmgr: Database    len (rec/tot):     38/    38, tx:        759, lsn: 0/01BCC070, prev 0/01BCBFE0,\
 desc: DROP dir 1663/16384
rmgr: Transaction len (rec/tot):    102/   102, tx:        759, lsn: 0/01BCC098, prev 0/01BCC070,\
 desc: COMMIT 2026-11-29 17:16:11.913152 UTC; dropped stats: 1/16384/0; inval msgs: catcache 21
"""


def entry(oid, *, database=16384, seen=NOW):
    return {"oid": oid, "database": database, "seen": f"{seen:%Y-%m-%dT%H:%M:%SZ}"}


def found(**gone):
    names = {f"public.{name}" if name != "whole" else "": each for name, each in gone.items()}
    done = subprocess.run(
        ["awk", "-v", f"targets={' '.join(damage.keys(names))}", damage.AWK],
        input=WAL, capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip
    assert done.stderr == ""
    return damage.drops(done.stdout, names)


def test_a_dropped_table_is_found_and_a_truncated_one_is_not_taken_for_it():
    (drop,) = found(v=entry(16385))
    assert (drop.table, drop.lsn) == ("public.v", "0/01BAACC0")
    assert drop.at == datetime(2026, 11, 29, 17, 16, 9, 41300, tzinfo=UTC)


def test_tables_that_one_commit_dropped_are_offered_together():
    drops = found(w=entry(16388), x=entry(16399), v=entry(16385))
    said = damage.lines(drops, "fund", " -i prod")
    assert [each.startswith("table") for each in said] == [True, False, False] * 2
    assert said[3].startswith(
        "tables public.w, public.x were dropped at 2026-11-29 14:16:09.947463-03:00"
    )
    assert said[4].endswith("pms-ops -i prod restore --at 0/01BAB1F8")
    assert "--tables public.w,public.x --in-place --confirm fund" in said[5]


def test_the_moment_before_a_dropped_database_is_before_its_files_went():
    (drop,) = found(whole=entry(16388))
    assert drop.lsn == "0/01BCC070"
    said = damage.lines([drop], "fund")
    assert said[0].startswith("database fund was dropped at")
    assert len(said) == 2  # there are no single tables to put back


def test_a_table_of_the_same_number_in_another_database_is_another_one():
    assert found(v=entry(16385, database=16999)) == []


def test_the_reader_can_stand_in_single_quotes():
    assert "'" not in damage.AWK


def test_the_note_keeps_tables_that_are_gone_as_long_as_the_window_reaches():
    keep = timedelta(days=14)
    first = damage.merged({}, [("public.v", 1, 5), ("public.w", 2, 5)], keep, NOW)
    later = damage.merged(first, [("public.w", 2, 5)], keep, NOW + HOUR)
    assert later["public.v"]["seen"] == "2026-11-29T18:00:00Z"
    assert later["public.w"]["seen"] == "2026-11-29T19:00:00Z"
    last = damage.merged(later, [("public.w", 9, 6)], keep, NOW + 15 * 24 * HOUR)
    assert last == {"public.w": entry(9, database=6, seen=NOW + 15 * 24 * HOUR)}


class Server:
    """A server with these tables, or without the database, or down."""

    name, maintenance_name = "fund", "postgres"

    def __init__(self, tables=(), *, there=True, up=True):
        self.tables, self.there, self.up = list(tables), there, up

    def session(self, **_options):
        if not self.up:
            raise OpsError("down", "Start it.", code="database.unreachable")
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        return False

    def execute(self, sql, params=None):
        self.rows = [(1,)] * self.there if "pg_database WHERE datname = %s" in sql else self.tables

    def fetchone(self):
        return self.rows[0] if self.rows else None

    def fetchall(self):
        return self.rows


KNOWN = {"public.v": entry(1), "public.w": entry(2)}


@pytest.mark.parametrize(
    ("server", "gone"),
    [
        (Server([("public.v", 1, 5), ("public.w", 2, 5)]), []),
        (Server([("public.w", 2, 5)]), ["public.v"]),
        (Server([("public.renamed", 1, 5), ("public.w", 2, 5)]), []),
        (Server([("public.v", 71, 6), ("public.w", 72, 6)]), []),
        (Server(there=False), [damage.WHOLE]),
        (Server(up=False), []),
    ],
    ids=["all there", "one gone", "one renamed", "restored", "no database", "down"],
)
def test_only_what_is_really_gone_is_looked_for(server, gone):
    assert list(damage.missing(server, KNOWN)) == gone
    assert damage.missing(server, {}) == {}


def test_the_search_begins_at_a_base_backup_at_which_the_table_was_there():
    backups = tuple(
        engine.BaseBackup(str(age), engine.FULL, engine.DONE, NOW - age * HOUR, 1)
        for age in (72, 48, 1)
    )
    info = engine.Info(backups, (), None, receiving=True)
    assert damage.base(info, NOW - 2 * HOUR).id == "48"
    assert damage.base(info, NOW - 99 * HOUR).id == "72"
    assert damage.base(engine.Info((), (), None, receiving=True), NOW) is None


def test_a_damaged_note_is_none(tmp_path):
    assert damage.read(tmp_path) == {}
    (tmp_path / ".pms-ops").mkdir()
    (tmp_path / ".pms-ops" / damage.NOTE).write_text("[")
    assert damage.read(tmp_path) == {}
