# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The contents of materialized views, and whether they are what their query gives today.

A dump has the query and not the rows: pg_restore refreshes. So a restored view can be compared with
the backup in one of three ways:

- it was *fresh*: the restored rows have to be those of the backup;
- it was *stale*: they have to be those that the query gave at the moment of the backup;
- its query may give other rows in another session (``now()``, ``random()``, a sum of floats, which
  depends on the order of rows, a function of the application), or takes more seconds than a backup
  may spend: rows that differ are no proof of a loss, and the backup says so.
"""

from __future__ import annotations

import time
from typing import Any

import psycopg2
import psycopg2.errors
from ansible.module_utils.pmsops.postgresql import fingerprint
from ansible.module_utils.pmsops.postgresql.connection import fetch_all

Kind = dict[str, dict[str, Any]]

SECONDS = 60  # for the queries of all views together

# Views below are part of the query, other materialized views are not.
_RULES = """
WITH RECURSIVE rule(view, oid) AS (
    SELECT w.ev_class, w.oid FROM pg_rewrite w
     WHERE w.ev_class = ANY(%s::int8[]::oid[]) AND w.rulename = '_RETURN'
    UNION
    SELECT rule.view, w.oid FROM rule
      JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = rule.oid
       AND d.refclassid = 'pg_class'::regclass
      JOIN pg_class c ON c.oid = d.refobjid AND c.relkind = 'v'
      JOIN pg_rewrite w ON w.ev_class = c.oid AND w.rulename = '_RETURN'
)
"""
_POPULATED = """
SELECT c.oid::int8, pg_get_viewdef(c.oid) FROM pg_class c
 WHERE c.relispopulated AND c.oid = ANY(%s::int8[]::oid[])"""
# Functions that pg_depend names are no built-in ones. The application's are not run here, with the
# rights of the maintenance role. Built-in ones stand in the tree of the query only.
_UNSTEADY = (
    _RULES
    + """
SELECT rule.view::int8, min('calls ' || p.oid::regprocedure::text) FROM rule
  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = rule.oid
  LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
  JOIN pg_proc p
    ON p.oid = CASE WHEN d.refclassid = 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END
 WHERE p.provolatile <> 'i' OR NOT EXISTS (
       SELECT FROM pg_depend x WHERE x.classid = 'pg_proc'::regclass AND x.objid = p.oid
          AND x.deptype = 'e')
 GROUP BY 1
UNION ALL
SELECT rule.view::int8, min('calls ' || p.oid::regprocedure::text) FROM rule
  JOIN pg_rewrite w ON w.oid = rule.oid
 CROSS JOIN LATERAL regexp_matches(w.ev_action::text,
       ':(?:func|opfunc|aggfn|winfn|hashfunc|eqfunc)(?:o?id) (\\d+)', 'g') AS used(ids)
  JOIN pg_proc p ON p.oid = used.ids[1]::oid AND p.provolatile <> 'i'
 GROUP BY 1
UNION ALL
SELECT rule.view::int8, min(CASE WHEN w.ev_action::text ~ 'SQLVALUEFUNCTION'
                                 THEN 'depends on the moment or the role'
                                 ELSE 'depends on settings of the session' END)
  FROM rule JOIN pg_rewrite w ON w.oid = rule.oid
 WHERE w.ev_action::text ~ '\\{(SQLVALUEFUNCTION|COERCEVIAIO|NEXTVALUEEXPR|TABLESAMPLECLAUSE) '
 GROUP BY 1
UNION ALL
SELECT rule.view::int8, 'depends on the order of rows' FROM rule
  JOIN pg_rewrite w ON w.oid = rule.oid
 WHERE w.ev_action::text ~ ':(hasDistinctOn|hasWindowFuncs) true|:limit(Count|Offset) \\{'
    OR EXISTS (
       SELECT FROM regexp_matches(w.ev_action::text, ':aggfnoid (\\d+)', 'g') AS used(ids)
         JOIN pg_proc p ON p.oid = used.ids[1]::oid
        WHERE p.oid >= 16384 OR p.proname ~ '_agg(_|$)|^any_value$|^xmlagg$'
           OR p.proargtypes::oid[] && '{float4,float8}'::regtype[]::oid[]
              AND p.proname NOT IN ('min', 'max', 'count'))
"""
)
# A view and the materialized views that its query reads.
_READS = (
    _RULES
    + """
SELECT DISTINCT rule.view::int8, d.refobjid::int8 FROM rule
  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = rule.oid
   AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> rule.view
  JOIN pg_class c ON c.oid = d.refobjid AND c.relkind = 'm'"""
)


def facts(cursor: Any) -> Kind:
    """Return rows and fingerprint of each view that is populated."""
    views = fingerprint.materialized_views(cursor)
    known = _populated(cursor, views)
    found = {
        view.key: fingerprint.answer(cursor, view.sql(whole=True))
        for oid, view in views.items()
        if oid in known
    }
    return dict(sorted(found.items()))


def examine(cursor: Any, found: Kind) -> None:
    """Add to the facts of views ``fresh``: None if it is not known, with a ``reason``.

    A stale view gets ``query``, rows and fingerprint that its query gives in this snapshot.
    """
    views = fingerprint.materialized_views(cursor)
    if not views:
        return
    unsteady = dict(fetch_all(cursor, _UNSTEADY, ([*views],)))
    until = time.monotonic() + SECONDS
    for oid, query in _populated(cursor, views).items():
        view = views[oid]
        if oid in unsteady:
            found[view.key] |= {"fresh": None, "reason": f"its query {unsteady[oid]}"}
        else:
            sql = view.sql_of_query(query)
            found[view.key] |= _examined(cursor, sql, dict(found[view.key]), until)
    reads = fetch_all(cursor, _READS, ([*views],))
    _settle(found, [(views[view].key, views[read].key) for view, read in reads])


def _populated(cursor: Any, views: dict[int, fingerprint.Relation]) -> dict[int, str]:
    """Return the queries of the populated views; the others cannot be read."""
    return dict(fetch_all(cursor, _POPULATED, ([*views],))) if views else {}


def _settle(found: Kind, reads: list[tuple[str, str]]) -> None:
    """Mark the views whose query reads a view that will have other rows in a restored copy."""
    changed = True
    while changed:
        changed = False
        for view, read in reads:
            known = found.get(view, {})
            if known.get("fresh") is not None and not found.get(read, {}).get("fresh"):
                known.pop("query", None)
                known |= {"fresh": None, "reason": f"its query reads {read}"}
                changed = True


def _examined(cursor: Any, sql: str, has: dict[str, Any], until: float) -> dict[str, Any]:
    left = round((until - time.monotonic()) * 1000)
    slow: dict[str, Any] = {
        "fresh": None,
        "reason": f"the queries of all views take more than {SECONDS} s",
    }
    if left < 1:
        return slow
    cursor.execute("SAVEPOINT materialized_view")
    try:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", (str(left),))
        gives = fingerprint.answer(cursor, sql)
    except psycopg2.errors.QueryCanceled:
        result = slow
    except (psycopg2.ProgrammingError, psycopg2.DataError) as exc:
        result = {"fresh": None, "reason": f"its query fails: {str(exc).splitlines()[0]}"}
    else:
        result = {"fresh": True} if gives == has else {"fresh": False, "query": gives}
    cursor.execute("ROLLBACK TO SAVEPOINT materialized_view")
    return result


def not_restored(recorded: Kind) -> list[str]:
    """Return what a restore will not bring back of the views of a manifest, a line each."""
    lines = []
    for name, view in recorded.items():
        if view["fresh"] is False:
            what = "it is stale, and a restore refreshes it"
        elif view["fresh"] is None:
            what = f"{view['reason']}, so a restore may make other rows, which are not compared"
        else:
            continue
        lines.append(f"the rows of materialized view {name}: {what}")
    return lines


def understood(recorded: Kind, found: Kind) -> tuple[Kind, Kind, list[str]]:
    """Return both sides with the rows that a restore has to give, and a note where they differ."""
    wanted, copies, notes = {}, {}, []
    for name, has in found.items():
        copies[name] = {each: has[each] for each in ("rows", "fingerprint")}
    for name, view in recorded.items():
        wanted[name] = {each: view[each] for each in ("rows", "fingerprint")}
        copy = copies.get(name)
        if copy in (None, wanted[name]):
            continue
        if view["fresh"] is None:
            notes.append(f"materialized view {name} has other rows: {view['reason']}")
            wanted[name] = copy
        elif not view["fresh"]:
            if copy == view["query"]:
                notes.append(f"materialized view {name} was stale in the backup, and is fresh")
            wanted[name] = view["query"]
    return wanted, copies, notes
