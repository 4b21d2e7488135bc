# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The end of a swap that was refused: what is kept, what is told, and the ledger's line of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger, restores
from ansible.module_utils.pmsops.restore import crash_recovery, registry, role_restore, swap_record
from ansible.module_utils.pmsops.restore.swap import Swap

SHOWN = 3
LOG = "Read the log of the PMS's services (docker logs, journalctl)"


def probe_failed(
    swap: Swap, problems: list[str], evidence_root: Path | None, became: str
) -> OpsError:
    """Keep the rejected database, record that, and end the journal; return the error to raise.

    *became* is the kind that the live database would have got.
    """
    error = _explained(swap, problems)
    record = swap.record | {"incoming": swap.journal.state["incoming"]}
    swap_record.refuse(evidence_root, became, record, error)
    swap.finish()
    return error


def _explained(swap: Swap, problems: list[str]) -> OpsError:
    what = "The PMS did not work on the new database: " + "; ".join(problems[:SHOWN]).rstrip(".")
    suspects = role_restore.suspected(swap.live)
    cause = f" A likely cause: {suspects}" if suspects else ""
    if swap.journal.state["outgoing"] is None:
        return OpsError(
            f"{what}. It stays live, because there is no former database.{cause}",
            f"{LOG}. The set itself is verified.",
            code="restore.probe-only",
        )
    kept = swap.keep_rejected()
    seconds = swap_record.down_seconds(swap.progress.seconds, swap.by_hand)
    down = f"The PMS was down for {seconds:.0f} s, the way back included."
    told = ["The former database is live again.", down, kept.text]
    hint = ""
    if swap.writes.waited:
        waited = ", ".join(swap.writes.waited)
        told.append(f"These waited to write until the PMS is found to work: {waited}.")
        hint = (
            " If the PMS has to write before it works, as for a migration at its start, add"
            " -e restore_probe_writes=true."
        )
    told += [each["text"] for each in swap.slot_results] + swap.warnings
    return OpsError(
        f"{what}. {' '.join(each for each in told if each)}{cause}",
        f"{LOG}, mend the cause, and run the same command again.{hint} {kept.remedy}".strip(),
        code="restore.probe",
    )


def of_recovery(
    evidence_root: Path | None, known: dict[str, Any], report: crash_recovery.RecoveryReport
) -> None:
    """Record the swap of an interrupted run, by its journal's state, if recovery undid it."""
    if report.undone and not _last_line_says_so(evidence_root, known.get("incoming")):
        staging = known.get("incoming_mark", {}).get("is") == registry.STAGING
        record = (known.get("record") or {}) | {"incoming": known.get("incoming")}
        swap_record.refuse(
            evidence_root,
            registry.FORMER if staging else registry.UNDONE,
            record,
            OpsError(report.undone, "", code=swap_record.UNDONE_CODE),
        )


def _last_line_says_so(evidence_root: Path | None, incoming: Any) -> bool:
    """Tell whether the run was killed after its line was written."""
    lines = ledger.records(evidence_root) if evidence_root else []
    record = lines[-1]["record"] if lines else {}
    return record.get("outcome") == restores.UNDONE and record.get("incoming") == incoming
