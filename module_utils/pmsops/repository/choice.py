# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The set to restore after a disaster: the newest that can be proved now and lacks nothing.

A restore proves its set before the swap, so a set need not have been verified before. But a backup
that was made after the damage is as sound as any other, and holds the damage: what the newest
verified set has, the chosen one must have too.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import manifest, quarantine, sets, shrinkage
from ansible.module_utils.pmsops.repository.quarantine import SHOWN, Choice


def newest_complete(
    root: Path,
    keys: Path,
    *,
    database: str,
    trust: str | None = None,
    drills: Iterable[dict[str, Any]] = (),
) -> tuple[Choice, Choice]:
    """Return the newest intact set that lacks nothing, and the newest verified one.

    Both are the same if no newer set than the verified one will do.

    :raises OpsError: signing.unknown-key, signing.key.
    """
    drills = list(drills)
    verified = quarantine.choose(
        root, keys, database=database, trust=trust, verified=True, drills=drills
    )
    choice = Choice()
    for folder in reversed(sets.listed(root)):
        if folder == verified.folder:
            break
        try:
            document = manifest.read(folder)
        except OpsError as exc:
            choice.passed_over.append(f"{folder.name}: {exc}")
            continue
        # Cheap questions first: the last one reads every byte of the set.
        why = (
            _of_another(document, database)
            or _drill(drills, folder)
            or "; ".join(lacks(document, verified.document)[:SHOWN])
            or "; ".join(quarantine.examine(folder, keys, trust=trust).problems[:SHOWN])
        )
        if not why:
            proved = sets.verification(folder) is not None
            choice.folder, choice.document, choice.verified = folder, document, proved
            return choice, verified
        choice.passed_over.append(f"{folder.name}: {why}")
    choice.folder, choice.document = verified.folder, verified.document
    choice.verified = verified.verified
    return choice, verified


def lacks(newer: dict[str, Any], older: dict[str, Any]) -> list[str]:
    """Return what a newer set has lost against an older one: tables, and most rows of a table."""
    if not older:
        return []
    there = set(_own_tables(newer))
    older_rows, newer_rows = manifest.TableRows(older), manifest.TableRows(newer)
    found = []
    for table in _own_tables(older):
        before, now = older_rows.of(table), newer_rows.of(table)
        if table not in there:
            found.append(f"lacks table {table}, which {older['id']} has")
        elif before is None or now is None:
            continue  # an older formula counted compressed chunks otherwise
        elif shrinkage.lost_most(before, now):
            found.append(f"has {now} rows of {table}, {older['id']} has {before}")
    return found


def _own_tables(document: dict[str, Any]) -> list[str]:
    """Return the tables by name; not chunks and partitions, which retention drops."""
    known = document["facts"].get("tables", {})
    return [
        name
        for name in dict.fromkeys((*known, *manifest.tables(document)))
        if not name.startswith("_timescaledb") and not known.get(name, {}).get("parents")
    ]


def _of_another(document: dict[str, Any], database: str) -> str:
    name = document["database_name"]
    return "" if name == database else f"is of database {name}"


def _drill(drills: list[dict[str, Any]], folder: Path) -> str:
    why = quarantine.failed_drill(drills, folder)
    return f"did not restore: {why}" if why else ""
