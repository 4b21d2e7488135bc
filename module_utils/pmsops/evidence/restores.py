# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the ledger tells of restores and rollbacks: the last that holds, and a later one refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common import progress
from ansible.module_utils.pmsops.common.timestamps import UTC, from_iso
from ansible.module_utils.pmsops.common.timestamps import age as age_of
from ansible.module_utils.pmsops.evidence import ledger

KINDS = ("restore", "rollback")
HOST = "host"  # a new machine took the system over
# Values of a record's ``outcome``; a record without one is of a swap that holds.
UNDONE, FAILED = "undone", "failed"
# The proof itself failed: it did not find its negative control.
BROKEN = "broken"
WHY_LENGTH = 160
# Only in a record of single tables that were put in place: the database was not replaced.
TABLES = "tables"
# Only in a record of parts of a set, which surround the database.
PARTS = "parts"
# Schemas of former tables that were dropped.
DROPPED = "dropped_schemas"
# After this, nobody waits for the restore any more; the ledger keeps its line.
DUE_SECONDS = 7 * 86400


def replaced(entries: Sequence[dict[str, Any]], now: datetime) -> dict[str, Any] | None:
    """Return how the live database was replaced last: by a restore or a rollback."""
    found = [each for each in _of_restores(entries) if "outcome" not in each["record"]]
    if not found:
        return None
    last, record = found[-1], found[-1]["record"]
    return {
        "at": record.get("swapped_at") or last["at"],
        "kind": last["kind"],
        "by": record.get("set") or record.get("brought_back") or record.get("incoming"),
        "former": record.get("former") or record.get("undone") or record.get("kept_volume"),
        "of": "server" if record.get("whole_server") else "database",
        "down_seconds": record.get("down_seconds"),
        "seen_later": bool(record.get("seen_later")),
        "age_seconds": age_seconds(record.get("swapped_at") or last["at"], now),
    }


def refused(entries: Sequence[dict[str, Any]], now: datetime) -> dict[str, Any] | None:
    """Return the last restore or rollback if it was undone or failed; None if one holds since.

    None, too, if a new machine took over since, whose database is that of this set or a later one:
    to restore the set again would take away what was committed there.
    """
    found = _of_restores(entries)
    if not found or "outcome" not in found[-1]["record"]:
        return None
    last, record = found[-1], found[-1]["record"]
    later = entries[entries.index(last) + 1 :]
    if any(_went_live(each["record"], record.get("set")) for each in ledger.of_kind(later, HOST)):
        return None
    return {
        "at": last["at"],
        "kind": last["kind"],
        "outcome": record["outcome"],
        "set": record.get("set"),
        "code": record.get("code"),
        "why": record.get("why"),
        "age_seconds": age_seconds(last["at"], now),
    }


def former_tables(entries: Sequence[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """Return the schemas of former tables that the ledger knows, and no line says are dropped."""
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry["kind"] not in KINDS or not isinstance(entry["record"].get(TABLES), list):
            continue
        record = entry["record"]
        undone = found.pop(record.get("brought_back"), None)
        if record.get("former_schema"):
            found[record["former_schema"]] = {
                "schema": record["former_schema"],
                "tables": record[TABLES] or (undone["tables"] if undone else []),
                "bytes": record.get("former_bytes"),
                "age_seconds": age_seconds(entry["at"], now),
            }
        for schema in record.get(DROPPED) or ():
            found.pop(schema, None)
    return list(found.values())


def describe_former_tables(
    found: Iterable[dict[str, Any]], say: Callable[[str, str], None]
) -> None:
    """Report the schemas of former tables to people."""
    for each in found:
        size = f", {progress.size(each['bytes'])}" if each["bytes"] else ""
        text = f"{each['schema']}{size}, {age_of(each['age_seconds'])} old"
        say("former tables", f"{text}; pms-ops rollback --drop-tables {each['schema']}")


def describe(found: dict[str, Any], age: str) -> str:
    """Return the last swap that holds as text; *age* is how long ago it was."""
    later = "; recorded later: its playbook had been killed" if found["seen_later"] else ""
    by = f" by {found['by']}" if found["by"] else ""
    former = f", former {found['of']} {found['former']}" if found["former"] else ""
    if found["down_seconds"] is not None:
        former += f", PMS down for {found['down_seconds']:.0f} s"
    return f"{age} ago{by}{former}{later}"


def describe_refused(found: dict[str, Any], age: str) -> str:
    """Return a restore that was undone or failed as text."""
    of = f" of {found['set']}" if found["set"] else ""
    return f"{age} ago, {found['kind']}{of} {found['outcome']}: {_short(found['why'])}"


def due(found: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Return what is due after a restore that was undone or failed, and the command for it.

    The command only looks (``--check``): what is live may be newer than the set.
    """
    if found is None or (found["age_seconds"] or 0) > DUE_SECONDS:
        return []
    of = f" of set {found['set']}" if found["set"] else ""
    what = f"the last {found['kind']}{of} {_WAS[found['outcome']]}: {_short(found['why'])}"
    again = f"pms-ops restore {found['set']}" if found["set"] else "pms-ops restore"
    return [(what, f"{again if found['kind'] == 'restore' else 'pms-ops rollback'} --check")]


def age_seconds(stamp: str | None, now: datetime) -> float | None:
    """Return the seconds since an ISO time stamp, None for none or a damaged one."""
    if not stamp:
        return None
    try:
        then = from_iso(stamp)
    except ValueError:
        return None
    return round((now - (then if then.tzinfo else then.replace(tzinfo=UTC))).total_seconds(), 1)


_WAS = {UNDONE: "was undone", FAILED: "failed", BROKEN: "had a broken proof"}


def _went_live(host: dict[str, Any], refused_set: str | None) -> bool:
    """Tell whether a new machine has at least what the refused restore was to bring."""
    return bool(host.get("moment") or str(host.get("set") or "") >= (refused_set or ""))


def _of_restores(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    # A whole server has a number of tables; single ones are named.
    found = ledger.of_kind(entries, *KINDS)
    return [
        each
        for each in found
        if not isinstance(each["record"].get(TABLES), list) and PARTS not in each["record"]
    ]


def _short(why: Any) -> str:
    text = " ".join(str(why or "no reason was recorded").split())
    return text if len(text) <= WHY_LENGTH else text[:WHY_LENGTH] + "..."
