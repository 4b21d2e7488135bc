"""The head of the ledger as a snapshot on another site, which no act on copies sees."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pms_anchor
import pytest
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.testing import patch_module_args

ANCHORS = [{"name": "far", "type": "offsite", "site": "vault"}]


def options(fund, state, **more):
    wanted = ("system", "root", "evidence_root", "repositories", "restic")
    given = {name: value for name, value in fund.options().items() if name in wanted}
    return {"state": state, "anchors": ANCHORS} | given | more


def call(fund, state, **more):
    with patch_module_args(options(fund, state, **more)), pytest.raises(SystemExit):
        pms_anchor.main()
    return json.loads(fund.capsys.readouterr().out)


def test_a_site_keeps_the_head_and_no_act_on_copies_sees_it(stocked):
    evidence = stocked.folder / "evidence"
    before = stocked.site("uploaded")["set"]
    assert call(stocked, "made")["anchors"][0]["lines"] == 1
    assert call(stocked, "verified")["anchors"][0]["lines"] == 1
    again = stocked.site("uploaded")
    assert (again["set"], again["changed"]) == (before, False)
    (evidence / ledger.NAME).unlink()
    (evidence / ledger.HEAD).unlink()
    ledger.append(evidence, "gate", {"other": True}, now=datetime.now(UTC))
    assert "line 1" in call(stocked, "verified")["anchors"][0]["problems"][0]


def test_a_site_that_refuses_ends_no_run(stocked):
    stocked.fault("backup", {"status": 12, "said": "wrong password or no key found"})
    found = call(stocked, "made")
    assert not found.get("failed")
    assert found["anchors"][0]["code"].startswith("offsite.")


def test_a_site_that_is_not_there_is_an_error_of_the_options(fund):
    wrong = [{"name": "far", "type": "offsite", "site": "nowhere"}]
    assert call(fund, "made", anchors=wrong)["code"] == "anchor.options"
