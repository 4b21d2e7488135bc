# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a database has and no restore brings back: told by the backup, and no reason to fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.common import progress
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.restore import registry
from ansible.module_utils.pmsops.restore.plan import plan_restore
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import restore_set
from ansible.module_utils.pmsops.verify import against_set

from tests.support.client_tools import reached_from_here
from tests.support.server import Server

SCHEMA = """
CREATE TABLE trades (id int PRIMARY KEY, price int);
CREATE TABLE fills (id int PRIMARY KEY, trade int CONSTRAINT of_trade REFERENCES trades);
INSERT INTO trades SELECT k, k % 7 FROM generate_series(1, 50) k;
CREATE SUBSCRIPTION others CONNECTION 'host=nowhere.invalid password=hidden1' PUBLICATION a, b
    WITH (connect = false, slot_name = 'at_others');
COMMENT ON SUBSCRIPTION others IS 'of the other fund';
CREATE EXTENSION postgres_fdw;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;
CREATE USER MAPPING FOR macro_user SERVER far OPTIONS (user 'me', password 'hidden2');
ALTER TABLE fills DISABLE TRIGGER ALL;
CREATE FUNCTION pg_catalog.by_hand() RETURNS int LANGUAGE sql AS 'SELECT 1';
REVOKE SELECT ON information_schema.tables FROM PUBLIC;
GRANT USAGE ON TYPE trades TO macro_user;
CREATE EXTENSION tablefunc;
ALTER FUNCTION normal_rand COST 500;
CREATE FUNCTION helper() RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER EXTENSION tablefunc ADD FUNCTION helper();
ALTER EXTENSION tablefunc DROP FUNCTION connectby(text, text, text, text, int);
DROP FUNCTION connectby(text, text, text, text, int);
"""
MEMBERS = [
    "function public.connectby(pg_catalog.text,pg_catalog.text,pg_catalog.text,pg_catalog.text,"
    "integer) of extension tablefunc was taken out of it, and a restored copy has it again",
    "function public.helper() of extension tablefunc was made by hand, and a restored copy lacks"
    " it",
    "function public.normal_rand(integer,double precision,double precision) of extension tablefunc"
    " was changed, and a restored copy has the extension's own",
]
# A unique index that fails is kept as an invalid one.
INVALID = "CREATE UNIQUE INDEX CONCURRENTLY half_done ON trades (price)"
KINDS = {"subscriptions: others", "user_mappings: macro_user on far", "indexes: public.half_done",
         "constraints: public.fills.of_trade", "system_objects: function pg_catalog.by_hand()",
         "system_grants: view information_schema.tables", "types: public.trades"}  # fmt: skip


@pytest.fixture
def filled(server: Server, database: Database, host_tools: Path) -> Iterator[Database]:
    server.psql(SCHEMA, database.name)
    with pytest.raises(AssertionError, match="could not create unique index"):
        server.psql(INVALID, database.name)
    yield reached_from_here(database, host_tools)
    server.drop_subscriptions(database.name)


def begins(lines: list[str]) -> set[str]:
    return {" ".join(line.split()[: len(known.split())]) for line in lines for known in KINDS
            if line.startswith(f"{known} ")}  # fmt: skip


@pytest.mark.parametrize("superuser", [False, True], ids=["as pms_ops", "as a superuser"])
def test_a_backup_tells_it_a_drill_passes_and_lists_it(server, filled, tmp_path, superuser):
    if superuser:  # only such a role may dump large objects of others
        server.psql("SELECT lo_from_bytea(4711, 'large')", filled.name)
    settings = backup.Settings(root=tmp_path / "backups", keys=tmp_path / "keys", trial="schema")
    made = backup.run(filled, settings, progress=progress.Progress())
    document = sets.resolve(Path(made["set"])).manifest
    assert begins(made["not_restored"]) == KINDS == begins(document["not_restored"])
    assert len(made["not_restored"]) == len(KINDS)
    told = " ".join(made["warnings"])
    assert all(known in told for known in KINDS)
    assert "hidden" not in str(document)
    assert made["trial"]["deviations"] == MEMBERS, made["trial"]
    assert all(f"A restore changes: {line}" in made["warnings"] for line in MEMBERS)

    asked = Request(root=settings.root, keys=settings.keys, keep=True)
    assert plan_restore(filled, asked)["not_restored"] == made["not_restored"]
    result = restore_set(filled, asked, progress=progress.Progress())
    staging = result["side"]
    assert begins(result["not_restored"]) >= KINDS - {"user_mappings: macro_user on far"}
    assert [line for line in result["not_restored"] if "of extension" in line] == MEMBERS
    assert server.psql("SELECT count(*) FROM pg_subscription") == "1"
    # Nothing keeps it from being dropped.
    assert staging in registry.read_from(filled)
    server.drop(staging)


def test_a_lost_subscription_is_told_with_the_statement_that_makes_it_again(server, filled):
    from ansible.module_utils.pmsops.postgresql import catalog, not_restored

    with filled.session(read_only=True) as cursor:
        catalog.prepare(cursor)
        (line,) = [
            line
            for line in not_restored.not_restored(catalog.facts(cursor))
            if line.startswith("subscriptions")
        ]
    assert (
        "CREATE SUBSCRIPTION others CONNECTION '...' PUBLICATION a, b"
        " WITH (connect = false, slot_name = at_others)"
    ) in line


def test_verify_names_a_changed_subscription_and_not_an_absent_one(server, filled, tmp_path):
    settings = backup.Settings(root=tmp_path / "backups", keys=tmp_path / "keys", trial="none")
    backup.run(filled, settings, progress=progress.Progress())
    same = against_set.against(filled, root=settings.root, keys=settings.keys)
    assert same["identical"], same["differences"]
    server.psql("ALTER SUBSCRIPTION others SET (synchronous_commit = local)", filled.name)
    changed = against_set.against(filled, root=settings.root, keys=settings.keys)
    assert changed["differences"] == [
        "subscriptions: others has synchronous_commit 'local', not 'off'"
    ]
    server.drop_subscriptions(filled.name)
    absent = against_set.against(filled, root=settings.root, keys=settings.keys)
    assert absent["identical"]
    assert begins(absent["not_restored"]) == {"subscriptions: others"}
