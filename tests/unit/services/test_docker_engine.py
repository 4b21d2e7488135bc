# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the Docker Engine refuses reaches the operator by name, wherever it was asked."""

from __future__ import annotations

import ast
from types import SimpleNamespace
from typing import Any

import docker.errors
import pytest
import requests.exceptions
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.recovery import new_host_archive
from ansible.module_utils.pmsops.services import docker_engine

from tests.conftest import PROJECT


def caught(error: Exception) -> OpsError:
    with pytest.raises(OpsError) as found, docker_engine.refusals():
        raise error
    return found.value


def test_a_container_that_does_not_start_on_a_full_disk_is_no_traceback():
    error = caught(
        docker.errors.APIError("500", explanation="write /run/x: no space left on device")
    )
    assert error.code == "clients.engine"
    assert "no space left on device" in str(error)
    assert "docker system df" in error.remedy


@pytest.mark.parametrize("error", [docker.errors.NotFound("gone"), docker.errors.DockerException()])
def test_every_other_refusal_is_named_too(error):
    assert caught(error).code == "clients.engine"


def test_an_engine_that_stops_answering_is_named():
    error = caught(requests.exceptions.ReadTimeout("after 120 s"))
    assert error.code == "clients.engine" and "stopped answering" in str(error)


@pytest.mark.parametrize("error", [ValueError("ours"), OpsError("ours", "x", code="set.none")])
def test_what_is_no_refusal_stays_what_it_is(error):
    with pytest.raises(type(error), match="ours"), docker_engine.refusals():
        raise error


# --- what the engine says of a container ----------------------------------------------------------

CHECKED = [{"End": "2026-11-30T03:19:07.726038946Z", "ExitCode": 0}]


@pytest.mark.parametrize(
    ("found", "means"),
    [
        (None, "none"),
        ({"Status": "none"}, "none"),
        ({"Status": "starting", "FailingStreak": 0, "Log": CHECKED}, "starting"),
        ({"Status": "healthy", "FailingStreak": 0, "Log": CHECKED}, "healthy"),
        ({"Status": "healthy", "FailingStreak": 2, "Log": CHECKED}, "healthy"),
        ({"Status": "unhealthy", "FailingStreak": 3, "Log": CHECKED}, "unhealthy"),
        ({"Status": "unhealthy"}, "unhealthy"),
        # As recorded from 20.10 while a container was paused, and for 20 s afterwards.
        ({"Status": "unhealthy", "FailingStreak": 0, "Log": CHECKED}, "starting"),
    ],
)
def test_a_health_that_no_check_has_found_is_none(found, means):
    assert docker_engine.health({"Status": "running", "Health": found}) == means


def test_a_health_has_an_age():
    assert docker_engine.checked_at({"Health": {"Log": CHECKED}}) == CHECKED[0]["End"]
    assert docker_engine.checked_at({"Health": None}) is None


class Made:
    """A container that was made, with the state that it ends in, or what its start fails with."""

    def __init__(self, state: dict[str, Any] | None = None, refused: str = "") -> None:
        self.state, self.refused = state or {}, refused
        self.attrs: dict[str, Any] = {"State": {"Status": "created"}}
        self.removed = False

    def start(self) -> None:
        if self.refused:
            raise docker.errors.APIError(self.refused)

    def wait(self, *, timeout: float) -> dict[str, Any]:
        assert timeout > 0
        return {"Error": None, "StatusCode": 0}

    def reload(self) -> None:
        self.attrs = {"State": self.state}

    def logs(self) -> bytes:
        return b"last words"

    def remove(self, **_: Any) -> None:
        self.removed = True


STARTED = "2026-11-30T03:19:07.7Z"


def test_a_container_that_never_started_did_not_end_well():
    """The engine's answer to wait was 0, at once, for one that had not been started."""
    never = {"Status": "created", "StartedAt": "0001-01-01T00:00:00Z", "ExitCode": 0, "Error": ""}
    with pytest.raises(OpsError, match="did not run to its end") as caught:
        docker_engine.run_to_end(Made(never), 5)
    assert caught.value.code == "clients.engine"
    for status in (0, 3):
        ended = Made({"Status": "exited", "StartedAt": STARTED, "ExitCode": status})
        assert docker_engine.run_to_end(ended, 5) == status


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (Made(refused="no such file"), "no such file"),
        (Made({"Status": "exited", "StartedAt": STARTED, "ExitCode": 1}), "exit status 1: last"),
        (
            Made({"Status": "created", "StartedAt": "0001-", "ExitCode": 0}),
            "did not run to its end",
        ),
        (Made({"Status": "exited", "StartedAt": STARTED, "ExitCode": 0}), ""),
    ],
)
def test_a_container_for_one_command_stays_in_no_case(made, says):
    """docker-py's run(remove=True) leaves one that could not be started, and its volume in use."""
    client = SimpleNamespace(containers=SimpleNamespace(create=lambda *_, **__: made))
    asked = (client, "image", ["chown"], "volume", "/home")
    if says:
        with pytest.raises(OpsError, match=says):
            new_host_archive._carried_out(*asked)
    else:
        new_host_archive._carried_out(*asked)
    assert made.removed


def test_no_code_trusts_what_the_engine_says_of_a_container_that_did_not_run():
    """A container is run to its end by run_to_end; a log is cut before a stream is chosen."""
    found = []
    for path in sorted((PROJECT / "module_utils").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            of = ast.unparse(node.func)
            given = {each.arg for each in node.keywords}
            if of.endswith("containers.run") or (of.endswith("container.wait") and given):
                found.append(f"{path.name}: {of}")
            if node.func.attr == "logs" and "tail" in given and given & {"stdout", "stderr"}:
                found.append(f"{path.name}: {of} of one stream")
            if node.func.attr == "get" and node.args and ast.unparse(node.args[0]) == "'Health'":
                found.append(f"{path.name}: Health")
    # A tool in a sidecar is judged by its state, after each wait.
    assert sorted(found) == [
        "docker_engine.py: Health",
        "docker_engine.py: Health",
        "docker_engine.py: container.wait",
        "sidecar_process.py: self._container.wait",
    ]
