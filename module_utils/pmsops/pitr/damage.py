# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""When tables, or the whole database, were dropped: the WAL tells, and so the moment before.

The commit of a DROP names each object by number ("dropped stats", PostgreSQL 15 and newer). Which
number a table had is known from a note that each look at the protection writes beside the sets;
an entry of a table that is gone stays in it for as long as the window reaches.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, from_iso, utc_stamp
from ansible.module_utils.pmsops.common.timestamps import moment as stamped
from ansible.module_utils.pmsops.pitr import engine, wal_scan
from ansible.module_utils.pmsops.pitr.moment import local
from ansible.module_utils.pmsops.pitr.moment_set import MomentSet
from ansible.module_utils.pmsops.pitr.run import Protection
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all, fetch_value
from ansible.module_utils.pmsops.repository import sets

NOTE = "pitr_tables.json"
WHOLE = ""  # the name under which the database itself is looked for
MAX_LOOKED_FOR = 1000
_TABLES = r"""
SELECT format('%I.%I', n.nspname, c.relname), c.oid::bigint,
       (SELECT oid::bigint FROM pg_database WHERE datname = current_database())
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't'
   AND n.nspname !~ '^(pg_|information_schema|_timescaledb)'
"""
# Reads commits that drop what is looked for. It must hold no single quote.
AWK = r"""
BEGIN { count = split(targets, each, " "); for (i = 1; i <= count; i++) wanted[each[i]] = 1 }
function after(word,  i) {
    for (i = 1; i < NF; i++) if ($i == word) return $(i + 1)
    return ""
}
/desc: DROP / {
    lsn = after("lsn:"); sub(",", "", lsn)
    for (i = 1; i <= NF; i++)
        if ($i ~ /^[0-9]+\/[0-9]+$/) { split($i, part, "/"); gone[part[2]] = lsn }
}
/desc: COMMIT/ && /dropped stats:/ {
    listed = 0
    for (i = 1; i <= NF; i++) {
        if ($i == "stats:") { listed = 1; continue }
        if (!listed) continue
        word = $i
        sub(/;$/, "", word)
        if (word in wanted) {
            lsn = after("lsn:"); sub(",", "", lsn)
            at = after("COMMIT")
            for (j = 1; j < NF; j++) if ($j == at) { at = at " " $(j + 1); break }
            split(word, part, "/")
            if (part[1] == 1 && part[2] in gone) lsn = gone[part[2]]
            print "dropped", word, lsn, at
        }
        if ($i ~ /;$/) listed = 0
    }
}
"""
# Arguments: those of GATHER, and the objects that are looked for.
SCRIPT = rf"""{wal_scan.GATHER}
TZ=UTC pg_waldump --path={wal_scan.FOLDER} --start="$1" --timeline="$2" --rmgr=Transaction \
    --rmgr=Database 2>/dev/null | awk -v targets="$5" '{AWK}'
"""


@dataclass(frozen=True)
class Drop:
    """A table, or the database if *table* is WHOLE, and the commit that dropped it."""

    table: str
    lsn: str  # a restore to it does not take the drop in
    at: datetime

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"table": self.table or None, "lsn": self.lsn, "at": local(self.at)}


def remember(database: Database, root: Path, keep: timedelta, now: datetime) -> None:
    """Note which number each table has now.

    :raises OpsError: database.*
    :raises OSError: if the note cannot be written.
    """
    with database.session(read_only=True) as cursor:
        found = fetch_all(cursor, _TABLES)
    noted = merged(read(root), found, keep, now)
    files.replace(root / sets.STATE / NOTE, json.dumps(noted).encode(), mode=0o600)


def merged(
    before: Mapping[str, Any],
    found: list[tuple[str, int, int]],
    keep: timedelta,
    now: datetime,
) -> dict[str, Any]:
    """Return the note with the tables of now; those that are gone stay for the time *keep*."""
    stays = {name: each for name, each in before.items() if stamped(each["seen"]) + keep >= now}
    seen = utc_stamp(now)
    fresh = {name: {"oid": oid, "database": of, "seen": seen} for name, oid, of in found}
    return stays | fresh


def read(root: Path) -> dict[str, Any]:
    """Return the note: for each table its number, that of its database, and when it was seen."""
    try:
        found = json.loads((root / sets.STATE / NOTE).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def forget(root: Path) -> None:
    """Remove the note."""
    with suppress(OSError):
        (root / sets.STATE / NOTE).unlink()


def search(protection: Protection, root: Path) -> list[Drop]:
    """Return the drops of tables that are gone, or of the database if that is gone; oldest first.

    It reads the WAL from a base backup on at which they were still there. The newest drop of each
    counts. Empty if nothing that the note knows is gone, or the server cannot say.

    :raises OpsError: pitr.*, clients.*
    """
    known = read(root)
    gone = missing(protection.database, known)
    if not gone:
        return []
    info = protection.engine.info()
    begin = base(info, min(stamped(each["seen"]) for each in gone.values()))
    if begin is None:
        return []
    detail = protection.engine.describe(begin.id)
    throw_away = MomentSet(protection, "latest").throw_away()
    output = throw_away.output(
        SCRIPT,
        [
            *(detail.begin_lsn, str(detail.timeline), detail.system_identifier),
            *(detail.begin_wal, " ".join(keys(gone))),
        ],
    )
    return drops(output, gone)


def missing(database: Database, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of the note whose tables are gone; WHOLE for a database that is."""
    if not known:
        return {}
    newest = max(known.values(), key=lambda each: str(each["seen"]))
    try:
        with database.session(name=database.maintenance_name, read_only=True) as cursor:
            there = fetch_value(
                cursor, "SELECT 1 FROM pg_database WHERE datname = %s", (database.name,)
            )
        if not there:
            return {WHOLE: newest}
        with database.session(read_only=True) as cursor:
            found = fetch_all(cursor, _TABLES)
    except (OpsError, psycopg2.Error):
        return {}
    # One that was renamed keeps its number; after a restore, all have their names and new numbers.
    names, numbers = {name for name, _, _ in found}, {oid for _, oid, _ in found}
    gone = {
        name: each
        for name, each in known.items()
        if name not in names and each["oid"] not in numbers
    }
    latest = sorted(gone, key=lambda name: str(gone[name]["seen"]))[-MAX_LOOKED_FOR:]
    return {name: gone[name] for name in latest}


def base(info: engine.Info, seen: datetime) -> engine.BaseBackup | None:
    """Return the newest base backup that ended before *seen*, else the oldest; None without one."""
    before = [each for each in info.usable if each.ended_at < seen]
    return before[-1] if before else next(iter(info.usable), None)


def keys(gone: Mapping[str, Any]) -> dict[str, str]:
    """Return the objects as the WAL names them (kind, database, number), with their tables."""
    found = {}
    for name, each in gone.items():
        of_database = f"1/{each['database']}/0"
        found[of_database if name == WHOLE else f"2/{each['database']}/{each['oid']}"] = name
    return found


def drops(output: str, gone: Mapping[str, Any]) -> list[Drop]:
    """Return what the script found: the newest drop of each, oldest first."""
    names, found = keys(gone), {}
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        if word != "dropped":
            continue
        with suppress(ValueError):
            key, lsn, at = rest.split(" ", 2)
            when = from_iso(at).replace(tzinfo=UTC)
            found[names[key]] = Drop(names[key], lsn, when)
    return sorted(found.values(), key=lambda each: each.at)


def lines(found: list[Drop], database: str, inventory: str = "") -> list[str]:
    """Return each drop for an operator, with the command that restores the moment before it."""
    said: list[str] = []
    by_commit: dict[tuple[datetime, str], list[str]] = {}
    for each in found:
        by_commit.setdefault((each.at, each.lsn), []).append(each.table)
    for (at, lsn), tables in by_commit.items():
        names = ", ".join(sorted(tables))
        what = f"table {names} was" if len(tables) == 1 else f"tables {names} were"
        if WHOLE in tables:
            what = f"database {database} was"
        said.append(f"{what} dropped at {local(at)} by the commit at {lsn}")
        restore = f"pms-ops{inventory} restore --at {lsn}"
        said.append(f"  the moment before it, with all that was committed until then: {restore}")
        if WHOLE not in tables:
            said.append(
                f"  only what was dropped, as of that moment: {restore} --tables"
                f" {','.join(sorted(tables))} --in-place --confirm {database}"
            )
    return said
