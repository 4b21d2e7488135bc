# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a faithful restore changes: by the server's version, or because a dump cannot carry it.

Facts that differ in such a way alone are made equal before they are compared, with a note for the
operator where the copy lacks something.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from ansible.module_utils.pmsops.postgresql import (
    materialized_views,
    moving_sequences,
    not_restored,
)
from ansible.module_utils.pmsops.verify.differences import Facts

# Since these versions a server keeps a named constraint for each NOT NULL: of a column, a domain.
_NAMES_NOT_NULL, _NAMES_DOMAINS_NOT_NULL = 18, 17
# Since this version the privilege MAINTAIN belongs to all privileges of a table.
_MAINTAIN = 17
_ALL_BEFORE = "arwdDxt"
# Attributes that came with a later version, and the value that stands for what was before.
_LATER = {
    ("publications", "generated_columns"): (18, "n"),
    ("publications", "all_sequences"): (19, "false"),
    ("publication_tables", "except"): (19, False),
    ("subscriptions", "twophasestate"): (15, "d"),
    ("subscriptions", "disableonerr"): (15, "false"),
    ("subscriptions", "passwordrequired"): (16, "true"),
    ("subscriptions", "runasowner"): (16, "false"),
    ("subscriptions", "origin"): (16, "any"),
    ("subscriptions", "failover"): (17, "false"),
    ("subscriptions", "retaindeadtuples"): (19, "false"),
    ("subscriptions", "maxretention"): (19, "0"),
}
_ENTRY = re.compile(r"(?P<grantee>.*)=(?P<privileges>[a-zA-Z*]+)/(?P<grantor>.*)", re.DOTALL)
_REFERENCES = re.compile(r"(?<= REFERENCES )(?P<table>[^(]+)(?=\()")


def understood(
    wanted: Facts,
    found: Facts,
    *,
    set_major: int,
    major: int,
    schema: int,
    other_versions: Collection[str] = (),
    restored: bool = False,
) -> tuple[Facts, Facts, list[str]]:
    """Return both sides without expected changes, and a note for each thing that the copy lacks.

    *set_major* and *major* are the servers' versions, *schema* is that of the set.
    *other_versions* names the extensions whose version differs. *restored* tells of a copy as it
    was restored: elsewhere an object of an extension that differs may have been changed.
    """
    wanted, found = dict(wanted), dict(found)
    notes: list[str] = []
    if schema < 3:
        for side in (wanted, found):
            side["constraints"] = _without_derived_keys(side)
    found["constraints"] = _without_not_null(wanted, found, set_major)
    wanted["sequences"], found["sequences"] = moving_sequences.understood(
        wanted.get("sequences", {}), found.get("sequences", {})
    )
    _columns(wanted, found, notes)
    _never_dumped(wanted, found, notes)
    _jobs_of_extension(wanted, found, notes)
    views = "materialized_views"
    wanted[views], found[views], more = materialized_views.understood(
        wanted.get(views, {}), found.get(views, {})
    )
    notes += more
    if set_major < _MAINTAIN <= major:
        for kind, objects in wanted.items():
            wanted[kind] = {name: _with_maintain(facts) for name, facts in objects.items()}
    for (kind, attribute), (since, value) in _LATER.items():
        if set_major < since <= major and kind in found:
            found[kind] = {
                name: facts | {attribute: None} if facts.get(attribute) == value else facts
                for name, facts in found[kind].items()
            }
    _extension_objects(wanted, found, set_major != major, other_versions)
    if restored:
        notes += changed_members(wanted, found)
        wanted["extension_objects"] = found.get("extension_objects", {})
    return wanted, found, notes


def _extension_objects(
    wanted: Facts, found: Facts, all_differ: bool, other_versions: Collection[str]
) -> None:
    """Leave out the objects of extensions that are of another version, or on another server's."""
    kind = "extension_objects"
    here, there = wanted.get("extensions", {}), found.get("extensions", {})
    others = {
        *other_versions,
        *(
            name
            for name in {*here, *there}
            if here.get(name, {}).get("version") != there.get(name, {}).get("version")
        ),
    }
    for side in (wanted, found):
        if kind in side:
            side[kind] = {
                name: facts
                for name, facts in side[kind].items()
                if not all_differ and facts.get("extension") not in others
            }


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


def _never_dumped(wanted: Facts, found: Facts, notes: list[str]) -> None:
    """Expect the copy to lack what pg_dump leaves out; what it has there instead is compared."""
    for rule, name in list(not_restored.lost(wanted)):
        here, there = wanted[rule.kind][name], found.get(rule.kind, {}).get(name)
        if rule.attribute and there is not None and not there.get(rule.attribute):
            changed = here | {rule.attribute: there.get(rule.attribute)}
            wanted[rule.kind] = wanted[rule.kind] | {name: changed}
        elif not rule.attribute and there is None:
            others = wanted[rule.kind].items()
            wanted[rule.kind] = {each: facts for each, facts in others if each != name}
        else:
            continue
        notes.append(not_restored.text(rule, name, here))


def changed_members(wanted: Facts, found: Facts) -> list[str]:
    """Return a line for each object of an extension that a restore has as its script makes it.

    *found* are the facts of a restored copy. Extensions of another version are passed over.
    """
    wanted, found = dict(wanted), dict(found)
    _extension_objects(wanted, found, False, ())
    here, there = wanted.get("extension_objects", {}), found.get("extension_objects", {})
    lines = []
    for name in sorted({*here, *there}):
        of = f"of extension {(here.get(name) or there[name]).get('extension')}"
        if name not in there:
            lines.append(f"{name} {of} was made by hand, and a restored copy lacks it")
        elif name not in here:
            lines.append(f"{name} {of} was taken out of it, and a restored copy has it again")
        elif here[name] != there[name]:
            lines.append(f"{name} {of} was changed, and a restored copy has the extension's own")
    return lines


def _jobs_of_extension(wanted: Facts, found: Facts, notes: list[str]) -> None:
    """Leave out the jobs that TimescaleDB makes itself: no dump has them."""
    kind = "extension_jobs"
    here, there = wanted.pop(kind, {}), found.pop(kind, {})
    for job in sorted(set(here) & set(there)):
        if here[job] != there[job]:
            notes.append(f"TimescaleDB's own job {job} is not as in the backup: no dump has it")


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
