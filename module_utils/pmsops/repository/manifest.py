# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The manifest of a backup set: the contents of the database and the checksums of the files.

Its schema is published in docs/schemas/manifest.schema.json.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files, json_pieces
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import fingerprint
from ansible.module_utils.pmsops.repository import signing

NAME = "manifest.json"
# Schema 2 names the formula of the fingerprints; sets of schema 1 use formula 1. Schema 3 has the
# rows as a query sees them and facts of more kinds.
SCHEMA_VERSION = 3
READABLE = (1, 2, SCHEMA_VERSION)
# Facts are by kind, then by name: each object is on a line of its own.
LINES_DEPTH = 3
REQUIRED = (
    "id",
    "database_name",
    "snapshot_at",
    "server",
    "database",
    "required_roles",
    "dump",
    "facts",
    "contents",
    "files",
)


def read(folder: Path) -> dict[str, Any]:
    """Return the manifest of the set in *folder*; it is not verified.

    :raises OpsError: manifest.missing, manifest.unreadable or manifest.version.
    """
    path = folder / NAME
    try:
        # The bytes are gone by the time that the text is read.
        known: dict[str, str] = {}
        document = json.loads(
            path.read_bytes().decode(), object_pairs_hook=lambda o: json_pieces.shared(o, known)
        )
    except FileNotFoundError as exc:
        raise OpsError(
            f"{folder} has no {NAME}, so it is not a finished backup set.",
            "Name a set's folder below backup_root, or its dump.",
            code="manifest.missing",
        ) from exc
    except (ValueError, OSError) as exc:
        raise OpsError(
            f"{path} cannot be read: {exc}",
            "The set is damaged; take another one.",
            code="manifest.unreadable",
        ) from exc
    if not isinstance(document, dict) or any(name not in document for name in REQUIRED):
        raise OpsError(
            f"{path} is not a manifest of pms-ops: it lacks "
            + ", ".join(
                name for name in REQUIRED if not isinstance(document, dict) or name not in document
            ),
            "The set is damaged; take another one.",
            code="manifest.unreadable",
        )
    if document.get("schema_version") not in READABLE or formula(document) not in (
        fingerprint.FORMULAS
    ):
        raise OpsError(
            f"{path} has schema version {document.get('schema_version')!r} and fingerprints of"
            f" formula {formula(document)!r}; this release reads versions 1 to {SCHEMA_VERSION},"
            f" formulas 1 to {fingerprint.FORMULA}.",
            "Use the release of pms-ops that wrote the set; the manifest names it.",
            code="manifest.version",
        )
    return document


def write(folder: Path, document: dict[str, Any], keys: Path) -> dict[str, Any]:
    """Sign *document* and write it as the last file of a set; return it as written."""
    signed = signing.sign(document, signing.load_or_create(keys))
    text = bytearray()
    for piece in _pieces(signed):
        text += piece.encode()
    text += b"\n"
    files.replace(folder / NAME, text, mode=0o400)
    return signed


def _pieces(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield JSON with a line for each object, for people; json's own indenting is much slower."""
    flat = not isinstance(value, dict) or not any(isinstance(v, dict) for v in value.values())
    if depth == LINES_DEPTH or (flat and depth):
        yield json.dumps(value, sort_keys=True, ensure_ascii=False)
        return
    before = "{\n"
    for name in sorted(value):
        yield f"{before}{' ' * (depth + 1)}{json.dumps(name, ensure_ascii=False)}: "
        yield from _pieces(value[name], depth + 1)
        before = ",\n"
    yield f"\n{' ' * depth}}}"


def formula(document: dict[str, Any]) -> Any:
    """Return the formula that the set's fingerprints were made with."""
    return document.get("fingerprint_formula", 1)


def schema(document: dict[str, Any]) -> int:
    """Return the schema version, which says how the set's facts were read."""
    return int(document["schema_version"])


def refers_to(document: dict[str, Any]) -> dict[str, str]:
    """Return the sets of other databases that are parts of the set, by database."""
    parts = (document.get("parts") or {}).values()
    return {each["database"]: each["set"] for each in parts if each.get("set")}


def tables(document: dict[str, Any]) -> list[str]:
    """Return the tables that have rows of their own; chunks that are named by range are none."""
    return [name for name, entry in document["contents"].items() if "of" not in entry]


def counts_are_logical(document: dict[str, Any]) -> bool:
    """Tell whether the set counts rows as queries see them.

    Older formulas count a compressed chunk's stored rows, about a thousand times fewer.
    """
    return (formula(document) or 0) >= fingerprint.LOGICAL or not _compressed(document)


def _compressed(document: dict[str, Any]) -> set[str]:
    """Return the hypertables that may have compressed chunks."""
    found = document["facts"].get("hypertables", {})
    return {name.replace('"', "") for name, facts in found.items() if facts.get("compression")}


def logical_rows(document: dict[str, Any]) -> int | None:
    """Return the rows that queries see in the set, None where the set cannot tell."""
    return rows(document) if counts_are_logical(document) else None


class TableRows:
    """The rows of the tables of one set, each with those of its chunks and all children."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._unknown = set() if counts_are_logical(document) else _compressed(document)
        self._contents = document["contents"]
        self._children: dict[str, list[str]] = {}
        for name, facts in document["facts"].get("tables", {}).items():
            for parent in facts.get("parents") or ():
                # Parents are spelled as SQL takes them, names of tables are not.
                self._children.setdefault(parent.replace('"', ""), []).append(name)
        self._keys: dict[str, list[str]] = {}
        for key, entry in self._contents.items():
            for owner in {key, entry.get("of", key)}:
                self._keys.setdefault(owner, []).append(key)

    def of(self, table: str) -> int | None:
        """Return the number of rows: 0 of an unknown table, None where the set cannot tell."""
        if table in self._unknown:
            return None
        family, queue = {table}, [table]
        while queue:
            children = set(self._children.get(queue.pop(), ())) - family
            queue += children
            family |= children
        keys = {key for name in family for key in self._keys.get(name, ())}
        total: int = sum(self._contents[key]["rows"] for key in keys)
        return total


def rows_of(document: dict[str, Any], table: str) -> int | None:
    """Return the rows of one table; who asks for many uses ``TableRows``."""
    return TableRows(document).of(table)


def rows(document: dict[str, Any]) -> int:
    """Return the number of rows that the set holds."""
    return sum(entry["rows"] for entry in document["contents"].values())
