# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Client tools that share one sidecar: each ends for itself, and nothing of them stays."""

from __future__ import annotations

import gc
import os
import time
import warnings

import pytest
from ansible.module_utils.pmsops.client_tools import factory as client_tools
from ansible.module_utils.pmsops.client_tools import sidecar
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.services import docker_engine


@pytest.fixture
def tools(database):
    made = client_tools.for_database(database)
    assert isinstance(made, sidecar.SidecarTools)
    return made


def left(database):
    """Return the sidecars of this process beside this server."""
    engine = docker_engine.engine()
    server = engine.containers.get(database.container).id
    return [
        each
        for each in engine.containers.list(
            all=True, filters={"label": sidecar.SIDECAR_LABEL}, ignore_removed=True
        )
        if each.attrs["HostConfig"]["NetworkMode"] == f"container:{server}"
        and each.labels[sidecar.SIDECAR_LABEL].split()[1] == str(os.getpid())
    ]


def test_each_tool_has_its_own_end_and_one_container_serves_all(database, tools, tmp_path):
    (tmp_path / "file").write_text("here")
    with tools.together({tmp_path: "ro"}) as shared:
        (one,) = left(database)
        status, said = shared.run("pg_restore", ["--version"])
        assert (status, said.startswith("pg_restore (PostgreSQL)")) == (0, True)
        status, said = shared.run("sh", ["-c", "echo out; sleep 0.7; echo err >&2; exit 7"])
        assert (status, said) == (7, "out\nerr\n")
        assert shared.capture("cat", [str(tmp_path / "file")]) == (0, b"here", "")
        status, _ = shared.run("sh", ["-c", f"echo > {tmp_path}/other"])
        assert status != 0  # the folder is for reading
        status, said = shared.run("psql", ["-Atc", "SELECT current_database()"])
        assert (status, said) == (0, f"{database.name}\n")
        assert [each.id for each in left(database)] == [one.id]
    tools.settle()
    assert left(database) == []


def test_a_tool_that_is_stopped_ends_with_the_container(database, tools, tmp_path):
    with tools.together({tmp_path: "ro"}) as shared:
        client = shared.start("psql", ["-c", "SELECT pg_sleep(60)"])
        assert client.ended(0.3) is None
        client.stop()
        assert left(database) == []
        with pytest.raises(OpsError) as caught:
            client.wait()
    assert caught.value.code == "clients.engine"
    tools.settle()


def test_a_container_taken_away_is_named(database, tools, tmp_path):
    with tools.together({tmp_path: "ro"}) as shared:
        client = shared.start("sleep", ["60"])
        left(database)[0].remove(force=True)
        with pytest.raises(OpsError, match="container of sleep was removed while it ran") as caught:
            client.wait()
        assert caught.value.code == "clients.engine"
        client.stop()
        with pytest.raises(OpsError, match="container of pg_restore was removed") as caught:
            shared.run("pg_restore", ["--version"])
    tools.settle()


def test_a_container_that_was_killed_is_no_success(database, tools, tmp_path):
    with tools.together({tmp_path: "ro"}) as shared:
        client = shared.start("sh", ["-c", "echo so far; sleep 60"])
        time.sleep(0.5)
        left(database)[0].kill()
        assert client.wait() != 0
        assert client.errors() == "so far\n"
        with pytest.raises(OpsError, match="would not start pg_restore") as caught:
            shared.run("pg_restore", ["--version"])
        assert caught.value.code == "clients.engine"
    tools.settle()
    assert left(database) == []


def test_a_tool_that_the_image_lacks_is_named(database, tools, tmp_path):
    with (
        tools.together({tmp_path: "ro"}) as shared,
        pytest.raises(OpsError, match=f"image of container {database.container} has no pg_none"),
    ):
        shared.run("pg_none", [])
    tools.settle()


def test_no_connection_to_the_engine_is_left_open(tools, tmp_path):
    gc.collect()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", ResourceWarning)
        with tools.together({tmp_path: "ro"}) as shared:
            assert shared.run("true", []) == (0, "")
            assert shared.capture("echo", ["out"]) == (0, b"out\n", "")
            shared.start("sleep", ["60"]).stop()
        assert tools.capture("echo", ["out"]) == (0, b"out\n", "")
        tools.settle()
        del shared
        gc.collect()
    assert [str(each.message) for each in found] == []
