# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The parts of a backup set: their names, and which of them a set has.

A part is no part of the database's snapshot: it was read at a moment of its own. It is optional in
the manifest, so a set without parts, or one that an older release made, is as good as ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError

FIELD = "parts"  # of the manifest
FOLDER = "parts"  # of the set
DATABASE, REDIS, FILES = "database", "redis", "files"  # kinds
SHOWN = 3
# Why a file with a secret is left out; it ends the line about that file.
NOT_ENCRYPTED = "and the set is not encrypted"
ELSEWHERE = (
    "What may be secret is kept beside the set in its copy on each site of offsite_repositories;"
    " with backup_recipients the set is encrypted, and has it too"
)


@dataclass(frozen=True)
class Name:
    """A name that an operator can ask for."""

    name: str
    kind: str
    about: str


DATABASES, DAGSTER = "databases", "dagster"
ALL = "all"
TABLE = (
    Name(DATABASES, DATABASE, "each of the server's other databases (backup_other_databases)"),
    Name(DAGSTER, DATABASE, "Dagster's storage database, which is one of these"),
    Name("redis", REDIS, "the morning packs in Redis, those whose time is not over"),
    Name("grafana", FILES, "what the service of Grafana mounts: dashboards and provisioning"),
    Name("compose", FILES, "the Compose files, their .env, and the files that they name"),
)
# What a backup takes; Dagster's database comes with the others.
TAKEN = tuple(each.name for each in TABLE if each.name != DAGSTER)
# A database with these tables is Dagster's.
DAGSTER_TABLES = frozenset({"public.runs", "public.event_logs"})


def of(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the parts of a manifest, by name; of an older set none."""
    return document.get(FIELD) or {}


def entry(kind: str, *, encrypted: bool = False, **facts: Any) -> dict[str, Any]:
    """Return what the manifest says of a part, every field named."""
    return {
        "kind": kind,
        "read_at": None,
        "not_taken": None,
        "encrypted": encrypted,
        "files": [],
        "count": 0,
        "left_out": [],
    } | facts


def not_taken(kind: str, why: str) -> dict[str, Any]:
    """Return what the manifest says of a part that could not be taken."""
    return entry(kind, not_taken=why)


def files(parts: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the parts that are files and in the set."""
    return {
        name: part
        for name, part in parts.items()
        if part["kind"] == FILES and not part["not_taken"]
    }


def texts(document: Mapping[str, Any]) -> list[str]:
    """Return a line for each part of a manifest, for people, with what is left out."""
    return [f"{name}: {full_text(part)}" for name, part in of(document).items()]


def full_text(part: Mapping[str, Any]) -> str:
    """Return what a set has of a part, of which moment, and what is left out of it."""
    return text(part) + _without(part["left_out"])


def short_texts(document: Mapping[str, Any]) -> dict[str, str]:
    """Return a few words on each part of a manifest, by name."""
    return {
        name: text(part) + (f", {len(out)} left out" if (out := part["left_out"]) else "")
        for name, part in of(document).items()
    }


def text(part: Mapping[str, Any]) -> str:
    """Return what a set has of a part, and of which moment."""
    if part["not_taken"]:
        return f"NOT TAKEN, {part['not_taken']}"
    if part["kind"] == DATABASE:
        return f"set {part['set']} of database {part['database']}, of {part['read_at']}"
    noun = ("pack" if part["kind"] == REDIS else "file") + "s" * (part["count"] != 1)
    return f"{part['count']} {noun} of {part['read_at']}"


def _without(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    elsewhere = f". {ELSEWHERE}" if any(NOT_ENCRYPTED in each for each in lines) else ""
    return f", without {'; '.join(lines[:SHOWN])}{more}{elsewhere}"


def warnings(document: Mapping[str, Any]) -> list[str]:
    """Return what a backup has to say of parts that it could not take."""
    return [
        f"Part {name} is not in the set: {part['not_taken']}"
        for name, part in of(document).items()
        if part["not_taken"]
    ]


def chosen(document: Mapping[str, Any], asked: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the parts of a manifest that an operator asked for.

    :raises OpsError: parts.unknown, parts.none, parts.not-taken
    """
    there, found = of(document), dict[str, dict[str, Any]]()
    known = {each.name for each in TABLE} | {ALL}
    for name in asked:
        matching = {
            key: part
            for key, part in there.items()
            if name in (key, part.get("database"))
            or (name == DATABASES and part["kind"] == DATABASE)
            or (name == ALL and not part["not_taken"])
        }
        if not matching and name not in known:
            raise OpsError(
                f"There is no part {name!r}. Nothing was changed.",
                f"Parts are {', '.join(sorted(known | set(there)))}.",
                code="parts.unknown",
            )
        if not matching:
            raise OpsError(
                f"Set {document['id']} has no part {name}: "
                + (f"it has {', '.join(there)}." if there else "it has no parts at all.")
                + " Nothing was changed.",
                "Take a later set (`pms-ops status` names the parts of the newest), or restore"
                " without it. backup_parts says what a backup takes.",
                code="parts.none",
            )
        found |= matching
    for name, part in found.items():
        if part["not_taken"]:
            raise OpsError(
                f"Part {name} could not be taken into set {document['id']}: {part['not_taken']}"
                " Nothing was changed.",
                "Take another set, or restore without this part.",
                code="parts.not-taken",
            )
    return found
