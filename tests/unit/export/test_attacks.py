# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Attacks on an export, by a stranger and by somebody who has the ledger's key: each is named.

A stranger alters the zip. The insider alters what lies on the host, or the zip and signs it anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.evidence import audit, deficiencies, ledger, ledger_keys
from ansible.module_utils.pmsops.export import bundle, verify_script
from ansible.module_utils.pmsops.incidents import lifecycle
from ansible.module_utils.pmsops.incidents import record as incidents

from tests.support import exported
from tests.support.exported import NOW

AT = datetime(2026, 5, 6, 11, tzinfo=UTC)
RUN = "2026-05-06_110000"
LINES = verify_script.LINES


def fund_of(root):
    """Return a fund with a set, a run, an incident, and a deficiency that is closed."""
    fund = exported.Fund(root)
    fund.append("backup", {"set": "a"}, AT - timedelta(days=5))
    exported.write_run(fund.evidence, RUN, at=AT, text="go")
    begun, _known = incidents.begin(
        fund.evidence, "redis", title="Redis", symptoms=[], began_at=AT + timedelta(hours=1)
    )
    ended = AT + timedelta(hours=1, minutes=6)
    incidents.end(begun.folder, "recovered", facts={}, checks=[], verified_at=ended, now=ended)
    fund.append("incident", lifecycle.ledger_content(incidents.read(begun.folder)), ended)
    request = deficiencies.Request("A disk is small", "Ana", "2026-06-10", "80 %", "Maria")
    later = AT + timedelta(days=1)
    new, _known = deficiencies.open_new(fund.evidence, request, now=later, keys=fund.keys)
    later += timedelta(days=1)
    with audit.given({}):
        fund.append("backup", {"set": "b"}, later)
    options = {"by": "Ana", "keys": fund.keys, "now": later + timedelta(hours=1)}
    deficiencies.close(fund.evidence, new["id"], "b", **options)
    return fund


@pytest.fixture(scope="module")
def fund(tmp_path_factory):
    return fund_of(tmp_path_factory.mktemp("fund"))


@pytest.fixture(scope="module")
def files(fund):
    with zipfile.ZipFile(fund.export()) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def own(tmp_path):
    return fund_of(tmp_path / "own")


def packed(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def said_of(path, capsys, *keys):
    code = verify_script.main([str(path), *(word for key in keys for word in ("--key", key))])
    said = capsys.readouterr().out
    assert code == verify_script.BROKEN, said
    return said


def test_what_nobody_attacked_is_whole(fund, capsys):
    assert verify_script.main([str(fund.export()), "--key", fund.key]) == verify_script.WHOLE
    said = capsys.readouterr().out
    assert "whole: " in said
    assert "note: nothing of this export left the machine: no anchor, no time stamp" in said


# --- a stranger, who has the zip and no key


def hashed_anew(files):
    """Return the files with a manifest that fits them again; nobody can sign it."""
    manifest = json.loads(files["manifest.json"])
    for name, entry in manifest["files"].items():
        content = files[name]
        entry |= {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    signature = json.loads(files["signature.json"])
    signature["manifest_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    written = json.dumps(signature, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    return files | {"manifest.json": text.encode(), "signature.json": written.encode()}


def removed(lines):
    del lines[3]


def swapped(lines):
    lines[3], lines[4] = lines[4], lines[3]


def cut(lines):
    del lines[-1]


def back_dated(lines):
    entry = json.loads(lines[3])
    lines[3] = lines[3].replace(entry["at"].encode(), b"2026-05-01T11:00:00.000000Z")


def doubled(lines):
    lines.append(lines[-1])


ATTACKS = {
    removed: "line 4 carries the number 5: one was removed, added or moved",
    swapped: "line 4 carries the number 5: one was removed, added or moved",
    cut: "lines are missing after line",
    back_dated: "line 4 was changed: line 5 refers to another content",
    doubled: "was added: the manifest counts",
}


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize(("attack", "why"), ATTACKS.items(), ids=[e.__name__ for e in ATTACKS])
def test_a_stranger_who_alters_lines_is_named_by_line(
    fund, files, tmp_path, capsys, attack, why, anew
):
    lines = files[LINES].splitlines()
    attack(lines)
    altered = files | {LINES: b"".join(each + b"\n" for each in lines)}
    altered = hashed_anew(altered) if anew else altered
    said = said_of(packed(tmp_path / "x.zip", altered), capsys, fund.key)
    assert why in said
    other = "manifest.json or signature.json was changed" if anew else f"{LINES} was altered"
    assert other in said


@pytest.mark.parametrize("name", ["sets.json", "report.html", f"records/{RUN}/report.html"])
def test_a_file_that_was_changed_with_the_manifest_is_named_by_the_signature(
    fund, files, tmp_path, capsys, name
):
    altered = hashed_anew(files | {name: files[name] + b" "})
    said = said_of(packed(tmp_path / "x.zip", altered), capsys, fund.key)
    assert "manifest.json or signature.json was changed after it was signed" in said


def test_a_stranger_who_takes_over_the_ledger_with_a_key_of_his_own_is_asked_for_it(
    own, tmp_path, capsys
):
    """A lost key is replaced without its signature: the new one has to be vouched for."""
    known = own.key
    with ledger.writing(own.evidence) as tail:
        key = ledger_keys.newest_or_new(tmp_path / "theirs")
        from ansible.module_utils.pmsops.evidence.signer import Signer

        tail.begin(Signer(key), "replaced", {"why": "lost"}, NOW)
    shutil.rmtree(own.keys)
    shutil.copytree(tmp_path / "theirs", own.keys)
    said = said_of(own.export(), capsys, known)
    assert "none of those given: a new machine took over there" in said


# --- somebody who has the ledger's key


def test_an_incident_whose_folder_was_removed_on_the_host_is_named(own, capsys):
    (folder,) = (own.evidence / "incidents").glob("2*")
    shutil.rmtree(folder)
    found = bundle.write(own.request(), now=NOW)
    assert found["problems"] == [f"incidents/{folder.name}/incident.json is missing"]
    said = said_of(found["path"], capsys, own.key)
    assert f"incidents/{folder.name}/incident.json is missing, and line 4 is about it" in said


def rewritten(fund, name, **changed):
    """Alter the record of a new run before its line is written."""
    at = AT + timedelta(days=9)
    exported.write_run(fund.evidence, name, at=at, text="go", recorded=False)
    path = fund.evidence / name / "record.json"
    document = json.loads(path.read_text()) | {"run": name} | changed
    path.write_text(json.dumps(document))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    line = {"run": name, "verdict": "go", "partial": False, "record_sha256": digest}
    fund.append("gate", line, at)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (
            {"written_at": "2026-05-02T11:00:00Z"},
            "says that it was written at 2026-05-02T11:00:00Z",
        ),
        ({"run": "2026-05-02_110000"}, "is of the run 2026-05-02_110000"),
        ({"verdict": "no-go"}, "says verdict no-go"),
        ({"partial": True}, "says partial True"),
    ],
)
def test_a_record_that_is_dated_back_or_says_otherwise_than_its_line_is_named(
    own, capsys, changed, why
):
    name = "2026-05-15_110000"
    rewritten(own, name, **changed)
    said = said_of(own.export(), capsys, own.key)
    assert f"records/{name}/record.json {why}" in said and "line 8" in said


def test_a_line_whose_block_was_written_at_another_time_is_named(own, capsys):
    with audit.given({}):
        record = audit.added("drill", {"set": "b", "proved": True}, AT)
    own.append("drill", record, AT + timedelta(days=9))
    said = said_of(own.export(), capsys, own.key)
    assert "line 8 is dated 2026-05-15T11:00:00" in said
    assert "and its record was written at 2026-05-06T11:00:00Z" in said


def test_an_incident_that_is_dated_back_is_named(own, capsys):
    began = AT + timedelta(days=7)
    begun, _known = incidents.begin(own.evidence, "disk", title="Disk", symptoms=[], began_at=began)
    incidents.end(begun.folder, "recovered", facts={}, checks=[], verified_at=began, now=began)
    content = lifecycle.ledger_content(incidents.read(begun.folder))
    own.append("incident", content, AT + timedelta(days=9))
    said = said_of(own.export(), capsys, own.key)
    assert f"incidents/{begun.id}/incident.json says that it was closed at 2026-05-13" in said


def test_a_deficiency_that_is_closed_by_another_line_than_it_names_is_named(own, capsys):
    closed = {"act": "closed", "id": "D-5", "closed_by": "Ana"}
    shown = {"line": 6, "kind": "backup", "sha256": "ab" * 32, "at": "2026-05-08T11:00:00Z"}
    own.append("deficiency", closed | {"record": shown}, AT + timedelta(days=9))
    said = said_of(own.export(), capsys, own.key)
    assert "line 8 closes D-5 by line 6, of which it has another SHA-256" in said
    assert "line 7 closes" not in said


def test_a_line_that_is_newer_than_the_export_is_named(own, capsys):
    own.append("backup", {"set": "c"}, NOW + timedelta(days=1))
    said = said_of(own.export(), capsys, own.key)
    assert "line 8 is dated 2027-01-11T12:00:00" in said and "after the export was made" in said
