# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The drill of a moment: a copy is recovered to it, and shows that it could be lived with.

No set is of a random second, so there is no manifest to compare with. What holds at any moment is
asked instead: every WAL record on the way is sound, the recovery stops at exactly the last
transaction, the canary rows on both sides of the moment are there and not there, every row of every
table can be read (which checks each page that has a checksum), no object is invalid, and the PMS's
own queries are answered. ``proof`` compares row by row, at the moments of sets.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.backup import preflight
from ansible.module_utils.pmsops.common import process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, utc_stamp
from ansible.module_utils.pmsops.pitr import engine, moment, wal, window
from ansible.module_utils.pmsops.pitr.deletion import LOCK
from ansible.module_utils.pmsops.pitr.moment_set import MomentSet, look
from ansible.module_utils.pmsops.pitr.recovered_server import RecoveredServer
from ansible.module_utils.pmsops.pitr.run import Protection
from ansible.module_utils.pmsops.pitr.settings import ROLE
from ansible.module_utils.pmsops.postgresql import fingerprint
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value
from ansible.module_utils.pmsops.postgresql.snapshot import Snapshot
from ansible.module_utils.pmsops.verify import database as comparison
from ansible.module_utils.pmsops.verify import queries

RANDOM = "random"
BACK = timedelta(days=1)
# The newest seconds may not have been received yet.
BEHIND = timedelta(seconds=10)
READERS = 2


def drill(
    protection: Protection,
    root: Path,
    asked: str,
    wanted_queries: Iterable[queries.Query],
    found_out: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Recover a copy to *asked*, a moment or ``random``, and prove that it can be used.

    *found_out* receives each fact once it is known, for the record of a drill that fails.

    :raises OpsError: pitr.not-enabled, pitr.no-random, pitr.damaged, pitr.query, pitr.*, lock.held
    """
    began = time.monotonic()
    facts = found_out if found_out is not None else {}
    facts |= {"of": "moment", "asked": asked, "proved": False}
    try:
        require_enabled(protection)
        state = preflight.writable_root(root)
        with process_lock.exclusive(state / LOCK, "drill of a moment"):
            _drill(protection, asked, wanted_queries, facts)
    finally:
        facts["duration_seconds"] = round(time.monotonic() - began, 3)
    return facts


def _drill(
    protection: Protection,
    asked: str,
    wanted_queries: Iterable[queries.Query],
    facts: dict[str, Any],
) -> None:
    chosen = moment.parse(_random(protection) if asked == RANDOM else asked)
    facts["moment"] = utc_stamp(chosen.at) if chosen.at else None
    at_work = MomentSet(protection, chosen.asked)
    throw_away = at_work.cleaned()
    since = time.monotonic()
    planned = at_work.plan(chosen)
    seconds = {"plan": time.monotonic() - since}
    facts |= {
        "moment": utc_stamp(planned.at),
        "base_backup": planned.backup.id,
        "wal_bytes": planned.wal_bytes,
    }
    with at_work.recovered(throw_away, planned, seconds) as (server, reached):
        facts |= {"lsn": reached.lsn, "canary": reached.witness.document()}
        since = time.monotonic()
        facts |= looked_at(server, wanted_queries)
        facts["notes"] = [*reached.witness.warnings, *facts["notes"]]
        seconds["proof"] = time.monotonic() - since
    facts |= {
        "proved": True,
        "phases": {name: round(each, 3) for name, each in seconds.items()},
    }


def looked_at(server: RecoveredServer, wanted_queries: Iterable[queries.Query]) -> dict[str, Any]:
    """Return what the copy holds and answers.

    :raises OpsError: pitr.damaged, pitr.query, database.*
    """
    notes = look(server)
    contents, checksums = read_all(server.database)
    notes += [f"{each}." for each in comparison.invalid_objects(server.database)]
    if not checksums:
        notes.append("The server has no data checksums: rows were read, pages not checked.")
    try:
        answers = queries.ask(server.database, wanted_queries)
    except OpsError as exc:
        raise OpsError(
            f"The recovered copy does not answer the PMS: {exc}",
            "Run the query on the live database. If it fails there too, correct restore_queries.",
            code="pitr.query",
        ) from exc
    return {
        "tables": len(contents),
        "rows": sum(int(each["rows"]) for each in contents.values()),
        "queries": answers,
        "notes": notes,
    }


def read_all(database: Database) -> tuple[dict[str, dict[str, Any]], bool]:
    """Return the fingerprint of each table, and whether its pages have checksums.

    :raises OpsError: database.*; a page whose checksum is wrong is such an error
    """
    with Snapshot(database, connections=READERS) as snapshot:
        first = snapshot.cursors[0]
        checksums = fetch_value(first, "SELECT current_setting('data_checksums') = 'on'")
        found = fingerprint.fingerprints(snapshot.cursors, fingerprint.relations(first))
    return found, bool(checksums)


def require_enabled(protection: Protection) -> None:
    """Refuse a system that is not protected.

    :raises OpsError: pitr.not-enabled
    """
    if protection.container.find() is None:
        raise OpsError(
            f"This system is not protected continuously: there is no container"
            f" {protection.settings.container}, so there is no moment to drill.",
            "Drill the newest set instead: pms-ops drill. Protect the system: pms-ops pitr enable.",
            code="pitr.not-enabled",
        )


def _random(protection: Protection) -> str:
    """Return a random second of the last day that the window has.

    :raises OpsError: pitr.no-random, pitr.no-base, pitr.engine
    """
    info = protection.engine.info()
    begins = {each.id: protection.engine.describe(each.id).begin_wal for each in info.usable}
    flow = window.stream(protection.database, ROLE)
    found = span(info, begins, datetime.now(UTC))
    if found is None or not (flow.active and info.receiving):
        raise OpsError(
            "No moment of the last day can be chosen: "
            + (
                "the WAL does not lead on from any base backup that is older than"
                f" {int(BEHIND.total_seconds())} s."
                if found is None
                else "the stream is down, so how far the window reaches is not known."
            ),
            "Look at the window (pms-ops pitr status); mend it: pms-ops pitr maintain.",
            code="pitr.no-random",
        )
    return pick(*found, random.SystemRandom()).isoformat(sep=" ")


def span(
    info: engine.Info, begins: dict[str, str], now: datetime
) -> tuple[datetime, datetime] | None:
    """Return the part of the last day to which the WAL leads without a gap, None without one.

    *begins* has the segment where each base backup begins.
    """
    segments = [*info.segments, *([info.partial] if info.partial else [])]
    whole = [
        each
        for each in info.usable
        if wal.first_gap(segments, begins[each.id], info.segment_bytes) is None
    ]
    end = now - BEHIND
    if not whole:
        return None
    # Its end is given in whole seconds.
    begin = max(whole[0].ended_at + timedelta(seconds=1), (now - BACK).replace(microsecond=0))
    return (begin, end) if begin <= end else None


def pick(begin: datetime, end: datetime, choice: random.Random) -> datetime:
    """Return a random second between both, each as likely as the others."""
    return begin + timedelta(seconds=choice.randint(0, int((end - begin).total_seconds())))
