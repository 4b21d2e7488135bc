# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What continuous protection adds to the database's server, and takes away again.

One role with REPLICATION, one physical slot, one line of pg_hba.conf, a table for canary rows, and
a bound on the WAL that a slot may keep, so that a dead receiver never fills the live disk. The
server is reloaded, never restarted, and nothing of the PMS changes.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
import psycopg2.extensions
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import size as human
from ansible.module_utils.pmsops.pitr import canary, role_mark, server_files
from ansible.module_utils.pmsops.pitr.server_limits import KEEP, default_keep_bytes, lacking
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
    quote_ident,
    quote_literal,
)

RIGHTS = ("pg_read_all_settings", "pg_read_all_stats")
CHECKPOINT = ("pg_checkpoint",)  # PostgreSQL 15 and newer
# What Barman checks for before each base backup.
FUNCTIONS = ("pg_switch_wal()", "pg_create_restore_point(text)")
BACKUP_FUNCTIONS = ("pg_backup_start(text, boolean)", "pg_backup_stop(boolean)")
OLD_BACKUP_FUNCTIONS = (
    "pg_start_backup(text, boolean, boolean)",
    "pg_stop_backup(boolean, boolean)",
)


@dataclass(frozen=True)
class Wanted:
    """The additions to one server."""

    role: str
    network: str  # the addresses that the receiver may come from
    keep_bytes: int | None = None  # None: a fifth of the free room
    canary: bool = True  # a table for canary rows

    @property
    def hba_line(self) -> str:
        """The line of pg_hba.conf: for WAL and the database postgres, from the network alone."""
        return (
            f"host replication,postgres {quote_ident(self.role)} {self.network} scram-sha-256"
            f" {server_files.HBA_MARK}"
        )


@dataclass(frozen=True)
class ServerState:
    """What of it the server has, and what it lacks to be able to stream."""

    role: bool
    slot: str | None  # None: there is none; else its wal_status, ``lost`` for one
    hba: bool
    hba_file: str
    keep: str
    keep_set: bool
    keep_bytes: int
    version: int
    lacks: list[str]
    free_bytes: int
    canary: bool

    @property
    def lost(self) -> bool:
        """Whether the receiver was away for longer than the server keeps WAL."""
        return self.slot == "lost"


class ServerSide:
    """Reads and changes the server of *database*, whose *files* are in a container or on a host."""

    def __init__(self, database: Database, wanted: Wanted, files: server_files.Files) -> None:
        self._database = database
        self._wanted = wanted
        self._files = files

    def look(self) -> ServerState:
        """Return what the server has.

        :raises OpsError: pitr.role-taken; database.*, database.rights if the role cannot become
            a superuser
        """
        role = self._wanted.role
        with self._session() as cursor:
            settings = dict(
                fetch_all(
                    cursor,
                    """SELECT name, setting FROM pg_settings WHERE name IN ('wal_level',
                       'max_wal_senders', 'max_replication_slots', 'hba_file', 'data_directory',
                       'server_version_num', 'max_slot_wal_keep_size')""",
                )
            )
            used = fetch_all(
                cursor,
                """SELECT (SELECT count(*) FROM pg_stat_replication WHERE usename <> %s),
                          (SELECT count(*) FROM pg_replication_slots WHERE slot_name <> %s)""",
                (role, role),
            )[0]
            slot = fetch_all(
                cursor,
                """SELECT coalesce(wal_status, 'reserved') FROM pg_replication_slots
                    WHERE slot_name = %s""",
                (role,),
            )
            roles = fetch_all(
                cursor,
                """SELECT rolreplication, shobj_description(oid, 'pg_authid') FROM pg_roles
                    WHERE rolname = %s""",
                (role,),
            )
            rows = canary.present(cursor)
        role_mark.require_ours(role, [comment for _, comment in roles])
        free = self._files.free_bytes(settings["data_directory"])
        keep_bytes = self._wanted.keep_bytes or default_keep_bytes(free)
        return ServerState(
            role=bool(roles),
            slot=slot[0][0] if slot else None,
            hba=self._wanted.hba_line in self._files.hba(settings["hba_file"]).splitlines(),
            hba_file=settings["hba_file"],
            keep=settings[KEEP],
            keep_set=int(settings[KEEP]) >= 0,
            keep_bytes=keep_bytes,
            version=int(settings["server_version_num"]),
            lacks=lacking(settings, *used),
            free_bytes=free,
            canary=rows,
        )

    def plan(self, state: ServerState) -> list[str]:
        """Return what would be added, as statements and lines; empty if nothing is missing.

        :raises OpsError: pitr.server-lacks
        """
        if state.lacks:
            raise OpsError(
                f"The server cannot stream its WAL: {'; '.join(state.lacks)}. Nothing was changed.",
                "Set this, and restart the server at a quiet hour. Then run again.",
                code="pitr.server-lacks",
            )
        role = quote_ident(self._wanted.role)
        steps = []
        if not state.role:
            steps.append(f"CREATE ROLE {role} LOGIN REPLICATION PASSWORD (generated)")
        if state.lost:
            steps.append(f"SELECT pg_drop_replication_slot('{self._wanted.role}'), which is lost")
        if state.slot is None or state.lost:
            steps.append(f"SELECT pg_create_physical_replication_slot('{self._wanted.role}', true)")
        if not state.hba:
            steps.append(f"{state.hba_file}: {self._wanted.hba_line}")
        if not state.keep_set:
            steps.append(
                f"ALTER SYSTEM SET {KEEP} = '{state.keep_bytes >> 20}MB'"
                f" ({human(state.free_bytes)} are free)"
            )
        if steps:
            steps.append("SELECT pg_reload_conf()")
        if self._wanted.canary and not state.canary:
            steps.append(f"CREATE TABLE {canary.TABLE} in database {canary.DATABASE}, owner {role}")
        return steps

    def add(self, state: ServerState) -> str | None:
        """Add what is missing; return the role's new password, None if the role is kept as it is.

        :raises OpsError: pitr.hba, database.*
        """
        password = None
        with self._session() as cursor:
            if not state.role:
                password = self._create_role(cursor, state)
            if self._wanted.canary and not state.canary:
                canary.create(cursor, self._wanted.role)
        if not state.hba:
            before = self._files.hba(state.hba_file)
            self._files.write_hba(state.hba_file, f"{self._wanted.hba_line}\n{before}")
        with self._session(autocommit=True) as cursor:
            if not state.keep_set:
                cursor.execute(f"ALTER SYSTEM SET {KEEP} = '{state.keep_bytes >> 20}MB'")
            self._reload(cursor)
            if state.lost:
                cursor.execute("SELECT pg_drop_replication_slot(%s)", (self._wanted.role,))
            if state.slot is None or state.lost:
                cursor.execute(
                    "SELECT pg_create_physical_replication_slot(%s, true)", (self._wanted.role,)
                )
        return password

    def summarizes(self) -> bool:
        """Tell whether the server keeps the summaries that an incremental base backup needs."""
        with self._session() as cursor:
            return bool(fetch_value(cursor, "SELECT current_setting('summarize_wal', true) = 'on'"))

    def new_password(self) -> str:
        """Give the role a new password and return it: for an engine that has lost its own."""
        with self._session() as cursor:
            password, verifier = self._password(cursor)
            cursor.execute(
                f"ALTER ROLE {quote_ident(self._wanted.role)} PASSWORD {quote_literal(verifier)}"
            )
        return password

    def remove(self) -> list[str]:
        """Take away what ``add`` added; return what was there.

        :raises OpsError: pitr.hba, database.*
        """
        role = self._wanted.role
        removed = []
        with self._session(autocommit=True) as cursor:
            comment = fetch_value(
                cursor,
                """SELECT shobj_description(oid, 'pg_authid') FROM pg_roles
                    WHERE rolname = %s""",
                (role,),
            )
            hba_file = fetch_value(cursor, "SELECT current_setting('hba_file')")
            slots = fetch_all(
                cursor,
                "SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s",
                (role,),
            )
            if slots:
                if slots[0][0] is not None:
                    cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (slots[0][0],))
                cursor.execute("SELECT pg_drop_replication_slot(%s)", (role,))
                removed.append(f"the slot {role}")
            before = self._files.hba(hba_file)
            after = server_files.without_line(before)
            if after != before:
                self._files.write_hba(hba_file, after)
                removed.append(f"the line of {hba_file}")
            if role_mark.read(comment).get("keep") == "set":
                cursor.execute(f"ALTER SYSTEM RESET {KEEP}")
                removed.append(f"the setting {KEEP}")
            self._reload(cursor)
            if fetch_value(cursor, "SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)):
                if canary.present(cursor):
                    removed.append(f"the table {canary.TABLE}")
                cursor.execute(f"DROP OWNED BY {quote_ident(role)}")
                cursor.execute(f"DROP ROLE {quote_ident(role)}")
                removed.append(f"the role {role}")
        return removed

    def _create_role(self, cursor: Any, state: ServerState) -> str:
        role = quote_ident(self._wanted.role)
        password, verifier = self._password(cursor)
        cursor.execute(f"CREATE ROLE {role} LOGIN REPLICATION PASSWORD {quote_literal(verifier)}")
        newer = state.version >= 150000
        cursor.execute(f"GRANT {', '.join([*RIGHTS, *CHECKPOINT[: int(newer)]])} TO {role}")
        for function in (*FUNCTIONS, *(BACKUP_FUNCTIONS if newer else OLD_BACKUP_FUNCTIONS)):
            cursor.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {role}")
        mark = role_mark.text(keep_is_ours=not state.keep_set)
        cursor.execute(f"COMMENT ON ROLE {role} IS {quote_literal(mark)}")
        return password

    def _password(self, cursor: Any) -> tuple[str, str]:
        """Return a new password and its verifier: the password itself reaches no log."""
        password = secrets.token_urlsafe(24)
        verifier = psycopg2.extensions.encrypt_password(
            password, self._wanted.role, cursor.connection, "scram-sha-256"
        )
        return password, verifier

    @contextmanager
    def _session(self, *, autocommit: bool = False) -> Iterator[Any]:
        # Rights on functions belong to the database that Barman connects to.
        with self._database.session(
            name="postgres", superuser=True, autocommit=autocommit
        ) as cursor:
            # Where commits wait for the receiver, what mends the receiver must not wait for it.
            cursor.execute("SET synchronous_commit = local")
            yield cursor

    def _reload(self, cursor: Any) -> None:
        wrong = fetch_all(
            cursor, "SELECT line_number, error FROM pg_hba_file_rules WHERE error IS NOT NULL"
        )
        if wrong:
            raise OpsError(
                f"Line {wrong[0][0]} of pg_hba.conf is wrong: {wrong[0][1]}. It was not loaded.",
                "Correct the line, then run again.",
                code="pitr.hba",
            )
        cursor.execute("SELECT pg_reload_conf()")
