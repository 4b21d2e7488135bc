# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The recovery of the PMS: a stand-in behind stand-in containers, and what a restart would lose."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import Action
from ansible.module_utils.pmsops.recovery import pms_reload
from ansible.module_utils.pmsops.recovery.pms import Pms, plan, recover
from ansible.module_utils.pmsops.services.manager import Services

from tests.support.book_database import BookDatabase
from tests.support.compose import Container, compose
from tests.support.standin_pms import StandIn, served
from tests.unit.pms.test_positions import CASES, position


def record(_text: str) -> Any:
    return nullcontext(Action())


class World:
    """A PMS, its database and its container; a restart loads the book from the database."""

    def __init__(self, url: str, book: StandIn) -> None:
        self.url = url
        self.book = book
        self.database = BookDatabase(book)
        self.container = Container(on=self._load)
        self.other = Container()

    def _load(self, verb: str) -> None:
        if verb in ("start", "restart"):
            self.book.faults.clear()
            self.book.positions = [dict(row) for row in self.database.positions()]

    def differ(self, kind: str) -> None:
        ours, theirs = CASES[kind]
        self.book.positions = list(ours.values())
        self.database.stored = list(theirs.values())

    def pms(self, **changes: Any) -> Pms:
        options = {
            "url": self.url,
            "service": "api",
            "services": compose(api=self.container, worker=self.other),
            "database": self.database,
            "redis": None,
            "healthy_seconds": 0.0,
            "resume_seconds": 0.0,
        }
        return Pms(**(options | changes))

    def recover(self, folder: Path | None = None, **changes: Any) -> list[str]:
        return recover(self.pms(**changes), folder, record=record)


@pytest.fixture
def world():
    book = StandIn()
    with served(book) as url:
        yield World(url, book)


def test_a_healthy_pms_is_left_alone(world):
    assert plan(world.pms()) == []
    assert world.recover() == []
    assert world.container.called == world.other.called == []


@pytest.mark.parametrize("kind", ["missing", "reopened", "differing"])
def test_a_stale_book_is_saved_and_reloaded(world, kind, tmp_path):
    world.differ(kind)
    before = list(world.book.positions)
    assert plan(world.pms()) == ["Save what the PMS holds, and restart api"]
    assert world.recover(tmp_path) == ["Restart api, which was running but did not work"]
    assert world.container.called == ["restart"]
    assert world.book.positions == world.database.positions()
    holds = json.loads((tmp_path / "application.json").read_text())["holds"]
    assert [*holds["positions_open"], *holds["positions_closed"]] == before


@pytest.mark.parametrize("kind", ["unstored", "closed_unstored"])
def test_a_restart_that_loses_something_is_refused_until_it_is_confirmed(world, kind, tmp_path):
    world.differ(kind)
    for refused in (lambda: world.recover(tmp_path), lambda: plan(world.pms())):
        with pytest.raises(OpsError) as caught:
            refused()
        assert caught.value.code == "api.would_lose"
        assert "confirm=macro_trading" in caught.value.remedy
    assert world.container.called == []
    assert (tmp_path / "application.json").exists()
    assert len(world.recover(tmp_path, confirmed=True)) == 1
    assert world.container.called == ["restart"]


def test_the_first_copy_of_a_book_is_kept(world, tmp_path):
    (tmp_path / "application.json").write_text("the first")
    world.differ("missing")
    world.recover(tmp_path)
    assert (tmp_path / "application.json").read_text() == "the first"


def test_a_pms_that_stores_no_trades_may_hold_more_than_its_database(world):
    world.differ("unstored")
    assert world.recover(persists=False) == []
    assert world.container.called == []


def test_a_stopped_pms_is_started(world):
    world.container.attrs["State"] = {"Status": "exited", "ExitCode": 1}
    world.other.attrs["State"] = {"Status": "exited", "ExitCode": 0}
    world.book.faults.add("down")
    assert plan(world.pms()) == ["Start api, which was exited (exit status 1)"]
    assert world.recover() == [
        "Start api, which was exited (exit status 1)",
        "Start worker, which was exited (exit status 0)",
    ]


def test_a_process_that_a_signal_stopped_is_resumed_and_keeps_its_memory(world):
    world.differ("unstored")
    world.book.faults.add("down")
    world.container.on = lambda signal: world.book.faults.clear()
    done = world.recover(persists=False, resume_seconds=5.0)
    assert done == ["Resume the process of api, in case a signal stopped it"]
    assert world.container.called == ["kill -s CONT 1"]
    assert len(world.book.positions) == 2


def test_a_process_in_an_image_without_a_shell_is_restarted(world):
    world.differ("unstored")
    world.book.faults.add("down")
    world.container.shell = False
    assert len(world.recover(persists=False, confirmed=True, resume_seconds=60.0)) == 1
    assert world.container.called == ["kill -s CONT 1", "restart"]


def test_one_that_hangs_is_restarted_unless_its_memory_is_all_there_is(world):
    world.book.faults.add("down")
    assert plan(world.pms()) == ["Resume api, and restart it if that does not help"]
    with pytest.raises(OpsError) as caught:
        world.recover(persists=False)
    assert caught.value.code == "api.would_lose"
    assert world.container.called == ["kill -s CONT 1"]
    assert len(world.recover(persists=False, confirmed=True)) == 1
    world.book.faults.add("down")
    assert len(world.recover()) == 1
    assert world.container.called.count("restart") == 2


def test_a_restart_that_does_not_help_is_an_error(world):
    world.differ("missing")
    world.container.on = lambda verb: None
    with pytest.raises(OpsError, match="still unhealthy: position 2") as caught:
        world.recover()
    assert caught.value.code == "api.unwell"


def test_a_pms_that_nothing_manages_is_reported_and_not_touched(world):
    world.book.faults.add("down")
    with pytest.raises(OpsError) as caught:
        world.recover(services=Services("none", ()))
    assert caught.value.code == "api.unmanaged"
    world.book.faults.clear()
    assert world.recover(services=Services("none", ())) == []


# --- after the database was down ----------------------------------------------------------------


def reload(world: World, **options: Any) -> list[str]:
    services = compose(api=world.container, worker=world.other)
    options = {"grace_seconds": 0.0, "start_seconds": 0.0, "record": record} | options
    return pms_reload.reload(world.database, services, world.url, **options)


def test_a_pms_that_works_after_the_database_is_left_alone(world):
    assert reload(world) == []


def test_a_pms_with_an_empty_book_is_restarted_and_no_other_service(world):
    world.database.stored = [position(1)]
    port = world.url.rsplit(":", 1)[1]
    world.container.attrs["HostConfig"]["PortBindings"] = {"80/tcp": [{"HostPort": port}]}
    assert reload(world) == ["Restart api, which was running but did not work"]
    assert world.other.called == []


def test_sessions_with_an_old_setting_are_renewed_by_a_restart(world):
    assert len(reload(world, sessions=True)) == 2  # no service publishes the port: all of them


def test_a_pms_that_stays_broken_is_an_error(world):
    world.database.stored = [position(1)]
    world.container.on = lambda verb: None
    with pytest.raises(OpsError, match="but the PMS does not work") as caught:
        reload(world)
    assert caught.value.code == "care.application"


def test_a_broken_pms_that_nothing_manages_is_an_error(world):
    world.database.stored = [position(1)]
    with pytest.raises(OpsError) as caught:
        pms_reload.reload(
            world.database, Services("none", ()), world.url, record=record, grace_seconds=0.0
        )
    assert caught.value.code == "care.application"
