# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Random schemas for property tests: tables, rows, and what an application makes of them.

Each schema stands alone, with nothing in it that a restore has to leave out. Nearly all are valid
on PostgreSQL 15 and newer; a row may violate a drawn condition.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

# Type: values that differ under each operator, as literals.
TYPES = {
    "integer": ("0", "1", "-7", "2147483647"),
    "bigint": ("0", "4294967296", "-1"),
    "smallint": ("0", "12"),
    "numeric": ("1.0", "1.00", "'NaN'", "-3.5e20"),
    "numeric(12,3)": ("1.5", "0"),
    "real": ("'-0'", "0", "1.1", "'Infinity'"),
    "double precision": ("'-0'", "0.1", "'NaN'"),
    "boolean": ("true", "false"),
    "text": ("''", "'a'", "'e\u0301'", "E'line\\nbreak\\t\\\\'"),
    "varchar": ("'open'", "'closed'", "''"),
    "varchar(12)": ("'open'", "'closed'"),
    "char(6)": ("'buy'", "'sell'"),
    '"char"': ("'a'", "''"),
    "name": ("'n'",),
    "bytea": ("'\\x00'", "'\\x'"),
    "date": ("'2026-01-01'", "'infinity'", "'0044-03-15 BC'"),
    "time": ("'10:00'", "'24:00'"),
    "timestamp": ("'2026-01-01 00:00:00.000001'", "'-infinity'"),
    "timestamptz": ("'2026-01-01 00:00+05'", "'infinity'"),
    "interval": ("'1 mon'", "'30 days'", "'-1 day 25:00'"),
    "uuid": ("'00000000-0000-0000-0000-000000000001'",),
    "json": ("""'{"a":  1}'""", "'null'"),
    "jsonb": ("""'{"a": 1.0}'""", "'[]'"),
    "inet": ("'10.0.0.1/8'", "'::1'"),
    "bit(3)": ("'101'",),
    "bit varying": ("'1'", "''"),
    "int[]": ("'{}'", "'{1,NULL}'", "'[0:1]={1,2}'"),
    "text[]": ("'{a,NULL}'", "'{{a},{b}}'"),
    "varchar(9)[]": ("'{open}'", "'{}'"),
    "int4range": ("'[1,5)'", "'empty'"),
    "daterange": ("'[2026-01-01,)'",),
    "tsvector": ("'a:1 b:2'",),
    "xml": ("'<a/>'",),
    "point": ("'(1,2)'",),
    "money": ("'1.50'",),
}
# Conditions over a column of one of some types; {c} is the column.
CONDITIONS = {
    "varchar varchar(12) text char(6) name": (
        "{c} IN ('open', 'closed') OR {c} IS NULL OR {c} NOT IN ('x', 'y', 'z')",
        "{c} NOT IN ('x', 'y') OR {c} IS NULL",
        "{c} <> ALL (ARRAY['x', 'y'])",
        "{c} NOT LIKE 'z%' AND {c} !~ '^z'",
        "lower({c}::text) <> 'none'",
        "coalesce({c}, 'a') <> 'nothing'",
        "{c} BETWEEN '' AND '\U0010ffff' OR {c} IS NULL",
        "length({c}::text) < 100",
        "CASE {c} WHEN 'open' THEN true WHEN 'closed' THEN true ELSE {c} IS DISTINCT FROM 'x' END",
    ),
    "varchar(12) char(6)": (
        "{c} IN ('open', 'closed', 'buy', 'sell', 'none', 'ab', 'it''s')",
        "{c} = ANY (ARRAY['open', 'closed', 'buy', 'sell', 'none', 'ab', 'it''s'])",
        "({c} IN ('open', 'closed', 'buy')) IS NOT NULL OR {c} IS NULL",
    ),
    "integer bigint smallint numeric numeric(12,3) real": (
        "{c} > -1e30 OR {c} IS NULL",
        "NOT {c} BETWEEN 5 AND 6",
        "{c} IN (0, 1, -7, 12) OR {c} <> 3",
        "({c} / 3 - 1) * 2 <> 77",
        "greatest({c}, 1) > 0 AND ({c} IS NULL OR NOT ({c} = 99))",
        "{c} IS NOT DISTINCT FROM {c}",
        "{c}::numeric <> 4.5",
    ),
    "date timestamp timestamptz": (
        "{c} > '0099-01-01 BC' OR {c} IS NULL OR {c} = '-infinity'",
        "{c} NOT IN ('1999-01-01 00:00+00', '1999-01-02 00:00+00')",
    ),
    "date timestamp": (
        "extract(year FROM {c}) <> 1999",
        "{c} > '0099-01-01 BC'::date OR {c} < '0098-01-01'",
    ),
    "boolean": ("{c} OR NOT {c}", "{c} IS NOT UNKNOWN OR true", "{c} IN (true, false)"),
    "int[] text[] varchar(9)[]": (
        "array_length({c}, 1) IS NULL OR cardinality({c}) < 50",
        "NOT ({c} @> {c} AND 1 > 2)",
    ),
    "interval": ("{c} < '100 years'", "{c} <> interval '7 mons'"),
    "uuid": ("{c} <> 'ffffffff-ffff-ffff-ffff-ffffffffffff'",),
    "jsonb": ("{c} -> 'zz' IS NULL", "NOT {c} ? 'zz'"),
    "int4range daterange": ("NOT isempty({c}) OR isempty({c})", "{c} && {c} OR true"),
}
DEFAULTS = {
    "integer bigint numeric": ("1 + 1", "length('abc')", "NULL", "(-5)"),
    "text varchar varchar(12) char(6)": ("'none'", "lower('NONE')", "'a' || 'b'", "'it''s'"),
    "date": ("'2026-01-01'::date + 1", "CURRENT_DATE"),
    "timestamptz timestamp": ("now()", "'2026-01-01'", "CURRENT_TIMESTAMP + interval '1 day'"),
    "boolean": ("true", "1 < 2"),
    "uuid": ("gen_random_uuid()",),
    "int[] text[]": ("'{}'", "ARRAY[]::text[]::int[]::text[]::int[]"),
    "jsonb json": ("'{}'",),
}
NAMES = ("id", "status", "Mixed Case", "select", "naïve", 'quo"te', "per%cent", "a.b", "value")
# B-tree has an operator class for these.
ORDERED = {
    "integer", "bigint", "smallint", "numeric", "numeric(12,3)", "real", "double precision",
    "boolean", "text", "varchar", "varchar(12)", "char(6)", "name", "bytea", "date", "time",
    "timestamp", "timestamptz", "interval", "uuid", "jsonb", "inet", "bit(3)", "bit varying",
    "int[]", "text[]", "varchar(9)[]", "int4range", "daterange", "tsvector", "money", '"char"',
}  # fmt: skip


@dataclass
class Column:
    """A column of a table that is being drawn."""

    name: str
    type: str

    @property
    def quoted(self) -> str:
        """Return the name as SQL has it."""
        return quoted(self.name)


@dataclass
class Table:
    """A table that is being drawn."""

    name: str
    columns: list[Column]
    rows: list[list[str]] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)


def quoted(name: str) -> str:
    """Return an identifier as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def _of_type(table: dict[str, tuple[str, ...]], name: str) -> tuple[str, ...]:
    return tuple(
        each for types, found in table.items() if name in types.split(" ") for each in found
    )


@st.composite
def _condition(draw: st.DrawFn, columns: list[Column]) -> str:
    """Draw an expression over the columns that is true for every drawn row, or null."""
    known = [each for each in columns if _of_type(CONDITIONS, each.type)]
    if not known:
        return draw(st.sampled_from(("1 < 2", "true", "(1 IN (1, 2))")))
    parts = [
        draw(st.sampled_from(_of_type(CONDITIONS, each.type))).format(c=each.quoted)
        for each in draw(st.lists(st.sampled_from(known), min_size=1, max_size=2))
    ]
    joined = f"({parts[0]})" + "".join(f" OR ({part})" for part in parts[1:])
    return draw(st.sampled_from((joined, f"({joined}) IS NOT FALSE", f"NOT (NOT ({joined}))")))


@st.composite
def _table(draw: st.DrawFn, schema: str, number: int) -> Table:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True))
    columns = [Column(name, draw(st.sampled_from(sorted(TYPES)))) for name in names]
    table = Table(f"{schema}.{quoted(f't{number}')}", columns)
    written = [_column(draw, each) for each in columns]
    kind = draw(st.sampled_from(("", "", "", "UNLOGGED ")))
    options = draw(st.sampled_from(("", "", " WITH (fillfactor = 77)")))
    table.statements.append(f"CREATE {kind}TABLE {table.name} ({', '.join(written)}){options}")
    for _ in range(draw(st.integers(0, 6))):
        row = [
            draw(st.sampled_from((*TYPES[each.type], "NULL", "DEFAULT")))
            if "NOT NULL" not in text
            else draw(st.sampled_from(TYPES[each.type]))
            for each, text in zip(columns, written, strict=True)
        ]
        table.rows.append(row)
        table.statements.append(f"INSERT INTO {table.name} VALUES ({', '.join(row)})")
    return table


def _column(draw: st.DrawFn, column: Column) -> str:
    text = f"{column.quoted} {column.type}"
    if column.type in ("text", "varchar", "varchar(12)", "char(6)"):
        text += draw(st.sampled_from(("", "", ' COLLATE "C"', ' COLLATE "POSIX"')))
    defaults = _of_type(DEFAULTS, column.type)
    if defaults and draw(st.booleans()):
        default = draw(st.sampled_from(defaults))
        if "ARRAY" not in default or column.type == "int[]":
            text += f" DEFAULT {default}"
    elif draw(st.integers(0, 3)) == 0:
        text += " NOT NULL"
    return text


@st.composite
def _extras(draw: st.DrawFn, table: Table, number: int) -> list[str]:
    """Draw constraints, indexes, views and the like over a table."""
    made = []
    name = table.name
    schema = name.split(".")[0]
    some = st.sampled_from(table.columns)
    for n in range(draw(st.integers(0, 3))):
        valid = draw(st.sampled_from(("", "", " NOT VALID")))
        inherit = draw(st.sampled_from(("", "", " NO INHERIT")))
        made.append(
            f"ALTER TABLE {name} ADD CONSTRAINT c{n} CHECK ({draw(_condition(table.columns))})"
            f"{inherit}{valid}"
        )
    ordered = [each for each in table.columns if each.type in ORDERED]
    for n in range(draw(st.integers(0, 2)) if ordered else 0):
        keys = draw(st.lists(st.sampled_from(ordered), min_size=1, max_size=2, unique_by=id))
        order = draw(st.sampled_from(("", " DESC", " DESC NULLS LAST", " NULLS FIRST")))
        where = f" WHERE {draw(_condition(table.columns))}" if draw(st.booleans()) else ""
        made.append(
            f"CREATE INDEX i{number}_{n} ON {name}"
            f" ({', '.join(each.quoted + order for each in keys)}){where}"
        )
    if draw(st.booleans()):
        made.append(f"CREATE INDEX e{number} ON {name} ((({draw(_condition(table.columns))})))")
        # now() and the like are not allowed in an index; none of the conditions has them.
    if draw(st.booleans()):
        column = draw(some)
        condition = draw(_condition(table.columns))
        made.append(
            f"CREATE VIEW {schema}.v{number} AS SELECT {column.quoted} AS x, ({condition}) AS y"
            f" FROM {name} WHERE {draw(_condition(table.columns))}"
        )
        made.append(f"COMMENT ON VIEW {schema}.v{number} IS 'it''s a view'")
    if draw(st.integers(0, 2)) == 0:
        made.append(
            f"CREATE MATERIALIZED VIEW {schema}.m{number} AS SELECT count(*) AS n FROM {name}"
            f" WHERE {draw(_condition(table.columns))}"
        )
    if draw(st.integers(0, 2)) == 0:
        made.append(
            f"CREATE FUNCTION {schema}.f{number}(a int) RETURNS SETOF {name} LANGUAGE sql STABLE"
            f" BEGIN ATOMIC SELECT * FROM {name} WHERE {draw(_condition(table.columns))}; END"
        )
    if draw(st.integers(0, 2)) == 0:
        made.append(
            f"CREATE POLICY p{number} ON {name} USING ({draw(_condition(table.columns))})"
            f" WITH CHECK ({draw(_condition(table.columns))})"
        )
    if draw(st.integers(0, 2)) == 0:
        new = [Column(each.name, each.type) for each in table.columns]
        condition = draw(_condition(new))
        for each in table.columns:
            condition = condition.replace(each.quoted, f"NEW.{each.quoted}")
        made.append(
            f"CREATE TRIGGER g{number} BEFORE INSERT ON {name} FOR EACH ROW WHEN ({condition})"
            f" EXECUTE FUNCTION {schema}.guard()"
        )
        if draw(st.booleans()):
            made.append(f"ALTER TABLE {name} DISABLE TRIGGER g{number}")
    if draw(st.integers(0, 2)) == 0:
        condition = draw(_condition(table.columns))
        for each in table.columns:
            condition = condition.replace(each.quoted, f"OLD.{each.quoted}")
        made.append(
            f"CREATE RULE r{number} AS ON DELETE TO {name} WHERE {condition} DO INSTEAD NOTHING"
        )
    if draw(st.integers(0, 2)) == 0:
        made.append(
            f"ALTER TABLE {name} ADD COLUMN generated boolean"
            f" GENERATED ALWAYS AS ({draw(_condition(table.columns))}) STORED"
        )
    if draw(st.integers(0, 2)) == 0:
        column = draw(some)
        made.append(f"COMMENT ON COLUMN {name}.{column.quoted} IS '100% \"of\" it'")
        made.append(f"ALTER TABLE {name} ALTER {column.quoted} SET STATISTICS 123")
        made.append(f"GRANT SELECT ({column.quoted}) ON {name} TO rich_reader")
    if draw(st.integers(0, 3)) == 0 and len(table.columns) > 1:
        gone = draw(some)
        made.insert(0, f"ALTER TABLE {name} ADD COLUMN zz int")
        made.insert(1, f"ALTER TABLE {name} DROP COLUMN zz")
        made.append(f"ALTER TABLE {name} ADD COLUMN late text NOT NULL DEFAULT 'late'")
        made.append(f"COMMENT ON TABLE {name} IS {literal(gone.name)}")
    return made


def literal(text: str) -> str:
    """Return a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


@st.composite
def _others(draw: st.DrawFn, schema: str) -> list[str]:
    """Draw types, sequences and partitioned tables."""
    made = []
    if draw(st.booleans()):
        base = draw(st.sampled_from(("varchar(12)", "text", "varchar", "integer", "date")))
        value = Column("VALUE", base)
        conditions = [
            draw(st.sampled_from(_of_type(CONDITIONS, base))).format(c="VALUE")
            for _ in range(draw(st.integers(1, 2)))
        ]
        checks = " ".join(f"CHECK ({each})" for each in conditions)
        made.append(f"CREATE DOMAIN {schema}.d AS {value.type} {checks}")
        made.append(f"CREATE TABLE {schema}.of_domain (a {schema}.d, b {schema}.d[])")
        made.append(f"INSERT INTO {schema}.of_domain VALUES (NULL, '{{}}')")
    if draw(st.booleans()):
        known = st.sampled_from(("a", "B", "c d", "é", "x'y"))
        labels = draw(st.lists(known, min_size=1, unique=True))
        made.append(f"CREATE TYPE {schema}.e AS ENUM ({', '.join(map(literal, labels))})")
        made.append(f"CREATE TABLE {schema}.of_enum (a {schema}.e DEFAULT {literal(labels[0])})")
        made.append(f"INSERT INTO {schema}.of_enum VALUES (DEFAULT), (NULL)")
    if draw(st.booleans()):
        step = draw(st.sampled_from((1, -1, 5)))
        cache = draw(st.sampled_from((1, 10)))
        made.append(f"CREATE SEQUENCE {schema}.s INCREMENT {step} CACHE {cache}")
        if draw(st.booleans()):
            made.append(f"SELECT nextval('{schema}.s')")
    if draw(st.booleans()):
        key = draw(st.sampled_from(("region", "lower(region)", "(region || '')")))
        made.append(
            f"CREATE TABLE {schema}.p (id int, region varchar(9),"
            f" CHECK (region IN ('br', 'us', 'ar'))) PARTITION BY LIST ({key})"
        )
        made.append(f"CREATE TABLE {schema}.p_br PARTITION OF {schema}.p FOR VALUES IN ('br')")
        made.append(f"CREATE TABLE {schema}.p_rest (region varchar(9), gone int, id int)")
        made.append(f"ALTER TABLE {schema}.p_rest DROP gone")
        made.append(
            f"ALTER TABLE {schema}.p_rest ADD CONSTRAINT p_region_check"
            " CHECK (region IN ('br', 'us', 'ar'))"
        )
        made.append(f"ALTER TABLE {schema}.p ATTACH PARTITION {schema}.p_rest DEFAULT")
        made.append(f"INSERT INTO {schema}.p VALUES (1, 'br'), (2, 'us'), (3, NULL)")
        made.append(
            f"CREATE INDEX ON {schema}.p (id) WHERE region IN ('br', 'us') AND id IS NOT NULL"
        )
    return made


@st.composite
def schemas(draw: st.DrawFn, name: str) -> str:
    """Draw the statements that make one schema of a name, for psql."""
    made = [
        f"CREATE SCHEMA {name}",
        f"CREATE FUNCTION {name}.guard() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN NEW; END $$",
    ]
    tables = [draw(_table(name, number)) for number in range(draw(st.integers(1, 3)))]
    for number, table in enumerate(tables):
        made += table.statements + draw(_extras(table, number))
    made += draw(_others(name))
    return ";\n".join(made) + ";\n"
