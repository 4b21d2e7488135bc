# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two systems in one inventory: what becomes of one says nothing about the other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import PROJECT
from tests.support.skeletons import BROKEN, HEALTHY, Skeleton

PLAYBOOKS = sorted((PROJECT / "playbooks").glob("*.yml"))


WORK = {
    "fails": {"ansible.builtin.assert": {"that": f"inventory_hostname is not match('{BROKEN}')"}},
    "cannot be reached": {"ansible.builtin.raw": "true", "changed_when": False},
}


def skeleton(path: Path, way: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the plays of a playbook that come to a rescue, and the names of these."""
    unfolded = Skeleton(PROJECT, WORK[way])
    return unfolded.of(path), unfolded.rescues


WITH_A_RESCUE = [path for path in PLAYBOOKS if skeleton(path, "fails")[1]]


def alike() -> dict[str, Path]:
    """Return a playbook of each skeleton, by the names of all that have it."""
    several: dict[str, list[Path]] = {}
    for path in WITH_A_RESCUE:
        plays, _ = skeleton(path, "fails")
        several.setdefault(repr([play | {"name": ""} for play in plays]), []).append(path)
    return {" ".join(path.stem for path in paths): paths[0] for paths in several.values()}


def test_each_rescue_of_a_role_is_in_a_playbook_that_is_tried():
    tried = {name for path in WITH_A_RESCUE for name in skeleton(path, "fails")[1]}
    files = {name.partition(":")[0] for name in tried}
    written = {
        str(path.relative_to(PROJECT))
        for path in (PROJECT / "roles").rglob("tasks/**/*.yml")
        if "rescue:" in path.read_text()
    }
    assert files == written
    assert len(WITH_A_RESCUE) > 10


def run(
    path: Path, plays: list[dict[str, Any]], way: str, pairs: int = 0
) -> tuple[dict[str, dict[str, int]], str]:
    """Run plays under a configuration that ends all hosts with the first: two, or pairs of them."""
    path.mkdir()
    (path / "play.yml").write_text(yaml.safe_dump(plays, sort_keys=False))
    known = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    gone = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}
    hosts = {}
    for number in range(pairs) if pairs else ("",):
        hosts[f"{BROKEN}{number}"] = gone if way == "cannot be reached" else {}
        hosts[f"{HEALTHY}{number}"] = {}
    (path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": known}}))
    environment = {
        "ANSIBLE_ANY_ERRORS_FATAL": "true",
        "ANSIBLE_NOCOLOR": "1",
        "HOME": str(path),
    }
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "hosts.yml", "play.yml"],
        cwd=path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    recap = {}
    for line in done.stdout.partition("PLAY RECAP")[2].split("\n\n")[0].splitlines()[1:]:
        host, _, counts = line.partition(":")
        pairs = (each.split("=") for each in counts.split())
        recap[host.strip()] = {name: int(count) for name, count in pairs}
    return recap, done.stdout + done.stderr


@pytest.mark.parametrize("way", WORK)
def test_no_rescue_of_a_system_runs_because_its_neighbour_failed(way, tmp_path):
    """What a rescue records is a failure of its own system: the other one goes on to the end.

    All playbooks are in one run, since each start of Ansible takes two seconds of a processor; each
    has two hosts of its own.
    """
    plays: list[dict[str, Any]] = []
    of_pair: list[list[str]] = []
    for names, path in alike().items():
        pair = f"{BROKEN}{len(of_pair)},{HEALTHY}{len(of_pair)}"
        own, rescues = skeleton(path, way)
        of_pair.append(rescues)
        plays += [play | {"name": f"{play['name']} of {names}", "hosts": pair} for play in own]
    assert len(of_pair) > 5 and all(of_pair)
    recap, said = run(tmp_path / "run", plays, way, pairs=len(of_pair))
    for number, rescues in enumerate(of_pair):
        healthy, broken = recap[f"{HEALTHY}{number}"], recap[f"{BROKEN}{number}"]
        assert (healthy["rescued"], healthy["failed"], healthy["ok"]) == (0, 0, len(rescues)), said
        if way == "fails":  # each rescue of the broken one ran, and no other
            assert (broken["rescued"], broken["failed"]) == (len(rescues), 0), said
        else:
            assert (broken["rescued"], broken["unreachable"]) == (0, 1), said


@pytest.mark.parametrize(
    ("where", "keyword"),
    [
        ("play", {"any_errors_fatal": True}),
        ("block", {"any_errors_fatal": True}),
        ("block", {"run_once": True}),
        ("play", {}),
    ],
    ids=["play", "block", "run once", "as the configuration says"],
)
def test_a_play_whose_rescue_reaches_the_neighbour_is_found(where, keyword, tmp_path):
    block = {
        "block": [{"name": "Do it"} | WORK["fails"]],
        "rescue": [{"name": "Rescue", "ansible.builtin.debug": {"msg": "rescued"}}],
    } | (keyword if where == "block" else {})
    play = {"name": "x", "hosts": "all", "gather_facts": False, "tasks": [block]}
    recap, _ = run(tmp_path / "run", [play | (keyword if where == "play" else {})], "fails")
    # One that is dropped from the run is in no recap, as if it had not been asked for.
    healthy = recap.get(HEALTHY, {"rescued": 0, "failed": 0, "ok": 0})
    assert recap
    assert (healthy["rescued"], healthy["failed"], healthy["ok"]) != (0, 0, 1)


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_no_play_over_the_systems_asks_the_configuration_how_far_a_failure_goes(path):
    """An operator's ansible.cfg may have any_errors_fatal: only a play's own word goes before."""
    plays = [play for play in yaml.safe_load(path.read_text()) if "pms" in str(play.get("hosts"))]
    assert all(play.get("any_errors_fatal") is False for play in plays)


def test_no_task_of_a_role_is_run_once():
    # One that fails in a block with a rescue drops every other host from the run.
    roles = (PROJECT / "roles").rglob("*.yml")
    assert [str(path) for path in roles if "run_once:" in path.read_text()] == []


@pytest.mark.nightly
def test_a_system_is_looked_at_while_its_neighbour_cannot_be_reached(tmp_path):
    known = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "backup_root": str(tmp_path / "{{ inventory_hostname }}" / "backups"),
        "evidence_root": str(tmp_path / "{{ inventory_hostname }}" / "evidence"),
        "pms_compose_project": "x",
        "pms_services_manager": "none",
        "pms_db_access": "host",
        **dict.fromkeys(("pms_db_password", "pms_redis_password", "pms_jwt_secret"), "x"),
    }
    gone = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}
    systems = {"alpha": gone, "beta": {}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"pms": {"hosts": systems, "vars": known}}))
    (tmp_path / "beta" / "backups").mkdir(parents=True)
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            *("-i", tmp_path / "hosts.yml", "playbooks/dr_disk.yml"),
        ],
        cwd=PROJECT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    alpha, beta = done.stdout.split("PLAY RECAP")[1].strip().splitlines()[1:3]
    assert "unreachable=1" in alpha, done.stdout
    assert "failed=0" in beta and "rescued=0" in beta, done.stdout
    assert "Healthy" in done.stdout
    assert done.returncode == 4
