# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A verifier of ledgers as an outsider would write it from the documentation.

It imports nothing of the project, nor a library of cryptography: Ed25519 is written out after
RFC 8032, section 6, with points in extended coordinates.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime
from pathlib import Path

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def _x_of(y: int, sign: int) -> int | None:
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P)
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


def _point(raw: bytes) -> tuple[int, int, int, int] | None:
    if len(raw) != 32:
        return None
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    x = _x_of(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def _sum(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, int, int, int]:
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    i, j, k, m = f - e, h - g, h + g, f + e
    return i * j % P, k * m % P, j * k % P, i * m % P


def _times(number: int, point: tuple[int, ...]) -> tuple[int, ...]:
    result: tuple[int, ...] = (0, 1, 1, 0)
    while number:
        if number & 1:
            result = _sum(result, point)
        point = _sum(point, point)
        number >>= 1
    return result


_BASE_Y = 4 * pow(5, P - 2, P) % P
_BASE = (_x_of(_BASE_Y, 0), _BASE_Y, 1, _x_of(_BASE_Y, 0) * _BASE_Y % P)


def verified(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether an Ed25519 signature fits."""
    key, start = _point(public), _point(signature[:32])
    if key is None or start is None or len(signature) != 64:
        return False
    scalar = int.from_bytes(signature[32:], "little")
    if scalar >= ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    left = _times(scalar, _BASE)
    right = _sum(start, _times(int.from_bytes(digest, "little") % ORDER, key))
    return not (
        (left[0] * right[2] - right[0] * left[2]) % P
        or (left[1] * right[2] - right[1] * left[2]) % P
    )


def first_bad_line(folder: Path, key: str) -> int | None:
    """Return the number of the first line that does not hold, None where all do.

    *key* is the id of the key with which signing began, as the outsider got it.
    """
    lines = (folder / "ledger.jsonl").read_bytes().split(b"\n")[:-1]
    head = json.loads((folder / "ledger.head").read_bytes())
    hashes = [hashlib.sha256(line).hexdigest() for line in lines]
    publics, in_use, newest = {}, None, None
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            at = datetime.fromisoformat(entry["at"].replace("Z", "+00:00"))
            before = hashes[number - 2] if number > 1 else "0" * 64
            if entry["seq"] != number:
                return number
            if entry["previous"] != before:
                return max(number - 1, 1)
            if in_use is None and "signature" not in entry:
                continue
            if newest and (newest - at).total_seconds() > 300:
                return number
            newest = max(newest or at, at)
            signature = entry.get("signature")
            if signature is None:
                return number
            body = line[: line.rindex(b',"signature":')] + b"}"
            message = b"pms-ops ledger line 1\n" + hashlib.sha256(body).hexdigest().encode()
            record = entry["record"]
            if in_use is None:
                if record.get("event") != "began" or record["key"] != key:
                    return number
                in_use = key
            if "public_key" in record and entry["kind"] == "signing":
                public = base64.b64decode(record["public_key"])
                if hashlib.sha256(public).hexdigest() != record["key"]:
                    return number
                publics[record["key"]] = public
            if signature["key"] != in_use or not verified(
                publics[in_use], message, base64.b64decode(signature["value"])
            ):
                return number
            if record.get("event") == "rotated" and entry["kind"] == "signing":
                second = signature["successor"]
                if second["key"] != record["key"] or not verified(
                    publics[record["key"]], message, base64.b64decode(second["value"])
                ):
                    return number
                in_use = record["key"]
        except (ValueError, KeyError, TypeError, AttributeError):
            return number
    if head["lines"] > len(lines):
        return len(lines) + 1
    if head["lines"] and hashes[head["lines"] - 1] != head["sha256"]:
        return head["lines"]
    return None
