# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The checks of containers on a host installation: units, ports, processes, and no Docker."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.pmsops.checks.probes import Deadline, NotGiven, Unanswerable, container
from ansible.module_utils.pmsops.checks.probes.context import Context, Settings
from ansible.module_utils.pmsops.services import host_services

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
UNIT = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "Result": "success",
    "NRestarts": "0",
    "UnitFileState": "enabled",
    "MainPID": str(os.getpid()),
    "ActiveEnterTimestampMonotonic": "1",
    "StandardOutput": "journal",
}


@pytest.fixture(autouse=True)
def no_docker(monkeypatch):
    """A host installation has no Docker: whoever asks it fails the test."""
    monkeypatch.setattr(Context, "docker", lambda *_: pytest.fail("Docker was asked"))


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def ask(part: str, *, manager: str = "systemd", **settings: Any) -> Any:
    params = settings.pop("params", {})
    found = Settings(
        now=NOW,
        services={"manager": manager, "parts": {part: "pms-part"}},
        **{"database": {"access": "host", "host": "127.0.0.1", "port": 1}} | settings,
    )
    return container.ask({"part": part} | params, Context(found), Deadline.after(5))


@pytest.fixture
def units(monkeypatch):
    known: dict[str, dict[str, str]] = {"pms-part": UNIT}
    monkeypatch.setattr(host_services, "unit", known.get)
    return known


def test_a_database_on_the_host_is_never_looked_for_in_docker(port, units):
    """Another system's container had the name, and the check passed by mistake."""
    for manager in ("compose", "systemd", "none"):
        address = {"access": "host", "host": "127.0.0.1", "port": port, "container": "other"}
        found = ask("database", manager=manager, database=address)
        assert (found["status"], found["ports"]) == ("running", [{"ip": "127.0.0.1", "port": port}])


@pytest.mark.parametrize("up", [True, False])
def test_a_unit_that_only_starts_others_is_judged_by_the_port(port, units, up):
    """Debian's postgresql.service stays active when the cluster is down."""
    units["pms-part"] = UNIT | {"SubState": "exited", "MainPID": "0"}
    address = {"access": "host", "host": "127.0.0.1", "port": port if up else 1}
    found = ask("database", database=address)
    assert found["status"] == ("running" if up else "not running")


def test_a_unit_says_all_that_a_container_says(units):
    found = ask("redis", redis={"host": "127.0.0.1", "port": 1}, params={"tells": ["log"]})
    assert found == {
        "name": "pms-part",
        "status": "running",
        "health": "none",
        "restarts": 0,
        "restarting": False,
        "looping": False,
        "oom_killed": False,
        "restart_policy": "always",
        "log": {"driver": "journald", "options": {"max-size": "4g"}},
        "ports": [],
    }


@pytest.mark.parametrize(
    ("changed", "field", "value"),
    [
        ({"ActiveState": "failed", "Result": "oom-kill"}, "oom_killed", True),
        ({"ActiveState": "failed"}, "status", "failed"),
        ({"ActiveState": "activating", "SubState": "auto-restart"}, "looping", True),
        ({"UnitFileState": "disabled"}, "restart_policy", "no"),
        ({"StandardOutput": "file:/var/log/pms.log"}, "log", {"driver": "file:/var/log/pms.log"}),
    ],
)
def test_what_is_wrong_with_a_unit_is_seen(units, changed, field, value):
    units["pms-part"] = UNIT | changed
    found = ask("redis", redis={"host": "127.0.0.1", "port": 1})[field]
    assert found == (value | {"options": {}} if isinstance(value, dict) else value)


def test_a_unit_that_crashes_and_comes_back_is_a_loop(units, monkeypatch):
    monkeypatch.setattr(host_services, "seconds_active", lambda _: 3.0)
    units["pms-part"] = UNIT | {"NRestarts": "7"}
    assert ask("redis", redis={"host": "127.0.0.1", "port": 1})["looping"] is True


def test_without_a_unit_the_port_tells_whether_it_runs(port, units):
    del units["pms-part"]
    url = f"http://127.0.0.1:{port}"
    assert ask("api", api={"url": url}, manager="none")["status"] == "running"
    assert ask("api", api={"url": "http://127.0.0.1:1"}, manager="none")["status"] == "not running"


@pytest.mark.parametrize(
    ("manager", "says"),
    [
        ("systemd", "there is no systemd unit pms-part: set golive_services.api"),
        ("none", "nothing manages api"),
    ],
)
def test_what_nothing_tells_is_unknown_and_says_what_to_set(port, units, manager, says):
    units.clear()
    with pytest.raises(Unanswerable, match=says):
        ask(
            "api",
            api={"url": f"http://127.0.0.1:{port}"},
            manager=manager,
            params={"tells": ["restart_policy"]},
        )


def test_a_port_on_all_addresses_is_seen(units):
    with socket.create_server(("0.0.0.0", 0)) as server:
        number = server.getsockname()[1]
        found = ask("api", api={"url": f"http://127.0.0.1:{number}"})
    assert found["ports"] == [{"ip": "0.0.0.0", "port": number}]


def test_a_redis_on_a_socket_listens_on_no_port(units):
    found = ask("redis", redis={"socket": "/run/redis.sock"})
    assert found["ports"] == [{"ip": "unix", "port": 0}]


def test_the_variables_are_those_of_the_process_and_the_time_zone_that_of_the_host(
    units, monkeypatch
):
    monkeypatch.setattr(host_services, "timezone", lambda: "America/Sao_Paulo")
    environment = {"JWT_SECRET_KEY": "s" * 40, "PATH": os.environ["PATH"]}
    argv = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(argv, stdin=-1, stdout=-1, env=environment) as child:
        # The kernel shows the variables a moment after the program was begun.
        child.stdout.readline()
        units["pms-part"] = UNIT | {"MainPID": str(child.pid)}
        found = ask("api", params={"env": ["TZ", "JWT_SECRET_KEY", "PMS_RISK_PASSWORD"]})
        child.communicate(b"\n")
    assert found["env"] == {"TZ": "America/Sao_Paulo", "JWT_SECRET_KEY": "s" * 40}


def test_an_environment_that_this_user_may_not_read_is_unknown(units, monkeypatch):
    monkeypatch.setattr(host_services, "environment", lambda _: None)
    with pytest.raises(Unanswerable, match="ansible_become"):
        ask("api", params={"env": ["TZ"]})


def test_the_daemon_has_no_port_and_is_found_by_its_command(units):
    units.clear()
    name = "pms-part"
    url = "http://127.0.0.1:1"
    with subprocess.Popen([sys.executable, "-c", "input()", name], stdin=-1) as child:
        assert ask("daemon", manager="none", dagster_url=url)["status"] == "running"
        child.communicate(b"\n")
    assert ask("daemon", manager="none", dagster_url=url)["status"] == "not running"


def test_a_service_on_another_host_is_not_asked_here(units):
    units.clear()
    with pytest.raises(Unanswerable, match="runs on another host"):
        ask("api", api={"url": "http://192.0.2.7:8000"}, manager="none")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0100007F", "127.0.0.1"),
        ("00000000", "0.0.0.0"),
        ("00000000000000000000000001000000", "::1"),
        ("0000000000000000FFFF00000100007F", "127.0.0.1"),
    ],
)
def test_addresses_are_read_as_the_kernel_writes_them(text, address):
    assert host_services._ip(text) == address


def test_without_systemd_there_is_no_unit(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert host_services.unit("postgresql") is None


def test_a_unit_that_systemd_does_not_know_is_none(monkeypatch, tmp_path):
    says = tmp_path / "systemctl"
    says.write_text("#!/bin/sh\necho LoadState=$STATE\necho ActiveState=active\n")
    says.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("STATE", "not-found")
    assert host_services.unit("postgresql") is None
    monkeypatch.setenv("STATE", "loaded")
    assert host_services.unit("postgresql")["ActiveState"] == "active"


def test_in_containers_the_service_of_the_project_comes_first_and_then_the_name(monkeypatch):
    asked: list[str] = []

    def containers(**more: Any) -> list[dict[str, Any]]:
        return [{"Id": "of-the-project"}] if "service=db" in str(more) else []

    def inspect(name: str) -> None:
        asked.append(name)
        raise Unanswerable("enough")

    client = SimpleNamespace(api=SimpleNamespace(containers=containers, inspect_container=inspect))
    monkeypatch.setattr(Context, "docker", lambda *_: client)
    for service in ("db", "gone", ""):
        found = Settings(
            now=NOW,
            compose_project="fund",
            database={"access": "container", "container": "by-name"},
            services={"manager": "compose", "parts": {"database": service}},
        )
        with pytest.raises(Unanswerable, match="enough"):
            container.ask({"part": "database"}, Context(found), Deadline.after(5))
    assert asked == ["of-the-project", "by-name", "by-name"]


@pytest.mark.parametrize("part", ["api", "dagster", "daemon", "grafana"])
def test_a_part_that_the_system_does_not_have_is_absent_and_no_failure(units, part):
    units.clear()
    with pytest.raises(NotGiven, match=r"pms_\w+_url is not set"):
        ask(part, manager="systemd")
