# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Faithful restores raise no alarm: of varied rich schemas, and of random ones."""

from __future__ import annotations

import uuid

import pytest
from ansible.module_utils.pmsops.verify import against_set
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support import random_schemas, rich_schema
from tests.support.rich_database import RichDatabase, known_parts, rich_database

RESTORED = known_parts(restored_only=True)
# Many schemas share a database: what takes the time is the restore.
SCHEMAS = 25
RUNS_BY_NIGHT = 20
MANY = st.tuples(*(random_schemas.schemas(f"s{number}") for number in range(SCHEMAS)))


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(50))
def test_a_faithful_restore_of_a_varied_schema_is_equal(server, tmp_path, seed):
    with rich_database(server, tmp_path, rich_schema.varied(seed, RESTORED)) as rich:
        assert_equal_after_backup_and_drill(rich)


def test_a_restore_of_everything_is_equal_but_for_what_is_told(server, tmp_path):
    with rich_database(server, tmp_path, known_parts()) as rich:
        made, proved = assert_equal_after_backup_and_drill(rich)
    known_at_backup = ("rich.half_done", "rich.stale", "rich.refers", "rich_subscription")
    for name in known_at_backup:
        assert any(name in line for line in made["not_restored"]), (name, made["not_restored"])
    # A change of an extension's own object is seen beside an unchanged one: in the copy.
    for name in (*known_at_backup, "normal_rand", "unaccent("):
        assert any(name in line for line in proved["not_restored"]), (name, proved["not_restored"])


def random_restore(server, folder, drawn):
    name = f"test_{uuid.uuid4().hex[:8]}"
    database = server.create(name)
    try:
        server.psql(rich_schema.BASE.sql, name)
        assert sum(loads(server, sql, name) for sql in drawn) > 0.9 * len(drawn)
        assert_equal_after_backup_and_drill(RichDatabase(server, database, folder / name))
    finally:
        server.drop(name)


def loads(server, sql, name):
    """Make a schema, or nothing of it; return whether it is valid."""
    try:
        server.psql(f"BEGIN;\n{sql}COMMIT;", name)
    except AssertionError:
        return False
    return True


def assert_equal_after_backup_and_drill(rich):
    made = rich.backup()
    assert made["trial"]["findings"] == []
    assert made["losses"] == []
    against = against_set.against(
        rich.database, root=rich.folder / "backups", keys=rich.folder / "keys", shown=50
    )
    assert against["differences"] == []
    return made, rich.drill()  # it fails with each difference by name


def randomly(runs):
    """Run a test on drawn schemas; a smaller example would take as long as the first one."""
    return settings(
        max_examples=runs,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )


@randomly(1)
@given(drawn=MANY)
def test_random_schemas_come_back_equal(server, tmp_path_factory, drawn):
    random_restore(server, tmp_path_factory.mktemp("random"), drawn)


@pytest.mark.nightly
@randomly(RUNS_BY_NIGHT)
@given(drawn=MANY)
def test_five_hundred_random_schemas_come_back_equal(server, tmp_path_factory, drawn):
    random_restore(server, tmp_path_factory.mktemp("random"), drawn)
