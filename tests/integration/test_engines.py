# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is asked of a Docker Engine, by engines newer than this machine's."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.services import docker_engine

from tests.support import other_engine
from tests.support.other_engine import OtherEngine

pytestmark = pytest.mark.nightly
IMAGE = "pms-lab/redis:8"
STATE = ["sh", "-c", "cut -d' ' -f3 /proc/1/stat"]
CHECK = {"test": ["CMD", "true"], "interval": 1_000_000_000}


@pytest.fixture(scope="module", params=sorted(other_engine.RELEASES))
def engine(request, images, tmp_path_factory) -> Iterator[OtherEngine]:
    folder = tmp_path_factory.mktemp(f"engine-{request.param}")
    with other_engine.running(request.param, folder, IMAGE) as made:
        assert made.client.version()["Version"].startswith(f"{request.param}.")
        yield made


@pytest.fixture
def run(engine) -> Iterator[Callable[..., Any]]:
    made = []

    def start(command: list[str], **options: Any) -> Any:
        container = engine.client.containers.create(
            IMAGE, command, name=f"c{uuid.uuid4().hex[:8]}", network_mode="none", **options
        )
        made.append(container)
        return container

    yield start
    for each in made:
        each.remove(force=True, v=True)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_process_that_was_resumed_is_restarted_when_it_crashes(engine, run):
    container = run(["redis-server"], restart_policy={"Name": "unless-stopped"})
    container.start()
    engine.signal(container, "STOP")
    until(lambda: container.exec_run(STATE).output == b"T\n")
    assert docker_engine.resume(container)
    until(lambda: container.exec_run(STATE).output != b"T\n")
    engine.signal(container, "KILL")

    def restarted() -> bool:
        container.reload()
        return container.attrs["RestartCount"] == 1 and container.status == "running"

    until(restarted)


def test_a_container_that_never_started_did_not_end_well(run):
    with pytest.raises(OpsError) as caught:
        docker_engine.run_to_end(run(["/no/such/program"]), 30)
    assert caught.value.code == "clients.engine"
    assert docker_engine.run_to_end(run(["sh", "-c", "exit 3"]), 30) == 3


def test_a_health_that_no_check_has_found_is_none(run):
    container = run(["redis-server"], healthcheck=CHECK)
    container.start()

    def health() -> str:
        container.reload()
        return docker_engine.health(container.attrs["State"])

    until(lambda: health() == "healthy")
    container.pause()
    time.sleep(3)  # whatever the engine calls it meanwhile
    assert health() in ("starting", "healthy")
    container.unpause()
    until(lambda: health() == "healthy")
