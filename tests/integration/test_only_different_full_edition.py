# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Chunks exchanged on TimescaleDB's full edition: compressed ones, and beside an aggregate.

That edition is served one connection at a time, so the rows of the set are put into the tables of
transit here, which else come from a staging database.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import timescaledb_chunks
from ansible.module_utils.pmsops.postgresql.connection import fetch_all, fetch_value
from ansible.module_utils.pmsops.restore.chunk_exchange import ChunkExchange
from ansible.module_utils.pmsops.restore.different_tables import DifferentTable
from ansible.module_utils.pmsops.restore.table_definitions import TRANSIT

from tests.integration.test_full_edition import COMPRESS, SCHEMA, read, run
from tests.support import pglite

pytestmark = pglite.needs_pglite

AGGREGATE = """
CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS
SELECT time_bucket('1 day', at) AS day, symbol, avg(value) FROM md GROUP BY 1, 2 WITH NO DATA;
"""
ROWS = "SELECT md5(string_agg(md::text, '|' ORDER BY symbol, at)), count(*) FROM md"
# Rows of compressed chunks and of others: changed, deleted, new; and a chunk that is gone.
DAMAGE = {
    "changed": "UPDATE md SET value = -1 WHERE symbol = 's1' AND at < '2026-01-05'",
    "deleted": "DELETE FROM md WHERE at BETWEEN '2026-01-12' AND '2026-01-15'",
    "new": "INSERT INTO md SELECT at + interval '1 s', symbol, 3 FROM md WHERE at > '2026-01-25'",
    "dropped": "SELECT drop_chunks('md', older_than => timestamptz '2026-01-10')",
    "a range more": "INSERT INTO md VALUES ('2026-06-01', 's1', 1)",
}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with pglite.running_pglite() as made:
        yield made


@pytest.fixture
def cursor(port: int) -> Iterator[Any]:
    """A cursor in a transaction that is rolled back, with three of five chunks compressed."""
    connection = pglite.connect(port)
    try:
        with connection.cursor() as made:
            run(made, SCHEMA)
            run(made, COMPRESS)
            yield made
    finally:
        connection.rollback()
        connection.close()


def rows(cursor: Any) -> tuple[Any, ...]:
    cursor.execute("SET search_path = public")
    return fetch_all(cursor, ROWS)[0]


def exchange_of(cursor: Any, wanted: dict[str, Any]) -> ChunkExchange:
    """Compare with what was recorded; return the exchange of the chunks that differ."""
    _, now = read(cursor)
    found = {key for key in {*wanted, *now} if wanted.get(key) != now.get(key)}
    keys = sorted(key for key in found if " [" in key)
    return ChunkExchange(cursor, [DifferentTable("public.md", 1, 1, chunks=keys)], wanted)


def put_in_transit(cursor: Any, exchange: ChunkExchange) -> None:
    """Do what ``copy`` does, from the rows of the set that are kept in public.of_the_set."""
    run(cursor, f"CREATE SCHEMA {TRANSIT}; CREATE SCHEMA kept; CREATE SCHEMA undone")
    for each in exchange.chunks:
        run(
            cursor,
            f"CREATE TABLE {TRANSIT}.{each.name} (LIKE md);"
            f"INSERT INTO {TRANSIT}.{each.name} SELECT * FROM of_the_set WHERE {each.condition}",
        )


def compressed(cursor: Any) -> set[str]:
    known = timescaledb_chunks.chunks(cursor)
    return {known[oid].key for oid in timescaledb_chunks.compressed(cursor)}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("aggregate", [False, True], ids=["alone", "with an aggregate"])
def test_compressed_chunks_come_back_compressed_and_the_way_back_undoes_it(cursor, kind, aggregate):
    if aggregate:
        run(cursor, AGGREGATE)
    run(cursor, "CREATE TABLE of_the_set AS SELECT * FROM md")
    before, wanted, packed = rows(cursor), read(cursor)[1], compressed(cursor)
    run(cursor, DAMAGE[kind])
    damaged = rows(cursor)
    assert damaged != before
    exchange = exchange_of(cursor, wanted)
    assert exchange.chunks
    put_in_transit(cursor, exchange)
    there, back = exchange.statements(cursor, "kept", "undone")
    for statement in there:
        run(cursor, statement)
    exchange.require_as_in_set(cursor)
    assert rows(cursor) == before
    if kind != "dropped":  # a chunk that was gone has no form to return to
        assert compressed(cursor) == packed
    for statement in back:
        run(cursor, statement)
    assert rows(cursor) == damaged


def test_a_value_that_differs_after_the_exchange_is_found_in_a_compressed_chunk(cursor):
    run(cursor, "CREATE TABLE of_the_set AS SELECT * FROM md")
    wanted = read(cursor)[1]
    run(cursor, DAMAGE["changed"])
    exchange = exchange_of(cursor, wanted)
    run(cursor, "UPDATE of_the_set SET value = -2 WHERE symbol = 's1' AND at < '2026-01-03'")
    put_in_transit(cursor, exchange)
    for statement in exchange.statements(cursor, "kept", "undone")[0]:
        run(cursor, statement)
    with pytest.raises(OpsError, match="differ from the set"):
        exchange.require_as_in_set(cursor)


@pytest.mark.parametrize("silenced", [False, True], ids=["as it is", "triggers silenced"])
def test_an_aggregate_is_told_of_the_rows_that_were_exchanged(port: int, silenced: bool) -> None:
    """The next refresh reads their range again; in a session without triggers it would not."""
    connection = pglite.connect(port)
    daily = "SELECT sum(avg) FROM daily"
    refresh = "CALL refresh_continuous_aggregate('daily', NULL, NULL)"
    try:
        with connection.cursor() as cursor:
            run(cursor, SCHEMA + COMPRESS + ";" + AGGREGATE)
            connection.commit()
            connection.autocommit = True
            run(cursor, refresh)
            before = fetch_value(cursor, daily)
            run(cursor, "CREATE TABLE of_the_set AS SELECT * FROM md")
            wanted = read(cursor)[1]
            run(cursor, DAMAGE["changed"])
            run(cursor, refresh)
            assert fetch_value(cursor, daily) != before
            connection.autocommit = False
            exchange = exchange_of(cursor, wanted)
            put_in_transit(cursor, exchange)
            there, _ = exchange.statements(cursor, "kept", "undone")
            quiet = ["SET LOCAL session_replication_role = replica"] if silenced else []
            for statement in [*quiet, *there]:
                run(cursor, statement)
            connection.commit()
            connection.autocommit = True
            run(cursor, refresh)
            assert (fetch_value(cursor, daily) == pytest.approx(before)) is not silenced
    finally:
        connection.rollback()
        connection.autocommit = True
        with connection.cursor() as cursor:
            for name in ("kept", "undone", TRANSIT):
                cursor.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
            for name in ("md", "of_the_set"):
                cursor.execute(f"DROP TABLE IF EXISTS public.{name} CASCADE")
        connection.close()


def test_beside_a_trigger_an_aggregate_would_not_be_told_and_is_refused(cursor):
    run(cursor, AGGREGATE)
    run(
        cursor,
        "CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;"
        "CREATE TRIGGER guard BEFORE UPDATE ON md FOR EACH ROW EXECUTE FUNCTION guard()",
    )
    wanted = read(cursor)[1]
    run(cursor, DAMAGE["deleted"])
    with pytest.raises(OpsError, match="a continuous aggregate") as caught:
        exchange_of(cursor, wanted)
    assert caught.value.code == "restore.in-place"
    assert fetch_value(cursor, "SELECT count(*) FROM public.md") < 1000
