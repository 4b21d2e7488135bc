# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The machine is gone: another one is made from a copy on a site and the envelope."""

from __future__ import annotations

import json
import re

import pytest

from tests.molecule.conftest import ENVIRONMENT, PROJECT, play
from tests.support import sites

FENCE = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Of them each is typed by the scenario, or by another test where it is not about a new machine.
SECTIONS = {
    "docs/OFFSITE.md": ("## The envelope", "## A new machine"),
    "docs/DR_PLAYBOOK.md": ("## Scenario 9: The machine is gone",),
}


def documented() -> set[str]:
    """Return the commands that somebody types who has nothing but the pages and the envelope."""
    found = set()
    for page, titles in SECTIONS.items():
        text = (PROJECT / page).read_text()
        for title in titles:
            section = text.partition(f"\n{title}\n")[2].partition("\n## ")[0]
            for block in FENCE.findall(section):
                lines = [line.partition("#")[0].strip() for line in block.splitlines()]
                found |= {line.removeprefix("pms-ops -i prod ") for line in lines if line}
    return found


def typed() -> set[str]:
    """Return the commands that the scenario types."""
    text = (PROJECT / "molecule" / "dr_host" / "gone.yml").read_text()
    words = re.findall(r"typed: (.*)", text)
    for each in re.findall(r"loop: \[(.*)\]\n      loop_control:\n        loop_var: typed", text):
        words += each.split(", ")
    return {word.replace("{{ __elsewhere }}", "/srv") for word in words}


def test_each_command_of_the_pages_on_a_new_machine_is_typed_by_the_rehearsal():
    assert len(documented()) >= 5
    assert documented() <= typed()


# Where a run is killed: while it fetches, restores, and makes itself known to the sites.
KILLS = [
    {"task": "Bring sets, evidence and files from the site", "seconds": 1.5},
    {"task": "Restore the set into a staging database and prove it", "seconds": 3},
    {"task": "Record that this machine took over", "seconds": 0.5},
    {"task": "Copy the set to each site", "seconds": 1},
]


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("kind", "protected", "kills"),
    [("local", False, KILLS), ("rest", True, []), ("sftp", True, [])],
    ids=["folder, killed", "rest-server with the newest moment", "sftp with the newest moment"],
)
def test_a_new_machine_comes_from_a_site_and_the_envelope(
    kind, protected, kills, shared_labs, tmp_path, monkeypatch
):
    """The way back named no step between an empty machine and an empty server: issue 20."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "restic").mkdir()
    with sites.KINDS[kind](elsewhere) as address:
        for name, value in {
            "PMS_TEST_ELSEWHERE": str(elsewhere),
            "PMS_TEST_RESTIC": str(sites.restic(tmp_path / "restic")),
            "PMS_TEST_SITE": json.dumps(address.option("vault", elsewhere)),
            "PMS_TEST_SITE_REFUSES": str(kind == "rest").lower(),
            "PMS_TEST_PITR": str(protected).lower(),
            "PMS_TEST_KILLS": json.dumps(kills),
        }.items():
            monkeypatch.setitem(ENVIRONMENT, name, value)
        play("dr_host", shared_labs)
