# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The go-live gate: every item of the checklist gets a result, and all of them a verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.checks import attestations
from ansible.module_utils.pmsops.checks import runner as engine
from ansible.module_utils.pmsops.checks.checklist import Check, Checklist, load
from ansible.module_utils.pmsops.checks.expectations import Clock
from ansible.module_utils.pmsops.checks.probes.context import Settings
from ansible.module_utils.pmsops.checks.variables import Variables
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.common.timestamps import utc_stamp

STATUSES = ("pass", "fail", "unknown", "waived", "attested")
GOOD = frozenset({"pass", "attested"})
HIDDEN = "********"
SHORTEST_SECRET = 4


@dataclass(frozen=True)
class Options:
    """How a gate is run."""

    sections: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    attestations: Any = None
    workers: int = 8
    deadline_seconds: float = 120.0
    # Values that must not come out, beside the passwords of the settings
    secrets: frozenset[str] = frozenset()


def run(
    source: Any,
    settings: Settings,
    options: Options,
    *,
    progress: Path | None = None,
) -> dict[str, Any]:
    """Check everything and return the results with their verdict.

    *progress* is a file that says meanwhile how many checks are done; without its folder there is
    none.

    :raises OpsError: gate.checklist, gate.attestations, gate.section or gate.check; then nothing
        was checked.
    """
    whole = load(source)
    clock = Clock(settings.now)
    statements = attestations.load(options.attestations, whole, clock.today)
    checklist = whole.only(options.sections, options.checks)
    if not checklist.checks:
        raise OpsError(
            "No check is left to run, so there would be nothing to decide by.",
            "Name other golive_sections, or none.",
            code="gate.section",
        )
    variables = Variables(_values(settings) | options.variables, clock)
    known = {
        check.id: _attested(check, statements)
        for check in checklist.checks
        if check.probe == "attest"
    }
    jobs = [_job(check) for check in checklist.checks if check.probe != "attest"]
    started = time.monotonic()
    with _counting(progress, {job.id for job in jobs}) as report:
        runner = engine.Engine(
            settings,
            variables,
            workers=options.workers,
            deadline_seconds=options.deadline_seconds,
            report=report,
        )
        outcomes = runner.run(jobs, known)
    seconds = time.monotonic() - started
    results = [_result(check, outcomes[check.id], statements) for check in checklist.checks]
    token = runner.shared.get("shared.token")
    hidden = settings.secrets() | set(options.secrets) | ({token} if token else set())
    partial = bool(options.sections or options.checks)
    return scrub(_summary(checklist, results, settings.now, seconds, partial), hidden)


@contextmanager
def _counting(path: Path | None, jobs: set[str]) -> Iterator[Callable[[str, engine.Outcome], None]]:
    """Give what the engine reports each outcome to; it keeps the progress file."""
    if path is None or not path.parent.is_dir():
        yield lambda _name, _outcome: None
        return
    shown, done, wrong = Progress(path), 0, 0

    def report(name: str, outcome: engine.Outcome) -> None:
        nonlocal done, wrong
        if name in jobs:
            done += 1
            wrong += outcome.status not in GOOD
            shown.update(done, note=f"{wrong} not right" if wrong else "")

    try:
        with shown.phase("checks", total=len(jobs), unit="done"):
            yield report
    finally:
        shown.close()


def _summary(
    checklist: Checklist,
    results: list[dict[str, Any]],
    now: datetime,
    seconds: float,
    partial: bool,
) -> dict[str, Any]:
    blocking = [result["id"] for result in results if blocks(result)]
    counts: dict[str, int] = {
        status: sum(result["status"] == status for result in results) for status in STATUSES
    }
    counts["flaky"] = sum(result["flaky"] for result in results)
    return {
        "title": checklist.title,
        "verdict": "no-go" if blocking else "go",
        "exit_code": 1 if blocking else 0,
        "partial": partial,
        "started_at": utc_stamp(now),
        "duration_seconds": round(seconds, 3),
        "checklist_sha256": checklist.sha256,
        "counts": counts,
        "blocking": blocking,
        "sections": [
            {"id": name, "title": title, "counts": _counted(results, name)}
            for name, title in checklist.sections.items()
            if any(result["section"] == name for result in results)
        ],
        "results": results,
    }


def _counted(results: list[dict[str, Any]], section: str) -> dict[str, int]:
    return {
        status: sum(r["status"] == status for r in results if r["section"] == section)
        for status in STATUSES
    }


def blocks(result: dict[str, Any]) -> bool:
    """Tell whether a result alone makes a no-go: a blocker that neither passes nor is waived."""
    return result["severity"] == "blocker" and result["status"] in ("fail", "unknown")


def _job(check: Check) -> engine.Job:
    return engine.Job(
        id=check.id,
        probe=check.probe,
        params=check.params,
        expect=check.expect,
        needs=check.needs,
        timeout=check.timeout,
        retries=check.retries,
        retry_delay=check.retry_delay,
        shares=engine.shares_of(check.probe, check.params),
    )


def _attested(check: Check, statements: attestations.Statements) -> engine.Outcome:
    statement = statements.attestations.get(check.id)
    if statement is None:
        return engine.Outcome("unknown", "nobody has attested this", attempts=0)
    role = f" ({statement.role})" if statement.role else ""
    finding = f"{statement.who}{role} on {statement.when}: {statement.why}"
    return engine.Outcome("attested", finding, attempts=0)


def _result(
    check: Check, outcome: engine.Outcome, statements: attestations.Statements
) -> dict[str, Any]:
    waiver = statements.waivers.get(check.id)
    waived = waiver is not None and outcome.status not in GOOD
    attestation = statements.attestations.get(check.id)
    return {
        "id": check.id,
        "section": check.section,
        "title": check.title,
        "severity": check.severity,
        "probe": check.probe,
        "owner": check.owner,
        "remedy": check.remedy,
        "status": "waived" if waived else outcome.status,
        # What the probe said: a waiver lets a failure through and does not make it undone.
        "found": outcome.status,
        "finding": outcome.finding,
        "observed": outcome.observed,
        "seconds": outcome.seconds,
        "attempts": outcome.attempts,
        "flaky": outcome.flaky,
        "needs": outcome.needs,
        "waiver": waiver.plain() if waiver else None,
        "attestation": attestation.plain() if attestation else None,
    }


def _values(settings: Settings) -> dict[str, Any]:
    """Return the names that a checklist may use for the system itself; no secret among them."""

    def shown(options: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in options.items() if name != "password"}

    return {
        "database": shown(settings.database),
        "redis": shown(settings.redis),
        "api": shown(settings.api),
        "grafana": shown(settings.grafana),
        "dagster_url": settings.dagster_url,
        "compose_project": settings.compose_project,
        "app_dir": settings.app_dir,
        "backup_root": settings.backup_root,
        "evidence_root": settings.evidence_root,
    }


def scrub(value: Any, secrets: set[str]) -> Any:
    """Return plain data without any of the *secrets*, wherever a message repeated one.

    A very short secret is left to the probes, which never show one: replaced everywhere, it would
    make the findings unreadable and give itself away.
    """
    hidden = sorted(
        (text for text in secrets if len(text) >= SHORTEST_SECRET), key=len, reverse=True
    )

    def clean(entry: Any) -> Any:
        if isinstance(entry, str):
            for text in hidden:
                entry = entry.replace(text, HIDDEN)
            return entry
        if isinstance(entry, list):
            return [clean(one) for one in entry]
        if isinstance(entry, dict):
            return {name: clean(one) for name, one in entry.items()}
        return entry

    return clean(value)
