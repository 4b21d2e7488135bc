# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kinds of probes: what each takes, shares and needs, and where its code is.

A probe is a function ``ask(params, context, deadline)`` that returns an answer as plain data; the
checklist's expectations judge it. It raises Failed where the target itself refuses, Overdue where
no answer came in time, and Unanswerable where the question could not be put.

Each kind has a loader of its own, and each loader an import statement: AnsiballZ ships only the
files whose import it sees in the text, so a name built at run time would be missing on the host.
A probe and its libraries are imported when a check asks for its kind, since a host needs only the
libraries of the checks that run on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Probe = Callable[..., Any]


class Failed(Exception):
    """The target is not as expected; the text says how it is."""


class Overdue(Failed):
    """No answer came in time; that may be the target's fault, or that of a busy host."""


class Unanswerable(Exception):
    """The question could not be put, so nothing is known about the target."""


class NotGiven(Unanswerable):
    """The inventory names no such part, so there is nothing to ask."""


@dataclass(frozen=True)
class Deadline:
    """The moment when a probe's time is over."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline that many seconds from now."""
        return cls(time.monotonic() + seconds)

    def left(self) -> float:
        """Return the seconds that are left, at least a moment: libraries take 0 for endless."""
        return max(self.at - time.monotonic(), 0.01)


def _sql() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import sql

    return sql.ask


def _http() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import http

    return http.ask


def _redis() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import redis

    return redis.ask


def _container() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import container

    return container.ask


def _dagster() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import dagster

    return dagster.ask


def _grafana() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import grafana

    return grafana.ask


def _file() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import file

    return file.ask


def _command() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import command

    return command.ask


def _backup() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import evidence

    return evidence.backup


def _drill() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import evidence

    return evidence.drill


def _ledger() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import evidence

    return evidence.chain


def _anchors() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import evidence

    return evidence.anchors


def _deficiencies() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import evidence

    return evidence.open_deficiencies


def _disk() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import disk

    return disk.ask


def _integrity() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import integrity

    return integrity.ask


def _backup_set() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import backup_set

    return backup_set.ask


def _journal() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import journal

    return journal.ask


def _book() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import book

    return book.ask


def _offsite() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import offsite

    return offsite.ask


def _pitr() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import pitr

    return pitr.ask


def _smoke() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import smoke

    return smoke.ask


def _token() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import http

    return http.token


def _routes() -> Probe:
    from ansible.module_utils.pmsops.checks.probes import http

    return http.routes


@dataclass(frozen=True)
class Kind:
    """A kind of probe. *libraries* are imported once, before the workers fork."""

    load: Callable[[], Probe] | None
    params: tuple[str, ...]
    one_of: tuple[tuple[str, ...], ...] = ()
    judges_itself: bool = False
    libraries: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {
    "sql": Kind(_sql, ("query", "args", "database"), one_of=(("query",),), libraries=("psycopg2",)),
    "http": Kind(
        _http,
        (
            *("url", "base", "method", "json", "headers", "follow"),
            *("auth", "secret", "subject", "role"),
        ),
        one_of=(("url",),),
        libraries=("requests",),
    ),
    "redis": Kind(_redis, ("command", "auth"), one_of=(("command",),), libraries=("redis",)),
    "container": Kind(
        _container,
        ("name", "service", "part", "project", "env", "tells"),
        one_of=(("name", "service", "part"),),
        libraries=("docker",),
    ),
    "dagster": Kind(
        _dagster,
        ("about", "query", "variables", "job", "minutes"),
        one_of=(("about", "query"),),
        libraries=("requests",),
    ),
    "grafana": Kind(
        _grafana, ("about", "dashboard"), one_of=(("about", "dashboard"),), libraries=("requests",)
    ),
    "file": Kind(_file, ("path", "glob", "read"), one_of=(("path", "glob"),)),
    "command": Kind(_command, ("argv", "cwd", "env", "parse"), one_of=(("argv",),)),
    "backup": Kind(_backup, ("root",)),
    "drill": Kind(_drill, ("any_set",), libraries=("psycopg2",)),
    "disk": Kind(_disk, ("path", "nearest", "warm_of"), one_of=(("path",),)),
    "whole": Kind(_integrity, ("about", "tables", "asked"), one_of=(("about",),)),
    "sets": Kind(_backup_set, ("about", "keys"), one_of=(("about",),)),
    "journal": Kind(_journal, (), libraries=("psycopg2",)),
    "book": Kind(_book, ("persists",)),
    "ledger": Kind(_ledger, ("head", "keys")),
    "pitr": Kind(_pitr, ("about",), one_of=(("about",),)),
    "offsite": Kind(_offsite, ("about",), one_of=(("about",),)),
    "anchors": Kind(_anchors, ()),
    "deficiencies": Kind(_deficiencies, ()),
    "attest": Kind(None, (), judges_itself=True),
    "smoke": Kind(_smoke, ("step",), one_of=(("step",),), judges_itself=True),
}
# What several checks wait for, fetched once: ``fetch(context, deadline)``.
SHARED: dict[str, Kind] = {
    "token": Kind(_token, (), libraries=("requests",)),
    "routes": Kind(_routes, (), libraries=("requests",)),
}


def function(kind: str) -> Probe:
    """Return the code of a probe, imported when it is first needed.

    :raises KeyError: for a kind without code.
    """
    return _code(KINDS, kind)


def fetch(name: str) -> Probe:
    """Return the code that fetches something shared.

    :raises KeyError: for a name that is not in SHARED.
    """
    return _code(SHARED, name)


def _code(table: dict[str, Kind], name: str) -> Probe:
    load = table[name].load
    if load is None:
        raise KeyError(name)
    return load()


def shares(kind: str, params: dict[str, Any]) -> tuple[str, ...]:
    """Return the names in SHARED that a probe with these parameters waits for."""
    if kind != "http":
        return ()
    token = ("token",) if params.get("auth") == "token" else ()
    return (*token, "routes") if isinstance(params.get("url"), list) else token
