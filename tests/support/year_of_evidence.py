# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Evidence as runs leave it, written in a moment: for the page over all of them."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path

from ansible.module_utils.pmsops.evidence import ledger

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)> ' & </pre></td> {{ 7*7 }} \x01"


def write_run(
    evidence: Path,
    name: str,
    *,
    at: datetime,
    text: str = "backup",
    recorded: bool = True,
    **more: object,
) -> None:
    """Write the folder of a run with record and report; *recorded* adds its line to the ledger.

    *more* are further fields of the record; ``checklist_sha256`` of them comes into the line, too.
    """
    record = {
        "schema_version": 1,
        "run": name,
        "started_at": at.isoformat(),
        "verdict": "no-go" if text == "backup" else text,
        "partial": False,
        "counts": {"pass": 60, "fail": 1, "attested": 4, "waived": 0, "unknown": 0, "flaky": 1},
        "blocking": [text],
        "negative_control": {"outcome": "found", "check": text},
        "results": [],
    } | more
    folder = evidence / name
    folder.mkdir(parents=True)
    content = json.dumps(record).encode()
    (folder / "record.json").write_bytes(content)
    (folder / "report.html").write_text("<!doctype html><title>Report</title>")
    if recorded:
        names = ("run", "verdict", "partial", "counts", "blocking", "negative_control")
        line = {key: record[key] for key in names}
        line |= {key: more[key] for key in ("checklist_sha256",) if key in more}
        line["record_sha256"] = hashlib.sha256(content).hexdigest()
        ledger.append(evidence, "gate", line, now=at)
