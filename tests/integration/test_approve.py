# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbook by which a second person makes a key, reads a plan and approves it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from ansible.module_utils.pmsops.approvals import plan as plans
from ansible.module_utils.pmsops.approvals.consent import Consent
from ansible.module_utils.pmsops.common.errors import OpsError

from tests.conftest import PROJECT
from tests.integration.test_doctor import HERE, OLD

FACTS = {"database": "pms", "set": "2026-11-22_0600", "steps": ["stop api"]}


def play(*arguments, **variables):
    """Run the playbook; return its status, and its output on one line."""
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), "playbooks/approve.yml"),
            *("-i", OLD, "-e", json.dumps(HERE | variables), *arguments),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, re.sub(r"\s+", " ", done.stdout + done.stderr)


def test_a_key_is_made_and_a_plan_is_shown_confirmed_and_approved_with_it(tmp_path):
    root, key = tmp_path / "evidence", tmp_path / "keys" / "ana.key"
    common = {"evidence_root": str(root), "backup_root": str(tmp_path), "approver_key": str(key)}
    status, said = play(**common, approver_new_key=True)
    assert status == 0, said
    public_key = re.search(r"public_key: ([\w+/=]{44})", said).group(1)
    assert key.stat().st_mode & 0o777 == 0o600
    common["restore_approvers"] = [{"name": "Ana", "public_key": public_key}]
    consent = Consent(
        evidence_root=root,
        demanded=True,
        operator="Bruno",
        approvers=tuple(common["restore_approvers"]),
    )
    plan = consent.plan(plans.SWAP, **FACTS)
    try:
        consent.require(plan)
    except OpsError as exc:
        assert exc.code == "approval.missing"
    digest = plans.sha256(plan)
    status, said = play("--check", **common, plan=digest)
    assert status == 0 and "set: 2026-11-22_0600" in said and "Ana would approve" in said, said
    status, said = play(**common, plan=digest)
    assert status == 2 and "Nothing was approved" in said and "confirm=pms" in said, said
    status, said = play(**common, plan=digest[:12], confirm="pms")
    assert status == 0 and f"Ana has approved plan {digest}, ordered by Bruno" in said, said
    assert consent.use(plan)["approved_by"] == "Ana"
    own = replace(consent, operator="ana").plan(plans.SWAP, **FACTS)
    (root / "approvals" / f"{plans.sha256(own)}.plan.json").write_text(json.dumps(own))
    status, said = play(**common, plan=plans.sha256(own), confirm="pms")
    assert status == 2 and "cannot approve it as well" in said, said
