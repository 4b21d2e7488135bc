# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A year of evidence with two exports in mind: signed lines, runs, incidents, an anchor."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ansible.module_utils.pmsops.evidence import anchor_notes, key_changes, ledger
from ansible.module_utils.pmsops.export import bundle
from ansible.module_utils.pmsops.export.period import Period

from tests.support.year_of_evidence import write_run

YEAR = Period.parse("2026-01-01", "2026-12-31")
NOW = datetime(2027, 1, 10, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Fund:
    """A system's folders."""

    root: Path

    @property
    def evidence(self) -> Path:
        return self.root / "evidence"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    def append(self, kind: str, record: dict, at: datetime) -> None:
        """Add a signed line."""
        ledger.append(self.evidence, kind, record, now=at, keys=self.keys)

    def request(self, period: Period = YEAR, **more: object) -> bundle.Request:
        """Return what an export of the period asks for."""
        return bundle.Request(self.evidence, period, self.keys, system="fund", **more)

    def export(self, period: Period = YEAR, **more: object) -> Path:
        """Export the period."""
        return Path(bundle.write(self.request(period, **more), now=NOW)["path"])

    @property
    def key(self) -> str:
        """Return the id of the key that signs."""
        return str(ledger.inspect(self.evidence).key)


def year(root: Path) -> Fund:
    """Return a fund with evidence of 2025 to 2027, and a rotation of the key in 2026."""
    fund = Fund(root)
    before = datetime(2025, 11, 3, 12, 0, tzinfo=UTC)
    for day in range(3):
        fund.append("backup", {"set": f"old-{day}"}, before + timedelta(days=day))
    fund.append("waiver", waiver("2026-06-30"), before + timedelta(days=4))
    fund.append("waiver", waiver("2025-12-01"), before + timedelta(days=4, hours=1))
    at = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    for number in range(4):
        moment = at + timedelta(days=number)
        fund.append("drill", {"set": f"2026-03-0{number + 1}_0600", "proved": number != 2}, moment)
        if number == 1:
            key_changes.rotate(fund.evidence, fund.keys, now=moment + timedelta(minutes=1))
        write_run(
            fund.evidence,
            f"{moment + timedelta(minutes=2):%Y-%m-%d_%H%M%S}",
            at=moment + timedelta(minutes=2),
        )
    chain = ledger.inspect(fund.evidence)
    pin = anchor_notes.Pin(chain.lines, chain.sha256, at + timedelta(days=5))
    anchor_notes.note_done(fund.evidence, "vault", pin, {})
    fund.append("gate", {"run": "later"}, datetime(2027, 1, 4, 12, 0, tzinfo=UTC))
    return fund


def waiver(until: str) -> dict:
    """Return the record of a waiver."""
    return {"id": "infra.disk", "who": "Maria", "why": "ordered", "until": until}


def unpack(path: Path, to: Path) -> Path:
    """Unpack an export."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(to)
    return to


def manifest_of(path: Path) -> dict:
    """Return the manifest of an export."""
    with zipfile.ZipFile(path) as archive:
        return dict(json.loads(archive.read("manifest.json")))


def outside(folder: Path, *arguments: str, bare: bool = False) -> tuple[int, str]:
    """Run the verifier of an unpacked export as an outsider does; *bare*: without packages."""
    command = [sys.executable, "-I", *(["-S"] if bare else []), str(folder / "verify.py")]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr
