# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A faithful copy is equal, however its server prints definitions; a true change is named.

On each major version whose image is here, with sets of the versions before it.
"""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import docker
import psycopg2
import pytest
from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.postgresql import catalog, fingerprint
from ansible.module_utils.pmsops.postgresql.snapshot import Snapshot
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import restore_set
from ansible.module_utils.pmsops.verify import (
    causes,
    differences,
    same_meaning,
    scratch_transaction,
)
from ansible.module_utils.pmsops.verify import database as proof

from tests.support import odd_definitions, old_release
from tests.support import printed_otherwise as examples
from tests.support.server import POSTGRESQL, image_of, running_server
from tests.support.tiers import deep_but

OLDER = [major for major in (15, 16, 17, 18) if major < POSTGRESQL]
LIVE = "orders"
# What differs in a copy beyond its print; see examples.not_restored.
NOT_AS_IT_WAS = {("indexes", "app.twice_once")} | (
    {("columns", "app.child.a")} if POSTGRESQL < 18 else set()
)


@dataclass
class Taken:
    """A database as it was dumped: its dump, a manifest of each schema, a real backup set."""

    dump: bytes
    documents: dict[int, dict[str, Any]]
    folder: Path

    @property
    def major(self):
        return self.documents[3]["server"]["version_num"] // 10000


def described(database, schema):
    """Return the manifest that a release with this schema of facts would have written."""
    formula = min(schema, fingerprint.FORMULA)
    with Snapshot(database, connections=1) as snapshot:
        cursor = snapshot.cursors[0]
        facts = catalog.facts(cursor, schema)
        if schema < catalog.SCHEMA:
            old = old_release.read("backups", old_release.sets()[0].name, "manifest.json")
            facts = differences.narrowed(facts, old["facts"])
            for each in facts["functions"].values():
                each.pop("body", None)
        return {
            "schema_version": schema,
            "fingerprint_formula": formula,
            "server": catalog.server(cursor),
            "database": catalog.database(cursor),
            "facts": facts,
            "contents": fingerprint.fingerprints(
                [cursor], fingerprint.relations(cursor, formula), formula=formula
            ),
        }


def shell(server, command, **options):
    done = subprocess.run(
        ["docker", "exec", "-i", "-u", "postgres", server.container.name, "sh", "-c", command],
        capture_output=True,
        timeout=60,
        **options,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def take(server, folder):
    database = server.create(LIVE, timescaledb=False)
    major = int(server.psql("SHOW server_version_num")) // 10000
    server.psql(examples.SCHEMA + odd_definitions.schema(major), LIVE)
    with pytest.raises(AssertionError, match="could not create unique index"):
        server.psql(examples.INVALID_INDEX, LIVE)
    settings = backup.Settings(root=folder / "backups", keys=folder / "keys", trial="none")
    backup.run(database, settings, progress=Progress())
    return Taken(
        shell(server, f"pg_dump -Fc {LIVE}"),
        {schema: described(database, schema) for schema in (1, 2, 3)},
        folder,
    )


@pytest.fixture(scope="module")
def sets(server, tmp_path_factory):
    """Return the function that takes a set on a version of PostgreSQL, once."""
    known = {}

    def taken(major):
        if major not in known:
            folder = tmp_path_factory.mktemp(f"set{major}")
            if major == POSTGRESQL:
                known[major] = take(server, folder)
            else:
                with running_server(major=major) as older:
                    known[major] = take(older, folder)
        return known[major]

    yield taken
    for name in (LIVE, "copy", "changed", "twice", *(f"from_{major}" for major in OLDER)):
        server.drop(name)


@pytest.fixture(scope="module")
def taken(sets):
    return sets(POSTGRESQL)


@pytest.fixture(params=OLDER)
def older(request, sets, taken):
    """A set of an older version, where its image is here: `make test-matrix` builds them all."""
    if not docker.from_env().images.list(image_of(request.param)):
        pytest.skip(f"no image of PostgreSQL {request.param}")
    return sets(request.param)


def restored(server, taken, name):
    """Restore a dump without this project: as superuser, by pg_restore alone."""
    database = server.create(name, timescaledb=False)
    shell(server, f"pg_restore --exit-on-error -d {name}", input=taken.dump)
    return database


@pytest.fixture(scope="module")
def copy(server, taken):
    return restored(server, taken, "copy")


@pytest.fixture(scope="module")
def changed(server, taken):
    """A restored copy with a change of each kind."""
    made = restored(server, taken, "changed")
    server.psql("; ".join(filter(None, examples.CHANGES.values())), made.name)
    return made


def assert_told(deviations, major=POSTGRESQL):
    said, wanted = sorted(deviations), examples.not_restored(major)
    assert len(said) == len(wanted), said
    assert all(map(str.startswith, said, wanted)), said


def named(found):
    return {(each.kind, each.name) for each in found}


# --- Faithful copies ------------------------------------------------------------------------------


def test_by_their_print_alone_the_definitions_of_a_faithful_copy_differ(taken, copy):
    """The false alarms that this is about; the copy prints none of them as the original does."""
    with copy.session(read_only=True) as cursor:
        catalog.prepare(cursor)
        found = catalog.facts(cursor)
    listed = named(differences.facts(taken.documents[3]["facts"], found))
    odd = {each for each in listed if each[1].startswith("odd.")}
    assert len(odd) > 15
    assert listed - odd == examples.OTHER_PRINT | NOT_AS_IT_WAS


@pytest.mark.parametrize(
    "schema",
    deep_but(
        [1, 2, 3],
        stay=(1, 3),
        by="tests/integration/test_same_meaning.py::test_a_faithful_copy_is_equal[3]",
    ),
)
def test_a_faithful_copy_is_equal(taken, copy, schema):
    deviations = []
    found = proof.differences(copy, taken.documents[schema], deviations=deviations, restored=True)
    assert causes.lines(found, shown=99) == []
    assert_told(deviations)


def test_a_set_of_an_older_version_is_equal(server, older):
    copy = restored(server, older, f"from_{older.major}")
    for document in older.documents.values():
        deviations = []
        found = proof.differences(copy, document, deviations=deviations)
        assert causes.lines(found, shown=99) == []
        assert_told(deviations, older.major)


def drilled(server, of_set):
    request = Request(root=of_set.folder / "backups", keys=of_set.folder / "keys", keep=False)
    result = restore_set(server.database(LIVE), request, progress=Progress())
    assert result["differences"] == 0
    assert_told(result["not_restored"], of_set.major)


def test_a_drill_passes(server, taken):
    drilled(server, taken)


def test_a_drill_of_an_older_versions_set_passes(server, older):
    drilled(server, older)


def test_a_copy_of_a_copy_is_equal(server, taken, copy):
    """And the original is equal to a set of the copy."""
    again = Taken(shell(server, f"pg_dump -Fc {copy.name}"), {}, taken.folder)
    twice = restored(server, again, "twice")
    assert proof.differences(twice, taken.documents[3]) == []
    back = named(proof.differences(server.database(LIVE), described(twice, 3)))
    assert back == NOT_AS_IT_WAS


def test_a_live_database_that_prints_otherwise_matches_its_set(taken, copy):
    assert proof.matches(copy, taken.documents[3])


# --- True changes ---------------------------------------------------------------------------------


def test_a_change_of_each_kind_is_named_and_nothing_else(taken, changed):
    found = proof.differences(changed, taken.documents[3])
    assert named(found) == examples.CHANGES.keys()
    assert not [each.text() for each in found if "not compared by meaning" in each.what]


def test_changes_are_named_by_sets_of_older_releases_too(taken, changed):
    found = named(proof.differences(changed, taken.documents[2]))
    beyond_their_facts = {"statistics_objects", "publication_tables"}
    wanted = {each for each in examples.CHANGES if each[0] not in beyond_their_facts}
    wanted -= {("constraints", "app.bookings.booking_account_fkey")}
    assert found == wanted
    assert not proof.matches(changed, taken.documents[2])


# --- The live database ----------------------------------------------------------------------------


@contextmanager
def as_superuser(server, sql, undo, database="copy"):
    server.psql(sql, database)
    try:
        yield
    finally:
        server.psql(undo, database)


def reasons(found):
    assert found
    said = [each.what.partition("not compared by meaning: ")[2] for each in found]
    assert all(said), found
    return {each.rstrip(")") for each in said}


TRACES = """
SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_proc),
       (SELECT count(*) FROM pg_namespace), (SELECT count(*) FROM pg_rewrite),
       (SELECT string_agg(evtname || evtenabled::text, ',') FROM pg_event_trigger),
       (SELECT count(*) FROM pg_depend)
"""


def test_nothing_stays_in_the_database(server, taken, copy):
    before = server.psql(TRACES, "copy")
    assert proof.differences(copy, taken.documents[3]) == []
    assert server.psql(TRACES, "copy") == before


def test_a_superuser_is_asked_only_for_what_the_role_may_not(server, taken, copy, monkeypatch):
    """A role without TEMPORARY leaves it to the superuser; without one the difference is listed."""
    revoke = "REVOKE TEMPORARY ON DATABASE copy FROM PUBLIC, macro_user"
    grant = "GRANT TEMPORARY ON DATABASE copy TO PUBLIC, macro_user"
    with as_superuser(server, revoke, grant):
        found = proof.differences(copy, taken.documents[3])
        assert named(found) == {("database", "all")}  # the grants on the database itself
        monkeypatch.setattr(scratch_transaction, "superuser_role", lambda cursor: None)
        found = proof.differences(copy, taken.documents[3])
        rest = [each for each in found if each.kind != "database"]
        assert named(rest) > examples.OTHER_PRINT
        assert reasons(rest) == {"role pms_ops lacks TEMPORARY in database copy"}


EVENT_TRIGGER = """
CREATE TABLE public.seen (what text);
CREATE FUNCTION public.seen() RETURNS event_trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO public.seen VALUES (tg_tag); RAISE EXCEPTION 'no DDL here'; END $$;
CREATE EVENT TRIGGER seen ON ddl_command_end EXECUTE FUNCTION public.seen();
ALTER EVENT TRIGGER seen ENABLE ALWAYS;
"""


def test_event_triggers_of_the_users_do_not_run(server, taken, copy, monkeypatch):
    undo = "DROP EVENT TRIGGER seen; DROP FUNCTION public.seen(); DROP TABLE public.seen"
    with as_superuser(server, EVENT_TRIGGER, undo):
        found = proof.differences(copy, taken.documents[3])
        assert {each.name.removeprefix("public.").partition(".")[0] for each in found} <= {
            "seen",
            "seen()",
        }
        assert server.psql("SELECT evtenabled FROM pg_event_trigger WHERE evtname = 'seen'", "copy")
        monkeypatch.setattr(scratch_transaction, "superuser_role", lambda cursor: None)
        found = [each for each in proof.differences(copy, taken.documents[3]) if each.attribute]
        assert reasons(found) == {"role pms_ops cannot hold back event trigger seen"}


def test_a_locked_table_is_waited_for_briefly(server, taken, copy):
    document = taken.documents[3]
    with (
        psycopg2.connect(
            host=copy.host, port=copy.port, dbname="copy", user=copy.user, password=copy.password
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SET ROLE pms_restore")
        cursor.execute("LOCK TABLE app.log IN ACCESS EXCLUSIVE MODE")
        objects = differences.facts(*the_policy_and_the_rule(document))
        began = time.monotonic()
        left = same_meaning.remaining(copy, objects, *the_policy_and_the_rule(document))
        assert time.monotonic() - began < 2 * scratch_transaction.LOCK_SECONDS + 1
        assert named(left) == {("rules", "app.orders.log")}
        assert reasons(left) == {"canceling statement due to lock timeout"}
        connection.rollback()


def the_policy_and_the_rule(document):
    """Return facts that differ in their print alone."""
    policy = document["facts"]["policies"]["app.orders.own"]
    rule = document["facts"]["rules"]["app.orders.log"]
    other = {"using": policy["using"].replace("((status)::text", "(((status)::text)")}
    return (
        {"policies": {"app.orders.own": policy}, "rules": {"app.orders.log": rule}},
        {
            "policies": {"app.orders.own": policy | other},
            "rules": {
                "app.orders.log": {
                    **rule,
                    "definition": rule["definition"].replace(" DO ", " DO ALSO "),
                }
            },
        },
    )


def checks(*texts):
    return [{"constraints": {"app.log.whole": {"definition": f"CHECK ({text})"}}} for text in texts]


def test_a_setting_of_the_database_does_not_make_definitions_equal(server, taken, copy):
    """A restore under it turns the one check into the other, which is another check."""
    sides = checks("(what = NULL)", "(what IS NULL)")
    on = "ALTER DATABASE copy SET transform_null_equals = on"
    with as_superuser(server, on, "ALTER DATABASE copy RESET ALL"):
        left = same_meaning.remaining(copy, differences.facts(*sides), *sides)
        assert named(left) == {("constraints", "app.log.whole")}


def test_code_of_the_databases_users_does_not_run(server, taken, copy):
    """A function that calls itself immutable is folded where a statement is planned."""
    server.psql(
        """CREATE FUNCTION app.folded(int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS
               $$ BEGIN RAISE EXCEPTION 'ran as %', current_user; END $$""",
        "copy",
    )
    try:
        sides = checks("app.folded(1)", "(app.folded(1))")
        assert same_meaning.remaining(copy, differences.facts(*sides), *sides) == []
    finally:
        server.psql("DROP FUNCTION app.folded(int)", "copy")


STOP = "$(ls -d /usr/lib/postgresql/*/bin)/pg_ctl -D /var/lib/postgresql/test/standby stop -m i"
# Tests that share the server may have a tablespace in place, which a standby starts with only by
# this setting.
STANDBY = """
options='-p 5433 -c listen_addresses=* -c max_connections=60 -c max_worker_processes=32'
bin=$(ls -d /usr/lib/postgresql/*/bin)
rm -rf /var/lib/postgresql/test/standby
$bin/pg_basebackup -D /var/lib/postgresql/test/standby -R -c fast || exit
$bin/pg_ctl -D /var/lib/postgresql/test/standby -w -l /tmp/standby.log start \\
    -o "$options -c allow_in_place_tablespaces=on" >/dev/null && exit
cat /tmp/standby.log >&2
exit 1
"""


def test_on_a_standby_the_difference_is_listed_with_the_reason(server, taken, copy):
    shell(server, STANDBY)
    try:
        server.container.reload()
        networks = server.container.attrs["NetworkSettings"]["Networks"].values()
        address = next(iter(networks))["IPAddress"]
        standby = replace(copy, host=address, port=5433)
        found = same_meaning.remaining(
            standby,
            differences.facts(*the_policy_and_the_rule(taken.documents[3])),
            *the_policy_and_the_rule(taken.documents[3]),
        )
        assert reasons(found) == {"the server is a standby"}
    finally:
        shell(server, STOP)
