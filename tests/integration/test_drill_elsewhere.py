# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A drill away from the source: from a copy on a site alone, proved, and nothing left behind.

Here the machine of the source is invented, and the drill's server is a container of this machine's
engine: a stand-in for another host with Docker. test_drill_on_a_host has another host.
"""

from __future__ import annotations

import json
import shutil
import tempfile
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
