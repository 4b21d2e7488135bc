# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kinds of change to a database of rich_schema, and what has to be named for each.

A change is run by a superuser in a transaction that is rolled back, or together with others in a
copy of the database. Each says under which kind, and with which object's name, the comparison has
to report it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.support import rich_schema

_ALONE = {
    "access method dropped",
    "extension dropped",
    "hypertable added",
    "language dropped",
    "language not trusted any more",
    "operator dropped",
    "schema renamed",
    "table added",
    "table dropped",
    "table moved to another schema",
    "table renamed",
    "column added",
}


@dataclass(frozen=True)
class Change:
    """One kind of change."""

    part: str
    name: str
    # One or more kinds, separated by spaces: any of them will do.
    kind: str
    # What the name of the difference contains.
    object: str
    sql: str
    since: int = 14
    until: int = 99
    # Why the comparison leaves it out, for the few that it does.
    left_out: str = ""
    # A restored copy has it too, so verify tells of it apart from the differences.
    expected: bool = False
    # It takes other objects with it, or is of an object that no copy of a database has.
    alone: bool = False

    @property
    def id(self) -> str:
        """Return the name for a report of tests."""
        return f"{self.part}: {self.name}"

    def named_in(self, differences: list[tuple[str, str]]) -> bool:
        """Tell whether pairs of kind and name have the right one among them."""
        return any(kind in self.kind.split() and self.object in name for kind, name in differences)


def _of(part: str, *changes: tuple[str, ...], **options: object) -> list[Change]:
    made = [Change(part, *change, **options) for change in changes]  # type: ignore[arg-type]
    return [
        replace(each, alone=True)
        if part == "subscriptions" or each.name in _ALONE or each.left_out
        else each
        for each in made
    ]


BASE = [
    *_of(
        "base",
        ("value changed", "contents", "rich.fund",
         "UPDATE rich.fund SET amount = amount + 0.000001 WHERE id = 1"),
        ("scale of a numeric value", "contents", "rich.position",
         "UPDATE rich.position SET amount = 1.50 WHERE id = 1"),
        ("row deleted", "contents", "rich.fund", "DELETE FROM rich.fund WHERE id = 20"),
        ("row added", "contents", "rich.fund",
         "INSERT INTO rich.fund (id, name) VALUES (21, 'fund 21')"),
        ("two rows swap a value", "contents", "rich.position",
         "UPDATE rich.position SET name = CASE id WHEN 1 THEN 'position 2' ELSE 'position 1' END"
         " WHERE id IN (1, 2)"),
        ("null in place of a value", "contents", "rich.fund",
         "UPDATE rich.fund SET opened = NULL WHERE id = 3"),
        ("empty text in place of null", "contents", "rich.position",
         "UPDATE rich.position SET name = '' WHERE id = 4"),
        ("a microsecond", "contents", "rich.position",
         "UPDATE rich.position SET changed = changed + interval '1 microsecond' WHERE id = 5"),
        ("trailing space", "contents", "rich.fund",
         "UPDATE rich.fund SET name = name || ' ' WHERE id = 6"),
        ("column added", "columns", "rich.ledger.extra", "ALTER TABLE rich.ledger ADD extra int"),
        ("column with a default added", "columns", "rich.ledger.extra",
         "ALTER TABLE rich.ledger ADD extra int NOT NULL DEFAULT 7"),
        ("column dropped", "columns", "rich.ledger.opened", "ALTER TABLE rich.ledger DROP opened"),
        ("column renamed", "columns", "rich.ledger.closed",
         "ALTER TABLE rich.ledger RENAME opened TO closed"),
        ("column moved to the end", "columns", "rich.ledger.opened",
         "ALTER TABLE rich.ledger DROP opened, ADD opened date"),
        ("length of varchar", "columns", "rich.ledger.currency",
         "ALTER TABLE rich.ledger ALTER currency TYPE varchar(4)"),
        ("varchar made text", "columns", "rich.ledger.currency",
         "ALTER TABLE rich.ledger ALTER currency TYPE text"),
        ("precision of numeric", "columns", "rich.ledger.amount",
         "ALTER TABLE rich.ledger ALTER amount TYPE numeric(21, 6)"),
        ("int made bigint", "columns", "rich.ledger.fund",
         "ALTER TABLE rich.ledger ALTER fund TYPE bigint"),
        ("collation of a column", "columns", "rich.ledger.name",
         'ALTER TABLE rich.ledger ALTER name TYPE text COLLATE "POSIX"'),
        ("default changed", "columns", "rich.ledger.currency",
         "ALTER TABLE rich.ledger ALTER currency SET DEFAULT 'USD'"),
        ("default dropped", "columns", "rich.ledger.currency",
         "ALTER TABLE rich.ledger ALTER currency DROP DEFAULT"),
        ("not null dropped", "columns", "rich.ledger.name",
         "ALTER TABLE rich.ledger ALTER name DROP NOT NULL"),
        ("not null added", "columns", "rich.ledger.opened",
         "ALTER TABLE rich.ledger ALTER opened SET NOT NULL"),
        ("table dropped", "tables", "rich.position", "DROP TABLE rich.position CASCADE"),
        ("table emptied", "contents", "rich.position", "TRUNCATE rich.position CASCADE"),
        ("table added", "tables", "rich.new_one", "CREATE TABLE rich.new_one (a int)"),
        ("table renamed", "tables", "rich.portfolio", "ALTER TABLE rich.fund RENAME TO portfolio"),
        ("table moved to another schema", "tables", "public.fund",
         "ALTER TABLE rich.fund SET SCHEMA public"),
        ("owner of a table", "tables", "rich.fund", "ALTER TABLE rich.fund OWNER TO rich_writer"),
        ("table made unlogged", "tables", "rich.ledger",
         "DROP PUBLICATION IF EXISTS rich_all, rich_schema; ALTER TABLE rich.ledger SET UNLOGGED"),
        ("primary key dropped", "constraints", "rich.position.position_pkey",
         "ALTER TABLE rich.position DROP CONSTRAINT position_pkey CASCADE"),
        ("schema added", "schemas", "rich_too", "CREATE SCHEMA rich_too"),
        ("schema renamed", "schemas", "richer", "ALTER SCHEMA rich RENAME TO richer"),
        ("owner of a schema", "schemas", "rich", "ALTER SCHEMA rich OWNER TO rich_writer"),
        ("grant on a schema", "schemas", "rich", "GRANT CREATE ON SCHEMA rich TO rich_reader"),
        ("grant option on a schema", "schemas", "rich",
         "REVOKE GRANT OPTION FOR USAGE ON SCHEMA rich FROM rich_writer"),
        ("grant on schema public", "schemas", "public",
         "GRANT ALL ON SCHEMA public TO rich_reader"),
        ("owner of schema public", "schemas", "public",
         "ALTER SCHEMA public OWNER TO rich_owner"),
        ("replica identity", "tables", "rich.fund",
         "ALTER TABLE rich.fund REPLICA IDENTITY FULL"),
        ("fillfactor", "tables", "rich.fund", "ALTER TABLE rich.fund SET (fillfactor = 50)"),
        ("row security", "tables", "rich.fund", "ALTER TABLE rich.fund ENABLE ROW LEVEL SECURITY"),
        ("setting of the database", "database", "all",
         "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 5000',"
         " current_database()); END $$"),
        ("setting of a role in the database", "database", "all",
         "DO $$ BEGIN EXECUTE format('ALTER ROLE rich_reader IN DATABASE %I SET work_mem = 5000',"
         " current_database()); END $$"),
        ("grant on the database", "database", "all",
         "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO rich_reader',"
         " current_database()); END $$"),
        ("connection limit of the database", "database", "all",
         "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT 17',"
         " current_database()); END $$"),
        ("owner of the database", "database", "all",
         "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO rich_owner',"
         " current_database()); END $$"),
        ("function in the schema of the server", "system_objects", "rich_in_catalog",
         "CREATE FUNCTION pg_catalog.rich_in_catalog() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
        ("security label", "security_labels", "rich.fund",
         "SET LOCAL allow_system_table_mods = on; INSERT INTO pg_catalog.pg_seclabel VALUES"
         " ('rich.fund'::regclass, 'pg_class'::regclass, 0, 'somebody', 'secret')"),
    ),
]  # fmt: skip

TABLES = [
    *_of(
        "tables",
        ("row of an unlogged table", "contents", "rich.cache",
         "UPDATE rich.cache SET value = '3' WHERE key = 'a'"),
        ("unlogged table made logged", "tables", "rich.cache", "ALTER TABLE rich.cache SET LOGGED"),
        ("row of a table without columns", "contents", "rich.no_columns",
         "INSERT INTO rich.no_columns DEFAULT VALUES"),
        ("value after dropped columns", "contents", "rich.dropped_columns",
         "UPDATE rich.dropped_columns SET b = 4 WHERE a = 2"),
        ("value of an added column", "contents", "rich.dropped_columns",
         "UPDATE rich.dropped_columns SET added = 8 WHERE a = 1"),
        ("row of a table with an odd name", "contents", "Odd",
         'UPDATE rich."Odd ""Name"".with % and \'é\'" SET "%s" = \'z\''),
        ("typed table made plain", "tables", "rich.typed", "ALTER TABLE rich.typed NOT OF"),
        ("default of a typed table", "columns", "rich.typed.label",
         "ALTER TABLE rich.typed ALTER label SET DEFAULT 'some'"),
        ("row outside the schema", "contents", "public.outside",
         "UPDATE public.outside SET note = 'two' WHERE id = 2"),
    ),
]  # fmt: skip

_VALUES = {
    "boolean": "b = NOT b",
    "smallint": "i2 = 2",
    "bigint by 2^32": "i8 = 8589934592",
    "real: 0 for -0": "f4 = 0",
    "double precision: 0 for -0": "f8 = 0",
    "double precision: last digit": "f8 = 0.1 + 0.2",
    "numeric: scale": "n = 1.0",
    "money": "m = 2",
    "varchar": "v = 'V'",
    "char": "c = 'd'",
    "name": "nm = 'm'",
    "bytea": "by = '\\x00fe'",
    "date": "d = '2026-01-02'",
    "time": "ti = '10:00:00.000001'",
    "time with time zone": "tz = '11:00+03'",
    "timestamp: -infinity": "ts = '-infinity'",
    "timestamp with time zone": "tstz = 'infinity'",
    "interval: 30 days for a month": "iv = '30 days'",
    "uuid": "u = '00000000-0000-0000-0000-000000000001'",
    "json: spacing": """j = '{"a": 1}'""",
    "jsonb: number's scale": """jb = '{"a": 1.0}'""",
    "inet": "ip = '10.0.0.1/9'",
    "cidr": "ci = '10.0.0.0/9'",
    "macaddr": "ma = '08:00:2b:01:02:04'",
    "bit": "bi = '1011'",
    "bit varying": "vb = '1010'",
    "point": "pt = '(1,2.0000000000000004)'",
    "box": "bx = '((0,0),(1,2))'",
    "tsvector": "tv = 'a:1 b:3'",
    "tsquery": "tq = 'a | b'",
    "array: lower bound": "ar = '[0:2]={1,NULL,3}'",
    "array: null for a text": "ar2 = '{{a,b},{c,NULL}}'",
    "range: bound": "ir = '[1,6)'",
    "multirange": "im = '{[1,3),[5,8)}'",
    "enum": "mo = 'nervous'",
    "composite": "pa = '(1,)'",
    "array of enum": "mos = '{calm,nervous}'",
    "xid8": "x = '4294967297'",
    "oid": "o = 2",
    "regclass": "rc = 'pg_type'",
    "jsonpath": "jp = '$.b'",
    "pg_lsn": "ls = '0/2'",
}
VALUES = [
    *_of(
        "types_of_values",
        *(
            (
                f"value of {name}",
                "contents",
                "rich.every_type",
                f"UPDATE rich.every_type SET {change} WHERE id = 1",
            )
            for name, change in _VALUES.items()
        ),
        ("label of an enum renamed", "types", "rich.mood",
         "ALTER TYPE rich.mood RENAME VALUE 'panic' TO 'alarm'"),
    ),
]  # fmt: skip

INHERITANCE = [
    *_of(
        "inheritance",
        ("row of the parent alone", "contents", "rich.parent",
         "UPDATE ONLY rich.parent SET note = 'x'"),
        ("row of a grandchild", "contents", "rich.grandchild",
         "UPDATE rich.grandchild SET own = 6"),
        ("row moved from parent to child", "contents", "rich.child",
         "WITH m AS (DELETE FROM ONLY rich.parent RETURNING *)"
         " INSERT INTO rich.child SELECT id, note, NULL FROM m"),
        ("child made independent", "tables", "rich.child",
         "ALTER TABLE rich.child NO INHERIT rich.parent"),
        ("order of parents", "tables", "rich.two_parents",
         "ALTER TABLE rich.two_parents NO INHERIT rich.parent;"
         " ALTER TABLE rich.two_parents INHERIT rich.parent"),
        ("check made local to the parent", "constraints", "rich.parent.here_only",
         "ALTER TABLE rich.parent DROP CONSTRAINT here_only;"
         " ALTER TABLE rich.parent ADD CONSTRAINT here_only CHECK (id < 1000)"),
        ("default of a child", "columns", "rich.two_parents.note",
         "ALTER TABLE rich.two_parents ALTER note SET DEFAULT 'yours'"),
        ("inherited column made the child's own", "columns", "rich.grandchild.own",
         "ALTER TABLE rich.grandchild NO INHERIT rich.child;"
         " ALTER TABLE rich.grandchild INHERIT rich.child"),
    ),
]  # fmt: skip

PARTITIONS = [
    *_of(
        "partitions",
        ("row of a range partition", "contents", "rich.by_range_2025",
         "UPDATE rich.by_range SET v = 'w' WHERE id = 1"),
        ("row of the default partition", "contents", "rich.by_range_rest",
         "DELETE FROM rich.by_range WHERE id = 99"),
        ("row of a list partition", "contents", "rich.by_list_null",
         "UPDATE rich.by_list SET n = 4 WHERE region IS NULL"),
        ("row of a hash partition", "contents", "rich.by_hash_",
         "UPDATE rich.by_hash SET v = 'w' WHERE id = 1"),
        ("row of a partition of a partition", "contents", "rich.by_list_us_low",
         "UPDATE rich.by_list SET n = 5 WHERE n = 4"),
        ("partition detached", "tables", "rich.by_range_2025",
         "ALTER TABLE rich.by_range DETACH PARTITION rich.by_range_2025"),
        ("partition added", "tables", "rich.by_list_uy",
         "CREATE TABLE rich.by_list_uy PARTITION OF rich.by_list FOR VALUES IN ('uy')"),
        ("partition dropped", "tables", "rich.by_list_null", "DROP TABLE rich.by_list_null"),
        ("bound of a partition", "tables", "rich.by_list_br",
         "ALTER TABLE rich.by_list DETACH PARTITION rich.by_list_br;"
         " ALTER TABLE rich.by_list ATTACH PARTITION rich.by_list_br"
         " FOR VALUES IN ('br', 'ar', 'cl')"),
        ("trigger of one partition", "triggers", "rich.by_range_2025.by_range_guard",
         "ALTER TABLE rich.by_range_2025 ENABLE TRIGGER by_range_guard"),
        ("index of one partition", "indexes", "rich.by_range_2025_own",
         "DROP INDEX rich.by_range_2025_own"),
        ("default of one partition", "columns", "rich.by_range_2026.v",
         "ALTER TABLE rich.by_range_2026 ALTER v DROP DEFAULT"),
        ("owner of one partition", "tables", "rich.by_hash_1",
         "ALTER TABLE rich.by_hash_1 OWNER TO rich_owner"),
        ("grant on one partition", "tables", "rich.by_hash_0",
         "GRANT SELECT ON rich.by_hash_0 TO rich_reader"),
        ("index of the partitioned table", "indexes", "rich.by_range_v",
         "DROP INDEX rich.by_range_v"),
    ),
]  # fmt: skip

COLUMNS = [
    *_of(
        "columns",
        ("identity made by default", "columns", "rich.identity_columns.a",
         "ALTER TABLE rich.identity_columns ALTER a SET GENERATED BY DEFAULT"),
        ("identity dropped", "columns", "rich.identity_columns.b",
         "ALTER TABLE rich.identity_columns ALTER b DROP IDENTITY"),
        ("increment of an identity", "sequences", "rich.identity_columns_a_seq",
         "ALTER TABLE rich.identity_columns ALTER a SET INCREMENT BY 6"),
        ("cache of an identity", "sequences", "rich.identity_columns_a_seq",
         "ALTER TABLE rich.identity_columns ALTER a SET CACHE 1"),
        ("restart of an identity", "sequences", "rich.identity_columns_b_seq",
         "ALTER TABLE rich.identity_columns ALTER b RESTART WITH 3"),
        ("value of a serial", "sequences", "rich.identity_columns_d_seq",
         "ALTER SEQUENCE rich.identity_columns_d_seq RESTART WITH 5"),
        ("serial's default dropped", "columns", "rich.identity_columns.c",
         "ALTER TABLE rich.identity_columns ALTER c DROP DEFAULT"),
        ("generated column made plain", "columns", "rich.generated_columns.twice",
         "ALTER TABLE rich.generated_columns ALTER twice DROP EXPRESSION"),
        ("default expression", "columns", "rich.generated_columns.label",
         "ALTER TABLE rich.generated_columns ALTER label SET DEFAULT upper('NONE'::varchar)"),
        ("storage of a column", "columns", "rich.storage.outside",
         "ALTER TABLE rich.storage ALTER outside SET STORAGE MAIN"),
        ("compression of a column", "columns", "rich.storage.compressed",
         "ALTER TABLE rich.storage ALTER compressed SET COMPRESSION default"),
        ("statistics of a column", "columns", "rich.storage.plain",
         "ALTER TABLE rich.storage ALTER plain SET STATISTICS 400"),
        ("n_distinct", "columns", "rich.storage.main",
         "ALTER TABLE rich.storage ALTER main SET (n_distinct = -0.6)"),
        ("n_distinct_inherited", "columns", "rich.storage.outside",
         "ALTER TABLE rich.storage ALTER outside RESET (n_distinct_inherited)"),
        ("option of the toast table", "tables", "rich.storage",
         "ALTER TABLE rich.storage SET (toast.autovacuum_enabled = true)"),
        ("autovacuum of a table", "tables", "rich.storage",
         "ALTER TABLE rich.storage RESET (autovacuum_enabled)"),
        ("toasted value", "contents", "rich.storage",
         "UPDATE rich.storage SET outside = outside || '.'"),
    ),
    *_of(
        "columns",
        ("expression of a generated column", "columns", "rich.generated_columns.is_open",
         "ALTER TABLE rich.generated_columns ALTER is_open"
         " SET EXPRESSION AS (status IN ('open', 'newer'))"),
        since=17,
    ),
    *_of(
        "virtual_columns",
        ("expression of a virtual column", "columns", "rich.virtual_columns.is_open",
         "ALTER TABLE rich.virtual_columns ALTER is_open"
         " SET EXPRESSION AS (status IN ('open', 'newer'))"),
        since=18,
    ),
]  # fmt: skip

CONSTRAINTS = [
    *_of(
        "constraints",
        ("value of an IN list", "constraints", "rich.checked.checked_status_check",
         "ALTER TABLE rich.checked DROP CONSTRAINT checked_status_check,"
         " ADD CONSTRAINT checked_status_check CHECK (status IN ('open', 'closed', 'gone'))"),
        ("IN list with a value less", "constraints", "rich.checked.checked_side_check",
         "ALTER TABLE rich.checked DROP CONSTRAINT checked_side_check,"
         " ADD CONSTRAINT checked_side_check CHECK (side IN ('buy', 'sell', 'none'))"),
        ("bound of a check", "constraints", "rich.checked.between_two",
         "ALTER TABLE rich.checked DROP CONSTRAINT between_two,"
         " ADD CONSTRAINT between_two CHECK (low BETWEEN 1 AND 1001)"),
        ("AND for OR in a check", "constraints", "rich.checked.in_order",
         "ALTER TABLE rich.checked DROP CONSTRAINT in_order,"
         " ADD CONSTRAINT in_order CHECK (low < high OR (low > 0 OR high > 100))"),
        ("check dropped", "constraints", "rich.checked.checked_code_check",
         "ALTER TABLE rich.checked DROP CONSTRAINT checked_code_check"),
        ("check added", "constraints", "rich.checked.more",
         "ALTER TABLE rich.checked ADD CONSTRAINT more CHECK (high > 0)"),
        ("constraint renamed", "constraints", "rich.checked.other_name",
         "ALTER TABLE rich.checked RENAME CONSTRAINT between_two TO other_name"),
        ("check validated", "constraints", "rich.checked.not_yet",
         "DELETE FROM rich.trade; DELETE FROM rich.checked WHERE id = 1; SET CONSTRAINTS ALL"
         " IMMEDIATE; ALTER TABLE rich.checked VALIDATE CONSTRAINT not_yet"),
        ("deferrable key made immediate", "constraints", "rich.checked.checked_key",
         "ALTER TABLE rich.checked DROP CONSTRAINT checked_key,"
         " ADD CONSTRAINT checked_key PRIMARY KEY (id)"),
        ("included column of a unique key", "constraints", "rich.checked.low_high",
         "ALTER TABLE rich.trade DROP CONSTRAINT trade_low_high_fkey;"
         " ALTER TABLE rich.checked DROP CONSTRAINT low_high,"
         " ADD CONSTRAINT low_high UNIQUE (low, high)"),
        ("exclusion dropped", "constraints", "rich.reserved",
         "ALTER TABLE rich.reserved DROP CONSTRAINT reserved_room_during_excl"),
        ("action of a foreign key", "constraints", "rich.trade.trade_fund_fkey",
         "ALTER TABLE rich.trade DROP CONSTRAINT trade_fund_fkey,"
         " ADD CONSTRAINT trade_fund_fkey FOREIGN KEY (fund) REFERENCES rich.fund"
         " ON DELETE RESTRICT ON UPDATE SET NULL"),
        ("foreign key deferred", "constraints", "rich.trade.trade_position_fkey",
         "ALTER TABLE rich.trade ALTER CONSTRAINT trade_position_fkey"
         " DEFERRABLE INITIALLY DEFERRED"),
        ("foreign key validated", "constraints", "rich.trade.later",
         "ALTER TABLE rich.trade VALIDATE CONSTRAINT later"),
        ("foreign key dropped", "constraints", "rich.trade.trade_fund_fkey",
         "ALTER TABLE rich.trade DROP CONSTRAINT trade_fund_fkey"),
        ("match full dropped", "constraints", "rich.trade.trade_low_high_fkey",
         "ALTER TABLE rich.trade DROP CONSTRAINT trade_low_high_fkey,"
         " ADD CONSTRAINT trade_low_high_fkey FOREIGN KEY (low, high)"
         " REFERENCES rich.checked (low, high)"),
        ("enforcement of foreign keys off", "constraints", "rich.trade.trade_fund_fkey",
         "ALTER TABLE rich.trade DISABLE TRIGGER ALL"),
        ("enforcement off at the referenced table", "constraints", "rich.trade.trade_fund_fkey",
         "ALTER TABLE rich.fund DISABLE TRIGGER ALL"),
        ("constraint's comment", "comments", "in_order",
         "COMMENT ON CONSTRAINT in_order ON rich.checked IS 'in order'"),
    ),
    *_of(
        "constraints_15",
        ("nulls made distinct", "constraints", "rich.nulls_equal",
         "ALTER TABLE rich.nulls_equal DROP CONSTRAINT nulls_equal_a_b_key,"
         " ADD CONSTRAINT nulls_equal_a_b_key UNIQUE (a, b)"),
        ("columns that a foreign key sets null", "constraints", "rich.set_some",
         "ALTER TABLE rich.set_some DROP CONSTRAINT set_some_fund_fkey,"
         " ADD CONSTRAINT set_some_fund_fkey FOREIGN KEY (fund) REFERENCES rich.fund"
         " ON DELETE SET NULL"),
        since=15,
    ),
    *_of(
        "constraints_18",
        ("name of a NOT NULL", "columns constraints", "rich.named_not_null",
         "ALTER TABLE rich.named_not_null RENAME CONSTRAINT id_is_there TO id_is_here"),
        ("check enforced", "constraints", "rich.named_not_null.a_positive",
         "ALTER TABLE rich.named_not_null DROP CONSTRAINT a_positive;"
         " UPDATE rich.named_not_null SET a = 1;"
         " ALTER TABLE rich.named_not_null ADD CONSTRAINT a_positive CHECK (a > 0)"),
        ("NOT NULL made NO INHERIT", "columns constraints", "rich.named_not_null",
         "ALTER TABLE rich.named_not_null ALTER CONSTRAINT b_there NO INHERIT"),
        ("NOT NULL validated", "columns constraints", "rich.late_not_null",
         "ALTER TABLE rich.late_not_null VALIDATE CONSTRAINT late"),
        ("period key dropped", "constraints", "rich.of_periods",
         "ALTER TABLE rich.of_periods DROP CONSTRAINT of_periods_of_valid_fkey"),
        since=18,
    ),
]  # fmt: skip

INDEXES = [
    *_of(
        "indexes",
        ("index dropped", "indexes", "rich.indexed_hash", "DROP INDEX rich.indexed_hash"),
        ("index added", "indexes", "rich.indexed_more",
         "CREATE INDEX indexed_more ON rich.indexed (at)"),
        ("index renamed", "indexes", "rich.indexed_other",
         "ALTER INDEX rich.indexed_hash RENAME TO indexed_other"),
        ("predicate of an index", "indexes", "rich.indexed_open",
         "DROP INDEX rich.indexed_open;"
         " CREATE INDEX indexed_open ON rich.indexed (name) WHERE status IN ('open', 'newer')"),
        ("expression of an index", "indexes", "rich.indexed_expression",
         "DROP INDEX rich.indexed_expression; CREATE INDEX indexed_expression ON rich.indexed"
         " ((status IN ('open', 'new')), (id + 2))"),
        ("operator class of an index", "indexes", "rich.indexed_lower",
         "DROP INDEX rich.indexed_lower; CREATE INDEX indexed_lower ON rich.indexed"
         " (lower(name) DESC NULLS LAST, id)"),
        ("order of an index", "indexes", "rich.indexed_lower",
         "DROP INDEX rich.indexed_lower; CREATE INDEX indexed_lower ON rich.indexed"
         " (lower(name) text_pattern_ops DESC, id)"),
        ("collation of an index", "indexes", "rich.indexed_collated",
         "DROP INDEX rich.indexed_collated; CREATE INDEX indexed_collated ON rich.indexed"
         ' (name COLLATE "POSIX")'),
        ("fillfactor of an index", "indexes", "rich.indexed_id",
         "ALTER INDEX rich.indexed_id SET (fillfactor = 81)"),
        ("option of a gin index", "indexes", "rich.indexed_tags",
         "ALTER INDEX rich.indexed_tags SET (fastupdate = on)"),
        ("statistics of an index's column", "indexes", "rich.indexed_expression",
         "ALTER INDEX rich.indexed_expression ALTER COLUMN 2 SET STATISTICS 301"),
        ("cluster", "indexes", "rich.indexed_id", "ALTER TABLE rich.indexed SET WITHOUT CLUSTER"),
        ("index of the replica identity", "tables indexes", "rich.indexed",
         "ALTER TABLE rich.indexed REPLICA IDENTITY DEFAULT"),
        ("replica identity nothing", "tables", "rich.identity_nothing",
         "ALTER TABLE rich.identity_nothing REPLICA IDENTITY DEFAULT"),
        ("index made invalid", "indexes", "rich.indexed_open",
         "UPDATE pg_catalog.pg_index SET indisvalid = false"
         " WHERE indexrelid = 'rich.indexed_open'::regclass"),
        ("comment on an index", "comments", "rich.indexed_id",
         "COMMENT ON INDEX rich.indexed_id IS NULL"),
    ),
]  # fmt: skip

TYPES = [
    *_of(
        "types",
        ("value added to an enum", "types", "rich.colour", "ALTER TYPE rich.colour ADD VALUE 'x'"),
        ("check of a domain", "constraints", "rich.side.side_check",
         "ALTER DOMAIN rich.side DROP CONSTRAINT side_check;"
         " ALTER DOMAIN rich.side ADD CONSTRAINT side_check CHECK (VALUE IN ('buy', 'sells'))"),
        ("length in a domain's check", "constraints", "rich.short_code.short_code_check",
         "ALTER DOMAIN rich.short_code DROP CONSTRAINT short_code_check;"
         " ALTER DOMAIN rich.short_code ADD CONSTRAINT short_code_check CHECK (length(VALUE) < 7)"),
        ("check added to a domain", "constraints", "rich.short_code",
         "ALTER DOMAIN rich.short_code ADD CONSTRAINT more CHECK (VALUE <> 'QQ')"),
        ("check of a domain validated", "constraints", "rich.short_code.later",
         "ALTER DOMAIN rich.short_code VALIDATE CONSTRAINT later"),
        ("default of a domain", "types", "rich.code",
         "ALTER DOMAIN rich.code SET DEFAULT 'some'"),
        ("not null of a domain", "types", "rich.code", "ALTER DOMAIN rich.code DROP NOT NULL"),
        ("attribute added to a composite type", "columns types", "rich.address",
         "ALTER TYPE rich.address ADD ATTRIBUTE country text"),
        ("attribute renamed", "columns types", "rich.address",
         "ALTER TYPE rich.address RENAME ATTRIBUTE number TO no"),
        ("type renamed", "types", "rich.color", "ALTER TYPE rich.colour RENAME TO color"),
        ("owner of a type", "types", "rich.colour", "ALTER TYPE rich.colour OWNER TO rich_owner"),
        ("grant on a type", "types", "rich.colour",
         "REVOKE USAGE ON TYPE rich.colour FROM rich_reader"),
        ("revoke of a domain's default grant", "types", "rich.code",
         "GRANT USAGE ON TYPE rich.code TO public"),
        ("difference function of a range", "types", "rich.text_range",
         "ALTER TABLE rich.typed_values DROP r; DROP TYPE rich.text_range; CREATE TYPE"
         " rich.text_range AS RANGE (SUBTYPE = text, SUBTYPE_OPCLASS = text_pattern_ops,"
         ' COLLATION = "C", MULTIRANGE_TYPE_NAME = rich.text_ranges)'),
        ("operator class of a range", "types", "rich.text_range",
         "ALTER TABLE rich.typed_values DROP r; DROP TYPE rich.text_range; CREATE TYPE"
         ' rich.text_range AS RANGE (SUBTYPE = text, COLLATION = "C",'
         " SUBTYPE_DIFF = rich.text_distance, MULTIRANGE_TYPE_NAME = rich.text_ranges)"),
        ("collation of a range", "types", "rich.text_range",
         "ALTER TABLE rich.typed_values DROP r; DROP TYPE rich.text_range; CREATE TYPE"
         " rich.text_range AS RANGE (SUBTYPE = text, SUBTYPE_OPCLASS = text_pattern_ops,"
         ' COLLATION = "POSIX", SUBTYPE_DIFF = rich.text_distance,'
         " MULTIRANGE_TYPE_NAME = rich.text_ranges)"),
        ("name of a multirange", "types", "rich.text_range",
         "ALTER TYPE rich.text_ranges RENAME TO many_texts"),
        ("storage of a base type", "types", "rich.base",
         "ALTER TYPE rich.base SET (STORAGE = external)"),
        ("shell type dropped", "types", "rich.shell", "DROP TYPE rich.shell"),
        ("composite value", "contents", "rich.typed_values",
         "UPDATE rich.typed_values SET a = '(street,2,ABC)'"),
        ("collation of an attribute", "columns types", "rich.address",
         'ALTER TYPE rich.address ADD ATTRIBUTE x text COLLATE "POSIX"'),
        ("comment on a type", "comments", "rich.address",
         "COMMENT ON TYPE rich.address IS 'where else'"),
        ("comment on an attribute", "comments", "rich.address",
         "COMMENT ON COLUMN rich.address.street IS NULL"),
        ("comment on a domain", "comments", "rich.code", "COMMENT ON DOMAIN rich.code IS NULL"),
        ("comment on a domain's check", "comments", "code_form",
         "COMMENT ON CONSTRAINT code_form ON DOMAIN rich.code IS NULL"),
    ),
]  # fmt: skip

VIEWS = [
    *_of(
        "views",
        ("value in a view", "views", "rich.open_positions",
         "CREATE OR REPLACE VIEW rich.open_positions WITH (security_barrier = true) AS"
         " SELECT id, name FROM rich.position WHERE status IN ('open', 'newer')"),
        ("column added to a view", "views", "rich.open_positions",
         "CREATE OR REPLACE VIEW rich.open_positions WITH (security_barrier = true) AS"
         " SELECT id, name, fund FROM rich.position WHERE status IN ('open', 'new')"),
        ("option of a view", "views", "rich.open_positions",
         "ALTER VIEW rich.open_positions RESET (security_barrier)"),
        ("check option of a view", "views", "rich.checked_view",
         "ALTER VIEW rich.checked_view SET (check_option = cascaded)"),
        ("default of a view's column", "columns", "rich.checked_view.name",
         "ALTER VIEW rich.checked_view ALTER name DROP DEFAULT"),
        ("owner of a view", "views", "rich.over_view",
         "ALTER VIEW rich.over_view OWNER TO rich_writer"),
        ("grant on a view", "views", "rich.open_positions",
         "GRANT INSERT ON rich.open_positions TO rich_reader"),
        ("grant on a view's column", "columns", "rich.checked_view.name",
         "REVOKE UPDATE (name) ON rich.checked_view FROM rich_writer"),
        ("view dropped", "views", "rich.over_view", "DROP VIEW rich.over_view"),
        ("recursive view", "views", "rich.numbers",
         "CREATE OR REPLACE RECURSIVE VIEW rich.numbers (n) AS"
         " SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 6"),
        ("materialized view emptied", "views materialized_views", "rich.totals_of_totals",
         "REFRESH MATERIALIZED VIEW rich.totals_of_totals WITH NO DATA"),
        ("materialized view filled", "views materialized_views", "rich.unpopulated",
         "REFRESH MATERIALIZED VIEW rich.unpopulated"),
        ("materialized view refreshed", "materialized_views", "rich.totals",
         "UPDATE rich.position SET amount = amount + 1 WHERE id = 1;"
         " REFRESH MATERIALIZED VIEW rich.totals"),
        ("option of a materialized view", "views", "rich.totals",
         "ALTER MATERIALIZED VIEW rich.totals SET (fillfactor = 61)"),
        ("statistics of a materialized view", "columns", "rich.totals.total",
         "ALTER MATERIALIZED VIEW rich.totals ALTER total SET STATISTICS 201"),
        ("index of a materialized view", "indexes", "rich.totals_fund",
         "DROP INDEX rich.totals_fund"),
        ("comment on a view", "comments", "rich.open_positions",
         "COMMENT ON VIEW rich.open_positions IS 'others'"),
        ("comment on a view's column", "comments", "rich.open_positions",
         "COMMENT ON COLUMN rich.open_positions.name IS 'others'"),
        ("comment on a materialized view", "comments", "rich.totals",
         "COMMENT ON MATERIALIZED VIEW rich.totals IS 'others'"),
    ),
    *_of(
        "views_15",
        ("security invoker", "views", "rich.invoker",
         "ALTER VIEW rich.invoker SET (security_invoker = false)"),
        since=15,
    ),
    *_of(
        "stale_views",
        ("stale materialized view refreshed", "materialized_views", "rich.stale",
         "REFRESH MATERIALIZED VIEW rich.stale"),
        expected=True,
    ),
]  # fmt: skip

RULES = [
    *_of(
        "rules",
        ("condition of a rule", "rules", "rich.ruled.no_delete",
         "CREATE OR REPLACE RULE no_delete AS ON DELETE TO rich.ruled"
         " WHERE OLD.status IN ('open', 'newer')"
         " DO INSTEAD UPDATE rich.ruled SET gone = true WHERE id = OLD.id"),
        ("action of a rule", "rules", "rich.ruled.tell",
         "CREATE OR REPLACE RULE tell AS ON INSERT TO rich.ruled DO ALSO NOTIFY others"),
        ("rule enabled", "rules", "rich.ruled.tell", "ALTER TABLE rich.ruled ENABLE RULE tell"),
        ("rule for replicas", "rules", "rich.ruled.always",
         "ALTER TABLE rich.ruled ENABLE REPLICA RULE always"),
        ("rule dropped", "rules", "rich.ruled.no_delete", "DROP RULE no_delete ON rich.ruled"),
        ("comment on a rule", "comments", "tell", "COMMENT ON RULE tell ON rich.ruled IS 'none'"),
    ),
]  # fmt: skip

TABLESPACES = [
    *_of(
        "tablespaces",
        ("tablespace of a table", "tables", "rich.elsewhere",
         "ALTER TABLE rich.elsewhere SET TABLESPACE pg_default"),
        ("tablespace of an index", "indexes", "rich.elsewhere_v",
         "ALTER INDEX rich.elsewhere_v SET TABLESPACE pg_default"),
        ("tablespace of a key", "indexes", "rich.elsewhere_pkey",
         "ALTER INDEX rich.elsewhere_pkey SET TABLESPACE rich_space"),
        ("tablespace of a materialized view", "views", "rich.elsewhere_too",
         "ALTER MATERIALIZED VIEW rich.elsewhere_too SET TABLESPACE pg_default"),
        since=15,
    ),
]  # fmt: skip

POLICIES = [
    *_of(
        "policies",
        ("expression of a policy", "policies", "rich.secured.own_rows",
         "ALTER POLICY own_rows ON rich.secured"
         " USING (owner = current_user AND status IN ('open', 'newer'))"),
        ("check of a policy", "policies", "rich.secured.write_open",
         "ALTER POLICY write_open ON rich.secured WITH CHECK (status IN ('open', 'newer'))"),
        ("roles of a policy", "policies", "rich.secured.own_rows",
         "ALTER POLICY own_rows ON rich.secured TO rich_reader"),
        ("command of a policy", "policies", "rich.secured.everybody",
         "DROP POLICY everybody ON rich.secured;"
         " CREATE POLICY everybody ON rich.secured FOR SELECT USING (true)"),
        ("restrictive policy made permissive", "policies", "rich.secured.write_open",
         "DROP POLICY write_open ON rich.secured; CREATE POLICY write_open ON rich.secured"
         " FOR INSERT TO rich_writer WITH CHECK (status IN ('open', 'new'))"),
        ("policy dropped", "policies", "rich.secured.everybody",
         "DROP POLICY everybody ON rich.secured"),
        ("policy renamed", "policies", "rich.secured.everyone",
         "ALTER POLICY everybody ON rich.secured RENAME TO everyone"),
        ("row security off", "tables", "rich.secured",
         "ALTER TABLE rich.secured DISABLE ROW LEVEL SECURITY"),
        ("row security not forced", "tables", "rich.forced",
         "ALTER TABLE rich.forced NO FORCE ROW LEVEL SECURITY"),
        ("grant on columns", "columns", "rich.secured.secret",
         "GRANT SELECT (secret) ON rich.secured TO rich_writer"),
        ("row that a policy hides", "contents", "rich.secured",
         "UPDATE rich.secured SET secret = 'y'"),
        ("comment on a policy", "comments", "own_rows",
         "COMMENT ON POLICY own_rows ON rich.secured IS NULL"),
    ),
]  # fmt: skip

TRIGGERS = [
    *_of(
        "triggers",
        ("trigger disabled", "triggers", "rich.triggered.when_open",
         "ALTER TABLE rich.triggered DISABLE TRIGGER when_open"),
        ("trigger enabled", "triggers", "rich.triggered.disabled",
         "ALTER TABLE rich.triggered ENABLE TRIGGER disabled"),
        ("trigger not for replicas only", "triggers", "rich.triggered.replica",
         "ALTER TABLE rich.triggered ENABLE TRIGGER replica"),
        ("trigger not always", "triggers", "rich.triggered.always",
         "ALTER TABLE rich.triggered ENABLE TRIGGER always"),
        ("condition of a trigger", "triggers", "rich.triggered.when_open",
         "DROP TRIGGER when_open ON rich.triggered; CREATE TRIGGER when_open BEFORE UPDATE OF"
         " status, amount ON rich.triggered FOR EACH ROW WHEN (OLD.status IN ('open', 'newer')"
         " AND NEW.amount IS DISTINCT FROM OLD.amount) EXECUTE FUNCTION rich.guard()"),
        ("columns of a trigger", "triggers", "rich.triggered.when_open",
         "DROP TRIGGER when_open ON rich.triggered; CREATE TRIGGER when_open BEFORE UPDATE OF"
         " status ON rich.triggered FOR EACH ROW WHEN (OLD.status IN ('open', 'new')"
         " AND NEW.amount IS DISTINCT FROM OLD.amount) EXECUTE FUNCTION rich.guard()"),
        ("argument of a trigger", "triggers", "rich.triggered.replica",
         "DROP TRIGGER replica ON rich.triggered; CREATE TRIGGER replica AFTER INSERT ON"
         " rich.triggered FOR EACH ROW EXECUTE FUNCTION rich.guard('other');"
         " ALTER TABLE rich.triggered ENABLE REPLICA TRIGGER replica"),
        ("event of a trigger", "triggers", "rich.triggered.always",
         "DROP TRIGGER always ON rich.triggered; CREATE TRIGGER always AFTER DELETE ON"
         " rich.triggered EXECUTE FUNCTION rich.guard();"
         " ALTER TABLE rich.triggered ENABLE ALWAYS TRIGGER always"),
        ("constraint trigger made immediate", "triggers", "rich.triggered.deferred",
         "DROP TRIGGER deferred ON rich.triggered; CREATE CONSTRAINT TRIGGER deferred"
         " AFTER INSERT OR UPDATE ON rich.triggered FOR EACH ROW EXECUTE FUNCTION rich.guard()"),
        ("trigger dropped", "triggers", "rich.triggered.transition",
         "DROP TRIGGER transition ON rich.triggered"),
        ("trigger of a view", "triggers", "rich.through.instead",
         "DROP TRIGGER instead ON rich.through"),
        ("comment on a trigger", "comments", "when_open",
         "COMMENT ON TRIGGER when_open ON rich.triggered IS NULL"),
    ),
    *_of(
        "event_triggers",
        ("event trigger disabled", "event_triggers", "rich_start",
         "ALTER EVENT TRIGGER rich_start DISABLE"),
        ("event trigger enabled", "event_triggers", "rich_end",
         "ALTER EVENT TRIGGER rich_end ENABLE"),
        ("event trigger not for replicas only", "event_triggers", "rich_drop",
         "ALTER EVENT TRIGGER rich_drop ENABLE"),
        ("event trigger not always", "event_triggers", "rich_rewrite",
         "ALTER EVENT TRIGGER rich_rewrite ENABLE"),
        ("owner of an event trigger", "event_triggers", "rich_start",
         "ALTER EVENT TRIGGER rich_start OWNER TO pms_restore"),
        ("tags of an event trigger", "event_triggers", "rich_start",
         "DROP EVENT TRIGGER rich_start; CREATE EVENT TRIGGER rich_start ON ddl_command_start"
         " WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION rich.on_ddl()"),
        ("event trigger dropped", "event_triggers", "rich_rewrite",
         "DROP EVENT TRIGGER rich_rewrite"),
        ("comment on an event trigger", "comments", "rich_start",
         "COMMENT ON EVENT TRIGGER rich_start IS NULL"),
    ),
    *_of(
        "event_triggers_17",
        ("trigger at login", "event_triggers", "rich_login",
         "ALTER EVENT TRIGGER rich_login ENABLE ALWAYS"),
        since=17,
    ),
]  # fmt: skip

FUNCTIONS = [
    *_of(
        "functions",
        ("body of a function", "functions", "rich.in_plpgsql",
         "CREATE OR REPLACE FUNCTION rich.in_plpgsql(INOUT a int, OUT b text,"
         " VARIADIC rest int[] DEFAULT '{1}') LANGUAGE plpgsql SECURITY DEFINER LEAKPROOF"
         " SET search_path = rich, pg_temp SET work_mem = '8MB' AS $$ BEGIN b := 'y'; END $$"),
        ("volatility of a function", "functions", "rich.in_sql(text)",
         "ALTER FUNCTION rich.in_sql(text) VOLATILE"),
        ("cost of a function", "functions", "rich.in_sql(integer,integer)",
         "ALTER FUNCTION rich.in_sql(int, int) COST 6"),
        ("rows of a function", "functions", "rich.in_atomic",
         "ALTER FUNCTION rich.in_atomic(int) ROWS 51"),
        ("strictness of a function", "functions", "rich.in_sql(text)",
         "ALTER FUNCTION rich.in_sql(text) CALLED ON NULL INPUT"),
        ("parallel safety of a function", "functions", "rich.in_sql(integer,integer)",
         "ALTER FUNCTION rich.in_sql(int, int) PARALLEL RESTRICTED"),
        ("rights of a function's definer", "functions", "rich.in_plpgsql",
         "ALTER FUNCTION rich.in_plpgsql SECURITY INVOKER"),
        ("leakproof", "functions", "rich.in_plpgsql",
         "ALTER FUNCTION rich.in_plpgsql NOT LEAKPROOF"),
        ("setting of a function", "functions", "rich.in_plpgsql",
         "ALTER FUNCTION rich.in_plpgsql SET work_mem = '9MB'"),
        ("default of an argument", "functions", "rich.in_sql(integer,integer)",
         "CREATE OR REPLACE FUNCTION rich.in_sql(a int, b int DEFAULT 3) RETURNS int LANGUAGE sql"
         " IMMUTABLE PARALLEL SAFE COST 5 AS 'SELECT a + b'"),
        ("name of an argument", "functions", "rich.in_sql(text)",
         "DROP FUNCTION rich.in_sql(text); CREATE FUNCTION rich.in_sql(c text) RETURNS text"
         " LANGUAGE sql STABLE STRICT AS 'SELECT c'"),
        ("value in an SQL body", "functions", "rich.in_body",
         "CREATE OR REPLACE FUNCTION rich.in_body(status varchar) RETURNS boolean LANGUAGE sql"
         " RETURN status IN ('open', 'gone')"),
        ("SQL body of a query", "functions", "rich.in_atomic",
         "CREATE OR REPLACE FUNCTION rich.in_atomic(of int) RETURNS SETOF rich.position LANGUAGE"
         " sql STABLE ROWS 50 BEGIN ATOMIC SELECT * FROM rich.position p WHERE p.fund = of"
         " AND p.status IN ('open', 'newer'); END"),
        ("window function", "functions", "rich.my_row_number",
         "CREATE OR REPLACE FUNCTION rich.my_row_number() RETURNS bigint LANGUAGE internal WINDOW"
         " AS 'window_rank'"),
        ("procedure", "functions", "rich.settle",
         "CREATE OR REPLACE PROCEDURE rich.settle(INOUT n int DEFAULT 1) LANGUAGE plpgsql AS"
         " $$ BEGIN n := n + 2; COMMIT; END $$"),
        ("SQL body of a procedure", "functions", "rich.in_body_too",
         "CREATE OR REPLACE PROCEDURE rich.in_body_too(a int) LANGUAGE sql BEGIN ATOMIC"
         " UPDATE rich.position SET status = 'closed' WHERE id = a"
         " AND status IN ('open', 'newer'); END"),
        ("function dropped", "functions", "rich.any_of",
         "DROP FUNCTION rich.any_of(anyelement, anyarray)"),
        ("overloaded function added", "functions", "rich.in_sql(bigint)",
         "CREATE FUNCTION rich.in_sql(a bigint) RETURNS bigint LANGUAGE sql AS 'SELECT a'"),
        ("owner of a function", "functions", "rich.in_sql(integer,integer)",
         "ALTER FUNCTION rich.in_sql(int, int) OWNER TO rich_writer"),
        ("grant on a function", "functions", "rich.in_sql(text)",
         "REVOKE EXECUTE ON FUNCTION rich.in_sql(text) FROM public"),
        ("grant on a procedure", "functions", "rich.settle",
         "REVOKE EXECUTE ON PROCEDURE rich.settle FROM rich_writer"),
        ("comment on a function", "comments", "rich.in_sql",
         "COMMENT ON FUNCTION rich.in_sql(int, int) IS 'another'"),
        ("comment on a procedure", "comments", "rich.settle",
         "COMMENT ON PROCEDURE rich.settle IS 'another'"),
    ),
]  # fmt: skip

_TOTAL = {
    "SFUNC": "rich.add_up",
    "STYPE": "numeric",
    "SSPACE": "64",
    "INITCOND": "'0'",
    "FINALFUNC": "rich.finish",
    "FINALFUNC_MODIFY": "SHAREABLE",
    "COMBINEFUNC": "rich.add_up",
    "PARALLEL": "SAFE",
    "MSFUNC": "rich.add_up",
    "MINVFUNC": "rich.take_off",
    "MSTYPE": "numeric",
    "MINITCOND": "'0'",
    "MFINALFUNC": "rich.finish",
}


def _total(**other: str | None) -> str:
    parts = ", ".join(f"{k} = {v}" for k, v in (_TOTAL | other).items() if v is not None)
    return f"CREATE OR REPLACE AGGREGATE rich.total (numeric) ({parts})"


AGGREGATES = [
    *_of(
        "aggregates",
        ("step of an aggregate", "aggregates", "rich.total",
         _total(SFUNC="numeric_add", FINALFUNC="rich.finish")),
        ("start value of an aggregate", "aggregates", "rich.total", _total(INITCOND="'1'")),
        ("state size of an aggregate", "aggregates", "rich.total", _total(SSPACE="65")),
        ("final function's mode", "aggregates", "rich.total",
         _total(FINALFUNC_MODIFY="READ_WRITE")),
        ("combine function", "aggregates", "rich.total", _total(COMBINEFUNC="numeric_add")),
        ("parallel safety of an aggregate", "aggregates", "rich.total",
         _total(PARALLEL="RESTRICTED")),
        ("moving start value", "aggregates", "rich.total", _total(MINITCOND="'1'")),
        ("moving inverse function", "aggregates", "rich.total",
         "CREATE FUNCTION rich.take_off_too(numeric, numeric) RETURNS numeric LANGUAGE sql"
         f" IMMUTABLE AS 'SELECT $1 - $2'; {_total(MINVFUNC='rich.take_off_too')}"),
        ("final function dropped", "aggregates", "rich.total",
         "DROP AGGREGATE rich.total (numeric); CREATE AGGREGATE rich.total (numeric)"
         " (SFUNC = rich.add_up, STYPE = numeric)"),
        ("sort operator of an aggregate", "aggregates", "rich.smallest",
         "CREATE OR REPLACE AGGREGATE rich.smallest (int) (SFUNC = int4smaller, STYPE = int)"),
        ("aggregate dropped", "aggregates functions", "rich.plain_total",
         "DROP AGGREGATE rich.plain_total (numeric)"),
        ("owner of an aggregate", "functions", "rich.plain_total",
         "ALTER AGGREGATE rich.plain_total (numeric) OWNER TO rich_owner"),
        ("grant on an aggregate", "functions", "rich.total",
         "REVOKE EXECUTE ON FUNCTION rich.total (numeric) FROM rich_reader"),
        ("comment on an aggregate", "comments", "rich.total",
         "COMMENT ON AGGREGATE rich.total (numeric) IS NULL"),
    ),
]  # fmt: skip

OPERATORS = [
    *_of(
        "operators",
        ("restriction estimator of an operator", "operators", "rich.===",
         "ALTER OPERATOR rich.=== (rich.amount, rich.amount) SET (RESTRICT = NONE)"),
        ("join estimator of an operator", "operators", "rich.===",
         "ALTER OPERATOR rich.=== (rich.amount, rich.amount) SET (JOIN = NONE)"),
        ("owner of an operator", "operators", "rich.<<<",
         "ALTER OPERATOR rich.<<< (rich.amount, rich.amount) OWNER TO rich_owner"),
        ("operator dropped", "operators", "rich.<<>>",
         "DROP OPERATOR rich.<<>> (rich.amount, rich.amount) CASCADE"),
        ("operator added", "operators", "rich.!!!",
         "CREATE OPERATOR rich.!!! (FUNCTION = rich.amount_eq, LEFTARG = rich.amount,"
         " RIGHTARG = rich.amount)"),
        ("function of an operator", "operators", "rich.<<>>",
         "DROP OPERATOR rich.<<>> (rich.amount, rich.amount); CREATE OPERATOR rich.<<>>"
         " (FUNCTION = rich.amount_eq, LEFTARG = rich.amount, RIGHTARG = rich.amount,"
         " COMMUTATOR = OPERATOR(rich.<<>>), NEGATOR = OPERATOR(rich.===), RESTRICT = neqsel,"
         " JOIN = neqjoinsel)"),
        ("function taken from an operator family", "operator_families", "rich.amount_family",
         "ALTER OPERATOR FAMILY rich.amount_family USING btree"
         " DROP FUNCTION 1 (rich.amount, numeric)"),
        ("owner of an operator family", "operator_families", "rich.amount_family",
         "ALTER OPERATOR FAMILY rich.amount_family USING btree OWNER TO rich_writer"),
        ("owner of an operator class", "operator_classes", "rich.amount_ops",
         "ALTER OPERATOR CLASS rich.amount_ops USING btree OWNER TO rich_owner"),
        ("default operator class", "operator_classes", "rich.amount_hash_ops",
         "DROP OPERATOR CLASS rich.amount_hash_ops USING hash;"
         " CREATE OPERATOR CLASS rich.amount_hash_ops FOR TYPE rich.amount USING hash AS"
         " OPERATOR 1 rich.===, FUNCTION 1 rich.amount_hash(rich.amount)"),
        ("operator class dropped", "operator_classes", "rich.amount_hash_ops",
         "DROP OPERATOR CLASS rich.amount_hash_ops USING hash"),
        ("comment on an operator", "comments", "rich.===",
         "COMMENT ON OPERATOR rich.=== (rich.amount, rich.amount) IS NULL"),
        ("comment on an operator class", "comments", "rich.amount_ops",
         "COMMENT ON OPERATOR CLASS rich.amount_ops USING btree IS NULL"),
        ("comment on an operator family", "comments", "rich.amount_family",
         "COMMENT ON OPERATOR FAMILY rich.amount_family USING btree IS NULL"),
    ),
    *_of(
        "casts",
        ("cast dropped", "casts", "rich.cents", "DROP CAST (rich.cents AS text)"),
        ("cast made explicit", "casts", "rich.cents",
         "DROP CAST (numeric AS rich.cents);"
         " CREATE CAST (numeric AS rich.cents) WITH FUNCTION rich.to_cents(numeric)"),
        ("function of a cast", "casts", "rich.cents as bigint",
         "CREATE FUNCTION rich.to_bigint_too(rich.cents) RETURNS bigint LANGUAGE sql IMMUTABLE AS"
         " 'SELECT $1.n'; DROP CAST (rich.cents AS bigint); CREATE CAST (rich.cents AS bigint)"
         " WITH FUNCTION rich.to_bigint_too(rich.cents) AS IMPLICIT"),
        ("binary cast by text form", "casts", "rich.binary_text",
         "DROP CAST (rich.binary_text AS text); CREATE CAST (rich.binary_text AS text) WITH INOUT"),
        ("comment on a cast", "comments", "rich.cents",
         "COMMENT ON CAST (numeric AS rich.cents) IS NULL"),
        ("transform dropped", "transforms", "integer", "DROP TRANSFORM FOR int LANGUAGE sql"),
        ("half a transform", "transforms", "integer",
         "DROP TRANSFORM FOR int LANGUAGE sql; CREATE TRANSFORM FOR int LANGUAGE sql"
         " (FROM SQL WITH FUNCTION prsd_lextype(internal))"),
        ("comment on a transform", "comments", "integer",
         "COMMENT ON TRANSFORM FOR int LANGUAGE sql IS NULL"),
    ),
]  # fmt: skip

COLLATIONS = [
    *_of(
        "collations",
        ("owner of a collation", "collations", "rich.posix",
         "ALTER COLLATION rich.posix OWNER TO rich_writer"),
        ("collation dropped", "collations", "rich.libc_c", "DROP COLLATION rich.libc_c"),
        ("locale of a collation", "collations", "rich.libc_c",
         "DROP COLLATION rich.libc_c; CREATE COLLATION rich.libc_c (LOCALE = 'POSIX')"),
        ("collation of a column's schema", "columns", "rich.collated.a",
         'ALTER TABLE rich.collated ALTER a TYPE text COLLATE pg_catalog."C"'),
        ("comment on a collation", "comments", "rich.posix",
         "COMMENT ON COLLATION rich.posix IS NULL"),
    ),
    *_of(
        "collations_icu",
        ("locale of an icu collation", "collations", "rich.natural",
         "ALTER TABLE rich.collated_icu DROP a; DROP COLLATION rich.natural;"
         " CREATE COLLATION rich.natural (PROVIDER = icu, LOCALE = 'en-u-kn-false')"),
        ("collation made deterministic", "collations", "rich.no_case",
         "ALTER TABLE rich.collated_icu DROP b; DROP COLLATION rich.no_case; CREATE COLLATION"
         " rich.no_case (PROVIDER = icu, LOCALE = 'und-u-ks-level2')"),
        ("letter case under a collation that ignores it", "contents", "rich.collated_icu",
         "UPDATE rich.collated_icu SET b = 'C' WHERE b = 'c'"),
    ),
    *_of(
        "collations_16",
        ("rules of a collation", "collations", "rich.ruled_order",
         "DROP COLLATION rich.ruled_order; CREATE COLLATION rich.ruled_order"
         " (PROVIDER = icu, LOCALE = 'und', RULES = '&a < h')"),
        since=16,
    ),
    *_of(
        "conversions",
        ("default conversion", "conversions", "rich.latin",
         "DROP CONVERSION rich.latin; CREATE DEFAULT CONVERSION rich.latin FOR 'LATIN1' TO 'UTF8'"
         " FROM iso8859_1_to_utf8"),
        ("owner of a conversion", "conversions", "rich.latin",
         "ALTER CONVERSION rich.latin OWNER TO rich_writer"),
        ("conversion dropped", "conversions", "rich.latin", "DROP CONVERSION rich.latin"),
        ("comment on a conversion", "comments", "rich.latin",
         "COMMENT ON CONVERSION rich.latin IS NULL"),
    ),
    *_of(
        "text_search",
        ("mapping dropped", "text_search_configurations", "rich.notes",
         "ALTER TEXT SEARCH CONFIGURATION rich.notes DROP MAPPING FOR int"),
        ("order of dictionaries", "text_search_configurations", "rich.notes",
         "ALTER TEXT SEARCH CONFIGURATION rich.notes ALTER MAPPING FOR word"
         " WITH rich.last, rich.short"),
        ("option of a dictionary", "text_search_dictionaries", "rich.short",
         "ALTER TEXT SEARCH DICTIONARY rich.short (accept = true)"),
        ("owner of a dictionary", "text_search_dictionaries", "rich.last",
         "ALTER TEXT SEARCH DICTIONARY rich.last OWNER TO rich_owner"),
        ("owner of a configuration", "text_search_configurations", "rich.notes",
         "ALTER TEXT SEARCH CONFIGURATION rich.notes OWNER TO rich_writer"),
        ("text search template added", "text_search_templates", "rich.more",
         "CREATE TEXT SEARCH TEMPLATE rich.more (LEXIZE = dsimple_lexize)"),
        ("text search parser added", "text_search_parsers", "rich.more",
         "CREATE TEXT SEARCH PARSER rich.more (START = prsd_start, GETTOKEN = prsd_nexttoken,"
         " END = prsd_end, LEXTYPES = prsd_lextype)"),
        ("comment on a text search parser", "comments", "rich.words",
         "COMMENT ON TEXT SEARCH PARSER rich.words IS NULL"),
        ("comment on a text search template", "comments", "rich.plain",
         "COMMENT ON TEXT SEARCH TEMPLATE rich.plain IS NULL"),
        ("comment on a text search dictionary", "comments", "rich.short",
         "COMMENT ON TEXT SEARCH DICTIONARY rich.short IS NULL"),
        ("comment on a text search configuration", "comments", "rich.notes",
         "COMMENT ON TEXT SEARCH CONFIGURATION rich.notes IS NULL"),
    ),
]  # fmt: skip

LANGUAGES = [
    *_of(
        "languages",
        ("language dropped", "languages", "rich_twin", "DROP LANGUAGE rich_twin CASCADE"),
        ("language not trusted any more", "languages", "rich_twin",
         "DROP LANGUAGE rich_twin CASCADE; CREATE LANGUAGE rich_twin HANDLER rich.twin_handler"
         " INLINE rich.twin_inline VALIDATOR rich.twin_validator"),
        ("grant on a language", "languages", "rich_twin",
         "REVOKE USAGE ON LANGUAGE rich_twin FROM rich_writer"),
        ("owner of a language", "languages", "rich_twin",
         "ALTER LANGUAGE rich_twin OWNER TO rich_owner"),
        ("grant on a language of the server", "languages system_grants", "plpgsql",
         "REVOKE USAGE ON LANGUAGE plpgsql FROM public"),
        ("comment on a language", "comments", "rich_twin",
         "COMMENT ON LANGUAGE rich_twin IS NULL"),
    ),
    *_of(
        "access_methods",
        ("access method added", "access_methods", "rich_more",
         "CREATE ACCESS METHOD rich_more TYPE INDEX HANDLER ginhandler"),
        ("access method dropped", "access_methods", "rich_heap",
         "DROP ACCESS METHOD rich_heap CASCADE"),
        ("comment on an access method", "comments", "rich_heap",
         "COMMENT ON ACCESS METHOD rich_heap IS NULL"),
    ),
    *_of(
        "access_methods",
        ("access method of a table", "tables", "rich.in_own_heap",
         "ALTER TABLE rich.in_own_heap SET ACCESS METHOD heap"),
        ("access method of a materialized view", "views", "rich.in_own_heap_too",
         "ALTER MATERIALIZED VIEW rich.in_own_heap_too SET ACCESS METHOD heap"),
        since=15,
    ),
]  # fmt: skip

FOREIGN = [
    *_of(
        "foreign_data",
        ("option of a wrapper", "foreign_data_wrappers", "rich_wrapper",
         "ALTER FOREIGN DATA WRAPPER rich_wrapper OPTIONS (SET debug 'false')"),
        ("validator of a wrapper", "foreign_data_wrappers", "rich_wrapper",
         "ALTER FOREIGN DATA WRAPPER rich_wrapper OPTIONS (DROP debug);"
         " ALTER FOREIGN DATA WRAPPER rich_wrapper VALIDATOR postgresql_fdw_validator"),
        ("owner of a wrapper", "foreign_data_wrappers", "rich_wrapper",
         "ALTER FOREIGN DATA WRAPPER rich_wrapper OWNER TO postgres"),
        ("grant on a wrapper", "foreign_data_wrappers", "rich_wrapper",
         "GRANT USAGE ON FOREIGN DATA WRAPPER rich_wrapper TO rich_reader"),
        ("option of a server", "foreign_servers", "rich_server",
         "ALTER SERVER rich_server OPTIONS (SET port '1235')"),
        ("version of a server", "foreign_servers", "rich_server",
         "ALTER SERVER rich_server VERSION '1.3'"),
        ("owner of a server", "foreign_servers", "rich_server",
         "ALTER SERVER rich_server OWNER TO postgres"),
        ("grant on a server", "foreign_servers", "rich_server",
         "REVOKE USAGE ON FOREIGN SERVER rich_server FROM rich_reader"),
        ("server dropped", "foreign_servers", "rich_server", "DROP SERVER rich_server CASCADE"),
        ("option of a user mapping", "user_mappings", "rich_reader",
         "ALTER USER MAPPING FOR rich_reader SERVER rich_server OPTIONS (SET user 'other')"),
        ("user mapping added", "user_mappings", "rich_writer",
         "CREATE USER MAPPING FOR rich_writer SERVER rich_server"),
        ("user mapping dropped", "user_mappings", "rich_server",
         "DROP USER MAPPING FOR public SERVER rich_server"),
        ("option of a foreign table", "tables foreign_tables", "rich.remote",
         "ALTER FOREIGN TABLE rich.remote OPTIONS (SET format 'long')"),
        ("option of a foreign column", "columns", "rich.remote.id",
         "ALTER FOREIGN TABLE rich.remote ALTER id OPTIONS (SET column_name 'Id')"),
        ("check of a foreign table", "constraints", "rich.remote",
         "ALTER FOREIGN TABLE rich.remote DROP CONSTRAINT remote_id_check"),
        ("grant on a foreign table", "tables foreign_tables", "rich.remote",
         "GRANT INSERT ON rich.remote TO rich_reader"),
        ("foreign table dropped", "tables foreign_tables", "rich.remote",
         "DROP FOREIGN TABLE rich.remote"),
        ("comment on a wrapper", "comments", "rich_wrapper",
         "COMMENT ON FOREIGN DATA WRAPPER rich_wrapper IS NULL"),
        ("comment on a server", "comments", "rich_server",
         "COMMENT ON SERVER rich_server IS NULL"),
        ("comment on a foreign table", "comments", "rich.remote",
         "COMMENT ON FOREIGN TABLE rich.remote IS NULL"),
        ("comment on a foreign column", "comments", "rich.remote",
         "COMMENT ON COLUMN rich.remote.name IS NULL"),
    ),
]  # fmt: skip

REPLICATION = [
    *_of(
        "publications",
        ("table taken from a publication", "publications publication_tables", "rich_two",
         "ALTER PUBLICATION rich_two DROP TABLE rich.fund"),
        ("operations of a publication", "publications", "rich_two",
         "ALTER PUBLICATION rich_two SET (publish = 'insert, update, delete')"),
        ("truncate of a publication", "publications", "rich_all",
         "ALTER PUBLICATION rich_all SET (publish = 'truncate, insert')"),
        ("publication not by the root", "publications", "rich_two",
         "ALTER PUBLICATION rich_two SET (publish_via_partition_root = false)"),
        ("owner of a publication", "publications", "rich_two",
         "ALTER PUBLICATION rich_two OWNER TO postgres"),
        ("publication dropped", "publications", "rich_empty", "DROP PUBLICATION rich_empty"),
        ("publication renamed", "publications", "rich_void",
         "ALTER PUBLICATION rich_empty RENAME TO rich_void"),
        ("comment on a publication", "comments", "rich_two",
         "COMMENT ON PUBLICATION rich_two IS NULL"),
    ),
    *_of(
        "publications_15",
        ("row filter of a publication", "publications publication_tables", "rich_some",
         "ALTER PUBLICATION rich_some SET TABLE rich.position (id, name, status)"
         " WHERE (id IN (1, 2, 4) OR name IN ('a', 'b')), rich.fund (id, name)"),
        ("column list of a publication", "publications publication_tables", "rich_some",
         "ALTER PUBLICATION rich_some SET TABLE rich.position (id, name)"
         " WHERE (id IN (1, 2, 3) OR name IN ('a', 'b')), rich.fund (id, name)"),
        ("column list dropped", "publications publication_tables", "rich_some",
         "ALTER PUBLICATION rich_some SET TABLE rich.position (id, name, status)"
         " WHERE (id IN (1, 2, 3) OR name IN ('a', 'b')), rich.fund"),
        ("schema added to a publication", "publications", "rich_schema",
         "ALTER PUBLICATION rich_schema ADD TABLES IN SCHEMA public"),
        ("schema taken from a publication", "publications", "rich_schema",
         "ALTER PUBLICATION rich_schema DROP TABLES IN SCHEMA rich"),
        since=15,
    ),
    *_of(
        "subscriptions",
        ("publications of a subscription", "subscriptions", "rich_subscription",
         "ALTER SUBSCRIPTION rich_subscription SET PUBLICATION there WITH (refresh = false)"),
        ("slot of a subscription", "subscriptions", "rich_subscription",
         "ALTER SUBSCRIPTION rich_subscription SET (slot_name = 'a_slot')"),
        ("commit of a subscription", "subscriptions", "rich_subscription",
         "ALTER SUBSCRIPTION rich_subscription SET (synchronous_commit = 'off')"),
        ("form of a subscription", "subscriptions", "rich_subscription",
         "ALTER SUBSCRIPTION rich_subscription SET (binary = false)"),
        ("streaming of a subscription", "subscriptions", "rich_subscription",
         "ALTER SUBSCRIPTION rich_subscription SET (streaming = true)", 14, 17),
        ("owner of a subscription", "subscriptions", "rich_subscription",
         "ALTER SUBSCRIPTION rich_subscription OWNER TO pms_restore"),
        ("subscription dropped", "subscriptions", "rich_subscription",
         "DROP SUBSCRIPTION rich_subscription"),
        ("comment on a subscription", "comments subscriptions", "rich_subscription",
         "COMMENT ON SUBSCRIPTION rich_subscription IS NULL"),
    ),
    *_of(
        "subscriptions",
        ("connection of a subscription", "subscriptions", "rich_subscription",
         "ALTER SUBSCRIPTION rich_subscription CONNECTION 'host=127.0.0.1 port=2 dbname=other'"),
        left_out="it may hold a password, and only a superuser may read it",
    ),
]  # fmt: skip

STATISTICS = [
    *_of(
        "statistics",
        ("statistics object dropped", "statistics_objects", "rich.two_columns",
         "DROP STATISTICS rich.two_columns"),
        ("target of a statistics object", "statistics_objects", "rich.two_columns",
         "ALTER STATISTICS rich.two_columns SET STATISTICS 401"),
        ("owner of a statistics object", "statistics_objects", "rich.expressions",
         "ALTER STATISTICS rich.expressions OWNER TO rich_writer"),
        ("kinds of a statistics object", "statistics_objects", "rich.two_columns",
         "DROP STATISTICS rich.two_columns; CREATE STATISTICS rich.two_columns (ndistinct)"
         " ON fund, status FROM rich.position; ALTER STATISTICS rich.two_columns"
         " SET STATISTICS 400"),
        ("expression of a statistics object", "statistics_objects", "rich.one_expression",
         "DROP STATISTICS rich.one_expression;"
         " CREATE STATISTICS rich.one_expression ON (amount % 8) FROM rich.position"),
        ("comment on a statistics object", "comments", "rich.two_columns",
         "COMMENT ON STATISTICS rich.two_columns IS NULL"),
    ),
]  # fmt: skip

SEQUENCES = [
    *_of(
        "sequences",
        # RESTART makes a new relation, so that a transaction that is rolled back takes it with it.
        ("value of a sequence", "sequences", "rich.used",
         "ALTER SEQUENCE rich.used RESTART; SELECT setval('rich.used', 11)"),
        ("sequence not yet called", "sequences", "rich.used",
         "ALTER SEQUENCE rich.used RESTART; SELECT setval('rich.used', 1, false)"),
        ("increment", "sequences", "rich.down", "ALTER SEQUENCE rich.down INCREMENT -3"),
        ("minimum", "sequences", "rich.down", "ALTER SEQUENCE rich.down MINVALUE -101"),
        ("maximum", "sequences", "rich.down", "ALTER SEQUENCE rich.down MAXVALUE 11"),
        ("start of a sequence", "sequences", "rich.down", "ALTER SEQUENCE rich.down START 9"),
        ("cache of a sequence", "sequences", "rich.down", "ALTER SEQUENCE rich.down CACHE 6"),
        ("no cycle", "sequences", "rich.down", "ALTER SEQUENCE rich.down NO CYCLE"),
        ("type of a sequence", "sequences", "rich.plain_sequence",
         "ALTER SEQUENCE rich.plain_sequence AS int"),
        ("sequence owned by none", "sequences", "rich.owned",
         "ALTER SEQUENCE rich.owned OWNED BY NONE"),
        ("owner of a sequence", "sequences", "rich.down",
         "ALTER SEQUENCE rich.down OWNER TO rich_writer"),
        ("grant on a sequence", "sequences", "rich.used",
         "REVOKE USAGE ON SEQUENCE rich.used FROM rich_writer"),
        ("sequence dropped", "sequences", "rich.plain_sequence",
         "DROP SEQUENCE rich.plain_sequence"),
        ("comment on a sequence", "comments", "rich.down", "COMMENT ON SEQUENCE rich.down IS NULL"),
    ),
    *_of(
        "sequences_15",
        ("unlogged sequence", "sequences", "rich.unlogged_sequence",
         "ALTER SEQUENCE rich.unlogged_sequence SET LOGGED"),
        since=15,
    ),
]  # fmt: skip

GRANTS = [
    *_of(
        "default_privileges",
        ("default grant on tables", "default_grants", "rich.rich_owner.r",
         "ALTER DEFAULT PRIVILEGES FOR ROLE rich_owner IN SCHEMA rich"
         " GRANT INSERT ON TABLES TO rich_reader"),
        ("default grant on sequences", "default_grants", "rich.rich_owner.S",
         "ALTER DEFAULT PRIVILEGES FOR ROLE rich_owner IN SCHEMA rich"
         " REVOKE ALL ON SEQUENCES FROM rich_writer"),
        ("default grant option on functions", "default_grants", "*.rich_owner.f",
         "ALTER DEFAULT PRIVILEGES FOR ROLE rich_owner"
         " REVOKE GRANT OPTION FOR EXECUTE ON FUNCTIONS FROM rich_reader"),
        ("default grant on types", "default_grants", "*.rich_owner.T",
         "ALTER DEFAULT PRIVILEGES FOR ROLE rich_owner GRANT USAGE ON TYPES TO public"),
        ("default grant of another role", "default_grants", "*.rich_writer.r",
         "ALTER DEFAULT PRIVILEGES FOR ROLE rich_writer GRANT SELECT ON TABLES TO public"),
    ),
    *_of(
        "grants",
        ("grant on a table", "tables", "rich.fund", "GRANT DELETE ON rich.fund TO rich_writer"),
        ("grant option on a table", "tables", "rich.fund",
         "REVOKE GRANT OPTION FOR SELECT ON rich.fund FROM rich_writer"),
        ("grant on a column", "columns", "rich.fund.currency",
         "GRANT SELECT (currency) ON rich.fund TO rich_reader"),
        ("revoke on a column", "columns", "rich.fund.id",
         "REVOKE REFERENCES (id) ON rich.fund FROM rich_reader"),
        ("grant to all", "tables", "rich.position", "REVOKE TRUNCATE ON rich.position FROM public"),
        ("right of the owner", "tables", "rich.position",
         "GRANT DELETE ON rich.position TO rich_owner"),
    ),
    *_of(
        "grants_17",
        ("maintain", "tables", "rich.fund", "REVOKE MAINTAIN ON rich.fund FROM rich_writer"),
        since=17,
    ),
    *_of(
        "system_grants",
        ("grant on a function of the server", "system_grants", "pg_ls_logdir",
         "REVOKE EXECUTE ON FUNCTION pg_catalog.pg_ls_logdir() FROM rich_reader"),
        ("new grant on a function of the server", "system_grants", "pg_read_file",
         "GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO rich_reader"),
        ("grant on a column of a catalogue", "system_grants", "pg_authid",
         "REVOKE SELECT (rolpassword) ON pg_catalog.pg_authid FROM rich_reader"),
        ("revoked default of a function", "system_grants", "pg_sleep",
         "GRANT EXECUTE ON FUNCTION pg_catalog.pg_sleep(float8) TO public"),
        ("grant on a view of the server", "system_grants", "pg_stat_activity",
         "REVOKE SELECT ON pg_catalog.pg_stat_activity FROM public"),
        ("grant on the information schema", "system_grants", "information_schema",
         "REVOKE USAGE ON SCHEMA information_schema FROM public"),
    ),
    *_of(
        "comments",
        ("comment on a table", "comments tables", "rich.fund",
         "COMMENT ON TABLE rich.fund IS 'others'"),
        ("comment on a column", "comments", "rich.fund",
         "COMMENT ON COLUMN rich.fund.name IS 'what a client reads; e'"),
        ("comment added to a column", "comments", "rich.fund",
         "COMMENT ON COLUMN rich.fund.opened IS 'when'"),
        ("comment on a schema", "comments", "rich", "COMMENT ON SCHEMA rich IS NULL"),
        ("comment on schema public", "comments", "public",
         "COMMENT ON SCHEMA public IS 'changed'"),
    ),
    *_of(
        "comments",
        ("comment on the database", "database comments", "",
         "DO $$ BEGIN EXECUTE format('COMMENT ON DATABASE %I IS ''changed''',"
         " current_database()); END $$"),
        left_out="the toolkit marks its databases with comments",
    ),
    *_of(
        "comments",
        ("comment on an extension of the server", "comments", "plpgsql",
         "COMMENT ON EXTENSION plpgsql IS 'changed again'"),
        left_out="initdb makes the object and its comment, and pg_dump passes it over",
    ),
]  # fmt: skip

LARGE_OBJECTS = [
    *_of(
        "large_objects",
        ("byte of a large object", "large_objects", "", "SELECT lo_put(90001, 1, '\\x09')"),
        ("large object longer", "large_objects", "",
         "SELECT lo_put(90003, 6000, '\\x00')"),
        ("large object added", "large_objects", "", "SELECT lo_from_bytea(90009, '\\x00')"),
        ("large object removed", "large_objects", "", "SELECT lo_unlink(90002)"),
        ("id of a large object", "large_objects", "",
         "SELECT lo_from_bytea(90008, lo_get(90002)), lo_unlink(90002)"),
        ("two large objects swap contents", "large_objects", "",
         "SELECT lo_unlink(90001), lo_unlink(90003); SELECT lo_from_bytea(90003, '\\x00010203');"
         " SELECT lo_create(90001); SELECT lo_put(90001, 5000, 'sparse')"),
        ("owner of a large object", "large_objects", "",
         "ALTER LARGE OBJECT 90002 OWNER TO rich_owner"),
        ("grant on a large object", "large_objects", "",
         "REVOKE SELECT ON LARGE OBJECT 90001 FROM rich_reader"),
        ("comment on a large object", "comments large_objects", "90001",
         "COMMENT ON LARGE OBJECT 90001 IS 'smaller'"),
    ),
]  # fmt: skip

EXTENSIONS = [
    *_of(
        "extensions",
        ("extension dropped", "extensions", "hstore", "DROP EXTENSION hstore CASCADE"),
        ("comment on an extension", "comments", "hstore",
         "COMMENT ON EXTENSION hstore IS 'changed'"),
        ("extension added", "extensions", "tablefunc",
         "DROP EXTENSION IF EXISTS tablefunc; CREATE EXTENSION tablefunc SCHEMA rich"),
        ("schema of an extension", "extensions", "hstore",
         "ALTER EXTENSION hstore SET SCHEMA rich"),
        ("grant on a function of an extension", "system_grants extension_objects functions",
         "similarity", "REVOKE EXECUTE ON FUNCTION rich.similarity(text, text) FROM rich_reader"),
        ("function of an extension replaced", "extension_objects", "rich.similarity",
         "CREATE OR REPLACE FUNCTION rich.similarity(text, text) RETURNS real LANGUAGE sql AS"
         " 'SELECT 1::real'"),
        ("attribute of an extension's function", "extension_objects", "rich.word_similarity",
         "ALTER FUNCTION rich.word_similarity(text, text) COST 99"),
        ("function taken from an extension", "extension_objects functions", "rich.show_limit",
         "ALTER EXTENSION pg_trgm DROP FUNCTION rich.show_limit()"),
        ("function added to an extension", "extension_objects functions", "rich.guard",
         "ALTER EXTENSION pg_trgm ADD FUNCTION rich.guard()"),
        ("function that depends on an extension", "extension_dependencies", "rich.guard",
         "ALTER FUNCTION rich.guard() DEPENDS ON EXTENSION pg_trgm"),
        ("value of a type of an extension", "contents", "rich.with_hstore",
         "UPDATE rich.with_hstore SET h = 'a=>2' WHERE id = 1"),
    ),
]  # fmt: skip

HYPERTABLES = [
    *_of(
        "hypertables",
        ("row of a chunk", "contents", "rich.quote",
         "UPDATE rich.quote SET price = price + 1 WHERE at = '2026-01-05 00:00+00'"
         " AND symbol = 'VALE3'"),
        ("row taken from a chunk", "contents", "rich.quote",
         "DELETE FROM rich.quote WHERE at = '2026-02-05 00:00+00' AND symbol = 'VALE3'"),
        ("row in a new chunk", "contents", "rich.quote",
         "INSERT INTO rich.quote VALUES ('2027-01-05 00:00+00', 'VALE3', 1, 'ask')"),
        ("chunk dropped", "contents", "rich.quote",
         "SELECT public.drop_chunks('rich.quote',"
         " older_than => timestamptz '2026-01-12 00:00+00')"),
        ("row of a space partition", "contents", "rich.spaced",
         "UPDATE rich.spaced SET v = 9 WHERE device = 2 AND at = '2026-01-05 00:00+00'"),
        ("row of a chunk by integers", "contents", "rich.reading",
         "UPDATE rich.reading SET v = 9 WHERE tick = 50"),
        ("interval of chunks", "hypertables", "rich.quote",
         "SELECT public.set_chunk_time_interval('rich.quote', interval '11 days')"),
        ("number of space partitions", "hypertables", "rich.spaced",
         "SELECT public.set_number_partitions('rich.spaced', 3)"),
        ("owner of a hypertable", "hypertables tables", "rich.quote",
         "ALTER TABLE rich.quote OWNER TO rich_writer"),
        ("hypertable added", "hypertables", "rich.new_one",
         "DROP PUBLICATION IF EXISTS rich_all, rich_schema;"
         " CREATE TABLE rich.new_one (at timestamptz NOT NULL);"
         " SELECT public.create_hypertable('rich.new_one', 'at')"),
        ("hypertable dropped", "hypertables", "rich.no_rows_yet", "DROP TABLE rich.no_rows_yet"),
        ("index of a hypertable", "indexes", "rich.quote_price", "DROP INDEX rich.quote_price"),
        ("check of a hypertable", "constraints", "rich.quote.quote_side_check",
         "ALTER TABLE rich.quote DROP CONSTRAINT quote_side_check"),
        ("grant on a hypertable", "tables", "rich.quote",
         "GRANT INSERT ON rich.quote TO rich_reader"),
        ("default of a hypertable", "columns", "rich.quote.price",
         "ALTER TABLE rich.quote ALTER price SET DEFAULT 1"),
        ("trigger of a hypertable", "triggers", "rich.quote.quote_guard",
         "DROP TRIGGER quote_guard ON rich.quote"),
        ("option of one chunk", "chunks", "rich.quote",
         "DO $$ BEGIN EXECUTE format('ALTER TABLE %s SET (fillfactor = 50)', (SELECT"
         " public.show_chunks('rich.quote') LIMIT 1)); END $$"),
        ("grant on one chunk", "chunks", "rich.quote",
         "DO $$ BEGIN EXECUTE format('GRANT INSERT ON %s TO rich_reader', (SELECT"
         " public.show_chunks('rich.quote') LIMIT 1)); END $$"),
        ("index of one chunk", "chunks", "rich.quote",
         "DO $$ BEGIN EXECUTE format('CREATE INDEX ON %s (price, symbol)', (SELECT"
         " public.show_chunks('rich.quote') LIMIT 1)); END $$"),
        ("check of one chunk", "chunks", "rich.quote",
         "DO $$ BEGIN EXECUTE format('ALTER TABLE %s ADD CHECK (price > 0)', (SELECT"
         " public.show_chunks('rich.quote') LIMIT 1)); END $$"),
        ("statistics of one chunk's column", "chunks", "rich.quote",
         "DO $$ BEGIN EXECUTE format('ALTER TABLE %s ALTER price SET STATISTICS 77', (SELECT"
         " public.show_chunks('rich.quote') LIMIT 1)); END $$"),
        ("function of now for integers", "hypertables", "rich.reading",
         "CREATE FUNCTION rich.now_tick() RETURNS bigint LANGUAGE sql STABLE AS"
         " 'SELECT 1000::bigint';"
         " SELECT public.set_integer_now_func('rich.reading', 'rich.now_tick')"),
    ),
    *_of(
        "hypertables",
        ("dimension added", "hypertables", "rich.no_rows_yet",
         "SELECT public.add_dimension('rich.no_rows_yet', 'v', number_partitions => 2)"),
    ),
]  # fmt: skip

_FIRST_JOB = "(SELECT min(job_id) FROM timescaledb_information.jobs WHERE proc_name = 'job')"
_LAST_JOB = "(SELECT max(job_id) FROM timescaledb_information.jobs WHERE proc_name = 'job')"
FULL_EDITION = [
    *_of(
        "jobs",
        ("interval of a job", "jobs", "",
         f"SELECT public.alter_job({_FIRST_JOB}, schedule_interval => '2 hours')"),
        ("job scheduled", "jobs", "", f"SELECT public.alter_job({_FIRST_JOB}, scheduled => true)"),
        ("configuration of a job", "jobs", "",
         f"""SELECT public.alter_job({_FIRST_JOB}, config => '{{"a": 2}}')"""),
        ("run time of a job", "jobs", "",
         f"SELECT public.alter_job({_LAST_JOB}, max_runtime => '6 min')"),
        ("retries of a job", "jobs", "",
         f"SELECT public.alter_job({_LAST_JOB}, max_retries => 4)"),
        ("pause of a job", "jobs", "",
         f"SELECT public.alter_job({_LAST_JOB}, retry_period => '8 min')"),
        ("start of a job", "jobs", "",
         f"SELECT public.alter_job({_LAST_JOB}, initial_start => '2051-01-01 00:00+00')"),
        ("time zone of a job", "jobs", "",
         f"SELECT public.alter_job({_LAST_JOB}, timezone => 'Europe/Berlin')"),
        ("kind of a job's schedule", "jobs", "",
         f"SELECT public.alter_job({_LAST_JOB}, fixed_schedule => false)"),
        ("check function of a job", "jobs", "",
         f"SELECT public.alter_job({_FIRST_JOB}, check_config => 'rich.job_check')"),
        ("job deleted", "jobs", "", f"SELECT public.delete_job({_FIRST_JOB})"),
        ("job added", "jobs", "", "SELECT public.add_job('rich.job', '3 hours')"),
        ("job of the extension", "extension_jobs jobs", "3",
         "SELECT public.alter_job(3, schedule_interval => '2 months')"),
    ),
    *_of(
        "compression",
        ("value in a compressed chunk", "contents", "rich.packed",
         "UPDATE rich.packed SET price = price + 1 WHERE at = '2026-01-05 00:00+00'"
         " AND symbol = 'VALE3'"),
        ("row taken from a compressed chunk", "contents", "rich.packed",
         "DELETE FROM rich.packed WHERE at = '2026-01-05 00:00+00' AND symbol = 'VALE3'"),
        ("row added to a compressed chunk", "contents", "rich.packed",
         "INSERT INTO rich.packed VALUES ('2026-01-05 01:00+00', 'VALE3', 1, 'x')"),
        ("value in a chunk that is not compressed", "contents", "rich.packed",
         "UPDATE rich.packed SET note = 'm' WHERE at = '2026-01-31 00:00+00'"),
        ("compressed chunk dropped", "contents", "rich.packed",
         "SELECT public.drop_chunks('rich.packed',"
         " older_than => timestamptz '2026-01-09 00:00+00')"),
        ("column added on compressed chunks", "columns", "rich.packed.q",
         "ALTER TABLE rich.packed ADD q int NOT NULL DEFAULT 7"),
        ("column dropped on compressed chunks", "columns", "rich.packed.note",
         "ALTER TABLE rich.packed DROP note"),
        ("segments of compression", "hypertables", "rich.packed",
         "ALTER TABLE rich.packed SET (timescaledb.compress_segmentby = '')"),
        ("order of compression", "hypertables", "rich.packed",
         "ALTER TABLE rich.packed SET (timescaledb.compress_orderby = 'at ASC')"),
        ("grant on a compressed hypertable", "tables", "rich.packed",
         "GRANT INSERT ON rich.packed TO rich_reader"),
    ),
    *_of(
        "policies_of_timescaledb",
        ("compression policy removed", "jobs", "",
         "SELECT public.remove_compression_policy('rich.kept')"),
        ("retention policy removed", "jobs", "",
         "SELECT public.remove_retention_policy('rich.kept')"),
        ("reorder policy removed", "jobs", "",
         "SELECT public.remove_reorder_policy('rich.kept')"),
        ("age of compression", "jobs", "",
         "SELECT public.alter_job(job_id, config => config || '{\"compress_after\": \"9 years\"}')"
         " FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression'"),
        ("age of retention", "jobs", "",
         "SELECT public.alter_job(job_id, config => config || '{\"drop_after\": \"19 years\"}')"
         " FROM timescaledb_information.jobs WHERE proc_name = 'policy_retention'"),
        ("policy stopped", "jobs", "",
         "SELECT public.alter_job(job_id, scheduled => false)"
         " FROM timescaledb_information.jobs WHERE proc_name = 'policy_retention'"),
        ("compression disabled", "hypertables", "rich.kept",
         "SELECT public.remove_compression_policy('rich.kept');"
         " ALTER TABLE rich.kept SET (timescaledb.compress = false)"),
    ),
    *_of(
        "continuous_aggregates",
        ("aggregate materialized only", "continuous_aggregates", "rich.daily",
         "ALTER MATERIALIZED VIEW rich.daily SET (timescaledb.materialized_only = true)"),
        ("row of a materialization", "contents", "_materialized_hypertable",
         "DO $$ BEGIN EXECUTE format('UPDATE %I.%I SET high = 2', (SELECT"
         " materialization_hypertable_schema FROM timescaledb_information.continuous_aggregates"
         " WHERE view_name = 'daily'), (SELECT materialization_hypertable_name FROM"
         " timescaledb_information.continuous_aggregates WHERE view_name = 'daily')); END $$"),
        ("aggregate dropped", "continuous_aggregates", "rich.weekly",
         "DROP MATERIALIZED VIEW rich.weekly"),
        ("refresh policy removed", "jobs", "",
         "SELECT public.remove_continuous_aggregate_policy('rich.daily')"),
        ("refresh interval", "jobs", "",
         "SELECT public.alter_job(job_id, schedule_interval => '2 hours')"
         " FROM timescaledb_information.jobs"
         " WHERE proc_name = 'policy_refresh_continuous_aggregate'"),
        ("row below an aggregate", "contents", "rich.tick",
         "UPDATE rich.tick SET price = 2 WHERE at = '2026-01-05 00:00+00'"),
        ("aggregate added", "continuous_aggregates", "rich.hourly",
         "DROP PUBLICATION IF EXISTS rich_all, rich_schema;"
         " CREATE MATERIALIZED VIEW rich.hourly WITH (timescaledb.continuous) AS SELECT"
         " public.time_bucket(interval '1 hour', at) AS h, min(price) FROM rich.tick GROUP BY 1"
         " WITH NO DATA"),
        ("compression of an aggregate", "continuous_aggregates hypertables", "",
         "ALTER MATERIALIZED VIEW rich.daily SET (timescaledb.compress = true)"),
        ("comment on an aggregate", "comments", "rich.daily", "COMMENT ON VIEW rich.daily IS NULL"),
        ("grant on an aggregate", "views", "rich.daily",
         "REVOKE SELECT ON rich.daily FROM rich_reader"),
    ),
]  # fmt: skip

ALL = [
    *BASE,
    *TABLES,
    *VALUES,
    *INHERITANCE,
    *PARTITIONS,
    *COLUMNS,
    *CONSTRAINTS,
    *INDEXES,
    *TYPES,
    *VIEWS,
    *RULES,
    *TABLESPACES,
    *POLICIES,
    *TRIGGERS,
    *FUNCTIONS,
    *AGGREGATES,
    *OPERATORS,
    *COLLATIONS,
    *LANGUAGES,
    *FOREIGN,
    *REPLICATION,
    *STATISTICS,
    *SEQUENCES,
    *GRANTS,
    *LARGE_OBJECTS,
    *EXTENSIONS,
    *HYPERTABLES,
    *FULL_EDITION,
]


def known_to(version: int, parts: list[rich_schema.Part]) -> list[Change]:
    """Return the changes that a server of a major *version* can make to these parts."""
    names = {part.name for part in parts}
    return [
        change for change in ALL if change.part in names and change.since <= version <= change.until
    ]
