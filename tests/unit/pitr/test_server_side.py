# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is added to the server: lines, requirements, and how it is found again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import role_mark, server_limits, server_side
from ansible.module_utils.pmsops.pitr.server_files import without_line
from ansible.module_utils.pmsops.pitr.server_limits import lacking
from ansible.module_utils.pmsops.pitr.server_side import Wanted

GOOD = {"wal_level": "replica", "max_wal_senders": "10", "max_replication_slots": "10"}
HBA = "local all all trust\nhost all all all scram-sha-256\n"


def test_one_line_lets_the_role_in_from_its_network_alone():
    line = Wanted("pms_pitr", "172.18.0.0/16").hba_line
    assert line.startswith('host replication,postgres "pms_pitr" 172.18.0.0/16 scram-sha-256')


def test_disable_leaves_pg_hba_as_it_was():
    line = Wanted("pms_pitr", "172.18.0.0/16").hba_line
    assert without_line(f"{line}\n{HBA}") == HBA
    assert without_line(HBA) == HBA


def test_a_server_that_can_stream_lacks_nothing():
    assert lacking(GOOD, 0, 0) == []


def test_each_setting_that_a_stream_needs_is_named():
    assert "wal_level" in lacking(GOOD | {"wal_level": "minimal"}, 0, 0)[0]
    assert "max_wal_senders leaves 1" in lacking(GOOD, 9, 0)[0]
    assert "max_replication_slots leaves none" in lacking(GOOD, 0, 10)[0]


def test_only_a_role_of_ours_says_what_to_take_away():
    assert role_mark.read('pms-ops: {"is": "pitr", "keep": "set"}') == {"is": "pitr", "keep": "set"}
    assert role_mark.read("a role of somebody else") == {}
    assert role_mark.read(None) == {}
    assert role_mark.read("pms-ops: {") == {}


def test_a_role_of_the_name_that_somebody_else_made_is_left_alone():
    role_mark.require_ours("pms_pitr", [])
    role_mark.require_ours("pms_pitr", ['pms-ops: {"is": "pitr"}'])
    for comment in (None, "replicates to the branch office"):
        with pytest.raises(OpsError) as caught:
            role_mark.require_ours("pms_pitr", [comment])
        assert caught.value.code == "pitr.role-taken"


@pytest.mark.parametrize(("free_gb", "keep_gb"), [(100, 20), (6, 1.2), (2, 1), (0, 1)])
def test_the_slot_keeps_a_fifth_of_the_free_room_and_at_least_a_gigabyte(free_gb, keep_gb):
    kept = server_limits.default_keep_bytes(free_gb << 30)
    assert kept == int(keep_gb * (1 << 30))


def test_the_mark_of_the_role_is_read_as_it_is_written():
    assert role_mark.read(role_mark.text(keep_is_ours=True)) == {"is": "pitr", "keep": "set"}
    assert role_mark.read(role_mark.text(keep_is_ours=False)) == {"is": "pitr"}
    assert role_mark.read('pms-ops: {"is": "staging"}') == {}


def test_the_plan_names_what_the_server_lacks_before_anything_is_made():
    """With --check it showed the steps, and said nothing of it."""
    state = server_side.ServerState(
        role=False, slot=None, hba=False, hba_file="/pg_hba.conf", keep="-1", keep_set=False,
        keep_bytes=1 << 30, version=170000, lacks=["wal_level = minimal, and it needs replica"],
        free_bytes=1 << 33, canary=False,
    )  # fmt: skip
    side = object.__new__(server_side.ServerSide)
    side._wanted = Wanted("pms_pitr", "172.18.0.0/16")
    with pytest.raises(OpsError) as caught:
        side.plan(state)
    assert caught.value.code == "pitr.server-lacks"
    assert side.plan(replace(state, lacks=[]))
