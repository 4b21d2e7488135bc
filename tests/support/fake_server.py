# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A database server in memory, as far as restores and swaps talk to one, and runs that die on it.

It knows databases by name: OID, comment, whether they take connections, whether they are read-only,
and TimescaleDB's scheduler and held jobs. Statements change these as PostgreSQL does, in
transactions; a statement that it does not know is an error. What it cannot show is whether
PostgreSQL accepts the statements: tests/integration does that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import psycopg2.errors
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.services import manager
from ansible.module_utils.pmsops.services.manager import Services


class Killed(BaseException):
    """Ends a run where it stands, as SIGKILL does."""


@dataclass
class Killer:
    """Counts the points that a run passes, and kills it at one of them.

    A killed run is dead: whatever its ``finally`` and ``except`` blocks try is refused too.
    """

    at: int | None = None
    points: list[str] = field(default_factory=list)
    dead: bool = False

    def passed(self, name: str) -> None:
        """Note a point; raise Killed there, and at all later ones."""
        if self.dead:
            raise Killed
        self.points.append(name)
        if len(self.points) - 1 == self.at:
            self.dead = True
            raise Killed


@dataclass
class OneDatabase:
    """A database of the server."""

    oid: int
    comment: str | None = None
    open: bool = True
    read_only: str | None = None
    event_triggers: str | None = None
    scheduler: bool = True
    held: list[int] = field(default_factory=list)
    scheduled: list[int] = field(default_factory=list)
    # The writes that were acknowledged here.
    rows: list[int] = field(default_factory=list)

    def copy(self) -> OneDatabase:
        """Return one like this, in a fifth of the time of dataclasses.replace."""
        made = OneDatabase.__new__(OneDatabase)
        made.__dict__.update(self.__dict__)
        return made


def name_in(text: str) -> str:
    """Return the name that a quoted identifier stands for."""
    return text.strip('"').replace('""', '"')


STATEMENT = re.compile(r"""(?:[^;'"]|'(?:[^']|'')*'|"(?:[^"]|"")*")+""")
IDENT = r'("(?:[^"]|"")+")'
# Both get the server and the name of the database; queries get parameters and return rows.
Answer = Callable[["Server", str, Any], list[tuple[Any, ...]]]
Change = Callable[["Server", str, re.Match[str]], None]


class Server:
    """The databases, the statements that were run, and who may be killed by them."""

    def __init__(self, *names: str, killer: Killer | None = None) -> None:
        self.databases = {name: OneDatabase(100 + number) for number, name in enumerate(names)}
        self.killer = killer or Killer()
        self.statements: list[tuple[str, str]] = []
        self.locked_elsewhere = False
        # How many renames are refused since somebody is connected.
        self.sessions = 0
        # Login roles without a password.
        self.without_password: list[str] = []
        # How often sessions of a dead run are still found.
        self.dying = 0
        # Jobs that TimescaleDB's scheduler has run in a staging database.
        self.jobs_run_early: list[int] = []
        # Logical slots: name, plugin, OID of the database; prepared transactions: gid, database.
        self.slots: dict[str, tuple[str, int]] = {}
        self.prepared: list[tuple[str, str]] = []
        # The connection that holds the tables of a database locked, by the database's OID.
        self.locks: dict[int, object] = {}
        self.acknowledged = 0
        # Whether the server has no room for the locks.
        self.lock_refused = False
        # Databases, by OID, in which a client asks for transactions that write, whatever is set.
        self.bypassing: set[int] = set()
        # Called with each statement before it runs; may raise what a server would.
        self.before: Callable[[str], None] = lambda statement: None

    def add(self, name: str, oid: int, mark: dict[str, Any] | None = None, **facts: Any) -> None:
        """Add a database with a mark of ours."""
        comment = None if mark is None else "pms-ops: " + json.dumps(mark, sort_keys=True)
        self.databases[name] = OneDatabase(oid, comment, **facts)

    def mark(self, name: str) -> dict[str, Any]:
        """Return the mark of a database."""
        comment = self.databases[name].comment or ""
        return json.loads(comment.removeprefix("pms-ops: ")) if comment[:7] == "pms-ops" else {}

    def oid(self, name: str) -> int:
        """Return the OID of a database."""
        return self.databases[name].oid

    def database(self, name: str) -> Database:
        """Return a database of this server as the toolkit sees it."""
        return FakeDatabase("fake", 5432, name, "pms_ops", access="host", server=self)

    def write(self, name: str) -> bool:
        """Write as a client would that connects anew; tell whether it was acknowledged."""
        each = self.databases.get(name)
        if each is None or not each.open or each.oid in self.locks:
            return False
        if each.read_only == "on" and each.oid not in self.bypassing:
            return False
        self.acknowledged += 1
        each.rows.append(self.acknowledged)
        return True

    def run(self, current: str, sql: str, params: Any) -> list[tuple[Any, ...]]:
        """Run one statement in database *current*; return its rows."""
        sql = " ".join(sql.split())
        self.statements.append((current, sql))
        self.before(sql)
        answer = answer_to(sql)
        if isinstance(answer, tuple):
            work, match = answer
            self.killer.passed(f"before {sql}")
            work(self, current, match)
            self.killer.passed(f"after {sql}")
            return []
        return answer(self, current, params)


@cache  # some hundred statements come back some hundred thousand times
def answer_to(sql: str) -> Answer | tuple[Change, re.Match[str]]:
    """Return what answers a query; of a change, what makes it and the match of its pattern."""
    for pattern, work in CHANGES:
        if match := pattern.fullmatch(sql):
            return work, match
    for part, answer in QUERIES:
        if part in sql:
            return answer
    raise AssertionError(f"the fake server does not know: {sql}")


def _rename(server: Server, _current: str, match: re.Match[str]) -> None:
    old, new = name_in(match[1]), name_in(match[2])
    found = server.databases[old]
    if server.sessions:
        server.sessions -= 1
        raise _in_use(old)
    if new in server.databases:
        raise psycopg2.errors.DuplicateDatabase(f'database "{new}" already exists')
    del server.databases[old]
    server.databases[new] = replace(found, scheduler=False)


def _in_use(name: str) -> psycopg2.Error:
    class InUse(psycopg2.OperationalError):
        pgcode = "55006"

    return InUse(f'database "{name}" is being accessed by other users')


def _comment(server: Server, _current: str, match: re.Match[str]) -> None:
    text = match[2].strip()
    unquoted = None
    if text != "NULL":
        unquoted = text.removeprefix("E").strip("'").replace("''", "'").replace("\\\\", "\\")
    server.databases[name_in(match[1])].comment = unquoted


def _allow(server: Server, _current: str, match: re.Match[str]) -> None:
    server.databases[name_in(match[1])].open = match[2] == "true"


def _read_only(server: Server, _current: str, match: re.Match[str]) -> None:
    server.databases[name_in(match[1])].read_only = match[2].strip("'")


def _reset(server: Server, _current: str, match: re.Match[str]) -> None:
    server.databases[name_in(match[1])].read_only = None


def _event_triggers(server: Server, _current: str, match: re.Match[str]) -> None:
    server.databases[name_in(match[1])].event_triggers = match[2]


def _reset_event_triggers(server: Server, _current: str, match: re.Match[str]) -> None:
    server.databases[name_in(match[1])].event_triggers = None


def _drop(server: Server, _current: str, match: re.Match[str]) -> None:
    server.databases.pop(name_in(match[1]), None)


def _create(server: Server, _current: str, match: re.Match[str]) -> None:
    highest = max((each.oid for each in server.databases.values()), default=0)
    server.databases[name_in(match[1])] = OneDatabase(highest + 1, scheduler=False)


def _release(server: Server, current: str, _match: re.Match[str]) -> None:
    found = server.databases[current]
    found.scheduled, found.held = found.held, []


def _nothing(_server: Server, _current: str, _match: re.Match[str]) -> None:
    return None


CHANGES: tuple[tuple[re.Pattern[str], Change], ...] = (
    (re.compile(rf"ALTER DATABASE {IDENT} RENAME TO {IDENT}"), _rename),
    (re.compile(rf"COMMENT ON DATABASE {IDENT} IS (.*)"), _comment),
    (re.compile(rf"ALTER DATABASE {IDENT} ALLOW_CONNECTIONS (true|false)"), _allow),
    (re.compile(rf"ALTER DATABASE {IDENT} SET default_transaction_read_only TO (.*)"), _read_only),
    (re.compile(rf"ALTER DATABASE {IDENT} RESET default_transaction_read_only"), _reset),
    (re.compile(rf"ALTER DATABASE {IDENT} SET event_triggers TO (on|off)"), _event_triggers),
    (re.compile(rf"ALTER DATABASE {IDENT} RESET event_triggers"), _reset_event_triggers),
    (re.compile(rf"DROP DATABASE IF EXISTS {IDENT} WITH \(FORCE\)"), _drop),
    (re.compile(rf"CREATE DATABASE {IDENT}.*"), _create),
    (re.compile(r"COMMENT ON TABLE \S+ IS NULL"), _release),
    (re.compile(r"UPDATE bgw_job SET scheduled = true .*"), _nothing),
)


def _scheduler(running: bool) -> Answer:
    def work(server: Server, current: str, _params: Any) -> list[tuple[Any, ...]]:
        server.killer.passed(f"workers of {current}: {running}")
        server.databases[current].scheduler = running
        if running and server.mark(current).get("is") == "copy":
            server.jobs_run_early += server.databases[current].scheduled
        return [(True,)]

    return work


def _listed(server: Server, _current: str, _params: Any) -> list[tuple[Any, ...]]:
    return [
        (name, each.oid, each.open, each.comment) for name, each in sorted(server.databases.items())
    ]


def _exists(server: Server, _current: str, params: Any) -> list[tuple[Any, ...]]:
    return [(1,)] if params[0] in server.databases else []


def _closed(server: Server, _current: str, params: Any) -> list[tuple[Any, ...]]:
    known = server.databases
    return [(name,) for name in params[0] if name in known and not known[name].open]


def _setting(server: Server, _current: str, params: Any) -> list[tuple[Any, ...]]:
    oid, name = params
    attribute = {"default_transaction_read_only": "read_only"}.get(name, name)
    found = [getattr(each, attribute) for each in server.databases.values() if each.oid == oid]
    return [(value,) for value in found if value is not None]


def _slots(server: Server, _current: str, params: Any) -> list[tuple[Any, ...]]:
    oid = server.databases[params[0]].oid if params[0] in server.databases else None
    return [
        (name, plugin, False, False, None)
        for name, (plugin, where) in sorted(server.slots.items())
        if where == oid
    ]


def _place_of_slot(server: Server, _current: str, params: Any) -> list[tuple[Any, ...]]:
    found = server.slots.get(params[0])
    return [(name,) for name, each in server.databases.items() if found and each.oid == found[1]]


def _drop_slot(server: Server, _current: str, params: Any) -> list[tuple[Any, ...]]:
    server.killer.passed(f"before drop of slot {params[0]}")
    server.slots.pop(params[0], None)
    server.killer.passed(f"after drop of slot {params[0]}")
    return []


def _create_slot(server: Server, current: str, params: Any) -> list[tuple[Any, ...]]:
    server.killer.passed(f"before create of slot {params[0]}")
    assert params[0] not in server.slots
    server.slots[params[0]] = (params[1], server.databases[current].oid)
    server.killer.passed(f"after create of slot {params[0]}")
    return []


def _prepared(server: Server, _current: str, params: Any) -> list[tuple[Any, ...]]:
    return [
        (gid, "macro_user", "2026-11-23T06:00:00Z")
        for gid, name in server.prepared
        if name == params[0]
    ]


def _dying(server: Server, _current: str, _params: Any) -> list[tuple[Any, ...]]:
    server.dying -= 1
    return [(True,)] if server.dying >= 0 else []


def _hold(server: Server, current: str, _params: Any) -> list[tuple[Any, ...]]:
    server.killer.passed(f"before hold in {current}")
    found = server.databases[current]
    jobs, found.scheduled = found.scheduled, []
    return [(job,) for job in jobs]


def _held(server: Server, current: str, params: Any) -> list[tuple[Any, ...]]:
    server.databases[current].held = json.loads(params[0])["held"]
    server.killer.passed(f"after hold in {current}")
    return []


def _written(server: Server, current: str, params: Any) -> list[tuple[Any, ...]]:
    (everywhere,) = params
    found = everywhere and server.databases[current].rows
    return [("public.t", "public.t", "id", 0)] if found else []


def _others(server: Server, _current: str, _params: Any) -> list[tuple[Any, ...]]:
    return [(True,)] * len(server.bypassing)


def _count_others(server: Server, _current: str, _params: Any) -> list[tuple[Any, ...]]:
    return [(len(server.bypassing),)]


# The first part that a query holds decides.
QUERIES: tuple[tuple[str, Answer], ...] = (
    ("FROM pg_roles WHERE rolsuper", lambda server, current, params: [("pms_restore",)]),
    ("pg_authid", lambda server, current, params: [(each,) for each in server.without_password]),
    ("pg_snapshot_xmax", lambda server, current, params: [(1000,)]),
    ("SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND", _count_others),
    ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND", _others),
    ("l.relation::regclass", lambda server, current, params: [("t (writer)",)]),
    ("WITH RECURSIVE up AS", _written),
    ("WHERE n_tup_del > 0", lambda server, current, params: []),
    ("enable_transparent_decompression", lambda server, current, params: []),
    ("count(DISTINCT loid) FROM pg_largeobject", lambda server, now, params: [(0,)]),
    ("count(*) FROM ONLY", lambda server, now, params: [(len(server.databases[now].rows),)]),
    ("c.relkind IN ('r', 'p')", lambda server, current, params: [("public.t",)]),
    ("SET LOCAL statement_timeout", lambda server, current, params: []),
    ("SET ROLE", lambda server, current, params: []),
    ("SET LOCAL session_replication_role", lambda server, current, params: []),
    ("SELECT set_config(name, 'off', %s)", lambda server, current, params: []),
    ("SELECT 1 FROM pg_settings WHERE name = %s", lambda server, current, params: [(1,)]),
    (
        "pg_try_advisory_lock",
        lambda server, current, params: [(not server.locked_elsewhere,)],
    ),
    ("shobj_description(oid, 'pg_database')", _listed),
    ("WHERE datconnlimit = -2", lambda server, current, params: []),
    ("FROM pg_control_system()", lambda server, current, params: [("77", "17.6")]),
    ("SELECT 1 FROM pg_database WHERE datname = %s", _exists),
    ("AND NOT datallowconn", _closed),
    ("FROM pg_db_role_setting", _setting),
    ("FROM pg_replication_slots s LEFT JOIN", _slots),
    ("SELECT database FROM pg_replication_slots", _place_of_slot),
    ("SELECT pg_drop_replication_slot(slot_name)", _drop_slot),
    ("SELECT pg_create_logical_replication_slot", _create_slot),
    ("pronargs >= 5 FROM pg_proc", lambda server, current, params: [(True,)]),
    ("SET SESSION statement_timeout", lambda server, current, params: []),
    ("FROM pg_prepared_xacts", _prepared),
    ("FROM pg_subscription", lambda server, current, params: []),
    ("application_name = 'pms-ops' AND pid <>", _dying),
    ("SELECT pg_stat_clear_snapshot()", lambda server, current, params: []),
    ("SELECT pg_terminate_backend(pid)", lambda server, current, params: []),
    (
        "backend_type LIKE %s",
        lambda server, current, params: [(int(server.databases[current].scheduler),)],
    ),
    (
        "count(*) FROM pg_stat_activity WHERE datname = ANY",
        lambda server, current, params: [(0,)],
    ),
    ("FROM pg_extension WHERE extname", lambda server, current, params: [(1,)]),
    ("SELECT to_regprocedure", lambda server, current, params: [(True,)]),
    ("start_background_workers()", _scheduler(True)),
    ("stop_background_workers()", _scheduler(False)),
    ("UPDATE bgw_job SET scheduled = false", _hold),
    ("COMMENT ON TABLE bgw_job IS %s", _held),
    ("SELECT system_identifier::text FROM pg_control_system()", lambda *_given: [("7398",)]),
    ("SELECT pg_database_size", lambda server, current, params: [(1000,)]),
    ("c.relname = 'bgw_job'", lambda server, current, params: [("bgw_job",)]),
    (
        "SELECT obj_description",
        lambda server, current, params: [(json.dumps({"held": server.databases[current].held}),)],
    ),
)


@dataclass(frozen=True)
class FakeDatabase(Database):
    """A database whose connections go to a Server in memory."""

    server: Any = field(default=None, repr=False, compare=False)

    def connect(self, **options: Any) -> Any:
        """Open a connection; one that does not exist or takes none is an error."""
        name = options.get("name") or self.name
        if self.server.killer.dead:
            raise Killed
        if name != self.maintenance_name:
            if name not in self.server.databases:
                raise psycopg2.OperationalError(f'database "{name}" does not exist')
            if not self.server.databases[name].open:
                raise psycopg2.OperationalError(f'database "{name}" takes no connections')
        return FakeConnection(self.server, name, options.get("autocommit", False))


class FakeConnection:
    """Commits and rolls back the server's databases; a closed connection rolls back."""

    server_version = 170000

    def __init__(self, server: Server, name: str, autocommit: bool) -> None:
        self.server, self.name, self.autocommit = server, name, autocommit
        self.before: dict[str, OneDatabase] | None = None
        self.rows: list[tuple[Any, ...]] = []

    @staticmethod
    def get_backend_pid() -> int:
        """Return the number of the server's process."""
        return 4711

    def __enter__(self) -> FakeConnection:
        return self

    def __exit__(self, kind: object, *_exc: object) -> None:
        self.commit() if kind is None else self.rollback()

    def begin(self) -> None:
        """Remember what a rollback brings back; a transaction that only locks changes nothing."""
        if self in self.server.locks.values():
            return
        self.before = {name: each.copy() for name, each in self.server.databases.items()}

    def commit(self) -> None:
        """Keep what was changed."""
        self.before = None

    def rollback(self) -> None:
        """Bring back the databases as they were when the transaction began."""
        if self.before is not None:
            rows = {each.oid: each.rows for each in self.server.databases.values()}
            self.server.databases, self.before = self.before, None
            for each in self.server.databases.values():
                each.rows = rows.get(each.oid, each.rows)

    def close(self) -> None:
        """Roll back, and let go the locks."""
        self.rollback()
        self.server.locks = {
            oid: owner for oid, owner in self.server.locks.items() if owner is not self
        }

    def lock(self) -> None:
        """Lock the tables against writes until the connection is closed."""
        if self.server.lock_refused:
            raise psycopg2.errors.OutOfMemory("out of shared memory")
        self.server.locks[self.server.databases[self.name].oid] = self
        self.before = None

    def cursor(self) -> FakeCursor:
        """Return a cursor of this connection."""
        return FakeCursor(self)


class FakeCursor:
    """Runs statements one by one, in transactions as its connection has them."""

    def __init__(self, connection: FakeConnection) -> None:
        self.connection = connection
        self.rows: list[tuple[Any, ...]] = []

    def __enter__(self) -> FakeCursor:
        return self

    def __exit__(self, *_exc: object) -> None:
        return None

    def execute(self, sql: str, params: Any = None) -> None:
        """Run the statements of a message; the parameters are those of the last one."""
        statements = [each.strip() for each in STATEMENT.findall(sql)]
        together = len(statements) > 1 and statements[0] != "BEGIN"
        if together:
            self.connection.begin()
        for each in statements[:-1]:
            self._execute(each, None)
        self._execute(statements[-1], params)
        if together:
            self.connection.commit()

    def _execute(self, sql: str, params: Any) -> None:
        """Run a statement; BEGIN, COMMIT and ROLLBACK are the connection's."""
        connection = self.connection
        if connection.server.killer.dead:
            raise Killed
        if sql == "BEGIN":
            connection.begin()
        elif sql == "COMMIT":
            connection.server.killer.passed("before COMMIT")
            connection.commit()
            connection.server.killer.passed("after COMMIT")
        elif sql == "ROLLBACK":
            connection.rollback()
        elif sql.startswith("LOCK TABLE"):
            connection.server.killer.passed("before lock")
            connection.lock()
            connection.server.killer.passed("after lock")
        elif sql == "SELECT 1":
            self.rows = [(1,)]
        else:
            if not connection.autocommit and connection.before is None:
                connection.begin()
            self.rows = connection.server.run(connection.name, sql, params)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows of the last statement."""
        return self.rows

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the first row of the last statement."""
        return self.rows[0] if self.rows else None


@dataclass(frozen=True)
class FakeServices(Services):
    """Services that are names in a set; starting and stopping are points to die at."""

    up: set[str] = field(default_factory=set)
    killer: Killer = field(default_factory=Killer)
    # Names of services that refuse to start or stop, with the error that they give.
    broken: dict[str, Exception] = field(default_factory=dict)

    def running(self) -> list[str]:
        """Return those that are up."""
        return [name for name in self.names if name in self.up]

    def stop(self, names: list[str]) -> None:
        """Take *names* down."""
        for name in names:
            self.killer.passed(f"before stop {name}")
            self._refuse(f"stop {name}")
            self.up.discard(name)
            self.killer.passed(f"after stop {name}")

    def start(self, names: list[str]) -> None:
        """Bring *names* up."""
        for name in names:
            self.killer.passed(f"before start {name}")
            self._refuse(f"start {name}")
            self.up.add(name)
            self.killer.passed(f"after start {name}")

    def unready(self, names: list[str]) -> dict[str, str]:
        """Return what is down, and what *broken* says of the others."""
        found = {name: manager.DOWN for name in names if name not in self.up}
        slow = {name: manager.UNHEALTHY for name in names if f"health {name}" in self.broken}
        return slow | found

    def _refuse(self, what: str) -> None:
        if what in self.broken:
            raise self.broken[what]
