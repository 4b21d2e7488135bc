# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""An anchor by RFC 3161: an authority signs the hash of the ledger's last line, and the time.

The token is kept beside the ledger. It needs no trust in this machine: whoever has the authority's
certificate checks it, also with ``openssl ts -verify -digest <head> -in <token>``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.pmsops.anchors.way import Statement, failed, unreadable
from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence.anchor_notes import Pin

if TYPE_CHECKING:
    from rfc3161_client import TimeStampResponse
    from rfc3161_client.verify import Verifier

SUFFIX = ".tsr"
_NAME = re.compile(r"(\d+)-[0-9a-f]{12}")
_HEADERS = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class TimeStamp:
    """An authority. *ca_file* has its root certificates in PEM, *folder* the tokens."""

    name: str
    url: str
    ca_file: Path
    folder: Path
    seconds: float = 30

    def send(self, statement: Statement) -> dict[str, Any]:
        """Ask for a time stamp, check it, and keep it."""
        _require_package()
        from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

        request = (
            TimestampRequestBuilder()
            .data(statement.last_line)
            .hash_algorithm(HashAlgorithm.SHA256)
            .nonce(nonce=True)
            .cert_request(cert_request=True)
            .build()
        )
        content = self._ask(request.as_bytes())
        response = self._decoded(content)
        if not self._fits(self._verifier(request.nonce), response, statement.pin.sha256):
            raise failed(self.name, "the time stamp is not one that its authority signed for this")
        files.make_private_folder(self.folder)
        path = self.folder / f"{statement.pin.lines}-{statement.pin.sha256[:12]}{SUFFIX}"
        files.replace(path, content, mode=0o644)
        return {"token": path.name, "serial": str(response.tst_info.serial_number)}

    def pins(self) -> list[Pin]:
        """Return the heads of the tokens that the authority signed."""
        _require_package()
        verifier, found = self._verifier(None), []
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            name = _NAME.fullmatch(path.stem)
            response = self._decoded(path.read_bytes())
            digest = response.tst_info.message_imprint.message.hex()
            if name is None or not self._fits(verifier, response, digest):
                raise unreadable(self.name, f"{path.name} is not one that its authority signed")
            found.append(Pin(int(name[1]), digest, response.tst_info.gen_time))
        return found

    def _ask(self, body: bytes) -> bytes:
        import requests

        try:
            answer = requests.post(self.url, data=body, headers=_HEADERS, timeout=self.seconds)
        except requests.RequestException as exc:
            raise failed(self.name, f"the authority did not answer ({type(exc).__name__})") from exc
        if answer.status_code != 200 or len(answer.content) > MOST_BYTES:
            raise failed(self.name, f"the authority answered {answer.status_code}")
        return answer.content

    def _decoded(self, content: bytes) -> TimeStampResponse:
        from rfc3161_client import decode_timestamp_response

        said: list[str] = []
        try:
            response = decode_timestamp_response(content)
            said = response.status_string
            _ = response.tst_info
        except ValueError as exc:
            why = "; ".join(said) or str(exc)
            raise failed(self.name, f"the authority sent no time stamp: {why}") from exc
        return response

    def _verifier(self, nonce: int | None) -> Verifier:
        from cryptography.x509 import load_pem_x509_certificates
        from rfc3161_client import VerifierBuilder

        try:
            roots = load_pem_x509_certificates(self.ca_file.read_bytes())
        except (OSError, ValueError) as exc:
            raise unreadable(self.name, f"{self.ca_file} has no certificates") from exc
        builder = VerifierBuilder()
        for each in roots:
            builder = builder.add_root_certificate(each)
        return (builder.nonce(nonce) if nonce is not None else builder).build()

    @staticmethod
    def _fits(verifier: Verifier, response: TimeStampResponse, digest: str) -> bool:
        from rfc3161_client import VerificationError

        try:
            return bool(verifier.verify(response, bytes.fromhex(digest)))
        except (VerificationError, ValueError):
            return False


def _require_package() -> None:
    """Check that the package is there.

    :raises OpsError: anchor.no-package
    """
    try:
        import rfc3161_client  # noqa: F401
    except ImportError as exc:
        raise OpsError(
            "This Python has no package rfc3161-client, so no time stamp can be asked for.",
            "Run make setup, and pms-ops prepare for managed hosts.",
            code="anchor.no-package",
        ) from exc
