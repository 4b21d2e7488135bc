# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run many probes at once, each in a worker process that can be ended for certain.

A thread cannot be stopped: not inside a name server that never answers, a TCP connection that
hangs, or a library that waits in C. So probes run in forked workers; when a probe's time is over
its worker's process group is killed, and another worker takes its place. A worker keeps its
database, HTTP, Redis and Docker connections from probe to probe.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.checks import expectations, probes
from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, Unanswerable
from ansible.module_utils.pmsops.checks.probes.context import Context, Settings, one_line
from ansible.module_utils.pmsops.checks.variables import UnsetVariable, Variables

PASSING = frozenset({"pass", "attested"})
# What is left of a probe's time after its own library should have given up.
GRACE_SECONDS = 0.25
# A worker busy for longer than this counts as stuck, and another may start beside it.
STUCK_SECONDS = 0.75
MOST_WORKERS_FACTOR = 5
# A remedy speaks of the wrong answer, and there was none.
OVERDUE = (
    "no answer within {:g} s, so the check gave up. Look first at what the host and this service"
    " are busy with: what the check asks for may be right"
)
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Job:
    """One question: a check of the list, or something that several checks share."""

    id: str
    probe: str
    params: dict[str, Any] = field(default_factory=dict)
    expect: tuple[dict[str, Any], ...] = ()
    needs: tuple[str, ...] = ()
    timeout: float = 5.0
    retries: int = 0
    retry_delay: float = 0.5
    shares: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What became of a job. *shared* is the value that other jobs wait for."""

    status: str
    finding: str
    seconds: float = 0.0
    attempts: int = 1
    observed: list[dict[str, Any]] = field(default_factory=list)
    needs: list[str] = field(default_factory=list)
    shared: Any = None

    @property
    def flaky(self) -> bool:
        """Tell whether it took more than one try to pass."""
        return self.status == "pass" and self.attempts > 1


@dataclass
class _Worker:
    pid: int
    pipe: Connection
    process: Any
    job: Job | None = None
    started: float = 0.0
    used_for: str = ""


class Engine:
    """The scheduler: which job may start, who runs it, and whose time is over."""

    def __init__(
        self,
        settings: Settings,
        variables: Variables,
        *,
        workers: int = 8,
        deadline_seconds: float = 120.0,
        report: Callable[[str, Outcome], None] = lambda name, outcome: None,
    ) -> None:
        self.settings = settings
        self.variables = variables
        self.workers = workers
        self.deadline = time.monotonic() + deadline_seconds
        self.deadline_seconds = deadline_seconds
        self.report = report
        self.outcomes: dict[str, Outcome] = {}
        self.shared: dict[str, Any] = {}
        self._attempts: dict[str, int] = {}
        self._pool: list[_Worker] = []
        self._context = multiprocessing.get_context("fork")
        self._others: set[int] = set()
        self._expected: set[str] = set()

    def run(self, jobs: list[Job], known: dict[str, Outcome] | None = None) -> dict[str, Outcome]:
        """Return the outcome of every job; *known* are outcomes that others may need.

        A job waits for those it needs, and is unknown where one of them does not pass.
        """
        self.outcomes = dict(known or {})
        jobs = [*_shared_jobs(jobs), *jobs]
        waiting = {job.id: job for job in jobs}
        self._expected = set(waiting)
        ready: deque[Job] = deque()
        later: list[tuple[float, Job]] = []
        _import_libraries(jobs)
        self._others = _children()
        _subreaper(on=True)
        try:
            while waiting or ready or later or any(worker.job for worker in self._pool):
                self._release(waiting, ready)
                now = time.monotonic()
                ready.extend(job for at, job in later if at <= now)
                later = [(at, job) for at, job in later if at > now]
                if now >= self.deadline:
                    self._give_up([*waiting.values(), *ready, *(job for _, job in later)])
                    break
                self._start(ready)
                if any(worker.job for worker in self._pool) or later:
                    later += self._collect(later, ready)
        finally:
            self._end()
            _subreaper(on=False)
        return self.outcomes

    def _release(self, waiting: dict[str, Job], ready: deque[Job]) -> None:
        """Move the jobs whose needs are settled: to the ready ones, or to the unknown ones."""
        moved = True
        while moved:
            moved = False
            for job in list(waiting.values()):
                open_needs = {*job.needs, *job.shares} - set(self.outcomes)
                if open_needs & self._expected:
                    continue
                del waiting[job.id]
                moved = True
                if missing := self._missing(job):
                    self._settle(job, missing)
                else:
                    ready.append(job)

    def _missing(self, job: Job) -> Outcome | None:
        """Return why a job cannot even be asked, None where it can."""
        failed = [
            need
            for need in job.needs
            if need not in self.outcomes or self.outcomes[need].status not in PASSING
        ]
        if failed:
            return Outcome("unknown", f"needs {', '.join(failed)}", needs=failed, attempts=0)
        for name in job.shares:
            if self.outcomes[name].status != "pass":
                return Outcome(self.outcomes[name].status, self.outcomes[name].finding, attempts=0)
        return None

    def _settle(self, job: Job, outcome: Outcome) -> None:
        self.outcomes[job.id] = outcome
        if outcome.shared is not None:
            self.shared[job.id] = outcome.shared
        self.report(job.id, outcome)

    def _start(self, ready: deque[Job]) -> None:
        """Hand ready jobs to idle workers, and fork some while there may be more."""
        while ready:
            worker = self._idle(ready[0]) or self._fork()
            if worker is None:
                return
            job = ready.popleft()
            try:
                params = self.variables.fill(job.params)
                expect = [self.variables.fill(expectation) for expectation in job.expect]
            except UnsetVariable as exc:
                self._settle(job, Outcome("unknown", str(exc), attempts=0))
                continue
            except Exception as exc:  # noqa: BLE001 -- a calendar or a library that is not there
                finding = f"{type(exc).__name__}: {one_line(exc)}"
                self._settle(job, Outcome("unknown", finding, attempts=0))
                continue
            shared = {name: self.shared[f"shared.{name}"] for name in self._names(job)}
            worker.job, worker.started, worker.used_for = job, time.monotonic(), job.probe
            try:
                worker.pipe.send((job.probe, params, expect, job.timeout, shared))
            except OSError:
                self._kill(worker)
                ready.appendleft(job)

    @staticmethod
    def _names(job: Job) -> list[str]:
        return [name.removeprefix("shared.") for name in job.shares]

    def _idle(self, job: Job) -> _Worker | None:
        """Return an idle worker, rather one that has the connection open already."""
        idle = [worker for worker in self._pool if worker.job is None]
        return next(
            (worker for worker in idle if worker.used_for == job.probe), idle[0] if idle else None
        )

    def _fork(self) -> _Worker | None:
        """Start a worker unless enough of them are busy, stuck ones not counted."""
        now = time.monotonic()
        busy = [worker for worker in self._pool if now - worker.started < STUCK_SECONDS]
        if len(busy) >= self.workers or len(self._pool) >= self.workers * MOST_WORKERS_FACTOR:
            return None
        ours, theirs = self._context.Pipe()
        inherited = [ours, *(worker.pipe for worker in self._pool)]
        process = self._context.Process(
            target=_work, args=(theirs, self.settings, inherited, os.getpid()), daemon=True
        )
        process.start()
        theirs.close()
        worker = _Worker(pid=process.pid, pipe=ours, process=process)
        self._pool.append(worker)
        return worker

    def _collect(
        self, later: list[tuple[float, Job]], ready: deque[Job]
    ) -> list[tuple[float, Job]]:
        """Wait for the next event; settle what is answered or over; return what to try again."""
        busy = [worker for worker in self._pool if worker.job]
        moments = [self.deadline, *(at for at, _ in later)]
        moments += [worker.started + worker.job.timeout + GRACE_SECONDS for worker in busy]
        if ready:  # a worker that turns out to be stuck makes room for another
            moments += [worker.started + STUCK_SECONDS for worker in busy]
        now = time.monotonic()
        patience = max(min((at for at in moments if at > now), default=now) - now, 0.001)
        answered = wait([worker.pipe for worker in busy], timeout=patience)
        again = []
        for worker in busy:
            job = worker.job
            elapsed = time.monotonic() - worker.started
            if worker.pipe in answered:
                outcome = self._receive(worker)
            elif elapsed > job.timeout + GRACE_SECONDS:
                self._kill(worker)
                outcome = Outcome("fail", OVERDUE.format(job.timeout))
            else:
                continue
            worker.job = None
            outcome.seconds = round(elapsed, 3)
            again += self._settle_or_retry(job, outcome)
        return again

    def _settle_or_retry(self, job: Job, outcome: Outcome) -> list[tuple[float, Job]]:
        outcome.attempts = self._attempts[job.id] = self._attempts.get(job.id, 0) + 1
        if outcome.status != "pass" and outcome.attempts <= job.retries:
            return [(time.monotonic() + job.retry_delay, job)]
        self._settle(job, outcome)
        return []

    def _receive(self, worker: _Worker) -> Outcome:
        try:
            return Outcome(**worker.pipe.recv())
        except (EOFError, OSError):
            self._kill(worker)
            return Outcome("unknown", "the probe's process died without an answer")

    def _give_up(self, jobs: list[Job]) -> None:
        """Settle what is unfinished when the time of the whole is over."""
        running = [worker.job for worker in self._pool if worker.job]
        text = f"the gate's deadline of {self.deadline_seconds:g} s passed first"
        for job in [*running, *jobs]:
            self._settle(job, Outcome("unknown", text, attempts=self._attempts.get(job.id, 0)))

    def _kill(self, worker: _Worker) -> None:
        """End a worker with everything it started in its group, and what escaped from it."""
        for end in (os.killpg, os.kill):
            with suppress(OSError):
                end(worker.pid, signal.SIGKILL)
        worker.process.join(5)
        worker.pipe.close()
        self._pool.remove(worker)
        self._kill_orphans()

    def _end(self) -> None:
        """End every worker: the idle ones by closing their pipes, the others by force."""
        for worker in list(self._pool):
            self._kill(worker)

    def _kill_orphans(self) -> None:
        """End processes that left their worker's group: as our children they are found."""
        ours = {worker.pid for worker in self._pool}
        for _ in range(20):
            orphans = _children() - ours - self._others
            if not orphans:
                return
            for pid in orphans:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)


def _children() -> set[int]:
    found: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found |= {int(pid) for pid in path.read_text().split()}
    return found


def _subreaper(*, on: bool) -> None:
    """Have orphans of our workers become our own children, where the system can do that."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)


def _shared_jobs(jobs: list[Job]) -> list[Job]:
    """Return the jobs that fetch what several checks share."""
    wanted = sorted({name for job in jobs for name in job.shares})
    longest = {name: max(job.timeout for job in jobs if name in job.shares) for name in wanted}
    return [Job(id=name, probe=name, timeout=longest[name]) for name in wanted]


def shares_of(probe: str, params: dict[str, Any]) -> tuple[str, ...]:
    """Return the ids of the shared jobs that a check waits for."""
    found = []
    if probe == "http" and params.get("auth") == "token":
        found.append("shared.token")
    if probe == "http" and isinstance(params.get("url"), list):
        found.append("shared.routes")
    return tuple(found)


def _import_libraries(jobs: list[Job]) -> None:
    """Import once, before the workers fork, what the jobs need."""
    for probe in {job.probe for job in jobs} - {"attest"}:
        with suppress(ImportError):  # the worker says which one is missing
            if not probe.startswith("shared."):
                probes.function(probe)
            if probe in ("http", "dagster", "grafana", "shared.token", "shared.routes"):
                import requests  # noqa: F401
            elif probe in ("sql", "drill", "journal"):
                from ansible.module_utils.pmsops.postgresql import connection as database  # noqa: F401
            elif probe == "redis":
                import redis  # noqa: F401
            elif probe == "container":
                import docker  # noqa: F401


def _work(pipe: Connection, settings: Settings, inherited: list[Connection], parent: int) -> None:
    """Answer questions until the pipe closes; this is the worker's whole life."""
    os.setsid()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_DFL)
    for other in inherited:
        other.close()
    # A probe's library must not write into the module's own output.
    void = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(void, descriptor)
    context = Context(settings)
    clock = expectations.Clock(settings.now)
    while True:
        try:
            probe, params, expect, timeout, shared = pipe.recv()
        except (EOFError, OSError):
            os._exit(0)
        context.shared = shared
        try:
            pipe.send(answer(probe, params, expect, Deadline.after(timeout), context, clock))
        except OSError:
            os._exit(0)


def answer(
    probe: str,
    params: dict[str, Any],
    expect: list[dict[str, Any]],
    deadline: Deadline,
    context: Context,
    clock: expectations.Clock,
) -> dict[str, Any]:
    """Ask one probe and hold its answer against the expectations; return an Outcome's fields."""
    try:
        if probe.startswith("shared."):
            return {"status": "pass", "finding": "", "shared": _shared(probe, context, deadline)}
        found = probes.function(probe)(params, context, deadline)
    except Failed as exc:
        return {"status": "fail", "finding": one_line(exc)}
    except Unanswerable as exc:
        return {"status": "unknown", "finding": one_line(exc)}
    except ImportError as exc:
        return {"status": "unknown", "finding": f"this host's Python lacks {exc.name}"}
    except Exception as exc:  # noqa: BLE001 -- whatever a probe did not foresee is no pass
        return {"status": "unknown", "finding": f"{type(exc).__name__}: {one_line(exc)}"}
    unasked = probe == "http" and all(entry.get("path") != "status" for entry in expect)
    if unasked and not 200 <= found["status"] < 300:
        return {"status": "fail", "finding": f"HTTP status is {found['status']}"}
    return judge(found, expect, clock)


def judge(found: Any, expect: list[dict[str, Any]], clock: expectations.Clock) -> dict[str, Any]:
    """Return an Outcome's fields for an answer and its expectations."""
    try:
        results = [expectations.judge(found, expectation, clock) for expectation in expect]
    except Exception as exc:  # noqa: BLE001 -- a value nobody foresaw is no pass
        return {"status": "unknown", "finding": f"{type(exc).__name__}: {one_line(exc)}"}
    unmet = [result for result in results if not result.met]
    observed = [
        {"label": result.label, "value": result.value, "met": result.met} for result in results
    ]
    if unmet:
        finding = "; ".join(result.problem for result in unmet)
        return {"status": "fail", "finding": finding[:600], "observed": observed}
    finding = "; ".join(f"{result.label} is {result.value}" for result in results)
    if not finding and isinstance(found, dict):
        finding = str(found.get("finding") or "")
    return {"status": "pass", "finding": finding[:600], "observed": observed}


def _shared(name: str, context: Context, deadline: Deadline) -> Any:
    from ansible.module_utils.pmsops.checks.probes import http

    return {"shared.token": http.token, "shared.routes": http.routes}[name](context, deadline)
