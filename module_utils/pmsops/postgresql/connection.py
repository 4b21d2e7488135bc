# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connections to PostgreSQL by psycopg2, and errors of the server as OpsError."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg2
import psycopg2.errors
import psycopg2.extensions
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import known_causes, session_settings

CONNECT_TIMEOUT_SECONDS = 10
SECOND_LOOK_SECONDS = 5
# SQLSTATEs of ended sessions, and the server's words. A cancelled statement has one SQLSTATE for
# several reasons, so its words decide.
_TIMEOUT_CODES = {
    "25P03": "idle_in_transaction_session_timeout",
    "25P04": "transaction_timeout",
    "57P05": "idle_session_timeout",
}
_TIMEOUT_MESSAGES = {
    "due to statement timeout": "statement_timeout",
    "due to transaction timeout": "transaction_timeout",
    "due to idle-in-transaction timeout": "idle_in_transaction_session_timeout",
    "due to idle-session timeout": "idle_session_timeout",
}


@dataclass(frozen=True)
class Database:
    """The address of a database and the role that the toolkit connects as."""

    host: str
    port: int
    name: str
    user: str
    password: str | None = field(default=None, repr=False)
    access: str = "container"
    maintenance_name: str = "postgres"
    container: str | None = None
    bin_dir: str | None = None

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> Database:
        """Return the database that a module's option ``database`` describes."""
        return cls(**{name: options[name] for name in cls.__dataclass_fields__ if name in options})

    def named(self, name: str) -> Database:
        """Return the same server and role with another database."""
        return replace(self, name=name)

    def connect(
        self,
        *,
        name: str | None = None,
        read_only: bool = False,
        autocommit: bool = False,
        seconds: int = CONNECT_TIMEOUT_SECONDS,
        settings: dict[str, str] | None = None,
    ) -> psycopg2.extensions.connection:
        """Open a connection to *name*, by default to the database itself.

        Row level security is off: a role that it would filter gets an error instead of part of
        the rows. No time-out of the server, the database or the role ends the session. *settings*
        are the session's own, from its start.

        :raises OpsError: database.unreachable, database.auth, database.missing,
            database.server-old.
        """
        target = name or self.name
        try:
            connection = psycopg2.connect(
                host=self.host,
                port=self.port,
                dbname=target,
                user=self.user,
                password=self.password,
                connect_timeout=seconds,
                application_name="pms-ops",
                keepalives=1,
                keepalives_idle=30,
                keepalives_interval=10,
                keepalives_count=3,
                options=session_settings.options(session_settings.AT_START | (settings or {})),
            )
            session_settings.begin(connection, read_only=read_only, autocommit=autocommit)
        except psycopg2.OperationalError as exc:
            raise self._connection_error(target, exc) from exc
        return connection

    @contextmanager
    def session(
        self, *, superuser: bool = False, autocommit: bool = False, **options: Any
    ) -> Iterator[psycopg2.extensions.cursor]:
        """Give a cursor on a connection of its own; commit at the end, roll back on an error.

        With *superuser* it acts as the role that ``superuser_role`` finds, where there is one.
        With *autocommit* each statement is a transaction of its own: ``with connection`` would
        open one around all of them, since psycopg2 2.9 on such a connection too.
        """
        connection = self.connect(autocommit=autocommit, **options)
        transaction = nullcontext() if autocommit else connection
        try:
            with transaction, connection.cursor() as cursor:
                if superuser:
                    become_superuser(cursor)
                yield cursor
        except psycopg2.errors.UndefinedFile as exc:
            raise self.to_error(exc) from exc
        finally:
            connection.close()

    def to_error(self, exc: psycopg2.Error) -> OpsError:
        """Return the OpsError for an error of a statement."""
        text = " ".join(str(exc).split())
        if (cause := known_causes.find(str(exc))) is not None:
            return OpsError(f"Database {self.name}: {text}", cause[1], code=cause[0])
        if isinstance(exc, psycopg2.errors.InsufficientPrivilege):
            return OpsError(
                f"Role {self.user} lacks a right in database {self.name}: {text}",
                "Grant the maintenance role what docs/database-rights.sql gives it.",
                code="database.rights",
            )
        if (timeout := ended_by(exc)) is not None:
            return OpsError(
                f"{timeout} ended a statement of the toolkit in database {self.name}: {text}",
                "The database runs. Find out what keeps it busy (pg_stat_activity), or what sets"
                f" {timeout} in the toolkit's sessions (a pooler?), then run again.",
                code="database.timeout",
            )
        if exc.pgcode is None or exc.pgcode[:2] in ("08", "57"):
            return self.broken(text)
        if exc.pgcode[:2] == "53":
            return OpsError(
                f"The server at {self.host}:{self.port} has exhausted a resource: {text}",
                "Free the resource that it names (disk, connections, memory), then run again.",
                code="database.resources",
            )
        return OpsError(
            f"A statement failed in database {self.name}: {text}",
            "The server's message names the cause. The statement's transaction was rolled back.",
            code="database.statement",
        )

    def broken(self, text: str) -> OpsError:
        """Return the OpsError for a lost connection: the server is down, or ended the session."""
        where = f"{self.name} at {self.host}:{self.port}"
        try:
            self.connect(name=self.maintenance_name, seconds=SECOND_LOOK_SECONDS).close()
        except OpsError:
            return OpsError(
                f"The connection to database {where} broke: {text}",
                "Bring the database back (docs/DR_PLAYBOOK.md, scenario 1), then run again.",
                code="database.unreachable",
            )
        return OpsError(
            f"The server ended the connection to database {where}, and answers again: {text}",
            "Look in the server's log for who or what ended it (a time-out, pg_terminate_backend, a"
            " restart), and at firewalls between; then run again.",
            code="database.session-ended",
        )

    def _connection_error(self, target: str, exc: psycopg2.OperationalError) -> OpsError:
        """Return the OpsError for a refused or failed connection."""
        text = " ".join(str(exc).split())
        where = f"{self.host}:{self.port}"
        # The library of an extension is loaded by the first statement of a session.
        if (cause := known_causes.find(str(exc))) is not None:
            return OpsError(f"Database {target} at {where}: {text}", cause[1], code=cause[0])
        if "password authentication failed" in text or "no password supplied" in text:
            return OpsError(
                f"{where} refused the login of role {self.user}: it has another password, or the"
                " server has no such role (PostgreSQL does not tell which).",
                "Set pms_db_user and pms_db_password to those of the maintenance role. On an empty"
                " server, whose volume is gone, playbooks/dr_database.yml -e empty_server=true"
                " -e confirm=<database> makes the role and restores.",
                code="database.auth",
            )
        if "permission denied for database" in text:
            return OpsError(
                f"{where} does not let role {self.user} into database {target}: {text}",
                "Run docs/database-rights.sql again, as a superuser: it makes the role a member of"
                " the database's owner, and so gives it CONNECT.",
                code="database.connect-right",
            )
        if "no pg_hba.conf entry" in text:
            return OpsError(
                f"{where} accepts no login of role {self.user} from here: {text}",
                "Add a line for that role, database and address to the server's pg_hba.conf, and"
                " run SELECT pg_reload_conf(). No restart is needed.",
                code="database.no-entry",
            )
        if re.search(r'database "[^"]*" does not exist', text):
            return OpsError(
                f"{where} has no database {target}.",
                "Check pms_db_name; `psql -l` lists the databases of the server.",
                code="database.missing",
            )
        if "unrecognized configuration parameter" in text:
            return OpsError(
                f"The server at {where} is older than PostgreSQL 14, which pms-ops needs: {text}",
                "Upgrade the server.",
                code="database.server-old",
            )
        return OpsError(
            f"Cannot connect to database {target} at {where}: {text}",
            "Check that the database runs and that pms_db_host and pms_db_port point at it;"
            " docs/DR_PLAYBOOK.md, scenario 1, restarts a stopped one.",
            code="database.unreachable",
        )


def ended_by(exc: psycopg2.Error) -> str | None:
    """Return the time-out of the server that ended a statement or a session, None for others."""
    if exc.pgcode in _TIMEOUT_CODES:
        return _TIMEOUT_CODES[exc.pgcode]
    said = str(exc)
    return next((name for words, name in _TIMEOUT_MESSAGES.items() if words in said), None)


def quote_ident(name: str) -> str:
    """Return *name* as an SQL identifier, always quoted."""
    return '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """Return *text* as an SQL literal; for commands that take no parameters."""
    if "\\" in text:
        return " E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    return "'" + text.replace("'", "''") + "'"


def fetch_all(cursor: Any, sql: str, params: Any = None) -> list[tuple[Any, ...]]:
    """Run *sql* and return all rows."""
    cursor.execute(sql, params)
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def fetch_value(cursor: Any, sql: str, params: Any = None) -> Any:
    """Run *sql* and return the first column of the first row, None where there is no row."""
    cursor.execute(sql, params)
    row = cursor.fetchone()
    return row[0] if row else None


def become_superuser(cursor: Any) -> str | None:
    """Act as a superuser from now on where the session's role may; return that role, else None."""
    role = superuser_role(cursor)
    if role:
        cursor.execute(f"SET ROLE {quote_ident(role)}")
    return role


def superuser_role(cursor: Any) -> str | None:
    """Return the role to SET ROLE to for what only a superuser may do, None where there is none.

    It is the session's own role where that is a superuser.
    """
    role: str | None = fetch_value(
        cursor,
        """SELECT rolname FROM pg_roles
            WHERE rolsuper AND (rolname = session_user
                                OR pg_has_role(session_user, oid, 'MEMBER'))
            ORDER BY rolname <> session_user, rolname LIMIT 1""",
    )
    return role
