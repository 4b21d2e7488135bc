# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gate runs as in-toto statements of the type ``test-result``, in DSSE envelopes.

Statement, predicate, envelope and signature are made by the packages of these standards:
in-toto-attestation and securesystemslib. Where a host lacks them, the export has no statements and
says why. A running system has no digest, so the subject of a statement is the run's record.

Source: in-toto attestation framework, spec/predicates/test-result.md, version 0.1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible.module_utils.pmsops.evidence import verdicts
from ansible.module_utils.pmsops.export import contents, gate_results

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FOLDER = "attestations"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
PAYLOAD = "application/vnd.in-toto+json"
MISSING = "this host lacks the packages in-toto-attestation and securesystemslib"


def add(found: contents.Contents, key: Ed25519PrivateKey) -> str:
    """Add a signed statement of each run that came to a verdict; return why there is none."""
    try:
        import in_toto_attestation.v1.statement  # noqa: F401
        import securesystemslib.dsse  # noqa: F401
    except ImportError:
        return MISSING
    made = 0
    for name, content in sorted(found.files.items()):
        if not (name.startswith(f"{contents.RECORDS}/") and name.endswith("/record.json")):
            continue
        predicate = predicate_of(_read(content))
        if predicate is not None:
            run = name.split("/")[1]
            signed = envelope(statement(name, content, predicate), key)
            found.files[f"{FOLDER}/{run}.dsse.json"] = contents.written(signed)
            made += 1
    found.files[f"{contents.KEYS}/signer.pem"] = _pem(key)
    return "" if made else "no run of the period came to a verdict"


def predicate_of(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the predicate of a run; None where it came to no verdict."""
    found = gate_results.of(record)
    if found.result is None:
        return None
    return {
        "result": found.result,
        "configuration": _configuration(record),
        "passedTests": found.tests[gate_results.PASSED],
        "warnedTests": found.tests[gate_results.WARNED],
        "failedTests": found.tests[gate_results.FAILED],
    }


def statement(name: str, content: bytes, predicate: Mapping[str, Any]) -> bytes:
    """Return the statement about a record, checked by the package that made it."""
    from google.protobuf import json_format
    from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
    from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
    from in_toto_attestation.v1.statement import Statement

    subject = ResourceDescriptor(name=name, digest={"sha256": hashlib.sha256(content).hexdigest()})
    told = json_format.ParseDict(dict(predicate), test_result_pb2.TestResult())
    made = Statement([subject.pb], PREDICATE, json_format.MessageToDict(told))
    made.validate()
    return json.dumps(json_format.MessageToDict(made.pb), sort_keys=True).encode()


def envelope(payload: bytes, key: Ed25519PrivateKey) -> dict[str, Any]:
    """Return the signed envelope; the id of its key is the one of the ledger."""
    from ansible.module_utils.pmsops.evidence import ledger_keys
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner, SSlibKey

    public = SSlibKey.from_crypto(key.public_key(), keyid=ledger_keys.identity(key)["key"])
    made = Envelope(payload, PAYLOAD, {})
    made.sign(CryptoSigner(key, public))
    found: dict[str, Any] = made.to_dict()
    return found


def _configuration(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the run went by: the checklist, and the code where its digest was measured."""
    audit = record.get("audit")
    code = audit.get("code") if isinstance(audit, dict) else None
    digests = {
        "checklist": record.get("checklist_sha256"),
        "pms-ops": code.get("sha256") if isinstance(code, dict) else None,
    }
    return [
        {"name": name, "digest": {"sha256": digest}}
        for name, digest in digests.items()
        if isinstance(digest, str) and digest != verdicts.NOT_MEASURED
    ]


def _read(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _pem(key: Ed25519PrivateKey) -> bytes:
    """Return the public half in the form that other tools read."""
    from cryptography.hazmat.primitives import serialization

    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
