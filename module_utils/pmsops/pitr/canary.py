# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Canary rows: the engine's container writes one every few minutes, so each moment has a witness.

The table is in database ``postgres`` and belongs to the replication role. The PMS's database, its
sets and its proofs know nothing of it; base backups and WAL are of the whole server, and carry it.
Its newest KEPT rows stay. Rows are numbered without a hole, so a copy that has lost one is told
from a writer that was away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.pairs import neighbours
from ansible.module_utils.pmsops.common.timestamps import moment as stamped
from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.pitr.moment import local
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
    quote_ident,
    quote_literal,
)

DATABASE = "postgres"
SCHEMA = "pms_ops_pitr"
TABLE = f"{SCHEMA}.canary"
KEPT = 5000  # rows: 17 days at one every five minutes, 400 kB
WRITE = f"""
WITH newest AS (SELECT coalesce(max(number), 0) AS number FROM {TABLE}),
     gone AS (DELETE FROM {TABLE} WHERE number <= (SELECT number FROM newest) + 1 - {KEPT})
INSERT INTO {TABLE} (number, at)
SELECT number + 1, clock_timestamp() FROM newest;
"""
# A row is committed within this after its time, also on a disk that stalls: psql waits half of it.
COMMITTED = timedelta(seconds=60)
# Commits are stamped before they are ordered, and a stamp may be that much older than its order.
CLOCK = timedelta(seconds=1)
# A row may be late by this, besides half its distance: the loop starts a program for each.
LATE = timedelta(seconds=60)
SHOWN = 10  # times without a row, the newest ones


@dataclass(frozen=True)
class Row:
    """One canary row."""

    number: int
    at: datetime


@dataclass(frozen=True)
class Witness:
    """What the canary rows say of a copy that was recovered to a moment."""

    before: Row | None = None  # the newest row in the copy
    after: Row | None = None  # the next row of the live server, which the copy must not have
    warnings: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "before": utc_stamp(self.before.at) if self.before else None,
            "after": utc_stamp(self.after.at) if self.after else None,
            "warnings": self.warnings,
        }


def script(host: str, port: int, role: str, every: int) -> str:
    """Return the file that the container's loop sources: how often to write a row, and how.

    The row does not wait for a synchronous standby, and ends within half a minute.
    """
    address = f"host={host} port={port} user={role} dbname={DATABASE} application_name=pms-pitr"
    return f"""\
every={every}
write_canary() {{
    PGOPTIONS='-c synchronous_commit=local -c default_transaction_read_only=off' \\
        timeout 30 psql -qXw -v ON_ERROR_STOP=1 "{address} connect_timeout=10" <<'SQL'
{WRITE.strip()}
SQL
}}
"""


def create(cursor: Any, role: str) -> None:
    """Make the table in the database that *cursor* is connected to."""
    owner = quote_ident(role)
    cursor.execute(
        f"""CREATE SCHEMA IF NOT EXISTS {SCHEMA} AUTHORIZATION {owner};
            CREATE TABLE IF NOT EXISTS {TABLE} (number bigint NOT NULL, at timestamptz NOT NULL);
            ALTER TABLE {TABLE} OWNER TO {owner};
            GRANT USAGE ON SCHEMA {SCHEMA} TO PUBLIC;
            GRANT SELECT ON {TABLE} TO PUBLIC;
            COMMENT ON SCHEMA {SCHEMA} IS {quote_literal(_COMMENT)}"""
    )


_COMMENT = "Written by pms-ops every few minutes; a restore to a moment looks for it."


def present(cursor: Any) -> bool:
    """Tell whether the database that *cursor* is connected to has the table."""
    return bool(fetch_value(cursor, "SELECT to_regclass(%s) IS NOT NULL", (TABLE,)))


def rows(database: Database) -> list[Row] | None:
    """Return the rows of a server, oldest first; None without the table.

    :raises OpsError: database.*
    """
    with database.session(name=DATABASE, read_only=True) as cursor:
        if not present(cursor):
            return None
        found = fetch_all(cursor, f"SELECT number, at FROM {TABLE} ORDER BY at, number")
    return [Row(int(number), at) for number, at in found]


def rows_if_up(database: Database) -> list[Row] | None:
    """Return the rows of a server, None without an answer too."""
    try:
        return rows(database)
    except (OpsError, psycopg2.Error):
        return None


def gaps(found: Sequence[Row], every: int, until: datetime) -> list[tuple[datetime, datetime]]:
    """Return the times without a row that are longer than the rows' distance in seconds allows."""
    allowed = timedelta(seconds=every * 1.5) + LATE
    times = [each.at for each in found] + [until]
    return [(a, b) for a, b in neighbours(times) if b - a > allowed]


def look(database: Database, every: int, earliest: str | None, now: datetime) -> dict[str, Any]:
    """Return the newest row of the live server, times of the window without one, and problems."""
    found = rows_if_up(database) if every else []
    began = stamped(earliest) if earliest else now
    held = [each for each in found or () if each.at >= began]
    problems = []
    if every and not found:
        problems.append("No canary row is written: run pms-ops pitr enable.")
    missing = [(a, b) for a, b in gaps(held, every, now) if a >= began]
    if held and missing and missing[-1][1] == now:
        problems.append(f"No canary row was written since {local(missing[-1][0])}.")
    return {
        "newest": utc_stamp(found[-1].at) if found else None,
        "gaps": [[utc_stamp(a), utc_stamp(b)] for a, b in missing[-SHOWN:]],
        "problems": problems,
    }


def judge(
    copy: Sequence[Row] | None,
    live: Sequence[Row] | None,
    until: datetime,
    every: int,
    *,
    exact: bool = True,
) -> Witness:
    """Return what the rows of a copy say, which was recovered to *until*.

    *live* are the rows of the live server, None if it does not answer. *every* is the seconds
    between two rows; 0 means that none are written. Without *exact*, *until* is the stamp of the
    last commit, and one that was ordered before it may have a later stamp.

    :raises OpsError: pitr.canary if the copy lacks a row of before, or has one of after
    """
    if not every or copy is None:
        why = "none are written" if not every else f"the copy has no {TABLE}"
        return Witness(warnings=[f"No canary row bears witness to the moment: {why}."])
    held = set(copy)
    beyond = [each for each in copy if each.at > until + (CLOCK if exact else COMMITTED)]
    if beyond:
        raise _wrong(
            f"it has the canary row of {local(beyond[0].at)}, which was written after"
            f" {local(until)}"
        )
    lost = [each for each in live or () if each.at + COMMITTED <= until and each not in held]
    # The oldest rows of the copy may be gone from the live server, never the other way round.
    if lost:
        raise _wrong(
            f"it lacks the canary row of {local(lost[-1].at)}, which was written before"
            f" {local(until)}"
        )
    before = max(copy, key=lambda each: each.at, default=None)
    after = next((each for each in live or () if each.at > until and each not in held), None)
    return Witness(before, after, _warnings(copy, every, until))


def _warnings(copy: Sequence[Row], every: int, until: datetime) -> list[str]:
    if not copy:
        return ["No canary row was written before the moment."]
    said = []
    numbers = [each.number for each in copy]
    holes = [a for a, b in neighbours(numbers) if b > a + 1]
    if holes:
        said.append(f"The copy lacks the canary row of number {holes[-1] + 1}.")
    # Only the time around the moment: an older gap says nothing of it.
    near = [each for each in copy if each.at <= until][-2:]
    said += [
        f"No canary row was written between {local(a)} and {local(b)}."
        for a, b in gaps(near, every, until)
    ]
    return said


def _wrong(what: str) -> OpsError:
    return OpsError(
        f"The recovered copy is not that of the moment: {what}. The live database was not touched.",
        "Take a moment a minute earlier or later, or a base backup before it. If somebody changed"
        f" {TABLE} by hand, leave the canaries out: -e pitr_canary_seconds=0.",
        code="pitr.canary",
    )
