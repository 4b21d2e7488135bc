# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Return what was seen of continuous protection before the gate, and its newest proof."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, NotGiven, Unanswerable
from ansible.module_utils.pmsops.checks.probes.context import Context
from ansible.module_utils.pmsops.evidence import ledger, proofs

ABOUT = ("seen", "window", "stream", "proof")
SHOWN = 3


def ask(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return what *about* names: the window and its stream as seen, or the newest proof.

    :raises NotGiven: where the system is not to be protected continuously; of a proof, where
        another engine protects it
    :raises Unanswerable: what that engine does not say, unless something is known to be wrong
    """
    given = context.settings.facts.get("pitr")
    if not given:
        raise NotGiven("pitr_enabled is not true")
    if params["about"] in ABOUT[:3]:
        why = (given.get("unknown") or {}).get(params["about"])
        if why and not given["problems"]:
            raise Unanswerable(why)
        wrong = "; ".join(given["problems"][:SHOWN]) or "nothing"
        return dict(given) | {"wrong": wrong, "missing": given["missing"] or "none"}
    if params["about"] == "proof":
        if given.get("unprovable"):
            raise NotGiven(given["unprovable"])
        found = proofs.last(ledger.inspect(context.folder("evidence_root")).entries)
        if found is None:
            raise Failed("the ledger has no proof of base backup and WAL")
        reason = f"{found['code']}: {found['why']}" if found["code"] else "no verdict"
        return found | {"verdict": "proved" if found["proved"] else reason}
    raise Unanswerable(f"about is {params['about']!r}, not one of {', '.join(ABOUT)}")
