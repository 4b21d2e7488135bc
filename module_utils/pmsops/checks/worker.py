# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The worker process of the runner: it asks one probe after the other and judges the answers."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterable, Set
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.checks import expectations, probes, wrong_expectation
from ansible.module_utils.pmsops.checks.probes import (
    Deadline,
    Failed,
    NotGiven,
    Overdue,
    Unanswerable,
)
from ansible.module_utils.pmsops.checks.probes.context import Context, Settings, one_line
from ansible.module_utils.pmsops.common.exchange_calendar import Clock

# What a run of something shared is called: no check's id has this prefix and a name of SHARED.
SHARED_PREFIX = "shared."
MAX_FINDING_CHARACTERS = 600
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class ProbeRun:
    """One question: a check of the list, or something that several checks share."""

    id: str
    probe: str
    params: dict[str, Any] = field(default_factory=dict)
    expect: tuple[dict[str, Any], ...] = ()
    needs: tuple[str, ...] = ()
    timeout: float = 5.0
    retries: int = 0
    retry_delay: float = 0.5
    # What no answer in time means, and whether the load of the host changes the answer
    silence: str = "unknown"
    load_sensitive: bool = False
    # Set where the answer is judged once more, with a wrong expectation
    control_seed: int | None = None

    @property
    def acts(self) -> bool:
        """Tell whether asking starts something, so that it may be asked once only."""
        return self.probe == "dagster" and self.params.get("about") == "trigger"

    @cached_property
    def shares(self) -> tuple[str, ...]:
        """Return the ids of the shared runs that this one waits for."""
        return tuple(SHARED_PREFIX + name for name in probes.shares(self.probe, self.params))


@dataclass
class ProbeResult:
    """What a probe found. *shared* is the value that other probes wait for."""

    status: str
    finding: str
    seconds: float = 0.0
    attempts: int = 1
    observed: list[dict[str, Any]] = field(default_factory=list)
    needs: list[str] = field(default_factory=list)
    shared: Any = None
    # Whether no answer came in time, and the cause that it shares with other results
    overdue: bool = False
    cause: str = ""
    # Whether the inventory names no such part
    absent: bool = False
    # The result with a wrong expectation, where one was asked for
    control: ProbeResult | None = None

    @property
    def flaky(self) -> bool:
        """Tell whether it took more than one attempt to pass."""
        return self.status == "pass" and self.attempts > 1


@dataclass
class Worker:
    """A worker process as the runner sees it, with the run that it is busy with."""

    pipe: Connection
    process: BaseProcess
    run: ProbeRun | None = None
    started: float = 0.0
    used_for: str = ""

    @property
    def pid(self) -> int:
        """Return the id of the process, which is the id of its group too."""
        return self.process.pid or 0

    def end(self) -> None:
        """End the process with everything in its group."""
        for kill in (os.killpg, os.kill):
            with suppress(OSError):
                kill(self.pid, signal.SIGKILL)
        self.process.join(5)
        self.pipe.close()


def work(pipe: Connection, settings: Settings, inherited: list[Connection], parent: int) -> None:
    """Answer questions until the pipe closes: the whole life of a worker."""
    os.setsid()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_DFL)
    for other in inherited:
        other.close()
    # A probe's library must not write into the module's own output.
    void = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(void, descriptor)
    serve(pipe, Context(settings), Clock(settings.now))
    os._exit(0)


def serve(pipe: Connection, context: Context, clock: Clock) -> None:
    """Answer questions until the pipe closes."""
    with suppress(EOFError, OSError):
        while True:
            probe, params, expect, timeout, context.shared, seed = pipe.recv()
            deadline = Deadline.after(timeout)
            pipe.send(answer(probe, params, expect, deadline, context, clock, seed))


def answer(
    probe: str,
    params: dict[str, Any],
    expect: list[dict[str, Any]],
    deadline: Deadline,
    context: Context,
    clock: Clock,
    control_seed: int | None = None,
) -> ProbeResult:
    """Ask one probe and judge its answer by the expectations.

    With a *control_seed*, an answer that passes is judged by a wrong expectation too.
    """
    try:
        if probe.startswith(SHARED_PREFIX):
            fetch = probes.fetch(probe.removeprefix(SHARED_PREFIX))
            return ProbeResult("pass", "", shared=fetch(context, deadline))
        found = probes.function(probe)(params, context, deadline)
    except Overdue as exc:
        return ProbeResult("unknown", one_line(exc), overdue=True)
    except Failed as exc:
        return ProbeResult("fail", one_line(exc))
    except Unanswerable as exc:
        return ProbeResult("unknown", one_line(exc), absent=isinstance(exc, NotGiven))
    except ImportError as exc:
        return ProbeResult("unknown", f"this host's Python lacks {exc.name}")
    except Exception as exc:  # noqa: BLE001 -- whatever a probe did not foresee is no pass
        return ProbeResult("unknown", f"{type(exc).__name__}: {one_line(exc)}")
    unasked = probe == "http" and all(entry.get("path") != "status" for entry in expect)
    if unasked and not 200 <= found["status"] < 300:
        return ProbeResult("fail", f"HTTP status is {found['status']}")
    result = judge(found, expect, clock)
    if control_seed is not None and expect and result.status == "pass":
        result.control = judge(found, wrong_expectation.wrong(expect, control_seed), clock)
    return result


def judge(found: Any, expect: list[dict[str, Any]], clock: Clock) -> ProbeResult:
    """Return the result of an answer and its expectations."""
    try:
        results = [expectations.judge(found, expectation, clock) for expectation in expect]
    except Exception as exc:  # noqa: BLE001 -- a value nobody foresaw is no pass
        return ProbeResult("unknown", f"{type(exc).__name__}: {one_line(exc)}")
    observed = [
        {"label": result.label, "value": result.value, "met": result.met} for result in results
    ]
    if problems := [result.problem for result in results if not result.met]:
        finding = "; ".join(problems)[:MAX_FINDING_CHARACTERS]
        return ProbeResult("fail", finding, observed=observed)
    finding = "; ".join(f"{result.label} is {result.value}" for result in results)
    if not finding and isinstance(found, dict):
        finding = str(found.get("finding") or "")
    return ProbeResult("pass", finding[:MAX_FINDING_CHARACTERS], observed=observed)


def import_libraries(names: Iterable[str], unused: Set[str] = frozenset()) -> None:
    """Import, before the workers fork, the code and the libraries of these probes.

    The *unused* libraries are left to the worker whose probe comes as far as one of them.
    """
    for name in set(names):
        shared = name.startswith(SHARED_PREFIX)
        kind = probes.SHARED[name.removeprefix(SHARED_PREFIX)] if shared else probes.KINDS[name]
        with suppress(ImportError):  # the worker says which one is missing
            if kind.load is not None:
                kind.load()
            for library in kind.libraries:
                if library not in unused:
                    import_module(library)


def children() -> set[int]:
    """Return the ids of this process's children."""
    found: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found |= {int(pid) for pid in path.read_text().split()}
    return found


def adopt_orphans(*, on: bool) -> None:
    """Have orphans of the workers become children of this process, where the system can do that."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)
