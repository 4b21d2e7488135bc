# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run many probes at once, each in a worker process that can be ended for certain.

A thread cannot be stopped: not inside a name server that never answers, a TCP connection that
hangs, or a library that waits in C. So probes run in forked workers; when a probe's time is over
its worker's process group is killed, and another worker takes its place. A worker keeps its
database, HTTP, Redis and Docker connections from probe to probe.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Any

from ansible.module_utils.pmsops.checks.probes.context import Settings, one_line
from ansible.module_utils.pmsops.checks.variables import UnsetVariable, Variables
from ansible.module_utils.pmsops.checks.worker import (
    SHARED_PREFIX,
    ProbeResult,
    ProbeRun,
    Worker,
    adopt_orphans,
    children,
    import_libraries,
    work,
)

PASSING = frozenset({"pass", "attested"})
# What is left of a probe's time after its own library should have given up.
GRACE_SECONDS = 0.25
# A worker busy for longer than this counts as stuck, and another may start beside it.
STUCK_SECONDS = 0.75
MAX_WORKERS_FACTOR = 5
OVERDUE = "no answer within {:g} s"


class Runner:
    """The scheduler: which run may start, which worker gets it, and whose time is over."""

    def __init__(
        self,
        settings: Settings,
        variables: Variables,
        *,
        workers: int = 8,
        deadline_seconds: float = 120.0,
        stuck_seconds: float = STUCK_SECONDS,
        report: Callable[[str, ProbeResult], None] = lambda name, result: None,
    ) -> None:
        self.settings = settings
        self.variables = variables
        self.workers = workers
        self.deadline = time.monotonic() + deadline_seconds
        self.deadline_seconds = deadline_seconds
        self.stuck_seconds = stuck_seconds
        self.report = report
        self.results: dict[str, ProbeResult] = {}
        self.shared: dict[str, Any] = {}
        self._attempts: dict[str, int] = {}
        self._pool: list[Worker] = []
        self._context = multiprocessing.get_context("fork")
        self._others: set[int] = set()
        self._expected: set[str] = set()

    def run(
        self, runs: list[ProbeRun], known: dict[str, ProbeResult] | None = None
    ) -> dict[str, ProbeResult]:
        """Return the result of every run; *known* are results that others may need.

        A run waits for those it needs, and is unknown where one of them does not pass.
        """
        self.results = dict(known or {})
        runs = [*_shared_runs(runs), *runs]
        waiting = {run.id: run for run in runs}
        self._expected = set(waiting)
        ready: deque[ProbeRun] = deque()
        later: list[tuple[float, ProbeRun]] = []
        urls = [run.params["url"] for run in runs if run.params.get("url")]
        import_libraries((run.probe for run in runs), self.settings.unused_libraries(urls))
        self._others = children()
        adopt_orphans(on=True)
        try:
            while waiting or ready or later or any(worker.run for worker in self._pool):
                self._release(waiting, ready)
                now = time.monotonic()
                ready.extend(run for at, run in later if at <= now)
                later = [(at, run) for at, run in later if at > now]
                if now >= self.deadline:
                    self._give_up([*waiting.values(), *ready, *(run for _, run in later)])
                    break
                self._start(ready)
                if any(worker.run for worker in self._pool) or later:
                    later += self._collect(now, later, ready)
        finally:
            self._end()
            adopt_orphans(on=False)
        return self.results

    def secrets(self) -> set[str]:
        """Return the texts that the runs fetched and that must not be shown."""
        token = self.shared.get(f"{SHARED_PREFIX}token")
        return {token} if token else set()

    def _release(self, waiting: dict[str, ProbeRun], ready: deque[ProbeRun]) -> None:
        """Move each run whose needs are settled to *ready*, or settle it as unknown."""
        moved = True
        while moved:
            moved = False
            for run in list(waiting.values()):
                if any(self._is_open(name) for name in (*run.needs, *run.shares)):
                    continue
                del waiting[run.id]
                moved = True
                if missing := self._missing(run):
                    self._settle(run, missing)
                else:
                    ready.append(run)

    def _is_open(self, name: str) -> bool:
        """Tell whether a result is still to come."""
        return name in self._expected and name not in self.results

    def _missing(self, run: ProbeRun) -> ProbeResult | None:
        """Return why a run cannot start, None where it can."""
        failed = [
            need
            for need in run.needs
            if need not in self.results or self.results[need].status not in PASSING
        ]
        if failed:
            absent = all(name in self.results and self.results[name].absent for name in failed)
            finding = f"needs {', '.join(failed)}"
            return ProbeResult("unknown", finding, needs=failed, attempts=0, absent=absent)
        for name in run.shares:
            if self.results[name].status != "pass":
                return replace(self.results[name], attempts=0)
        return None

    def _settle(self, run: ProbeRun, result: ProbeResult) -> None:
        self.results[run.id] = result
        if result.shared is not None:
            self.shared[run.id] = result.shared
        self.report(run.id, result)

    def _start(self, ready: deque[ProbeRun]) -> None:
        """Hand ready runs to idle workers, and fork more workers where that is allowed."""
        while ready:
            worker = self._idle(ready[0]) or self._fork()
            if worker is None:
                return
            run = ready.popleft()
            try:
                params = self.variables.fill(run.params)
                expect = [self.variables.fill(expectation) for expectation in run.expect]
            except UnsetVariable as exc:
                self._settle(run, ProbeResult("unknown", str(exc), attempts=0, absent=True))
                continue
            except Exception as exc:  # noqa: BLE001 -- a calendar or a library that is not there
                finding = f"{type(exc).__name__}: {one_line(exc)}"
                self._settle(run, ProbeResult("unknown", finding, attempts=0))
                continue
            shared = {n.removeprefix(SHARED_PREFIX): self.shared[n] for n in run.shares}
            worker.run, worker.started, worker.used_for = run, time.monotonic(), run.probe
            try:
                question = (run.probe, params, expect, run.timeout, shared, run.control_seed)
                worker.pipe.send(question)
            except OSError:
                self._kill(worker)
                ready.appendleft(run)

    def _idle(self, run: ProbeRun) -> Worker | None:
        """Return an idle worker, preferably one that has the connection open already."""
        idle = [worker for worker in self._pool if worker.run is None]
        return next(
            (worker for worker in idle if worker.used_for == run.probe), idle[0] if idle else None
        )

    def _fork(self) -> Worker | None:
        """Start a worker unless enough of them are busy; stuck ones do not count."""
        now = time.monotonic()
        busy = [worker for worker in self._pool if now - worker.started < self.stuck_seconds]
        if len(busy) >= self.workers or len(self._pool) >= self.workers * MAX_WORKERS_FACTOR:
            return None
        ours, theirs = self._context.Pipe()
        inherited = [ours, *(worker.pipe for worker in self._pool)]
        process = self._context.Process(
            target=work, args=(theirs, self.settings, inherited, os.getpid()), daemon=True
        )
        process.start()
        theirs.close()
        worker = Worker(pipe=ours, process=process)
        self._pool.append(worker)
        return worker

    def _collect(
        self, since: float, later: list[tuple[float, ProbeRun]], ready: deque[ProbeRun]
    ) -> list[tuple[float, ProbeRun]]:
        """Wait for the next event; settle answered and overdue runs; return those to retry.

        *since* is when this round began: what came due meanwhile is not waited for.
        """
        busy = [(worker, worker.run) for worker in self._pool if worker.run]
        moments = [self.deadline, *(at for at, _ in later)]
        moments += [worker.started + run.timeout + GRACE_SECONDS for worker, run in busy]
        if ready:  # a worker that turns out to be stuck makes room for another
            stuck = [worker.started + self.stuck_seconds for worker, _ in busy]
            moments += [at for at in stuck if at > since]
        patience = max(min(moments) - time.monotonic(), 0.001)
        answered = wait([worker.pipe for worker, _ in busy], timeout=patience)
        again = []
        for worker, run in busy:
            elapsed = time.monotonic() - worker.started
            if worker.pipe in answered:
                result = self._receive(worker)
            elif elapsed > run.timeout + GRACE_SECONDS:
                self._kill(worker)
                result = ProbeResult("unknown", OVERDUE.format(run.timeout), overdue=True)
            else:
                continue
            worker.run = None
            result.seconds = round(elapsed, 3)
            again += self._settle_or_retry(run, result)
        return again

    def _settle_or_retry(self, run: ProbeRun, result: ProbeResult) -> list[tuple[float, ProbeRun]]:
        result.attempts = self._attempts[run.id] = self._attempts.get(run.id, 0) + 1
        again = result.attempts <= run.retries and not (run.acts and result.overdue)
        if result.status != "pass" and again:
            return [(time.monotonic() + run.retry_delay, run)]
        self._settle(run, result)
        return []

    def _receive(self, worker: Worker) -> ProbeResult:
        try:
            result: ProbeResult = worker.pipe.recv()
        except (EOFError, OSError):
            self._kill(worker)
            return ProbeResult("unknown", "the probe's process died without an answer")
        return result

    def _give_up(self, runs: list[ProbeRun]) -> None:
        """Settle the unfinished runs as unknown: the deadline of the whole gate has passed."""
        running = [worker.run for worker in self._pool if worker.run]
        text = f"the gate's deadline of {self.deadline_seconds:g} s passed first"
        for run in [*running, *runs]:
            attempts = self._attempts.get(run.id, 0)
            self._settle(run, ProbeResult("unknown", text, attempts=attempts, overdue=True))

    def _kill(self, worker: Worker) -> None:
        """End a worker, everything in its process group, and processes that left the group."""
        worker.end()
        self._pool.remove(worker)
        self._kill_orphans()

    def _end(self) -> None:
        """End every worker, busy or idle."""
        for worker in list(self._pool):
            self._kill(worker)

    def _kill_orphans(self) -> None:
        """End processes that left their worker's group: as our children they are found."""
        ours = {worker.pid for worker in self._pool}
        for _ in range(20):
            orphans = children() - ours - self._others
            if not orphans:
                return
            for pid in orphans:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)


def _shared_runs(runs: list[ProbeRun]) -> list[ProbeRun]:
    """Return the runs that fetch what several checks share."""
    timeouts: dict[str, float] = {}
    for run in runs:
        for name in run.shares:
            timeouts[name] = max(run.timeout, timeouts.get(name, 0.0))
    return [ProbeRun(name, name, timeout=timeouts[name]) for name in sorted(timeouts)]
