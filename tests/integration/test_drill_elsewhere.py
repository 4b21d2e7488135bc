# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A drill away from the source: from a copy on a site alone, proved, and nothing left behind.

Here the machine of the source is invented, and the drill's server is a container of this machine's
engine: a stand-in for another host with Docker. test_drill_on_a_host has another host.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pms_drill_elsewhere
import pms_offsite
import pytest
from ansible.module_utils.pmsops.drills import server as drill_server
from ansible.module_utils.testing import patch_module_args

from tests.support import patterns, sites
from tests.support.server import HYPERTABLE, IMAGE

pytestmark = pytest.mark.nightly  # each drill takes seconds

SCHEMA = f"""
SET ROLE macro_user;
CREATE TABLE md (id bigserial, at timestamptz NOT NULL, value float8, PRIMARY KEY (id, at));
{HYPERTABLE}
INSERT INTO md (at, value)
SELECT t, extract(epoch FROM t) FROM generate_series(timestamptz '2026-01-01', '2026-04-30',
                                                     '1 hour') t;
CREATE TABLE journal (id int PRIMARY KEY, note text);
INSERT INTO journal SELECT n, md5(n::text) FROM generate_series(1, 5000) n;
"""
FAR = {"hostname": "far", "machine_id": "1" * 16, "boot_id": "2" * 16, "engine_id": "3" * 8}
QUERY = {"title": "the newest", "needs": "public.md", "sql": "SELECT max(at) FROM public.md"}


@dataclass
class Site:
    """A site with a copy of a set, and pms_drill_elsewhere called as Ansible calls it."""

    folder: Path  # of the source
    site: dict[str, Any]
    restic: Path
    set: str
    home: Path  # of the host of the drill
    capsys: Any = None

    def options(self, **more: Any) -> dict[str, Any]:
        return {
            "system": "fund",
            "root": str(self.home / "drill"),
            "evidence_root": str(self.home / "drill"),
            "keys": str(self.home / "keys"),
            "restic": str(self.restic),
            "repositories": [self.site],
            "source": FAR,
            "image": IMAGE,
            "queries": [QUERY],
        } | more

    def drill(self, *, check: bool = False, **more: Any) -> dict[str, Any]:
        self.capsys.readouterr()
        arguments = self.options(**more) | {"_ansible_check_mode": check}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            pms_drill_elsewhere.main()
        return json.loads(self.capsys.readouterr().out)

    def left(self) -> list[str]:
        """Return what is there that no drill may leave: containers, volumes and files."""
        found = docker.from_env().containers.list(all=True, filters={"label": drill_server.LABEL})
        files = self.home.rglob("*")
        return [each.name for each in found] + [
            str(path) for path in files if "keys" not in path.relative_to(self.home).parts
        ]


@pytest.fixture(scope="module")
def made(server, tmp_path_factory):
    """A set of a real database, copied to a site."""
    folder = tmp_path_factory.mktemp("source")
    restic = sites.restic(tmp_path_factory.mktemp("restic"))
    with (
        patterns.database_and_set(server, folder, SCHEMA) as pattern,
        sites.local(folder) as address,
    ):
        site = address.option("vault", folder)
        options = {
            "system": "fund",
            "root": str(folder / "backups"),
            "evidence_root": str(folder / "evidence"),
            "keys": str(folder / "keys"),
            "restic": str(restic),
            "repositories": [site],
        }
        for state in ("present", "uploaded"):
            with patch_module_args(options | {"state": state}), pytest.raises(SystemExit) as end:
                pms_offsite.main()
            assert end.value.code == 0
        yield Site(folder, site, restic, pattern.made, folder)


@pytest.fixture
def far(made, capsys):
    """The host of the drill: the trusted keys, and a folder near the root for the socket."""
    with tempfile.TemporaryDirectory(prefix="pms-drill-") as folder:
        home = Path(folder)
        shutil.copytree(made.folder / "keys" / "trusted", home / "keys" / "trusted")
        yield Site(made.folder, dict(made.site), made.restic, made.set, home, capsys)


def test_a_copy_is_restored_proved_and_dropped_on_a_server_of_its_own(far):
    planned = far.drill(check=True)
    assert planned["drill"]["set"] == far.set and "proved" not in planned["drill"]
    found = far.drill()
    assert not found.get("failed"), found.get("msg")
    drill = found["drill"]
    assert (drill["proved"], drill["set"], drill["differences"]) == (True, far.set, 0)
    assert drill["segregated"] is True and drill["shared"] == []
    assert drill["source"]["kind"] == "offsite" and drill["source"]["site"] == "vault"
    assert drill["source"]["snapshot"]
    assert [each["title"] for each in drill["queries"]] == ["the newest"]
    assert drill["remains"] == [] and far.left() == []
    assert min(drill[f"{each}_seconds"] for each in ("fetch", "restore", "proof")) > 0
    assert drill["rto_seconds"] == pytest.approx(
        drill["restore_seconds"] + drill["proof_seconds"], abs=0.01
    )
    assert drill["rto_with_fetch_seconds"] == pytest.approx(
        drill["rto_seconds"] + drill["fetch_seconds"], abs=0.01
    )


def test_a_damaged_copy_is_a_failed_drill_that_leaves_nothing(far, tmp_path):
    """Bytes of the set are altered in the repository, on the site's disk."""
    damaged = tmp_path / "repository"
    shutil.copytree(far.site["url"], damaged)
    for pack in (each for each in (damaged / "data").rglob("*") if each.is_file()):
        content = pack.read_bytes()
        if len(content) > 20_000:  # of data; those of the metadata are small
            pack.chmod(0o600)
            pack.write_bytes(content[:500] + bytes(64) + content[564:])
    found = far.drill(repositories=[far.site | {"url": str(damaged)}])
    assert (found["code"], found["failed_drill"]) == ("offsite.damaged", True), found["msg"]
    assert found["drill"]["proved"] is False and found["drill"]["set"] == far.set
    assert far.left() == []


def test_a_set_that_was_altered_before_its_copy_is_a_failed_drill(far, tmp_path):
    """The site gives back what it was given; the signed manifest says what it should be."""
    altered = tmp_path / "backups" / far.set
    shutil.copytree(far.folder / "backups" / far.set, altered)
    export = next(each for each in altered.rglob("*") if each.is_file() and each.suffix == ".zst")
    export.chmod(0o600)
    export.write_bytes(export.read_bytes()[:-1] + b"x")
    site = sites.Address(str(tmp_path / "site")).option("altered", tmp_path)
    options = far.options(
        root=str(tmp_path / "backups"),
        evidence_root=str(tmp_path / "evidence"),
        keys=str(far.folder / "keys"),
        repositories=[site],
    )
    del options["source"], options["image"], options["queries"]
    for state in ("present", "uploaded"):
        with patch_module_args(options | {"state": state}), pytest.raises(SystemExit) as end:
            pms_offsite.main()
        assert end.value.code == 0
    found = far.drill(repositories=[site])
    assert (found["code"], found["failed_drill"]) == ("set.damaged", True), found["msg"]
    assert far.left() == []


def test_an_image_without_a_server_or_of_another_version_is_told(far):
    found = far.drill(image="pms-test/sites:13")
    assert (found["code"], found["failed_drill"]) == ("drill.server", False)
    assert far.drill(image="pms-test/nowhere:1")["code"] == "drill.no-image"
    assert far.left() == []


def _wait_for(found, pid):
    deadline = time.monotonic() + 120
    while not found():
        assert os.waitpid(pid, os.WNOHANG) == (0, 0), "it ended before"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _in_background(options: dict[str, Any]) -> int:
    """Begin a drill in a process of its own; return its number."""
    if (pid := os.fork()) == 0:
        with Path(os.devnull).open("w") as nothing:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
        with patch_module_args(options):
            try:
                pms_drill_elsewhere.main()
            finally:
                os._exit(0)
    return pid


def test_a_host_drills_one_set_at_a_time_whichever_system_it_is_of(far):
    pid = _in_background(far.options(system="fund"))
    _wait_for((far.home / "drill" / "work").exists, pid)
    with tempfile.TemporaryDirectory(prefix="pms-drill-") as other:
        # Another system has folders of its own there.
        named = {"root": f"{other}/drill", "evidence_root": f"{other}/drill"}
        refused = far.drill(**named)
        assert (refused["code"], refused["failed_drill"]) == ("drill.busy", False)
        assert f"fund, process {pid} since" in refused["msg"]
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)
        found = far.drill(wait_minutes=10, **named)
        assert found["drill"]["proved"], found.get("msg")
        assert os.waitpid(pid, os.WNOHANG)[0] == pid  # the first one had ended
    assert far.left() == []


@pytest.mark.parametrize("moment", ["server", "fetched", "restoring"])
def test_a_drill_that_is_killed_is_cleaned_up_by_the_next(far, moment):
    work = far.home / "drill" / "work"
    reached = {
        "server": lambda: any(far.left()) and (work / "s").exists(),
        "fetched": lambda: (work / "fetched").exists(),
        "restoring": lambda: '"data"' in _told(work),
    }[moment]
    pid = _in_background(far.options())
    _wait_for(reached, pid)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert far.left() != []
    again = far.drill()
    assert not again.get("failed"), again.get("msg")
    assert again["drill"]["proved"] and far.left() == []


def _told(work: Path) -> str:
    """Return what the restore says of its progress."""
    path = work / ".pms-ops" / "restore.progress"
    return path.read_text() if path.exists() else ""
