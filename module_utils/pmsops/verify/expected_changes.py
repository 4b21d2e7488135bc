# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a faithful restore changes: by the server's version, or because a dump cannot carry it.

Facts that differ in such a way alone are made equal before they are compared, with a note for the
operator where the copy lacks something.
"""

from __future__ import annotations

import re
from typing import Any

from ansible.module_utils.pmsops.verify.differences import Facts

# Since these versions a server keeps a named constraint for each NOT NULL: of a column, a domain.
_NAMES_NOT_NULL, _NAMES_DOMAINS_NOT_NULL = 18, 17
# Since this version the privilege MAINTAIN belongs to all privileges of a table.
_MAINTAIN = 17
_ALL_BEFORE = "arwdDxt"
_ENTRY = re.compile(r"(?P<grantee>.*)=(?P<privileges>[a-zA-Z*]+)/(?P<grantor>.*)", re.DOTALL)
_REFERENCES = re.compile(r"(?<= REFERENCES )(?P<table>[^(]+)(?=\()")


def understood(
    wanted: Facts, found: Facts, *, set_major: int, major: int, schema: int
) -> tuple[Facts, Facts, list[str]]:
    """Return both sides without expected changes, and a note for each thing that the copy lacks.

    *set_major* and *major* are the servers' versions, *schema* is that of the set.
    """
    wanted, found = dict(wanted), dict(found)
    notes: list[str] = []
    if schema < 3:
        for side in (wanted, found):
            side["constraints"] = _without_derived_keys(side)
    found["constraints"] = _without_not_null(wanted, found, set_major)
    _columns(wanted, found, notes)
    _invalid_indexes(wanted, found, notes)
    if set_major < _MAINTAIN <= major:
        for kind, objects in wanted.items():
            wanted[kind] = {name: _with_maintain(facts) for name, facts in objects.items()}
    return wanted, found, notes


def _without_not_null(wanted: Facts, found: Facts, set_major: int) -> dict[str, dict[str, Any]]:
    """Leave out the constraints that the set's server had no name for; the columns tell of them."""
    known = wanted.get("constraints", {})
    result = {}
    for name, facts in found.get("constraints", {}).items():
        definition = str(facts.get("definition"))
        since = _NAMES_DOMAINS_NOT_NULL if definition == "NOT NULL" else _NAMES_NOT_NULL
        if name in known or set_major >= since or not definition.startswith("NOT NULL"):
            result[name] = facts
    return result


def _columns(wanted: Facts, found: Facts, notes: list[str]) -> None:
    """Compare the names of NOT NULL constraints where both servers have them.

    A column that accepts nulls below a parent that does not becomes NOT NULL: a dump cannot say
    that ALTER TABLE ONLY has spared it.
    """
    named = "not_null_constraint"
    columns, copies = dict(wanted.get("columns", {})), dict(found.get("columns", {}))
    for name in set(columns) & set(copies):
        here, there = columns[name], copies[name]
        if here == there:
            continue
        if (named in here) != (named in there):
            here = {key: value for key, value in here.items() if key != named}
            there = {key: value for key, value in there.items() if key != named}
        if there.get("not_null") and here.get("not_null") is False and _inherits(wanted, name):
            notes.append(f"column {name} accepts nulls in the backup, and not in a restored copy")
            here = here | {key: there[key] for key in ("not_null", named) if key in there}
        columns[name], copies[name] = here, there
    wanted["columns"], found["columns"] = columns, copies


def _inherits(facts: Facts, name: str) -> bool:
    """Return whether a table above has the column and says NOT NULL."""
    table, _, column = name.rpartition(".")
    waiting, columns = [table], facts["columns"]
    while waiting:
        for parent in facts["tables"].get(waiting.pop(), {}).get("parents") or ():
            parent = _unquoted(parent)
            if columns.get(f"{parent}.{column}", {}).get("not_null"):
                return True
            waiting.append(parent)
    return False


def _invalid_indexes(wanted: Facts, found: Facts, notes: list[str]) -> None:
    """Leave out invalid indexes that the copy lacks: pg_dump does.

    It dumps those of partitioned tables, which are invalid until each partition has one.
    """
    there = found.get("indexes", {})
    kept = {}
    for name, facts in wanted.get("indexes", {}).items():
        if name in there or facts.get("valid") or " ON ONLY " in facts["definition"]:
            kept[name] = facts
        else:
            notes.append(f"index {name} is invalid in the backup, and no restore brings it back")
    wanted["indexes"] = kept


def _with_maintain(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts with the grants as a server with MAINTAIN restores them."""
    grants = facts.get("grants")
    if not isinstance(grants, list):
        return facts
    return facts | {"grants": [_entry_with_maintain(entry) for entry in grants]}


def _entry_with_maintain(entry: str) -> str:
    found = _ENTRY.fullmatch(entry)
    if not found:
        return entry
    more = {_ALL_BEFORE: "m", "*".join([*_ALL_BEFORE, ""]): "m*"}.get(found["privileges"], "")
    return f"{found['grantee']}={found['privileges']}{more}/{found['grantor']}"


def _without_derived_keys(facts: Facts) -> dict[str, dict[str, Any]]:
    """Leave out the foreign keys that the server derives, one for each partition referenced.

    It names them by the order in which the partitions came.
    """
    constraints = facts.get("constraints", {})
    definitions = {str(each.get("definition")) for each in constraints.values()}
    return {
        name: each
        for name, each in constraints.items()
        if not any(parent in definitions for parent in _of_parents(facts, each))
    }


def _of_parents(facts: Facts, constraint: dict[str, Any]) -> list[str]:
    """Return the definitions of the keys that a foreign key to a partition may derive from."""
    definition = str(constraint.get("definition"))
    referenced = _REFERENCES.search(definition)
    if not definition.startswith("FOREIGN KEY") or not referenced:
        return []
    table = facts["tables"].get(_unquoted(referenced["table"]), {})
    if not table.get("partition_bound"):
        return []
    before, after = definition[: referenced.start()], definition[referenced.end() :]
    return [f"{before}{parent}{after}" for parent in table["parents"]]


def _unquoted(name: str) -> str:
    """Return the name of a relation as facts have it."""
    return re.sub(r'"((?:[^"]|"")*)"', lambda found: found[1].replace('""', '"'), name)
