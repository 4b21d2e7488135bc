# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run the jobs of the day again, once nothing works for their former runs any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import ActionRecorder
from ansible.module_utils.pmsops.pms import redis_cache
from ansible.module_utils.pmsops.recovery import days_work
from ansible.module_utils.pmsops.recovery.dagster_services import restart_outdated
from ansible.module_utils.pmsops.recovery.pipeline_fallback import Symptoms
from ansible.module_utils.pmsops.recovery.run_processes import RunProcess, listed

if TYPE_CHECKING:
    from ansible.module_utils.pmsops.recovery.pipeline import Pipeline


def run(symptoms: Symptoms, pipeline: Pipeline, done: list[str], record: ActionRecorder) -> None:
    """End stuck runs, and run each failed or missing job once, unless its work is there.

    What still works for a run that has ended comes first: it is waited for, then ended, and what it
    wrote counts.

    :raises OpsError: pipeline.job, pipeline.process.
    """
    trouble = pipeline.dagster.trouble(pipeline.stuck_minutes)
    jobs = list(trouble["failed_jobs"])
    for run in trouble["stuck_runs"]:
        text = f"End run {run['id']} of {run['job']}, {run['status']} since {run['since']}"
        with record(text) as action:
            action.result = pipeline.dagster.end_run(run["id"], seconds=10.0)
        done.append(text)
        jobs.append(run["job"])
    if "pipeline.data" in symptoms.seen:
        jobs.append(pipeline.data_job)
    if "pipeline.pack" in symptoms.seen:
        jobs.append(pipeline.pack_job)
    stuck = {each["id"] for each in trouble["stuck_runs"]}
    _end_processes(pipeline, stuck, 0.0, done, record)
    lost = {each["id"] for each in trouble["lost_runs"] if each["job"] in jobs}
    _end_processes(pipeline, lost, pipeline.job_seconds * pipeline.patience, done, record)
    if jobs:
        done += restart_outdated(pipeline.services, pipeline.database, record=record)
    for job in dict.fromkeys(jobs):
        if there := work_there(job, symptoms, pipeline):
            done.append(f"{job} not run again, the day's work is there: {there}")
            continue
        text = f"Run {job} again"
        with record(text) as action:
            try:
                ended = pipeline.dagster.run_job(job, seconds=pipeline.job_seconds)
            finally:  # its assets write an empty book over the cached one, also where they fail
                cache = redis_cache.forget_after_run(pipeline.redis, symptoms.pack_day)
            action.result = f"run {ended['id']}: {ended['status']} after {ended['seconds']} s"
            action.result += f". {cache.problem}" if cache.problem else ""
            if ended["status"] != "SUCCESS":
                why = ended["failure"] or "Dagster does not say why"
                raise OpsError(
                    f"Job {job} ended {ended['status']} again, run {ended['id']}: {why}.",
                    "Open the run in Dagster and read the failed step; it names what is missing.",
                    code="pipeline.job",
                )
        done.append(text)


def work_there(job: str, symptoms: Symptoms, pipeline: Pipeline) -> str:
    """Return what the database has of a job's work of today; "" if the job may run.

    The job of the data writes the same days again. Any other may act on the book.
    """
    if job == pipeline.data_job:
        return ""
    if job == pipeline.pack_job:
        has_pack = days_work.has_pack(pipeline.database, symptoms.pack_day)
        return f"morning pack of {symptoms.pack_day}" if has_pack else ""
    return ", ".join(days_work.found(pipeline.database, symptoms.pack_day))


def await_processes(pipeline: Pipeline, record: ActionRecorder) -> None:
    """Wait for what works for any run of Dagster.

    :raises OpsError: pipeline.process.
    """
    seconds = pipeline.job_seconds * pipeline.patience
    if found := pipeline.processes.remaining(None, seconds, record):
        raise _still_there(found)


def name_left_out(pipeline: Pipeline, record: ActionRecorder) -> list[str]:
    """Return the days on which jobs had no run, one line for each job, and record them.

    :raises OpsError: dagster.refused.
    """
    if not pipeline.dagster.url:
        return []
    lines = [
        f"{job} had no run on {', '.join(str(day) for day in days)}: after a gap Dagster makes up"
        " the newest moment alone"
        for job, days in pipeline.dagster.days_left_out().items()
    ]
    for line in lines:
        with record(line) as action:
            action.result = "nothing was run for it: decide whether that day's work is needed"
    return lines


def _end_processes(
    pipeline: Pipeline, runs: set[str], seconds: float, done: list[str], record: ActionRecorder
) -> None:
    """Wait up to *seconds* for what works for *runs*, and end what still does.

    :raises OpsError: pipeline.process.
    """
    found = pipeline.processes.found(runs)
    if not found:
        return
    done.append(f"{listed(found)} awaited")
    if not (found := pipeline.processes.remaining(runs, seconds, record)):
        return
    done.append(f"{listed(found)} ended")
    if left := pipeline.processes.end(found, record):
        raise _still_there(left)


def _still_there(found: list[RunProcess]) -> OpsError:
    return OpsError(
        f"{listed(found)} still works, so nothing else does the day's work.",
        "Wait until it has ended, or end it (kill), then run this playbook again.",
        code="pipeline.process",
    )
