# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ed25519 signatures of ledger lines.

A signed line is its body, one JSON object, with ``signature`` as the last field. Signed are the
bytes of ``pms-ops ledger line 1``, a line feed, and the SHA-256 of the body in hex. The body names
the hash of the line before, so a signature covers all lines up to its own. No manifest begins with
these words: the key of sets cannot have signed a line, nor a key of ledgers a set.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PURPOSE = b"pms-ops ledger line 1\n"
_FIELD = b',"signature":'
_LAST = re.compile(_FIELD + rb"(\{[^{}]*(?:\{[^{}]*\}[^{}]*)?\})\}\Z")
_PARTS = {"key", "value"}


@dataclass(frozen=True)
class Signed:
    """One signature: the line, its body, the id of the key, the value in Base64."""

    line: int
    body: bytes
    key: str
    value: str


def split(line: bytes) -> tuple[bytes, dict[str, Any] | None]:
    """Return the body of a line, and its signature, None where it has none.

    :raises ValueError: if the signature has another form.
    """
    found = _LAST.search(line)
    if found is None:
        return line, None
    signature = json.loads(found[1])
    for part in (signature, signature.get("successor", signature)):
        strings = isinstance(part, dict) and all(isinstance(part.get(key), str) for key in _PARTS)
        if not strings or not set(part) <= _PARTS | {"successor"}:
            raise ValueError("no signature of a ledger line")
    return line[: found.start()] + b"}", signature


def join(body: bytes, signature: dict[str, Any]) -> bytes:
    """Return the line of a body and its signature."""
    text = json.dumps(signature, sort_keys=True, separators=(",", ":")).encode()
    return body[:-1] + _FIELD + text + b"}"


def signed_bytes(body: bytes) -> bytes:
    """Return the bytes that are signed for a body."""
    return PURPOSE + hashlib.sha256(body).hexdigest().encode()


def key_id_of(public_key: str) -> str | None:
    """Return the id of a public key in Base64, None where it is none."""
    try:
        return hashlib.sha256(base64.b64decode(public_key, validate=True)).hexdigest()
    except ValueError:
        return None


def sign(body: bytes, key: Ed25519PrivateKey) -> dict[str, str]:
    """Return the signature of a body."""
    from ansible.module_utils.pmsops.repository import signing

    return {
        "key": signing.key_id(signing.raw_public(key)),
        "value": base64.b64encode(key.sign(signed_bytes(body))).decode(),
    }


def wrong(signed: list[Signed], publics: dict[str, str]) -> list[int]:
    """Return the lines whose signature does not fit.

    :raises ImportError: where the package cryptography is missing.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    known = {}
    found = []
    for each in signed:
        try:
            if each.key not in known:
                raw = base64.b64decode(publics[each.key], validate=True)
                known[each.key] = Ed25519PublicKey.from_public_bytes(raw)
            value = base64.b64decode(each.value, validate=True)
            known[each.key].verify(value, signed_bytes(each.body))
        except (InvalidSignature, ValueError, KeyError):
            found.append(each.line)
    return sorted(set(found))
