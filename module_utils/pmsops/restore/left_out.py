# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A restore without an extension that the server, or a second database of it, cannot have.

What is left out is left out of what the proof expects too, and said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import extension_rows
from ansible.module_utils.pmsops.restore.requirements import TIMESCALEDB

_KINDS = ("table ", "sequence ", "schema ", "view ")


def members(document: dict[str, Any], names: Sequence[str]) -> set[str]:
    """Return the tables, sequences, views and schemas that belong to the extensions *names*."""
    return {
        identity.removeprefix(kind)
        for identity, facts in document["facts"].get("extension_objects", {}).items()
        for kind in _KINDS
        if facts["extension"] in names and identity.startswith(kind)
    }


def manifest_without(document: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return a manifest as the proof of a restore without the extensions *names* has to have it.

    :raises OpsError: restore.left-out for extensions that the set does not have, and TimescaleDB
    """
    if not names:
        return document
    there = document.get("facts", {}).get("extensions", {})
    wrong = [name for name in names if name not in there or name == TIMESCALEDB]
    if wrong:
        raise OpsError(
            f"A restore cannot leave out {', '.join(wrong)}: the set has"
            f" {', '.join(sorted({*there} - {TIMESCALEDB})) or 'no such extensions'}.",
            "Correct restore_without_extensions; a bare dump and TimescaleDB come whole.",
            code="restore.left-out",
        )
    gone = members(document, names)
    facts = {
        kind: {name: found for name, found in objects.items() if name not in gone}
        for kind, objects in document["facts"].items()
    }
    facts["extensions"] = {name: found for name, found in there.items() if name not in names}
    facts["extension_objects"] = {
        name: found
        for name, found in facts.get("extension_objects", {}).items()
        if found["extension"] not in names
    }
    contents = {name: rows for name, rows in document["contents"].items() if name not in gone}
    return document | {"facts": facts, "contents": contents}


def notes(document: dict[str, Any], names: Sequence[str]) -> list[str]:
    """Return what the run has to say about the extensions that it left out."""
    lines = []
    for name in names:
        rows = {
            table: document["contents"][table]["rows"]
            for table in sorted(members(document, [name]))
            if table in document["contents"]
        }
        kept = ", ".join(f"{count} rows of {table}" for table, count in rows.items())
        line = f"Restored without extension {name}: its objects are missing."
        if kept:
            line += f" {kept} are not restored; the set's {extension_rows.NAME} has them."
        lines.append(line)
    return lines
