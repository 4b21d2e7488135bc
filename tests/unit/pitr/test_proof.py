# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a recovered copy has otherwise than the set, and is no damage: the values of sequences."""

from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.pitr.proof import with_any_sequence_value
from ansible.module_utils.pmsops.postgresql import moving_sequences

# Seen: the backup read 137 after its snapshot, and the copy of the snapshot had 132.
RECORDED = {"last_value": 137, "is_called": True, "step": 1, "cache": 1}


def remaining(copy: dict[str, object], **recorded: object) -> list[str]:
    """Return the properties in which the copy differs from what the manifest recorded."""
    document = {"facts": {"sequences": {"public.s": RECORDED | recorded}}}
    wanted = with_any_sequence_value(document)["facts"]["sequences"]
    one, other = moving_sequences.understood(wanted, {"public.s": RECORDED | recorded | copy})
    return [name for name in RECORDED if one["public.s"][name] != other["public.s"][name]]


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("value", [1, 132, 137, 165, 1 << 62])
def test_the_value_of_a_sequence_belongs_to_no_snapshot(value, step):
    assert remaining({"last_value": value}, step=step) == []
    assert remaining({"last_value": value, "is_called": False}, step=step, moved_to=140) == []


def test_every_other_property_is_compared():
    assert remaining({"cache": 20}) == ["cache"]
