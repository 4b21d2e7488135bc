# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What may leave a site, and the signs that stop it: less, all new, a new key, a wrong clock."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.approvals import documents, people
from ansible.module_utils.pmsops.offsite import retention, signs
from ansible.module_utils.pmsops.offsite.copies import PITR, REPLACED, TRIAL, Copy, of_snapshot
from ansible.module_utils.pmsops.repository import site_notes
from ansible.module_utils.pmsops.repository.retention import Policy
from hypothesis import given
from hypothesis import strategies as st

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = "a" * 64
LAST = {"keep_last": 1, "keep_daily": 0, "keep_weekly": 0, "keep_monthly": 0}


def copy(day, **more):
    at = NOON + timedelta(days=day)
    facts = {
        "kind": "set",
        "set": f"set-{day}",
        "taken_at": at.isoformat(),
        "set_bytes": 10_000_000,
        "key": KEY,
        "read_bytes": 10_000_000,
        "new_bytes": 100_000,
    }
    return Copy(**{"snapshot": f"s{day}", "system": "fund", "at": at} | facts | more)


WEEK = [copy(day) for day in range(6)]


def test_a_usual_day_has_no_sign():
    assert signs.of_newest(WEEK) == []
    assert signs.of_newest(WEEK[:1]) == [] == signs.of_newest([])


def test_a_set_that_lost_a_third_is_a_sign():
    (found,) = signs.of_newest([*WEEK, copy(6, set_bytes=6_000_000)])
    assert "set-6 has 6" in found


def test_a_set_of_which_everything_changed_is_a_sign():
    (found,) = signs.of_newest([*WEEK, copy(6, new_bytes=9_900_000)])
    assert "everything changed" in found and "99%" in found


def test_a_system_that_always_changes_everything_has_no_such_sign():
    """Encrypted sets, or a format of one file, share nothing from day to day."""
    assert signs.of_newest([copy(day, new_bytes=10_000_000) for day in range(7)]) == []


def test_a_set_signed_by_a_key_that_signed_none_before_is_a_sign():
    (found,) = signs.of_newest([*WEEK, copy(6, key="b" * 64)])
    assert "bbbbbbbbbbbb" in found


def test_the_key_of_a_machine_that_took_over_is_expected_and_no_other_is():
    """The new machine's own key was a sign of ransomware, which its run accepted by itself."""
    own = signs.Machine("1" * 32, "b" * 64)
    mark = copy(6, kind=REPLACED, set="set-5", machine=own.id)
    first, second = copy(7, key=own.key), copy(8, key=own.key)
    assert signs.of_newest([*WEEK, mark, first], own=own) == []
    (line,) = signs.expected([*WEEK, mark, first], "", own)
    assert "bbbbbbbbbbbb" in line and "expected" in line
    assert signs.of_newest([*WEEK, mark, first, second], own=own) == []
    assert signs.expected([*WEEK, mark, first, second], "", own) == []
    for days, who in (
        ([mark, copy(7, key="c" * 64)], own),  # another's key
        ([mark, first, copy(8, key="c" * 64)], own),
        ([first], own),  # nobody took over
        ([mark, first], signs.Machine("2" * 32, own.key)),  # another machine did
        ([mark, copy(7), copy(8, key=own.key)], own),  # it had signed by another key since
    ):
        (found,) = signs.of_newest([*WEEK, *days], own=who)
        assert "signed none" in found
        assert signs.expected([*WEEK, *days], "", who) == []


def test_an_archive_of_base_backups_that_shrank_is_a_sign():
    archives = [copy(day, kind=PITR, set="", read_bytes=9_000_000 - day) for day in range(6)]
    lost = copy(6, kind=PITR, set="", read_bytes=2_000_000, new_bytes=0)
    (found,) = signs.of_newest([*WEEK, *archives, lost])
    assert "archive" in found
    assert signs.of_newest([*WEEK, *archives]) == []


def test_a_new_machine_raises_no_sign_but_by_what_begins_anew():
    """Its run accepted whatever sign stood, of a loss or of encryption, too."""
    own = signs.Machine("1" * 32, "b" * 64)
    mark = copy(6, kind=REPLACED, set="set-5", machine=own.id)
    archives = [copy(day, kind=PITR, set="", read_bytes=9_000_000) for day in range(6)]
    anew = copy(7, kind=PITR, set="", read_bytes=2_000_000, new_bytes=2_000_000)
    days = [*WEEK, *archives, mark]
    first = copy(7, key=own.key)
    assert signs.of_newest([*days, first, anew], own=own) == []
    (found,) = signs.of_newest([*days, copy(7, key=own.key, set_bytes=6_000_000), anew], own=own)
    assert "the one before it" in found
    (found,) = signs.of_newest([*days, copy(7, key=own.key, new_bytes=9_900_000), anew], own=own)
    assert "everything changed" in found
    gone = copy(8, kind=PITR, set="", read_bytes=1_000_000, new_bytes=0)
    (found,) = signs.of_newest([*days, first, anew, gone], own=own)
    assert "the archive of base backups has" in found
    other = signs.Machine("2" * 32, own.key)
    assert any("the archive" in line for line in signs.of_newest([*days, first, anew], own=other))


def test_the_second_copy_of_a_set_hides_no_sign_and_is_none():
    lost = copy(6, set_bytes=6_000_000)
    again = copy(6, set_bytes=6_000_000, snapshot="again", new_bytes=10, proved=True)
    assert len(signs.of_newest([*WEEK, lost, again])) == 1


def test_signs_that_somebody_accepted_stand_no_more_until_the_next_set():
    days = [*WEEK, copy(6, set_bytes=6_000_000)]
    assert signs.standing(days, {}) and not signs.standing(days, {"set-6": {}})
    later = [*days, copy(7, set_bytes=6_000_000), copy(8, set_bytes=1_000_000)]
    assert signs.standing(later, {"set-6": {}})


moments = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))
histories = st.lists(st.tuples(moments, moments, st.booleans()), max_size=30).map(
    lambda rows: [
        copy(number, taken_at=taken.isoformat(), at=at, proved=proved)
        for number, (taken, at, proved) in enumerate(rows)
    ]
)
policies = st.builds(Policy, *(st.integers(0, 4) for _ in range(4)))


@given(histories, policies)
def test_the_last_proved_set_stays_whatever_the_clocks_say(history, policy):
    gone = {each.set for each in retention.expired(history, policy)}
    if history:
        assert max(history, key=lambda each: (each.taken_at, each.set)).set not in gone
    proved = [each for each in history if each.proved]
    if proved:
        assert max(proved, key=lambda each: (each.taken_at, each.set)).set not in gone


def test_copies_of_a_set_go_together_trials_always_and_archives_by_number():
    archives = [copy(day, kind=PITR, set="", snapshot=f"p{day}") for day in range(9)]
    trial = copy(3, kind=TRIAL, set="", snapshot="t")
    odd = copy(0, set="odd", taken_at="yesterday", snapshot="odd")
    again = copy(0, snapshot="s0b", proved=True)
    kept = copy(5, proved=True)
    days = [odd, *WEEK[:5], again, kept, *archives, trial]
    gone = {each.snapshot for each in retention.expired(days, Policy(1, 0, 0, 0))}
    assert gone == {"s0", "s0b", "s1", "s2", "s3", "s4", "p0", "p1", "t"}


def test_copies_of_one_second_are_in_their_order():
    times = ["2026-11-22T12:00:00.9Z", "2026-11-22T12:00:00.100000002Z"]
    found = [
        of_snapshot({"id": "x", "hostname": "fund", "tags": ["pms-ops"], "time": text})
        for text in times
    ]
    assert found[0].at > found[1].at


def test_the_sets_of_another_database_have_a_retention_of_their_own():
    other = [copy(day, database="dagster", snapshot=f"d{day}") for day in range(3)]
    days = [*WEEK, *other]
    gone = [each.snapshot for each in retention.expired(days, Policy(1, 0, 0, 0), "dagster")]
    assert gone == ["d0", "d1"]


def test_tags_say_what_a_snapshot_holds_odd_names_too():
    wanted = copy(0, parts={"set": "/srv/back,ups = 1/x", "keys": "/k"}, proved=True, head="f")
    found = of_snapshot(
        {
            "id": "s0",
            "time": "2026-11-22T12:00:00.123456789Z",
            "hostname": "fund",
            "tags": wanted.tags(),
            "summary": {"total_bytes_processed": 10_000_000, "data_added_packed": 100_000},
        }
    )
    assert found == replace(wanted, at=NOON.replace(microsecond=123456))
    assert not any("," in tag for tag in wanted.tags())
    assert of_snapshot({"id": "x", "tags": ["mine"], "time": "x"}) is None


def prepare(fund, *days):
    for day in days:
        fund.make_set(f"2026-11-{day}_0600")
        fund.call("uploaded")


@pytest.fixture
def deleting(stocked, monkeypatch):
    options = stocked.options
    site = options()["repositories"][0] | {"deletes": True}
    monkeypatch.setattr(stocked, "options", lambda **more: options(repositories=[site], **more))
    return stocked


def test_old_copies_go_from_a_site_that_is_meant_to_let_them(deleting):
    prepare(deleting, 23, 24)
    runs = [deleting.site("pruned", **LAST, _ansible_check_mode=c) for c in (1, 0, 1, 0)]
    assert [each["changed"] for each in runs] == [True, True, False, False]
    assert runs[0]["removed"] == runs[1]["removed"] == ["2026-11-22_0600", "2026-11-23_0600"]


def test_no_copy_goes_without_the_second_person_and_another_list_of_copies_asks_again(deleting):
    prepare(deleting, 23)
    key = deleting.folder / "ana.key"
    _, public_key = people.make_key(key, check=False)
    given = [{"name": "Ana", "public_key": public_key}]
    root = Path(deleting.options()["evidence_root"])
    consent = {"required": True, "system": "fund", "operator": "Bruno", "approvers": given}

    def prune(check=False):
        (found,) = deleting.call(
            "pruned", **LAST, consent=consent, strict=False, _ansible_check_mode=check
        )["sites"]
        return found

    def approve():
        plan = documents.waiting(root, prune(check=True)["consent"]["sha256"])
        _, approval = documents.approve(plan, people.of_options(given), key, datetime.now(UTC))
        documents.keep_approval(root, approval)

    assert prune()["code"] == "approval.missing"
    approve()
    prepare(deleting, 24)  # one more copy would go
    assert prune()["code"] == "approval.changed"
    assert not [each for each in deleting.calls() if "forget" in each["argv"]]
    prune()
    approve()
    done = prune()
    assert done["approved_by"] == "Ana"
    assert done["removed"] == ["2026-11-22_0600", "2026-11-23_0600"]
    assert not prune()["changed"]  # nothing is left to remove, and nobody is asked


def test_a_site_that_is_not_meant_to_delete_is_not_asked(stocked):
    assert stocked.call("pruned", **LAST)["sites"] == []


# Of restic 0.18, and of 0.19
@pytest.mark.parametrize("status", [0, 3])
def test_a_site_that_only_adds_says_so_when_it_is_asked_to_delete(deleting, status):
    prepare(deleting, 23)
    refused = {"status": status, "said": "failed to remove one or more snapshots", "keep": True}
    deleting.fault("forget", refused)
    (deleting.repository / "append-only").touch()
    assert deleting.call("pruned", **LAST)["code"] == "offsite.append-only"


def test_a_sign_stops_the_retention_until_a_person_accepts_it(deleting):
    prepare(deleting, 23)
    (deleting.folder / "keys" / "signing.key").unlink()
    prepare(deleting, 24)
    note = site_notes.read(deleting.root)["sites"]["vault"]["upload"]
    assert "signed by key" in note["signs"][0]
    found = deleting.call("pruned", **LAST)
    assert found["code"] == "offsite.signs" and "signed by key" in found["msg"]
    deleting.call("accepted", reason="the key was changed")
    assert site_notes.assess(deleting.root, ["vault"])[0]["signs"] == []
    assert deleting.site("pruned", **LAST)["removed"]
    assert site_notes.read(deleting.root)["accepted"]["2026-11-24_0600"]["reason"]


def test_a_copy_of_the_future_stops_each_act_until_a_person_says_that_the_clock_is_right(deleting):
    prepare(deleting, 23)
    path = sorted(deleting.repository.glob("*.snapshot"))[-1]
    document = json.loads(path.read_text())
    document["time"] = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    path.write_text(json.dumps(document))
    deleting.make_set("2026-11-24_0600")
    there = len(list(deleting.repository.glob("*.snapshot")))
    for state in ("pruned", "uploaded", "tried"):
        found = deleting.call(state, **LAST if state == "pruned" else {})
        assert found["code"] == "offsite.clock" and "newest copy of site vault" in found["msg"]
    assert len(list(deleting.repository.glob("*.snapshot"))) == there
    (known,) = site_notes.assess(deleting.root, ["vault"])
    assert not known["current"] and known["errors"]["upload"]["code"] == "offsite.clock"
    deleting.call("accepted", reason="the clock was a day ahead, and was set right")
    found = deleting.site("uploaded")
    assert found["ok"] and "clock" in found["warning"]
    (known,) = site_notes.assess(deleting.root, ["vault"])
    assert known["current"] and known["errors"]["clock"]["code"] == "offsite.clock"
    assert deleting.site("pruned", **LAST)["removed"] == ["2026-11-22_0600", "2026-11-23_0600"]


def test_a_set_stays_on_the_site_as_long_as_a_copy_of_a_set_refers_to_it():
    """The part of the set that a new machine takes would be gone."""
    others = [copy(day, database="dagster_storage", set=f"d-{day}") for day in range(4)]
    mine = copy(1, refers_to={"dagster_storage": "d-1"})
    snapshot = {"id": "s1", "hostname": "fund", "time": "2026-11-23T12:00:00Z", "tags": mine.tags()}
    assert of_snapshot(snapshot).refers_to == {"dagster_storage": "d-1"}
    policy = Policy(last=1, daily=0, weekly=0, monthly=0)
    gone = retention.expired([*others, mine], policy, "dagster_storage")
    assert [each.set for each in gone] == ["d-0", "d-2"]
    gone = retention.expired([*others, copy(1)], policy, "dagster_storage")
    assert [each.set for each in gone] == ["d-0", "d-1", "d-2"]
