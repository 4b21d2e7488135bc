# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ed25519 signatures over manifests: they prove who made a set, and that it is unchanged.

The private key lies in ``<keys>/signing.key``; ``<keys>/trusted/<key id>.pub`` are the keys
whose sets are accepted. A key id is the SHA-256 of the raw public key, in hex.
"""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files, json_pieces
from ansible.module_utils.pmsops.common.errors import OpsError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

ALGORITHM = "ed25519"
KEY_FILE = "signing.key"
TRUSTED = "trusted"


def signed_bytes(document: dict[str, Any]) -> bytes:
    """Return the signed bytes: *document* without its signature, in one fixed form."""
    body = {name: value for name, value in document.items() if name != "signature"}
    text = bytearray()
    for piece in json_pieces.pieces(body, separators=(",", ":")):
        text += piece.encode()
    return bytes(text)


def key_id(public_key: bytes) -> str:
    """Return the name of a raw public key."""
    return hashlib.sha256(public_key).hexdigest()


def load_or_create(keys: Path) -> Ed25519PrivateKey:
    """Return the signing key; create and pin it at first use.

    :raises OpsError: signing.key if the file is not a key, or others may read it.
    """
    path = keys / KEY_FILE
    if not path.exists():
        files.make_private_folder(keys)
        key = Ed25519PrivateKey.generate()
        files.create_once(path, pem(key), mode=0o600)
    key = load_private(path)
    pin(keys, raw_public(key))
    return key


def own_id(keys: Path) -> str:
    """Return the id of this machine's own signing key; empty where it has none.

    :raises OpsError: signing.key if the file is not a key, or others may read it.
    """
    if not (keys / KEY_FILE).exists():
        return ""
    return key_id(raw_public(load_or_create(keys)))


def pem(key: Ed25519PrivateKey) -> bytes:
    """Return a private key in PEM form, without a password."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def raw_public(key: Ed25519PrivateKey) -> bytes:
    """Return the 32 bytes of a private key's public half."""
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def pin(keys: Path, public_key: bytes) -> Path:
    """Accept sets signed by *public_key* from now on; return the file that pins it."""
    path = keys / TRUSTED / f"{key_id(public_key)}.pub"
    if not path.exists():
        files.make_private_folder(keys)
        files.make_private_folder(path.parent)
        files.replace(path, base64.b64encode(public_key) + b"\n", mode=0o644)
    return path


def sign(document: dict[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """Return *document* with its signature."""
    return document | {
        "signature": {
            "algorithm": ALGORITHM,
            "public_key": base64.b64encode(raw_public(key)).decode(),
            "value": base64.b64encode(key.sign(signed_bytes(document))).decode(),
        }
    }


def check(document: dict[str, Any], keys: Path, *, trust: str | None = None) -> str:
    """Return the id of the trusted key that signed *document*.

    *trust* is a key id to accept for this call although it is not pinned.

    :raises OpsError: signing.missing, signing.invalid or signing.unknown-key.
    """
    signature = document.get("signature")
    if not isinstance(signature, dict) or signature.get("algorithm") != ALGORITHM:
        raise OpsError(
            "The manifest carries no Ed25519 signature.",
            "Take another set. The origin of an unsigned set is unknown.",
            code="signing.missing",
        )
    signer = valid_signer(document)
    if signer is None:
        raise OpsError(
            "The manifest was changed after it was signed: its signature is invalid.",
            "Do not restore this set. Take another one, and find out who changed this one.",
            code="signing.invalid",
        )
    if signer != trust and not (keys / TRUSTED / f"{signer}.pub").exists():
        raise OpsError(
            f"The set was signed by key {signer}, which is not pinned in {keys / TRUSTED}.",
            "If you know that key (compare it with the backed-up machine's"
            f" {TRUSTED}/*.pub), allow it with -e pms_trusted_key={signer}.",
            code="signing.unknown-key",
        )
    return signer


def valid_signer(document: dict[str, Any]) -> str | None:
    """Return the id of the key whose signature fits *document*, pinned or not; None without one."""
    signature = document.get("signature")
    if not isinstance(signature, dict) or signature.get("algorithm") != ALGORITHM:
        return None
    try:
        public_key = base64.b64decode(signature["public_key"], validate=True)
        Ed25519PublicKey.from_public_bytes(public_key).verify(
            base64.b64decode(signature["value"], validate=True), signed_bytes(document)
        )
    except (InvalidSignature, ValueError, KeyError, TypeError):
        return None
    return key_id(public_key)


def not_pinned(document: dict[str, Any], keys: Path) -> str | None:
    """Return the id of the key that signed *document* if it is not pinned, else None.

    It is that of a checked document; whether it may be accepted is for ``check`` to say.
    """
    signer = signer_of(document)
    return None if (keys / TRUSTED / f"{signer}.pub").exists() else signer


def signer_of(document: dict[str, Any]) -> str | None:
    """Return the id of the key that *document* names; nothing is checked."""
    try:
        return key_id(base64.b64decode(document["signature"]["public_key"]))
    except (KeyError, TypeError, ValueError):
        return None


def load_private(path: Path) -> Ed25519PrivateKey:
    """Return a private key that nobody else may read.

    :raises OpsError: signing.key if the file is not a key, or others may read it.
    """
    if path.stat().st_mode & 0o077 or path.stat().st_uid not in (os.getuid(), 0):
        raise OpsError(
            f"{path} can be read by others: mode {path.stat().st_mode & 0o777:04o}, expected 0600.",
            f"chmod 0600 {path}; if others may have read it, move it away to get a new key. If its"
            " file system keeps no modes (CIFS, exFAT), set pms_keys_dir to a folder on one that"
            " does.",
            code="signing.key",
        )
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except ValueError as exc:
        raise OpsError(
            f"{path} is not a private key in PEM form.",
            "Restore the key from its copy, or move the file away to get a new key.",
            code="signing.key",
        ) from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise OpsError(
            f"{path} holds a key that is not Ed25519.",
            "Set pms_keys_dir to a folder of its own.",
            code="signing.key",
        )
    return key
