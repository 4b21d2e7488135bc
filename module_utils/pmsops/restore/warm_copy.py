# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The warm copy: what the last drill proved, kept closed, for the next restore of the same set.

It takes no connections and its jobs are held, so nothing changes it; but nothing is trusted
either. Before a swap it is proved again, row by row, and object by object against what the drill
saw. A copy that does not fit or differs is said, and the set is restored from its files.

Which copies stay, warm_rule says. A kill between two statements leaves the old copy or the new one,
whole, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import BrokenProofError, OpsError
from ansible.module_utils.pmsops.common.version import VERSION
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
    quote_ident,
    quote_literal,
)
from ansible.module_utils.pmsops.repository import warm_note
from ansible.module_utils.pmsops.restore import (
    proof,
    registry,
    renames,
    staging_database,
    table_definitions,
    warm_rule,
)
from ansible.module_utils.pmsops.restore.registry import ManagedDatabase

# What says that the copy itself is not as it was; after any other error it stays.
CHANGED = ("restore.different", "restore.canary", "restore.not-writable")


def facts(live: Database, name: str, without: Collection[str], objects: str) -> dict[str, Any]:
    """Return what the mark of a copy says beside its set: where, by what and how it was proved."""
    with live.session(name=live.maintenance_name, read_only=True) as cursor:
        return {
            "oid": registry.read(cursor)[name].oid,
            "server": _server(cursor),
            "release": VERSION,
            "without_extensions": sorted(without),
            "objects_sha256": objects,
        }


def _server(cursor: Any) -> dict[str, Any]:
    system, version = fetch_all(
        cursor,
        "SELECT system_identifier::text, current_setting('server_version')"
        " FROM pg_control_system()",
    )[0]
    return {"system_identifier": system, "version": version}


def keep(live: Database, staging: str, mark: dict[str, Any]) -> str:
    """Make the staging database a warm copy that nobody can connect to; return its name.

    :raises OpsError: restore.not-swapped if somebody is connected all the time
    """
    name = registry.free_name(live.name, registry.WARM, set(registry.read_from(live)))
    _rename(live, staging, name, mark | {"is": registry.WARM}, opened=False)
    return name


def take(live: Database, copy: str, staging: str, mark: dict[str, Any]) -> None:
    """Make a warm copy the staging database *staging*, proved, with its *mark*.

    :raises OpsError: restore.not-swapped
    """
    _rename(live, copy, staging, mark, opened=True)


def _rename(live: Database, before: str, after: str, mark: dict[str, Any], *, opened: bool) -> None:
    """Give a database its name, its mark and its door in one transaction."""
    new = quote_ident(after)
    statements = [
        f"ALTER DATABASE {quote_ident(before)} RENAME TO {new}",
        f"COMMENT ON DATABASE {new} IS {quote_literal(registry.mark_text(mark))}",
        f"ALTER DATABASE {new} ALLOW_CONNECTIONS {'true' if opened else 'false'}",
    ]
    with live.session(name=live.maintenance_name, superuser=True, autocommit=True) as cursor:
        renames.close(cursor, [before])
        try:
            renames.run(cursor, before, [before], statements)
        except BaseException:
            if not opened:
                renames.open_again(cursor, [before])  # it stays a staging database
            raise


def of_set(
    found: dict[str, ManagedDatabase], live: str, manifest_sha256: str | None
) -> ManagedDatabase | None:
    """Return the newest warm copy of the set with this manifest, by its mark."""
    for each in reversed(registry.select(found, live, registry.WARM)):
        if manifest_sha256 and each.mark.get("manifest_sha256") == manifest_sha256:
            return each
    return None


def proved_again(
    live: Database,
    copy: ManagedDatabase,
    prove: Callable[[Database], proof.Proof],
    without: Collection[str] = (),
) -> tuple[proof.Proof | None, str]:
    """Prove a copy; return the proof, or None and what is wrong with the copy.

    A proved copy stays open, for ``take``. One that differs is dropped; any other is closed again.

    :raises OpsError: proof.broken
    """
    if sorted(without) != copy.mark.get("without_extensions"):
        return None, f"The warm copy {copy.name} was restored with other extensions left out."
    reason, gone = unfit(live, copy), True
    if reason is None:
        try:
            with opened(live, copy.name):
                proved = prove(live.named(copy.name))
                if proved.objects_sha256 and proved.objects_sha256 == copy.mark["objects_sha256"]:
                    return proved, ""
                reason = "an object, a setting or a job of it is not as the drill left it"
                raise OpsError(reason, "", code=CHANGED[0])
        except psycopg2.Error as exc:
            reason, gone = str(live.to_error(exc)), False
        except BrokenProofError:
            raise
        except OpsError as exc:
            reason, gone = str(exc).removesuffix("."), exc.code in CHANGED
    said = f"The warm copy {copy.name} is not used: {reason}."
    if gone:
        said += " " + (staging_database.drop_or_explain(live, copy.name) or "It was dropped.")
    return None, said


def unfit(live: Database, copy: ManagedDatabase) -> str | None:
    """Return why a copy can never be used again, None if it can."""
    if copy.mark.get("oid") != copy.oid:
        return "its mark is that of another database"
    if copy.mark.get("release") != VERSION:
        return f"release {copy.mark.get('release')} of pms-ops kept it"
    with live.session(name=live.maintenance_name, read_only=True) as cursor:
        here, there = _server(cursor), copy.mark.get("server") or {}
    if here["system_identifier"] != there.get("system_identifier"):
        return f"it was proved on another server (system {there.get('system_identifier')})"
    if here["version"] != there.get("version"):
        return f"it was proved on PostgreSQL {there.get('version')}; this is {here['version']}"
    return None


@contextmanager
def opened(live: Database, name: str) -> Iterator[None]:
    """Let the toolkit in; after an error nobody gets in again."""
    with live.session(name=live.maintenance_name, superuser=True, autocommit=True) as cursor:
        renames.open_again(cursor, [name])
    try:
        yield
    except BaseException:
        with suppress(OpsError, psycopg2.Error):
            close(live, [name])
        raise


def close(live: Database, names: list[str]) -> None:
    """Refuse connections to *names*, and end those that are there."""
    with live.session(name=live.maintenance_name, superuser=True, autocommit=True) as cursor:
        renames.close(cursor, names)
        renames.end_sessions(cursor, names)


def listed(live: Database) -> list[ManagedDatabase]:
    """Return the warm copies, oldest first."""
    return registry.select(registry.read_from(live), live.name, registry.WARM)


def size_bytes(live: Database, copies: Collection[ManagedDatabase] | None = None) -> int:
    """Return how much room these warm copies take, or all: they go first when room is short."""
    chosen = listed(live) if copies is None else copies
    if not chosen:
        return 0
    with live.session(name=live.maintenance_name, read_only=True) as cursor:
        return sum(_size(cursor, each.name) for each in chosen)


def _size(cursor: Any, name: str) -> int:
    return int(fetch_value(cursor, "SELECT pg_database_size(%s::name)", (name,)))


def drop_all(live: Database, root: Path, *, but: Collection[str] = ()) -> list[str]:
    """Drop the warm copies *but* some; return why any stays. The note says what is left."""
    stay = [
        staging_database.drop_or_explain(live, each.name)
        for each in listed(live)
        if each.name not in but
    ]
    note(live, root)
    return [each for each in stay if each]


def drop_without_set(live: Database, root: Path, removed: Collection[str]) -> list[str]:
    """Drop the copies of the sets *removed*, which retention deleted; return a line for each.

    A server that is down refuses, and no backup fails for it: a copy without its set is never used.
    """
    lines: list[str] = []
    if not removed:
        return lines
    try:
        for each in registry.select(registry.read_from(live), live.name, registry.WARM):
            if each.mark.get("set") in removed:
                lines.append(
                    staging_database.drop_or_explain(live, each.name)
                    or f"The warm copy {each.name} of set {each.mark['set']} was dropped with it."
                )
        if lines:
            note(live, root)
    except (OpsError, psycopg2.Error) as exc:
        lines.append(f"Whether a deleted set had a warm copy is unknown: {exc}")
    return lines


def settle(live: Database, root: Path) -> list[str]:
    """Leave the copies that stay, closed; return a line for each change, and for what is odd."""
    lines = []
    with live.session(name=live.maintenance_name, read_only=True) as cursor:
        found = registry.read(cursor)
        halves = registry.half_dropped(cursor, live.name, registry.WARM)
    copies = registry.select(found, live.name, registry.WARM)
    stay = warm_rule.staying(copies, root)
    for name in [*(each.name for each in copies if each.name not in stay), *halves]:
        lines.append(
            staging_database.drop_or_explain(live, name)
            or f"The warm copy {name}, which an interrupted run had left, was dropped."
        )
    for each in copies:
        if each.open and each.name in stay:
            lines += _brought_home(live.named(each.name))
            close(live, [each.name])
            lines.append(f"The warm copy {each.name} accepted connections; it refuses them again.")
    lines += [
        f"{each.name} has the name of a warm copy and no mark of pms-ops: it is not used. Look"
        f" into it, then drop it: DROP DATABASE {quote_ident(each.name)}."
        for each in found.values()
        if not each.mark and registry.named_as(each.name, live.name, registry.WARM)
    ]
    if copies or warm_note.read(root):
        note(live, root)
    return lines


def _brought_home(copy: Database) -> list[str]:
    """Put tables back that a killed run had on their way into the live database; say so."""
    try:
        if table_definitions.bring_home(copy):
            return [f"Tables of the warm copy {copy.name}, in transit, have their names again."]
    except (OpsError, psycopg2.Error):
        pass  # the next proof of the copy says what is wrong with it
    return []


def note(live: Database, root: Path) -> None:
    """Write of which sets there are warm copies, for those who read folders only."""
    found = listed(live)
    if not found:
        warm_note.write(root, [])
        return
    with live.session(name=live.maintenance_name, read_only=True) as cursor:
        sizes = {each.name: _size(cursor, each.name) for each in found}
    warm_note.write(
        root,
        [
            {
                "set": each.mark.get("set"),
                "manifest_sha256": each.mark.get("manifest_sha256"),
                "database": each.name,
                "kept_at": each.mark.get("since"),
                "size_bytes": sizes[each.name],
            }
            for each in reversed(found)
        ],
    )
