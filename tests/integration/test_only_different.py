# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A restore of what differs: which tables it chooses, how it exchanges them, and its way back."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

import psycopg2
import pytest
from ansible.module_utils.pmsops.approvals import documents, people
from ansible.module_utils.pmsops.approvals.consent import Consent
from ansible.module_utils.pmsops.common import progress
from ansible.module_utils.pmsops.common.errors import BrokenProofError, OpsError
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.restore import (
    registry,
    room,
    row_versions,
    table_definitions,
    table_lock,
    table_place,
    tables_record,
    tables_rollback,
    warm_copy,
)
from ansible.module_utils.pmsops.restore.only_different import FROM_FILES, OnlyDifferent
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import restore_set
from ansible.module_utils.pmsops.verify import against_set
from ansible.module_utils.pmsops.verify.row_comparison import OfFingerprints

from tests.support import patterns
from tests.support.server import HYPERTABLE, execute, needs_timescaledb

SCHEMA = f"""
SET ROLE macro_user;
CREATE TABLE md (id bigserial, at timestamptz NOT NULL, value float8, PRIMARY KEY (id, at));
{HYPERTABLE}
INSERT INTO md (at, value) SELECT t, extract(epoch FROM t)
  FROM generate_series(timestamptz '2026-01-01', '2026-04-30', '3 hours') t;
CREATE TABLE book (id bigserial PRIMARY KEY, name text NOT NULL, is_open bool, CHECK (id > 0));
INSERT INTO book (name, is_open) SELECT 'p' || n, n % 2 = 0 FROM generate_series(1, 100) n;
CREATE TABLE journal (id int PRIMARY KEY, position bigint REFERENCES book);
INSERT INTO journal SELECT n, n FROM generate_series(1, 10) n;
CREATE TABLE fills (number int, price float8);
INSERT INTO fills SELECT n, n / 7.0 FROM generate_series(1, 50) n;
CREATE TABLE parted (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
INSERT INTO parted VALUES (1, '2026-02-01'), (2, '2026-08-01');
CREATE INDEX by_name ON book (name);
CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER guard BEFORE INSERT ON md FOR EACH ROW EXECUTE FUNCTION guard();
CREATE VIEW open_positions AS SELECT * FROM book WHERE is_open;
GRANT SELECT ON book TO pg_monitor;
"""


@pytest.fixture(scope="module", autouse=True)
def large_disk():
    """The server's disk cannot be seen from this host."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "free_bytes", lambda cursor, database: 10**12)
        yield patch


@pytest.fixture(scope="module")
def pattern(server, tmp_path_factory, host_tools):
    with patterns.database_and_set(
        server, tmp_path_factory.mktemp("only"), SCHEMA, access="host", bin_dir=str(host_tools)
    ) as made:
        yield made


@pytest.fixture
def filled(pattern):
    with pattern.database() as database:
        yield database


@pytest.fixture
def request_(pattern, tmp_path):
    pattern.set_below(tmp_path)
    return Request(
        root=tmp_path / "backups", keys=tmp_path / "keys", keep=True, evidence=tmp_path / "evidence"
    )


def only(database, request, **options):
    return OnlyDifferent(database, replace(request), progress.Progress(), **options)


def value(database, sql):
    with database.session(read_only=True) as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def tables_of(result):
    return [each["table"] for each in result["different"]]


def against(database, request):
    """What differs from the set, without the schemas of former tables."""
    found = against_set.against(database, root=request.root, keys=request.keys, shown=100)
    return [line for line in found["differences"] if "pms_ops_" not in line]


def schemas(database):
    sql = "SELECT coalesce(string_agg(nspname, ',' ORDER BY 1), '') FROM pg_namespace"
    return value(database, f"{sql} WHERE nspname ~ '^pms_ops_'")


def roll_back(database, request, **options):
    consent = options.get("consent", Consent())
    return tables_rollback.run(database, request.root, request.evidence, consent)


def no_leftovers(database, request):
    names = registry.read_from(database)
    assert [n for n in names if n.startswith(f"{database.name}__restore")] == []
    assert not (request.root / ".pms-ops" / "restore.json").exists()


def test_where_nothing_differs_nothing_is_done(filled, request_):
    result = only(filled, request_).run()
    assert not result["changed"] and result["different"] == [] and result["left"] == []
    assert schemas(filled) == ""


def test_damaged_tables_come_back_and_only_they_and_the_rollback_brings_the_former(
    filled, request_
):
    execute(
        filled,
        "UPDATE book SET name = 'x' WHERE id > 50; DELETE FROM fills; DROP TABLE journal;"
        "DELETE FROM parted WHERE id = 2",
    )
    damaged = against(filled, request_)
    planned = only(filled, request_).plan()
    assert tables_of(planned) == [
        "public.book", "public.fills", "public.journal", "public.parted"
    ]  # fmt: skip
    texts = [each["text"] for each in planned["different"]]
    assert texts[0].startswith("public.book: 100 rows, 100 in the set")
    assert texts[1].startswith("public.fills: 0 rows, 50 in the set")
    assert texts[2].startswith("public.journal: missing, 10 in the set")
    assert schemas(filled) == "" and against(filled, request_) == damaged
    kept = value(filled, "SELECT 'md'::regclass::oid::int8")
    result = only(filled, request_).run()
    assert against(filled, request_) == []
    assert value(filled, "SELECT 'md'::regclass::oid::int8") == kept
    assert result["source"] == FROM_FILES and result["written_since"] == []
    assert result["negative_control"]["outcome"] == "found"
    schema = result["former_schema"]
    assert value(filled, f"SELECT count(*) FROM {schema}.book WHERE name = 'x'") == 50
    assert value(filled, "SELECT count(*) FROM open_positions") == 50
    with pytest.raises(psycopg2.errors.ForeignKeyViolation):
        execute(filled, "DELETE FROM book WHERE id = 1")
    (line,) = ledger.inspect(request_.evidence).entries
    assert line["record"]["former_schema"] == schema
    again = only(filled, request_).run()
    assert not again["changed"] and again["left"] == []
    # And back.
    assert tables_rollback.plan(filled, request_.root, request_.evidence, Consent())["changed"]
    assert roll_back(filled, request_)["rolled_back"] == schema
    assert against(filled, request_) == damaged
    second = roll_back(filled, request_)
    assert second["last"] and not second["changed"]
    kinds = [each["kind"] for each in ledger.inspect(request_.evidence).entries]
    assert kinds == ["restore", "rollback"]
    no_leftovers(filled, request_)


@needs_timescaledb
def test_a_hypertable_comes_back_by_its_chunks(filled, request_):
    execute(
        filled,
        "UPDATE md SET value = 0 WHERE at >= '2026-02-01' AND at < '2026-02-03';"
        "INSERT INTO md (at, value) VALUES ('2027-01-01', 7);"
        "SELECT drop_chunks('md', older_than => timestamptz '2026-01-15')",
    )
    damaged = against(filled, request_)
    number = "SELECT id FROM _timescaledb_catalog.hypertable WHERE table_name = 'md'"
    before, rows = value(filled, number), value(filled, "SELECT count(*) FROM md")
    result = only(filled, request_).run()
    (one,) = result["different"]
    assert one["table"] == "public.md" and len(one["chunks"]) == 3
    assert against(filled, request_) == ["sequences: public.md_id_seq has last_value 954, not 953"]
    assert result["sequences_ahead"] == ["public.md_id_seq"]
    assert value(filled, number) == before
    trigger = "SELECT tgenabled::text FROM pg_trigger WHERE tgname = 'guard' AND tgrelid = '{}'"
    assert value(filled, trigger.format("md") + "::regclass") == "O"
    assert not only(filled, request_).run()["changed"]
    roll_back(filled, request_)
    assert value(filled, "SELECT count(*) FROM md") == rows
    assert value(filled, "SELECT value FROM md WHERE at = '2027-01-01'") == 7
    assert against(filled, request_) == damaged


@needs_timescaledb
def test_a_hypertable_that_was_dropped_comes_back_whole(filled, request_):
    execute(filled, "DROP TABLE md")
    result = only(filled, request_).run()
    assert tables_of(result) == ["public.md"] and against(filled, request_) == []


@needs_timescaledb
def test_a_hypertable_of_another_definition_is_brought_as_a_whole(filled, request_):
    """Its number, and so the prefix of its chunks, is another than in the set."""
    execute(filled, "SELECT set_chunk_time_interval('md', interval '90 days')")
    damaged = against(filled, request_)
    (one,) = only(filled, request_).run()["different"]
    assert one["table"] == "public.md" and not one["chunks"]
    assert against(filled, request_) == []
    roll_back(filled, request_)
    assert against(filled, request_) == damaged


def test_the_rows_come_from_the_warm_copy_which_stays(filled, request_):
    drill = replace(request_, keep=False, warm=True)
    kept = restore_set(filled, drill, progress=progress.Progress())["warm_kept"]
    execute(
        filled,
        "UPDATE book SET name = 'x'; DROP TABLE journal; UPDATE md SET value = 1 WHERE id = 7",
    )
    assert only(filled, request_).plan()["source"] == kept
    result = only(filled, request_).run()
    assert result["source"] == kept and against(filled, request_) == []
    found = registry.read_from(filled)[kept]
    assert not found.open
    # As the drill left it: a whole restore still uses it.
    execute(filled, "UPDATE book SET name = 'y'")
    whole = restore_set(filled, replace(request_), progress=progress.Progress())
    assert whole["warm_used"] == kept


def test_a_warm_copy_whose_tables_a_killed_run_left_in_transit_is_whole_again(filled, request_):
    drill = replace(request_, keep=False, warm=True)
    kept = restore_set(filled, drill, progress=progress.Progress())["warm_kept"]
    with warm_copy.opened(filled, kept):
        names = [("public", "book"), ("public", "journal")]
        table_definitions.into_transit(filled.named(kept), names, noted=True)
    assert registry.read_from(filled)[kept].open  # as after a kill
    said = warm_copy.settle(filled, request_.root)
    assert any("have their names again" in each for each in said)
    assert not registry.read_from(filled)[kept].open
    execute(filled, "UPDATE book SET name = 'x'")
    assert only(filled, request_).run()["source"] == kept


def test_a_warm_copy_that_was_changed_is_said_and_the_files_are_taken(filled, request_, server):
    drill = replace(request_, keep=False, warm=True)
    kept = restore_set(filled, drill, progress=progress.Progress())["warm_kept"]
    server.psql(f"ALTER DATABASE {kept} ALLOW_CONNECTIONS true")
    server.psql("UPDATE book SET name = 'other' WHERE id = 3", kept)
    execute(filled, "UPDATE book SET name = 'x'")
    result = only(filled, request_).run()
    assert result["source"] == FROM_FILES and against(filled, request_) == []
    assert any(f"The warm copy {kept} is not used" in each for each in result["warnings"])
    assert not registry.read_from(filled)[kept].open


def test_only_named_tables_are_brought_and_what_is_no_table_is_named_and_left(filled, request_):
    execute(
        filled,
        "UPDATE book SET name = 'x'; DELETE FROM fills; CREATE TABLE public.later (id int);"
        "CREATE OR REPLACE FUNCTION public.guard() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN END'",
    )
    result = only(filled, request_, named=["fills"]).run()
    assert tables_of(result) == ["public.fills"]
    said = " ".join(result["left"])
    assert "public.book" in said and "public.later" in said and "public.guard()" in said
    assert value(filled, "SELECT count(*) FROM fills") == 50
    assert value(filled, "SELECT count(*) FROM book WHERE name = 'x'") == 100
    assert result["written_since"] == []


def test_a_table_that_others_hold_on_to_is_refused_by_name(filled, request_):
    execute(
        filled,
        "CREATE MATERIALIZED VIEW names AS SELECT name FROM book; UPDATE book SET name = 'x'",
    )
    for act in (only(filled, request_).plan, only(filled, request_).run):
        with pytest.raises(OpsError, match="materialized view names") as caught:
            act()
        assert caught.value.code == "restore.in-place"
    assert schemas(filled) == ""
    no_leftovers(filled, request_)


def test_a_key_that_would_break_refuses_the_exchange_by_name(filled, request_, monkeypatch):
    execute(filled, "DELETE FROM book WHERE id > 90")
    real = table_place._locked

    def referring(cursor, *options):
        execute(
            filled, "INSERT INTO book VALUES (500, 'new'); INSERT INTO journal VALUES (99, 500)"
        )
        monkeypatch.setattr(row_versions.RowVersions, "written", lambda *_a, **_b: [])
        return real(cursor, *options)

    monkeypatch.setattr(table_place, "_locked", referring)
    with pytest.raises(OpsError, match="journal_position_fkey") as caught:
        only(filled, request_).run()
    assert caught.value.code == "restore.in-place"
    assert schemas(filled) == "" and value(filled, "SELECT count(*) FROM book") == 91


@pytest.mark.parametrize("late", ["UPDATE book SET name = 'late' WHERE id = 1",
                                  "DELETE FROM book WHERE id = 100",
                                  "ALTER TABLE book DROP COLUMN is_open CASCADE"])  # fmt: skip
def test_a_write_after_the_comparison_is_noticed_and_nothing_is_changed(
    filled, request_, monkeypatch, late
):
    execute(filled, "UPDATE book SET name = 'x'")
    real = table_place._locked

    def written(cursor, *options):
        execute(filled, late)
        return real(cursor, *options)

    monkeypatch.setattr(table_place, "_locked", written)
    with pytest.raises(OpsError, match="book was written to since") as caught:
        only(filled, request_).run()
    assert caught.value.code == "restore.written-meanwhile"
    assert schemas(filled) == "" and value(filled, "SELECT max(name) FROM book") == "x"
    no_leftovers(filled, request_)


def test_what_clients_write_elsewhere_meanwhile_is_said_and_stays(filled, request_, monkeypatch):
    execute(filled, "UPDATE book SET name = 'x'")
    real = table_place._locked

    def written(cursor, *options):
        execute(filled, "INSERT INTO fills VALUES (51, 1); UPDATE fills SET price = price")
        return real(cursor, *options)

    monkeypatch.setattr(table_place, "_locked", written)
    result = only(filled, request_).run()
    assert [line for line in result["written_since"] if "public.fills" in line]
    assert value(filled, "SELECT count(*) FROM fills") == 51
    assert value(filled, "SELECT count(*) FROM book WHERE name = 'x'") == 0


def test_a_table_that_is_in_use_is_waited_for_in_short_attempts(filled, request_, monkeypatch):
    monkeypatch.setattr(table_lock, "ATTEMPT_SECONDS", 1)
    execute(filled, "UPDATE book SET name = 'x'")
    reader = filled.connect()
    reader.cursor().execute("SELECT 1 FROM book")
    waited = []

    def pause(seconds):
        waited.append(seconds)
        reader.rollback()

    monkeypatch.setattr(table_lock, "pause", pause)
    only(filled, request_).run()
    reader.close()
    assert len(waited) == 1 and against(filled, request_) == []
    # Whoever never lets go: refused, and nothing is changed.
    execute(filled, "UPDATE book SET name = 'x'")
    reader = filled.connect()
    reader.cursor().execute("SELECT 1 FROM book")
    monkeypatch.setattr(table_lock, "pause", lambda _seconds: None)
    monkeypatch.setattr(table_lock, "ATTEMPTS", 2)
    with pytest.raises(OpsError, match="used the live tables"):
        only(filled, request_).run()
    reader.close()
    assert value(filled, "SELECT min(name) FROM book") == "x"


def test_a_proof_that_cannot_fail_brings_nothing(filled, request_, monkeypatch):
    execute(filled, "UPDATE book SET name = 'x'")
    monkeypatch.setattr(OfFingerprints, "again", lambda self, cursor, key: [])
    with pytest.raises(BrokenProofError):
        only(filled, request_).run()
    assert schemas(filled) == ""
    no_leftovers(filled, request_)


def test_an_exchange_without_a_line_in_the_ledger_gets_one_from_the_next_run(
    filled, request_, monkeypatch
):
    execute(filled, "UPDATE book SET name = 'x'")
    with monkeypatch.context() as patch:
        patch.setattr(tables_record, "write", lambda *_: [])
        schema = only(filled, request_).run()["former_schema"]
    assert ledger.records(request_.evidence) == []
    (said,) = only(filled, request_).run()["warnings"]
    assert schema in said
    (line,) = ledger.records(request_.evidence)
    assert line["record"]["seen_later"] and line["record"]["tables"] == ["book"]


def test_a_rollback_is_of_the_tables_only_if_they_were_changed_last(filled, request_):
    assert not roll_back(filled, request_)["last"]
    execute(filled, "UPDATE book SET name = 'x'")
    only(filled, request_).run()
    time.sleep(1.1)  # a schema of former tables has the second in its name
    ledger.append(request_.evidence, "restore", {"set": "x", "former": "y"}, now=datetime.now(UTC))
    assert not roll_back(filled, request_)["last"]
    assert value(filled, "SELECT count(*) FROM book WHERE name = 'x'") == 0


def test_a_second_person_has_to_approve_the_exchange_and_its_rollback(filled, request_, tmp_path):
    _, public_key = people.make_key(tmp_path / "ana.key", check=False)
    consent = Consent(
        evidence_root=request_.evidence,
        demanded=True,
        system="prod",
        operator="Bruno",
        approvers=({"name": "Ana", "public_key": public_key},),
    )

    def approve(shown):
        plan = documents.waiting(request_.evidence, shown["sha256"])
        approvers = people.of_options(consent.approvers)
        _, made = documents.approve(plan, approvers, tmp_path / "ana.key", datetime.now(UTC))
        documents.keep_approval(request_.evidence, made)

    execute(filled, "UPDATE book SET name = 'x'")
    shown = only(filled, request_, consent=consent).plan()["consent"]
    assert "tables: public.book" in shown["lines"]
    with pytest.raises(OpsError) as caught:
        only(filled, request_, consent=consent).run()
    assert caught.value.code == "approval.missing" and schemas(filled) == ""
    approve(shown)
    # Another table differs now: that is another plan.
    execute(filled, "DELETE FROM fills WHERE number = 1")
    with pytest.raises(OpsError) as caught:
        only(filled, request_, consent=consent).run()
    assert caught.value.code == "approval.changed" and schemas(filled) == ""
    assert only(filled, request_, consent=consent, named=["book"]).run()["changed"]
    line = ledger.records(request_.evidence, "restore")[-1]["record"]
    assert (line["ordered_by"], line["approved_by"]) == ("Bruno", "Ana")
    with pytest.raises(OpsError) as caught:
        roll_back(filled, request_, consent=consent)
    assert caught.value.code == "approval.missing"
    back = tables_rollback.plan(filled, request_.root, request_.evidence, consent)
    approve(back["consent"])
    assert roll_back(filled, request_, consent=consent)["changed"]
    assert value(filled, "SELECT count(*) FROM book WHERE name = 'x'") == 100
