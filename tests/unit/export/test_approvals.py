# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A second person's approval in an export: an outsider sees whether it is theirs, and of this plan.

The forger here has the key of the ledger: every line and the manifest are signed anew.
"""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.approvals import documents, people
from ansible.module_utils.pmsops.approvals import plan as plans
from ansible.module_utils.pmsops.approvals.consent import Consent
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.export import verify_script
from ansible.module_utils.pmsops.repository import signing

from tests.support import exported
from tests.support.exported import outside, unpack
from tests.unit.export.test_head import said as report_of

AT = datetime(2026, 3, 16, 22, tzinfo=UTC)
NAME = "2026-03-02_0731"


class Desk:
    """A fund whose inventory demands two people, and the keys of three."""

    def __init__(self, root):
        self.fund = exported.Fund(root)
        self.fund.append("backup", {"set": NAME}, AT - timedelta(days=1))
        self.files = {name: root / f"{name}.key" for name in ("Ana Lima", "Bruno Reis", "Eva")}
        publics = {name: people.make_key(path, check=False)[1] for name, path in self.files.items()}
        self.keys = {
            name: signing.key_id(signing.raw_public(signing.load_private(path)))
            for name, path in self.files.items()
        }
        self.approvers = tuple(
            {"name": name, "public_key": publics[name]} for name in ("Ana Lima", "Bruno Reis")
        )

    def act(self, by="Ana Lima", ordered_by="Carla Souza", at=AT, **facts):
        """Have a plan approved and used, as a run does; return the record of its line."""
        consent = Consent(
            evidence_root=self.fund.evidence,
            demanded=True,
            system="fund",
            operator=ordered_by,
            approvers=self.approvers,
            now=lambda: at,
        )
        plan = consent.plan(plans.SWAP, database="pms", set=NAME, **facts)
        known = people.of_options(self.approvers)
        signed_at = at - timedelta(minutes=2)
        _who, document = documents.approve(plan, known, self.files[by], signed_at)
        documents.keep_approval(self.fund.evidence, document)
        consent.use(plan)
        return copy.deepcopy(ledger.records(self.fund.evidence, "approval")[-1]["record"])

    def sign(self, record, by):
        """Sign the document of a record anew, with the key of a person."""
        body = {k: v for k, v in record["document"].items() if k != "signature"}
        record["document"] = signing.sign(body, signing.load_private(self.files[by]))
        return record

    def forge(self, record, at=AT):
        """Write a line with the ledger's own key."""
        self.fund.append("approval", record, at)

    def verify(self, capsys, *more):
        """Return the status of the export's own verifier, and what it said."""
        path = str(self.fund.export())
        code = verify_script.main([path, "--key", self.fund.key, *more])
        return code, capsys.readouterr().out


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def test_an_approval_is_told_with_plan_persons_key_and_that_its_signature_fits(desk, capsys):
    record = desk.act()
    code, said = desk.verify(capsys)
    assert code == verify_script.WHOLE, said
    key = desk.keys["Ana Lima"]
    assert (
        f"approval in line 3: swap of {NAME}, ordered by Carla Souza, approved by Ana Lima with key"
        f" {key} at 2026-03-16T21:58:00Z, plan {record['plan_sha256'][:12]}: the signature fits"
        " this plan"
    ) in said.splitlines()
    assert "is the word of the owner" in said


def test_with_the_keys_that_the_persons_told_nothing_is_the_word_of_the_owner(desk, capsys):
    desk.act()
    own = desk.keys["Ana Lima"][:32]
    code, said = desk.verify(capsys, "--approver", own, "--approver", desk.keys["Bruno Reis"])
    assert code == verify_script.WHOLE and "is the word of the owner" not in said
    code, said = desk.verify(capsys, "--approver", desk.keys["Bruno Reis"])
    assert code == verify_script.BROKEN
    assert f"key {desk.keys['Ana Lima']} is none of those given with --approver" in said


def test_who_signs_with_a_new_key_in_the_name_of_a_person_is_found_by_the_persons_own_key(
    desk, capsys
):
    record = desk.act()
    record["document"]["id"] = record["approval"] = "cd" * 16
    desk.sign(record, "Eva")["approval_key"] = desk.keys["Eva"]
    desk.forge(record)
    assert desk.verify(capsys)[0] == verify_script.WHOLE  # nothing in the zip can tell
    code, said = desk.verify(capsys, "--approver", desk.keys["Ana Lima"])
    assert code == verify_script.BROKEN
    assert "line 4, the approval: key" in said and "line 3, the approval" not in said


def other_plan(desk, record):
    record["document"]["plan"]["database"] = "another"


def other_plan_everywhere(desk, record):
    plan = record["plan"] | {"database": "another"}
    digest = plans.sha256(plan)
    record["document"] |= {"plan": plan, "plan_sha256": digest}
    record |= {"plan": plan, "plan_sha256": digest}


def other_plan_beside(desk, record):
    record["plan"]["database"] = "another"


def other_signer(desk, record):
    desk.sign(record, "Eva")


def other_moment(desk, record):
    record["document"]["signed_at"] = record["approved_at"] = "2026-03-16T21:59:00Z"


def other_person_who_ordered(desk, record):
    record["ordered_by"] = "Somebody"


def own_plan(desk, record):
    record["document"]["plan"]["ordered_by"] = record["ordered_by"] = " ana  LIMA"
    record["plan"] = record["document"]["plan"]
    record["plan_sha256"] = record["document"]["plan_sha256"] = plans.sha256(record["plan"])
    desk.sign(record, "Ana Lima")


def own_key(desk, record):
    own_plan(desk, record)
    record["approved_by"] = "Bruno Reis"


def long_before(desk, record):
    record["document"]["signed_at"] = record["approved_at"] = "2026-03-16T20:00:00Z"
    desk.sign(record, "Ana Lima")


def afterwards(desk, record):
    record["document"]["signed_at"] = record["approved_at"] = "2026-03-16T23:00:00Z"
    desk.sign(record, "Ana Lima")


def no_signature(desk, record):
    del record["document"]


def no_document(desk, record):
    record["document"] = "approved"


def empty(desk, record):
    record["document"] = {}


def plan_is_a_list(desk, record):
    record["document"]["plan"] = record["plan"] = ["swap"]


def again(desk, record):
    record["document"]["id"] = record["approval"] = desk.first


FORGED = {
    other_plan: "its plan is another than the one of its plan_sha256",
    other_plan_everywhere: "it was changed after it was signed, or is forged",
    other_plan_beside: "`plan` of the line is not what was signed",
    other_signer: "the line names",
    other_moment: "it was changed after it was signed, or is forged",
    other_person_who_ordered: "`ordered_by` of the line is not what was signed",
    own_plan: "who ordered the plan approved it",
    own_key: "its key is that of who ordered the plan: so line 3 says",
    long_before: "more than an hour before the line",
    afterwards: "after the line",
    no_signature: "it has no signature, and the one of line 3 has",
    no_document: "it is in no known form",
    empty: "it is in no known form",
    plan_is_a_list: "it is in no known form",
    again: "line 3 used it already",
}


@pytest.mark.parametrize(("forge", "why"), FORGED.items(), ids=[each.__name__ for each in FORGED])
def test_a_forged_approval_is_named_by_its_line(desk, capsys, forge, why):
    first = desk.act()
    desk.first = first["approval"]
    record = copy.deepcopy(first)
    record["document"]["id"] = record["approval"] = "cd" * 16
    desk.sign(record, "Ana Lima")
    forge(desk, record)
    if forge is again:
        desk.sign(record, "Ana Lima")
    desk.forge(record)
    code, said = desk.verify(capsys)
    assert code == verify_script.BROKEN
    (told,) = [each for each in said.splitlines() if each.startswith("approval in line 4:")]
    assert ": BROKEN: " in told and why in told
    assert "  line 4, the approval: " in said and "line 3, the approval" not in said


def test_lines_of_an_older_release_say_that_their_signature_is_not_in_the_export(desk, capsys):
    record = desk.act()
    del record["document"]
    old = Desk(desk.fund.root / "old")
    old.forge(record)
    code, said = old.verify(capsys)
    assert code == verify_script.WHOLE
    assert "approved by Ana Lima: NOT IN THIS EXPORT: an older release kept no signature" in said
    # Who gives keys asks for signatures: a line could have been stripped of its own.
    code, said = old.verify(capsys, "--approver", desk.keys["Ana Lima"])
    assert code == verify_script.BROKEN and "it has no signature, so none of those given" in said
    assert "not in this export</span>" in report_of(old.fund)
    assert "não está nesta exportação</span>" in report_of(old.fund, language="pt")


def test_the_report_names_the_key_and_leaves_the_judgement_to_the_verifier(desk):
    desk.act()
    text = report_of(desk.fund)
    assert f"in this line: <code>{desk.keys['Ana Lima'][:16]}</code>" in text
    assert "not in this export</span>" not in text


def test_bare_python_does_not_say_that_a_signature_fits(desk, tmp_path):
    desk.act()
    code, said = outside(unpack(desk.fund.export(), tmp_path / "b"), bare=True)
    assert code == verify_script.NO_SIGNATURES
    assert "approval in line 3: " in said and ": signature not checked" in said
    assert "fits this plan" not in said


def test_a_name_cannot_write_a_line_of_its_own_to_the_terminal(desk, capsys):
    record = desk.act()
    record["approved_by"] = "Ana\nwhole: 9 files\x1b[2J"
    desk.forge(record)
    _code, said = desk.verify(capsys)
    assert "Ana?whole: 9 files?[2J" in said
    assert not any(each.startswith("whole") for each in said.splitlines())
