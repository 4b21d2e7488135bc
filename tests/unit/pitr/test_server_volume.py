# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The script that puts a directory in the place of the server's, on folders of the test."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import server_volume
from ansible.module_utils.pmsops.pitr.server_volume import ServerVolume

# They are scripts of a shell.
ENTER = server_volume._BEGIN + server_volume._ENTER


def filled(folder: Path, said: str) -> Path:
    for name in ("PG_VERSION", "global/pg_control", "base/1/1249", ".hidden"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{said} {name}")
    return folder


def put(script: str, *arguments: str | Path) -> int:
    words = ["sh", "-c", script, "sh", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, timeout=30).returncode


@pytest.fixture
def recovered(tmp_path: Path) -> Path:
    return filled(tmp_path / "restores" / "1", "new")


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A volume that has the data directory in a folder, and something beside it."""
    filled(tmp_path / "live" / "pgdata", "old")
    (tmp_path / "live" / "pgdata" / "only_old").touch()
    (tmp_path / "live" / "beside").touch()
    return tmp_path / "live"


@pytest.mark.parametrize("how", [server_volume.MOVE, server_volume.COPY_AND_COMPARE])
def test_a_directory_is_put_in_the_place_of_another(recovered, live, how):
    inode = (recovered / "base/1/1249").stat().st_ino
    recovered.chmod(0o700)
    assert put(ENTER, recovered, live, "pgdata", server_volume.CONTROL, how) == 0
    data = live / "pgdata"
    assert sorted(str(p.relative_to(data)) for p in data.rglob("*") if p.is_file()) == [
        ".hidden", "PG_VERSION", "base/1/1249", "global/pg_control",
    ]  # fmt: skip
    assert all(p.read_text().startswith("new") for p in data.rglob("*") if p.is_file())
    assert sorted(each.name for each in live.iterdir()) == ["beside", "pgdata"]
    # The files that were proved are the files that are served.
    assert ((data / "base/1/1249").stat().st_ino == inode) == (how == server_volume.MOVE)
    assert data.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("how", [server_volume.MOVE, server_volume.COPY])
@pytest.mark.parametrize("killed_before", ["stage=$from", "for file in", 'chown "$', 'mv "$to/'])
def test_no_server_starts_on_half_of_a_directory(recovered, live, how, killed_before):
    assert killed_before in ENTER
    script = ENTER.replace(killed_before, f"exit 99; {killed_before}", 1)
    assert put(script, recovered, live, "pgdata", server_volume.CONTROL, how) == 99
    assert not (live / "pgdata" / server_volume.CONTROL).exists()
    assert (live / server_volume.MARK).exists()  # what is half there is not what was lost
    again = filled(recovered.parent / "2", "new")
    assert put(ENTER, again, live, "pgdata", server_volume.CONTROL, how) == 0
    assert not (live / server_volume.MARK).exists()
    assert (live / "pgdata" / server_volume.CONTROL).read_text().startswith("new")
    assert not (live / "pgdata" / ".pms-ops-incoming").exists()


def test_a_byte_that_was_copied_wrong_keeps_the_server_from_starting(recovered, live):
    script = ENTER.replace('settle "$live"\n    [', 'printf x >"$stage/PG_VERSION"\n    [', 1)
    how = server_volume.COPY_AND_COMPARE
    status = put(script, recovered, live, "pgdata", server_volume.CONTROL, how)
    assert status == server_volume.DIFFERS
    assert not (live / "pgdata" / server_volume.CONTROL).exists()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("this host has one file system")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def test_a_move_to_another_file_system_is_refused_before_anything_is_changed(elsewhere, live):
    source = filled(elsewhere / "1", "new")
    before = sorted(map(str, live.rglob("*")))
    status = put(ENTER, source, live, "pgdata", server_volume.CONTROL, server_volume.MOVE)
    assert status == server_volume.APART
    assert sorted(map(str, live.rglob("*"))) == before
    assert not (source / ".pms-ops-probe").exists()


def test_what_was_kept_comes_back_whole_and_stays_where_it_is(tmp_path, live):
    kept = filled(tmp_path / "kept" / "pgdata", "kept").parent
    script = server_volume._BEGIN + server_volume._WAS_KEPT + server_volume._ENTER
    control = f"pgdata/{server_volume.CONTROL}"
    arguments = (kept, live, "", control, server_volume.COPY)
    assert put(script, *arguments) == server_volume.NOT_WHOLE
    assert (live / "beside").exists()
    (kept / server_volume.WHOLE).touch()
    assert put(script, *arguments) == 0
    assert (live / control).read_text().startswith("kept")
    assert (kept / control).exists()
    assert sorted(each.name for each in live.iterdir()) == ["pgdata"]


class Helper:
    """Notes what it is given; the first run finds the folders apart."""

    restores = "pms_restores"

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.volumes: list[dict[str, Any]] = []
        self.arguments: list[list[str]] = []

    def carried_out(self, _script: str, arguments: list[str], volumes: dict[str, Any]) -> Any:
        self.volumes.append(volumes)
        self.arguments.append(arguments)
        return SimpleNamespace(status=self.statuses.pop(0), text="")


def volumes_at(monkeypatch: pytest.MonkeyPatch, **attrs: dict[str, Any]) -> None:
    found = SimpleNamespace(get=lambda name: SimpleNamespace(attrs=attrs[name]))
    monkeypatch.setattr(
        server_volume.docker_engine, "engine", lambda: SimpleNamespace(volumes=found)
    )


def local(name: str, **more: object) -> dict[str, object]:
    return {"Driver": "local", "Mountpoint": f"/var/lib/docker/volumes/{name}/_data", **more}


def test_a_directory_is_moved_under_one_mount_of_both_volumes(monkeypatch):
    volumes_at(monkeypatch, pms_restores=local("pms_restores"), book=local("book"))
    helper = Helper(0)
    ServerVolume("book", "pgdata").put(helper, f"{server_volume.RESTORES}/1")
    assert list(helper.volumes[0]) == ["/var/lib/docker/volumes"]
    assert helper.arguments == [
        [
            *("/together/pms_restores/_data/1", "/together/book/_data", "pgdata"),
            *(server_volume.CONTROL, "move"),
        ]
    ]


@pytest.mark.parametrize(
    ("attrs", "statuses"),
    [
        (local("book"), [server_volume.APART, 0]),
        (local("book", Options={"type": "nfs"}), [0]),
        ({"Driver": "other", "Mountpoint": "/mnt/x"}, [0]),
    ],
)
def test_where_nothing_can_be_moved_it_is_copied_and_compared(monkeypatch, attrs, statuses):
    volumes_at(monkeypatch, pms_restores=local("pms_restores"), book=attrs)
    helper = Helper(*statuses)
    ServerVolume("book", "").put(helper, f"{server_volume.RESTORES}/1")
    assert helper.statuses == []
    assert set(helper.volumes[-1]) == {"pms_restores", "book"}
    assert helper.arguments[-1][-1] == server_volume.COPY_AND_COMPARE


def test_the_root_of_the_host_is_given_to_no_helper(monkeypatch):
    volumes_at(monkeypatch, pms_restores=local("pms_restores"))
    helper = Helper(0)
    ServerVolume("/srv/pg", "").put(helper, f"{server_volume.RESTORES}/1")
    assert "/" not in helper.volumes[0] and "/srv/pg" in helper.volumes[0]


def test_a_volume_that_cannot_be_looked_into_is_not_taken_for_an_empty_one():
    helper = SimpleNamespace(carried_out=lambda *_: SimpleNamespace(status=1, text="denied"))
    with pytest.raises(OpsError) as caught:
        ServerVolume("book", "").holds(helper)
    assert caught.value.code == "pitr.container"
