# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""No swap and no rollback without the second person that the inventory demands, whoever calls."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.approvals import documents, people
from ansible.module_utils.pmsops.approvals.consent import Consent
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.restore import former_retention, plan_for_approval

from tests.unit.restore.conftest import FORMER_OID, LIVE, LIVE_OID, STAGING, STAGING_OID


class Ordered:
    """A scene whose runs demand Ana's approval of what Bruno orders."""

    def __init__(self, scene, **consent):
        self.scene = scene
        scene.evidence = scene.root.parent / "evidence"
        self.key = scene.root.parent / "ana.key"
        _, public_key = people.make_key(self.key, check=False)
        self.consent = Consent(
            evidence_root=scene.evidence,
            demanded=True,
            system="prod",
            operator="Bruno",
            approvers=({"name": "Ana", "public_key": public_key},),
            **consent,
        )

    @property
    def run(self):
        return replace(self.scene.swap_run(), consent=self.consent)

    def approve(self):
        """Approve the plan that waits, as ``pms-ops approve`` does."""
        (path,) = [
            each
            for each in (self.scene.evidence / documents.FOLDER).glob("*.plan.json")
            if not each.with_name(each.name.replace(".plan.", ".approval.")).exists()
        ]
        plan = documents.waiting(self.scene.evidence, path.name.removesuffix(documents.PLAN))
        approvers = people.of_options(self.consent.approvers)
        _, approval = documents.approve(plan, approvers, self.key, datetime.now(UTC))
        documents.keep_approval(self.scene.evidence, approval)

    def refused(self, state="swapped", incoming=STAGING):
        """Run; return the code of the refusal, which left all as it was."""
        before = {name: each.oid for name, each in self.scene.server.databases.items()}
        lines = len(ledger.records(self.scene.evidence))
        with pytest.raises(OpsError) as error:
            self.run.run(state, incoming)
        assert {name: each.oid for name, each in self.scene.server.databases.items()} == before
        assert self.scene.up == {"api", "worker"}
        more = ledger.records(self.scene.evidence)[lines:]
        failed = [each for each in more if each["record"].get("outcome")]
        assert bool(failed) == (error.value.code != "approval.missing")
        return error.value.code


def last(scene, kind):
    return ledger.records(scene.evidence, kind)[-1]["record"]


def test_a_swap_waits_for_the_second_person_and_says_who_it_was(scene_of):
    it = Ordered(scene_of(staged=True))
    assert it.refused() == "approval.missing"
    it.approve()
    assert it.run.run("swapped", STAGING)["changed"]
    assert it.scene.server.oid(LIVE) == STAGING_OID
    record = last(it.scene, "restore")
    assert (record["ordered_by"], record["approved_by"]) == ("Bruno", "Ana")
    assert record["plan_sha256"] == last(it.scene, "approval")["plan_sha256"]


def test_a_rollback_waits_too_and_an_approval_is_of_one_direction(scene_of):
    it = Ordered(scene_of(former=True))
    assert it.refused("rolled_back", None) == "approval.missing"
    it.approve()
    assert it.run.run("rolled_back", None)["changed"]
    assert it.scene.server.oid(LIVE) == FORMER_OID
    assert last(it.scene, "rollback")["approved_by"] == "Ana"
    undone = next(name for name in it.scene.server.databases if "undone" in name)
    assert it.refused("rolled_back", undone) == "approval.missing"


def test_the_same_swap_is_not_done_twice_by_one_approval(scene_of):
    """After a swap back the live database is the same one again, and so is the plan."""
    it = Ordered(scene_of(staged=True, problems=["it does not work"]))
    assert it.refused() == "approval.missing"
    it.approve()
    assert it.refused() == "restore.probe"
    assert it.scene.server.oid(LIVE) == LIVE_OID
    it.scene.problems.clear()
    it.scene.stage()
    assert it.refused() == "approval.used"


def test_an_approval_is_void_once_another_database_is_live(scene_of):
    it = Ordered(scene_of(staged=True))
    assert it.refused() == "approval.missing"
    it.approve()
    it.scene.server.databases[LIVE].oid = LIVE_OID + 1
    assert it.refused() == "approval.changed"


@pytest.mark.parametrize(
    "change",
    [
        {"slots": "drop"},
        {"policy": former_retention.Policy(1, 0)},
        {"policy": former_retention.Policy(0, 3)},
        {"probe_writes": True},
    ],
)
def test_an_approval_is_void_if_the_swap_is_done_otherwise(scene_of, change):
    it = Ordered(scene_of(staged=True))
    assert it.refused() == "approval.missing"
    it.approve()
    with pytest.raises(OpsError, match=r"in steps; the approval is void"):
        replace(it.run, **change).run("swapped", STAGING)


def test_an_approval_of_one_set_is_none_of_another(scene_of):
    it = Ordered(scene_of(staged=True))
    assert it.refused() == "approval.missing"
    it.approve()
    for digest, code in (("0" * 64, "approval.changed"), (None, "approval.no-manifest")):
        del it.scene.server.databases[STAGING]
        it.scene.stage(manifest_sha256=digest)
        assert it.refused() == code


def test_check_mode_shows_the_plan_and_uses_nothing_up(scene_of):
    it = Ordered(scene_of(staged=True))
    shown = it.run.plan("swapped", STAGING)["consent"]
    assert shown["command"] == f"pms-ops approve {shown['sha256']}"
    assert "operation: swap" in shown["lines"]
    assert it.refused() == "approval.missing"
    it.approve()
    assert it.run.plan("swapped", STAGING)["consent"] == shown
    assert it.run.run("swapped", STAGING)["changed"]


def test_the_restore_asks_for_the_plan_that_the_swap_finds(scene_of):
    """Otherwise nobody could approve it before the restore has taken its hours."""
    it = Ordered(scene_of(staged=True))
    options = {
        "services": {"app_services": ["api", "worker"]},
        "slots": "refuse",
        "keep_former": 0,
        "keep_former_days": 0,
        "probe_writes": False,
    }
    before = plan_for_approval.of_swap(
        it.consent,
        it.run.database,
        it.scene.folder.name,
        it.scene.sha256,
        plan_for_approval.Terms.from_options(options),
    )
    with pytest.raises(OpsError):
        it.consent.require(before)
    it.approve()
    assert it.run.run("swapped", STAGING)["changed"]


def test_a_timer_is_refused(scene_of):
    it = Ordered(scene_of(staged=True), scheduled=True)
    assert it.refused() == "approval.scheduled"


def test_a_killed_swap_is_finished_without_asking_again(scene_of):
    finished = 0
    for at in range(10, 200, 10):
        it = Ordered(scene_of(staged=True))
        shutil.rmtree(it.scene.evidence, ignore_errors=True)
        assert it.refused() == "approval.missing"
        it.approve()
        it.scene.swap_run = lambda made=it.run: made
        if not it.scene.killed_at(at, "swapped", STAGING):
            break
        if it.scene.run("recovered")["finished"]:
            finished += 1
            assert last(it.scene, "restore")["approved_by"] == "Ana"
    assert finished > 1
