#!/usr/bin/env python3
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the units of the schedule call; the role schedule installs them.

    scheduled.py run JOB       the job, if it is due by B3's calendar; else say so and exit 0
    scheduled.py end JOB       record how its service ended (ExecStopPost=)
    scheduled.py notify JOB    tell people what they should know of it (OnFailure=, OnSuccess=)
    scheduled.py watch         look at the stream of WAL; exit 1 if the job pitr has to repair it
    scheduled.py digest        tell people how all jobs are
    scheduled.py status        the jobs as a table; exit 1 where one is late or failed

The schedule is the file that PMS_OPS_SCHEDULE names, /etc/pms-ops/schedule.json without it.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PLAYBOOK = "ansible-playbook"
DEFAULT = "/etc/pms-ops/schedule.json"

try:
    import ansible.module_utils
except ModuleNotFoundError:
    # Started as a script, so by the system's Python; the project's has the libraries.
    own = PROJECT / ".venv" / "bin" / "python"
    if not own.exists() or Path(sys.executable) == own:
        raise
    os.execv(own, [str(own), str(Path(__file__).resolve()), *sys.argv[1:]])  # noqa: S606

ansible.module_utils.__path__.append(str(PROJECT / "module_utils"))

from ansible.module_utils.pmsops.common.errors import OpsError  # noqa: E402
from ansible.module_utils.pmsops.schedule import watch as watching  # noqa: E402
from ansible.module_utils.pmsops.schedule.state import Schedule, exit_number  # noqa: E402


def run(schedule: Schedule, name: str) -> int:
    """Become the job's command; return only where the job is not due."""
    now = datetime.now(UTC)
    job = schedule.job(name)
    # A playbook asks the sites itself, which know when this machine is the right one again.
    if Path(job.command[0]).name != PLAYBOOK and (why := schedule.replaced()):
        print(f"{name}: {why}", file=sys.stderr)
        return 1
    try:
        if not (schedule.is_due(name, now) or watching.asks(schedule, name)):
            schedule.skip(name, now)
            print(f"{name}: not due ({job.days}); nothing was run.")
            return 0
        schedule.begin(name, now, os.environ["INVOCATION_ID"])
    except (OpsError, OSError) as exc:
        # What cannot be recorded is run all the same: its deadline will pass and be noticed.
        print(f"{name}: the record of the schedule: {exc}", file=sys.stderr)
    print(f"{name}: {' '.join(job.command)}", flush=True)
    try:
        os.execvp(job.command[0], job.command)  # noqa: S606 -- no shell is wanted
    except OSError as exc:
        print(f"{name}: {job.command[0]} cannot be run: {exc.strerror}", file=sys.stderr)
        return 127


def end(schedule: Schedule, name: str) -> int:
    """Record what systemd says of the run."""
    schedule.end(
        name,
        datetime.now(UTC),
        os.environ["INVOCATION_ID"],
        result=os.environ.get("SERVICE_RESULT", "unknown"),
        exit_status=exit_number(os.environ.get("EXIT_STATUS", "255")),
    )
    return 0


def watch(schedule: Schedule, path: Path) -> int:
    """Look once at the stream of WAL; tell people if that is a problem, or no longer one.

    It runs twice a minute. What only a problem needs is imported then.
    """
    if schedule.watch is None:
        print("There is no continuous protection to watch.")
        return 0
    if why := schedule.replaced():
        print(f"<3>{why}", flush=True)
        return 0
    from ansible.module_utils.pmsops.pitr import watch as looking

    before = watching.read(schedule)
    seen = looking.look(looking.Target.from_options(schedule.watch))
    now = datetime.now(UTC)
    record = watching.judged(schedule, before, seen, now)
    try:
        watching.write(schedule, record)
    except OSError as exc:
        # Told all the same: a disk that is full is no reason to be silent about the stream.
        print(f"<3>The record of the watch cannot be written: {exc}", flush=True)
    if record["problem"]:
        # Into the journal as an error: the unit keeps nothing else there.
        print(f"<3>{record['problem']['text']} [{record['problem']['code']}]", flush=True)
    if record["problem"] or before["problem"]:
        from ansible.module_utils.pmsops.schedule import messages

        messages.JobNotifier.from_config(path, schedule).after_look(record)
    return int(record["asked"] > before["asked"])


def main() -> int:
    """Do what the arguments say."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=["run", "end", "notify", "watch", "digest", "status"])
    parser.add_argument("job", nargs="?", help="with run, end and notify")
    arguments = parser.parse_args()
    of_one_job = arguments.action in ("run", "end", "notify")
    if of_one_job == (arguments.job is None):
        parser.error(f"{arguments.action} takes {'the name of a job' if of_one_job else 'no job'}")
    if arguments.action in ("run", "end") and "INVOCATION_ID" not in os.environ:
        parser.error(f"{arguments.action} is for systemd; run the playbook itself by hand")
    path = Path(os.environ.get("PMS_OPS_SCHEDULE", DEFAULT))
    try:
        schedule = Schedule.read(path)
        if arguments.action == "run":
            return run(schedule, arguments.job)
        if arguments.action == "end":
            return end(schedule, arguments.job)
        if arguments.action == "watch":
            return watch(schedule, path)
        from ansible.module_utils.pmsops.schedule import messages

        if arguments.action == "status":
            return messages.show(schedule, datetime.now(UTC), print)
        notifier = messages.JobNotifier.from_config(path, schedule)
        if arguments.action == "notify":
            notifier.after_run(arguments.job)
        else:
            notifier.digest()
    except OpsError as exc:
        print(f"{exc} {exc.remedy} [{exc.code}]", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
