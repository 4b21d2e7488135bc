# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kinds of probes: what each takes, and where its code is.

A probe is a function ``ask(params, context, deadline)`` that returns an answer as plain data; the
checklist's expectations judge it. It raises Failed where the target itself says no, and
Unanswerable where the question could not be put.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Failed(Exception):
    """The target is not as it has to be; the text says how it is."""


class Unanswerable(Exception):
    """The question could not be put, so nothing is known about the target."""


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


@dataclass(frozen=True)
class Kind:
    """A kind of probe, for the checklist's schema and for the engine."""

    params: tuple[str, ...]
    one_of: tuple[tuple[str, ...], ...] = ()
    judges_itself: bool = False


KINDS: dict[str, Kind] = {
    "sql": Kind(("query", "args", "database"), one_of=(("query",),)),
    "http": Kind(
        (
            *("url", "base", "method", "json", "headers", "follow"),
            *("auth", "secret", "subject", "role"),
        ),
        one_of=(("url",),),
    ),
    "redis": Kind(("command", "auth"), one_of=(("command",),)),
    "container": Kind(("name", "service", "project", "env"), one_of=(("name", "service"),)),
    "dagster": Kind(
        ("about", "query", "variables", "job", "minutes"), one_of=(("about", "query"),)
    ),
    "grafana": Kind(("about", "dashboard"), one_of=(("about", "dashboard"),)),
    "file": Kind(("path", "glob", "read"), one_of=(("path", "glob"),)),
    "command": Kind(("argv", "cwd", "env", "parse"), one_of=(("argv",),)),
    "backup": Kind(("root",)),
    "drill": Kind(("any_set",)),
    "disk": Kind(("path", "nearest"), one_of=(("path",),)),
    "whole": Kind(("about", "tables", "asked"), one_of=(("about",),)),
    "sets": Kind(("about", "keys"), one_of=(("about",),)),
    "journal": Kind(()),
    "book": Kind(("persists",)),
    "ledger": Kind(("head",)),
    "attest": Kind((), judges_itself=True),
    "smoke": Kind(("step",), one_of=(("step",),), judges_itself=True),
}


def function(kind: str) -> Callable[..., Any]:
    """Return the code of a probe, imported when it is first needed."""
    if kind == "sql":
        from ansible.module_utils.pmsops.checks.probes import sql as found
    elif kind == "http":
        from ansible.module_utils.pmsops.checks.probes import http as found
    elif kind == "redis":
        from ansible.module_utils.pmsops.checks.probes import redis as found
    elif kind == "container":
        from ansible.module_utils.pmsops.checks.probes import container as found
    elif kind == "dagster":
        from ansible.module_utils.pmsops.checks.probes import dagster as found
    elif kind == "grafana":
        from ansible.module_utils.pmsops.checks.probes import grafana as found
    elif kind == "file":
        from ansible.module_utils.pmsops.checks.probes import file as found
    elif kind == "command":
        from ansible.module_utils.pmsops.checks.probes import command as found
    elif kind in ("backup", "drill", "ledger"):
        from ansible.module_utils.pmsops.checks.probes import evidence as found

        return {"backup": found.backup, "drill": found.drill, "ledger": found.chain}[kind]
    elif kind == "disk":
        from ansible.module_utils.pmsops.checks.probes import disk as found
    elif kind == "whole":
        from ansible.module_utils.pmsops.checks.probes import integrity as found
    elif kind == "sets":
        from ansible.module_utils.pmsops.checks.probes import backup_set as found
    elif kind == "journal":
        from ansible.module_utils.pmsops.checks.probes import journal as found
    elif kind == "book":
        from ansible.module_utils.pmsops.checks.probes import book as found
    elif kind == "smoke":
        from ansible.module_utils.pmsops.checks.probes import smoke as found
    else:
        raise KeyError(kind)
    return found.ask
