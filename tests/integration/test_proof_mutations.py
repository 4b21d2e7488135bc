# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each kind of change to a database is named, with its kind and object."""

from __future__ import annotations

from contextlib import contextmanager

import psycopg2
import pytest
from ansible.module_utils.pmsops.verify import database as proof
from ansible.module_utils.pmsops.verify import differences as compare

from tests.support import mutations
from tests.support.rich_database import known_parts, read_contents, read_facts, rich_database
from tests.support.server import POSTGRESQL

KNOWN = mutations.known_to(POSTGRESQL, known_parts())
CONTENTS = [each for each in KNOWN if each.kind == "contents"]
# Those that change so much that others could not be told from them, or that no copy has.
ALONE = [each for each in KNOWN if each.alone and each not in CONTENTS]
TOGETHER = [each for each in KNOWN if each not in CONTENTS and each not in ALONE]


@pytest.fixture(scope="module")
def rich(server, tmp_path_factory):
    """A database with every part of the rich schema, and its set."""
    with rich_database(server, tmp_path_factory.mktemp("rich"), known_parts()) as made:
        yield made


@pytest.fixture(scope="module")
def session(rich):
    """A session of the toolkit's role, for transactions that are rolled back."""
    connection = rich.database.connect()
    yield connection
    connection.close()


@contextmanager
def changed(connection, change):
    """Make a change as a superuser; give a cursor that sees it; roll back."""
    with connection.cursor() as cursor:
        try:
            make(cursor, change)
            yield cursor
        finally:
            connection.rollback()


def make(cursor, change):
    cursor.execute("SET ROLE pms_restore")
    cursor.execute("SET LOCAL search_path = rich, public")
    cursor.execute("SET LOCAL client_min_messages = error")
    cursor.execute(change.sql)
    cursor.execute("RESET ROLE")


def named(differences):
    return [(each.kind, f"{each.name} {each.of}") for each in differences]


def test_there_are_at_least_two_hundred_kinds_of_change_and_few_left_out():
    assert len({each.id for each in mutations.ALL}) == len(mutations.ALL)
    assert len([each for each in mutations.ALL if not each.left_out]) >= 200
    assert len([each for each in mutations.ALL if each.left_out]) <= 10


@pytest.fixture(scope="module")
def facts_before(session):
    with session.cursor() as cursor:
        found = read_facts(cursor)
    session.rollback()
    return found


@pytest.fixture(scope="module")
def contents_before(session):
    with session.cursor() as cursor:
        found = read_contents(cursor)
    session.rollback()
    return found


@pytest.mark.parametrize("change", CONTENTS, ids=lambda change: change.id)
def test_a_change_of_rows_is_named(session, contents_before, change):
    with changed(session, change) as cursor:
        after = read_contents(cursor, change.object)
    before = {name: entry for name, entry in contents_before.items() if change.object in name}
    differences = named(compare.of_contents(before, after))
    assert change.named_in(differences) is not bool(change.left_out), differences


@pytest.mark.parametrize("change", ALONE, ids=lambda change: change.id)
def test_a_change_that_takes_others_with_it_is_named(session, facts_before, change):
    with changed(session, change) as cursor:
        after = read_facts(cursor)
    differences = named(compare.facts(facts_before, after))
    assert change.named_in(differences) is not bool(change.left_out), differences


@pytest.mark.nightly
@pytest.mark.parametrize("change", TOGETHER, ids=lambda change: change.id)
def test_a_change_of_one_object_is_named(session, facts_before, change):
    with changed(session, change) as cursor:
        after = read_facts(cursor)
    differences = named(compare.facts(facts_before, after))
    assert change.named_in(differences) is not bool(change.left_out), differences


def test_verify_names_each_change_of_many_that_were_made(rich, session):
    """The whole way: a set, a changed copy, and verify, which understands what means the same."""
    session.close()
    rich.backup()
    manifest = rich.manifest()
    missed = []
    with rich.copies() as shop:
        with shop.copy() as database:
            assert without_subscription(proof.differences(database, manifest)) == []
        waiting = TOGETHER
        while waiting:
            with shop.copy() as database:
                made, waiting = change_some(database, waiting)
                noted = []
                differences = named(proof.differences(database, manifest, deviations=noted))
            missed += [each.id for each in made if not told(each, differences, noted)]
    assert missed == []


def told(change, differences, noted):
    if change.expected:
        return any(change.object in line for line in noted)
    return change.named_in(differences)


def without_subscription(differences):
    return [each for each in differences if each.kind != "subscriptions"]


def change_some(database, waiting):
    """Make as many changes as go together; return them, and those that wait for another copy."""
    made, later, seen = [], [], set()
    connection = database.connect()
    with connection, connection.cursor() as cursor:
        for change in waiting:
            if (change.kind, change.object) in seen:
                later.append(change)
                continue
            cursor.execute("SAVEPOINT before")
            try:
                make(cursor, change)
            except psycopg2.Error:
                assert made, change.id  # the first one of a copy depends on no other
                cursor.execute("ROLLBACK TO before")
                later.append(change)
            else:
                seen.add((change.kind, change.object))
                made.append(change)
    connection.close()
    return made, later
