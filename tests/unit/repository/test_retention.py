# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from ansible.module_utils.pmsops.repository import manifest, retention, sets
from ansible.module_utils.pmsops.repository import moments as moments_note
from ansible.module_utils.pmsops.repository.retention import Candidate, Policy
from hypothesis import given
from hypothesis import strategies as st

from tests.support.backup_sets import make_set

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOTHING = Policy(last=0, daily=0, weekly=0, monthly=0)

moments = st.datetimes(
    min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1), timezones=st.just(UTC)
)
# Clocks that jump: any order, duplicates, years apart.
histories = st.lists(
    st.tuples(moments, st.booleans(), st.integers(0, 19).map(lambda n: n == 0)), max_size=40
).map(
    lambda rows: [
        Candidate(taken_at=moment, name=f"set-{number}", verified=verified, held=held)
        for number, (moment, verified, held) in enumerate(rows)
    ]
)
policies = st.builds(
    Policy,
    last=st.integers(0, 5),
    daily=st.integers(0, 5),
    weekly=st.integers(0, 5),
    monthly=st.integers(0, 5),
)


@given(histories, policies)
def test_the_newest_the_newest_verified_and_the_held_always_stay(history, policy):
    keep = retention.plan(history, policy)
    if history:
        assert max(history).name in keep
    proved = [candidate for candidate in history if candidate.verified]
    if proved:
        assert max(proved).name in keep
    assert {candidate.name for candidate in history if candidate.held} <= set(keep)


@given(histories, policies)
def test_a_run_right_after_a_run_deletes_nothing_more(history, policy):
    keep = retention.plan(history, policy)
    left = [candidate for candidate in history if candidate.name in keep]
    assert set(retention.plan(left, policy)) == set(keep)


@given(histories, policies, moments)
def test_an_unverified_newcomer_never_pushes_a_verified_set_out(history, policy, moment):
    before = retention.plan(history, policy)
    after = retention.plan([*history, Candidate(moment, "newcomer")], policy)
    newest_proved = max((c for c in history if c.verified), default=None)
    assert newest_proved is None or newest_proved.name in after
    # A verified set that stood for a period still stands for it, unless newer periods came.
    for candidate in history:
        reasons = before.get(candidate.name, [])
        if candidate.verified and "daily" in reasons and moment.date() == candidate.taken_at.date():
            assert candidate.name in after


@given(histories, policies)
def test_a_more_generous_policy_keeps_whatever_a_meaner_one_keeps(history, policy):
    more = Policy(policy.last + 1, policy.daily + 1, policy.weekly + 1, policy.monthly + 1)
    assert set(retention.plan(history, policy)) <= set(retention.plan(history, more))


def test_each_day_week_and_month_keeps_its_newest_set():
    history = [
        Candidate(NOON - timedelta(hours=6 * number), f"{number}", verified=True)
        for number in range(400)
    ]
    keep = retention.plan(history, Policy(last=2, daily=3, weekly=2, monthly=2))
    assert keep["0"] == ["the newest", "the newest verified", "last", "daily", "weekly", "monthly"]
    assert [name for name, why in keep.items() if "daily" in why] == ["0", "3", "7"]
    assert [name for name, why in keep.items() if "last" in why] == ["0", "1"]
    assert len(keep) == 6


def test_a_policy_of_nothing_still_keeps_the_last_proof():
    history = [
        Candidate(NOON - timedelta(days=2), "proved", verified=True),
        Candidate(NOON - timedelta(days=1), "older"),
        Candidate(NOON, "newest"),
    ]
    assert set(retention.plan(history, NOTHING)) == {"proved", "newest"}


def test_no_history_needs_no_plan():
    assert retention.plan([], NOTHING) == {}


def test_retention_reads_no_manifest_twice(tmp_path, monkeypatch):
    """Each backup parsed the manifests of all sets, each of megabytes: issue 18, A37."""
    for day in ("21", "22"):
        make_set(tmp_path / "b", tmp_path / "keys", f"2026-11-{day}_0600")
    (tmp_path / "b" / sets.STATE).mkdir()
    read, plain = [], manifest.read
    monkeypatch.setattr(manifest, "read", lambda folder: read.append(folder.name) or plain(folder))
    first = retention.candidates(tmp_path / "b", keep_moments=True)
    assert len(first) == len(read) == 2
    make_set(tmp_path / "b", tmp_path / "keys", "2026-11-23_0600")
    assert retention.candidates(tmp_path / "b", keep_moments=True)[:2] == first
    assert read[2:] == ["2026-11-23_0600"]
    # One that was written anew is read anew, and a damaged one is left out as before.
    changed = tmp_path / "b/2026-11-22_0600/manifest.json"
    changed.chmod(0o600)
    changed.write_text("{}")
    assert [each.name for each in retention.candidates(tmp_path / "b")] == [
        "2026-11-21_0600",
        "2026-11-23_0600",
    ]
    (tmp_path / "b" / sets.STATE / "moments.json").write_text("[damaged")
    assert len(retention.candidates(tmp_path / "b")) == 2


def test_a_set_stays_as_long_as_a_set_of_the_pms_has_it_as_a_part(tmp_path):
    root, keys = tmp_path / "backups", tmp_path / "keys"
    others = root / sets.OTHERS / "dagster_storage"
    for day in (20, 21, 22):
        make_set(others, keys, f"2026-11-{day}_0600")
    part = {"kind": "database", "database": "dagster_storage", "set": "2026-11-20_0600"}
    main = make_set(root, keys, "2026-11-20_0601", parts={"dagster": part})
    assert [path.name for path in retention.expired(others, NOTHING)] == ["2026-11-21_0600"]
    retention.remove(main)
    assert [path.name for path in retention.expired(others, NOTHING)] == [
        "2026-11-20_0600",
        "2026-11-21_0600",
    ]


def test_what_a_set_refers_to_is_noted_where_an_older_release_noted_the_moment_alone(tmp_path):
    root, keys = tmp_path / "backups", tmp_path / "keys"
    part = {"kind": "database", "database": "dagster_storage", "set": "2026-11-20_0600"}
    folder = make_set(root, keys, "2026-11-20_0601", parts={"dagster": part})
    sets.state_folder(root)
    stat = (folder / manifest.NAME).stat()
    old = {"file": [stat.st_size, stat.st_mtime_ns, stat.st_ino], "at": "2026-11-20T06:00:00Z"}
    (root / sets.STATE / moments_note.NAME).write_text(json.dumps({folder.name: old}))
    assert moments_note.Moments(root).refers_to(folder) == {"dagster_storage": "2026-11-20_0600"}
    retention.candidates(root, keep_moments=True)
    noted = json.loads((root / sets.STATE / moments_note.NAME).read_text())
    assert noted[folder.name]["refers_to"] == {"dagster_storage": "2026-11-20_0600"}
