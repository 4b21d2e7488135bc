# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the verifier compares beside the manifest: an owner can write any manifest, and sign it."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.evidence import ledger_keys
from ansible.module_utils.pmsops.export import bundle, contents, verify_script
from ansible.module_utils.pmsops.incidents import record as incidents
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support import exported
from tests.support.exported import NOW, outside, unpack

RUN = "2026-05-06_110000"
RECORD, STATEMENT = f"records/{RUN}/record.json", f"attestations/{RUN}.dsse.json"
CHECKLIST = "c1" * 32
STRANGER = Ed25519PrivateKey.from_private_bytes(b"7" * 32)


@pytest.fixture(scope="module")
def fund(tmp_path_factory):
    """A fund with a run of a known checklist, and an incident that is closed."""
    fund = exported.Fund(tmp_path_factory.mktemp("fund"))
    at = datetime(2026, 5, 6, 11, tzinfo=UTC)
    fund.append("backup", {"set": "x"}, at - timedelta(days=5))
    check = {"id": "infra.disk", "title": "Disk", "section": "infra", "severity": "blocker"}
    results = [check | {"status": "pass"}]
    exported.write_run(
        *(fund.evidence, RUN), at=at, text="go", checklist_sha256=CHECKLIST, results=results
    )
    begun, _known = incidents.begin(
        fund.evidence, "redis", title="Redis is down", symptoms=[], began_at=at
    )
    options = {"facts": {}, "checks": [], "verified_at": at + timedelta(minutes=5)}
    incidents.end(begun.folder, "recovered", now=at + timedelta(minutes=6), **options)
    (begun.folder / "incident.md").write_text("# Redis is down")
    digest = hashlib.sha256((begun.folder / incidents.NAME).read_bytes()).hexdigest()
    ended = at + timedelta(minutes=6)
    fund.append("incident", {"incident": begun.id, "incident_sha256": digest}, ended)
    return fund


@pytest.fixture(scope="module")
def files(fund):
    pytest.importorskip("in_toto_attestation.v1.statement")
    pytest.importorskip("securesystemslib.dsse")
    with zipfile.ZipFile(fund.export(backup_root=fund.root / "sets")) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def said(fund, files, tmp_path, capsys):
    """A function: what the verifier says of an export that its owner altered and signed anew."""

    def verify(altered, status=verify_script.BROKEN):
        listed = {k: v for k, v in altered.items() if k not in ("manifest.json", "signature.json")}
        manifest = json.loads(files["manifest.json"])
        own = ledger_keys.load(fund.key, [fund.keys])[0]
        (tmp_path / "x.zip").write_bytes(bundle.sealed(listed, manifest, own))
        code = verify_script.main([str(tmp_path / "x.zip"), "--key", fund.key])
        found = capsys.readouterr().out
        assert code == status, found
        return found

    return verify


def checklist_of(files):
    return next(name for name in files if name.startswith("checklists/"))


def renamed(document):
    """Return a checklist with the name that belongs to it."""
    content = contents.written(document)
    return {f"checklists/{hashlib.sha256(content).hexdigest()}.json": content}


def test_what_the_owner_signs_anew_unaltered_is_whole(files, said):
    assert "whole: " in said(files, verify_script.WHOLE)


# --- checklists


def test_an_auditor_can_compute_the_name_of_a_checklist(files):
    name = checklist_of(files)
    assert name == f"checklists/{hashlib.sha256(files[name]).hexdigest()}.json"
    about = json.loads(files[name])
    assert about["checklist_sha256"] == CHECKLIST
    assert [each["id"] for each in about["checks"]] == ["infra.disk"]
    lines = [json.loads(line) for line in files[verify_script.LINES].splitlines()]
    gates = [each["record"]["checklist_sha256"] for each in lines if each["kind"] == "gate"]
    assert gates == [CHECKLIST]


def test_a_checklist_under_another_name_is_named(files, said):
    content = files[checklist_of(files)]
    others = {k: v for k, v in files.items() if v != content}
    name = f"checklists/{CHECKLIST}.json"
    assert f"{name} is not named by its own SHA-256" in said(others | {name: content})


def test_a_checklist_with_a_check_less_than_its_run_is_named(files, said):
    about = json.loads(files[checklist_of(files)]) | {"checks": []}
    others = {k: v for k, v in files.items() if not k.startswith("checklists/")}
    assert "has other checks than each record of its checklist" in said(others | renamed(about))


def test_a_checklist_that_no_run_had_is_named(files, said):
    about = json.loads(files[checklist_of(files)]) | {"checklist_sha256": "d2" * 32}
    assert "has other checks than each record of its checklist" in said(files | renamed(about))


def test_a_checklist_that_was_left_out_is_named(files, said):
    others = {k: v for k, v in files.items() if not k.startswith("checklists/")}
    assert f"checklists/ has no file of the checklist {CHECKLIST}" in said(others)


def test_a_line_that_names_another_checklist_than_the_record_of_its_run_is_named(tmp_path):
    fund = exported.Fund(tmp_path)
    fund.append("backup", {"set": "x"}, NOW)
    at = datetime(2026, 5, 6, 11, tzinfo=UTC)
    exported.write_run(
        fund.evidence, RUN, at=at, checklist_sha256=CHECKLIST, results=[], recorded=False
    )
    digest = hashlib.sha256((fund.evidence / RUN / "record.json").read_bytes()).hexdigest()
    line = {"run": RUN, "record_sha256": digest, "checklist_sha256": "d2" * 32}
    fund.append("gate", line, at)
    code, said = outside(unpack(fund.export(), tmp_path / "b"))
    assert code == verify_script.BROKEN
    assert f"line 3 names another checklist than {RECORD}" in said


# --- keys


def test_a_pem_of_another_key_is_named(fund, files, said):
    pem = STRANGER.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    told = said(files | {"keys/signer.pem": pem})
    assert f"keys/signer.pem is not the same key as keys/{fund.key}.pub" in told


def test_a_public_key_that_no_line_brings_is_named(files, said):
    about = ledger_keys.identity(STRANGER)
    name = f"keys/{about['key']}.pub"
    told = said(files | {name: f"{about['public_key']} pms-ops ledger\n".encode()})
    assert f"{name} is a key that no line of the ledger brings" in told


# --- statements


def envelope(files, **changed):
    return {STATEMENT: contents.written(json.loads(files[STATEMENT]) | changed)}


def test_a_statement_that_was_altered_after_it_was_signed_is_named(files, said):
    payload = base64.b64decode(json.loads(files[STATEMENT])["payload"])
    other = base64.b64encode(payload.replace(b"PASSED", b"WARNED")).decode()
    told = said(files | envelope(files, payload=other))
    assert f"{STATEMENT} was changed after it was signed" in told


def test_a_statement_of_another_type_than_was_signed_is_named(files, said):
    told = said(files | envelope(files, payloadType="text/plain"))
    assert f"{STATEMENT} was changed after it was signed" in told


def test_a_statement_without_a_signature_is_named(files, said):
    assert f"{STATEMENT} has no signature" in said(files | envelope(files, signatures=[]))


def test_a_statement_that_a_stranger_signed_is_named(files, said):
    about = json.loads(files[STATEMENT])
    payload = base64.b64decode(about["payload"])
    kind = about["payloadType"].encode()
    value = STRANGER.sign(b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload))
    key = ledger_keys.identity(STRANGER)["key"]
    signed = [{"keyid": key, "sig": base64.b64encode(value).decode()}]
    told = said(files | envelope(files, signatures=signed))
    assert f"{STATEMENT} is signed by key {key}, not by " in told


def test_a_statement_under_the_name_of_another_run_is_named(files, said):
    other = "attestations/2026-05-07_110000.dsse.json"
    told = said(files | {other: files[STATEMENT]})
    assert f"{other} is about something else than records/2026-05-07_110000/record.json" in told


def test_what_is_no_envelope_is_named(files, said):
    told = said(files | {STATEMENT: b"[]"})
    assert f"{STATEMENT} is no signed statement in a DSSE envelope" in told


# --- files with the manifest only


@pytest.mark.parametrize("ending", ["incident.md", "sets.json", "report.html", "README.txt"])
def test_a_file_that_only_the_manifest_knows_is_named_when_it_was_altered(
    files, tmp_path, capsys, ending
):
    name = next(each for each in files if each.endswith(ending))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for each, content in files.items():
            archive.writestr(each, content + b" " if each == name else content)
    assert verify_script.main([str(tmp_path / "x.zip")]) == verify_script.BROKEN
    assert f"{name} was altered: its SHA-256 is not the manifest's" in capsys.readouterr().out


def test_the_help_names_each_kind_of_file_each_status_and_what_whole_does_not_mean(files, capsys):
    with pytest.raises(SystemExit):
        verify_script.main(["--help"])
    told = capsys.readouterr().out
    missing = [each for each in {name.split("/")[0] for name in files} if each not in told]
    assert missing == []
    for status in range(verify_script.NOT_COMPARED + 1):
        assert f"\n  {status}  " in told
    assert "`whole` means" in told and "Figures of the report" in told
