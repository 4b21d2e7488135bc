# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tablespaces that the objects of a set lie in: the server must have them before a restore."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import fetch_all


def of_facts(facts: dict[str, dict[str, dict[str, Any]]]) -> set[str]:
    """Return the tablespaces that the facts of a manifest name; none for a set of schema 1 or 2."""
    names = {each.get("tablespace") for objects in facts.values() for each in objects.values()}
    for hypertable in facts.get("hypertables", {}).values():
        names.update(hypertable.get("tablespaces") or ())
    return {name for name in names if name}


def require(cursor: Any, names: set[str]) -> None:
    """Refuse a server without the tablespaces *names*, which pg_restore would fail on.

    :raises OpsError: restore.tablespace
    """
    known = {row[0] for row in fetch_all(cursor, "SELECT spcname FROM pg_tablespace")}
    if missing := sorted(names - known):
        raise OpsError(
            f"The server lacks tablespaces that the set needs: {', '.join(missing)}.",
            "Create them: the set's globals.sql has each CREATE TABLESPACE, with the folder of the"
            " server that the set was made on.",
            code="restore.tablespace",
        )
