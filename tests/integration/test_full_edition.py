# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The SQL of proofs on TimescaleDB's full edition: compression, policies, aggregates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import (
    catalog,
    fingerprint,
    lost_values,
    timescaledb_chunks,
)
from ansible.module_utils.pmsops.postgresql.connection import fetch_all, fetch_value
from ansible.module_utils.pmsops.restore import (
    table_definitions,
    table_rows,
    table_surroundings,
)
from ansible.module_utils.pmsops.verify import differences
from ansible.module_utils.pmsops.verify.negative_control import Control
from ansible.module_utils.pmsops.verify.row_comparison import OfFingerprints

from tests.support import pglite

pytestmark = pglite.needs_pglite

SCHEMA = """
CREATE TABLE md (at timestamptz NOT NULL, symbol text, value float8, amount numeric,
                 doc jsonb, side varchar CHECK (side IN ('buy', 'sell')));
SELECT create_hypertable('md', 'at', chunk_time_interval => interval '10 days');
CREATE UNIQUE INDEX ON md (symbol, at);
INSERT INTO md SELECT timestamptz '2026-01-01' + n * interval '1 hour', 's' || n % 3, n / 7.0,
                      CASE WHEN n % 7 <> 0 THEN n / 3.0 END, jsonb_build_object('n', n), 'buy'
  FROM generate_series(1, 1000) n;
ALTER TABLE md SET (timescaledb.compress, timescaledb.compress_segmentby = 'symbol',
                    timescaledb.compress_orderby = 'at DESC');
"""
COMPRESS = "SELECT compress_chunk(c) FROM show_chunks('md') c LIMIT 3"
ADD = """
ALTER TABLE md ADD COLUMN ccy text DEFAULT 'BRL';
ALTER TABLE md ADD COLUMN q int NOT NULL DEFAULT 7;
ALTER TABLE md ADD COLUMN note text;
"""
SHOWN = "SELECT count(*), count(ccy), count(q), sum(q) FROM public.md"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with pglite.running_pglite() as made:
        yield made


@pytest.fixture
def cursor(port: int) -> Iterator[Any]:
    """A cursor in a transaction that is rolled back."""
    connection = pglite.connect(port)
    try:
        with connection.cursor() as made:
            run(made, SCHEMA)
            yield made
    finally:
        connection.rollback()
        connection.close()


def run(cursor: Any, sql: str) -> None:
    """Run statements of the application, whose names are in public."""
    cursor.execute("SET search_path = public")
    cursor.execute(sql)


def read(cursor: Any) -> tuple[dict, dict]:
    """Return facts and contents."""
    catalog.prepare(cursor)
    facts = catalog.facts(cursor)
    return facts, fingerprint.fingerprints([cursor], fingerprint.relations(cursor))


def changed(before: tuple[dict, dict], after: tuple[dict, dict]) -> list[str]:
    found = differences.facts(before[0], after[0])
    return [each.text() for each in [*found, *differences.of_contents(before[1], after[1])]]


def test_compression_is_no_difference_and_each_row_is_read_whatever_its_form(cursor):
    before = read(cursor)
    assert sum(each["rows"] for each in before[1].values()) == 1000
    run(cursor, COMPRESS)
    assert len(timescaledb_chunks.compressed(cursor)) == 3
    assert changed(before, read(cursor)) == []
    run(cursor, "SELECT decompress_chunk(c) FROM show_chunks('md') c LIMIT 1")
    run(cursor, "INSERT INTO md VALUES ('2026-01-08 00:30', 's1', 1, 1, '{}', 'sell')")
    (line,) = changed(before, read(cursor))
    name = "public.md [2026-01-07 00:00:00 .. 2026-01-17 00:00:00)"
    assert line == f"contents: {name} has 241 rows, not 240"


def test_a_changed_value_of_a_compressed_row_is_named_by_the_range_of_its_chunk(cursor):
    run(cursor, COMPRESS)
    before = read(cursor)
    run(cursor, "UPDATE md SET value = value + 1 WHERE at = '2026-01-08' AND symbol = 's0'")
    (line,) = changed(before, read(cursor))
    assert line == (
        "contents: public.md [2026-01-07 00:00:00 .. 2026-01-17 00:00:00) has rows with other"
        " values"
    )


def test_a_set_of_schema_2_is_read_as_it_is_stored(cursor):
    """The older formula reads compressed relations, and no row of a compressed chunk."""
    run(cursor, COMPRESS)
    catalog.prepare(cursor)
    relations = {each.key: each for each in fingerprint.relations(cursor, 2)}
    compressed = next(name for name in relations if "compress_hyper" in name)
    chunk = "_timescaledb_internal._hyper_"
    rows = {
        name: fingerprint.fingerprint(cursor, each, 2)["rows"] for name, each in relations.items()
    }
    assert rows[compressed] > 0
    assert sum(count for name, count in rows.items() if name.startswith(chunk)) == 1000 - 623
    assert "_timescaledb_catalog.chunk" in relations
    assert catalog.facts(cursor, 2)["tables"].keys() >= {compressed}
    assert "chunks" not in catalog.facts(cursor, 2)


def test_a_column_added_on_compressed_chunks_is_a_loss_with_a_remedy(cursor):
    run(cursor, COMPRESS)
    catalog.prepare(cursor)
    assert lost_values.losses(cursor) == []
    run(cursor, ADD)
    catalog.prepare(cursor)
    losses = lost_values.losses(cursor)
    assert [(each["table"], each["column"], each["rows"]) for each in losses] == [
        ("public.md", "ccy", 623),
        ("public.md", "q", 623),
    ]
    assert [len(each["chunks"]) for each in losses] == [3, 3]
    assert "(BRL)" in losses[0]["what"]
    assert fetch_all(cursor, SHOWN) == [(1000, 1000, 1000, 7000)]


# A restored copy: the column was made anew, and no chunk knows the value of the old default.
RESTORED = """
UPDATE pg_attribute SET atthasmissing = false, attmissingval = NULL
 WHERE attname IN ('ccy', 'q')
   AND attrelid IN (SELECT relid FROM _timescaledb_catalog.compression_settings
                     WHERE compress_relid IS NOT NULL)
"""


def test_the_loss_is_seen_by_formula_3_and_not_by_formula_2(cursor):
    run(cursor, COMPRESS)
    run(cursor, ADD)

    def prints(formula: int) -> dict:
        relations = fingerprint.relations(cursor, formula)
        return fingerprint.fingerprints([cursor], relations, formula=formula)

    catalog.prepare(cursor)
    before = {formula: prints(formula) for formula in (2, 3)}
    run(cursor, RESTORED)
    assert fetch_all(cursor, SHOWN) == [(1000, 377, 377, 2639)]
    catalog.prepare(cursor)
    assert differences.of_contents(before[2], prints(2)) == []
    assert len(differences.of_contents(before[3], prints(3))) == 3


@pytest.mark.parametrize("remedy", ["compress again", "write the values"])
def test_the_remedy_ends_the_loss(cursor, remedy):
    run(cursor, COMPRESS)
    run(cursor, ADD)
    catalog.prepare(cursor)
    before = fingerprint.fingerprints([cursor], fingerprint.relations(cursor))
    for loss in lost_values.losses(cursor):
        again, _, values = loss["remedy"].partition(" -- or write the values: ")
        if remedy == "compress again":
            run(cursor, again.partition(": ")[2])
        else:
            run(cursor, values.partition(";")[0])
    catalog.prepare(cursor)
    assert lost_values.losses(cursor) == []
    assert fingerprint.fingerprints([cursor], fingerprint.relations(cursor)) == before


def test_rows_written_after_the_column_came_are_no_loss(cursor):
    run(cursor, COMPRESS)
    run(cursor, ADD)
    run(cursor, "UPDATE md SET ccy = NULL, q = 7")
    run(cursor, "SELECT compress_chunk(c, true) FROM show_chunks('md') c")
    catalog.prepare(cursor)
    assert lost_values.losses(cursor) == []
    assert fetch_all(cursor, SHOWN) == [(1000, 0, 1000, 7000)]


AGGREGATE = """
CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS
    SELECT time_bucket('1 day', at) AS day, symbol, count(*) FROM md GROUP BY 1, 2 WITH NO DATA;
SELECT add_continuous_aggregate_policy('daily', interval '30 days', interval '1 day',
                                       interval '1 hour');
SELECT add_compression_policy('md', interval '60 days');
"""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("SELECT alter_job(1001, schedule_interval => '3 h')", "jobs: 1001 has every"),
        ("SELECT alter_job(1001, fixed_schedule => true)", "jobs: 1001 has fixed_schedule"),
        ("SELECT remove_compression_policy('md')", "jobs: 1001 is missing"),
        ("SELECT add_retention_policy('md', interval '9 years')", "jobs: 1002 is not in the"),
        (
            "ALTER MATERIALIZED VIEW daily SET (timescaledb.materialized_only = false)",
            "continuous_aggregates: public.daily has materialized_only False, not True",
        ),
        ("DROP MATERIALIZED VIEW daily", "continuous_aggregates: public.daily is missing"),
        (
            "ALTER TABLE md SET (timescaledb.compress_segmentby = '')",
            "hypertables: public.md has compressed_by",
        ),
        ("SELECT set_chunk_time_interval('md', interval '1 day')", "hypertables: public.md has"),
        (
            "INSERT INTO md VALUES ('2027-01-08', 's1', 1, 1, '{}', 'sell')",
            "chunks: public.md [2027-01-02 00:00:00 .. 2027-01-12 00:00:00) is not in the backup",
        ),
        (
            "ALTER TABLE _timescaledb_internal._hyper_{id}_chunk SET (fillfactor = 70)",
            "chunks: public.md [2025-12-28 00:00:00 .. 2026-01-07 00:00:00) has options",
        ),
    ],
)
def test_a_changed_object_is_named_with_its_kind(cursor, change, expected):
    run(cursor, AGGREGATE)
    first = fetch_value(cursor, "SELECT min(job_id) FROM timescaledb_information.jobs"
                                " WHERE job_id >= 1000")  # fmt: skip
    chunk = fetch_value(cursor, "SELECT min(chunk_name) FROM timescaledb_information.chunks"
                                " WHERE hypertable_name = 'md'")  # fmt: skip
    for number in (1000, 1001, 1002):
        change = change.replace(str(number), str(number - 1000 + first))
        expected = expected.replace(str(number), str(number - 1000 + first))
    before = read(cursor)
    run(cursor, change.replace("_hyper_{id}_chunk", chunk))
    assert [line for line in changed(before, read(cursor)) if line.startswith(expected)]


def test_a_refresh_is_told_by_contents_and_watermark(cursor):
    run(cursor, AGGREGATE)
    before = read(cursor)
    # CALL refresh_continuous_aggregate cannot run in a transaction: what it writes, by hand.
    run(cursor, "UPDATE _timescaledb_catalog.continuous_aggs_watermark SET watermark = 5")
    run(cursor, "DELETE FROM _timescaledb_catalog.continuous_aggs_materialization_invalidation_log")
    found = changed(before, read(cursor))
    assert {line.split(" ")[3] for line in found} == {"watermark", "invalidations"}


def test_one_table_brings_the_relations_with_its_compressed_rows(cursor):
    run(cursor, COMPRESS)
    catalog.prepare(cursor)
    parts = table_rows.of_tables(cursor, [("public", "md")])
    assert len([name for _schema, name in parts if name.startswith("_hyper_")]) == 5
    assert len([name for _schema, name in parts if name.startswith("compress_hyper_")]) == 3


def test_a_compressed_hypertable_passes_through_another_schema_with_its_rows(cursor):
    """As a single table does in the staging database, before its rows are read there."""
    run(cursor, COMPRESS)
    before = fetch_all(cursor, "SELECT * FROM public.md ORDER BY symbol, at")
    run(cursor, "CREATE SCHEMA pms_ops_transit")
    pieces = table_definitions.Pieces.of(cursor, [("public", "md")])
    assert pieces.tables == (("public", "md"),)
    for statement in pieces.moves(dict.fromkeys(pieces.names, "pms_ops_transit")):
        run(cursor, statement)
    assert fetch_all(cursor, "SELECT * FROM pms_ops_transit.md ORDER BY symbol, at") == before
    with pytest.raises(OpsError, match="is a hypertable"):
        table_surroundings.require_exchangeable(cursor, [("pms_ops_transit", "md")], "the set")


@pytest.mark.parametrize("with_key", [True, False])
def test_the_negative_control_finds_a_change_inside_a_compressed_chunk(
    port: int, pytestconfig: pytest.Config, with_key: bool
) -> None:
    """A row of it has no ctid, and what is inserted into the chunk itself is never read."""
    connection = pglite.connect(port)
    with connection.cursor() as made:
        run(made, SCHEMA if with_key else SCHEMA.replace("CREATE UNIQUE INDEX", "CREATE INDEX"))
        run(made, COMPRESS.replace("LIMIT 3", ""))
        connection.commit()
        try:
            catalog.prepare(made)
            relations = fingerprint.relations(made)
            found = fingerprint.fingerprints([made], relations)
            compared = OfFingerprints(found, found, relations, fingerprint.FORMULA, {})
            kinds = set()
            for seed in range(100 if pytestconfig.getoption("--all") else 8):
                record = Control(seed).run(made, compared, [])
                assert record["outcome"] == "found", record
                kinds.add(record["kind"])
            assert len(kinds) > 2
        finally:
            connection.rollback()
            made.execute("DROP TABLE public.md")
            connection.commit()
            connection.close()
