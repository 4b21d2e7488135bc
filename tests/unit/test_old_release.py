# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What today's users have on disk was written by an older release: this one has to read it."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from datetime import UTC, datetime

import jsonschema
import pytest
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.export import bundle, verify_script
from ansible.module_utils.pmsops.export.period import Period
from ansible.module_utils.pmsops.postgresql import timescaledb_postponed_jobs as postponed

from tests.conftest import PROJECT
from tests.support import old_release as frozen

NOBODY = {
    "access": "host", "host": "127.0.0.1", "port": 9, "name": frozen.LIVE, "user": "nobody",
    "password": "x",
}  # fmt: skip
STEPS = {
    *("aside", "proved", "swap", "stop services", "rename", "open", "workers", "start services"),
    *("probe", "back", "not swapped"),
}
CORRECTION = {
    "position_id": 1, "instrument": "USDBRL", "direction": "SHORT", "notional_brl": 1, "price": 5,
}  # fmt: skip


@pytest.fixture
def old(tmp_path):
    """A copy of all that the release left."""
    for name in ("backups", "keys", "evidence", "schedule"):
        frozen.copy(name, tmp_path / name)
    return tmp_path


def places(old):
    return {"root": str(old / "backups"), "keys": str(old / "keys")}


def schema(name):
    text = (PROJECT / "docs" / "schemas" / name).read_text()
    return jsonschema.Draft202012Validator(json.loads(text))


def status(old):
    return frozen.done(
        "pms_status", backup_root=str(old / "backups"), evidence_root=str(old / "evidence")
    )["status"]


# --- The fixtures hold what they are kept for -----------------------------------------------------


def test_they_hold_both_schemas_and_all_steps_and_marks_and_no_secret():
    manifests = [json.loads((each / "manifest.json").read_bytes()) for each in frozen.sets()]
    assert [each["schema_version"] for each in manifests] == [1, 2, 2]
    assert ["fingerprint_formula" in each for each in manifests] == [False, True, True]
    assert {each["dump"]["format"] for each in manifests} == {"directory", "custom"}
    journals = [json.loads(each.read_bytes()) for each in frozen.RELEASE.glob("**/restore.json")]
    assert {each["step"] for each in journals} == STEPS
    comments = [
        each["comment"]
        for scene in frozen.RELEASE.glob("*/*/scene.json")
        for each in json.loads(scene.read_bytes())["databases"]
        if each["comment"]
    ]
    comments += [each["comment"] for each in frozen.read("marked", "scene.json")["databases"]]
    marks = [json.loads(each.removeprefix("pms-ops: ")) for each in comments if "pms-ops: " in each]
    assert {each["is"] for each in marks} == {"copy", "former", "undone"}
    keys = {"is", "of", "since", "step", "set", "replaced_by", "read_only", "state", "comment"}
    assert set().union(*marks) == keys | {"manifest_sha256"}
    text = b"".join(path.read_bytes() for path in frozen.RELEASE.rglob("*") if path.is_file())
    assert b"PRIVATE KEY" not in text
    assert b"/tmp/" not in text


# --- Sets -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_manifest_is_what_the_published_schema_says(number):
    document = json.loads((frozen.sets()[number] / "manifest.json").read_bytes())
    assert [each.message for each in schema("manifest.schema.json").iter_errors(document)] == []


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_the_newest_sound_set_is_chosen_with_the_public_key_alone(old, kept):
    """Signature, every file and the proof of each set, the older ones where the newer are gone."""
    names = [each.name for each in frozen.sets()]
    for name in names[kept:]:
        (old / "backups" / name).rename(old / name)
    found = frozen.done("pms_sets_info", database=NOBODY, **places(old))
    assert (found["id"], found["verified"], found["passed_over"]) == (names[kept - 1], True, [])


def test_a_changed_set_is_passed_over(old):
    newest, before = [each.name for each in frozen.sets()][:0:-1]
    path = old / "backups" / newest / "manifest.json"
    path.chmod(0o600)
    path.write_text(path.read_text().replace('"rows": 9', '"rows": 8', 1))
    found = frozen.done("pms_sets_info", database=NOBODY, verified=False, **places(old))
    assert found["id"] == before
    assert newest in found["passed_over"][0]


def test_a_key_that_is_not_trusted_is_named(old):
    (trusted,) = (old / "keys" / "trusted").iterdir()
    trusted.unlink()
    found = frozen.call("pms_sets_info", database=NOBODY, **places(old))
    assert trusted.stem in json.dumps(found)


def test_a_hold_is_known(old):
    held = frozen.sets()[0].name
    reason = frozen.read("backups", held, "hold.json")["reason"]
    asked = {"set": str(old / "backups" / held), "reason": reason}
    assert not frozen.done("pms_hold", **asked)["changed"]


# --- Locks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lock", "module", "more"),
    [
        ("backups/.pms-ops/backup.lock", "pms_backup", {}),
        ("backups/.pms-ops/restore.lock", "pms_restore", {}),
        ("backups/.pms-ops/restore.lock", "pms_swap", {"state": "recovered"}),
        ("evidence/incidents/book.lock", "pms_position", CORRECTION),
    ],
)
def test_a_run_of_the_old_release_keeps_this_one_out(old, lock, module, more):
    asked = more | {"database": NOBODY}
    if module == "pms_position":
        asked |= {"evidence_root": str(old / "evidence"), "api": {"url": "http://127.0.0.1:9"}}
    elif module == "pms_swap":
        asked |= {"root": str(old / "backups")}
    else:
        asked |= places(old)
    with (old / lock).open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        found = frozen.call(module, **asked)
        assert found["code"] == "lock.held"
        assert "on pms-host since 2026-" in found["msg"]  # what the old release wrote there
    assert frozen.call(module, **asked)["code"] != "lock.held"


def test_jobs_that_a_killed_backup_postponed_are_put_back(tmp_path):
    """The Apache edition has no such job, so this file is made by hand as 0.1.0 wrote it."""
    assert postponed.JOURNAL == "postponed-jobs.json"
    path = tmp_path / "postponed-jobs.json"
    path.write_text('{"1000": "2026-11-29T04:00:00+00:00"}\n')
    moved = {}

    class Catalogue:
        def move(self, job, start):
            moved[job] = start

    assert postponed.undo(Catalogue(), path) == [1000]
    assert moved == {1000: datetime(2026, 11, 29, 4, tzinfo=UTC)}
    assert not path.exists()


# --- Evidence -------------------------------------------------------------------------------------


def test_the_ledger_is_whole_and_goes_on(old):
    root = old / "evidence"
    head = frozen.read("evidence", "ledger.head")
    found = frozen.done("pms_ledger", evidence_root=str(root), head=head["sha256"][:12])
    assert (found["problems"], found["lines"]) == ([], head["lines"])
    assert found["sha256"] == head["sha256"]
    assert "killed writer" in " ".join(found["notes"])
    added = frozen.done("pms_ledger", evidence_root=str(root), kind="backup", record={"set": "x"})
    assert (added["line"], added["problems"]) == (head["lines"] + 1, [])
    script = [sys.executable, str(PROJECT / "scripts" / "verify_ledger.py"), str(root)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_changed_line_of_the_ledger_shows(old):
    path = old / "evidence" / "ledger.jsonl"
    path.write_text(path.read_text().replace("41.2", "31.2"))
    found = frozen.done("pms_ledger", evidence_root=str(path.parent))
    assert "line 3 was changed" in found["problems"][0]


def test_status_sees_what_was_done(old):
    found = status(old)
    newest = frozen.sets()[-1]
    record = frozen.read("evidence", "latest", "record.json")
    assert found["sets"] == len(frozen.sets())
    assert found["newest_set"]["id"] == newest.name
    assert found["newest_set"]["problem"] is None
    verified_at = frozen.read("backups", newest.name, "verified.json")["verified_at"]
    assert found["newest_set"]["verified_at"] == verified_at
    assert (found["gate"]["run"], found["gate"]["verdict"]) == (record["run"], "go")
    assert (found["drill"]["set"], found["drill"]["rto_seconds"]) == (newest.name, 41.2)
    assert found["ledger"]["problems"] == []
    assert [each["id"].split("_")[2] for each in found["incidents"]] == ["position"]


def test_a_new_run_is_compared_with_the_old_one(old):
    """History, comparison and waivers of the ledger, as the next run's record has them."""
    before = frozen.read("evidence", "latest", "record.json")
    record = schema("record.schema.json")
    assert [each.message for each in record.iter_errors(before)] == []
    gate = {name: before[name] for name in (
        *("title", "verdict", "exit_code", "partial", "started_at", "duration_seconds"),
        *("checklist_sha256", "counts", "blocking", "sections", "results"),
    )}  # fmt: skip
    gate["results"] = [
        each | {"status": "fail"} if each["id"] == "disk" else each for each in gate["results"]
    ]
    evidence, backups = str(old / "evidence"), str(old / "backups")
    written = frozen.done("pms_evidence", evidence_root=evidence, backup_root=backups, gate=gate)
    assert written["previous"]["run"] == before["run"]
    assert [each["id"] for each in written["previous"]["worse"]] == ["disk"]
    history = json.loads((old / "evidence" / "latest" / "record.json").read_bytes())["history"]
    assert [each["verdict"] for each in history["runs"]] == ["no-go", "go"]
    assert [each["id"] for each in history["backups"]] == [each.name for each in frozen.sets()]
    assert all(each["verified_at"] and each["rows"] for each in history["backups"])
    assert [each["set"] for each in history["drills"]] == [frozen.sets()[-1].name]
    lines = (old / "evidence" / "ledger.jsonl").read_text()
    assert lines.count('"kind":"waiver"') == 1  # the old release has told of it already


def test_an_open_incident_goes_on_and_ends(old):
    about = {
        "evidence_root": str(old / "evidence"),
        "scenario": "position",
        "subject": {"position_id": 1},
    }
    found = frozen.done("pms_incident", **about, state="found")
    assert found["id"].split("_")[2] == "position"
    assert [each["action"] for each in found["actions"]] == ["Looked at it"]
    opened = frozen.done("pms_incident", **about, state="open", title="Again")
    assert (opened["id"], opened["resumed"]) == (found["id"], True)
    closed = frozen.done("pms_incident", **about, state="closed", facts={"cause": "A typing error"})
    assert closed["page"]
    assert status(old)["incidents"] == []
    other = about | {"scenario": "redis", "subject": {}}
    assert frozen.done("pms_incident", **other, state="found")["id"] is None  # it was closed


# --- Schedule and notifications -------------------------------------------------------------------


def test_the_schedule_s_record_goes_on(old):
    jobs = frozen.read("schedule.json")["jobs"]
    state = old / "schedule"
    recorded = frozen.read("schedule", "status.json")["jobs"]
    folders = {"state_dir": str(state), "metrics_dir": str(state / "metrics")}
    found = frozen.done("pms_schedule", **folders, jobs=jobs)
    assert found["jobs"] == {each["name"]: each["fresh_until"] for each in recorded}
    assert not found["changed"]
    more = [*jobs, jobs[0] | {"name": "another"}]
    assert frozen.done("pms_schedule", **folders, jobs=more)["changed"]
    kept = json.loads((state / "status.json").read_bytes())["jobs"]
    assert kept[: len(recorded)] == recorded


@pytest.mark.parametrize(("source", "told"), [("drill", True), ("backup", False)])
def test_the_end_of_a_failure_that_the_old_release_told_is_told(old, source, told):
    event = {"kind": "recovery", "source": source, "summary": "It works again."}
    desk = {"name": "desk", "type": "webhook", "url": "http://127.0.0.1:9"}
    state = {"channels": [desk], "state_dir": str(old / "schedule")}
    assert frozen.done("pms_notify", check=True, **event, **state)["told"] is told


def test_its_evidence_is_exported_and_whole_for_an_outsider(old, capsys):
    """The verifier compares more than that release wrote: what is not there must not be a fault."""
    now = datetime(2026, 12, 1, tzinfo=UTC)
    root, keys = old / "evidence", old / "today"
    ledger.append(root, "backup", {"set": "x"}, now=now, keys=keys)
    request = bundle.Request(root, Period.parse("2026-01-01", "2026-12-31"), keys, system="old")
    found = bundle.write(request, now=now)
    assert found["problems"] == []
    assert verify_script.main([found["path"], "--key", found["key"]]) == verify_script.WHOLE
    assert "12 of them from 2026-01-01 to 2026-12-31" in capsys.readouterr().out
