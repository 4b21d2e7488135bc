# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check the database: against the newest verified set, in its catalogue, page by page."""

from __future__ import annotations

import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillRunning
from threading import Thread
from typing import Any

from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, Overdue, Unanswerable
from ansible.module_utils.pmsops.checks.probes.context import Context, one_line
from ansible.module_utils.pmsops.client_tools import pg_amcheck
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import (
    integrity,
    session_settings,
    timescaledb_job_results,
)
from ansible.module_utils.pmsops.repository import manifest, sets
from ansible.module_utils.pmsops.repository.moments import Moments

# Left of the probe's time for its answer.
SPARE_SECONDS = 0.7
SHOWN = 5


def ask(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return what is missing (about: set), contradictory (catalogue), damaged (pages, amcheck).

    About jobs, it returns those that failed.
    """
    import psycopg2

    about = params["about"]
    if about not in ("set", "catalogue", "pages", "amcheck", "jobs"):
        raise Unanswerable(f"about: {about} is not one of set, catalogue, pages, amcheck, jobs")
    if about == "amcheck":
        if not params.get("asked"):
            return {"asked": False, "damaged": None}
        return _amcheck(context, deadline)
    connection = context.connection(None, deadline)
    try:
        if about == "pages":
            found = integrity.unreadable_tables(
                connection,
                list(params.get("tables") or []),
                deadline=time.monotonic() + deadline.left() - SPARE_SECONDS,
            )
            return found | {"damaged": summary(found["damaged"])}
        with connection.cursor() as cursor:
            session_settings.limit_statements(cursor, deadline.left())
            if about == "catalogue":
                return {"contradictions": summary(integrity.catalogue_contradictions(cursor))}
            if about == "jobs":
                found = timescaledb_job_results.results(cursor)
                return {kind: summary(jobs) for kind, jobs in found.items()}
            return _against_newest(context, cursor)
    except psycopg2.errors.QueryCanceled as exc:
        raise Overdue("the time was over before it was read") from exc
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as exc:
        context.drop_connection(None)
        raise Failed(f"the database broke the connection: {one_line(exc)}") from exc
    except psycopg2.Error as exc:
        raise Failed(f"its catalogue cannot be read: {one_line(exc)}") from exc
    finally:
        if not connection.closed:
            connection.rollback()


def _against_newest(context: Context, cursor: Any) -> dict[str, Any]:
    """Compare with the newest verified set of this database, else with the newest one."""
    name = context.settings.database.get("name")
    root = context.folder("backup_root")
    moments, newest, verified = Moments(root), None, None
    for each in reversed(sets.listed(root)):
        try:
            if moments.facts(each)["database"] != name:
                continue
        except OpsError:
            continue
        newest = newest or each
        if moments.verification(each) is not None:
            verified = each
            break
    folder = verified or newest
    if folder is None:
        return {"set": None, "missing_tables": None, "plain_tables": None, "fewer_chunks": None}
    chosen = manifest.read(folder)
    found = integrity.missing_tables(cursor, chosen)
    return {"set": chosen["id"], **{kind: summary(names) for kind, names in found.items()}}


def _amcheck(context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return the damage that pg_amcheck finds.

    :raises Unanswerable: when it fails.
    :raises Overdue: when it takes too long.
    """
    found: Future[list[str]] = Future()

    def work() -> None:
        try:
            found.set_result(pg_amcheck.damaged(context.database()))
        except BaseException as exc:  # noqa: BLE001 -- the waiting thread raises it
            found.set_exception(exc)

    Thread(target=work, daemon=True).start()
    try:
        return {"asked": True, "damaged": summary(found.result(deadline.left() - SPARE_SECONDS))}
    except (TimeoutError, StillRunning) as exc:  # one class since Python 3.11
        raise Overdue("pg_amcheck did not end in time") from exc
    except OpsError as exc:
        raise Unanswerable(str(exc)) from exc


def summary(found: list[str]) -> str | None:
    """Return the first findings on one line, None without any."""
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(found[:SHOWN]) + more if found else None
