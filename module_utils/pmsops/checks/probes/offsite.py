# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Return what is known of other sites: noted beside the sets, and proved in the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, NotGiven, Unanswerable
from ansible.module_utils.pmsops.checks.probes.context import Context
from ansible.module_utils.pmsops.evidence import drills, ledger, offsite_proofs
from ansible.module_utils.pmsops.repository import site_notes

ABOUT = ("current", "proved", "immutable", "sites", "elsewhere")
SHOWN = 3


def ask(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return what *about* names, over all sites of the inventory; each text is ``none`` if good.

    :raises NotGiven: where the system has no other site, or no host for drills.
    """
    facts = context.settings.facts.get("offsite") or {}
    names = facts.get("sites")
    if not names:
        raise NotGiven("offsite_repositories is empty")
    if params["about"] == "elsewhere":
        return _elsewhere(facts.get("drill_host"), context)
    if params["about"] not in ABOUT:
        raise Unanswerable(f"about is {params['about']!r}, not one of {', '.join(ABOUT)}")
    found = site_notes.assess(context.folder("backup_root"), names)
    if params["about"] == "sites":
        return {
            "sites": len(found),
            "current": sum(each["current"] for each in found),
            "behind": _named((each["site"], each["behind"]) for each in found),
        }
    if params["about"] == "current":
        return {
            "behind": _named((each["site"], each["behind"]) for each in found),
            "signs": _named((each["site"], "; ".join(each["signs"])) for each in found),
            "wrong": _named(
                (each["site"], f"{act}: {error['code']}: {error['why']}")
                for each in found
                for act, error in each["errors"].items()
                if act != "upload"
            ),
            "checked": _oldest(each["check"] for each in found),
        }
    if params["about"] == "immutable":
        tried = [each for each in found if each["immutable"]]
        return {
            "deletes": _named(
                (each["site"], "it let this machine delete a copy")
                for each in tried
                if not each["immutable"]["refused"]
            ),
            "untried": ", ".join(each["site"] for each in found if not each["immutable"]) or "none",
            "at": _oldest(each["immutable"] for each in found),
        }
    proofs = offsite_proofs.last(ledger.inspect(context.folder("evidence_root")).entries)
    return {
        "unproved": _named((name, _unproved(proofs.get(name))) for name in names),
        "at": _oldest(proofs.get(name) for name in names),
    }


def _elsewhere(host: str | None, context: Context) -> dict[str, Any]:
    """Return the newest drill on another host, and what it had in common with the source.

    :raises NotGiven: where the schedule has no such drill.
    """
    if not host:
        raise NotGiven("schedule_drill_host is empty")
    found = drills.elsewhere(ledger.inspect(context.folder("evidence_root")).entries)
    if not found:
        raise Failed(f"the ledger has no drill on {host}")
    record = found[-1]["record"]
    failed = f"{record.get('code')}: {record.get('why')}"
    return {
        "at": found[-1]["at"],
        "host": record["drill_host"],
        "failed": "none" if record.get("proved") is True else failed,
        "shared": "; ".join(record.get("shared") or ()) or "none",
        "rto_seconds": record.get("rto_seconds"),
        "rto_with_fetch_seconds": record.get("rto_with_fetch_seconds"),
    }


def _unproved(proof: dict[str, Any] | None) -> str | None:
    if proof is None:
        return "no set that came from it was proved"
    return None if proof["proved"] else f"{proof['code']}: {proof['why']}"


def _named(found: Iterable[tuple[str, str | None]]) -> str:
    """Return the texts that are not empty, each with its site."""
    texts = [f"{site}: {text}" for site, text in found if text]
    more = f"; and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return "; ".join(texts[:SHOWN]) + more if texts else "none"


def _oldest(acts: Iterable[dict[str, Any] | None]) -> str | None:
    """Return the oldest moment of these acts; None if one of them never was."""
    moments = [each["at"] if each else None for each in acts]
    return None if None in moments else min(filter(None, moments))
