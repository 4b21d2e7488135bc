# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The manifest of a backup set: the contents of the database and the checksums of the files.

Its schema is published in docs/schemas/manifest.schema.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import fingerprint
from ansible.module_utils.pmsops.repository import signing

NAME = "manifest.json"
# Schema 2 names the formula of the fingerprints; sets of schema 1 use formula 1. Schema 3 has the
# rows as a query sees them and facts of more kinds.
SCHEMA_VERSION = 3
READABLE = (1, 2, SCHEMA_VERSION)
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
        document = json.loads(path.read_bytes())
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
    text = json.dumps(signed, sort_keys=True, ensure_ascii=False, indent=1) + "\n"
    files.replace(folder / NAME, text.encode(), mode=0o400)
    return signed


def formula(document: dict[str, Any]) -> Any:
    """Return the formula that the set's fingerprints were made with."""
    return document.get("fingerprint_formula", 1)


def schema(document: dict[str, Any]) -> int:
    """Return the schema version, which says how the set's facts were read."""
    return int(document["schema_version"])


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


def rows_of(document: dict[str, Any], table: str) -> int | None:
    """Return the rows of a table with those of its chunks and all children.

    They are 0 for an unknown table, and None where the set cannot tell.
    """
    if table in _compressed(document) and not counts_are_logical(document):
        return None
    # Parents are spelled as SQL takes them, names of tables are not.
    parents = {
        name: [parent.replace('"', "") for parent in facts.get("parents") or ()]
        for name, facts in document["facts"]["tables"].items()
    }
    family, queue = {table}, [table]
    while queue:
        parent = queue.pop()
        children = {name for name, above in parents.items() if parent in above} - family
        queue += children
        family |= children
    total: int = sum(
        entry["rows"]
        for name, entry in document["contents"].items()
        if name in family or entry.get("of") in family
    )
    return total


def rows(document: dict[str, Any]) -> int:
    """Return the number of rows that the set holds."""
    return sum(entry["rows"] for entry in document["contents"].values())
