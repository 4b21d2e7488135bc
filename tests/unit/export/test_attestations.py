# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs as in-toto statements: what the reference libraries read and verify of them."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import zipfile
from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.export import attestations, bundle
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.support import exported
from tests.support.exported import NOW

RUN = "2026-05-06_110000"


@pytest.fixture(scope="module")
def fund(tmp_path_factory):
    fund = exported.Fund(tmp_path_factory.mktemp("fund"))
    fund.append("backup", {"set": "x"}, datetime(2026, 5, 1, tzinfo=UTC))
    for name, verdict in ((RUN, "go"), ("2026-05-07_110000", "no-go"), ("2026-05-08_110000", "?")):
        at = datetime.strptime(name, "%Y-%m-%d_%H%M%S").replace(tzinfo=UTC)
        exported.write_run(fund.evidence, name, at=at, text=verdict)
    return fund


@pytest.fixture(scope="module")
def files(fund):
    libraries()
    with zipfile.ZipFile(bundle.write(fund.request(), now=NOW)["path"]) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def libraries():
    """Skip where the environment is older than these packages in the lock files."""
    reason = "run make setup: in-toto-attestation and securesystemslib came to requirements/"
    pytest.importorskip("in_toto_attestation.v1.statement", reason=reason)
    pytest.importorskip("securesystemslib.dsse", reason=reason)


def key_of(files, fund):
    from securesystemslib.signer import SSlibKey

    return SSlibKey.from_crypto(load_pem_public_key(files["keys/signer.pem"]), keyid=fund.key)


def envelope_of(files, run=RUN):
    from securesystemslib.dsse import Envelope

    return Envelope.from_dict(json.loads(files[f"attestations/{run}.dsse.json"]))


def test_the_reference_library_verifies_the_envelope_by_the_key_of_the_ledger(files, fund):
    envelope = envelope_of(files)
    assert envelope.payload_type == "application/vnd.in-toto+json"
    assert set(envelope.verify([key_of(files, fund)], 1)) == {fund.key}


def test_the_reference_library_refuses_an_altered_statement_and_a_foreign_key(files, fund):
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey

    envelope = envelope_of(files)
    stranger = Ed25519PrivateKey.generate().public_key()
    with pytest.raises(VerificationError):
        envelope.verify([SSlibKey.from_crypto(stranger, keyid=fund.key)], 1)
    envelope.payload = envelope.payload.replace(b"PASSED", b"FAILED")
    with pytest.raises(VerificationError):
        envelope.verify([key_of(files, fund)], 1)


def test_the_reference_library_reads_statement_and_predicate(files):
    from google.protobuf import json_format
    from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    payload = envelope_of(files).payload
    found = json_format.Parse(payload, statement_pb2.Statement())
    Statement.copy_from_pb(found).validate()
    assert found.predicate_type == attestations.PREDICATE
    record = f"records/{RUN}/record.json"
    digest = hashlib.sha256(files[record]).hexdigest()
    assert [(each.name, dict(each.digest)) for each in found.subject] == [
        (record, {"sha256": digest})
    ]
    predicate = json_format.ParseDict(
        json_format.MessageToDict(found.predicate), test_result_pb2.TestResult()
    )
    assert predicate.result == "PASSED"


def test_a_run_without_a_verdict_has_no_statement(files):
    named = sorted(name for name in files if name.startswith("attestations/"))
    assert named == [f"attestations/{RUN}.dsse.json", "attestations/2026-05-07_110000.dsse.json"]
    failed = json.loads(envelope_of(files, "2026-05-07_110000").payload)
    assert failed["predicate"]["result"] == "FAILED"


def test_the_verifier_of_the_export_covers_the_statements(files, fund, tmp_path):
    folder = exported.unpack(fund.export(), tmp_path / "b")
    assert exported.outside(folder, "--key", fund.key)[0] == 0
    path = folder / "attestations" / f"{RUN}.dsse.json"
    document = json.loads(path.read_bytes())
    document["payload"] = base64.b64encode(b"{}").decode()
    path.write_text(json.dumps(document))
    code, said = exported.outside(folder)
    assert code == 1 and f"attestations/{RUN}.dsse.json was altered" in said


def test_a_host_without_the_packages_says_so_and_exports_all_the_same(fund, monkeypatch):
    monkeypatch.setitem(sys.modules, "securesystemslib.dsse", None)
    monkeypatch.setitem(sys.modules, "in_toto_attestation.v1.statement", None)
    found = bundle.write(fund.request(), now=NOW)
    assert found["no_attestations"] == attestations.MISSING
    assert exported.manifest_of(found["path"])["no_attestations"] == attestations.MISSING


def result(name, status, severity="blocker"):
    return {"id": name, "status": status, "severity": severity}


@pytest.mark.parametrize(
    ("verdict", "results", "blocking", "expected", "tests"),
    [
        ("go", [result("a", "pass"), result("b", "attested")], [], "PASSED", ["a", "b"]),
        ("go", [result("a", "pass"), result("b", "waived")], [], "WARNED", ["a"]),
        ("go", [result("a", "pass"), result("b", "fail", "warning")], [], "WARNED", ["a"]),
        ("no-go", [result("a", "pass"), result("b", "unknown")], ["b"], "FAILED", ["a"]),
    ],
)
def test_what_was_waived_is_a_warning_and_what_blocks_is_a_failure(
    verdict, results, blocking, expected, tests
):
    record = {"verdict": verdict, "results": results, "blocking": blocking}
    found = attestations.predicate_of(record | {"checklist_sha256": "ab" * 32})
    assert (found["result"], found["passedTests"]) == (expected, tests)
    assert (found["failedTests"], found["warnedTests"]) == (
        blocking,
        [each["id"] for each in results if each["id"] not in (*tests, *blocking)],
    )
    assert found["configuration"] == [{"name": "checklist", "digest": {"sha256": "ab" * 32}}]


@pytest.mark.parametrize("verdict", ["broken", None, 7])
def test_a_gate_that_missed_its_negative_control_makes_no_statement(verdict):
    assert attestations.predicate_of({"verdict": verdict, "results": [], "blocking": []}) is None
