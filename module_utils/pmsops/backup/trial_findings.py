# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The errors of a trial as findings: an object, what is wrong, and the remedy."""

from __future__ import annotations

import re

from ansible.module_utils.pmsops.backup.verdict import Finding
from ansible.module_utils.pmsops.client_tools import archive_toc

# The server, and not the set, is to blame for these.
_SERVER_FAULT = re.compile(
    r"No space left on device|too many (?:clients|connections)|remaining connection slots"
    r"|out of (?:shared )?memory|terminating connection|server closed the connection"
    r"|connection to server|could not connect|the database system is|canceling statement"
)
_COULD_NOT = re.compile(r"^could not execute query: ERROR:\s+")
_REST = re.compile(r" / (?:Command was|LINE \d+|Query was): ?.*", re.DOTALL)
_MISSING = re.compile(
    r"(?:relation|type|function|schema|extension|column|table|collation|operator)"
    r' "?([^"()]+)"?(?:\(.*\))? does not exist'
)
_CHUNK = re.compile(archive_toc.CHUNK)
# Kind and name; a line of the table of contents has the owner behind them.
_OBJECT = re.compile(r'(?:[A-Z]+ )+("[^"]*"|\S+)')
REMEDY_FALLBACK = "Repair or drop it in the live database, then back up again."
_REMEDIES = (
    (
        r"can only create extension|may only be created|can only be (?:created|installed)",
        "The extension may exist in one database of the server only. Keep its jobs elsewhere, or"
        " move it to the server's maintenance database (for pg_cron: cron.database_name). Until"
        ' then a restore needs -e \'{"restore_without_extensions": ["NAME"]}\'; the rows of the'
        " extension are in the set's extensions.json.",
    ),
    (
        r"unrecognized (?:configuration )?parameter|unrecognized parameter",
        "The server does not take a parameter that the dump sets: use client tools of the server's"
        " own version to the minor (pms_db_bin_dir), and see docs/RESTORE.md.",
    ),
    (
        r"does not exist",
        "Name the object with its schema where it is used, or add SET search_path to the function.",
    ),
)


class NotRun(Exception):
    """A server, or a set, that a trial has to leave alone; the text says why."""


def to_findings(rows: list[dict[str, str]]) -> list[Finding]:
    """Return the causes among the errors of a rehearsal; what only follows from one is left out.

    :raises NotRun: if the server failed, and not the set.
    """
    findings: list[Finding] = []
    failed: set[str] = set()
    followed = 0
    for row in rows:
        if match := _SERVER_FAULT.search(row["error"]):
            raise NotRun(f"the server failed meanwhile ({match[0]}): {row['error'][:300]}")
        error = _REST.sub("", _COULD_NOT.sub("", row["error"]))
        name = _tag(row["object"])
        missing = _MISSING.search(error)
        if missing and _CHUNK.search(missing[1]):
            continue  # a view on a chunk, which a trial leaves out
        if missing and missing[1].rpartition(".")[2].strip('"') in failed:
            followed += 1
            failed.add(name)
            continue
        failed.add(name)
        findings.append(Finding(row["object"] or "pg_restore", error, _remedy(error)))
    if findings and followed:
        last = findings[-1]
        findings[-1] = Finding(
            last.object, f"{last.what} ({followed} more errors follow from these)", last.remedy
        )
    return findings


def _tag(entry: str) -> str:
    """Return the name of an object without its schema."""
    match = _OBJECT.match(entry)
    return (match[1] if match else entry).rpartition(".")[2].strip('"')


def _remedy(error: str) -> str:
    return next(
        (remedy for pattern, remedy in _REMEDIES if re.search(pattern, error)), REMEDY_FALLBACK
    )
