# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One look at the stream of WAL: a shell and one query where the engine is, and no Python there.

It is the body of the watch, which a timer starts twice a minute on the control node.
"""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import container
from ansible.module_utils.pmsops.pitr.engine_home import Answer, host_home
from ansible.module_utils.pmsops.schedule.watch import SLOT_GONE, Seen

SECONDS = 25
# A receiver that ends begins again after five seconds, also while the server is restarted.
AGAIN_SECONDS = 8
QUERY = """
SELECT 'slot', coalesce(s.wal_status, 'reserved'), s.active,
       pg_wal_lsn_diff(pg_current_wal_lsn(), r.sent_lsn)::bigint
  FROM (SELECT 1) AS one
  LEFT JOIN pg_replication_slots s ON s.slot_name = '{slot}'
  LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid
 WHERE s.slot_name IS NOT NULL
 UNION ALL SELECT 'server', NULL, NULL, NULL
"""
SCRIPT = """
if {healthy}; then echo receiving; fi
df -Pk {home} | awk 'NR == 2 {{ print "free", $4 }}'
address=$(sed -n 's/^conninfo = //p' {conf})
HOME={home} PGCONNECT_TIMEOUT=5 timeout 15 psql -qXAtw -v ON_ERROR_STOP=1 -F ' ' "$address" <<'SQL'
{query};
SQL
"""
# What `docker exec` says of a container that is not there, or does not run.
ABSENT = (
    *("no such container", "is not running", "is restarting", "is paused"),
    "does not exist",  # the user of a host
)
ROOM_KB = 2 * 16 * 1024  # two segments of WAL of the usual size

REPAIR = "The job pitr repairs it, and is started now."


@dataclass(frozen=True)
class Target:
    """Where the engine is, seen from the control node."""

    container: str  # or the service of a host
    slot: str
    on_host: bool = False
    connection: tuple[str, ...] = ()  # a program that runs the words of a shell elsewhere: ssh
    become: tuple[str, ...] = ()
    archive: str = ""  # of a host

    @property
    def title(self) -> str:
        """The engine, for people."""
        return f"service {self.container}" if self.on_host else f"container {self.container}"

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Target:
        """Return the target that the role wrote."""
        return cls(
            container=str(options["container"]),
            slot=str(options["slot"]),
            on_host=bool(options.get("on_host")),
            archive=str(options.get("archive") or ""),
            connection=tuple(map(str, options.get("connection") or ())),
            become=tuple(map(str, options.get("become") or ())),
        )

    def command(self) -> list[str]:
        """Return the command of a look."""
        home = host_home(self.container, archive=self.archive) if self.on_host else container.INSIDE
        script = SCRIPT.format(
            healthy=home.healthy,
            home=home.home,
            conf=home.conf,
            query=QUERY.strip().format(slot=self.slot),
        )
        enter = (
            ["runuser", "-u", home.user, "--"]
            if self.on_host
            else ["docker", "exec", "--user", home.user, self.container]
        )
        words = [*enter, "sh", "-c", script]
        words = [*self.become, *words]
        return [*self.connection, shlex.join(words)] if self.connection else words


def ask(command: Sequence[str]) -> Answer:
    """Run the command of a look."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(124, "", f"no answer within {SECONDS} s")
    except OSError as exc:
        return Answer(127, "", f"{command[0]}: {exc.strerror}")
    return Answer(done.returncode, done.stdout, done.stderr)


def look(
    target: Target,
    asked: Callable[[Sequence[str]], Answer] = ask,
    sleep: Callable[[float], None] = time.sleep,
) -> Seen:
    """Return what is seen. What may pass by itself is looked at twice before it is a problem."""
    seen = judge(asked(target.command()), target)
    if seen.problem is None or seen.problem.code in SLOT_GONE:
        return seen
    sleep(AGAIN_SECONDS)
    return judge(asked(target.command()), target)


def judge(answer: Answer, target: Target) -> Seen:
    """Return what an answer says."""
    lines = {words[0]: words[1:] for line in answer.output.splitlines() if (words := line.split())}
    slot, active, lag = [*lines.get("slot", ()), None, None, None][:3]
    seen = Seen(None, slot, int(lag) if lag else None)
    problem = _problem(answer, lines, slot, active == "t", target)
    return Seen(problem, seen.slot, seen.lag_bytes) if problem else seen


def _problem(
    answer: Answer, lines: Mapping[str, list[str]], slot: str | None, active: bool, target: Target
) -> OpsError | None:
    said = " ".join(answer.errors.split())[-300:]
    if "free" not in lines:
        if any(each in said.lower() for each in ABSENT):
            return OpsError(
                f"{target.title.capitalize()}, which receives the WAL, does not run.",
                f"{REPAIR} By hand: pms-ops pitr enable",
                code="pitr.not-running",
            )
        return OpsError(
            f"The engine of continuous protection cannot be asked: {said or answer.status}.",
            "Its message names the cause. The watch needs the docker command where the database"
            " is, and for another machine a key that ssh takes without a question.",
            code="pitr.watch-unanswered",
        )
    if "server" not in lines:
        return OpsError(
            f"The database's server does not answer the watch: {said}",
            "Start it, or see docs/DR_PLAYBOOK.md, scenario 1. The receiver follows by itself.",
            code="pitr.server-down",
        )
    if slot is None:
        return OpsError(
            "The server has no slot for the receiver.",
            f"{REPAIR} By hand: pms-ops pitr maintain",
            code="pitr.slot-missing",
        )
    if slot == "lost":
        return OpsError(
            "The slot is lost: the receiver was away for longer than the server keeps WAL.",
            f"{REPAIR} By hand: pms-ops pitr maintain",
            code="pitr.slot-lost",
        )
    if int(lines["free"][0]) < ROOM_KB:
        return OpsError(
            "The disk of the archive is full: what is committed now is not received.",
            "Give the archive's volume more room, or delete older moments: a smaller"
            " pitr_window_days, then pms-ops pitr expire.",
            code="pitr.archive-full",
        )
    if "receiving" not in lines or not active:
        return OpsError(
            "No receiver streams: what is committed now is not protected.",
            f"{REPAIR} The log of {target.title} names the cause.",
            code="pitr.not-streaming",
        )
    return None
