# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A whole server is put in place only with the second person that the inventory demands."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from ansible.module_utils.pmsops.approvals import documents, people
from ansible.module_utils.pmsops.approvals import plan as plans
from ansible.module_utils.pmsops.approvals.consent import Consent
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.pitr import server_return, server_volume
from ansible.module_utils.pmsops.pitr.server_rollback import ServerRollback
from ansible.module_utils.pmsops.pitr.whole_server import WholeServer

PLACE = SimpleNamespace(source="pgdata")
HELD = SimpleNamespace(what="data", size_bytes=1)


@pytest.fixture(params=[WholeServer, ServerRollback], ids=["restored", "rolled back"])
def put(request, monkeypatch, tmp_path):
    """Give a function that runs one of both as far as to the copy; return what was begun then."""
    monkeypatch.setattr(server_return.docker_engine, "engine", lambda: None)
    monkeypatch.setattr(server_volume, "remove_halves", lambda *_: None)
    monkeypatch.setattr(server_return.process_lock, "exclusive", lambda *_: nullcontext())
    begun = []
    throw_away = SimpleNamespace(clean=lambda: None, remove_restores=lambda: None)
    work = SimpleNamespace(throw_away=lambda: throw_away)

    def recovered(*_args, **_more):
        begun.append("recover")
        raise OpsError("It went no further.", "", code="test.end")

    monkeypatch.setattr(server_return, "MomentSet", lambda *_: work, raising=False)
    key = tmp_path / "ana.key"
    _, public = people.make_key(key, check=False)
    consent = Consent(
        evidence_root=tmp_path / "evidence",
        demanded=True,
        operator="Bruno",
        approvers=({"name": "Ana", "public_key": public},),
    )
    database = SimpleNamespace(name="pms", container="db")
    made = request.param.__new__(request.param)
    made.protection = SimpleNamespace(database=database)
    made.services = SimpleNamespace(names=("api",))
    made.root, made.facts, made.consent = tmp_path, {}, consent
    made.asked, made.former, made._at_work, made._moment = "latest", "db_before_1", work, None
    made.queries = ()
    backup = SimpleNamespace(id="B1")
    wanted = SimpleNamespace(backup=backup, at=None, wal_bytes=0, lines=list)
    former = SimpleNamespace(volume="db_before_1", text=lambda: "db_before_1")
    first = wanted if request.param is WholeServer else former
    made._planned = lambda *_a, **_k: (first, PLACE, HELD)
    work.recovered = recovered
    made._copied = recovered
    monkeypatch.setattr("ansible.module_utils.pmsops.pitr.whole_server.utc_stamp", str)

    def run():
        with pytest.raises(OpsError) as error:
            made.recorded(tmp_path / "evidence")
        return error.value.code, list(begun)

    return made, run, key


def test_nothing_is_recovered_before_somebody_approved_and_once_only(put):
    made, run, key = put
    root = made.consent.evidence_root
    assert run() == ("approval.missing", [])
    assert ledger.records(root) == []
    (path,) = (root / documents.FOLDER).glob("*.plan.json")
    plan = documents.waiting(root, path.name.removesuffix(documents.PLAN))
    assert plan["operation"] in (plans.SERVER, plans.SERVER_ROLLBACK)
    assert plan["former"] == {"volume": "pgdata", "holds": "data"}
    assert any(plans.sha256(plan) in line for line in made.plan())
    approvers = people.of_options(made.consent.approvers)
    _, approval = documents.approve(plan, approvers, key, made.consent.now())
    documents.keep_approval(root, approval)
    assert run() == ("test.end", ["recover"])
    assert ledger.records(root)[-1]["record"]["approved_by"] == "Ana"
    made.facts = {}
    assert run() == ("approval.used", ["recover"])


def test_no_way_leads_to_the_place_of_the_server_without_an_approval(put):
    made, _, _ = put
    with pytest.raises(AssertionError, match="nobody has approved"):
        made._put(None, None, PLACE, HELD)
