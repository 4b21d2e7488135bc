# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import psycopg2.errors
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import bound_objects
from ansible.module_utils.pmsops.postgresql.bound_objects import (
    BoundObjects,
    PreparedTransaction,
    Slot,
)

from tests.support.recorded_database import Connection, Cursor

LATE = PreparedTransaction("it's late", "macro_user", "2026-11-23T06:00:00Z")


def test_what_is_bound_to_a_database_is_read_and_said():
    answers = {
        "FROM pg_replication_slots": [("cdc", "pgoutput", True, False, "warehouse")],
        "FROM pg_prepared_xacts": [(LATE.gid, LATE.owner, LATE.since)],
        "FROM pg_subscription": [("feed", True)],
    }
    found = bound_objects.read(Cursor(Connection(answers)), "fund")
    assert found.slots[0].text() == "cdc (pgoutput, read by warehouse)"
    assert Slot("cdc", "pgoutput").text() == "cdc (pgoutput, idle)"
    assert found.prepared[0].text() == "'it''s late' of macro_user since 2026-11-23T06:00:00Z"
    assert found.subscriptions == (("feed", True),)


@pytest.mark.parametrize(
    ("found", "named"),
    [
        (BoundObjects((Slot("c'dc", "p"),), (), ()), "pg_drop_replication_slot('c''dc')"),
        (BoundObjects((), (LATE,), ()), "ROLLBACK PREPARED 'it''s late'"),
        (BoundObjects((), (), (("Feed", False),)), 'DROP SUBSCRIPTION "Feed"'),
    ],
)
def test_what_keeps_a_database_is_named_with_the_statement_to_type(found, named):
    with pytest.raises(OpsError, match="was not dropped") as caught:
        bound_objects.require_droppable(found, "fund")
    assert caught.value.code == "restore.not-dropped"
    assert named in caught.value.remedy
    bound_objects.require_droppable(BoundObjects((), (), ()), "fund")


class Busy(Connection):
    """Refuses to drop a slot until its reader has been ended so many times."""

    def __init__(self, times):
        super().__init__({})
        self.times = times

    def cursor(self, name=None):
        return BusyCursor(self)


class BusyCursor(Cursor):
    def execute(self, query, args=None):
        super().execute(query, args)
        if "pg_terminate_backend" in query:
            self.connection.times -= 1
        elif self.connection.times > 0:
            raise psycopg2.errors.ObjectInUse("replication slot is active for PID 1")


def test_the_reader_of_a_slot_is_ended_and_may_take_its_time(monkeypatch):
    monkeypatch.setattr(bound_objects, "DROP_ATTEMPT_SECONDS", 0)
    connection = Busy(3)
    bound_objects.drop_slot(connection.cursor(), "cdc")
    assert len(connection.executed) == 7
    with pytest.raises(psycopg2.errors.ObjectInUse):
        bound_objects.drop_slot(Busy(10_000).cursor(), "cdc")


@pytest.mark.parametrize(("since_17", "arguments"), [(True, ", %s)"), (False, "%s)")])
def test_a_slot_is_made_with_what_the_server_can_keep_and_within_a_time(since_17, arguments):
    connection = Connection({"pronargs >= 5": [(since_17,)]})
    slot = Slot("cdc", "pgoutput", two_phase=True, failover=True)
    bound_objects.create_slot(Cursor(connection), slot)
    made = next(each for each in connection.executed if "SELECT pg_create" in each)
    assert made.count("%s") == (4 if since_17 else 3)
    assert made.endswith(arguments)
    assert "statement_timeout = 60000" in connection.executed[1]
    assert connection.executed[-1] == "SET SESSION statement_timeout = 0"
