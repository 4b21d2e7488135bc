# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The end of a swap whose probe failed: what is kept, and what the operator is told."""

from __future__ import annotations

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.restore import swap_record
from ansible.module_utils.pmsops.restore.swap import Swap

SHOWN = 3
LOG = "Read the log of the PMS's services (docker logs, journalctl)"


def probe_failed(swap: Swap, problems: list[str]) -> OpsError:
    """Keep the rejected database and end the journal; return the error for *problems*."""
    what = "The PMS did not work on the new database: " + "; ".join(problems[:SHOWN])
    if swap.journal.state["outgoing"] is None:
        swap.finish()
        return OpsError(
            f"{what}. It stays live, because there is no former database.",
            f"{LOG}. The set itself is verified.",
            code="restore.probe-only",
        )
    kept = swap.keep_rejected()
    seconds = swap_record.down_seconds(swap.progress.seconds, swap.by_hand)
    down = f"The PMS was down for {seconds:.0f} s, the way back included."
    told = ["The former database is live again.", down, kept.text]
    hint = ""
    if swap.waited:
        told.append(
            f"These waited to write until the PMS is found to work: {', '.join(swap.waited)}."
        )
        hint = (
            " If the PMS has to write before it works, as for a migration at its start, add"
            " -e restore_probe_writes=true."
        )
    told += [each["text"] for each in swap.slot_results] + swap.warnings
    swap.journal.close()
    return OpsError(
        f"{what}. {' '.join(each for each in told if each)}",
        f"{LOG}, mend the cause, and run the same command again.{hint} {kept.remedy}".strip(),
        code="restore.probe",
    )
