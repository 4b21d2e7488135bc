# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time of `pms-ops ledger verify` over 3,000 signed lines, and its growth."""

from __future__ import annotations

import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from ansible.module_utils.pmsops.evidence import ledger

from bench.common import Figure

LINES, FEWER = 3000, 1000
ROUNDS = 3


def figures() -> list[Figure]:
    """Measure chain and signatures, in processor seconds, each the best of three."""
    folder = Path(tempfile.mkdtemp(prefix="pms-bench-ledger-"))
    try:
        few, many = _seconds(folder, FEWER), _seconds(folder, LINES)
    finally:
        shutil.rmtree(folder)
    return [
        Figure(f"ledger: chain and signatures of {LINES} lines", many, 2, "s"),
        Figure(f"ledger: {LINES} lines against {FEWER}", many / few, 3.5, "x"),
    ]


def _seconds(folder: Path, lines: int) -> float:
    evidence, keys = folder / "evidence", folder / "keys"
    with ledger.writing(evidence) as tail:
        while tail.count < lines:
            record = {"run": "2026-11-29_060000", "verdict": "go", "counts": {"pass": 61}}
            now = datetime.now(UTC)
            tail.add("gate", record, now, tail.signer(keys, now))
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        problems = ledger.verify(evidence, keys=keys)
        found.append(time.process_time() - began)
        if problems:
            raise SystemExit(f"the ledger of the bench is damaged: {problems[0]}")
    return min(found)
