# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The order in which a server is brought back; its answers here are a list, its clock a counter."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import Action
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.recovery import database_server
from ansible.module_utils.pmsops.recovery.database_server import ServerState, judge
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


def test_a_missing_database_and_a_wrong_password_are_known_by_their_codes():
    assert judge("database.missing", "") == "missing"
    assert judge("database.auth", "") == "refused"


@contextmanager
def record(_text):
    yield Action()


class World:
    """A server whose answers are given; what is done to it is written down."""

    def __init__(self, monkeypatch, answers, *, starts=()):
        self.answers = list(answers)
        self.starts = list(starts)
        self.done = []
        self.time = 0.0
        monkeypatch.setattr(database_server, "_start", self._start)
        monkeypatch.setattr(database_server, "_restart", self._act("restart"))
        monkeypatch.setattr(database_server, "_without_pools", self._act("free"))
        monkeypatch.setattr(database_server, "_start_again", self._act("start pools"))

    def _start(self, _server, _noting):
        return self._act("start")() if self.starts and self.starts.pop(0) else []

    def _act(self, name):
        def act(*_arguments):
            self.done.append(name)
            return [name]

        return act

    def bring_back(self, **options):
        def look(_database):
            kind = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            return ServerState(kind, f"said {kind}")

        def sleep(seconds):
            self.time += seconds

        class Pools(Services):
            def running(self):
                return ["api"]

        server = database_server.Server(DATABASE, Pools("none", ()), **options)
        return database_server.bring_back(
            server, record=record, look=look, now=lambda: self.time, sleep=sleep
        )


def test_a_server_that_answers_is_left_alone(monkeypatch):
    world = World(monkeypatch, ["answers"])
    assert world.bring_back() == []


@pytest.mark.parametrize("kind", ["missing", "closed"])
def test_a_server_without_the_database_is_not_restarted(monkeypatch, kind):
    world = World(monkeypatch, [kind])
    assert world.bring_back() == []


def test_a_stopped_server_is_started_and_waited_for(monkeypatch):
    world = World(monkeypatch, ["away", "away", "starting", "answers"], starts=[True])
    assert world.bring_back() == ["start"]


def test_a_server_that_replays_its_log_is_never_restarted(monkeypatch):
    world = World(monkeypatch, ["starting"] * 100 + ["answers"])
    assert world.bring_back() == []


def test_a_replay_without_end_is_told_and_not_killed(monkeypatch):
    world = World(monkeypatch, ["starting"])
    with pytest.raises(OpsError, match="still replaying its log after 5 s") as caught:
        world.bring_back(recovery_seconds=5)
    assert caught.value.code == "care.starting"
    assert "pg_resetwal" in caught.value.remedy
    assert world.done == []


def test_a_server_that_hangs_is_restarted_once(monkeypatch):
    world = World(monkeypatch, ["away"])
    with pytest.raises(OpsError) as caught:
        world.bring_back()
    assert caught.value.code == "care.away"
    assert world.done == ["restart"]


def test_full_slots_are_freed_before_anything_is_restarted(monkeypatch):
    world = World(monkeypatch, ["slots"] * 8 + ["answers"])
    assert world.bring_back() == ["free"]
    assert world.done == ["free", "start pools"]


def test_slots_that_stay_full_end_in_a_restart(monkeypatch):
    world = World(monkeypatch, ["slots"])
    with pytest.raises(OpsError):
        world.bring_back()
    assert world.done == ["free", "restart", "start pools"]


def test_a_container_that_ends_again_and_again_is_not_started_for_ever(monkeypatch):
    world = World(monkeypatch, ["away"], starts=[True] * 100)
    with pytest.raises(OpsError) as caught:
        world.bring_back()
    assert caught.value.code == "care.away"
    assert world.done.count("start") == database_server.MAX_STARTS


def test_a_refused_password_ends_it_at_once(monkeypatch):
    world = World(monkeypatch, ["refused"])
    with pytest.raises(OpsError) as caught:
        world.bring_back()
    assert caught.value.code == "care.password"
    assert world.done == []
