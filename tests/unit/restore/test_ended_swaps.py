# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A swap that a signal ends at any point: who is served then, and what the ledger says."""

from __future__ import annotations

import os
import signal

import pytest
from ansible.module_utils.pmsops.common import signals
from ansible.module_utils.pmsops.common.errors import InterruptError
from ansible.module_utils.pmsops.evidence import ledger

from tests.unit.restore.conftest import LIVE, LIVE_OID, SERVICES, STAGING, STAGING_OID
from tests.unit.restore.test_killed_swaps import nothing_is_left, works

STEP = 4  # each fourth point, beginning with another one in each case: all of them together


@pytest.mark.parametrize("first", range(STEP))
def test_a_swap_that_a_signal_ends_serves_and_is_recorded(scene_of, first):
    outcomes = set()
    for at in range(first, 1000, STEP):
        scene = scene_of(staged=True)
        scene.evidence = scene.root.parent / f"evidence{at}"
        passed, seen = scene.killer.passed, []

        def signalled(name, *, passed=passed, seen=seen, at=at):
            seen.append(name)
            if len(seen) == at + 1:
                os.kill(os.getpid(), signal.SIGTERM)
            passed(name)

        scene.killer.passed = signalled
        ended = False
        try:
            with signals.raised():
                scene.run("swapped", STAGING)
        except InterruptError as exc:
            ended, said = True, str(exc)
        if len(seen) <= at:
            assert not ended
            break
        # Whatever is live is served at once, without another run.
        assert scene.up == set(SERVICES), seen[at]
        live = scene.server.databases[LIVE]
        assert live.open and live.read_only is None, seen[at]
        swapped = live.oid == STAGING_OID
        told = ended and f"{STAGING} was made live and recorded" in said
        lines = [each["record"] for each in ledger.records(scene.evidence)]
        assert told <= swapped
        if told or not ended:
            assert [each.get("incoming") for each in lines] == [STAGING]
        outcomes.add((swapped, ended, told))
        scene.killer.passed = passed
        scene.recover()
        works(scene, STAGING_OID if swapped else LIVE_OID)
        nothing_is_left(scene)
    assert (False, True, False) in outcomes, "before the renames"
    assert (True, True, True) in outcomes, "after them"
