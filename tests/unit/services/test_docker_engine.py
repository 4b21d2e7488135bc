# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the Docker Engine refuses reaches the operator by name, wherever it was asked."""

from __future__ import annotations

import docker.errors
import pytest
import requests.exceptions
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.services import docker_engine


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
