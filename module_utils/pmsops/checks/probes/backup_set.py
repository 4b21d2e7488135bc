# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check the files of the newest backup set and its last drill, and look for sets that are gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.checks.probes import Deadline, Unanswerable
from ansible.module_utils.pmsops.checks.probes.context import Context, one_line
from ansible.module_utils.pmsops.checks.probes.integrity import summary
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger, missing_sets
from ansible.module_utils.pmsops.repository import quarantine, sets

# Left of the probe's time for its answer.
SPARE_SECONDS = 0.7


def ask(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return ``{set, problems, percent}`` of its files, ``{set, failed}`` of its last drill, or
    ``{count, missing}`` of the sets that the ledger knows and the disk has not.
    """
    about = params["about"]
    found = sets.listed(context.folder("backup_root"))
    if about == "files":
        if not found:
            return {"set": None, "problems": None, "percent": 100.0}
        try:
            examined = quarantine.examine(
                found[-1],
                Path(params.get("keys") or "~/.config/pms-ops/keys").expanduser(),
                seconds=deadline.left() - SPARE_SECONDS,
            )
        except OpsError as exc:
            raise Unanswerable(str(exc)) from exc
        except OSError as exc:
            return {"set": found[-1].name, "problems": one_line(exc), "percent": 100.0}
        return {
            "set": found[-1].name,
            "problems": summary([f"{found[-1].name}: {text}" for text in examined.problems]),
            "percent": examined.percent,
        }
    if about == "drill":
        if not found:
            return {"set": None, "failed": None}
        entries = ledger.records(context.folder("evidence_root"), "drill")
        why = quarantine.failed_drill(entries, found[-1])
        return {"set": found[-1].name, "failed": f"{found[-1].name}: {why}" if why else None}
    if about == "missing":
        missing = missing_sets.of_roots(
            context.folder("backup_root"), context.folder("evidence_root")
        )
        return {"count": len(missing), "missing": missing_sets.summary(missing) or None}
    raise Unanswerable(f"about: {about} is not one of files, drill, missing")
