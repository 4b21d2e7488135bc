# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Services that are started and waited for, in each mode; one that fails hinders no other."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.services import manager
from ansible.module_utils.pmsops.services.manager import DOWN, STARTING, UNHEALTHY, Services


class Container:
    """A container with a status, a health, and what happens if it is started."""

    def __init__(self, status="running", health=None, error=None):
        self.status, self.error, self.starts = status, error, 0
        self.attrs = {"State": {"Health": {"Status": health}} if health else {}}

    def start(self):
        """Start it, or fail as the engine does."""
        self.starts += 1
        if self.error:
            raise self.error
        self.status = "running"


@pytest.fixture
def compose(monkeypatch):
    """Give a function that makes Services of containers by name."""

    def make(**containers):
        monkeypatch.setattr(
            Services, "containers", lambda self: [(name, containers[name]) for name in self.names]
        )
        monkeypatch.setattr(manager.time, "sleep", lambda seconds: None)
        return Services("compose", tuple(containers), "fund")

    return make


def test_states_of_containers_are_told(compose):
    services = compose(
        api=Container(health="healthy"),
        plain=Container(),
        slow=Container(health="starting"),
        ill=Container(health="unhealthy"),
        gone=Container(status="exited"),
    )
    assert services.unready(list(services.names)) == {
        "slow": STARTING,
        "ill": UNHEALTHY,
        "gone": DOWN,
    }
    assert services.unready(["api", "plain"]) == {}


def test_a_container_that_does_not_start_keeps_none_of_the_others(compose):
    broken = Container("exited", error=RuntimeError("port 3000 is taken"))
    others = Container("exited"), Container("exited")
    services = compose(a=others[0], dagster=broken, z=others[1])
    with pytest.raises(OpsError, match="dagster: port 3000 is taken") as caught:
        services.start(["a", "dagster", "z"])
    assert caught.value.code == "services.unhealthy"
    assert [each.status for each in others] == ["running", "running"]


def test_what_is_down_is_started_once_more_and_then_told(compose):
    crashing = Container("exited", error=RuntimeError("crashes"))
    mended = Container("exited")
    services = compose(api=mended, worker=crashing)
    told = []
    ticks = iter(range(100))
    manager_time = SimpleNamespace(monotonic=lambda: next(ticks), sleep=lambda seconds: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manager, "time", manager_time)
        unready = services.settle(["api", "worker"], 5, lambda done, note: told.append(note))
    assert unready == {"worker": DOWN}
    assert (mended.starts, crashing.starts) == (1, 1)
    assert told[0] == "waits for api, worker"
    assert "docker compose -p fund restart worker" in services.explain("worker", DOWN)


def test_a_unit_that_fails_keeps_none_of_the_others_and_a_slow_systemctl_has_an_end(monkeypatch):
    asked = []

    def run(command, **options):
        asked.append((command[1], command[-1]))
        if command[-1] == "slow":
            raise subprocess.TimeoutExpired(command, options["timeout"])
        return SimpleNamespace(returncode=command[-1] == "broken")

    monkeypatch.setattr(subprocess, "run", run)
    services = Services("systemd", ("pms", "broken", "slow", "dagster"))
    with pytest.raises(OpsError, match="systemctl start broken slow failed"):
        services.start(list(services.names))
    assert asked == [("start", name) for name in services.names]
    assert services.unready(list(services.names)) == {"broken": DOWN, "slow": DOWN}
    assert services.running() == ["pms", "dagster"]
    assert "journalctl -u broken" in services.explain("broken", DOWN)


def test_services_by_hand_are_never_touched_and_never_waited_for():
    services = Services("none", ("api",))
    assert services.by_hand
    assert services.running() == []
    services.stop(["api"])
    services.start(["api"])
    assert services.settle(["api"], 60, lambda done, note: None) == {}
