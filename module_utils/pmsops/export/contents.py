# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of an export that are copied as they are: each named here, nothing by a pattern.

Whatever else lies beside the evidence stays: private keys, passwords, notes of the operators.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.evidence import (
    anchor_notes,
    chain,
    history,
    ledger_head,
    signatures,
)
from ansible.module_utils.pmsops.export.period import read_moment
from ansible.module_utils.pmsops.export.segment import Segment
from ansible.module_utils.pmsops.incidents import record as incidents

RECORDS, INCIDENTS, KEYS, ANCHORS = "records", "incidents", "keys", "anchors"
LINES, EARLIER = "ledger/lines.jsonl", "ledger/earlier.jsonl"
OF_A_RUN = (history.RECORD, "checklist.md", "junit.xml", "report.html")
OF_AN_INCIDENT = (incidents.NAME, "incident.md")
AUTHORITY = "ca.pem"
_FOLDER = re.compile(r"\d{4}-\d{2}-\d{2}_[\w-]+")
_TOKEN = re.compile(r"(\d+)-[0-9a-f]{12}\.tsr")
_STAMP = len("2026-11-29_060000")


@dataclass
class Contents:
    """Files by their names in the zip, and what should be there and is not."""

    files: dict[str, bytes] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, name: str, path: Path, *, needed: bool = False) -> None:
        """Copy a file; one that is *needed* and cannot be read is a problem."""
        try:
            if path.is_symlink():
                raise OSError("it is a link")
            self.files[name] = path.read_bytes()
        except FileNotFoundError:
            if needed:
                self.problems.append(f"{name} is missing")
        except OSError as exc:
            self.problems.append(f"{name} cannot be read: {exc.strerror or exc}")

    def add_json(self, name: str, document: Any) -> None:
        """Add a document."""
        self.files[name] = written(document)


def written(document: Any) -> bytes:
    """Return a document as sorted JSON, the one form in which an export has it."""
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    return text.encode(errors="surrogatepass")


def collect(root: Path, segment: Segment, authorities: Mapping[str, Path]) -> Contents:
    """Return the evidence of the period; *authorities* are root certificates, by anchor."""
    found = Contents()
    found.files[LINES] = b"".join(each.content + b"\n" for each in segment.lines)
    found.files[EARLIER] = b"".join(each.content + b"\n" for each in segment.earlier)
    found.add(f"ledger/{ledger_head.NAME}", root / ledger_head.NAME, needed=True)
    _add_keys(found, segment)
    _add_anchors(found, root / anchor_notes.FOLDER, segment, authorities)
    for name in _runs(root, segment):
        for each in OF_A_RUN:
            needed = each == history.RECORD
            found.add(f"{RECORDS}/{name}/{each}", root / name / each, needed=needed)
    for name in _incidents(root / incidents.FOLDER, segment):
        folder = root / incidents.FOLDER / name
        for each in OF_AN_INCIDENT:
            needed = each == incidents.NAME
            found.add(f"{INCIDENTS}/{name}/{each}", folder / each, needed=needed)
    return found


def refuse_secrets(files: Mapping[str, bytes], secrets: frozenset[str]) -> None:
    """Check that no file has a secret of the inventory.

    :raises OpsError: export.secret, which names the file and not the secret
    """
    needles = {each.encode() for each in secrets}
    needles |= {json.dumps(each)[1:-1].encode() for each in secrets}
    for name, content in sorted(files.items()):
        if any(needle in content for needle in needles):
            raise OpsError(
                f"{name} has a secret of the inventory in it. Nothing was exported.",
                "Change that secret, and find out how it came there. A record cannot be altered"
                " without breaking the ledger, so export again once the secret is worth nothing.",
                code="export.secret",
            )


def _add_keys(found: Contents, segment: Segment) -> None:
    """Add the public keys that lines of the ledger bring."""
    for line in (*segment.earlier, *segment.lines):
        key, public = line.record.get("key"), line.record.get("public_key")
        known = isinstance(key, str) and isinstance(public, str)
        if line.kind == chain.SIGNING and known and signatures.key_id_of(str(public)) == key:
            found.files[f"{KEYS}/{key}.pub"] = f"{public} pms-ops ledger\n".encode()


def _add_anchors(
    found: Contents, folder: Path, segment: Segment, authorities: Mapping[str, Path]
) -> None:
    """Add the notes of the anchors, and the tokens that are about lines of the export."""
    found.add(f"{ANCHORS}/{anchor_notes.STATE}", folder / anchor_notes.STATE)
    for path in sorted(folder.glob("*/*.tsr")):
        match = _TOKEN.fullmatch(path.name)
        if match and segment.start <= int(match[1]) <= segment.total:
            name = path.parent.name
            found.add(f"{ANCHORS}/{name}/{path.name}", path)
            if name in authorities:
                found.add(f"{ANCHORS}/{name}/{AUTHORITY}", authorities[name])


def _runs(root: Path, segment: Segment) -> list[str]:
    """Return the folders of the period's runs: those in the ledger, and those that are not."""
    recorded = {str(each.record.get("run")) for each in segment.of_kind("gate")}
    there = {path.name for path in root.glob("[0-9]*") if path.is_dir() and not path.is_symlink()}
    others = {name for name in there if segment.period.holds(_moment_of(name))}
    elsewhere = {str(each.record.get("run")) for each in segment.lines if each.kind == "gate"}
    wanted = recorded | (others - (elsewhere - recorded))
    return sorted(name for name in wanted if _FOLDER.fullmatch(name))


def _incidents(folder: Path, segment: Segment) -> list[str]:
    """Return the incidents that were open in the period, and those of which a line has the hash."""
    period = segment.period
    told = (e.record for e in segment.of_kind("incident") if "incident_sha256" in e.record)
    found = {str(each.get("incident")) for each in told}
    for path in sorted(folder.glob("2*")):
        document = read_document(path / incidents.NAME) or {}
        began = read_moment(document.get("began_at")) or _moment_of(path.name)
        closed = read_moment(document.get("closed_at"))
        if began and began < period.end and (closed is None or closed >= period.start):
            found.add(path.name)
    return sorted(name for name in found if _FOLDER.fullmatch(name))


def read_document(path: Path) -> dict[str, Any] | None:
    """Return a JSON object, None where there is none."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _moment_of(name: str) -> datetime | None:
    """Return the moment that the name of a folder begins with, in UTC."""
    try:
        return datetime.strptime(name[:_STAMP], "%Y-%m-%d_%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
