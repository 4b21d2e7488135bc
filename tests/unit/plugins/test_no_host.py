# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A playbook that ran on no host is an error, however it was started.

Ansible ends with 0 where a group is empty, and where no inventory has it. The job of a timer then
counted as a good run, and nothing was backed up.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT
from tests.support.yaml_files import read_yaml

EMPTY = {"all": {"children": {"pms": {"hosts": {}}}}}
OTHERS = {"all": {"children": {"pmss": {"hosts": {"fund": None}}}}}
FUND = {"all": {"children": {"pms": {"hosts": {"fund": None}}}}}


@pytest.mark.parametrize(
    ("inventory", "words", "says"),
    [
        (EMPTY, (), "The group pms of the inventory has no host: nothing was run."),
        (OTHERS, (), "Could not match supplied host pattern"),
        (None, (), "Could not match supplied host pattern"),
        (FUND, ("--limit", "funf"), "Could not match supplied host pattern"),
        (FUND, ("--limit", "pms:!fund"), "leaves us with no hosts to target"),
    ],
)
def test_a_playbook_that_ran_on_no_host_has_failed(tmp_path, inventory, words, says):
    path = tmp_path / "hosts.yml"
    if inventory:
        path.write_text(yaml.safe_dump(inventory))
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(path)]
    done = subprocess.run(
        [*command, *words, "playbooks/backup.yml"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode != 0
    assert says in " ".join((done.stderr + done.stdout).split())
    # ansible-runner writes a file of a name that it does not know.
    assert inventory or not path.exists()


def test_every_playbook_over_the_systems_names_their_group():
    """The check is of that group: a play over another one would pass without a host."""
    for path in sorted((PROJECT / "playbooks").glob("*.yml")):
        for play in read_yaml(path):
            hosts = play.get("hosts", "pms")
            assert hosts in ("pms", "lab", "localhost") or "drill_host" in hosts, path.name
