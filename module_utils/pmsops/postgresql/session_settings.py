# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The settings of the toolkit's own sessions: time-outs, event triggers, forms of values.

Servers, databases and roles may set time-outs, which are meant for the application. Sessions of
the toolkit run without any, since an ended dump or snapshot is no proof; a limit on a single
question is set by ``limit_statements``, one on a lock by ``limit_lock_waits``, and nowhere else.
"""

from __future__ import annotations

from typing import Any

# Every setting with which PostgreSQL ends a statement, a transaction or a session by the clock.
TIMEOUTS = (
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",  # since PostgreSQL 14
    "transaction_timeout",  # since PostgreSQL 17
)
_ALL_SINCE = 170000
# Known to every server that the toolkit works with. A server refuses a connection that begins
# with a setting that it does not know, so the other one is set when the session is there.
TIMEOUTS_AT_START = TIMEOUTS[:4]
# Dates, floats and intervals print in one fixed form, since fingerprints are taken of these forms.
_FORMS = {
    "row_security": "off",
    "datestyle": "ISO,YMD",
    "timezone": "UTC",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
}
AT_START = _FORMS | dict.fromkeys(TIMEOUTS_AT_START, "0")
# The setting of PostgreSQL 17 that turns all event triggers off; only a superuser may set it.
EVENT_TRIGGERS = "event_triggers"
_NAMES = "SELECT name FROM pg_settings WHERE name = ANY(%s)"
_SILENCE = "SELECT set_config(name, 'off', %s) FROM pg_settings WHERE name = 'event_triggers'"


def options(settings: dict[str, str]) -> str:
    """Return *settings* as libpq takes them for the start of a session."""
    return " ".join(f"-c {name}={_escaped(value)}" for name, value in settings.items())


def begin(connection: Any, *, read_only: bool, autocommit: bool) -> None:
    """Turn off the time-outs that the server of a new psycopg2 connection knows; set its mode.

    The version tells which: to read pg_settings costs a third of a new session.
    """
    known = TIMEOUTS if connection.server_version >= _ALL_SINCE else TIMEOUTS_AT_START
    settings = [f"SET {name} = 0" for name in known]
    if autocommit:  # psycopg2 would send this by itself
        settings.append(f"SET default_transaction_read_only = {'on' if read_only else 'off'}")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("; ".join(settings))
    if not autocommit:
        connection.set_session(readonly=read_only, autocommit=False)


def known_timeouts(cursor: Any) -> dict[str, str]:
    """Return the settings that turn off all time-outs that this server knows."""
    cursor.execute(_NAMES, (list(TIMEOUTS),))
    return {name: "0" for (name,) in cursor.fetchall()}


def limit_statements(cursor: Any, seconds: float, *, transaction: bool = True) -> None:
    """Cancel each statement after *seconds*, in this transaction, else for the whole session."""
    scope = "LOCAL" if transaction else "SESSION"
    cursor.execute(f"SET {scope} statement_timeout = {max(int(seconds * 1000), 1)}")


def limit_lock_waits(cursor: Any, seconds: float) -> None:
    """Give up a lock of this session after *seconds*; 0 waits for good. Takes no snapshot."""
    cursor.execute(f"SET SESSION lock_timeout = {int(seconds * 1000)}")


def silence_triggers(cursor: Any, *, transaction: bool = True) -> None:
    """Keep event triggers and row triggers out of what a superuser's session does from now on.

    Before PostgreSQL 17, event triggers that are enabled ALWAYS run in spite of it.
    """
    scope = "LOCAL" if transaction else "SESSION"
    cursor.execute(f"SET {scope} session_replication_role = replica")
    cursor.execute(_SILENCE, (transaction,))


def _escaped(value: str) -> str:
    """Return a value as the options take it: an unescaped blank would end it."""
    return "".join("\\" + each if each == "\\" or each.isspace() else each for each in value)
