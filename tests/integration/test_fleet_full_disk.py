# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One of two remote hosts has a full disk: its reason is in the table, the other one goes on.

The full one is a container whose folder of sets and evidence is a file system of two megabytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support import client_tools, remote_fleet
from tests.support.remote_fleet import READ_ONLY, ROOT, Remote
from tests.support.server import IMAGE, Server

pytestmark = pytest.mark.nightly
WELL, FULL = "fund00", "fund01"


@pytest.fixture(scope="module")
def fleet(server: Server) -> Iterator[Remote]:
    tools = client_tools.of_image(IMAGE)
    with remote_fleet.running(server, 2, small=frozenset({FULL}), tools=tools) as made:
        yield made


def sets_of(fleet: Remote, name: str) -> list[str]:
    """Return the files of the manifests that lie on a host."""
    found = fleet.hosts[name].run("find", ROOT, "-name", "manifest.json")
    return found.split()


def test_a_set_that_does_not_fit_is_not_begun_and_the_table_says_how_much_it_needs(fleet: Remote):
    done = fleet.run("fleet", "backup", "--json")
    rows = remote_fleet.table_of(done)
    assert done.returncode == 1, done.stdout + done.stderr
    assert rows[WELL]["verdict"].startswith("set 20"), rows
    assert rows[FULL]["verdict"] == "failed"
    said = " ".join(rows[FULL]["due"])
    assert f"{ROOT}/backups has 2." in said and "free; the backup needs about" in said, said
    assert len(sets_of(fleet, WELL)) == 1 and sets_of(fleet, FULL) == []
    # Somebody who reads, and no program, sees the same, worst first.
    shown = fleet.run("fleet", "backup").stdout
    table = shown[shown.rindex("system") :].splitlines()
    assert table[1].startswith(f"{FULL}  failed") and "free; the backup" in table[1], shown


def test_a_disk_without_a_byte_left_is_named_by_each_command(fleet: Remote):
    fleet.hosts[FULL].run("sh", "-c", f"head -c 9m /dev/zero >{ROOT}/filler || true")
    done = fleet.run("golive", *READ_ONLY, "--json")
    rows = remote_fleet.table_of(done)
    assert done.returncode == 1, done.stdout + done.stderr
    assert rows[WELL]["verdict"] == "NO-GO", rows
    assert "No space left" in " ".join(rows[FULL]["due"]), rows
    done = fleet.run("fleet", "backup", "--json")
    rows = remote_fleet.table_of(done)
    assert rows[WELL]["verdict"].startswith("set 20"), rows
    assert rows[FULL]["verdict"] == "failed"
    said = " ".join(rows[FULL]["due"])
    assert "0 B free" in said or "No space left" in said, said
    assert sets_of(fleet, FULL) == []
    assert json.loads(done.stdout)["systems"][0]["system"] == FULL
