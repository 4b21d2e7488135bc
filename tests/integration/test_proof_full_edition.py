# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Changes of the rich schema with TimescaleDB's full edition, on PGlite; compression is none."""

from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.postgresql import lost_values
from ansible.module_utils.pmsops.verify import differences as compare

from tests.support import mutations, pglite, rich_schema
from tests.support.rich_database import read_contents, read_facts

pytestmark = pglite.needs_pglite
PARTS = rich_schema.parts(17, timescaledb=True, full_edition=True, whole_server=False)
FULL_EDITION = {part.name for part in PARTS if part.full_edition}
# PGlite answers to the grant that a tuple is concurrently deleted, in its one session.
REFUSED = {"base: grant on the database"}
KNOWN = [each for each in mutations.known_to(17, PARTS) if each.id not in REFUSED]
ROLES = "CREATE ROLE pms_restore SUPERUSER; CREATE ROLE pms_ops LOGIN BYPASSRLS;"


@pytest.fixture(scope="module")
def connection():
    """A session with the whole rich schema."""
    with pglite.running_pglite() as port:
        made = pglite.connect(port)
        made.autocommit = True
        with made.cursor() as cursor:
            cursor.execute(ROLES)
            for statement in rich_schema.statements(PARTS):
                cursor.execute(statement)
        made.autocommit = False
        yield made
        made.close()


@pytest.fixture(scope="module")
def before(connection):
    """The facts and contents as they were."""
    found = read(connection.cursor())
    connection.rollback()
    return found


@pytest.fixture
def cursor(connection):
    yield connection.cursor()
    connection.rollback()


def read(cursor):
    cursor.execute("SET LOCAL client_min_messages = error")
    return read_facts(cursor), read_contents(cursor)


def differences(before, after):
    return [*compare.facts(before[0], after[0]), *compare.of_contents(before[1], after[1])]


def run(cursor, sql):
    cursor.execute("SET LOCAL search_path = rich, public")
    cursor.execute("SET LOCAL client_min_messages = error")
    cursor.execute(sql)


@pytest.mark.parametrize(
    "change",
    [
        each if each.part in FULL_EDITION else pytest.param(each, marks=pytest.mark.nightly)
        for each in KNOWN
    ],
    ids=lambda change: change.id,
)
def test_a_change_is_named(cursor, before, change):
    run(cursor, change.sql)
    facts, contents = before
    if change.kind == "contents":
        contents = {name: entry for name, entry in contents.items() if change.object in name}
        listed = compare.of_contents(contents, read_contents(cursor, change.object))
    else:
        listed = compare.facts(facts, read_facts(cursor))
    found = [(each.kind, f"{each.name} {each.of}") for each in listed]
    assert change.named_in(found) is not bool(change.left_out), found


UNCHANGED = {
    "two chunks compressed": "SELECT public.compress_chunk(c) FROM public.show_chunks("
    "'rich.packed', newer_than => timestamptz '2026-01-20 00:00+00') c",
    "all chunks decompressed": "SELECT public.decompress_chunk(c, true)"
    " FROM public.show_chunks('rich.packed') c",
    "decompressed and compressed": "SELECT public.decompress_chunk(c) FROM public.show_chunks("
    "'rich.packed', older_than => timestamptz '2026-01-08 00:00+00') c;"
    "SELECT public.compress_chunk(c) FROM public.show_chunks("
    "'rich.packed', older_than => timestamptz '2026-01-08 00:00+00') c",
    "compressed again with its late row": "SELECT public.compress_chunk(c)"
    " FROM public.show_chunks('rich.packed', older_than => timestamptz '2026-01-08 00:00+00') c",
    "a chunk of a policy compressed": "SELECT public.compress_chunk(c)"
    " FROM public.show_chunks('rich.kept', older_than => timestamptz '2026-01-09 00:00+00') c",
}


@pytest.mark.parametrize("sql", UNCHANGED.values(), ids=UNCHANGED)
def test_another_physical_form_is_no_difference(cursor, before, sql):
    run(cursor, sql)
    assert [each.text() for each in differences(before, read(cursor))] == []


def test_nothing_is_lost_before_a_column_is_added_and_the_loss_is_named_after(cursor):
    assert lost_values.losses(cursor) == []
    run(cursor, "ALTER TABLE rich.packed ADD q int NOT NULL DEFAULT 7")
    (loss,) = lost_values.losses(cursor)
    assert (loss["table"], loss["column"]) == ("rich.packed", "q")
    run(cursor, "SELECT count(*) FROM rich.packed WHERE at < '2026-01-22'")
    assert 0 < loss["rows"] < 250
