"""The ports and secrets of the lab: made once, kept, and refused to share."""

from __future__ import annotations

import os
import socket
import stat

import ansible.module_utils
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError

from tests.conftest import PROJECT

LAB = PROJECT / "roles" / "lab"
if str(LAB / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(LAB / "module_utils"))

from ansible.module_utils import lab_state  # noqa: E402

EMPTY = {"ports": {}, "secrets": {}}


def nothing_runs(_argv: list[str]) -> str:
    return ""


def test_the_first_start_gives_each_service_a_port_and_each_name_a_secret():
    state = lab_state.complete(EMPTY, ["redis", "api"], ["jwt", "redis"], {}, lambda _port: True)
    assert len(set(state["ports"].values())) == 2
    assert all(port in lab_state.PORT_RANGE for port in state["ports"].values())
    assert len(set(state["secrets"].values())) == 2
    assert min(map(len, state["secrets"].values())) >= 32


def test_a_later_start_keeps_what_is_recorded_and_adds_what_is_new():
    first = lab_state.complete(EMPTY, ["api"], ["jwt"], {}, lambda _port: True)
    later = lab_state.complete(first, ["api", "redis"], ["jwt", "redis"], {}, lambda _port: True)
    assert later["ports"]["api"] == first["ports"]["api"]
    assert later["secrets"]["jwt"] == first["secrets"]["jwt"]
    assert set(later["ports"]) == {"api", "redis"}


def test_a_wanted_port_wins_over_the_recorded_one():
    recorded = {"ports": {"api": 21000}, "secrets": {}}
    wanted = lab_state.complete(recorded, ["api"], [], {"api": 8080}, lambda _port: True)
    assert wanted["ports"] == {"api": 8080}


def test_where_no_port_is_free_the_error_says_how_to_name_one():
    with pytest.raises(OpsError, match="No free port") as caught:
        lab_state.free_port(lambda _port: False, [])
    assert "lab_ports" in caught.value.remedy


def test_a_port_of_another_container_is_refused_by_that_container_s_name():
    def listing(_argv: list[str]) -> str:
        return "other_db\tother\t127.0.0.1:21000->5432/tcp, :::21001->80/tcp\n"

    with pytest.raises(OpsError, match=r"21000 \(timescaledb\) by the container other_db"):
        lab_state.check_ports({"timescaledb": 21000}, "pms-lab", listing, lambda _port: False)


def test_a_port_of_our_own_container_is_no_obstacle():
    def listing(_argv: list[str]) -> str:
        return "macro_api\tpms-lab\t127.0.0.1:21000->8000/tcp\n"

    lab_state.check_ports({"api": 21000}, "pms-lab", listing, lambda _port: False)


def test_a_port_of_a_process_is_refused_by_that_process_s_name_and_id():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(OpsError, match=rf"{port} \(api\) by .*\(process {os.getpid()}\)"):
            lab_state.check_ports({"api": port}, "pms-lab", nothing_runs, lab_state.is_free)


def test_the_file_can_be_read_by_its_owner_alone_and_comes_back_as_it_was(tmp_path):
    path = tmp_path / "lab" / "state.yml"
    state = {"ports": {"api": 21000}, "secrets": {"jwt": "x" * 32}}
    lab_state.store(path, state)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert lab_state.load(path) == state
    assert [child.name for child in path.parent.iterdir()] == ["state.yml"]


def test_a_damaged_file_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "state.yml"
    path.write_text("ports: 7\n")
    with pytest.raises(OpsError) as caught:
        lab_state.load(path)
    assert caught.value.code == "lab.state-damaged"
    assert path.read_text() == "ports: 7\n"


def test_the_hash_of_a_folder_follows_names_and_contents_and_ignores_caches(tmp_path):
    (tmp_path / "main.py").write_text("a")
    before = lab_state.fingerprint(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "main.pyc").write_text("b")
    assert lab_state.fingerprint(tmp_path) == before
    (tmp_path / "main.py").rename(tmp_path / "app.py")
    assert lab_state.fingerprint(tmp_path) != before


def test_the_lab_of_another_folder_is_not_taken_over(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(OpsError, match=str(other)) as caught:
        lab_state.check_owner(tmp_path / "mine", "pms-lab", lambda _argv: f"{other}\n")
    assert "lab_instance" in caught.value.remedy


def test_what_a_folder_left_that_is_gone_is_no_obstacle(tmp_path):
    gone = f"{tmp_path / 'gone'}\n{tmp_path}\n\n"
    lab_state.check_owner(tmp_path, "pms-lab", lambda _argv: gone)
