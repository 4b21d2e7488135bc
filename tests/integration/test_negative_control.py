# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The negative control on a real server: it finds each kind of change, and undoes it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from ansible.module_utils.pmsops.common.errors import BrokenProofError
from ansible.module_utils.pmsops.postgresql import catalog, fingerprint
from ansible.module_utils.pmsops.postgresql.connection import fetch_value
from ansible.module_utils.pmsops.verify import changed_row, negative_control
from ansible.module_utils.pmsops.verify.differences import Difference
from ansible.module_utils.pmsops.verify.row_comparison import OfFingerprints

from tests.support.rich_database import known_parts, rich_database
from tests.support.server import HYPERTABLE

# Keys, checks, triggers and generated columns, as those that refuse changes in a PMS.
SCHEMA = f"""
CREATE TABLE md (at timestamptz NOT NULL, symbol text NOT NULL, close float8, volume real,
                 note text, UNIQUE (symbol, at));
{HYPERTABLE}
INSERT INTO md SELECT timestamptz '2026-01-01' + n * interval '7 hours', 's' || n % 3, n / 7.0,
                      n / 3.0, CASE WHEN n % 4 = 0 THEN 'noted' END
  FROM generate_series(1, 400) n;
CREATE TABLE fund (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                   code varchar(8) NOT NULL CHECK (code <> ''), nav float8 CHECK (nav > 0),
                   twice float8 GENERATED ALWAYS AS (nav * 2) STORED);
INSERT INTO fund (code, nav) SELECT 'f' || n, n * 1.5 FROM generate_series(1, 9) n;
CREATE TABLE position (fund int REFERENCES fund ON DELETE CASCADE, amount numeric, what text);
INSERT INTO position SELECT 1 + n % 9, n, 'p' || n FROM generate_series(1, 60) n;
CREATE TABLE log (number serial, what text);
CREATE FUNCTION logged() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO log (what) VALUES (TG_OP); RETURN NULL; END $$;
CREATE TRIGGER logs AFTER INSERT OR UPDATE OR DELETE ON position
  FOR EACH ROW EXECUTE FUNCTION logged();
CREATE TABLE heard (id int PRIMARY KEY, what text);
INSERT INTO heard VALUES (1, 'a'), (2, 'b');
CREATE TRIGGER logs AFTER INSERT OR UPDATE OR DELETE ON heard
  FOR EACH ROW EXECUTE FUNCTION logged();
ALTER TABLE heard ENABLE ALWAYS TRIGGER logs;
CREATE TABLE part (id int, what text) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE part_2 PARTITION OF part FOR VALUES IN (2);
INSERT INTO part VALUES (1, 'x'), (2, 'y'), (2, 'z');
CREATE TABLE empty (id int, what text);
"""
SEQUENCE = "SELECT last_value || ' ' || is_called FROM log_number_seq"


@pytest.fixture(scope="module")
def cursor(server) -> Iterator[Any]:
    database = server.create("negative_control")
    server.psql(SCHEMA, database.name)
    connection = database.connect()
    with connection.cursor() as made:
        yield made
    connection.close()
    server.drop(database.name)


@pytest.fixture(scope="module")
def compared(cursor) -> OfFingerprints:
    """A comparison of the database with itself."""
    catalog.prepare(cursor)
    relations = fingerprint.relations(cursor)
    found = fingerprint.fingerprints([cursor], relations)
    cursor.connection.rollback()
    return OfFingerprints(found, found, relations, fingerprint.FORMULA, {})


@pytest.fixture
def tries(pytestconfig) -> int:
    return 200 if pytestconfig.getoption("--all") else 10


@pytest.mark.parametrize("kind", changed_row.KINDS)
def test_the_control_finds_each_kind_of_change_in_every_try(cursor, compared, tries, kind):
    seeds = [random.SystemRandom().randrange(negative_control.SEEDS) for _ in range(tries)]
    print("seeds:", *seeds)
    tables = set()
    for seed in seeds:
        control = negative_control.Control(seed, (kind,))
        record = control.run(cursor, compared, [])
        assert (record["outcome"], record["kind"]) == ("found", kind), record
        assert record["named"] == [record["table"]]
        tables.add(record["table"])
    assert len(tables) > 1
    assert "public.heard" not in tables  # its trigger would take a value of a sequence for good
    cursor.execute("SET search_path = public")
    assert fetch_value(cursor, SEQUENCE) == "1 false"
    cursor.connection.rollback()


@pytest.mark.parametrize("kind", changed_row.KINDS)
def test_a_comparison_that_does_not_look_is_found_broken(cursor, compared, monkeypatch, kind):
    monkeypatch.setattr(
        fingerprint, "fingerprint", lambda _cursor, each, _formula: compared.found[each.key]
    )
    control = negative_control.Control(1, (kind,))
    record = control.run(cursor, compared, [])
    assert (record["outcome"], record["named"]) == ("not found", [])
    with pytest.raises(BrokenProofError, match=kind):
        control.require_found()


def test_a_hash_that_leaves_out_a_column_is_found_broken(cursor, compared, monkeypatch):
    blind = [
        replace(each, columns=each.columns[:1], types=each.types[:1]) for each in compared.relations
    ]
    found = fingerprint.fingerprints([cursor], blind)
    cursor.connection.rollback()

    class Blind(OfFingerprints):
        """Compares the first column alone, while the control changes any."""

        def again(self, cursor, key):
            return OfFingerprints(found, found, blind, fingerprint.FORMULA, {}).again(cursor, key)

    several = [
        negative_control.Control(seed, (changed_row.EMPTIED,)).run(
            cursor, Blind(found, found, compared.relations, fingerprint.FORMULA, {}), []
        )["outcome"]
        for seed in range(20)
    ]
    assert "not found" in several


def test_a_control_that_names_another_table_too_is_not_found(cursor, compared):
    class Confused(OfFingerprints):
        def again(self, cursor, key):
            return [*super().again(cursor, key), Difference("contents", "public.fund", "differs")]

    confused = Confused(compared.found, compared.found, compared.relations, fingerprint.FORMULA, {})
    control = negative_control.Control(3, (changed_row.DELETED,))
    # Named before and after: the copy is not as before either.
    assert control.run(cursor, confused, [])["outcome"] in ("not found", "not undone")
    assert control.broken


def test_tables_without_rows_are_nothing_to_change_and_no_pass(cursor):
    catalog.prepare(cursor)
    relations = [each for each in fingerprint.relations(cursor) if each.name == "empty"]
    found = fingerprint.fingerprints([cursor], relations)
    empty = OfFingerprints(found, found, relations, fingerprint.FORMULA, {})
    control = negative_control.Control()
    assert control.run(cursor, empty, [])["outcome"] == "nothing to change"
    assert not control.broken
    assert "nothing to change" in control.warnings()[0]


def test_a_table_that_takes_no_change_is_told_without_a_value(cursor, compared):
    heard = [each for each in compared.relations if each.name == "heard"]
    only = OfFingerprints(compared.found, compared.found, heard, fingerprint.FORMULA, {})
    control = negative_control.Control()
    assert control.run(cursor, only, [])["outcome"] == "not possible"
    assert "public.heard: a trigger" in control.warnings()[0]


def test_a_refused_statement_is_told_by_its_code(cursor, compared):
    fund = [each for each in compared.relations if each.name == "fund"]
    only = OfFingerprints(compared.found, compared.found, fund, fingerprint.FORMULA, {})
    record = negative_control.Control(1, (changed_row.DUPLICATED,)).run(cursor, only, [])
    assert record["refused"] == ["public.fund, duplicated row: UniqueViolation (23505)"]


def test_a_role_that_cannot_silence_triggers_leaves_tables_with_effects_alone(
    server, cursor, compared
):
    name = cursor.connection.info.dbname
    server.psql("CREATE ROLE plain_reader LOGIN PASSWORD 'p'; GRANT macro_user TO plain_reader;"
                " GRANT pg_read_all_data, pg_write_all_data TO plain_reader")  # fmt: skip
    plain = replace(server.database(name), user="plain_reader", password="p").connect()
    try:
        with plain.cursor() as of_plain:
            tables = set()
            for seed in range(30):
                record = negative_control.Control(seed).run(of_plain, compared, [])
                assert record["outcome"] == "found", record
                tables.add(record["table"])
        assert not tables & {"public.position", "public.fund", "public.heard"}
        assert len(tables) > 1
    finally:
        plain.close()
        server.psql("DROP ROLE plain_reader")
    cursor.execute("SET search_path = public")
    assert fetch_value(cursor, SEQUENCE) == "1 false"
    cursor.connection.rollback()


def test_a_database_that_is_read_only_by_its_setting_has_a_control_too(server, cursor, compared):
    name = cursor.connection.info.dbname
    server.psql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    closed = server.database(name).connect()
    try:
        with closed.cursor() as of_closed:
            assert negative_control.Control().run(of_closed, compared, [])["outcome"] == "found"
    finally:
        closed.close()
        server.psql(f"ALTER DATABASE {name} RESET default_transaction_read_only")


def test_the_same_seed_makes_the_same_choices(cursor, compared):
    first, second = (
        negative_control.Control(12345).run(cursor, compared, []) | {"seconds": 0} for _ in range(2)
    )
    assert first == second


def test_no_control_of_a_sound_proof_is_broken_whatever_the_tables_have(server, tmp_path, tries):
    """Every kind of table that the tests know: a change that nobody can see is not tried."""
    with rich_database(server, tmp_path, known_parts()) as rich:
        connection = rich.database.connect()
        try:
            with connection.cursor() as cursor:
                catalog.prepare(cursor)
                relations = fingerprint.relations(cursor)
                found = fingerprint.fingerprints([cursor], relations)
                several = OfFingerprints(found, found, relations, fingerprint.FORMULA, {})
                for seed in range(tries):
                    record = negative_control.Control(seed).run(cursor, several, [])
                    assert record["outcome"] == "found", record
        finally:
            connection.close()
