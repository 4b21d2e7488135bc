# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Records of the ledger as the report reads them: each field is of its type, or is not there.

A line may be damaged, or of a release that is not known here. Its bytes go into the export as they
are; only what is told of them passes here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.pmsops.evidence import audit

# Names of fields by the type that they have in every release.
TEXTS = frozenset(
    {
        *("run", "verdict", "set", "why", "reason", "other_database", "drill_host", "site", "code"),
        *("until", "when", "who", "check", "event", "key", "public_key", "previous_key", "machine"),
        *("act", "id", "due", "title", "owner", "closed_by", "opened_by", "finding", "note"),
        *("name", "role", "decision", "task", "moment", "of", "outcome", "former", "undone"),
        *("kept_volume", "brought_back", "incoming", "folder", "incident", "database", "host"),
        *("scenario", "record_sha256", "checklist_sha256", "incident_sha256", "data_loss"),
        *("ordered_by", "approved_by", "approved_at", "approval_key", "plan_sha256", "by"),
        "ticket",
    }
)
NUMBERS = frozenset(
    {
        *("rto_seconds", "rpo_seconds", "rto_target_seconds", "rpo_target_seconds", "size_bytes"),
        *("rows", "down_seconds", "fetch_seconds", "restore_seconds", "proof_seconds"),
        "decide_seconds",
    }
)
TRUTHS = frozenset({"proved", "broken", "partial", "segregated"})
LISTS_OF_TEXTS = frozenset({"blocking", "removed", "tables", "failed", "parts"})
OBJECTS = frozenset({"counts", "negative_control", "record", "source", "plan", "document"})
LISTS_OF_NUMBERS = frozenset({"lines"})


def entry(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line's entry with a record that has no surprises."""
    record = found["record"]
    return {
        "seq": found["seq"],
        "at": str(found["at"]),
        "kind": str(found["kind"]),
        "record": _plain(record) if isinstance(record, dict) else {},
    }


def _plain(record: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in record.items() if _fits(name, value)}
    for name in LISTS_OF_TEXTS & set(kept):
        kept[name] = [each for each in kept[name] if isinstance(each, str)]
    for name in LISTS_OF_NUMBERS & set(kept):
        kept[name] = [each for each in kept[name] if type(each) is int]
    return kept


def _fits(name: str, value: Any) -> bool:
    if name in TEXTS:
        return isinstance(value, str)
    if name in NUMBERS:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if name in TRUTHS:
        return isinstance(value, bool)
    if name in LISTS_OF_TEXTS | LISTS_OF_NUMBERS:
        return isinstance(value, list)
    if name in OBJECTS:
        return isinstance(value, dict)
    return name == audit.FIELD and _is_block(value)


def _is_block(value: Any) -> bool:
    """Tell whether a block of audit has the parts that the report reads."""
    if not isinstance(value, dict):
        return False
    phases, ordered = value.get("rto"), value.get("ordered_by")
    return (
        isinstance(value.get("started_at"), str)
        and isinstance(phases, dict)
        and set(phases) <= set(audit.PHASES)
        and isinstance(ordered, dict)
        and isinstance(value.get("not_covered"), list)
    )
