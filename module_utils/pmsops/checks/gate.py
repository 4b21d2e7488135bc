# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gate: every item of the checklist gets a result, and the results give a verdict."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.checks import attestations, negative_control
from ansible.module_utils.pmsops.checks.checklist import Check, Checklist, load
from ansible.module_utils.pmsops.checks.lacked_parts import LackedParts
from ansible.module_utils.pmsops.checks.probes.context import Settings
from ansible.module_utils.pmsops.checks.runner import Runner
from ansible.module_utils.pmsops.checks.second_try import SecondTry, causes, reasons
from ansible.module_utils.pmsops.checks.variables import Variables
from ansible.module_utils.pmsops.checks.worker import ProbeResult, ProbeRun
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.exchange_calendar import Clock
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.common.timestamps import utc_stamp

STATUSES = ("pass", "fail", "unknown", "waived", "attested")
GOOD = frozenset({"pass", "attested"})
HIDDEN = "********"
MIN_SECRET_CHARACTERS = 4


@dataclass(frozen=True)
class Options:
    """How a gate is run."""

    sections: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    attestations: Any = None
    # Parts that the system does not have: their checks are not run, and hinder no others
    without: frozenset[str] = frozenset()
    workers: int = 8
    deadline_seconds: float = 120.0
    # Values that must not be shown, beside the passwords of the settings
    secrets: frozenset[str] = frozenset()


def run(
    source: Any,
    settings: Settings,
    options: Options,
    *,
    progress: Path | None = None,
) -> dict[str, Any]:
    """Run all checks and return their results with the verdict.

    *progress* is a file that says meanwhile how many checks are done; it is not written where its
    folder is missing.

    :raises OpsError: gate.checklist, gate.attestations, gate.section or gate.check; then nothing
        was checked.
    """
    whole = load(source)
    clock = Clock(settings.now)
    statements = attestations.load(options.attestations, whole, clock.today)
    checklist = whole.only(options.sections, options.checks)
    if not checklist.checks:
        raise OpsError(
            "No check is selected, so there is no verdict.",
            "Select other golive_sections, or leave them empty for all.",
            code="gate.section",
        )
    variables = Variables(settings.named() | options.variables, clock)
    known = {
        check.id: _attested(check, statements)
        for check in checklist.checks
        if check.probe == "attest"
    }
    lacked = LackedParts(checklist.checks, options.without)
    known |= lacked.skipped
    control = negative_control.Control()
    runs = control.chosen(
        [_run(check, lacked.ids) for check in checklist.checks if check.id not in known]
    )
    started = time.monotonic()
    second = SecondTry(settings, variables, deadline_seconds=options.deadline_seconds)
    with _counting(progress, {each.id for each in runs}) as report:
        runner = Runner(
            settings,
            variables,
            workers=options.workers,
            deadline_seconds=options.deadline_seconds,
            report=report,
        )
        found = second.take(runs, runner.run(runs, known))
    found |= lacked.judge(found)
    seconds = time.monotonic() - started
    results = [
        _result(check, found[check.id], statements, check.id in lacked.ids)
        for check in checklist.checks
    ]
    hidden = settings.secrets() | options.secrets | runner.secrets() | second.secrets
    partial = bool(options.sections or options.checks)
    summary = _summary(checklist, results, settings.now, seconds, partial)
    summary["negative_control"] = control.judge(
        runs, found, lambda name, red: _is_no_go(checklist, results, name, red, settings.now)
    )
    if summary["negative_control"]["outcome"] == negative_control.NOT_FOUND:
        summary |= {"verdict": negative_control.BROKEN, "exit_code": negative_control.EXIT_CODE}
    return {name: scrub(value, hidden) for name, value in summary.items()}


@contextmanager
def _counting(path: Path | None, ids: set[str]) -> Iterator[Callable[[str, ProbeResult], None]]:
    """Give the function that takes each result as it comes and keeps the progress file."""
    if path is None or not path.parent.is_dir():
        yield lambda _name, _result: None
        return
    shown, done, missed = Progress(path), 0, 0

    def report(name: str, result: ProbeResult) -> None:
        nonlocal done, missed
        if name in ids:
            done += 1
            missed += result.status not in GOOD
            shown.update(done, note=f"{missed} not passed" if missed else "")

    try:
        with shown.phase("checks", total=len(ids), unit="done"):
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
        "reasons": reasons([result for result in results if blocks(result)]),
        "causes": [{"cause": cause, "checks": checks} for cause, checks in causes(results).items()],
        "sections": [
            {"id": name, "title": title, "counts": _counted(results, name)}
            for name, title in checklist.sections.items()
            if any(result["section"] == name for result in results)
        ],
        "results": results,
    }


def _is_no_go(
    checklist: Checklist,
    results: list[dict[str, Any]],
    name: str,
    red: ProbeResult,
    now: datetime,
) -> bool:
    """Tell whether a check with the result *red*, as a blocker without a waiver, makes a no-go."""
    check = next(each for each in checklist.checks if each.id == name)
    result = _result(replace(check, severity="blocker"), red, attestations.Statements({}, {}))
    changed = [result if each["id"] == name else each for each in results]
    summary = _summary(checklist, changed, now, 0.0, partial=False)
    return summary["verdict"] == "no-go" and name in summary["blocking"]


def _counted(results: list[dict[str, Any]], section: str) -> dict[str, int]:
    return {
        status: sum(r["status"] == status for r in results if r["section"] == section)
        for status in STATUSES
    }


def blocks(result: dict[str, Any]) -> bool:
    """Tell whether a result alone makes a no-go: a blocker that failed or is unknown.

    A part that a system may lack, and that the inventory does not name, is no reason.
    """
    return (
        result["severity"] == "blocker"
        and result["status"] in ("fail", "unknown")
        and not result["absent"]
    )


def _run(check: Check, lacked: set[str]) -> ProbeRun:
    return ProbeRun(
        id=check.id,
        probe=check.probe,
        params=check.params,
        expect=check.expect,
        needs=tuple(need for need in check.needs if need not in lacked),
        timeout=check.timeout,
        retries=check.retries,
        retry_delay=check.retry_delay,
        silence=check.silence,
        load_sensitive=check.load_sensitive,
    )


def _attested(check: Check, statements: attestations.Statements) -> ProbeResult:
    statement = statements.attestations.get(check.id)
    if statement is None:
        return ProbeResult("unknown", "nobody has attested this", attempts=0)
    role = f" ({statement.role})" if statement.role else ""
    finding = f"{statement.who}{role} on {statement.when}: {statement.why}"
    return ProbeResult("attested", finding, attempts=0)


def _result(
    check: Check,
    result: ProbeResult,
    statements: attestations.Statements,
    is_lacked: bool = False,
) -> dict[str, Any]:
    waiver = statements.waivers.get(check.id)
    waived = waiver is not None and result.status not in GOOD
    attestation = statements.attestations.get(check.id)
    return {
        "id": check.id,
        "section": check.section,
        "title": check.title,
        "severity": check.severity,
        "probe": check.probe,
        "owner": check.owner,
        "remedy": check.remedy,
        "status": "waived" if waived else result.status,
        # What the probe said: a waiver lets a failure through and does not hide it.
        "found": result.status,
        # Part of a sentence, which ends where it is said: "within 90 s.." was the end of two.
        "finding": re.sub(r"(?<!\.)\.$", "", result.finding),
        "observed": result.observed,
        "seconds": result.seconds,
        "attempts": result.attempts,
        "flaky": result.flaky,
        "needs": result.needs,
        "overdue": result.overdue,
        "cause": result.cause,
        "absent": result.absent and (is_lacked or check.optional),
        "waiver": waiver.plain() if waiver else None,
        "attestation": attestation.plain() if attestation else None,
    }


def scrub(value: Any, secrets: set[str]) -> Any:
    """Return plain data without any of the *secrets*, wherever a message repeated one.

    A very short secret is left to the probes, which never show one: replaced everywhere, it would
    make the findings unreadable and give itself away.
    """
    hidden = sorted(
        (text for text in secrets if len(text) >= MIN_SECRET_CHARACTERS), key=len, reverse=True
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
