# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The physical copy and a backup set prove each other.

A throw-away server recovers to the transactions that the snapshot of the set saw, and every object
and every row of it is compared with the set's manifest. The manifest was read from the live
database by SQL, the copy came by pages and WAL: no fault of one path is in the other.

A transaction that committed just before the last one of the snapshot, and was still running for
the snapshot, is in the copy and not in the set. The WAL names how many there are, so that what they
make different is told apart from damage. The values of sequences are not compared.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.backup import preflight
from ansible.module_utils.pmsops.common import process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import from_iso
from ansible.module_utils.pmsops.pitr.deletion import LOCK
from ansible.module_utils.pmsops.pitr.moment import Moment
from ansible.module_utils.pmsops.pitr.moment_set import MomentSet, look
from ansible.module_utils.pmsops.pitr.run import Protection
from ansible.module_utils.pmsops.postgresql import moving_sequences
from ansible.module_utils.pmsops.repository import reading, sets
from ansible.module_utils.pmsops.verify import causes
from ansible.module_utils.pmsops.verify import database as comparison
from ansible.module_utils.pmsops.verify.negative_control import Control

SHOWN = 10
MAX_VALUE = 1 << 63


def prove(
    protection: Protection,
    root: Path,
    keys: Path,
    file: Path | None = None,
    found_out: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Compare a recovered copy with a set, by default the newest that can be compared.

    *found_out* receives each fact once it is known, for the record of a proof that fails.

    :raises OpsError: pitr.no-set, pitr.differs, proof.broken, pitr.*, set.*, signing.*, lock.held
    """
    began = time.monotonic()
    facts = found_out if found_out is not None else {}
    facts |= {"of": "set", "proved": False}
    try:
        _prove(protection, root, keys, file, facts)
    finally:
        facts["duration_seconds"] = round(time.monotonic() - began, 3)
    return facts


def _prove(
    protection: Protection, root: Path, keys: Path, file: Path | None, facts: dict[str, Any]
) -> None:
    chosen = sets.resolve(file or _newest(root))
    manifest = chosen.manifest or {}
    facts |= {
        "id": chosen.id,
        "moment": manifest.get("snapshot_at"),
        "manifest_sha256": chosen.manifest_sha256,
    }
    snapshot = manifest.get("server", {}).get("snapshot")
    if not snapshot:
        raise _no_set(root)
    taken = from_iso(manifest["snapshot_at"])
    wanted = Moment(chosen.id, lsn=manifest["server"]["lsn"], snapshot=snapshot, taken=taken)
    at_work = MomentSet(protection, chosen.id)
    seconds: dict[str, float] = {}
    state = preflight.writable_root(root)
    with process_lock.exclusive(state / LOCK, "proof of a moment"), reading.held(chosen.folder):
        sets.check(chosen, keys)
        throw_away = at_work.cleaned()
        planned = at_work.plan(wanted)
        facts |= {
            "base_backup": planned.backup.id,
            "wal_bytes": planned.wal_bytes,
            "crossing": planned.scan.crossing,
        }
        with at_work.recovered(throw_away, planned, seconds) as (server, reached):
            facts["lsn"] = reached.lsn
            facts["canary"] = reached.witness.document()
            facts["notes"] = [*reached.witness.warnings, *look(server)]
            since = time.monotonic()
            control = Control()
            found = comparison.differences(
                server.database, with_any_sequence_value(manifest), control=control
            )
            facts["negative_control"] = control.record
            seconds["comparison"] = time.monotonic() - since
    facts |= {
        "proved": not found,
        "tables": len(manifest["contents"]),
        "rows": manifest["totals"]["rows"],
        "differences": causes.lines(found, shown=SHOWN),
        "phases": {name: round(each, 3) for name, each in seconds.items()},
    }
    explained = facts["crossing"] and all(each.kind == "contents" for each in found)
    if found and not explained:
        raise OpsError(
            f"The copy recovered to set {chosen.id} differs from it:"
            f" {'; '.join(facts['differences'])}. The live database was not touched.",
            "One of both is wrong. Drill the set (playbooks/drill.yml), make a new base backup"
            " (pms-ops pitr backup), and prove again.",
            code="pitr.differs",
        )
    if control.broken:
        facts["proved"] = False
    control.require_found()
    facts["notes"] += control.warnings()


def with_any_sequence_value(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest with sequences that match at every value.

    The value belongs to no snapshot: the backup read it later than that, and a recovered server is
    ahead by as many values as its WAL provides for. All other properties are compared.
    """
    sequences = {}
    for name, each in manifest["facts"].get("sequences", {}).items():
        way = 1 if int(each["step"]) > 0 else -1
        values = {"last_value": -way * MAX_VALUE, moving_sequences.MOVED: way * MAX_VALUE}
        sequences[name] = each | values
    return manifest | {"facts": manifest["facts"] | {"sequences": sequences}}


def _newest(root: Path) -> Path:
    """Return the newest set that is of the live database, and not of a moment itself."""
    for folder in reversed(sets.listed(root)):
        document = sets.resolve(folder).manifest or {}
        if "moment" not in document and document.get("server", {}).get("snapshot"):
            return folder
    raise _no_set(root)


def _no_set(root: Path) -> OpsError:
    return OpsError(
        f"{root} has no set that says which transactions it saw: sets of older releases do not.",
        "Make one (pms-ops backup), and prove again.",
        code="pitr.no-set",
    )
