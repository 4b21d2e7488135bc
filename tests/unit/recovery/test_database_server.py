# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The order in which a server is brought back; its answers here are a list, its clock a counter."""

from __future__ import annotations

import psycopg2
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.recovery import database_server
from ansible.module_utils.pmsops.recovery.database_server import ServerState, judge
from ansible.module_utils.pmsops.recovery.server_control import Server
from ansible.module_utils.pmsops.services.manager import Services

DATABASE = Database("127.0.0.1", 5432, "fund", "pms_ops", access="host")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("FATAL: sorry, too many clients already", "slots"),
        ("FATAL: remaining connection slots are reserved for roles with", "slots"),
        ("FATAL: the database system is starting up", "starting"),
        ("FATAL: the database system is not yet accepting connections", "starting"),
        ("FATAL: the database system is in recovery mode", "starting"),
        ("FATAL: the database system is shutting down", "stopping"),
        ('FATAL: database "fund" is not currently accepting connections', "closed"),
        ("connection refused. Is the server running on that host", "away"),
        ("timeout expired", "away"),
    ],
)
def test_a_refusal_is_judged_by_the_servers_words(said, kind):
    assert judge("database.unreachable", said) == kind


@pytest.mark.parametrize(
    ("said", "code", "remedy"),
    [
        (
            'FATAL: permission denied for database "fund" User does not have CONNECT privilege.',
            "database.connect-right",
            "docs/database-rights.sql",
        ),
        (
            'FATAL: no pg_hba.conf entry for host "10.0.0.7", user "pms_ops", database "fund"',
            "database.no-entry",
            "pg_reload_conf()",
        ),
    ],
)
def test_a_role_that_may_not_come_in_is_no_reason_to_restart_the_server(said, code, remedy):
    refused = DATABASE._connection_error("fund", psycopg2.OperationalError(said))
    assert refused.code == code
    assert remedy in refused.remedy
    assert judge(refused.code, str(refused)) == "refused"


def test_a_missing_database_and_a_wrong_password_are_known_by_their_codes():
    assert judge("database.missing", "") == "missing"
    assert judge("database.auth", "") == "refused"


class World:
    """A server whose responses are given, and its control; its actions are listed."""

    def __init__(self, answers, *, starts=()):
        self.answers = list(answers)
        self.starts = list(starts)
        self.done = []
        self.time = 0.0

    def _act(self, name):
        self.done.append(name)
        return [name]

    def start(self):
        return self._act("start") if self.starts and self.starts.pop(0) else []

    def restart(self):
        return self._act("restart")

    def running_services(self):
        return ["api"]

    def free_pools(self, names):
        assert names == ["api"]
        return self._act("free")

    def start_services(self, names):
        assert names == ["api"]
        return self._act("start pools")

    def look(self, _database):
        kind = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return ServerState(kind, f"said {kind}")

    def sleep(self, seconds):
        self.time += seconds

    def bring_back(self, manager="compose", **options):
        server = Server(DATABASE, Services(manager, ()), **options)
        return database_server.bring_back(
            server, self, look=self.look, now=lambda: self.time, sleep=self.sleep
        )


def test_a_server_that_answers_is_left_alone():
    world = World(["answers"])
    assert world.bring_back() == []


@pytest.mark.parametrize("kind", ["missing", "closed"])
def test_a_server_without_the_database_is_not_restarted(kind):
    world = World([kind])
    assert world.bring_back() == []


def test_a_stopped_server_is_started_and_waited_for():
    world = World(["away", "away", "starting", "answers"], starts=[True])
    assert world.bring_back() == ["start"]


def test_a_server_that_replays_its_log_is_never_restarted():
    world = World(["starting"] * 100 + ["answers"])
    assert world.bring_back() == []


def test_a_replay_without_end_is_told_and_not_killed():
    world = World(["starting"])
    with pytest.raises(OpsError, match="still replaying its log after 5 s") as caught:
        world.bring_back(recovery_seconds=5)
    assert caught.value.code == "care.starting"
    assert "pg_resetwal" in caught.value.remedy
    assert world.done == []


def test_a_server_that_hangs_is_restarted_once():
    world = World(["away"])
    with pytest.raises(OpsError) as caught:
        world.bring_back()
    assert caught.value.code == "care.away"
    assert "does not answer after these steps: restart." in str(caught.value)
    assert world.done == ["restart"]


def test_a_server_that_nothing_can_start_is_not_said_to_have_been_started():
    world = World(["away"])
    world.restart = list
    with pytest.raises(OpsError) as caught:
        world.bring_back()
    assert caught.value.code == "care.away"
    assert "although" not in str(caught.value)
    assert "does not answer, and nothing was started: the inventory names" in str(caught.value)
    assert "incident_database_unit" in caught.value.remedy


@pytest.mark.parametrize("manager", ["none", "systemd"])
def test_nobody_is_told_to_set_what_is_set(manager):
    world = World(["away"])
    world.restart = list
    with pytest.raises(OpsError) as caught:
        world.bring_back(manager=manager)
    assert caught.value.remedy.startswith("Start the server by hand, then run this again.")
    # With none, there is nothing to name; a system under systemd names the unit as a part.
    assert ("golive_services.database" in caught.value.remedy) == (manager == "systemd")
    assert "incident_database_unit" not in caught.value.remedy


def test_full_slots_are_freed_before_anything_is_restarted():
    world = World(["slots"] * 8 + ["answers"])
    assert world.bring_back() == ["free"]
    assert world.done == ["free", "start pools"]


def test_slots_that_stay_full_end_in_a_restart():
    world = World(["slots"])
    with pytest.raises(OpsError):
        world.bring_back()
    assert world.done == ["free", "restart", "start pools"]


def test_a_container_that_ends_again_and_again_is_not_started_for_ever():
    world = World(["away"], starts=[True] * 100)
    with pytest.raises(OpsError) as caught:
        world.bring_back()
    assert caught.value.code == "care.away"
    assert world.done.count("start") == database_server.MAX_STARTS


def test_a_refused_password_ends_it_at_once():
    world = World(["refused"])
    with pytest.raises(OpsError) as caught:
        world.bring_back()
    assert caught.value.code == "care.password"
    assert world.done == []


def test_a_missing_library_is_told_and_the_server_is_not_restarted_for_it(monkeypatch):
    import psycopg2.errors

    lack = 'could not access file "$libdir/timescaledb-2.18.0": No such file or directory'
    database = Database("h", 5432, "fund", "pms_ops")

    def refuse(*_, **__):
        raise database._connection_error("fund", psycopg2.errors.UndefinedFile(lack))

    monkeypatch.setattr(Database, "connect", refuse)
    for ask in (database_server.look, database_server.plan):
        with pytest.raises(OpsError) as caught:
            ask(database)
        assert caught.value.code == "database.library"
        assert "No restore helps" in caught.value.remedy
