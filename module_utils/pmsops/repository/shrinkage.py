# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a set has lost against the one before it: rows, tables, bytes.

The set before is held as soon as something was lost, and later sets are compared with it until
somebody lifts that hold: otherwise the second backup of an emptied database would find nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import size as human
from ansible.module_utils.pmsops.repository import manifest, sets

FLAG = "shrunk"
KEPT_SHARE = 2 / 3  # of rows, bytes and tables: with less, a third was lost
TABLE_SHARE = 1 / 2  # of a table's rows: with less, most are gone
# Fewer than these come and go: queues, settings, tests.
MIN_ROWS, MIN_BYTES, MIN_TABLES = 100, 1_000_000, 3
# Of one table; it can be emptied by one statement.
MIN_TABLE_ROWS, MIN_TABLE_ROWS_EMPTIED = 20, 10
OWN_SCHEMA = "pms_ops"
MAX_FINDINGS = 100
REMEDY = (
    "Find out who deleted it. Restore from the set before, or accept the loss: "
    "ansible-playbook playbooks/hold.yml -e hold_state=absent -e file={folder}"
)


def baseline(backup_root: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return the set that a new one is compared with, and its manifest; None without one.

    It is the oldest set that is held for a loss, else the newest one.
    """
    folders = sets.listed(backup_root)
    held = [path for path in folders if _hold(path).get(FLAG)]
    for folder in (*held, *reversed(folders)):
        try:
            return folder, manifest.read(folder)
        except OpsError:
            continue
    return None


def losses(before: dict[str, Any], after: dict[str, Any], *, bytes_after: int) -> list[str]:
    """Return what the set of manifest *after* lost, a line each; largest subject first."""
    if before["database_name"] != after["database_name"]:
        return []
    lines = []
    if manifest.counts_are_logical(before) and manifest.counts_are_logical(after):
        lines += _of_the_set(before, after)
    lines += _of_bytes(before, after, bytes_after)
    return (lines + _of_schemas(before, after) + _of_tables(before, after))[:MAX_FINDINGS]


def lost_most(was: int, now: int) -> bool:
    """Tell whether a table of *was* rows lost most of them: no course of business does that."""
    minimum = MIN_TABLE_ROWS if now else MIN_TABLE_ROWS_EMPTIED
    return was >= minimum and now < was * TABLE_SHARE


def record(backup_root: Path, document: dict[str, Any], *, bytes_after: int) -> dict[str, Any]:
    """Return ``{since, findings}`` of a set that is nearly made; hold the set before for them."""
    found = baseline(backup_root)
    if found is None or "moment" in document:  # an older moment has fewer rows, and lost none
        return {"since": None, "findings": []}
    folder, before = found
    lines = losses(before, document, bytes_after=bytes_after)
    if lines:
        hold(folder, lines, document["id"])
    return {"since": folder.name, "findings": lines}


def hold(folder: Path, lines: list[str], found_in: str) -> None:
    """Keep the set in *folder* from retention until somebody lifts the hold; lines say why."""
    note = _hold(folder)
    note.setdefault("reason", f"set {found_in} lost: {lines[0]}")
    sets.write_note(folder / sets.HOLD, json.dumps(note | {FLAG: True}) + "\n")


def standing(backup_root: Path, document: dict[str, Any]) -> list[str]:
    """Return the losses of the set of *document* that nobody has accepted.

    One that lifts the hold of the set before accepts them, and so does one that holds it for a
    reason of their own.
    """
    found = document.get(FLAG) or {}
    since = backup_root / str(found.get("since", ""))
    if not found.get("findings") or (since.is_dir() and not _hold(since).get(FLAG)):
        return []
    return [f"{line} (set {since.name} has it)" for line in found["findings"]]


def remedy(backup_root: Path, document: dict[str, Any]) -> str:
    """Return the step after such a finding."""
    return REMEDY.format(folder=backup_root / str((document.get(FLAG) or {}).get("since")))


def _of_the_set(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    was, now = manifest.rows(before), manifest.rows(after)
    if was < MIN_ROWS or now >= was * KEPT_SHARE:
        return []
    return [f"the set has {now} rows of {was}"]


def _of_bytes(before: dict[str, Any], after: dict[str, Any], now: int) -> list[str]:
    """Compare sizes, where neither pg_dump nor TimescaleDB compresses otherwise than before."""
    was = before.get("totals", {}).get("bytes", 0)
    same = all(
        before["dump"].get(name) == after["dump"].get(name)
        for name in ("format", "compression", "encrypted")
    )
    compressed = any(
        facts.get("compression") for facts in after["facts"].get("hypertables", {}).values()
    )
    if was < MIN_BYTES or now >= was * KEPT_SHARE or not same or compressed:
        return []
    return [f"the set has {human(now)} of {human(was)}"]


def _of_schemas(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    was, now = (_tables_by_schema(each) for each in (before, after))
    return [
        f"schema {schema} has {now[schema]} tables of {count}"
        for schema, count in was.items()
        if count >= MIN_TABLES and now[schema] < count * KEPT_SHARE
    ]


def _tables_by_schema(document: dict[str, Any]) -> Counter[str]:
    """Count tables without partitions and chunks, which come and go."""
    return Counter(
        name.partition(".")[0]
        for name, facts in document["facts"].get("tables", {}).items()
        if not facts.get("parents") and not name.startswith(f"{OWN_SCHEMA}.")
    )


def _of_tables(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    lines = []
    there = after["facts"].get("tables", {})
    then_rows, now_rows = manifest.TableRows(before), manifest.TableRows(after)
    for name, facts in before["facts"].get("tables", {}).items():
        if facts.get("parents") or name.startswith(f"{OWN_SCHEMA}."):
            continue
        was, now = then_rows.of(name), now_rows.of(name)
        if not was or now is None:
            continue
        if name not in there:
            lines.append((was, f"table {name} with {was} rows is gone"))
        elif lost_most(was, now):
            lines.append((was - now, f"table {name} has {now} rows of {was}"))
    return [line for _, line in sorted(lines, key=lambda each: (-each[0], each[1]))]


def _hold(folder: Path) -> dict[str, Any]:
    """Return the hold of a set, empty without one."""
    try:
        found = json.loads((folder / sets.HOLD).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
