# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Databases without sessions, and the transaction that renames them."""

from __future__ import annotations

import time
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import bound_objects
from ansible.module_utils.pmsops.postgresql.connection import fetch_all, fetch_value, quote_ident

RENAME_SECONDS = 20
IN_USE = "55006"
SESSION_END_POLLS, SESSION_END_POLL_SECONDS = 30, 0.003


def close(cursor: Any, names: list[str]) -> None:
    """Refuse new connections to the databases *names*."""
    cursor.execute(
        "; ".join(f"ALTER DATABASE {quote_ident(name)} ALLOW_CONNECTIONS false" for name in names)
    )


def open_again(cursor: Any, names: list[str]) -> None:
    """Allow connections to those of *names* that exist and refuse them."""
    for (name,) in fetch_all(
        cursor,
        "SELECT datname FROM pg_database WHERE datname = ANY(%s) AND NOT datallowconn",
        (names,),
    ):
        cursor.execute(f"ALTER DATABASE {quote_ident(name)} ALLOW_CONNECTIONS true")


def end_sessions(cursor: Any, names: list[str], spare: int = 0) -> None:
    """End all sessions of the databases *names*, and wait a moment until they are gone.

    A rename that meets an ending session sleeps for a tenth of a second. The process *spare* stays.
    """
    others = "FROM pg_stat_activity WHERE datname = ANY(%s) AND pid <> %s"
    cursor.execute(f"SELECT pg_terminate_backend(pid) {others}", (names, spare))
    for _ in range(SESSION_END_POLLS):
        if not fetch_value(cursor, f"SELECT count(*) {others}", (names, spare)):
            return
        time.sleep(SESSION_END_POLL_SECONDS)


def run(cursor: Any, live: str, names: list[str], statements: list[str]) -> None:
    """Run *statements*, which rename *names*, in one transaction, without a session in either.

    :raises OpsError: restore.not-swapped
    """
    deadline = time.monotonic() + RENAME_SECONDS
    while True:
        end_sessions(cursor, names)
        try:
            # In one message: nobody is served meanwhile, and each answer would be waited for.
            cursor.execute("; ".join(["BEGIN", *statements, "COMMIT"]))
            return
        except psycopg2.Error as exc:
            cursor.execute("ROLLBACK")
            if exc.pgcode != IN_USE or time.monotonic() > deadline:
                held = [
                    f"In {name}: {each.text()}."
                    for name in names
                    for each in bound_objects.read(cursor, name).prepared
                ]
                said = " ".join([str(exc).strip(), *held])
                raise OpsError(
                    f"{live} could not be renamed: {said}",
                    "The live database is unchanged. End the sessions and prepared transactions"
                    " that hold it open, then run again: the staging database is kept for the next"
                    " run.",
                    code="restore.not-swapped",
                ) from exc
        time.sleep(0.05)
