# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A plan is done only with the valid approval of another person, and once."""

from __future__ import annotations

import base64
import json
import os
import pwd
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.approvals import documents, people
from ansible.module_utils.pmsops.approvals import plan as plans
from ansible.module_utils.pmsops.approvals.consent import Consent
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.repository import signing

NOW = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
FACTS = {
    "server": "7398",
    "database": "pms",
    "set": "2026-11-22_0600",
    "manifest_sha256": "aa" * 32,
    "former": {"name": "pms", "oid": 100},
    "steps": ["stop api", "rename pms to a former database"],
}


class Team:
    """A system whose inventory demands two people, and the keys of three."""

    def __init__(self, folder):
        self.root = folder / "evidence"
        self.keys = {name: folder / f"{name}.key" for name in ("Ana", "Bruno", "Carla")}
        self.publics = {
            name: people.make_key(path, check=False)[1] for name, path in self.keys.items()
        }
        self.consent = Consent(
            evidence_root=self.root,
            demanded=True,
            system="prod",
            operator="Bruno",
            approvers=tuple(
                {"name": name, "public_key": self.publics[name]} for name in ("Ana", "Bruno")
            ),
            now=lambda: NOW,
        )
        self.plan = self.consent.plan(plans.SWAP, **FACTS)

    def approve(self, plan=None, *, by="Ana", at=NOW, approvers=None):
        """Approve as the second person's own command does."""
        known = people.of_options(approvers or self.consent.approvers)
        _, document = documents.approve(plan or self.plan, known, self.keys[by], at)
        return documents.keep_approval(self.root, document)

    def forge(self, *, by, at=NOW, plan=None):
        """Sign without the checks of the command, and put the file where a run looks."""
        plan = plan or self.plan
        document = {
            "schema_version": 1,
            "plan": plan,
            "plan_sha256": plans.sha256(plan),
            "signed_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "id": "ab" * 16,
        }
        key = signing.load_private(self.keys[by])
        return documents.keep_approval(self.root, signing.sign(document, key))

    def code(self, plan=None, consent=None):
        """Return the code with which a plan is refused, and that nothing was recorded."""
        before = len(ledger.records(self.root))
        with pytest.raises(OpsError) as refused:
            (consent or self.consent).use(plan or self.plan)
        assert len(ledger.records(self.root)) == before
        assert "Nothing was changed" in str(refused.value)
        return refused.value.code


@pytest.fixture
def team(tmp_path):
    return Team(tmp_path)


def test_nobody_is_asked_where_the_inventory_demands_nothing(tmp_path):
    off = Consent.from_options(None, tmp_path)
    assert off.use({}) == {} and off.require({}) is None and off.shown({}) is None
    assert list(tmp_path.iterdir()) == []


def test_an_approved_plan_is_done_once_and_the_ledger_says_by_whom(team):
    team.approve()
    done = team.consent.use(team.plan)
    (entry,) = ledger.records(team.root, "approval")
    assert done == {
        "ordered_by": "Bruno",
        "login": people.login(),
        "approved_by": "Ana",
        "decide_seconds": None,  # it was shown to nobody
        "approved_at": "2026-11-30T03:00:00Z",
        "approval_key": signing.key_id(base64.b64decode(team.publics["Ana"])),
        "plan_sha256": plans.sha256(team.plan),
    }
    assert done.items() <= entry["record"].items() and entry["record"]["plan"] == team.plan
    assert "document" not in done
    signed = entry["record"]["document"]  # as the ledger's line gives it back
    assert signing.valid_signer(signed) == done["approval_key"]
    assert (signed["plan"], signed["signed_at"]) == (team.plan, done["approved_at"])
    assert team.code() == "approval.used"
    team.approve()  # a second approval of the same plan
    assert team.consent.use(team.plan)["approved_by"] == "Ana"


def test_a_plan_without_approval_stops_with_the_command_for_the_second_person(team):
    with pytest.raises(OpsError) as refused:
        team.consent.require(team.plan)
    digest = plans.sha256(team.plan)
    assert refused.value.code == "approval.missing"
    assert f"pms-ops approve {digest} --key" in refused.value.remedy
    for part in ("database: pms", "set: 2026-11-22_0600", "ordered by: Bruno", digest):
        assert part in str(refused.value)
    assert documents.waiting(team.root, digest[:12]) == team.plan


def test_a_look_does_not_use_an_approval_up(team):
    team.approve()
    for _ in range(3):
        team.consent.require(team.plan)
        team.consent.shown(team.plan)
    assert team.consent.use(team.plan)


def test_the_key_of_nobody_does_not_count(team):
    team.forge(by="Carla")
    assert team.code() == "approval.unknown-key"
    with pytest.raises(OpsError) as refused:
        team.approve(by="Carla")
    assert refused.value.code == "approval.unknown-key"


def test_nobody_approves_their_own_plan(team):
    team.forge(by="Bruno")
    assert team.code() == "approval.own-plan"
    with pytest.raises(OpsError) as refused:
        team.approve(by="Bruno")
    assert refused.value.code == "approval.own-plan"


@pytest.mark.parametrize("operator", ["ana", " ANA ", "Ana"])
def test_a_name_written_otherwise_is_the_same_person(team, operator):
    consent = replace(team.consent, operator=operator)
    plan = consent.plan(plans.SWAP, **FACTS)
    team.forge(by="Ana", plan=plan)
    assert team.code(plan, consent) == "approval.own-plan"


def test_who_logged_in_as_themselves_cannot_approve_under_another_name(team):
    """One person with one key, who names somebody else as the operator."""
    login = {"login": people.login()}
    consent = replace(
        team.consent,
        approvers=({"name": "Ana", "public_key": team.publics["Ana"]} | login,),
    )
    team.forge(by="Ana")
    assert team.code(consent=consent) == "approval.own-plan"


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (NOW - timedelta(hours=1, seconds=1), "approval.expired"),
        (NOW - timedelta(days=400), "approval.expired"),
        (NOW + timedelta(seconds=6), "approval.future"),
        (NOW - timedelta(minutes=59), None),
        (NOW + timedelta(seconds=4), None),
    ],
)
def test_an_approval_holds_for_an_hour_from_its_signature(team, at, code):
    team.approve(at=at)
    if code:
        assert team.code() == code
    else:
        assert team.consent.use(team.plan)


@pytest.mark.parametrize("field", ["operation", "system", "ordered_by", "login", "ledger", *FACTS])
def test_a_plan_that_changed_in_one_field_has_no_approval(team, field):
    team.approve()
    other = team.plan | {field: "another"}
    code = team.code(other)
    # Of another operation or database, it is another plan and no changed one.
    assert code == (
        "approval.missing" if field in ("operation", "database") else "approval.changed"
    )


def test_the_fields_that_changed_are_named(team):
    team.approve()
    with pytest.raises(OpsError, match=r"in manifest_sha256, set; the approval is void"):
        team.consent.use(team.plan | {"set": "2026-11-23_0600", "manifest_sha256": "bb" * 32})


def test_the_approval_of_another_system_does_not_count_here(team):
    elsewhere = replace(team.consent, system="test")
    path = team.approve(elsewhere.plan(plans.SWAP, **FACTS))
    assert team.code() == "approval.changed"
    path.rename(path.with_name(plans.sha256(team.plan) + documents.APPROVAL))
    assert team.code() == "approval.altered"


def altered(change):
    def made(path):
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))

    return made


@pytest.mark.parametrize(
    "change",
    [
        altered(lambda each: each.update(signed_at="2026-11-30T02:59:00Z")),
        altered(lambda each: each.update(id="cd" * 16)),
        altered(lambda each: each.update(plan_sha256="0" * 64)),
        altered(lambda each: each["plan"].update(set="2026-11-23_0600")),
        altered(lambda each: each["signature"].update(value=base64.b64encode(b"x" * 64).decode())),
        altered(lambda each: each["signature"].update(public_key="AAAA")),
        altered(lambda each: each.pop("signature")),
        lambda path: path.write_text("{"),
        lambda path: path.write_text("[]"),
    ],
)
def test_a_file_that_was_altered_is_no_approval(team, change):
    change(team.approve())
    assert team.code() == "approval.altered"


def test_a_plan_that_was_altered_cannot_be_approved(team):
    with pytest.raises(OpsError):
        team.consent.require(team.plan)
    digest = plans.sha256(team.plan)
    path = team.root / "approvals" / f"{digest}.plan.json"
    altered(lambda plan: plan.update(set="2026-11-23_0600"))(path)
    with pytest.raises(OpsError) as refused:
        documents.waiting(team.root, digest)
    assert refused.value.code == "approval.plan-altered"
    for wanted in ("../x", "*", "", "ab", "0" * 64):
        with pytest.raises(OpsError) as refused:
            documents.waiting(team.root, wanted)
        assert refused.value.code == "approval.no-plan"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"scheduled": True}, "approval.scheduled"),
        ({"operator": ""}, "approval.no-operator"),
        ({"evidence_root": None}, "approval.no-ledger"),
        ({"approvers": ()}, "approval.approvers"),
    ],
)
def test_where_no_consent_can_be_had_the_run_is_refused(team, change, code):
    team.approve()
    assert team.code(consent=replace(team.consent, **change)) == code


@pytest.mark.parametrize(
    "entries",
    [
        [("Ana", "Ana"), ("ana ", "Bruno")],
        [("Ana", "Ana"), ("Bruno", "Ana")],
        [("", "Ana")],
    ],
    ids=["one name twice", "one key twice", "no name"],
)
def test_a_list_in_which_one_person_could_be_two_is_refused(team, entries):
    given = [{"name": name, "public_key": team.publics[key]} for name, key in entries]
    with pytest.raises(OpsError) as refused:
        people.of_options(given)
    assert refused.value.code == "approval.approvers"
    for text in ("", "AAAA", "not base 64"):
        with pytest.raises(OpsError, match="no Ed25519 key"):
            people.of_options([{"name": "Ana", "public_key": text}])


def test_a_private_key_that_others_can_read_signs_nothing(team):
    team.keys["Ana"].chmod(0o640)
    with pytest.raises(OpsError) as refused:
        team.approve()
    assert refused.value.code == "signing.key"
    team.keys["Ana"].unlink()
    with pytest.raises(OpsError) as refused:
        team.approve()
    assert refused.value.code == "approval.no-key"


def test_the_kernel_knows_who_logged_in_and_sudo_does_where_it_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr(people, "LOGIN_UID", tmp_path / "loginuid")
    monkeypatch.setenv("SUDO_USER", "maria")
    assert people.login() == "maria"
    (tmp_path / "loginuid").write_text(str(people.NOBODY))
    assert people.login() == "maria"
    (tmp_path / "loginuid").write_text(str(os.getuid()))
    assert people.login() == pwd.getpwuid(os.getuid()).pw_name


def waited(team: Team, *, at: datetime) -> float | None:
    """Approve at a moment and use that; return the seconds that the ledger's record says."""
    team.approve(at=at)
    late = replace(team.consent, now=lambda: at + timedelta(seconds=1))
    return late.use(team.plan)["decide_seconds"]


def test_the_time_from_the_plan_being_shown_to_its_approval_is_measured(tmp_path):
    team = Team(tmp_path)
    for seconds in (0, 100):  # ordered twice: it waits since the first time
        with pytest.raises(OpsError):
            replace(team.consent, now=lambda s=seconds: NOW + timedelta(seconds=s)).require(
                team.plan
            )
    assert waited(team, at=NOW + timedelta(seconds=420)) == 420.0
    assert ledger.records(team.root)[-1]["record"]["decide_seconds"] == 420.0
    # The same plan again, after its approval was used: it waits anew.
    with pytest.raises(OpsError) as caught:
        replace(team.consent, now=lambda: NOW + timedelta(seconds=1000)).require(team.plan)
    assert caught.value.code == "approval.used"
    assert waited(team, at=NOW + timedelta(seconds=1060)) == 60.0


def test_nobody_can_tell_how_long_a_plan_waited_that_was_approved_before_it_was_shown(tmp_path):
    team = Team(tmp_path)
    with pytest.raises(OpsError):
        team.consent.require(team.plan)
    assert waited(team, at=NOW - timedelta(seconds=3)) is None
    (tmp_path / "evidence" / "approvals").joinpath(f"{plans.sha256(team.plan)}.shown.json").unlink()
    assert documents.decide_seconds(team.root, {"plan": team.plan, "signed_at": "x"}) is None
