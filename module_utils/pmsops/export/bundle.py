# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The zip: what was collected, the verifier, and a signed manifest of all of it."""

from __future__ import annotations

import base64
import hashlib
import io
import socket
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.common.version import TOOL
from ansible.module_utils.pmsops.evidence import ledger, ledger_keys, set_list
from ansible.module_utils.pmsops.export import (
    attestations,
    contents,
    pdf,
    plan,
    report,
    segment,
    set_contents,
    verify_script,
)
from ansible.module_utils.pmsops.export import facts as report_facts
from ansible.module_utils.pmsops.export.language import Language
from ansible.module_utils.pmsops.export.period import Period
from ansible.module_utils.pmsops.export.segment import Segment

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FOLDER = "exports"
VERIFIER, REPORT, PDF = "verify.py", "report.html", "report.pdf"
OF_HERE = ("folder", "age_seconds")
# The one date that every zip can hold: the same evidence gives the same bytes.
DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Request:
    """What is asked for: the folders, the period, and secrets that no file may hold."""

    evidence_root: Path
    period: Period
    keys: Path
    system: str = ""
    authorities: Mapping[str, Path] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    backup_root: Path | None = None
    schedule: Path | None = None  # what the role schedule wrote
    language: str = "en"
    pdf: bool = False


def write(request: Request, *, now: datetime, check: bool = False) -> dict[str, Any]:
    """Write the zip, and return where it is and what is wrong with the evidence in it.

    :raises OpsError: export.secret, export.unwritable, ledger.not-signed, or those of
        ledger_keys.load
    """
    root = request.evidence_root
    chain = ledger.inspect(root, keys=request.keys, signed=True)
    lines = segment.cut(_content(root / ledger.NAME), request.period)
    key = _key(request, chain)
    found = contents.collect(root, lines, request.authorities)
    found.files[VERIFIER] = _source(verify_script)
    manifest = _manifest(request, chain, lines, found.problems, now)
    manifest["no_attestations"] = attestations.add(found, key)
    manifest["pdf"] = add_report(found, request, lines, manifest, now=now)
    contents.refuse_secrets(found.files, request.secrets)
    suffix = "" if request.language == "en" else f"_{request.language}"
    path = root / FOLDER / f"{request.period.since}_{request.period.until}{suffix}.zip"
    if not check:
        _write(path, sealed(found.files, manifest, key))
    return {
        "changed": True,
        "path": str(path),
        "key": manifest["ledger"]["key"],
        "pdf": manifest["pdf"],
        "no_attestations": manifest["no_attestations"],
        "lines": manifest["ledger"]["in_period"],
        "files": len(found.files) + 2,
        "problems": manifest["problems"],
    }


def add_report(
    found: contents.Contents,
    request: Request,
    lines: Segment,
    manifest: dict[str, Any],
    *,
    now: datetime,
) -> str:
    """Add the report and what it is made of; return its printed form, or why there is none."""
    language = Language(request.language)
    present = set_list.collect(request.backup_root, now=now) if request.backup_root else []
    present = [each | set_contents.described(Path(each["folder"])) for each in present]
    facts = report_facts.collect(lines, found.files, present, now)
    known = plan.read(request.schedule)
    planned = plan.compare(known, lines.inside, request.period, now) if known else None
    # A path of this machine and an age of this moment are of no use elsewhere.
    told = [{k: v for k, v in each.items() if k not in OF_HERE} for each in present]
    found.add_json("sets.json", told)
    if known:
        found.add_json("schedule.json", known.document())
        found.add_json("plan.json", planned)
    for each in facts.checklists:
        about = {"checklist_sha256": each["sha256"], "checks": each["checks"]}
        digest = hashlib.sha256(contents.written(about)).hexdigest()
        found.add_json(f"checklists/{digest}.json", about)
    page = report.page(manifest, facts, planned, found.files, language)
    found.files[REPORT] = page.encode(errors="replace")
    period = request.period
    days = {"since": language.day(period.since), "until": language.day(period.until)}
    readme = language.text("readme", system=request.system, **days)
    found.files["README.txt"] = readme.encode(errors="replace")
    if not request.pdf:
        return "it was not asked for"
    # A printed link would have the path of this machine.
    paper = report.page(manifest, facts, planned, found.files, language, links=False)
    content, why = pdf.printed(paper)
    if content is None:
        return why
    found.files[PDF] = content
    return PDF


def sealed(found: Mapping[str, bytes], manifest: dict[str, Any], key: Ed25519PrivateKey) -> bytes:
    """Return the zip of files and their signed manifest."""
    listed = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
        for name, content in found.items()
    }
    about = contents.written(manifest | {"files": listed})
    digest = hashlib.sha256(about).hexdigest()
    value = key.sign(f"{verify_script.FORMAT}\n{digest}".encode())
    signature = {
        **ledger_keys.identity(key),
        "manifest_sha256": digest,
        "value": base64.b64encode(value).decode(),
    }
    signed = {
        verify_script.MANIFEST: about,
        verify_script.SIGNATURE: contents.written(signature),
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted((dict(found) | signed).items()):
            entry = zipfile.ZipInfo(name, DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return stream.getvalue()


def _manifest(
    request: Request,
    chain: ledger.Chain,
    lines: Segment,
    problems: list[str],
    now: datetime,
) -> dict[str, Any]:
    return {
        "format": verify_script.FORMAT,
        "tool": TOOL,
        "system": request.system,
        "host": socket.gethostname(),
        "made_at": utc_stamp(now),
        "period": request.period.document(),
        "ledger": {
            "lines": chain.lines,
            "sha256": chain.sha256,
            "start": lines.start,
            "in_period": len(lines.inside),
            "key": chain.key,
            "notes": list(chain.notes),
        },
        "problems": [f"the ledger is damaged: {each}" for each in chain.problems] + problems,
    }


def _key(request: Request, chain: ledger.Chain) -> Ed25519PrivateKey:
    """Return the key with which the ledger ends.

    :raises OpsError: ledger.not-signed, or those of ledger_keys.load
    """
    if chain.key is None:
        raise OpsError(
            f"The lines of the ledger in {request.evidence_root} are not signed yet, so nobody"
            " could tell who made the export.",
            "The next line begins that: run pms-ops backup.",
            code="ledger.not-signed",
        )
    places = ledger_keys.folders(request.evidence_root, request.keys)
    return ledger_keys.load(chain.key, places)[0]


def _source(module: Any) -> bytes:
    """Return the text of a module, which may be in the zip that Ansible ships."""
    text: str = module.__loader__.get_source(module.__name__)
    return text.encode()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _write(path: Path, content: bytes) -> None:
    try:
        files.make_private_folder(path.parent)
        files.replace(path, content)
    except OSError as exc:
        raise OpsError(
            f"{path} cannot be written: {exc.strerror or exc}.",
            "Give the user of the playbook write access and free space there, then run it again.",
            code="export.unwritable",
        ) from exc
