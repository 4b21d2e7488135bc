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

# What earlier releases kept of one table, without a word.
MAX_ROWS_BEFORE = 1000
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


def schema_of(extension: str) -> str:
    """Return the schema of plain tables in an extension's place; it may need its own one again."""
    return f"pms_ops_extension_{extension}"


def kept_tables(document: dict[str, Any], extension: str) -> dict[str, Any]:
    """Return the tables of an extension whose rows the set has as data; older sets say none."""
    found: dict[str, Any] = document.get("extension_tables", {}).get(extension, {})
    return {name: table for name, table in found.items() if table["rows"]}


def notes(document: dict[str, Any], names: Sequence[str]) -> list[str]:
    """Return what the run has to say about the extensions that it left out."""
    lines = []
    for name in names:
        kept = kept_tables(document, name)
        lines.append(f"Restored without extension {name}: its objects are missing.")
        for table in sorted(members(document, [name])):
            rows = document["contents"].get(table, {}).get("rows", 0)
            if table in kept:
                place = f"{schema_of(name)}.{kept[table]['name']}"
                count = kept[table]["rows"]
                lines.append(f"{count} of {rows} rows of {table} are in the plain table {place}.")
                if count < rows:
                    lines.append("The others are of the extension itself, by its own condition.")
            elif rows and "extension_tables" in document:
                lines.append(f"{rows} rows of {table} are not restored: they are not in the set.")
            elif rows:
                lines.append(
                    f"{rows} rows of {table} are not restored; {extension_rows.NAME} of this older"
                    f" set has at most {MAX_ROWS_BEFORE} of a table."
                )
    return [" ".join(lines)] if lines else []
