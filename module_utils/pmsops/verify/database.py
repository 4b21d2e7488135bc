# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compare a database with a manifest (every object, every row) or with a bare dump (row counts)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from typing import Any

from ansible.module_utils.pmsops.client_tools import archive_contents
from ansible.module_utils.pmsops.common import json_pieces
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.postgresql import (
    catalog,
    database_mark,
    event_triggers,
    fingerprint,
    timescaledb_held_jobs,
)
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all
from ansible.module_utils.pmsops.repository import manifest as manifests
from ansible.module_utils.pmsops.verify import differences as compare
from ansible.module_utils.pmsops.verify import (
    expected_changes,
    printed_sql,
    row_comparison,
    same_meaning,
)
from ansible.module_utils.pmsops.verify.negative_control import Control

READERS = 2
# Not compared: a staging database carries the toolkit's mark as its comment until the swap, and the
# collation version is that of the server's system, whose indexes are newly built.
NOT_COMPARED = ("comment", "collation_version")
# Rows and fingerprint of each table or chunk, by its name in a manifest.
Contents = dict[str, dict[str, Any]]


def differences(
    database: Database,
    manifest: dict[str, Any],
    *,
    progress: Progress | None = None,
    other_versions: Collection[str] = (),
    deviations: list[str] | None = None,
    restored: bool = False,
    control: Control | None = None,
    digests: list[str] | None = None,
    within: Callable[[Any, compare.Facts, compare.Facts, Contents], None] | None = None,
) -> list[compare.Difference]:
    """Return what differs between a database and a manifest, objects first, then rows.

    *other_versions* names the extensions whose recorded version the server does not have.
    *deviations* gets a line for each thing that no restore of the set can bring back. *restored*
    tells that the database is a copy that nobody has changed since it was restored. *control*
    changes a row of such a copy once nothing differs but rows, and undoes it. *digests* gets the
    SHA-256 of every fact as it was read, those included that a comparison makes allowances for.
    *within* is called in the snapshot that was compared, with a cursor, the facts of both sides and
    the fingerprints found.
    """
    from ansible.module_utils.pmsops.postgresql.snapshot import Snapshot

    formula = manifests.formula(manifest)
    with Snapshot(database, connections=READERS) as snapshot:
        wanted, found, notes = _both(
            snapshot.cursors[0], manifest, other_versions, restored, digests
        )
        done: list[str] = []

        def count(relation: fingerprint.Relation) -> None:
            done.append(relation.key)
            if progress:
                progress.update(len(done))

        relations = fingerprint.relations(snapshot.cursors[0], formula)
        contents = fingerprint.fingerprints(snapshot.cursors, relations, count, formula=formula)
        tables = wanted["tables"] | found["tables"]
        parents = {name: ", ".join(facts.get("parents") or ()) for name, facts in tables.items()}
        rows = row_comparison.OfFingerprints(
            manifest["contents"], contents, relations, formula, parents
        )
        different = rows.differences(notes)
        if within:
            within(snapshot.cursors[0], wanted, found, contents)
        cursor = snapshot.ended()
        objects = same_meaning.remaining(database, compare.facts(wanted, found), wanted, found)
        if control and not objects:
            control.run(cursor, rows, different)
    if deviations is not None:
        deviations += notes
    return [*objects, *different]


def objects(
    cursor: Any, manifest: dict[str, Any], other_versions: Collection[str] = ()
) -> tuple[list[compare.Difference], compare.Facts, compare.Facts]:
    """Return the objects that differ for the cursor's transaction, and the facts of both sides.

    Definitions that only print otherwise are among them: ``same_meaning.remaining`` knows.
    """
    catalog.prepare(cursor)
    wanted, found, _notes = _both(cursor, manifest, other_versions, False)
    return compare.facts(wanted, found), wanted, found


def objects_sha256(database: Database, manifest: dict[str, Any]) -> str:
    """Return the SHA-256 of every object of a copy, as its proof has it."""
    digests: list[str] = []
    with database.session(read_only=True) as cursor:
        catalog.prepare(cursor)
        _facts(cursor, manifest, digests)
    return digests[0]


def matches(database: Database, manifest: dict[str, Any]) -> bool:
    """Return whether a database equals a manifest; reading ends at the first difference."""
    from ansible.module_utils.pmsops.postgresql.snapshot import Snapshot

    with Snapshot(database, connections=1) as snapshot:
        cursor = snapshot.cursors[0]
        wanted, found, _ = _both(cursor, manifest, (), False)
        objects = compare.facts(wanted, found)
        if not all(same_meaning.may_mean_the_same(each) for each in objects):
            return False
        if same_meaning.remaining(database, objects, wanted, found):
            return False
        formula = manifests.formula(manifest)
        relations: dict[str, list[fingerprint.Relation]] = {}
        for each in fingerprint.relations(cursor, formula):
            relations.setdefault(each.key, []).append(each)
        if set(relations) != set(manifest["contents"]):
            return False
        return not any(
            compare.of_contents({key: manifest["contents"][key]}, {key: fingerprint.summed(parts)})
            for key, parts in (
                (key, [fingerprint.fingerprint(cursor, each, formula) for each in parts])
                for key, parts in reversed(relations.items())
            )
        )


def naive_differences(
    database: Database,
    contents: archive_contents.Contents,
    *,
    progress: Progress | None = None,
    control: Control | None = None,
) -> list[compare.Difference]:
    """Return the tables whose row count differs from that of the bare dump."""
    # The extension adds rows of its own to its dumped tables.
    names = [
        name
        for name in sorted(contents.rows)
        if name[0] not in ("_timescaledb_catalog", "_timescaledb_config")
    ]
    with database.session(read_only=True) as cursor:
        counts: dict[tuple[str, str], int] = {}
        for name in names:
            if progress:
                progress.update(len(counts))
            counts[name] = row_comparison.count(cursor, name)
        found = compare.of_counts(contents.rows, counts)
        if control and not found:
            relations = [
                each
                for each in fingerprint.relations(cursor, fingerprint.LOGICAL - 1)
                if (each.schema, each.name) in counts
            ]
            rows = row_comparison.OfCounts(contents.rows, counts, relations)
            control.run(cursor, rows, found)
        return found


def invalid_objects(database: Database) -> list[str]:
    """Return the constraints and indexes that the server marks as invalid, a line each."""
    with database.session(read_only=True) as cursor:
        rows = fetch_all(
            cursor,
            """SELECT conrelid::regclass || '.' || conname || ' is a constraint not validated'
                 FROM pg_constraint WHERE NOT convalidated
               UNION ALL
               SELECT indexrelid::regclass || ' is an index not valid' FROM pg_index
                WHERE NOT indisvalid ORDER BY 1""",
        )
    return [row[0] for row in rows]


def _both(
    cursor: Any,
    manifest: dict[str, Any],
    other_versions: Collection[str],
    restored: bool,
    digests: list[str] | None = None,
) -> tuple[compare.Facts, compare.Facts, list[str]]:
    """Return the facts to compare, of the set and of the database, and the expected deviations."""
    found = _facts(cursor, manifest, digests)
    return expected_changes.understood(
        _wanted(manifest, found, other_versions),
        found,
        set_major=manifest["server"]["version_num"] // 10000,
        major=cursor.connection.server_version // 10000,
        schema=manifests.schema(manifest),
        other_versions=other_versions,
        restored=restored,
    )


def _facts(
    cursor: Any, manifest: dict[str, Any], digests: list[str] | None = None
) -> compare.Facts:
    """Return the facts of a database and of its objects; held jobs count as scheduled.

    For a set of an older schema they are those that the set itself names.
    """
    schema = manifests.schema(manifest)
    found = catalog.facts(cursor, schema)
    digest = hashlib.sha256()
    _add(digest, found, digests)
    for job in timescaledb_held_jobs.held(cursor):
        if str(job) in found["jobs"]:
            found["jobs"][str(job)]["scheduled"] = True
    described = catalog.database(cursor)
    mark = database_mark.read(described.get("comment"))
    settings = event_triggers.as_live(described["settings"], mark)
    described["settings"] = database_mark.as_live(settings, mark)
    found = {"database": {"all": _comparable(described)}} | found
    _add(digest, found["database"], digests)
    if digests is not None:
        digests.append(digest.hexdigest())
    if schema < manifests.SCHEMA_VERSION:
        _accept_bodies(manifest["facts"]["functions"], found["functions"])
        wanted = {"database": {"all": _comparable(manifest["database"])}} | manifest["facts"]
        return compare.narrowed(found, wanted)
    return found


def _add(digest: Any, facts: dict[str, Any], digests: list[str] | None) -> None:
    """Add facts to a digest that is asked for."""
    for piece in json_pieces.pieces(facts, default=str) if digests is not None else ():
        digest.update(piece.encode())


def _accept_bodies(wanted: dict[str, Any], found: dict[str, Any]) -> None:
    """Compare function bodies that print otherwise after a restore with a set that has but hashes.

    A text that has the recorded hash is the recorded text.
    """
    for name, facts in found.items():
        recorded = wanted.get(name, {}).get("definition")
        if recorded and facts.get("body") and recorded != facts["definition"]:
            before = printed_sql.before_a_restore(facts["body"])
            if hashlib.md5(before.encode(), usedforsecurity=False).hexdigest() == recorded:
                facts["definition"] = recorded


def _wanted(
    manifest: dict[str, Any], found: compare.Facts, other_versions: Collection[str]
) -> compare.Facts:
    extensions = {name: dict(facts) for name, facts in manifest["facts"]["extensions"].items()}
    for name in other_versions:
        if name in extensions and name in found["extensions"]:
            extensions[name]["version"] = found["extensions"][name]["version"]
    return {
        "database": {"all": _comparable(manifest["database"])},
        **manifest["facts"],
        "extensions": extensions,
    }


def _comparable(described: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in described.items() if name not in NOT_COMPARED}
