# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A database whose definitions PostgreSQL prints otherwise after a dump and a restore."""

from __future__ import annotations

# Every ORM makes columns like status: the expression of IN over a varchar prints otherwise once it
# has been parsed from its own print.
SCHEMA = """
CREATE SCHEMA app;
CREATE TABLE app.orders (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    status varchar(20) NOT NULL DEFAULT 'open', side varchar NOT NULL, note text,
    amount numeric(12, 2) DEFAULT CASE WHEN 'a'::varchar IN ('a', 'b') THEN 1 ELSE 0 END,
    at timestamptz,
    is_final boolean GENERATED ALWAYS AS (status IN ('filled', 'void')) STORED,
    CONSTRAINT status_known CHECK (status IN ('open', 'closed', 'filled', 'void')),
    CONSTRAINT side_known CHECK (side IN ('buy', 'sell') AND amount BETWEEN 0 AND 1000000));
INSERT INTO app.orders (status, side) VALUES ('open', 'buy'), ('void', 'sell');
CREATE INDEX orders_open ON app.orders (at) WHERE status IN ('open', 'filled');
CREATE INDEX orders_by ON app.orders
    ((CASE WHEN status IN ('open', 'closed') THEN 1 ELSE 2 END) DESC, lower(side)) INCLUDE (note);
CREATE VIEW app.final AS
    SELECT id, o.status FROM app.orders o WHERE status NOT IN ('open', 'closed');
CREATE VIEW app.joined AS
    SELECT a.id, b.status FROM app.orders a JOIN app.orders b USING (id) WHERE a.side IN ('x', 'y');
CREATE VIEW app.flat AS
    SELECT z.* FROM app.orders z WHERE (z.id, z.status) IN ((1, 'a'), (2, 'b')) OR z.id > 3;
CREATE MATERIALIZED VIEW app.stored AS SELECT id FROM app.orders WHERE status IN ('open', 'void');
ALTER TABLE app.orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON app.orders USING (status IN ('open', 'closed')) WITH CHECK
    (EXISTS (SELECT FROM app.orders x WHERE x.id = orders.id AND x.status IN ('open', 'void')));
CREATE FUNCTION app.guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER guard BEFORE UPDATE OF status ON app.orders FOR EACH ROW
    WHEN (OLD.status IN ('filled', 'void') OR NEW.side IN ('buy', 'sell'))
    EXECUTE FUNCTION app.guard('x WHEN (y) ON app.orders');
CREATE TABLE app.log (what varchar, id int);
CREATE RULE log AS ON UPDATE TO app.orders WHERE NEW.status IN ('open', 'void')
    DO ALSO INSERT INTO app.log SELECT NEW.status, NEW.id WHERE OLD.side IN ('buy', 'sell');
CREATE RULE into_flat AS ON INSERT TO app.flat WHERE NEW.side IN ('buy', 'sell')
    DO INSTEAD (INSERT INTO app.log VALUES (NEW.side, NEW.id);
                DELETE FROM app.log WHERE what IN ('a;', 'b') AND id = NEW.id);
CREATE RULE else_flat AS ON INSERT TO app.flat DO INSTEAD NOTHING;
CREATE DOMAIN app.side AS varchar(10)
    DEFAULT CASE WHEN 'a'::varchar IN ('a', 'b') THEN 'buy' ELSE 'sell' END
    CONSTRAINT side_known CHECK (VALUE IN ('buy', 'sell'));
CREATE DOMAIN app.filled AS text COLLATE "C" NOT NULL CHECK (VALUE <> '');
CREATE DOMAIN app.narrow AS app.side CHECK (VALUE IN ('buy', 'none'));
CREATE FUNCTION app.is_open(s varchar) RETURNS boolean LANGUAGE sql IMMUTABLE BEGIN ATOMIC
    SELECT is_open.s IN ('open', 'closed')
           AND EXISTS (SELECT FROM app.orders o WHERE o.status IN ('x', 'y')); END;
CREATE FUNCTION app.rated(s varchar, d boolean DEFAULT 'a'::varchar IN ('a', 'b')) RETURNS int
    LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE app.note(INOUT s varchar) LANGUAGE sql BEGIN ATOMIC
    INSERT INTO app.log SELECT note.s, 1 WHERE note.s IN ('a', 'b'); SELECT note.s; END;
CREATE STATISTICS app.both ON
    (CASE WHEN status IN ('open', 'closed') THEN 1 ELSE 2 END), lower(note), side FROM app.orders;
CREATE TABLE app.parted (code varchar, v int)
    PARTITION BY RANGE ((CASE WHEN code IN ('a', 'b') THEN 1 ELSE 2 END), lower(code));
CREATE TABLE app.parted_1 PARTITION OF app.parted FOR VALUES FROM (1, 'a') TO (2, 'a');
CREATE TABLE app.excluded (a int, s varchar, during tstzrange,
    EXCLUDE USING btree (a WITH =) WHERE (s IN ('open', 'closed')) DEFERRABLE,
    EXCLUDE USING gist (during WITH &&) WHERE (s IN ('open', 'closed')));
CREATE FUNCTION app.whole(app.log) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true';
ALTER TABLE app.log ADD CONSTRAINT whole CHECK (app.whole(log.*) OR what IN ('a', 'b')) NOT VALID;
CREATE TABLE app."Odd ON app.x" ("na""me" varchar, "WHERE (" varchar);
CREATE INDEX "i ON x USING btree (" ON app."Odd ON app.x"
    (lower("na""me"), ("na""me" || ') WHERE (') DESC, "WHERE (")
    WHERE "WHERE (" IN ('a)', '(b''') AND "na""me" IN ('x', 'y');
-- The server derives a key for each partition, and names it by the order in which they came.
CREATE TABLE app.account (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE app.account_3 PARTITION OF app.account FOR VALUES FROM (20) TO (30);
CREATE TABLE app.account_1 PARTITION OF app.account FOR VALUES FROM (0) TO (10);
CREATE TABLE app.booking (account int REFERENCES app.account, day date NOT NULL);
CREATE TABLE app.account_2 PARTITION OF app.account FOR VALUES FROM (10) TO (20);
ALTER TABLE app.booking RENAME TO bookings;
-- Made out of order: a dump makes them by name.
CREATE TABLE app.zeta (id int PRIMARY KEY, status varchar);
CREATE TABLE app.alpha (id int PRIMARY KEY);
CREATE PUBLICATION two FOR TABLE
    app.zeta WHERE (((id > 3 OR status = 'a') OR id = 1) AND id NOT IN (7, 8)), app.alpha;
-- What no restore brings back as it is.
CREATE TABLE app.parent (a int);
CREATE TABLE app.child () INHERITS (app.parent);
ALTER TABLE ONLY app.parent ALTER COLUMN a SET NOT NULL;
INSERT INTO app.alpha SELECT n FROM generate_series(1, 5) n;
CREATE TABLE app.twice (n int);
INSERT INTO app.twice VALUES (1), (1);
-- Newer versions write the locales as language tags, and name the transform without "on".
CREATE COLLATION app.natural (PROVIDER = icu, LOCALE = 'en-u-kn-true');
CREATE COLLATION app.by_keyword (PROVIDER = icu, LOCALE = 'de_DE@colNumeric=yes');
CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal),
    TO SQL WITH FUNCTION int4recv(internal));
COMMENT ON TRANSFORM FOR int LANGUAGE sql IS 'example';
"""
# Outside of a transaction; it fails, and leaves an invalid index.
INVALID_INDEX = "CREATE UNIQUE INDEX CONCURRENTLY twice_once ON app.twice (n)"
INVALID = "indexes: app.twice_once is invalid, and pg_dump leaves it out"
ACCEPTS_NULLS = "column app.child.a accepts nulls in the backup"


def not_restored(major: int) -> list[str]:
    """Return how the lines begin on what a set of a version of PostgreSQL does not bring back.

    Since version 18 a NOT NULL holds for the tables below too, whatever ONLY says.
    """
    return [INVALID] if major >= 18 else [ACCEPTS_NULLS, INVALID]


# Whose print differs in a faithful copy.
OTHER_PRINT = {
    ("columns", "app.orders.amount"),
    ("columns", "app.orders.is_final"),
    ("constraints", "app.orders.status_known"),
    ("constraints", "app.orders.side_known"),
    ("constraints", "app.side.side_known"),
    ("constraints", "app.narrow.narrow_check"),
    ("constraints", "app.excluded.excluded_a_excl"),
    ("constraints", "app.excluded.excluded_during_excl"),
    ("constraints", "app.log.whole"),
    ("functions", "app.is_open(character varying)"),
    ("functions", "app.note(character varying)"),
    ("functions", "app.rated(character varying,boolean)"),
    ("indexes", "app.excluded_a_excl"),
    ("indexes", "app.excluded_during_excl"),
    ("indexes", "app.orders_open"),
    ("indexes", "app.orders_by"),
    ("indexes", "app.i ON x USING btree ("),
    ("policies", "app.orders.own"),
    ("rules", "app.orders.log"),
    ("rules", "app.flat.into_flat"),
    ("statistics_objects", "app.both"),
    ("tables", "app.parted"),
    ("triggers", "app.orders.guard"),
    ("types", "app.narrow"),
    ("types", "app.side"),
    ("views", "app.final"),
    ("views", "app.joined"),
    ("views", "app.flat"),
    ("views", "app.stored"),
}
# Changes of the same kinds in a restored copy: each has to be named.
CHANGES = {
    ("constraints", "app.orders.status_known"): """
        ALTER TABLE app.orders DROP CONSTRAINT status_known, ADD CONSTRAINT status_known
            CHECK (status IN ('open', 'closed', 'filled', 'void', 'new'))""",
    ("constraints", "app.side.side_known"): """
        ALTER DOMAIN app.side DROP CONSTRAINT side_known;
        ALTER DOMAIN app.side ADD CONSTRAINT side_known CHECK (VALUE IN ('buy', 'sold'))""",
    ("constraints", "app.excluded.excluded_a_excl"): """
        ALTER TABLE app.excluded DROP CONSTRAINT excluded_a_excl, ADD CONSTRAINT excluded_a_excl
            EXCLUDE USING btree (a WITH =) WHERE (s IN ('open', 'ajar')) DEFERRABLE""",
    ("indexes", "app.excluded_a_excl"): "",  # of the constraint above
    ("constraints", "app.log.whole"): """
        ALTER TABLE app.log DROP CONSTRAINT whole, ADD CONSTRAINT whole
            CHECK (app.whole(log.*) OR what IN ('a', 'c')) NOT VALID""",
    ("columns", "app.orders.amount"): """
        ALTER TABLE app.orders ALTER amount
            SET DEFAULT CASE WHEN 'a'::varchar IN ('a', 'c') THEN 1 ELSE 0 END""",
    ("indexes", "app.orders_open"): """
        DROP INDEX app.orders_open;
        CREATE INDEX orders_open ON app.orders (at) WHERE status IN ('open', 'void')""",
    ("indexes", "app.orders_by"): """
        DROP INDEX app.orders_by;
        CREATE INDEX orders_by ON app.orders
            ((CASE WHEN status IN ('open', 'closed') THEN 1 ELSE 2 END), lower(side))
            INCLUDE (note)""",
    ("views", "app.final"): """
        CREATE OR REPLACE VIEW app.final AS
            SELECT id, o.status FROM app.orders o WHERE status NOT IN ('open', 'close')""",
    ("views", "app.stored"): """
        DROP MATERIALIZED VIEW app.stored;
        CREATE MATERIALIZED VIEW app.stored AS
            SELECT id FROM app.orders WHERE status NOT IN ('open', 'void') OR id > 0""",
    ("policies", "app.orders.own"): """
        ALTER POLICY own ON app.orders USING (status IN ('open', 'close'))""",
    ("triggers", "app.orders.guard"): """
        CREATE OR REPLACE TRIGGER guard BEFORE UPDATE OF status ON app.orders FOR EACH ROW
            WHEN (NEW.status IN ('filled', 'void') OR NEW.side IN ('buy', 'sell'))
            EXECUTE FUNCTION app.guard('x WHEN (y) ON app.orders')""",
    ("rules", "app.orders.log"): """
        CREATE OR REPLACE RULE log AS ON UPDATE TO app.orders WHERE NEW.status IN ('open', 'void')
            DO ALSO INSERT INTO app.log SELECT NEW.status, NEW.id WHERE OLD.side IN ('buy', 'x')""",
    ("types", "app.side"): """
        ALTER DOMAIN app.side
            SET DEFAULT CASE WHEN 'a'::varchar IN ('a', 'b') THEN 'sell' ELSE 'buy' END""",
    ("functions", "app.is_open(character varying)"): """
        CREATE OR REPLACE FUNCTION app.is_open(s varchar) RETURNS boolean LANGUAGE sql IMMUTABLE
        BEGIN ATOMIC
            SELECT is_open.s IN ('open', 'closed')
                   AND EXISTS (SELECT FROM app.orders o WHERE o.status IN ('x', 'z')); END""",
    ("functions", "app.rated(character varying,boolean)"): """
        CREATE OR REPLACE FUNCTION app.rated(s varchar, d boolean DEFAULT 'a'::varchar IN ('a'))
            RETURNS int LANGUAGE sql AS 'SELECT 1'""",
    ("statistics_objects", "app.both"): """
        DROP STATISTICS app.both;
        CREATE STATISTICS app.both ON
            (CASE WHEN status IN ('open', 'void') THEN 1 ELSE 2 END), lower(note), side
            FROM app.orders""",
    ("tables", "app.parted"): """
        DROP TABLE app.parted;
        CREATE TABLE app.parted (code varchar, v int)
            PARTITION BY RANGE ((CASE WHEN code IN ('a', 'c') THEN 1 ELSE 2 END), lower(code));
        CREATE TABLE app.parted_1 PARTITION OF app.parted FOR VALUES FROM (1, 'a') TO (2, 'a')""",
    # The triggers of a key that the server derives for one partition.
    ("constraints", "app.bookings.booking_account_fkey"): """
        ALTER TABLE app.account_1 DISABLE TRIGGER ALL""",
    ("publication_tables", "two of app.zeta"): """
        ALTER PUBLICATION two SET TABLE
            app.zeta WHERE (((id > 3 OR status = 'a') OR id = 2) AND id NOT IN (7, 8)),
            app.alpha""",
}
