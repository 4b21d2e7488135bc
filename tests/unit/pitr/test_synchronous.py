# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""When commits are made to wait for the receiver, and when they are let go."""

from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import synchronous


def test_commits_wait_only_where_that_is_asked_for():
    assert synchronous.step("", wanted=True) == synchronous.ON
    assert synchronous.step(synchronous.STANDBY, wanted=True) is None
    assert synchronous.step(synchronous.STANDBY, wanted=False) == synchronous.OFF
    assert synchronous.step("", wanted=False) is None


def test_a_setting_of_others_is_left_alone():
    assert synchronous.step("replica1", wanted=False) is None
    with pytest.raises(OpsError) as caught:
        synchronous.step("replica1", wanted=True)
    assert caught.value.code == "pitr.synchronous-taken"
