# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The status: read from folders alone, with the overdue work, most urgent first."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pms_status
import pytest
from ansible.module_utils.pmsops.common import process_lock, timestamps
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.evidence import ledger, restores, run_record, status
from ansible.module_utils.pmsops.repository import protection, set_parts, sets
from ansible.module_utils.testing import patch_module_args

from tests.support.backup_sets import make_set
from tests.support.gates import broken, item, run

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def roots(tmp_path):
    """The folders of backups and evidence, empty."""
    (tmp_path / "backups").mkdir()
    (tmp_path / "evidence").mkdir()
    return tmp_path / "backups", tmp_path / "evidence"


def collect(roots, now=NOW, **options):
    return status.collect(*roots, now=now, **options)


def due(found):
    return [each["what"] for each in found["due"]]


def healthy(roots, tmp_path):
    """Leave a verified set, a drill that verified it and a gate with the verdict go."""
    folder = make_set(roots[0], tmp_path / "keys", "2026-11-23_0600")
    sets.mark_verified(folder, {"rows": 1})
    drill = {"set": folder.name, "proved": True, "rto_seconds": 41.0}
    ledger.append(roots[1], "drill", drill, now=NOW - HOUR)
    run_record.write(run(item("a")), run_record.Options(roots[1]), now=NOW)
    return folder


def test_an_empty_host_is_due_for_everything(roots):
    found = collect(roots)
    assert due(found) == [
        "there is no backup set",
        "no drill was run yet",
        "no go-live checklist was run yet",
    ]
    assert (found["newest_set"], found["drill"], found["gate"]) == (None, None, None)


def test_a_healthy_host_is_due_for_nothing(roots, tmp_path):
    healthy(roots, tmp_path)
    found = collect(roots)
    assert found["due"] == []
    assert found["newest_set"]["age_seconds"] == 6 * 3600
    assert (found["drill"]["proved"], found["gate"]["verdict"]) == (True, "go")
    assert found["ledger"]["problems"] == []


def test_each_is_due_again_after_its_own_time(roots, tmp_path):
    healthy(roots, tmp_path)
    limits = status.Limits(backup_hours=1, drill_hours=0.5, gate_hours=2)
    found = collect(roots, NOW + 3 * HOUR, limits=limits)
    assert due(found) == [
        "the newest set is 9 h old",
        "the last drill is 4 h old",
        "the last gate is 3 h old",
    ]


def test_a_damaged_ledger_and_an_open_incident_come_first(roots, tmp_path):
    healthy(roots, tmp_path)
    path = roots[1] / "ledger.jsonl"
    path.write_text(path.read_text().replace("41.0", "14.0"))
    incident = roots[1] / "incidents" / "2026-11-23_1100_database"
    incident.mkdir(parents=True)
    found = collect(roots)
    assert "the ledger is damaged" in due(found)[0]
    assert due(found)[-1] == "incident 2026-11-23_1100_database is open"


@pytest.mark.parametrize(
    ("record", "is_open"),
    [
        ({"closed_at": "2026-11-23T11:30:00Z"}, False),
        ({"state": "recovered"}, False),
        ({"status": "contained"}, True),
        ({}, True),
        (["damaged"], True),
        (None, True),
    ],
    ids=str,
)
def test_an_incident_is_open_until_its_record_says_otherwise(roots, record, is_open):
    folder = roots[1] / "incidents" / "2026-11-23_1100_redis"
    folder.mkdir(parents=True)
    if record is not None:
        (folder / "incident.json").write_text(json.dumps(record))
    assert bool(collect(roots)["incidents"]) is is_open


def test_a_set_that_cannot_be_read_or_is_not_verified_is_due(roots, tmp_path):
    folder = make_set(roots[0], tmp_path / "keys", "2026-11-23_0600")
    assert any("is not verified by a drill" in text for text in due(collect(roots)))
    (folder / "manifest.json").chmod(0o600)
    (folder / "manifest.json").write_text("{")
    assert any("cannot be read" in text for text in due(collect(roots)))


def test_the_parts_of_the_newest_set_are_told(roots, tmp_path):
    part = set_parts.entry(
        set_parts.FILES, count=2, read_at="2026-11-23T06:00:04Z", left_out=["/pms/.env: a secret"]
    )
    parts = {"compose": part, "redis": set_parts.not_taken(set_parts.REDIS, "it hangs")}
    make_set(roots[0], tmp_path / "keys", "2026-11-23_0600", parts=parts)
    said = lines(collect(roots))
    assert said["  part compose"] == "2 files of 2026-11-23T06:00:04Z, 1 left out"
    assert said["  part redis"] == "NOT TAKEN, it hangs"


def test_what_a_restore_would_refuse_is_due_with_its_remedy(roots, tmp_path):
    folder = healthy(roots, tmp_path)
    path = folder / "manifest.json"
    document = json.loads(path.read_text())
    finding = {"object": "COLUMN public.c.n", "what": "has nulls.", "remedy": "Set them."}
    path.chmod(0o600)
    for trial in (
        {"status": "refused", "reason": None, "findings": [finding]},
        {"status": "not run", "reason": "the disk is full", "findings": []},
    ):
        path.write_text(json.dumps(document | {"trial": trial}))
        sets.mark_verified(folder, {"rows": 1})
        found = collect(roots)
        assert found["newest_set"]["trial"] == trial
        (each,) = found["due"]
        if trial["reason"]:
            assert each["what"].endswith("was not tried in full: the disk is full")
        else:
            assert each == {
                "what": f"set {folder.name} would not restore: COLUMN public.c.n has nulls.",
                "next": "Set them.",
            }


def test_a_failed_drill_and_a_no_go_are_due(roots, tmp_path):
    healthy(roots, tmp_path)
    ledger.append(roots[1], "drill", {"set": "x", "proved": False}, now=NOW)
    run_record.write(run(broken("a")), run_record.Options(roots[1]), now=NOW + HOUR)
    texts = due(collect(roots, NOW + 2 * HOUR))
    assert texts[0] == "the last drill failed"
    assert "was a no-go" in texts[1]


def test_what_runs_now_is_read_from_its_progress_file(roots):
    state = roots[0] / sets.STATE
    state.mkdir()
    (state / "backup.progress").write_text("no json")
    with process_lock.exclusive(state / "backup.lock", "backup"):
        assert collect(roots)["running"] == "a backup, which does not say how far it is"
    with (
        process_lock.exclusive(state / "restore.lock", "restore"),
        Progress(state / "restore.progress").phase("indexes", total=4, unit="done"),
    ):
        assert collect(roots)["running"].startswith("a restore: indexes")
    assert collect(roots)["running"] is None, "the progress file of a killed run is no run"


def test_the_progress_of_a_killed_run_does_not_pass_for_a_running_one(roots):
    with Progress(roots[0] / sets.STATE / "restore.progress").phase("indexes"):
        assert collect(roots)["running"] is None


def lines(found):
    said = {}
    status.describe(found, lambda name, text: said.update({name: text}))
    return said


def test_a_drill_says_what_its_negative_control_changed(roots, tmp_path):
    healthy(roots, tmp_path)
    control = {"outcome": "found", "kind": "deleted row", "table": "public.fund", "seed": 7}
    drill = {"set": "s", "proved": True, "rto_seconds": 41.0, "negative_control": control}
    ledger.append(roots[1], "drill", drill, now=NOW)
    assert lines(collect(roots))["last drill"] == (
        "0 s ago, verified set s in 41 s; negative control found (deleted row in public.fund)"
    )


def test_a_broken_proof_of_a_drill_is_due_and_no_failure_of_the_set(roots, tmp_path):
    healthy(roots, tmp_path)
    control = {"outcome": "not found", "kind": "swapped pair", "table": "public.fund", "seed": 7}
    drill = {"set": "s", "proved": False, "broken": True, "negative_control": control}
    ledger.append(roots[1], "drill", drill, now=NOW)
    found = collect(roots)
    assert "the last drill had a broken proof, which says nothing about the set" in due(found)
    assert "negative control not found (swapped pair in public.fund)" in lines(found)["last drill"]


def test_people_read_a_line_for_each_subject(roots, tmp_path):
    healthy(roots, tmp_path)
    said = lines(collect(roots))
    assert said["newest set"].startswith("2026-11-23_0600, 6 h old, of unknown size, verified ")
    assert said["last drill"] == "60 min ago, verified set 2026-11-23_0600 in 41 s"
    assert said["last gate"] == "GO, 0 s ago; negative control found (a)"
    assert said["ledger"].endswith("chain intact")
    assert said["incidents"] == "none open"


def test_people_read_what_is_wrong(roots, tmp_path):
    found = collect(roots)
    found["drill"] = {"set": "s", "proved": False, "rto_seconds": None, "age_seconds": 60}
    found["gate"] = {"verdict": "no-go", "blocking": ["a", "b"], "age_seconds": None}
    found["running"] = "a backup: dump"
    found["ledger"] |= {"lines": 3, "problems": ["line 2 was changed"]}
    found["newest_set"] = {
        "id": "s",
        "age_seconds": 3 * 86400,
        "size_bytes": 1 << 20,
        "verified_at": None,
        "parts": {},
    }
    said = lines(found)
    assert "not verified" in said["newest set"] and "3 d old" in said["newest set"]
    assert said["last drill"] == "1 min ago, failed"
    assert said["last gate"] == "NO-GO: a, b, unknown ago"
    assert said["ledger"] == "3 lines, DAMAGED"
    assert said["running"] == "a backup: dump"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "unknown"),
        (-3, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172800, "2 d"),
    ],
)
def test_an_age_has_one_unit(seconds, text):
    assert timestamps.age(seconds) == text


@pytest.mark.parametrize(
    ("stamp", "seconds"), [("2026-11-23T11:00:00", 3600.0), ("yesterday", None), (None, None)]
)
def test_a_time_without_a_zone_is_utc_and_one_that_cannot_be_read_is_overdue(roots, stamp, seconds):
    written = run_record.write(run(item("a")), run_record.Options(roots[1]), now=NOW)
    path = Path(written["record"])
    path.write_text(json.dumps(json.loads(path.read_text()) | {"started_at": stamp}))
    found = collect(roots)
    assert found["gate"]["age_seconds"] == seconds
    assert ("the last gate is unknown old" in due(found)) is (seconds is None)


def test_the_module_reports_the_same_and_changes_nothing(roots, capsys):
    arguments = {"backup_root": str(roots[0]), "evidence_root": str(roots[1])}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        pms_status.main()
    found = json.loads(capsys.readouterr().out)
    assert found["changed"] is False
    assert [each["next"] for each in found["status"]["due"]] == [
        "pms-ops backup",
        "pms-ops drill",
        "pms-ops golive",
    ]


def test_a_restore_that_was_recorded_later_is_told_as_one(roots):
    """The playbook of a swap was killed; the next run found that the database had changed."""
    record = {
        "set": "2026-11-22_0600",
        "former": "pms__before_20261123093000",
        "swapped_at": "2026-11-23T09:30:00Z",
        "seen_later": True,
    }
    assert collect(roots)["replaced"] is None
    ledger.append(roots[1], "restore", record, now=NOW)
    found = collect(roots)
    said = {}
    status.describe(found, lambda name, text: said.update({name: text}))
    assert said["last restore"] == (
        "2 h ago by 2026-11-22_0600, former database pms__before_20261123093000;"
        " recorded later: its playbook had been killed"
    )
    undone = {"brought_back": "pms__before_1", "undone": "pms__undone_2"}
    ledger.append(roots[1], "rollback", undone, now=NOW)
    status.describe(collect(roots), lambda name, text: said.update({name: text}))
    assert said["last rollback"] == "0 s ago by pms__before_1, former database pms__undone_2"


def test_a_failed_restore_is_not_due_where_a_new_machine_brought_its_set(roots):
    """Who followed the status of a new machine would have lost all that was committed there."""

    def due():
        return [each["next"] for each in collect(roots)["due"] if "restore" in each["what"]]

    failed = {"set": "2026-11-22_0600", "outcome": "failed", "why": "role pms is missing"}
    ledger.append(roots[1], "host", {"set": "2026-11-22_0600"}, now=NOW)
    ledger.append(roots[1], "restore", failed, now=NOW)
    assert due() == ["pms-ops restore 2026-11-22_0600 --check"]
    ledger.append(roots[1], "host", {"set": "2026-11-21_0600", "moment": None}, now=NOW)
    assert due() == ["pms-ops restore 2026-11-22_0600 --check"]
    ledger.append(roots[1], "host", {"set": "2026-11-22_0600", "moment": None}, now=NOW)
    assert due() == []
    ledger.append(roots[1], "restore", failed, now=NOW)
    assert due() == ["pms-ops restore 2026-11-22_0600 --check"]
    by_moment = {"set": "2026-11-21_0600", "moment": "2026-11-22T09:00:00Z"}
    ledger.append(roots[1], "host", by_moment, now=NOW)
    assert due() == []


def test_a_restore_that_was_undone_or_failed_is_told_and_due(roots):
    """An undone restore left no line, and status said that nothing was due."""
    held = {"set": "2026-11-21_0600", "former": "pms__before_1"}
    ledger.append(roots[1], "restore", held, now=NOW)
    undone = {
        "set": "2026-11-22_0600",
        "outcome": "undone",
        "code": "restore.probe",
        "why": "The PMS did not work on the new database: the page is slow.",
    }
    ledger.append(roots[1], "restore", undone, now=NOW)
    found = collect(roots)
    said = {}
    status.describe(found, lambda name, text: said.update({name: text}))
    assert said["last restore"].endswith("by 2026-11-21_0600, former database pms__before_1")
    assert said["last try"].startswith("0 s ago, restore of 2026-11-22_0600 undone: The PMS did")
    (due,) = [each for each in found["due"] if "was undone" in each["what"]]
    assert due["next"] == "pms-ops restore 2026-11-22_0600 --check"
    assert "the page is slow" in due["what"]
    ledger.append(roots[1], "rollback", {"outcome": "failed", "why": "x" * 500}, now=NOW)
    (due,) = [each for each in collect(roots)["due"] if "rollback failed" in each["what"]]
    assert due["next"] == "pms-ops rollback --check"
    assert len(due["what"]) < 250
    ledger.append(roots[1], "restore", held, now=NOW)
    found = collect(roots)
    assert found["refused"] is None
    assert not [each for each in found["due"] if "restore" in each["what"]]
    ledger.append(roots[1], "restore", undone, now=NOW - timedelta(days=8))
    assert not [each for each in collect(roots)["due"] if "was undone" in each["what"]]


def test_another_database_of_the_server_is_due_by_itself_and_none_is_taken_for_the_other(
    roots, tmp_path
):
    """Dagster's database was in no set, and nothing said so: issue 18, A19."""
    healthy(roots, tmp_path)
    own = roots[0] / "other_databases" / "dagster_storage"
    own.mkdir(parents=True)
    found = collect(roots)
    assert due(found) == ["database dagster_storage: there is no backup set"]
    # Both were made in the same minute, so they have one name; the records tell them apart.
    folder = make_set(own, tmp_path / "keys", "2026-11-23_0600")
    of = {"set": folder.name, "other_database": "dagster_storage"}
    ledger.append(roots[1], "backup", of | {"root": str(own)}, now=NOW - HOUR)
    ledger.append(roots[1], "drill", of | {"proved": False}, now=NOW)
    ledger.append(roots[1], "restore", of, now=NOW)
    found = collect(roots)
    assert due(found) == [
        "database dagster_storage: set 2026-11-23_0600 is not verified by a drill"
    ]
    assert found["due"][0]["next"] == "pms-ops drill --database dagster_storage"
    assert found["drill"]["proved"] and found["replaced"] is None
    (folder / "manifest.json").unlink()
    assert [each["set"] for each in collect(roots)["missing_sets"]] == ["2026-11-23_0600"]


def test_former_tables_are_named_with_size_and_age_until_they_are_dropped(roots):
    """Nobody knew of the schemas that tables in place leave: issue 18, A18."""
    schema = "pms_ops_before_20261122221530"
    record = {"tables": ["public.book"], "former_schema": schema, "former_bytes": 81920}
    ledger.append(roots[1], "restore", record, now=NOW - 30 * HOUR)
    said = []
    status.describe(collect(roots), lambda *line: said.append(line))
    drop = f"pms-ops rollback --drop-tables {schema}"
    assert ("former tables", f"{schema}, 81.9 kB, 30 h old; {drop}") in said
    dropped = {"tables": [], "dropped_schemas": [schema]}
    ledger.append(roots[1], "restore", dropped, now=NOW)
    assert collect(roots)["former_tables"] == []


PROVED = {"set": "2026-11-23_0600", "proved": True, "rows": 7}
SEEN = {
    "at": "2026-11-23T11:50:00Z",
    "earliest": "2026-11-09T02:00:00Z",
    "latest": "2026-11-23T11:50:00Z",
    "gap": None,
    "missing": None,
    "backups": 15,
    "newest_backup": "2026-11-23T02:00:00Z",
    "lag_seconds": 0.0,
    "lag_bytes": 0,
    "active": True,
    "slot": "reserved",
    "slot_lost": False,
    "kept_bytes": 1 << 20,
    "canary": "2026-11-23T11:48:00Z",
    "unwitnessed": [],
    "problems": [],
}


def shown(found):
    lines = []
    status.describe(found, lambda name, text: lines.append(f"{name}: {text}"))
    return "\n".join(lines)


def test_without_continuous_protection_the_status_says_that_it_is_off(roots, tmp_path):
    healthy(roots, tmp_path)
    found = collect(roots)
    assert due(found) == [] and found["protection"] is None
    assert "any moment: off" in shown(found)


def test_the_window_of_moments_its_lag_its_slot_and_its_proof_are_shown(roots, tmp_path):
    healthy(roots, tmp_path)
    protection.write(roots[0], SEEN)
    ledger.append(roots[1], "proof", PROVED, now=NOW - HOUR)
    found = collect(roots, protects=True)
    assert due(found) == []
    text = shown(found)
    assert "any moment: 2026-11-09T02:00:00Z to 2026-11-23T11:50:00Z, seen 10 min ago" in text
    assert "stream: active, 0 s behind, 0 B, slot reserved" in text
    assert "last proof: 60 min ago, equal to set 2026-11-23_0600" in text


@pytest.mark.parametrize(
    ("seen", "proof", "words"),
    [
        (None, PROVED, "never seen"),
        (SEEN | {"problems": ["The slot is lost."]}, PROVED, "The slot is lost."),
        (SEEN | {"at": "2026-11-23T08:00:00Z"}, PROVED, "nobody looked"),
        (SEEN, None, "never proved"),
        (SEEN, PROVED | {"proved": False, "why": "a row differs"}, "failed: a row differs"),
    ],
    ids=["nothing seen", "a problem", "an old look", "no proof", "a failed proof"],
)
def test_what_is_wrong_with_continuous_protection_is_due(roots, tmp_path, seen, proof, words):
    healthy(roots, tmp_path)
    if seen:
        protection.write(roots[0], seen)
    if proof:
        ledger.append(roots[1], "proof", proof, now=NOW - HOUR)
    (what,) = due(collect(roots, protects=True))
    assert words in what
    assert due(collect(roots)) == []  # off


def test_a_proof_of_last_week_is_due_again(roots, tmp_path):
    healthy(roots, tmp_path)
    protection.write(roots[0], SEEN)
    ledger.append(roots[1], "proof", PROVED, now=NOW - 9 * 24 * HOUR)
    assert due(collect(roots, protects=True)) == ["the last proof of base backup and WAL is old"]


def test_times_without_a_witness_and_a_missing_segment_are_named(roots, tmp_path):
    healthy(roots, tmp_path)
    gap = ["2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z"]
    seen = SEEN | {"gap": "0000000100000002000000A1", "unwitnessed": [gap], "active": False}
    protection.write(roots[0], seen | {"lag_seconds": 7500.0})
    text = shown(collect(roots, protects=True))
    assert "WAL segment 0000000100000002000000A1 is missing" in text
    assert f"no witness: {gap[0]} to {gap[1]}" in text
    assert "stream: down, 2 h behind" in text
    protection.write(roots[0], seen | {"slot": None})
    assert "slot unknown" in shown(collect(roots, protects=True))


def test_the_restore_of_a_whole_server_is_the_last_restore(roots):
    """It was not seen: its number of tables was taken for the names of single ones."""
    record = {
        "whole_server": True,
        "incoming": "the whole server at 2026-11-22T06:00:00Z",
        "tables": 175,
        "kept_volume": "db_before_20261122060000",
        "down_seconds": 12.0,
    }
    ledger.append(roots[1], "restore", record, now=NOW)
    found = collect(roots)
    assert found["replaced"]["by"] == record["incoming"] and found["former_tables"] == []
    said = restores.describe(found["replaced"], "1 h")
    assert said.endswith(", former server db_before_20261122060000, PMS down for 12 s")
    failed = {"outcome": "failed", "code": "pitr.room", "why": "no room", "tables": 175}
    ledger.append(roots[1], "restore", failed, now=NOW)
    assert collect(roots)["refused"]["code"] == "pitr.room"


def test_former_servers_are_named_with_the_moment_from_which_they_may_go(roots):
    kept = {"volume": "db_before_1", "size_bytes": 1_200_000_000, "kept_at": "2026-11-20T06:00:00Z"}
    former = [kept | {"goes_at": "2026-12-04T06:00:00Z"}, kept | {"goes_at": None}]
    protection.write(roots[0], SEEN | {"former_servers": former})
    said: list[tuple[str, str]] = []
    status.describe(collect(roots, protects=True), lambda *line: said.append(line))
    lines = [text for name, text in said if name == "former server"]
    assert lines[0].startswith("db_before_1, 1.2 GB, kept 2026-11-20T06:00:00Z, goes 2026-12-04")
    assert lines[1].endswith(", stays; pms-ops rollback --drop-server db_before_1")
