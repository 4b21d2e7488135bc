# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Recompute the hash of every entry of the PMS's decision journal."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, Overdue
from ansible.module_utils.pmsops.checks.probes.context import Context, one_line
from ansible.module_utils.pmsops.checks.probes.sql import run as query
from ansible.module_utils.pmsops.common.pairs import together
from ansible.module_utils.pmsops.pms import journal_hash

TRIGGER = """SELECT count(*) FROM pg_trigger
 WHERE tgrelid = 'public.decision_journal'::regclass AND NOT tgisinternal
   AND tgname = 'trg_decision_journal_immutable' AND tgenabled IN ('O', 'A')"""
COLUMNS = ("id", *journal_hash.TEXTS, *journal_hash.NUMBERS, "content_hash")
MAX_NAMED = 20
BATCH_ROWS = 2000


def ask(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return ``{entries, wrong, trigger_enabled}``; *wrong* names the first ids that differ."""
    enabled = query(context, deadline, TRIGGER)["value"] == 1
    entries, wrong = _compare(context, deadline)
    return {"entries": entries, "wrong": wrong[:MAX_NAMED], "trigger_enabled": enabled}


def _compare(context: Context, deadline: Deadline) -> tuple[int, list[int]]:
    """Return the number of entries, and the ids of those whose hash does not fit their content."""
    import psycopg2

    connection = context.connection(None, deadline)
    entries, wrong = 0, []
    try:
        with connection.cursor(name="journal") as cursor:
            cursor.itersize = BATCH_ROWS
            cursor.execute(f"SELECT {', '.join(COLUMNS)} FROM public.decision_journal ORDER BY id")
            for values in cursor:
                row = dict(together(COLUMNS, values))
                entries += 1
                if journal_hash.content_hash(row) != row["content_hash"]:
                    wrong.append(row["id"])
                if entries % BATCH_ROWS == 0 and time.monotonic() > deadline.at:
                    raise Overdue(f"the time was over after {entries} entries")
    except psycopg2.Error as exc:
        raise Failed(f"the journal cannot be read: {one_line(exc)}") from exc
    finally:
        context.drop_connection(None)
    return entries, wrong
