# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which heads of the ledger are in time stamps of the export, and what the other anchors are.

The signatures of the stamps are not checked here: verify.py does that, with a root certificate that
its reader got elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.evidence import anchor_notes
from ansible.module_utils.pmsops.export import contents
from ansible.module_utils.pmsops.export.segment import Segment

_TOKEN = re.compile(rf"{contents.ANCHORS}/([^/]+)/(\d+)-[0-9a-f]{{12}}\.tsr")


def of(files: Mapping[str, bytes], segment: Segment) -> dict[str, Any]:
    """Return ``stamps`` and ``notes``, a row for each anchor, and the first line after them.

    ``after``: the first line that no time stamp of the export is of, with its time; None where the
    newest stamp is of the last line.
    """
    at = {each.number: each.entry["at"] for each in segment.lines if each.entry}
    found: dict[str, list[dict[str, Any]]] = {}
    for name, content in files.items():
        if match := _TOKEN.fullmatch(name):
            number = int(match[2])
            moment, authority = _read(content)
            stamp = {"line": number, "at": moment or at.get(number), "authority": authority}
            found.setdefault(match[1], []).append(stamp)
    last = max((each["line"] for stamps in found.values() for each in stamps), default=0)
    following = max(last + 1, segment.start)
    return {
        "stamps": [_row(name, stamps, files) for name, stamps in sorted(found.items())],
        "notes": [each for each in _notes(files) if each["name"] not in found],
        "after": {"line": following, "at": at.get(following)}
        if found and following <= segment.total
        else None,
    }


def _row(name: str, stamps: list[dict[str, Any]], files: Mapping[str, bytes]) -> dict[str, Any]:
    stamps = sorted(stamps, key=lambda each: int(each["line"]))
    return {
        "name": name,
        "count": len(stamps),
        "first": stamps[0],
        "last": stamps[-1],
        "authorities": sorted({each["authority"] for each in stamps if each["authority"]}),
        "root": f"{contents.ANCHORS}/{name}/{contents.AUTHORITY}" in files,
    }


def _read(content: bytes) -> tuple[str | None, str | None]:
    """Return a token's time and who signed it, as it claims; None where it cannot be read.

    The time is then the one of its line: nobody can stamp a line before it was written.
    """
    try:
        from cryptography import x509
        from cryptography.x509.oid import ExtendedKeyUsageOID
        from rfc3161_client import decode_timestamp_response
    except ImportError:
        return None, None
    moment = None
    try:
        response = decode_timestamp_response(content)
        moment = utc_stamp(response.tst_info.gen_time)
        for each in response.signed_data.certificates:
            certificate = x509.load_der_x509_certificate(each)
            usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
            if ExtendedKeyUsageOID.TIME_STAMPING in usage:
                return moment, certificate.subject.rfc4514_string()
    except (ValueError, x509.ExtensionNotFound):
        return moment, None
    return moment, None


def _notes(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Return the anchors that this machine notes a success of; *path*: it is a file, there."""
    try:
        noted = json.loads(files.get(f"{contents.ANCHORS}/{anchor_notes.STATE}", b"{}"))
        done = {name: note["done"] for name, note in noted.items() if note.get("done")}
        return [
            {name_of: each.get(name_of) for name_of in ("at", "lines", "path")} | {"name": name}
            for name, each in sorted(done.items())
        ]
    except (ValueError, AttributeError, TypeError, RecursionError):
        return []
