# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a drill is on a machine apart: measured, not claimed."""

from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.drills import machine

SOURCE = {"hostname": "fund", "machine_id": "a", "boot_id": "b", "engine_id": "c"}
FAR = {"hostname": "far", "machine_id": "x", "boot_id": "y", "engine_id": None}


def test_two_machines_have_nothing_in_common():
    found = machine.compare(SOURCE, FAR)
    assert found.segregated and not (found.same or found.shared)
    machine.require_apart(found, "far")


@pytest.mark.parametrize(
    ("here", "says"),
    [
        (FAR | {"machine_id": "a"}, "machine id"),
        (FAR | {"engine_id": "c"}, "Docker Engine"),
        (FAR | {"machine_id": None, "hostname": "fund", "boot_id": "b"}, "name and kernel"),
    ],
)
def test_another_name_of_the_same_machine_is_refused(here, says):
    found = machine.compare(SOURCE, here)
    assert not found.segregated
    with pytest.raises(OpsError, match=says) as error:
        machine.require_apart(found, "far")
    assert error.value.code == "drill.same-machine"


@pytest.mark.parametrize(
    ("here", "says"), [(FAR | {"boot_id": "b"}, "kernel is the same"), ({}, "not known")]
)
def test_a_container_of_the_same_machine_is_not_segregated(here, says):
    found = machine.compare(SOURCE, here)
    machine.require_apart(found, "far")
    assert not found.segregated and says in found.shared[0]


def test_an_id_leaves_the_machine_hashed_and_an_empty_one_is_none(tmp_path):
    (tmp_path / "id").write_text("4c7e0d1bb2f14d0b8f8d0c6c3f1b2a90\n")
    (tmp_path / "empty").write_text("uninitialized\n")
    found = machine.describe(tmp_path / "id", tmp_path / "empty")
    assert found["machine_id"] and "4c7e" not in found["machine_id"]
    assert found["boot_id"] is None
    assert machine.describe(tmp_path / "no", tmp_path / "no")["machine_id"] is None
