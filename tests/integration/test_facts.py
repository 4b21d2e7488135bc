# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The facts of a database with every kind of object, and those of its faithful copy."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator

import pytest
from ansible.module_utils.pmsops.postgresql import (
    catalog,
    coverage,
    materialized_views,
    timescaledb_facts,
)
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.postgresql.expressions import EXPRESSIONS
from ansible.module_utils.pmsops.verify import differences, expected_changes

from tests.support import rich_schema
from tests.support.server import HAS_TIMESCALEDB, POSTGRESQL, Server

RICH = rich_schema.parts(POSTGRESQL, timescaledb=HAS_TIMESCALEDB)

# Beside the rich schema: what no restore brings back, and a row type with grants.
MORE = """
CREATE FUNCTION pg_catalog.by_hand() RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER FUNCTION rich.guard() DEPENDS ON EXTENSION hstore;
"""


def facts(database: Database) -> dict:
    """Return the facts as a backup records them."""
    with database.session(read_only=True) as cursor:
        catalog.prepare(cursor)
        found = catalog.facts(cursor)
        materialized_views.examine(cursor, found["materialized_views"])
        return found


@pytest.fixture(scope="module")
def original(server: Server) -> Iterator[Database]:
    name = f"rich_{uuid.uuid4().hex[:8]}"
    made = server.create(name)
    server.psql(rich_schema.script(RICH) + MORE, name)
    yield made
    server.drop_subscriptions(name)
    server.drop(name)


@pytest.fixture(scope="module")
def copy(server: Server, original: Database) -> Iterator[Database]:
    """What pg_dump and pg_restore make of it, as superuser and without this project."""
    name = f"{original.name}_copy"
    made = server.create(name)
    restore = f"pg_dump -Fc {original.name} | pg_restore --exit-on-error -d {name}"
    if HAS_TIMESCALEDB:
        server.psql("SELECT timescaledb_pre_restore()", name)
    done = subprocess.run(
        ["docker", "exec", "-u", "postgres", server.container.name, "bash", "-c", restore],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    if HAS_TIMESCALEDB:
        server.psql("SELECT timescaledb_post_restore()", name)
    yield made
    server.drop_subscriptions(name)
    server.drop(name)


def test_a_faithful_copy_has_equal_facts_but_for_the_print_of_expressions(original, copy):
    major = POSTGRESQL
    wanted, found, notes = expected_changes.understood(
        facts(original), facts(copy), set_major=major, major=major, schema=3, restored=True
    )
    unequal = {
        (each.kind, each.name, each.attribute)
        for each in differences.facts(wanted, found)
        if each.attribute not in EXPRESSIONS.get(each.kind, ())
    }
    assert unequal == set()
    told = " ".join(notes)
    for lost in ("rich.half_done", "rich.refers.refers_fund_fkey", "pg_catalog.by_hand()",
                 "public.normal_rand(", "public.unaccent(", "rich.stale"):  # fmt: skip
        assert lost in told


def test_the_rich_database_has_an_object_of_every_kind(original):
    found = facts(original)
    without = {kind for kind, objects in found.items() if not objects}
    not_here = {"security_labels", "jobs", "continuous_aggregates"}  # of other editions and builds
    not_here |= set() if HAS_TIMESCALEDB else {*timescaledb_facts.KINDS}
    assert without <= not_here


def test_the_tables_of_a_publication_are_sorted_whichever_came_first(server, original):
    server.psql(
        "CREATE PUBLICATION late_first FOR TABLE rich.position, rich.fund;"
        "CREATE PUBLICATION early_first FOR TABLE rich.fund, rich.position",
        original.name,
    )
    for schema in (2, 3):
        with original.session(read_only=True) as cursor:
            catalog.prepare(cursor)
            found = catalog.facts(cursor, schema)["publications"]
        for name in ("late_first", "early_first"):
            assert found[name]["tables"] == ["rich.fund", "rich.position"]
    server.psql("DROP PUBLICATION late_first, early_first", original.name)


def test_all_facts_of_all_kinds_are_read_by_few_statements(original):
    with original.session(read_only=True) as cursor:
        catalog.prepare(cursor)
        ran = Counted(cursor)
        found = catalog.facts(ran)
    assert len(found["tables"]) > 40
    assert ran.statements <= len(found) + 30


def test_every_column_of_the_catalogues_is_compared_or_left_out_by_reason(server):
    listed = server.psql(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r' AND a.attnum > 0"
        " AND NOT a.attisdropped"
    )
    columns = coverage.columns()
    unknown = [
        f"{catalogue}.{column}"
        for catalogue, column in (line.split("|") for line in listed.splitlines())
        if column not in columns.get(catalogue, {}) and "*" not in columns.get(catalogue, {})
    ]
    assert unknown == []


# What the facts of tables, views, indexes, sequences, constraints, types and functions tell apart.
KNOWN_KINDS = {
    "SELECT DISTINCT relkind FROM pg_class": "cfiImprSvt",
    "SELECT DISTINCT contype FROM pg_constraint": "cfnpuxt",
    "SELECT DISTINCT typtype FROM pg_type": "bcdempr",
    "SELECT DISTINCT prokind FROM pg_proc": "afpw",
}


@pytest.mark.parametrize("statement", KNOWN_KINDS)
def test_no_object_is_of_a_kind_that_the_facts_do_not_know(server, original, statement):
    found = set(server.psql(statement, original.name).splitlines())
    assert found <= set(KNOWN_KINDS[statement])


def test_two_objects_of_one_name_are_two_facts(server, original):
    server.psql(
        'CREATE SCHEMA "a.b"; CREATE SCHEMA a; CREATE TABLE "a.b".c (d int);'
        'CREATE TABLE a."b.c" (d text)',
        original.name,
    )
    found = facts(original)
    assert {"a.b.c", "a.b.c (2)"} <= set(found["tables"])
    assert {found["columns"][f"a.b.c.d{more}"]["type"] for more in ("", " (2)")} == {
        "integer",
        "text",
    }
    server.psql('DROP SCHEMA "a.b" CASCADE; DROP SCHEMA a CASCADE', original.name)


def test_what_the_coverage_names_is_read_and_what_is_read_it_names(original):
    found = facts(original)
    with original.session(read_only=True) as cursor:
        found |= {"database": {"all": catalog.database(cursor)}, "contents": {}}
    named = coverage.attributes()
    assert set(named) - set(found) == set()
    assert set(found) == set(coverage.KINDS)
    # Values, and what no column holds: the comment of a database is this toolkit's mark.
    beside = {"last_value", "is_called", "restorable", "collation_version", "comment"}
    elsewhere = (*timescaledb_facts.KINDS, "large_objects", "materialized_views")
    of_later = {"except", "not_null_constraint"}
    for kind, objects in found.items():
        if objects and kind not in elsewhere:
            read = {attribute for each in objects.values() for attribute in each}
            assert read - beside - {*named[kind]} == set(), kind
            assert {*named[kind]} - read - of_later == set(), kind


class Counted:
    """A cursor that counts its statements."""

    def __init__(self, cursor):
        self.cursor = cursor
        self.statements = 0

    def execute(self, *args):
        self.statements += 1
        self.cursor.execute(*args)

    def __iter__(self):
        return iter(self.cursor)

    def __getattr__(self, name):
        return getattr(self.cursor, name)
