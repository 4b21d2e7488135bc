# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Definitions with each construct of SQL that a server prints in a form of its own, in schema odd.

A restored copy, on a newer version of PostgreSQL too, means the same.
"""

from __future__ import annotations

TABLES = """
CREATE SCHEMA odd;
CREATE TYPE odd.pair AS (x int, y varchar);
CREATE TYPE odd.mood AS ENUM ('ok', 'bad');
CREATE DOMAIN odd.positive AS int CHECK (VALUE > 0);
CREATE TABLE odd.a (
    id int PRIMARY KEY, v varchar, t text, n numeric, at timestamptz, d date, j jsonb, arr int[],
    p odd.pair, m odd.mood, iv interval, b bit(4), c char(3), x xml, po odd.positive, ts timestamp,
    r int4range, old_name int);
CREATE TABLE odd.b (
    id int, v varchar, k int, gone int, at timestamptz, "Mixed Case" text);
CREATE FUNCTION odd.f(a int, b varchar DEFAULT 'x', VARIADIC c text[] DEFAULT ARRAY['q']::text[])
    RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION odd.g(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION odd.rows(n int) RETURNS TABLE (q int, w varchar) LANGUAGE sql
    AS $$ SELECT 1, 'a'::varchar $$;
CREATE TABLE odd.checked (
    i int, v varchar(5), c char(4), d date, t time, ip inet, n name, e odd.mood, arr varchar[],
    CHECK (v IN ('a', 'b') AND c IN ('x', 'y') AND n IN ('q', 'r') AND e IN ('ok', 'bad')
           AND d > '2020-01-01' AND extract(dow FROM d) IN (1, 2)
           AND t BETWEEN '08:00' AND '17:00' AND ip << '10.0.0.0/8' AND (v <> 'a' OR i > 0)
           AND NOT (i = 1 AND i = 2 OR i IS NULL) AND i::text || v ~ '^[a-z]{1,3}$'
           AND length(v) + i * 2 - 3 % 2 > 0 AND arr && ARRAY['a', 'b']::varchar[]
           AND 'a' = ANY (arr) AND i <> (-1)::int8 AND coalesce(v, '') <> ''
           AND (i > 1) IS TRUE AND (v IS NULL) = false));
CREATE TABLE odd.made (
    v varchar, i int GENERATED ALWAYS AS (length(v)) STORED,
    w varchar GENERATED ALWAYS AS (CASE WHEN v IN ('a', 'b') THEN upper(v) ELSE v || '!' END)
        STORED,
    def varchar(10) DEFAULT 'a' || 'b', dn numeric DEFAULT -1.5,
    at timestamptz DEFAULT '2020-01-01', arr varchar[] DEFAULT '{a,b}',
    j jsonb DEFAULT '{"a": [1]}', who name DEFAULT current_user,
    iv interval DEFAULT '1 day'::interval * 3, m odd.mood DEFAULT 'ok',
    p odd.pair DEFAULT ROW(1, 'x'), b bit(3) DEFAULT b'101', d date DEFAULT now()::date);
CREATE TABLE odd.by_list (a varchar, b date) PARTITION BY LIST ((a IN ('x', 'y')));
CREATE TABLE odd.by_hash (a varchar, b timestamptz)
    PARTITION BY HASH (lower(a), (b AT TIME ZONE 'UTC'));
"""

VIEWS = """
CREATE VIEW odd.joined AS SELECT a.id, b.k FROM odd.a a FULL JOIN odd.b b USING (id, v)
    WHERE a.v IN ('a', 'b') OR b.v NOT IN ('c');
CREATE VIEW odd.natural AS SELECT * FROM odd.a NATURAL JOIN odd.b;
CREATE VIEW odd.calls AS SELECT extract(year FROM at) y, at AT TIME ZONE 'UTC' z,
    substring(t FROM 2 FOR 3) s, overlay(t PLACING 'x' FROM 1) ov, position('a' IN t) po,
    trim(BOTH 'x' FROM t) tr, (p).x px, (p).y py, arr[1:2] sl, arr[1] el, j->'a'->>'b' jj,
    j @> '{"a": 1}' jc FROM odd.a;
CREATE VIEW odd.grouped AS SELECT v, n, grouping(v) g, sum(n) FILTER (WHERE v IN ('a', 'b')) s,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY n) pc,
    array_agg(DISTINCT v ORDER BY v DESC NULLS LAST) ar, string_agg(t, ',' ORDER BY id)
    FROM odd.a GROUP BY GROUPING SETS ((v), (n), ()) HAVING count(*) > 1
    ORDER BY 1 NULLS FIRST LIMIT 10 OFFSET 2;
CREATE VIEW odd.windows AS SELECT id, lag(v, 1, 'z'::varchar) OVER w,
    sum(n) OVER (PARTITION BY v ORDER BY at
                 RANGE BETWEEN '1 day'::interval PRECEDING AND CURRENT ROW EXCLUDE TIES),
    rank() OVER (w ROWS UNBOUNDED PRECEDING)
    FROM odd.a WINDOW w AS (PARTITION BY v ORDER BY id);
CREATE VIEW odd.recursion AS WITH RECURSIVE t(id, path) AS (
        SELECT id, ARRAY[id] FROM odd.a WHERE v IN ('a', 'b')
        UNION ALL SELECT b.k, path || b.k FROM odd.b b JOIN t ON t.id = b.id)
    CYCLE id SET is_cycle USING seen SELECT id, path, is_cycle FROM t;
CREATE VIEW odd.sources AS WITH m AS MATERIALIZED (SELECT 1 x),
    n AS NOT MATERIALIZED (SELECT v FROM odd.a WHERE v IN ('x'))
    SELECT m.x, n.v FROM m, n, LATERAL (SELECT m.x + 1 AS z) l,
        odd.rows(m.x) WITH ORDINALITY AS s(q, w, o),
        ROWS FROM (odd.rows(1), generate_series(1, 2)) both_of;
CREATE VIEW odd.conditions AS SELECT id FROM odd.a
    WHERE (id, v) IN (SELECT k, v FROM odd.b) AND n = ANY (SELECT 1) AND v <> ALL (ARRAY['a', 'b'])
      AND n BETWEEN SYMMETRIC 3 AND 1 AND t LIKE 'a!%' ESCAPE '!' AND t ILIKE ANY (ARRAY['a', 'b'])
      AND t SIMILAR TO '(a|b)%' AND t !~* 'x' AND (a.*) IS NOT NULL;
CREATE VIEW odd.expressions AS SELECT CASE v WHEN 'a' THEN 1 WHEN 'b' THEN 2 END c1,
    CASE WHEN v IN ('a', 'b') THEN 'x' END c2, coalesce(v, 'z') c3, nullif(v, 'q') c4,
    greatest(v, 'a') c5, v || 'x' c6, v COLLATE "C" < 'z' c7, row_to_json(a.*) c8,
    ROW(1, v, NULL) = ROW(2, 'x', 'y') c9, ROW(id, v) < ROW(3, 'z') c10, ARRAY[v, 'b'] c11,
    v::char(2) c12, m = 'ok' c13, m IN ('ok', 'bad') c14 FROM odd.a;
CREATE VIEW odd.constants AS SELECT 'odd.a'::regclass r, iv + '1 mon 2 days'::interval(0) i,
    interval '1' day i2, b'1010' & b bb, x'FF' xx, date '2020-01-01' dd,
    timestamptz '2020-01-01 00:00+03' tt, -5 neg, - id negid, 1.5e10 f, 'a''b\\c' esc, E'a\\nb' nl,
    '{1,2}'::int[] ar, '(1,a)'::odd.pair pr, true AND NOT false OR NULL lg, current_date cd,
    current_user cu, localtimestamp(2) lt FROM odd.a;
CREATE VIEW odd.sets AS SELECT odd.g(b => 1, a => 3) x FROM (VALUES (1)) v WHERE false
    UNION SELECT 1 INTERSECT (SELECT 2 EXCEPT ALL SELECT 3) ORDER BY 1;
ALTER VIEW odd.sets RENAME COLUMN x TO renamed;
CREATE VIEW odd.sample AS SELECT odd.f(1, 'y', VARIADIC ARRAY['a', 'b']) a1, odd.f(1) a2
    FROM odd.a TABLESAMPLE bernoulli (10) REPEATABLE (3) FOR UPDATE SKIP LOCKED;
CREATE VIEW odd.renamed AS SELECT old_name, gone, "Mixed Case" FROM odd.a JOIN odd.b USING (id, at);
ALTER TABLE odd.a RENAME old_name TO new_name;
ALTER TABLE odd.b RENAME gone TO here;
ALTER TABLE odd.a RENAME at TO at2;
CREATE VIEW odd.barrier WITH (security_barrier) AS
    SELECT * FROM odd.a WHERE v IN ('a', 'b') WITH CASCADED CHECK OPTION;
CREATE VIEW odd.xml AS SELECT xmlelement(name foo, xmlattributes(v AS bar), t) e,
    xmlforest(v, t) f, xmlparse(content t) p, x IS DOCUMENT isd, xmlserialize(content x AS text) s,
    (xpath('/a', x))[1] xp FROM odd.a;
CREATE VIEW odd.xml_table AS SELECT t.* FROM odd.a, XMLTABLE('/r/i' PASSING x
    COLUMNS id int PATH '@id', nm varchar PATH 'n' DEFAULT 'q') t WHERE nm IN ('a', 'b');
CREATE VIEW odd.distinct_on AS SELECT DISTINCT ON (v, n) v, n, id FROM odd.a
    ORDER BY v, n, id DESC FETCH FIRST 3 ROWS WITH TIES;
CREATE VIEW odd.subqueries AS
    SELECT (SELECT max(k) FROM odd.b WHERE b.id = a.id AND b.v IN ('a', 'b')) mx,
        ARRAY(SELECT k FROM odd.b ORDER BY k) ark, EXISTS (SELECT FROM odd.b) ex
    FROM odd.a a GROUP BY a.id;
CREATE VIEW odd.casts AS SELECT po + 1 pp, po::text ptx, r @> 3 rr, lower(r) lw, ts::date tsd,
    n::numeric(4, 1) nn, v::varchar(2) vv, c = 'ab' cc, c IN ('ab', 'cd') cc2, v = c vc FROM odd.a;
CREATE VIEW odd.nested AS SELECT j1.id FROM
    (odd.a j1 LEFT JOIN (odd.b j2 CROSS JOIN odd.b j3) ON j1.id = j2.id AND j2.v IN ('a', 'b'))
    RIGHT JOIN odd.b j4 ON j4.k = j3.k JOIN (SELECT 1, 2) AS j5(z1, z2) ON z1 = j1.id;
"""

OTHERS = """
CREATE INDEX several ON odd.checked (lower(v), (i + 1), coalesce(v, c), (v IN ('a', 'b')),
    upper(v) text_pattern_ops, (v COLLATE "C") varchar_pattern_ops DESC NULLS LAST)
    WHERE v IN ('a', 'b') AND i > -5 AND NOT (c IN ('x'));
CREATE INDEX gin ON odd.checked USING gin (arr) WITH (fastupdate = off);
CREATE INDEX hash ON odd.checked USING hash (v) WHERE v LIKE 'a%';
CREATE INDEX brin ON odd.checked USING brin (d date_bloom_ops (n_distinct_per_range = 100));
CREATE UNIQUE INDEX nulls ON odd.checked (i) NULLS NOT DISTINCT;
CREATE FUNCTION odd.mix(a int, INOUT b varchar DEFAULT 'x', OUT c text)
    LANGUAGE sql STABLE STRICT PARALLEL SAFE COST 3 SET search_path = 'odd', pg_temp
    SET work_mem = '4MB' BEGIN ATOMIC
    SELECT b || 'y', CASE WHEN mix.b IN ('a', 'b') THEN
        (SELECT string_agg(v, ',') FROM odd.a WHERE id = mix.a AND a.v IN ('c', 'd')) END; END;
CREATE FUNCTION odd.one(s varchar) RETURNS SETOF odd.a LANGUAGE sql RETURN (NULL::odd.a);
CREATE FUNCTION odd.variadic(s varchar, VARIADIC n numeric[]) RETURNS boolean
    LANGUAGE sql IMMUTABLE RETURN s IN ('a', 'b') OR n[1] = 3;
CREATE PROCEDURE odd.changes(a int) LANGUAGE sql BEGIN ATOMIC
    INSERT INTO odd.b (id, v) VALUES (a, 'q');
    UPDATE odd.b SET v = 'x', k = DEFAULT WHERE b.v IN ('a', 'b') AND id = a;
    DELETE FROM odd.b USING odd.a x WHERE x.id = b.id AND x.v IN ('a');
    INSERT INTO odd.a (id) VALUES (changes.a)
        ON CONFLICT (id) DO UPDATE SET v = excluded.v WHERE a.v NOT IN ('z', 'y'); END;
CREATE RULE several AS ON DELETE TO odd.b WHERE old.v IN ('a', 'b') DO INSTEAD (
    UPDATE odd.b SET here = 1 WHERE id = old.id AND v IN ('q', 'w');
    INSERT INTO odd.a (id, v) SELECT old.id, old.v ON CONFLICT DO NOTHING);
CREATE RULE returned AS ON INSERT TO odd.barrier DO INSTEAD INSERT INTO odd.a (id, v)
    VALUES (new.id, CASE WHEN new.v IN ('a', 'b') THEN new.v ELSE 'z' END) RETURNING a.*;
CREATE POLICY restrictive ON odd.a AS RESTRICTIVE FOR SELECT
    USING (v IN (SELECT b.v FROM odd.b WHERE b.id = a.id AND b.v IN ('a', 'b')) AND id IN (1, 2));
CREATE POLICY inserted ON odd.b FOR INSERT WITH CHECK (v IN ('a', 'b') AND current_user = v);
CREATE TRIGGER tables AFTER UPDATE ON odd.a REFERENCING OLD TABLE AS ot NEW TABLE AS nt
    FOR EACH STATEMENT WHEN (pg_trigger_depth() IN (0, 1))
    EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE TRIGGER rows BEFORE UPDATE ON odd.a FOR EACH ROW
    WHEN (OLD.* IS DISTINCT FROM NEW.* AND (NEW.p).y IN ('a', 'b') AND OLD.v || NEW.t IN ('x'))
    EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON odd.b DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.v IN ('a', 'b'))
    EXECUTE FUNCTION suppress_redundant_updates_trigger();
"""

SINCE_17 = """
CREATE VIEW odd.json_table AS SELECT jt.* FROM odd.a, JSON_TABLE(j, '$.a[*]' COLUMNS (
    n FOR ORDINALITY, x varchar(3) PATH '$.x' DEFAULT 'q' ON EMPTY,
    NESTED PATH '$.y[*]' COLUMNS (z int PATH '$'))) jt WHERE jt.x IN ('a', 'b');
CREATE VIEW odd.json AS SELECT
    JSON_VALUE(j, '$.a' RETURNING varchar DEFAULT 'z' ON ERROR) IN ('a', 'b') a,
    JSON_QUERY(j, '$.b' WITH WRAPPER KEEP QUOTES) b,
    JSON_EXISTS(j, '$.c ? (@ > $x)' PASSING 3 AS x) c,
    JSON_OBJECT('a': v, 'b': id ABSENT ON NULL) d, JSON_ARRAYAGG(v RETURNING jsonb) OVER () e,
    JSON_ARRAY(1, v) f, j IS JSON OBJECT WITH UNIQUE KEYS g, JSON_SERIALIZE(j RETURNING text) h,
    JSON('{}') k, JSON_SCALAR(1) l FROM odd.a;
CREATE VIEW odd.newer AS SELECT any_value(v) FILTER (WHERE v IN ('a', 'b')) a, 1_000 b, 0x1F c,
    date_trunc('day', at2) AT LOCAL l FROM (SELECT v, at2 FROM odd.a) GROUP BY at2;
CREATE TABLE odd.target (id int, v varchar);
CREATE FUNCTION odd.merged(s varchar) RETURNS SETOF text LANGUAGE sql BEGIN ATOMIC
    MERGE INTO odd.target USING (SELECT merged.s AS w) q ON target.v = q.w AND q.w IN ('a', 'b')
        WHEN MATCHED AND target.v IN ('x', 'y') THEN DELETE
        WHEN NOT MATCHED BY SOURCE AND target.v IN ('z', 'k') THEN UPDATE SET v = 'p'
        WHEN NOT MATCHED THEN INSERT (id, v) VALUES (1, q.w) RETURNING merge_action();
    SELECT s WHERE s IN ('a', 'b'); END;
"""
SINCE_18 = """
CREATE TABLE odd.newest (
    id int CONSTRAINT by_hand NOT NULL, w varchar NOT NULL,
    v varchar GENERATED ALWAYS AS (CASE WHEN w IN ('a', 'b') THEN 'x' ELSE w END) VIRTUAL,
    CONSTRAINT not_enforced CHECK (w IN ('a', 'b')) NOT ENFORCED,
    CONSTRAINT alone NOT NULL v NO INHERIT);
ALTER TABLE odd.b ADD CONSTRAINT later NOT NULL id NOT VALID;
CREATE TABLE odd.parent (a int CONSTRAINT of_parent NOT NULL, b int);
CREATE TABLE odd.child (c int NOT NULL) INHERITS (odd.parent);
CREATE TABLE odd.other_child (a int CONSTRAINT of_child NOT NULL) INHERITS (odd.parent);
ALTER TABLE odd.child RENAME TO renamed_child;
CREATE FUNCTION odd.returning(s varchar) RETURNS varchar LANGUAGE sql BEGIN ATOMIC
    UPDATE odd.newest SET w = 'x' WHERE w IN ('a', 'b')
        RETURNING WITH (OLD AS o, NEW AS n) o.w || n.w; END;
"""


def schema(major: int) -> str:
    """Return the statements that a version of PostgreSQL knows."""
    newer = (SINCE_17 if major >= 17 else "") + (SINCE_18 if major >= 18 else "")
    return TABLES + VIEWS + OTHERS + newer
