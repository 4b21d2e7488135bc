# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each server and set that a restore would fail on is refused before anything is changed."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import psycopg2
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.restore import preflight, room
from ansible.module_utils.pmsops.restore.requirements import Requirements

from tests.support.recorded_database import RecordedDatabase

NEEDS = Requirements(
    database_name="fund",
    server_major=17,
    extensions={
        "timescaledb": {"version": "2.19", "schema": "public"},
        "pg_trgm": {"version": "1.6", "schema": "public"},
        "plpgsql": {"version": "1.0", "schema": "pg_catalog"},
    },
    described={"encoding": "UTF8", "provider": "c", "collate": "C.UTF-8", "locale": None},
    roles={"owner", "PUBLIC"},
    tablespaces={"fast"},
    size_bytes=1000,
    system_identifier="7",
)
ANSWERS = {
    "server_version_num": [(170012,)],
    "'server_version'": [("17.12 (Debian 17.12-1)",)],
    "rolsuper": [("pms_restore",)],
    "pg_is_in_recovery": [(False,)],
    "max_connections": [(50,)],
    "pg_available_extension_versions": [
        ("timescaledb", "2.19"), ("pg_trgm", "1.5"), ("pg_trgm", "1.6"), ("plpgsql", "1.0"),
    ],
    "pg_available_extensions": [
        ("timescaledb", "2.20"), ("pg_trgm", "1.6"), ("plpgsql", "1.0"),
    ],
    "SELECT rolname FROM pg_roles": [("owner",), ("pms_ops",)],
    "spcname": [("pg_default",), ("fast",)],
    "max_worker_processes": [(8,)],
    "pg_control_system": [("7",)],
    "data_directory": [("/",)],
    "pg_char_to_encoding": [(6,)],
    "CREATE COLLATION": None,
}  # fmt: skip


def tools_of(version):
    """Return client tools of a version, which says all that the preflight asks them."""
    return SimpleNamespace(
        version=lambda tool: version,
        major=lambda tool: int(version.partition(".")[0]),
        prefer=lambda major: None,
    )


TOOLS = tools_of("17.12")


def check(required=NEEDS, answers=None, *, host="127.0.0.1", tools=TOOLS, **options):
    """Run the preflight; return what it finds, and see that nothing stays."""
    database = RecordedDatabase(ANSWERS | (answers or {}))
    database.access, database.host = "host", host
    database.connect = lambda **_options: database.connection
    try:
        return preflight.check(database, required, tools, **options)
    finally:
        made = [each for each in database.connection.executed if "CREATE" in each]
        assert database.connection.rollbacks >= len(made)


def test_a_server_that_has_everything_is_taken():
    found = check()
    assert (found.missing_roles, found.other_versions, found.notes) == ([], [], [])
    # The default version of TimescaleDB is another one: it is created in the recorded one.
    assert list(found.extensions) == ["timescaledb"]


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ({"rolsuper": []}, "restore.rights"),
        ({"pg_is_in_recovery": [(True,)]}, "restore.standby"),
        ({"max_connections": [(5,)]}, "restore.connections"),
        ({"'server_version'": [("16.4",)]}, "restore.server-old"),
        ({"server_version_num": [(180001,)]}, "clients.old"),
        ({"pg_available_extension_versions": [("timescaledb", "2.19")]}, "restore.extension"),
        (
            {
                "pg_available_extension_versions": [
                    ("timescaledb", "2.18"), ("pg_trgm", "1.6"), ("plpgsql", "1.0"),
                ]
            },
            "restore.timescaledb-version",
        ),
        ({"SELECT rolname FROM pg_roles": [("pms_ops",)]}, "restore.roles"),
        ({"spcname": [("pg_default",)]}, "restore.tablespace"),
        ({"max_worker_processes": [(2,)]}, "restore.workers"),
        ({"pg_char_to_encoding": [(-1,)]}, "restore.locale"),
        (
            {"CREATE COLLATION": psycopg2.DataError('could not create locale "xx_XX"')},
            "restore.locale",
        ),
    ],
)  # fmt: skip
def test_each_lack_of_the_server_is_refused_by_its_name(answers, code):
    with pytest.raises(OpsError) as caught:
        check(answers=answers)
    assert caught.value.code == code
    assert caught.value.remedy


def test_a_set_of_another_database_needs_to_be_forced():
    with pytest.raises(OpsError) as caught:
        check(replace(NEEDS, database_name="other"))
    assert caught.value.code == "restore.other-database"
    assert check(replace(NEEDS, database_name="other"), force_name=True)


def test_a_set_too_large_for_the_disk_is_refused():
    with pytest.raises(OpsError) as caught:
        check(replace(NEEDS, size_bytes=10**18))
    assert caught.value.code == "restore.space"


def test_roles_that_may_be_created_are_no_reason_to_refuse():
    answers = {"SELECT rolname FROM pg_roles": []}
    assert check(answers=answers, create_roles=True).missing_roles == ["owner"]


def test_what_the_trial_of_the_backup_found_is_noted():
    found = check(replace(NEEDS, refused=["CHECK public.t.c: is violated by 2 rows."]))
    assert found.notes == [
        "The trial at backup time found: CHECK public.t.c: is violated by 2 rows."
    ]


def test_what_differs_and_what_cannot_be_seen_is_noted():
    versions = [("timescaledb", "2.19"), ("pg_trgm", "1.5"), ("plpgsql", "1.0")]
    found = check(
        answers={"pg_available_extension_versions": versions, "pg_control_system": [("8",)]},
        host="db.example",
    )
    assert found.other_versions == ["pg_trgm"]
    assert [note.split(" ")[:3] for note in found.notes] == [
        ["The", "set", "comes"],
        ["The", "free", "space"],
        ["Other", "versions", "than"],
    ]


@pytest.mark.parametrize("folder", [[], [("/no/such/folder",)]])
def test_a_data_directory_that_cannot_be_seen_is_noted(folder):
    (note,) = check(answers={"data_directory": folder}).notes
    assert note.startswith("The free space")


def test_the_free_space_in_a_container_is_that_of_data_and_log(monkeypatch):
    listed = b"Filesystem 1B-blocks Used Available Capacity Mounted on\n/dev/a 9 1 8 1% /data\n"
    asked = []

    def run(command, user):
        asked.append((command[-1], user))
        return (1, b"") if user == "postgres" else (0, listed)

    monkeypatch.setattr(room.docker_engine, "engine", lambda: None)
    monkeypatch.setattr(
        room.docker_engine,
        "database_container",
        lambda engine, name: SimpleNamespace(exec_run=run),
    )
    database = SimpleNamespace(access="container", container="db")
    cursor = RecordedDatabase(ANSWERS).connection.cursor()
    assert room.free_bytes(cursor, database) == 8
    assert asked == [("//pg_wal/", "postgres"), ("//pg_wal/", "root")]
    monkeypatch.setattr(room, "smallest_free", lambda output: pytest.fail("it was read"))
    monkeypatch.setattr(
        room.docker_engine,
        "database_container",
        lambda engine, name: SimpleNamespace(exec_run=lambda command, user: (1, b"")),
    )
    assert room.free_bytes(cursor, database) is None


def test_a_locale_of_the_server_s_own_is_not_looked_up():
    described = NEEDS.described | {"provider": "b"}
    answers = {"CREATE COLLATION": AssertionError("it was looked up")}
    assert check(replace(NEEDS, described=described), answers)


def test_a_locale_that_cannot_be_tried_here_is_left_to_create_database():
    error = psycopg2.DataError('encoding "LATIN1" is not supported here')
    assert check(answers={"CREATE COLLATION": error})


def test_a_dump_without_a_size_needs_as_much_as_the_live_database():
    with pytest.raises(OpsError) as caught:
        check(replace(NEEDS, size_bytes=None), {"pg_database_size": [(10**18,)]})
    assert caught.value.code == "restore.space"


def test_the_smaller_of_two_disks_decides():
    listed = (
        "Filesystem 1B-blocks Used Available Capacity Mounted on\n"
        "/dev/a 100 50 50 50% /var/lib/postgresql\n/dev/b 100 90 10 90% /wal\n"
    )
    assert room.smallest_free(listed) == 10
    assert room.smallest_free("df: no such folder\n") is None
