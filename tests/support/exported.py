# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A year of evidence with two exports in mind: signed lines, runs, incidents, an anchor."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ansible.module_utils.pmsops.evidence import (
    anchor_notes,
    deficiencies,
    key_changes,
    ledger,
    ledger_head,
)
from ansible.module_utils.pmsops.export import bundle
from ansible.module_utils.pmsops.export.period import Period
from ansible.module_utils.pmsops.incidents import lifecycle
from ansible.module_utils.pmsops.incidents import record as incidents
from ansible.module_utils.pmsops.schedule.state import Schedule

from tests.support.backup_sets import make_set
from tests.support.year_of_evidence import HOSTILE, write_run

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


def busy(root: Path) -> Fund:
    """Return a fund of which each table of the report has a row, hostile and damaged ones too."""
    fund = Fund(root)
    at = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
    fund.append("waiver", waiver("2026-12-31") | {"when": "2026-04-30", "check": "infra.disk"}, at)
    for day in range(30):
        moment = at + timedelta(days=day)
        name = f"{moment:%Y-%m-%d}_0600"
        if day % 10 != 3:  # some are missed
            made = {"set": name, "size_bytes": 8e8 + day * 1e7, "rows": 1_234_567, "removed": []}
            if day > 20:
                made["removed"] = [f"{moment - timedelta(days=20):%Y-%m-%d}_0600"]
            fund.append("backup", made, moment)
        if day % 3 == 0:
            drill = {"set": name, "proved": day != 9, "rto_seconds": 300.0 + day * 7}
            drill |= {"rpo_seconds": 86000.0 + day * 60, "rto_target_seconds": 420}
            drill |= {"rpo_target_seconds": 86400, "negative_control": {"outcome": "found"}}
            drill |= {"restore_seconds": 250.0, "proof_seconds": 50.0}
            if day == 9:
                drill |= {"why": HOSTILE}
            fund.append("drill", drill, moment + timedelta(hours=1))
        if day in (5, 6):
            began = moment + timedelta(hours=2)
            text = HOSTILE if day == 6 else "go"
            write_run(fund.evidence, f"{began:%Y-%m-%d_%H%M%S}", at=began, text=text)
    fund.append("drill", {"set": "x", "broken": True, "proved": False}, at + timedelta(days=30))
    late = at + timedelta(days=31)
    fund.append("restore", {"set": "2026-05-30_0600", "down_seconds": 41.5, "former": "old"}, late)
    fund.append("restore", {"set": "x", "outcome": "failed", "why": "full disk"}, late)
    fund.append("signoff", {"name": "Maria Silva", "role": "risk officer", "decision": "go"}, late)
    deficiencies.open_new(
        fund.evidence,
        deficiencies.Request("A disk is small", "Ana", "2026-06-10", HOSTILE, "Maria"),
        now=late,
        keys=fund.keys,
    )
    key_changes.rotate(fund.evidence, fund.keys, now=late + timedelta(minutes=1))
    begun, _known = incidents.begin(
        fund.evidence, "redis", title=f"Redis {HOSTILE}", symptoms=[], began_at=late
    )
    incidents.end(
        begun.folder,
        "recovered",
        facts={"cause": "a full disk", "data_loss": "none"},
        checks=[],
        verified_at=late + timedelta(minutes=5),
        now=late + timedelta(minutes=6),
    )
    ended = lifecycle.ledger_content(incidents.read(begun.folder))
    fund.append("incident", ended, late + timedelta(minutes=6))
    incidents.begin(fund.evidence, "disk", title="Disk", symptoms=[], began_at=late)
    chain = ledger.inspect(fund.evidence)
    pin = anchor_notes.Pin(chain.lines, chain.sha256, NOW)
    anchor_notes.note_done(fund.evidence, "vault", pin, {})
    for day in (28, 29):
        folder = make_set(root / "sets", root / "setkeys", f"2026-05-{day}_0600")
    (folder / "hold.json").write_text('{"reason": "annual audit"}')
    schedule(fund)
    return fund


def schedule(fund: Fund) -> Path:
    """Write a schedule of three jobs, known since 1 May 2026."""
    state = fund.root / "schedule"
    state.mkdir()
    common = {"window_minutes": 60}
    jobs = [
        {"name": "backup", "command": ["x", "p/playbooks/backup.yml"], "days": "daily"},
        {"name": "drill", "command": ["x", "p/playbooks/drill.yml"], "days": "Sat"},
        {"name": "verify", "command": ["x", "p/playbooks/verify.yml"], "days": "Sun"},
    ]
    path = state / "schedule.json"
    document = {
        "state_dir": str(state),
        "metrics_dir": str(state),
        "jobs": [
            common | each | {"at": ["05:30"], "title": f"The {each['name']}"} for each in jobs
        ],
    }
    path.write_text(json.dumps(document))
    known = Schedule.read(path)
    known.write(known.planned(datetime(2026, 5, 1, 3, 0, tzinfo=UTC)))
    return path


def busy_request(fund: Fund, **more: object) -> bundle.Request:
    """Return what an export of this fund asks for."""
    return fund.request(
        backup_root=fund.root / "sets", schedule=fund.root / "schedule" / "schedule.json", **more
    )


def add_lines(fund: Fund, count: int) -> None:
    """Add signed lines, one a minute, without a flush for each."""
    with ledger.writing(fund.evidence) as tail:
        signer = tail.signer(fund.keys, NOW)
    path = fund.evidence / ledger.NAME
    lines = path.read_bytes().splitlines()
    for number in range(count):
        at = datetime(2026, 6, 10, tzinfo=UTC) + timedelta(minutes=number)
        entry = {
            "at": at.isoformat(),
            "kind": "backup",
            "previous": hashlib.sha256(lines[-1]).hexdigest(),
            "record": {"set": f"s{number}", "size_bytes": 1e9, "rows": 5},
            "seq": len(lines) + 1,
        }
        body = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
        lines.append(signer.signed(body))
    path.write_bytes(b"".join(each + b"\n" for each in lines))
    ledger_head.write(fund.evidence, len(lines), hashlib.sha256(lines[-1]).hexdigest())
