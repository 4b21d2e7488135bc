# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A database with every kind of object that pg_dump knows, and some that it leaves out.

The parts after the first need nothing but the first, so any selection of them is a schema too.
Every part is run by a superuser. Roles belong to the server and are made once.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass

SCHEMA = "rich"
ROLES = ("rich_owner", "rich_reader", "rich_writer")


@dataclass(frozen=True)
class Part:
    """Statements that make objects of one subject."""

    name: str
    sql: str
    # The major versions of PostgreSQL that know these statements.
    since: int = 14
    until: int = 99
    timescaledb: bool = False
    # The compression, policies and continuous aggregates of TimescaleDB's full edition.
    full_edition: bool = False
    # What a restore of a dump does not bring back, so a copy deviates by design.
    restored: bool = True
    # It needs a whole server: no PGlite, which has no such library or process.
    whole_server: bool = False


BASE = Part(
    "base",
    """
DO $do$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['rich_owner', 'rich_reader', 'rich_writer'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        END IF;
    END LOOP;
END
$do$;
CREATE SCHEMA rich AUTHORIZATION rich_owner;
GRANT USAGE ON SCHEMA rich TO rich_reader;
GRANT USAGE, CREATE ON SCHEMA rich TO rich_writer WITH GRANT OPTION;
COMMENT ON SCHEMA rich IS 'of the application';
SET search_path = rich, public;
CREATE TABLE rich.fund (
    id int PRIMARY KEY, name text NOT NULL, currency varchar(3) NOT NULL DEFAULT 'BRL',
    opened date, amount numeric(20, 6)
);
INSERT INTO rich.fund
SELECT n, 'fund ' || n, 'BRL', date '2020-01-01' + n, n * 1.25 FROM generate_series(1, 20) n;
CREATE TABLE rich.position (
    id int PRIMARY KEY, fund int NOT NULL, name text, status varchar(8), amount numeric,
    changed timestamptz DEFAULT '2026-01-01 00:00:00+00'
);
INSERT INTO rich.position (id, fund, name, status, amount)
SELECT n, 1 + n % 20, 'position ' || n, CASE n % 3 WHEN 0 THEN 'closed' ELSE 'open' END, n * 1.5
  FROM generate_series(1, 100) n;
CREATE TABLE rich.ledger (
    id int PRIMARY KEY, name text NOT NULL, currency varchar(3) NOT NULL DEFAULT 'BRL',
    opened date, amount numeric(20, 6), fund int
);
INSERT INTO rich.ledger SELECT id, name, currency, opened, amount, id FROM rich.fund;
ALTER TABLE rich.fund OWNER TO rich_owner;
ALTER TABLE rich.position OWNER TO rich_owner;
CREATE FUNCTION rich.guard() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$;
""",
)

PARTS = (
    # Newer TimescaleDB makes no hypertable of a published table, so these come first.
    Part(
        "hypertables",
        """
CREATE TABLE rich.quote (
    at timestamptz NOT NULL, symbol varchar(10) NOT NULL, price float8,
    side varchar(4) CHECK (side IN ('bid', 'ask')), PRIMARY KEY (symbol, at)
);
SELECT public.create_hypertable('rich.quote', 'at', chunk_time_interval => interval '10 days');
INSERT INTO rich.quote SELECT t, s, extract(epoch FROM t), 'bid'
  FROM generate_series(timestamptz '2026-01-01 00:00+00', '2026-03-01', '6 hours') t,
       unnest(ARRAY['PETR4', 'VALE3']) s;
CREATE INDEX quote_price ON rich.quote (price DESC) WHERE side IN ('bid', 'ask');
CREATE TRIGGER quote_guard BEFORE UPDATE ON rich.quote FOR EACH ROW
    EXECUTE FUNCTION rich.guard();
GRANT SELECT ON rich.quote TO rich_reader;
ALTER TABLE rich.quote OWNER TO rich_owner;
COMMENT ON TABLE rich.quote IS 'quotes';
CREATE TABLE rich.reading (tick bigint NOT NULL, source int NOT NULL, v float8);
SELECT public.create_hypertable('rich.reading', 'tick', chunk_time_interval => 100);
INSERT INTO rich.reading SELECT n, n % 3, n FROM generate_series(1, 500) n;
CREATE TABLE rich.spaced (at timestamptz NOT NULL, device int NOT NULL, v float8);
SELECT public.create_hypertable('rich.spaced', 'at', 'device', 2,
    chunk_time_interval => interval '30 days');
INSERT INTO rich.spaced SELECT t, d, d FROM generate_series(timestamptz '2026-01-01 00:00+00',
    '2026-02-15', '1 day') t, generate_series(1, 4) d;
CREATE TABLE rich.no_rows_yet (at timestamptz NOT NULL, v int);
SELECT public.create_hypertable('rich.no_rows_yet', 'at');
""",
        timescaledb=True,
    ),
    Part(
        "jobs",
        """
CREATE PROCEDURE rich.job(job_id int, config jsonb) LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
CREATE FUNCTION rich.job_check(config jsonb) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN NULL; END $$;
SELECT public.add_job('rich.job', '1 hour', config => '{"a": 1}', scheduled => false);
SELECT public.add_job('rich.job', '1 month', initial_start => '2050-01-01 00:00+00',
    timezone => 'America/Sao_Paulo', check_config => 'rich.job_check', fixed_schedule => true);
SELECT public.alter_job(max(job_id), max_retries => 3, max_runtime => '5 min',
    retry_period => '7 min') FROM timescaledb_information.jobs;
""",
        timescaledb=True,
        full_edition=True,
    ),
    Part(
        "compression",
        """
CREATE TABLE rich.packed (
    at timestamptz NOT NULL, symbol varchar(10) NOT NULL, price float8, note text,
    CHECK (symbol IN ('PETR4', 'VALE3', 'ITUB4'))
);
SELECT public.create_hypertable('rich.packed', 'at', chunk_time_interval => interval '7 days');
ALTER TABLE rich.packed SET (timescaledb.compress, timescaledb.compress_segmentby = 'symbol',
    timescaledb.compress_orderby = 'at DESC');
INSERT INTO rich.packed SELECT t, s, extract(epoch FROM t), CASE WHEN s = 'PETR4' THEN 'n' END
  FROM generate_series(timestamptz '2026-01-01 00:00+00', '2026-02-01', '6 hours') t,
       unnest(ARRAY['PETR4', 'VALE3']) s;
SELECT public.compress_chunk(c) FROM public.show_chunks('rich.packed', older_than =>
    timestamptz '2026-01-20 00:00+00') c;
INSERT INTO rich.packed VALUES ('2026-01-02 01:00+00', 'ITUB4', 1, 'late');
GRANT SELECT ON rich.packed TO rich_reader;
""",
        timescaledb=True,
        full_edition=True,
    ),
    Part(
        "policies_of_timescaledb",
        """
CREATE TABLE rich.kept (at timestamptz NOT NULL, v float8);
SELECT public.create_hypertable('rich.kept', 'at', chunk_time_interval => interval '7 days');
ALTER TABLE rich.kept SET (timescaledb.compress);
INSERT INTO rich.kept SELECT t, 1
  FROM generate_series(timestamptz '2026-01-01 00:00+00', '2026-02-01', '1 day') t;
SELECT public.add_compression_policy('rich.kept', interval '10 years');
SELECT public.add_retention_policy('rich.kept', interval '20 years');
SELECT public.add_reorder_policy('rich.kept', 'kept_at_idx');
""",
        timescaledb=True,
        full_edition=True,
    ),
    Part(
        "continuous_aggregates",
        """
CREATE TABLE rich.tick (at timestamptz NOT NULL, symbol varchar(10), price float8);
SELECT public.create_hypertable('rich.tick', 'at', chunk_time_interval => interval '7 days');
INSERT INTO rich.tick SELECT t, 'PETR4', 1
  FROM generate_series(timestamptz '2026-01-01 00:00+00', '2026-02-01', '6 hours') t;
CREATE MATERIALIZED VIEW rich.daily WITH (timescaledb.continuous,
    timescaledb.materialized_only = false) AS
    SELECT public.time_bucket(interval '1 day', at) AS day, symbol, max(price) AS high
      FROM rich.tick GROUP BY 1, 2 WITH NO DATA;
-- outside a transaction
CALL public.refresh_continuous_aggregate('rich.daily', '2026-01-01', '2026-01-20');
-- outside a transaction
CREATE MATERIALIZED VIEW rich.weekly WITH (timescaledb.continuous,
    timescaledb.materialized_only = true) AS
    SELECT public.time_bucket(interval '7 days', day) AS week, max(high) AS high
      FROM rich.daily GROUP BY 1 WITH NO DATA;
SELECT public.add_continuous_aggregate_policy('rich.daily', interval '30 days', interval '1 day',
    interval '1 hour', initial_start => '2050-01-01 00:00+00');
COMMENT ON VIEW rich.daily IS 'daily';
GRANT SELECT ON rich.daily TO rich_reader;
""",
        timescaledb=True,
        full_edition=True,
    ),
    Part(
        "tables",
        """
CREATE UNLOGGED TABLE rich.cache (key text PRIMARY KEY, value text);
INSERT INTO rich.cache VALUES ('a', '1'), ('b', '2');
CREATE TABLE rich.no_columns ();
INSERT INTO rich.no_columns DEFAULT VALUES;
CREATE TABLE rich.dropped_columns (a int, gone text, b int, gone_too int DEFAULT 3, c text);
ALTER TABLE rich.dropped_columns DROP COLUMN gone, DROP COLUMN gone_too;
INSERT INTO rich.dropped_columns VALUES (1, 2, 'c');
ALTER TABLE rich.dropped_columns ADD COLUMN added int NOT NULL DEFAULT 7;
INSERT INTO rich.dropped_columns VALUES (2, 3, 'd', 8);
CREATE TABLE rich."Odd ""Name"".with % and 'é'" ("select" int PRIMARY KEY, "a b" text, "%s" text);
INSERT INTO rich."Odd ""Name"".with % and 'é'" VALUES (1, 'x', 'y');
CREATE TYPE rich.of_this AS (id int, label text);
CREATE TABLE rich.typed OF rich.of_this (id WITH OPTIONS PRIMARY KEY, label DEFAULT 'none');
INSERT INTO rich.typed VALUES (1), (2);
CREATE TABLE public.outside (id int PRIMARY KEY, note text);
INSERT INTO public.outside VALUES (1, 'one'), (2, NULL);
""",
    ),
    Part(
        "types_of_values",
        """
CREATE TYPE rich.mood AS ENUM ('calm', 'nervous', 'panic');
CREATE TYPE rich.pair AS (a int, b text);
CREATE TABLE rich.every_type (
    id int PRIMARY KEY, b bool, i2 int2, i8 int8, f4 float4, f8 float8, n numeric, m money, t text,
    v varchar(20), c char(5), "n" name, by bytea, d date, ti time, tz timetz, ts timestamp,
    tstz timestamptz, iv interval, u uuid, j json, jb jsonb, ip inet, ci cidr, ma macaddr,
    bi bit(4), vb varbit, pt point, bx box, tv tsvector, tq tsquery, ar int[], ar2 text[][],
    ir int4range, im int4multirange, mo rich.mood, pa rich.pair, mos rich.mood[], x xid8,
    o oid, rc regclass, jp jsonpath, ls pg_lsn
);
""".replace('"n" name, ', "nm name, ")
        + """
INSERT INTO rich.every_type VALUES
  (1, true, 1, 4294967296, '-0', '-0', 1.00, 1, 'text', 'v', 'c', 'n', '\\x00ff', '2026-01-01',
   '10:00', '10:00+02', 'infinity', '-infinity', '1 mon', gen_random_uuid(), '{"a":  1}',
   '{"a": 1}', '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03', '1010', '101', '(1,2)',
   '((0,0),(1,1))', 'a:1 b:2', 'a & b', '{1,NULL,3}', '{{a,b},{c,d}}', '[1,5)', '{[1,3),[5,7)}',
   'calm', '(1,x)', '{calm,panic}', '1', 1, 'pg_class', '$.a', '0/1'),
  (2, NULL, NULL, NULL, 'NaN', 'Infinity', 'NaN', NULL, '', '', '', '', '', 'infinity',
   '24:00', '00:00-12', '0001-01-01 BC', '294276-01-01', '30 days', NULL, 'null', 'null', '::1',
   '::/0', NULL, '0000', '', NULL, NULL, '', '', '{}', '{}', 'empty', '{}', 'panic', '(,)', '{}',
   NULL, NULL, NULL, NULL, NULL),
  (3, false, -1, -1, 0, 0, 'Infinity', -1, 'e\u0301', 'E', 'c', 'N', 'a', '0001-01-01 BC',
   '00:00:00.000001', '00:00+14', '2026-01-01 00:00:00.000001', '2026-01-01 00:00+05', '-1 day',
   '00000000-0000-0000-0000-000000000000', '[1, 2]', '[1, 2]', '127.0.0.1', '::1', NULL, '1111',
   '1', '(0,-0)', NULL, '''x y''', '!a', '[0:1]={1,2}', '{NULL}', '(,)', NULL, NULL, NULL, NULL,
   NULL, NULL, NULL, NULL, NULL);
""",
    ),
    Part(
        "inheritance",
        """
CREATE TABLE rich.parent (id int NOT NULL, note text, CONSTRAINT positive CHECK (id > 0));
CREATE TABLE rich.other_parent (note text, extra int DEFAULT 1);
CREATE TABLE rich.child (own int) INHERITS (rich.parent);
CREATE TABLE rich.two_parents (id int, note text DEFAULT 'mine') INHERITS
    (rich.parent, rich.other_parent);
CREATE TABLE rich.grandchild () INHERITS (rich.child);
ALTER TABLE rich.parent ADD CONSTRAINT here_only CHECK (id < 1000) NO INHERIT;
INSERT INTO rich.parent VALUES (1, 'parent');
INSERT INTO rich.child VALUES (2, 'child', 1);
INSERT INTO rich.two_parents VALUES (3, 'two', 4);
INSERT INTO rich.grandchild VALUES (4, 'grand', 5);
""",
    ),
    Part(
        "partitions",
        """
CREATE TABLE rich.by_range (id int, at date NOT NULL, v text, PRIMARY KEY (id, at))
    PARTITION BY RANGE (at);
CREATE TABLE rich.by_range_2025 PARTITION OF rich.by_range
    FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE rich.by_range_2026 (v text DEFAULT 'x', gone int, id int NOT NULL, at date NOT NULL);
ALTER TABLE rich.by_range_2026 DROP COLUMN gone;
ALTER TABLE rich.by_range ATTACH PARTITION rich.by_range_2026
    FOR VALUES FROM ('2026-01-01') TO (MAXVALUE);
CREATE TABLE rich.by_range_rest PARTITION OF rich.by_range DEFAULT;
CREATE INDEX by_range_v ON rich.by_range (v);
CREATE INDEX by_range_2025_own ON rich.by_range_2025 (v, at);
CREATE TRIGGER by_range_guard BEFORE INSERT ON rich.by_range
    FOR EACH ROW EXECUTE FUNCTION rich.guard();
ALTER TABLE rich.by_range_2025 DISABLE TRIGGER by_range_guard;
INSERT INTO rich.by_range SELECT n, date '2025-06-01' + n * 30, 'v' || n
  FROM generate_series(1, 20) n;
INSERT INTO rich.by_range VALUES (99, '1999-01-01', 'old');
CREATE TABLE rich.by_list (region text, n int) PARTITION BY LIST (region);
CREATE TABLE rich.by_list_br PARTITION OF rich.by_list FOR VALUES IN ('br', 'ar');
CREATE TABLE rich.by_list_null PARTITION OF rich.by_list FOR VALUES IN (NULL);
CREATE TABLE rich.by_list_us PARTITION OF rich.by_list FOR VALUES IN ('us')
    PARTITION BY RANGE (n);
CREATE TABLE rich.by_list_us_low PARTITION OF rich.by_list_us FOR VALUES FROM (MINVALUE) TO (10);
INSERT INTO rich.by_list VALUES ('br', 1), ('ar', 2), (NULL, 3), ('us', 4);
CREATE TABLE rich.by_hash (id int, v text) PARTITION BY HASH (id);
CREATE TABLE rich.by_hash_0 PARTITION OF rich.by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE rich.by_hash_1 PARTITION OF rich.by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO rich.by_hash SELECT n, 'v' || n FROM generate_series(1, 20) n;
CREATE TABLE rich.by_expression (at timestamptz) PARTITION BY RANGE ((at AT TIME ZONE 'UTC'));
CREATE TABLE rich.by_expression_all PARTITION OF rich.by_expression
    FOR VALUES FROM (MINVALUE) TO (MAXVALUE);
INSERT INTO rich.by_expression VALUES ('2026-01-01');
""",
    ),
    Part(
        "columns",
        """
CREATE TABLE rich.identity_columns (
    a int GENERATED ALWAYS AS IDENTITY (START WITH 5 INCREMENT BY 5 CACHE 3),
    b bigint GENERATED BY DEFAULT AS IDENTITY (MINVALUE -10 START -10 CYCLE MAXVALUE 10),
    c smallserial, d serial, e text
);
INSERT INTO rich.identity_columns (e) VALUES ('x'), ('y'), ('z');
CREATE FUNCTION rich.double(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE TABLE rich.generated_columns (
    id int PRIMARY KEY, price numeric, status varchar(8), twice numeric
        GENERATED ALWAYS AS (rich.double(price)) STORED,
    is_open boolean GENERATED ALWAYS AS (status IN ('open', 'new')) STORED,
    label text DEFAULT lower('NONE'::varchar), made date DEFAULT '2026-01-01'::date + 1
);
INSERT INTO rich.generated_columns (id, price, status) VALUES (1, 2.5, 'open'), (2, 3, 'gone');
CREATE TABLE rich.storage (
    id int, plain text, outside text, compressed text, main text
) WITH (fillfactor = 70, autovacuum_enabled = false, toast_tuple_target = 256,
        toast.autovacuum_enabled = false);
ALTER TABLE rich.storage ALTER COLUMN plain SET STORAGE PLAIN,
    ALTER COLUMN outside SET STORAGE EXTERNAL, ALTER COLUMN main SET STORAGE MAIN,
    ALTER COLUMN compressed SET COMPRESSION pglz,
    ALTER COLUMN plain SET STATISTICS 500, ALTER COLUMN main SET (n_distinct = -0.5),
    ALTER COLUMN outside SET (n_distinct = 10, n_distinct_inherited = 20);
INSERT INTO rich.storage VALUES (1, 'p', repeat('outside ', 1000), repeat('c', 5000), 'm');
""",
    ),
    Part(
        "virtual_columns",
        """
CREATE TABLE rich.virtual_columns (
    id int PRIMARY KEY, status varchar(8),
    is_open boolean GENERATED ALWAYS AS (status IN ('open', 'new')) VIRTUAL
);
INSERT INTO rich.virtual_columns VALUES (1, 'open'), (2, 'closed');
""",
        since=18,
    ),
    Part(
        "constraints",
        """
CREATE EXTENSION IF NOT EXISTS btree_gist SCHEMA public;
CREATE TABLE rich.checked (
    id int CONSTRAINT checked_key PRIMARY KEY DEFERRABLE INITIALLY DEFERRED,
    status varchar(10) CHECK (status IN ('open', 'closed', 'cancelled')),
    side char(4) CHECK (side IN ('buy', 'sell')), kind varchar CHECK (kind NOT IN ('x', 'y')),
    low int, high int, code varchar(10) CHECK (code LIKE 'A%' OR code = ANY (ARRAY['x', 'y'])),
    CONSTRAINT in_order CHECK (low < high AND (low > 0 OR high > 100)),
    CONSTRAINT between_two CHECK (low BETWEEN 1 AND 1000),
    CONSTRAINT low_high UNIQUE (low, high) INCLUDE (code)
);
INSERT INTO rich.checked VALUES (1, 'open', 'buy', 'z', 1, 2, 'A1'), (2, 'closed', 'sell', 'w', 2,
    3, 'x');
ALTER TABLE rich.checked ADD CONSTRAINT not_yet CHECK (id > 1) NOT VALID;
CREATE TABLE rich.reserved (
    room int, during tstzrange, EXCLUDE USING gist (room WITH =, during WITH &&)
        WHERE (room > 0) DEFERRABLE
);
INSERT INTO rich.reserved VALUES (1, '[2026-01-01, 2026-01-02)');
CREATE TABLE rich.trade (
    id int PRIMARY KEY, fund int NOT NULL REFERENCES rich.fund ON DELETE CASCADE ON UPDATE SET NULL,
    position int REFERENCES rich.position DEFERRABLE, low int, high int,
    FOREIGN KEY (low, high) REFERENCES rich.checked (low, high) MATCH FULL
);
INSERT INTO rich.trade VALUES (1, 1, 1, 1, 2), (2, 2, NULL, NULL, NULL);
ALTER TABLE rich.trade ADD CONSTRAINT later FOREIGN KEY (id) REFERENCES rich.position NOT VALID;
""",
    ),
    Part(
        "constraints_15",
        """
CREATE TABLE rich.nulls_equal (a int, b int, UNIQUE NULLS NOT DISTINCT (a, b));
INSERT INTO rich.nulls_equal VALUES (1, NULL), (2, NULL);
CREATE TABLE rich.set_some (
    id int PRIMARY KEY, fund int, note int,
    FOREIGN KEY (fund) REFERENCES rich.fund ON DELETE SET NULL (fund)
);
""",
        since=15,
    ),
    Part(
        "constraints_18",
        """
CREATE EXTENSION IF NOT EXISTS btree_gist SCHEMA public;
CREATE TABLE rich.named_not_null (
    id int CONSTRAINT id_is_there NOT NULL, a int NOT NULL, b int CONSTRAINT b_there NOT NULL
);
ALTER TABLE rich.named_not_null ADD CONSTRAINT a_positive CHECK (a > 0) NOT ENFORCED;
INSERT INTO rich.named_not_null VALUES (1, -1, 1);
CREATE TABLE rich.periods (
    id int, valid daterange NOT NULL, PRIMARY KEY (id, valid WITHOUT OVERLAPS)
);
CREATE TABLE rich.of_periods (
    id int, of int, valid daterange,
    FOREIGN KEY (of, PERIOD valid) REFERENCES rich.periods (id, PERIOD valid)
);
INSERT INTO rich.periods VALUES (1, '[2026-01-01, 2026-02-01)');
CREATE TABLE rich.late_not_null (id int, a int);
INSERT INTO rich.late_not_null VALUES (1, 2);
ALTER TABLE rich.late_not_null ADD CONSTRAINT late NOT NULL a NOT VALID;
""",
        since=18,
    ),
    Part(
        "indexes",
        """
CREATE TABLE rich.indexed (
    id int NOT NULL, status varchar(8), name text, tags text[], at timestamptz, body tsvector
) WITH (autovacuum_enabled = false);
INSERT INTO rich.indexed SELECT n, 'open', 'n' || n, ARRAY['t' || n], '2026-01-01', 'a'
  FROM generate_series(1, 50) n;
CREATE UNIQUE INDEX indexed_id ON rich.indexed (id) INCLUDE (name) WITH (fillfactor = 80);
CREATE INDEX indexed_open ON rich.indexed (name) WHERE status IN ('open', 'new');
CREATE INDEX indexed_lower ON rich.indexed (lower(name) text_pattern_ops DESC NULLS LAST, id);
CREATE INDEX indexed_expression ON rich.indexed ((status IN ('open', 'new')), (id + 1));
ALTER INDEX rich.indexed_expression ALTER COLUMN 2 SET STATISTICS 300;
CREATE INDEX indexed_tags ON rich.indexed USING gin (tags) WITH (fastupdate = off);
CREATE INDEX indexed_brin ON rich.indexed USING brin (at) WITH (pages_per_range = 16);
CREATE INDEX indexed_hash ON rich.indexed USING hash (name);
CREATE INDEX indexed_collated ON rich.indexed (name COLLATE "C");
ALTER TABLE rich.indexed CLUSTER ON indexed_id;
ALTER TABLE rich.indexed REPLICA IDENTITY USING INDEX indexed_id;
CREATE TABLE rich.identity_full (a int);
ALTER TABLE rich.identity_full REPLICA IDENTITY FULL;
CREATE TABLE rich.identity_nothing (a int);
ALTER TABLE rich.identity_nothing REPLICA IDENTITY NOTHING;
COMMENT ON INDEX rich.indexed_id IS 'the key';
""",
    ),
    Part(
        "types",
        """
CREATE TYPE rich.colour AS ENUM ('red', 'green', 'blue');
ALTER TYPE rich.colour ADD VALUE 'amber' AFTER 'red';
CREATE DOMAIN rich.code AS varchar(12) COLLATE "C" DEFAULT 'none' NOT NULL
    CONSTRAINT code_form CHECK (VALUE IN ('none', 'some') OR VALUE ~ '^[A-Z]+$');
CREATE DOMAIN rich.short_code AS rich.code CHECK (length(VALUE) < 6);
ALTER DOMAIN rich.short_code ADD CONSTRAINT later CHECK (VALUE <> 'ZZ') NOT VALID;
CREATE DOMAIN rich.side AS varchar(4) CHECK (VALUE IN ('buy', 'sell'));
CREATE TYPE rich.address AS (street text COLLATE "C", number int, code rich.code);
CREATE FUNCTION rich.text_distance(text, text) RETURNS float8 LANGUAGE sql IMMUTABLE AS
    'SELECT (length($1) - length($2))::float8';
CREATE TYPE rich.text_range AS RANGE (
    SUBTYPE = text, SUBTYPE_OPCLASS = text_pattern_ops, COLLATION = "C",
    SUBTYPE_DIFF = rich.text_distance, MULTIRANGE_TYPE_NAME = rich.text_ranges
);
CREATE TYPE rich.base;
CREATE FUNCTION rich.base_in(cstring) RETURNS rich.base LANGUAGE internal IMMUTABLE STRICT AS
    'textin';
CREATE FUNCTION rich.base_out(rich.base) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS
    'textout';
CREATE TYPE rich.base (INPUT = rich.base_in, OUTPUT = rich.base_out, LIKE = text,
    CATEGORY = 'U', DEFAULT = 'nothing', DELIMITER = ';', COLLATABLE = true);
CREATE TYPE rich.shell;
CREATE TABLE rich.typed_values (
    c rich.colour, d rich.short_code, a rich.address, r rich.text_range, b rich.base, s rich.side
);
INSERT INTO rich.typed_values VALUES ('amber', 'AB', '(street,1,ABC)', '[a,b)', 'x', 'buy');
GRANT USAGE ON TYPE rich.colour TO rich_reader;
REVOKE USAGE ON TYPE rich.code FROM public;
ALTER TYPE rich.address OWNER TO rich_owner;
COMMENT ON TYPE rich.address IS 'where';
COMMENT ON COLUMN rich.address.street IS 'the street';
COMMENT ON DOMAIN rich.code IS 'a code';
COMMENT ON CONSTRAINT code_form ON DOMAIN rich.code IS 'its form';
""",
    ),
    Part(
        "views",
        """
CREATE VIEW rich.open_positions WITH (security_barrier = true) AS
    SELECT id, name FROM rich.position WHERE status IN ('open', 'new');
CREATE VIEW rich.checked_view AS SELECT * FROM rich.position WHERE amount > 10
    WITH LOCAL CHECK OPTION;
ALTER VIEW rich.checked_view ALTER COLUMN name SET DEFAULT 'from the view';
CREATE VIEW rich.over_view AS
    SELECT f.name, count(*) AS positions, array_agg(o.name ORDER BY o.id) FROM rich.fund f
      JOIN rich.position p ON p.fund = f.id LEFT JOIN rich.open_positions o ON o.id = p.id
     WHERE f.currency = ANY (ARRAY['BRL', 'USD']) GROUP BY f.name;
CREATE RECURSIVE VIEW rich.numbers (n) AS SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 5;
GRANT SELECT ON rich.open_positions TO rich_reader;
GRANT UPDATE (name) ON rich.checked_view TO rich_writer;
ALTER VIEW rich.over_view OWNER TO rich_owner;
COMMENT ON VIEW rich.open_positions IS 'open ones';
COMMENT ON COLUMN rich.open_positions.name IS 'its name';
CREATE MATERIALIZED VIEW rich.totals AS
    SELECT fund, sum(amount) AS total FROM rich.position GROUP BY fund;
CREATE UNIQUE INDEX totals_fund ON rich.totals (fund);
CREATE MATERIALIZED VIEW rich.totals_of_totals AS SELECT sum(total) AS total FROM rich.totals;
CREATE MATERIALIZED VIEW rich.unpopulated AS SELECT 1 AS one WITH NO DATA;
ALTER MATERIALIZED VIEW rich.totals SET (fillfactor = 60);
ALTER MATERIALIZED VIEW rich.totals ALTER COLUMN total SET STATISTICS 200;
COMMENT ON MATERIALIZED VIEW rich.totals IS 'by fund';
GRANT SELECT ON rich.totals TO rich_reader;
""",
    ),
    Part(
        "views_15",
        """
CREATE VIEW rich.invoker WITH (security_invoker = true) AS SELECT * FROM rich.fund;
""",
        since=15,
    ),
    Part(
        "stale_views",
        """
CREATE TABLE rich.behind (id int PRIMARY KEY, v int);
INSERT INTO rich.behind SELECT n, n FROM generate_series(1, 10) n;
CREATE MATERIALIZED VIEW rich.stale AS SELECT id, v FROM rich.behind;
UPDATE rich.behind SET v = -v WHERE id = 3;
""",
        restored=False,
    ),
    Part(
        "rules",
        """
CREATE TABLE rich.ruled (id int, status varchar(8), gone bool DEFAULT false);
INSERT INTO rich.ruled VALUES (1, 'open', false);
CREATE RULE no_delete AS ON DELETE TO rich.ruled WHERE OLD.status IN ('open', 'new')
    DO INSTEAD UPDATE rich.ruled SET gone = true WHERE id = OLD.id;
CREATE RULE tell AS ON INSERT TO rich.ruled DO ALSO NOTIFY ruled;
ALTER TABLE rich.ruled DISABLE RULE tell;
CREATE RULE always AS ON UPDATE TO rich.ruled WHERE NEW.id < 0 DO INSTEAD NOTHING;
ALTER TABLE rich.ruled ENABLE ALWAYS RULE always;
COMMENT ON RULE tell ON rich.ruled IS 'who listens';
""",
    ),
    Part(
        "tablespaces",
        r"""
SET allow_in_place_tablespaces = true;
SELECT $$CREATE TABLESPACE rich_space LOCATION ''$$
 WHERE NOT EXISTS (SELECT FROM pg_tablespace WHERE spcname = 'rich_space') \gexec
CREATE TABLE rich.elsewhere (id int PRIMARY KEY, v text) TABLESPACE rich_space;
INSERT INTO rich.elsewhere SELECT n, 'v' || n FROM generate_series(1, 10) n;
CREATE INDEX elsewhere_v ON rich.elsewhere (v) TABLESPACE rich_space;
CREATE MATERIALIZED VIEW rich.elsewhere_too TABLESPACE rich_space AS
    SELECT count(*) AS n FROM rich.elsewhere;
""",
        since=15,
        whole_server=True,
    ),
    Part(
        "policies",
        """
CREATE TABLE rich.secured (id int, owner name, status varchar(8), secret text);
INSERT INTO rich.secured VALUES (1, 'rich_reader', 'open', 'x');
ALTER TABLE rich.secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON rich.secured FOR SELECT TO rich_reader, rich_writer
    USING (owner = current_user AND status IN ('open', 'new'));
CREATE POLICY write_open ON rich.secured AS RESTRICTIVE FOR INSERT TO rich_writer
    WITH CHECK (status IN ('open', 'new'));
CREATE POLICY everybody ON rich.secured USING (true);
COMMENT ON POLICY own_rows ON rich.secured IS 'each their own';
GRANT SELECT (id, status), INSERT (id, owner, status) ON rich.secured TO rich_writer;
CREATE TABLE rich.forced (id int);
ALTER TABLE rich.forced ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
""",
    ),
    Part(
        "triggers",
        """
CREATE TABLE rich.triggered (id int PRIMARY KEY, status varchar(8), amount numeric);
INSERT INTO rich.triggered VALUES (1, 'open', 1);
CREATE TRIGGER when_open BEFORE UPDATE OF status, amount ON rich.triggered FOR EACH ROW
    WHEN (OLD.status IN ('open', 'new') AND NEW.amount IS DISTINCT FROM OLD.amount)
    EXECUTE FUNCTION rich.guard();
CREATE TRIGGER disabled AFTER INSERT ON rich.triggered FOR EACH ROW EXECUTE FUNCTION rich.guard();
ALTER TABLE rich.triggered DISABLE TRIGGER disabled;
CREATE TRIGGER replica AFTER INSERT ON rich.triggered FOR EACH ROW
    EXECUTE FUNCTION rich.guard('argument', 'with ''quote''');
ALTER TABLE rich.triggered ENABLE REPLICA TRIGGER replica;
CREATE TRIGGER always AFTER DELETE OR TRUNCATE ON rich.triggered EXECUTE FUNCTION rich.guard();
ALTER TABLE rich.triggered ENABLE ALWAYS TRIGGER always;
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT OR UPDATE ON rich.triggered
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION rich.guard();
CREATE TRIGGER transition AFTER UPDATE ON rich.triggered REFERENCING OLD TABLE AS o NEW TABLE AS n
    FOR EACH STATEMENT EXECUTE FUNCTION rich.guard();
CREATE VIEW rich.through AS SELECT * FROM rich.triggered;
CREATE TRIGGER instead INSTEAD OF INSERT ON rich.through FOR EACH ROW
    EXECUTE FUNCTION rich.guard();
COMMENT ON TRIGGER when_open ON rich.triggered IS 'when open';
""",
    ),
    Part(
        "event_triggers",
        """
CREATE FUNCTION rich.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
CREATE EVENT TRIGGER rich_start ON ddl_command_start WHEN TAG IN ('CREATE TABLE', 'DROP TABLE')
    EXECUTE FUNCTION rich.on_ddl();
CREATE EVENT TRIGGER rich_end ON ddl_command_end EXECUTE FUNCTION rich.on_ddl();
CREATE EVENT TRIGGER rich_drop ON sql_drop EXECUTE FUNCTION rich.on_ddl();
CREATE EVENT TRIGGER rich_rewrite ON table_rewrite EXECUTE FUNCTION rich.on_ddl();
ALTER EVENT TRIGGER rich_end DISABLE;
ALTER EVENT TRIGGER rich_drop ENABLE REPLICA;
ALTER EVENT TRIGGER rich_rewrite ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER rich_start IS 'start';
""",
    ),
    Part(
        "event_triggers_17",
        """
CREATE FUNCTION rich.on_login() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
CREATE EVENT TRIGGER rich_login ON login EXECUTE FUNCTION rich.on_login();
ALTER EVENT TRIGGER rich_login DISABLE;
""",
        since=17,
        whole_server=True,
    ),
    Part(
        "functions",
        """
CREATE FUNCTION rich.in_sql(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE
    PARALLEL SAFE COST 5 AS 'SELECT a + b';
CREATE FUNCTION rich.in_sql(a text) RETURNS text LANGUAGE sql STABLE STRICT AS 'SELECT a';
CREATE FUNCTION rich.in_body(status varchar) RETURNS boolean LANGUAGE sql
    RETURN status IN ('open', 'closed');
CREATE FUNCTION rich.in_atomic(of int) RETURNS SETOF rich.position LANGUAGE sql STABLE ROWS 50
    BEGIN ATOMIC
        SELECT * FROM rich.position p WHERE p.fund = of AND p.status IN ('open', 'new');
    END;
CREATE FUNCTION rich.in_plpgsql(INOUT a int, OUT b text, VARIADIC rest int[] DEFAULT '{1}')
    LANGUAGE plpgsql SECURITY DEFINER LEAKPROOF SET search_path = rich, pg_temp
    SET work_mem = '8MB' AS $$ BEGIN b := 'x'; END $$;
CREATE FUNCTION rich.of_table(n int) RETURNS TABLE (a int, b text) LANGUAGE sql AS
    $$ SELECT n, 'b' $$;
CREATE FUNCTION rich.any_of(anyelement, anyarray) RETURNS anyelement LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION rich.my_row_number() RETURNS bigint LANGUAGE internal WINDOW AS
    'window_row_number';
CREATE PROCEDURE rich.settle(INOUT n int DEFAULT 1) LANGUAGE plpgsql AS
    $$ BEGIN n := n + 1; COMMIT; END $$;
CREATE PROCEDURE rich.in_body_too(a int) LANGUAGE sql BEGIN ATOMIC
    UPDATE rich.position SET status = 'closed' WHERE id = a AND status IN ('open', 'new');
END;
ALTER FUNCTION rich.in_sql(int, int) OWNER TO rich_owner;
GRANT EXECUTE ON FUNCTION rich.in_sql(int, int) TO rich_reader WITH GRANT OPTION;
REVOKE EXECUTE ON FUNCTION rich.in_plpgsql FROM public;
GRANT EXECUTE ON PROCEDURE rich.settle TO rich_writer;
COMMENT ON FUNCTION rich.in_sql(int, int) IS 'a sum';
COMMENT ON PROCEDURE rich.settle IS 'settles';
""",
    ),
    Part(
        "aggregates",
        """
CREATE FUNCTION rich.add_up(numeric, numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS
    'SELECT coalesce($1, 0) + coalesce($2, 0)';
CREATE FUNCTION rich.take_off(numeric, numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS
    'SELECT $1 - coalesce($2, 0)';
CREATE FUNCTION rich.finish(numeric) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1::text';
CREATE AGGREGATE rich.total (numeric) (
    SFUNC = rich.add_up, STYPE = numeric, SSPACE = 64, INITCOND = '0', FINALFUNC = rich.finish,
    FINALFUNC_MODIFY = SHAREABLE, COMBINEFUNC = rich.add_up, PARALLEL = SAFE,
    MSFUNC = rich.add_up, MINVFUNC = rich.take_off, MSTYPE = numeric, MINITCOND = '0',
    MFINALFUNC = rich.finish
);
CREATE AGGREGATE rich.plain_total (numeric) (SFUNC = rich.add_up, STYPE = numeric);
CREATE AGGREGATE rich.percentile (float8 ORDER BY anyelement) (
    SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final,
    FINALFUNC_EXTRA
);
CREATE AGGREGATE rich.rank_of (VARIADIC "any" ORDER BY VARIADIC "any") (
    SFUNC = ordered_set_transition_multi, STYPE = internal, FINALFUNC = rank_final,
    FINALFUNC_EXTRA, HYPOTHETICAL
);
CREATE AGGREGATE rich.smallest (int) (SFUNC = int4smaller, STYPE = int, SORTOP = <);
COMMENT ON AGGREGATE rich.total (numeric) IS 'a total';
GRANT EXECUTE ON FUNCTION rich.total (numeric) TO rich_reader;
""",
    ),
    Part(
        "operators",
        """
CREATE TYPE rich.amount AS (value numeric, currency text);
CREATE FUNCTION rich.amount_eq(rich.amount, rich.amount) RETURNS bool LANGUAGE sql IMMUTABLE AS
    'SELECT $1.value = $2.value';
CREATE FUNCTION rich.amount_ne(rich.amount, rich.amount) RETURNS bool LANGUAGE sql IMMUTABLE AS
    'SELECT $1.value <> $2.value';
CREATE FUNCTION rich.amount_lt(rich.amount, rich.amount) RETURNS bool LANGUAGE sql IMMUTABLE AS
    'SELECT $1.value < $2.value';
CREATE FUNCTION rich.amount_le(rich.amount, rich.amount) RETURNS bool LANGUAGE sql IMMUTABLE AS
    'SELECT $1.value <= $2.value';
CREATE FUNCTION rich.amount_gt(rich.amount, rich.amount) RETURNS bool LANGUAGE sql IMMUTABLE AS
    'SELECT $1.value > $2.value';
CREATE FUNCTION rich.amount_ge(rich.amount, rich.amount) RETURNS bool LANGUAGE sql IMMUTABLE AS
    'SELECT $1.value >= $2.value';
CREATE FUNCTION rich.amount_order(rich.amount, rich.amount) RETURNS int LANGUAGE sql IMMUTABLE AS
    'SELECT CASE WHEN $1.value < $2.value THEN -1 WHEN $1.value > $2.value THEN 1 ELSE 0 END';
CREATE FUNCTION rich.amount_hash(rich.amount) RETURNS int LANGUAGE sql IMMUTABLE AS
    'SELECT hash_numeric($1.value)';
CREATE OPERATOR rich.=== (
    FUNCTION = rich.amount_eq, LEFTARG = rich.amount, RIGHTARG = rich.amount, COMMUTATOR = ===,
    NEGATOR = <<>>, RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
CREATE OPERATOR rich.<<>> (
    FUNCTION = rich.amount_ne, LEFTARG = rich.amount, RIGHTARG = rich.amount, COMMUTATOR = <<>>,
    NEGATOR = ===, RESTRICT = neqsel, JOIN = neqjoinsel
);
CREATE OPERATOR rich.<<< (FUNCTION = rich.amount_lt, LEFTARG = rich.amount,
    RIGHTARG = rich.amount);
CREATE OPERATOR rich.<<= (FUNCTION = rich.amount_le, LEFTARG = rich.amount,
    RIGHTARG = rich.amount);
CREATE OPERATOR rich.>>> (FUNCTION = rich.amount_gt, LEFTARG = rich.amount,
    RIGHTARG = rich.amount);
CREATE OPERATOR rich.>>= (FUNCTION = rich.amount_ge, LEFTARG = rich.amount,
    RIGHTARG = rich.amount);
CREATE OPERATOR FAMILY rich.amount_family USING btree;
CREATE OPERATOR CLASS rich.amount_ops FOR TYPE rich.amount USING btree FAMILY rich.amount_family AS
    OPERATOR 1 rich.<<<, OPERATOR 2 rich.<<=, OPERATOR 3 rich.===, OPERATOR 4 rich.>>=,
    OPERATOR 5 rich.>>>, FUNCTION 1 rich.amount_order(rich.amount, rich.amount);
CREATE OPERATOR CLASS rich.amount_hash_ops DEFAULT FOR TYPE rich.amount USING hash AS
    OPERATOR 1 rich.===, FUNCTION 1 rich.amount_hash(rich.amount);
CREATE FUNCTION rich.mixed_order(rich.amount, numeric) RETURNS int LANGUAGE sql IMMUTABLE AS
    'SELECT CASE WHEN $1.value < $2 THEN -1 WHEN $1.value > $2 THEN 1 ELSE 0 END';
ALTER OPERATOR FAMILY rich.amount_family USING btree
    ADD FUNCTION 1 (rich.amount, numeric) rich.mixed_order(rich.amount, numeric);
CREATE TABLE rich.amounts (a rich.amount);
INSERT INTO rich.amounts VALUES ((1, 'BRL')), ((2, 'USD'));
CREATE INDEX amounts_a ON rich.amounts (a rich.amount_ops);
ALTER OPERATOR rich.=== (rich.amount, rich.amount) OWNER TO rich_owner;
ALTER OPERATOR FAMILY rich.amount_family USING btree OWNER TO rich_owner;
COMMENT ON OPERATOR rich.=== (rich.amount, rich.amount) IS 'as much';
COMMENT ON OPERATOR CLASS rich.amount_ops USING btree IS 'by value';
COMMENT ON OPERATOR FAMILY rich.amount_family USING btree IS 'of amounts';
""",
    ),
    Part(
        "casts",
        """
CREATE TYPE rich.cents AS (n bigint);
CREATE FUNCTION rich.to_cents(numeric) RETURNS rich.cents LANGUAGE sql IMMUTABLE AS
    'SELECT ROW(($1 * 100)::bigint)::rich.cents';
CREATE FUNCTION rich.to_bigint(rich.cents) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT $1.n';
CREATE CAST (numeric AS rich.cents) WITH FUNCTION rich.to_cents(numeric) AS ASSIGNMENT;
CREATE CAST (rich.cents AS bigint) WITH FUNCTION rich.to_bigint(rich.cents) AS IMPLICIT;
CREATE CAST (rich.cents AS text) WITH INOUT;
CREATE DOMAIN rich.plain_text AS text;
CREATE TYPE rich.binary_text;
CREATE FUNCTION rich.binary_text_in(cstring) RETURNS rich.binary_text LANGUAGE internal IMMUTABLE
    STRICT AS 'textin';
CREATE FUNCTION rich.binary_text_out(rich.binary_text) RETURNS cstring LANGUAGE internal IMMUTABLE
    STRICT AS 'textout';
CREATE TYPE rich.binary_text (INPUT = rich.binary_text_in, OUTPUT = rich.binary_text_out,
    LIKE = text);
CREATE CAST (rich.binary_text AS text) WITHOUT FUNCTION;
COMMENT ON CAST (numeric AS rich.cents) IS 'times a hundred';
CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal),
    TO SQL WITH FUNCTION int4recv(internal));
COMMENT ON TRANSFORM FOR int LANGUAGE sql IS 'as the manual has it';
""",
    ),
    Part(
        "collations",
        """
CREATE COLLATION rich.posix FROM "C";
CREATE COLLATION rich.libc_c (LOCALE = 'C');
CREATE TABLE rich.collated (a text COLLATE rich.posix, b text COLLATE "C");
INSERT INTO rich.collated VALUES ('a10', 'B'), ('a9', 'b');
ALTER COLLATION rich.posix OWNER TO rich_owner;
COMMENT ON COLLATION rich.posix IS 'plain';
""",
    ),
    Part(
        "conversions",
        """
CREATE CONVERSION rich.latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
ALTER CONVERSION rich.latin OWNER TO rich_owner;
COMMENT ON CONVERSION rich.latin IS 'old files';
""",
        whole_server=True,
    ),
    Part(
        "collations_icu",
        """
CREATE COLLATION rich.natural (PROVIDER = icu, LOCALE = 'en-u-kn-true');
CREATE COLLATION rich.no_case (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
CREATE TABLE rich.collated_icu (
    a text COLLATE rich.natural, b text COLLATE rich.no_case UNIQUE
);
INSERT INTO rich.collated_icu VALUES ('a10', 'B'), ('a9', 'c');
""",
        whole_server=True,
    ),
    Part(
        "collations_16",
        """
CREATE COLLATION rich.ruled_order (PROVIDER = icu, LOCALE = 'und', RULES = '&a < g');
""",
        since=16,
        whole_server=True,
    ),
    Part(
        "text_search",
        """
CREATE TEXT SEARCH PARSER rich.words (START = prsd_start, GETTOKEN = prsd_nexttoken,
    END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline);
CREATE TEXT SEARCH TEMPLATE rich.plain (INIT = dsimple_init, LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH DICTIONARY rich.short (TEMPLATE = rich.plain, ACCEPT = false);
CREATE TEXT SEARCH DICTIONARY rich.last (TEMPLATE = pg_catalog.simple);
CREATE TEXT SEARCH CONFIGURATION rich.notes (PARSER = rich.words);
ALTER TEXT SEARCH CONFIGURATION rich.notes ADD MAPPING FOR asciiword, word
    WITH rich.short, rich.last;
ALTER TEXT SEARCH CONFIGURATION rich.notes ADD MAPPING FOR int WITH rich.last;
CREATE TABLE rich.searched (
    t text, v tsvector GENERATED ALWAYS AS (to_tsvector('rich.notes', t)) STORED
);
INSERT INTO rich.searched VALUES ('the quick brown fox 7');
ALTER TEXT SEARCH DICTIONARY rich.short OWNER TO rich_owner;
ALTER TEXT SEARCH CONFIGURATION rich.notes OWNER TO rich_owner;
COMMENT ON TEXT SEARCH PARSER rich.words IS 'parser';
COMMENT ON TEXT SEARCH TEMPLATE rich.plain IS 'template';
COMMENT ON TEXT SEARCH DICTIONARY rich.short IS 'dictionary';
COMMENT ON TEXT SEARCH CONFIGURATION rich.notes IS 'configuration';
""",
    ),
    Part(
        "languages",
        """
CREATE FUNCTION rich.twin_handler() RETURNS language_handler LANGUAGE c AS
    '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION rich.twin_inline(internal) RETURNS void LANGUAGE c STRICT AS
    '$libdir/plpgsql', 'plpgsql_inline_handler';
CREATE FUNCTION rich.twin_validator(oid) RETURNS void LANGUAGE c STRICT AS
    '$libdir/plpgsql', 'plpgsql_validator';
CREATE TRUSTED LANGUAGE rich_twin HANDLER rich.twin_handler INLINE rich.twin_inline
    VALIDATOR rich.twin_validator;
GRANT USAGE ON LANGUAGE rich_twin TO rich_writer;
COMMENT ON LANGUAGE rich_twin IS 'as plpgsql';
CREATE FUNCTION rich.in_twin() RETURNS int LANGUAGE rich_twin AS 'BEGIN RETURN 1; END';
""",
    ),
    Part(
        "access_methods",
        """
CREATE ACCESS METHOD rich_heap TYPE TABLE HANDLER heap_tableam_handler;
CREATE ACCESS METHOD rich_hash TYPE INDEX HANDLER hashhandler;
CREATE OPERATOR CLASS rich.int_ops DEFAULT FOR TYPE int USING rich_hash AS
    OPERATOR 1 =, FUNCTION 1 hashint4(int);
CREATE TABLE rich.in_own_heap (a int) USING rich_heap;
INSERT INTO rich.in_own_heap VALUES (1), (2);
CREATE INDEX in_own_heap_a ON rich.in_own_heap USING rich_hash (a);
CREATE MATERIALIZED VIEW rich.in_own_heap_too USING rich_heap AS SELECT a FROM rich.in_own_heap;
COMMENT ON ACCESS METHOD rich_heap IS 'heap again';
""",
    ),
    Part(
        "foreign_data",
        """
CREATE FOREIGN DATA WRAPPER rich_wrapper OPTIONS (debug 'true');
ALTER FOREIGN DATA WRAPPER rich_wrapper OWNER TO pms_restore;
CREATE SERVER rich_server TYPE 'ledger' VERSION '1.2' FOREIGN DATA WRAPPER rich_wrapper
    OPTIONS (host 'ledger.example', port '1234');
ALTER SERVER rich_server OWNER TO pms_restore;
CREATE USER MAPPING FOR rich_reader SERVER rich_server OPTIONS (user 'reader');
CREATE USER MAPPING FOR public SERVER rich_server OPTIONS (user 'anybody');
CREATE FOREIGN TABLE rich.remote (
    id int OPTIONS (column_name 'ID') NOT NULL, name text DEFAULT 'x', CHECK (id > 0)
) SERVER rich_server OPTIONS (table_name 'ledger', format 'wide');
CREATE FOREIGN TABLE rich.remote_child (own int) INHERITS (rich.position) SERVER rich_server;
DROP FOREIGN TABLE rich.remote_child;
GRANT USAGE ON FOREIGN DATA WRAPPER rich_wrapper TO rich_writer;
GRANT USAGE ON FOREIGN SERVER rich_server TO rich_reader;
GRANT SELECT ON rich.remote TO rich_reader;
COMMENT ON FOREIGN DATA WRAPPER rich_wrapper IS 'wrapper';
COMMENT ON SERVER rich_server IS 'server';
COMMENT ON FOREIGN TABLE rich.remote IS 'far away';
COMMENT ON COLUMN rich.remote.name IS 'far name';
""",
    ),
    Part(
        "publications",
        """
CREATE PUBLICATION rich_two FOR TABLE rich.position, rich.fund
    WITH (publish = 'insert, update', publish_via_partition_root = true);
CREATE PUBLICATION rich_all FOR ALL TABLES WITH (publish = 'truncate');
CREATE PUBLICATION rich_empty;
ALTER PUBLICATION rich_two OWNER TO pms_restore;
COMMENT ON PUBLICATION rich_two IS 'two of them';
""",
    ),
    Part(
        "publications_15",
        """
CREATE PUBLICATION rich_some FOR TABLE rich.position (id, name, status)
    WHERE (id IN (1, 2, 3) OR name IN ('a', 'b')), rich.fund (id, name) WITH (publish = 'insert');
CREATE PUBLICATION rich_schema FOR TABLES IN SCHEMA rich, TABLE rich.fund
    WITH (publish = 'insert');
""",
        since=15,
    ),
    Part(
        "subscriptions",
        """
CREATE SUBSCRIPTION rich_subscription
    CONNECTION 'host=127.0.0.1 port=1 user=nobody password=secret dbname=none'
    PUBLICATION there, and_there
    WITH (connect = false, slot_name = NONE, binary = true, synchronous_commit = 'local');
COMMENT ON SUBSCRIPTION rich_subscription IS 'from there';
""",
        restored=False,
        whole_server=True,
    ),
    Part(
        "statistics",
        """
CREATE STATISTICS rich.two_columns (ndistinct, dependencies) ON fund, status FROM rich.position;
CREATE STATISTICS rich.expressions (mcv) ON (status IN ('open', 'new')), (amount * 2), fund
    FROM rich.position;
CREATE STATISTICS rich.one_expression ON (amount % 7) FROM rich.position;
ALTER STATISTICS rich.two_columns SET STATISTICS 400;
ALTER STATISTICS rich.expressions OWNER TO rich_owner;
COMMENT ON STATISTICS rich.two_columns IS 'they go together';
ANALYZE rich.position;
""",
    ),
    Part(
        "sequences",
        """
CREATE SEQUENCE rich.plain_sequence;
CREATE SEQUENCE rich.down AS smallint INCREMENT -2 MINVALUE -100 MAXVALUE 10 START 10 CACHE 5
    CYCLE;
CREATE SEQUENCE rich.owned AS int START 7;
ALTER SEQUENCE rich.owned OWNER TO rich_owner;
ALTER SEQUENCE rich.owned OWNED BY rich.fund.id;
CREATE SEQUENCE rich.used CACHE 10;
SELECT nextval('rich.used'), nextval('rich.down'), setval('rich.owned', 70, false);
GRANT USAGE ON SEQUENCE rich.used TO rich_writer;
GRANT SELECT, UPDATE ON SEQUENCE rich.down TO rich_reader;
COMMENT ON SEQUENCE rich.down IS 'down';
ALTER SEQUENCE rich.down OWNER TO rich_owner;
""",
    ),
    Part(
        "sequences_15",
        """
CREATE UNLOGGED SEQUENCE rich.unlogged_sequence START 3;
""",
        since=15,
    ),
    Part(
        "default_privileges",
        """
ALTER DEFAULT PRIVILEGES FOR ROLE rich_owner IN SCHEMA rich GRANT SELECT ON TABLES TO rich_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE rich_owner IN SCHEMA rich
    GRANT USAGE, SELECT ON SEQUENCES TO rich_writer;
ALTER DEFAULT PRIVILEGES FOR ROLE rich_owner GRANT EXECUTE ON FUNCTIONS TO rich_reader
    WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE rich_owner REVOKE USAGE ON TYPES FROM public;
ALTER DEFAULT PRIVILEGES FOR ROLE rich_owner GRANT CREATE ON SCHEMAS TO rich_writer;
""",
    ),
    Part(
        "grants",
        """
GRANT SELECT, INSERT ON rich.fund TO rich_writer WITH GRANT OPTION;
GRANT SELECT (id, name), REFERENCES (id) ON rich.fund TO rich_reader;
GRANT ALL ON rich.position TO rich_writer;
GRANT TRUNCATE ON rich.position TO public;
REVOKE DELETE ON rich.position FROM rich_owner;
""",
    ),
    Part(
        "grants_17",
        """
GRANT MAINTAIN ON rich.fund TO rich_writer;
""",
        since=17,
    ),
    Part(
        "system_grants",
        """
GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_logdir() TO rich_reader;
GRANT SELECT (rolname, rolpassword) ON pg_catalog.pg_authid TO rich_reader;
REVOKE EXECUTE ON FUNCTION pg_catalog.pg_sleep(float8) FROM public;
""",
    ),
    Part(
        "comments",
        """
COMMENT ON TABLE rich.fund IS 'funds';
COMMENT ON COLUMN rich.fund.name IS 'what a client reads; é';
COMMENT ON CONSTRAINT fund_pkey ON rich.fund IS 'the key';
COMMENT ON FUNCTION rich.guard() IS 'a guard';
COMMENT ON EXTENSION plpgsql IS 'changed';
""",
    ),
    Part(
        "large_objects",
        """
SELECT lo_from_bytea(90001, '\\x00010203');
SELECT lo_from_bytea(90002, convert_to(repeat('a large object ', 1000), 'UTF8'));
SELECT lo_create(90003);
SELECT lo_put(90003, 5000, 'sparse');
ALTER LARGE OBJECT 90001 OWNER TO rich_owner;
GRANT SELECT ON LARGE OBJECT 90001 TO rich_reader;
GRANT ALL ON LARGE OBJECT 90002 TO rich_writer;
COMMENT ON LARGE OBJECT 90001 IS 'small';
CREATE TABLE rich.documents (id int, body oid);
INSERT INTO rich.documents VALUES (1, 90001), (2, 90002);
""",
    ),
    Part(
        "extensions",
        """
CREATE EXTENSION IF NOT EXISTS hstore SCHEMA public;
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA rich;
CREATE TABLE rich.with_hstore (id int, h public.hstore);
INSERT INTO rich.with_hstore VALUES (1, 'a=>1'), (2, 'b=>NULL');
CREATE INDEX fund_trigram ON rich.fund USING gin (name rich.gin_trgm_ops);
GRANT EXECUTE ON FUNCTION rich.similarity(text, text) TO rich_reader;
""",
    ),
    Part(
        "changed_extension",
        """
CREATE EXTENSION IF NOT EXISTS tablefunc SCHEMA public;
ALTER FUNCTION public.normal_rand(int, float8, float8) COST 77;
CREATE EXTENSION IF NOT EXISTS unaccent SCHEMA public;
CREATE OR REPLACE FUNCTION public.unaccent(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
""",
        restored=False,
        whole_server=True,
    ),
    Part(
        "invalid_index",
        """
CREATE TABLE rich.half_indexed (a int);
INSERT INTO rich.half_indexed VALUES (1), (1);
CREATE INDEX half_done ON rich.half_indexed (a);
UPDATE pg_catalog.pg_index SET indisvalid = false WHERE indexrelid = 'rich.half_done'::regclass;
""",
        restored=False,
    ),
    Part(
        "disabled_key",
        """
CREATE TABLE rich.refers (id int PRIMARY KEY, fund int REFERENCES rich.fund);
INSERT INTO rich.refers VALUES (1, 1);
ALTER TABLE rich.refers DISABLE TRIGGER ALL;
""",
        restored=False,
    ),
)


def parts(
    version: int,
    *,
    timescaledb: bool,
    full_edition: bool = False,
    whole_server: bool = True,
    restored_only: bool = False,
) -> list[Part]:
    """Return the parts that a server of a major *version* knows, the first one included."""
    return [
        BASE,
        *(
            part
            for part in PARTS
            if part.since <= version <= part.until
            and (timescaledb or not part.timescaledb)
            and (full_edition or not part.full_edition)
            and (whole_server or not part.whole_server)
            and (part.restored or not restored_only)
        ),
    ]


def script(chosen: Collection[Part]) -> str:
    """Return the statements that make the parts, for psql as a superuser of an empty database."""
    body = "\n".join(part.sql for part in chosen)
    return (
        f"SET client_min_messages = error;\nSET timezone = 'UTC';\n{body}\n"
        "RESET search_path;\nRESET timezone;\n"
    )


def statements(chosen: Collection[Part]) -> list[str]:
    """Return the same as script() in pieces, for a client that runs each as a transaction."""
    return script(chosen).split("-- outside a transaction\n")


def varied(seed: int, known: Collection[Part]) -> list[Part]:
    """Return a selection of parts: the first and about two thirds of the others, in any order.

    Those of TimescaleDB come before the rest.
    """
    source = random.Random(seed)
    first, *others = known
    chosen = [part for part in others if source.random() < 0.66]
    source.shuffle(chosen)
    return [first, *sorted(chosen, key=lambda part: not part.timescaledb)]
