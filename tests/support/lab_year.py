# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""An invented year of a fund, made by running pms-ops on a lab, and its export for an auditor.

    python -m tests.support.lab_year FOLDER        # the exports, and the id of the ledger's key

Everything is run as a person runs it, by scripts/pms-ops. Only the clock is invented: it is set to
each event of the year and runs on from there, for the control node, the managed host (the same
machine) and each service of the lab alike. restic asks no libc for the time, so it is told it.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import PROJECT
from tests.support.pausing import pause
from tests.support.shifted_clock import ShiftedClock
from tests.support.sites import restic
from tests.support.time_stamping import Authority

DATABASE = "macro_trading"
SINCE, UNTIL = "2025-11-01", "2026-10-31"
LONGEST_SECONDS = 1500
BEGINS = datetime(2025, 10, 31, 12, 0, tzinfo=UTC)
WHOLE, SHORT, EVENTS = "whole", "short", "events"
RUNS = {
    WHOLE: "a go-live each month",
    SHORT: "four go-lives, and else a backup and a drill each month",
    EVENTS: "two go-lives whatever they find, as on a busy machine, and what else is special",
}
# restic of Go: its snapshots are told the time of the shifted clock.
RESTIC = """#!/bin/sh
words=$# told=
while [ $words -gt 0 ]; do
    word=$1
    shift
    set -- "$@" "$word"
    if [ "$word" = backup ] && [ -z "$told" ]; then
        told=$(LD_PRELOAD="{clock}/clock.so" PMS_TEST_CLOCK="{clock}/offset" date '+%F %T')
        set -- "$@" --time "$told"
    fi
    words=$((words - 1))
done
exec "{program}" "$@"
"""
# The site of September is a folder, and a folder lets its writer delete.
DELETABLE = {
    "check": "backup.offsite_immutable",
    "who": "Maria Silva",
    "role": "risk officer",
    "when": "2026-08-31",
    "until": "2026-10-31",
    "why": "The site's file system keeps snapshots that no login of the fund reaches.",
}
# Grafana, and what nobody can tell without it: that would be no go as well.
WAIVED = (
    *("infra.container.grafana", "monitoring.grafana", "config.ports.grafana"),
    *("monitoring.dashboards", "monitoring.datasource"),
)
PIPELINE_SECONDS = 600
ENDED = ("SUCCESS", "FAILURE", "CANCELED")
LAUNCH = """mutation { launchRun(executionParams: {selector: {
    repositoryLocationName: "macro_trading", repositoryName: "__repository__",
    jobName: "daily_pipeline"}}) { __typename } }"""
# What a lab's person would have attested; each has to be renewed.
ATTESTED = {
    "config.risk_limits.reviewed": ("Maria Silva", "risk officer", "Reviewed the five limits."),
    "backup.dr_playbook": ("Carla Souza", "operations", "Walked through the playbook."),
    "monitoring.alert_rules": ("Carla Souza", "operations", "Saw each of the ten rules fire."),
    "monitoring.alert_channels": ("Carla Souza", "operations", "The test alert arrived."),
}
JOBS = [
    {"name": "golive", "title": "The monthly check of the whole system", "playbook": "golive.yml"},
    {"name": "backup", "title": "The monthly backup", "playbook": "playbooks/backup.yml"},
    {"name": "drill", "title": "The monthly restore drill", "playbook": "playbooks/drill.yml"},
]
# The gate needs a year of prices and of returns; what is older, of the rest, would only cost time.
TRIM = """
SELECT format('SELECT drop_chunks(%L, %L::%s)', h.hypertable_name,
    CASE WHEN h.hypertable_name = 'market_data' THEN '2024-09-01' ELSE '2025-08-01' END,
    d.column_type)
FROM timescaledb_information.hypertables h
JOIN timescaledb_information.dimensions d USING (hypertable_schema, hypertable_name)
WHERE h.hypertable_name IN ('market_data', 'curves', 'vol_surfaces', 'signals', 'strategy_signals',
    'flow_data', 'portfolio_state') \\gexec
"""


class Year:
    """A lab, its clock, and what is done to it."""

    def __init__(self, folder: Path, instance: str = "year", runs: str = WHOLE) -> None:
        """*runs*: which of the schedule's runs there are, see RUNS."""
        self.folder = folder
        self.instance = instance
        self.runs = runs
        self.lab = PROJECT / f".lab-{instance}"
        folder.mkdir(parents=True, exist_ok=True)
        self.variables: dict[str, Any] = {}
        known = folder / "year.json"
        if known.exists():  # a year that was begun
            self.variables = json.loads(known.read_text())
        self.clock = ShiftedClock(folder / "clock", None if self.variables else BEGINS)
        self.environment = {
            **self.clock.environment,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PMS_LAB_INSTANCE": instance,
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_NOCOLOR": "1",
            "XDG_STATE_HOME": str(folder / "state"),
        }
        self.times: list[tuple[str, str, float]] = []
        self.authority = Authority(
            folder / "authority", days=900, port=self._port(), environment=self.clock.environment
        )
        self.waivers: list[dict[str, str]] = []
        # What a later month needs of an earlier one
        self.known: dict[str, str] = {}
        self.proof = 0

    def _port(self) -> int:
        """Return the port of the time stamping authority, which the inventory names."""
        anchors = self.variables.get("evidence_anchors", [])
        return int(anchors[0]["url"].rstrip("/").rpartition(":")[2]) if anchors else 0

    # ------------------------------------------------------------------------------ the machinery

    def run(self, *words: str, status: int | None = 0) -> str:
        """Run a command under the clock; return what it said."""
        began, at = time.monotonic(), self.clock.now()
        done = subprocess.run(
            ["nice", "-n", "5", *words],
            cwd=PROJECT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
        seconds = time.monotonic() - began
        said = done.stdout + done.stderr
        shown = " ".join(Path(words[0]).name if not n else each for n, each in enumerate(words))
        self.times.append((f"{at:%Y-%m-%d %H:%M}", shown, seconds))
        with (self.folder / "year.log").open("a") as log:
            log.write(f"\n=== {at:%Y-%m-%d %H:%M:%S} {shown}: {done.returncode}, {seconds:.0f} s\n")
            log.write(said)
        print(f"{at:%Y-%m-%d %H:%M} {seconds:5.0f} s  {done.returncode}  {shown[:110]}", flush=True)
        assert status is None or done.returncode == status, f"{shown}\n{said[-4000:]}"
        return said

    def ops(self, *words: str, status: int | None = 0) -> str:
        """Run pms-ops as a person does."""
        more = ["-e", f"@{self.folder / 'year.json'}"]
        return self.run(str(PROJECT / "scripts/pms-ops"), *words, *more, status=status)

    def play(self, name: str, *more: str) -> str:
        """Run a playbook that pms-ops has no command for."""
        playbook = str(Path(sys.executable).with_name("ansible-playbook"))
        variables = ["-e", f"@{self.folder / 'year.json'}"]
        return self.run(playbook, f"playbooks/{name}.yml", *variables, *more)

    def psql(self, statement: str, *, user: str = "postgres", more: tuple[str, ...] = ()) -> str:
        """Run SQL in the lab's database."""
        container = f"macro_timescaledb_{self.instance}"
        psql = ("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-U", user, "-d", DATABASE)
        done = subprocess.run(
            ["docker", "exec", "-i", "-u", "postgres", container, *psql, *more],
            input=statement,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _ask_pms(self, path: str) -> None:
        """Have the PMS do something, as its scheduler does."""
        port = yaml.safe_load((self.lab / "state.yml").read_text())["ports"]["api"]
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v1/pms/{path}",
            method="POST",
            data=b"{}",
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(asked, timeout=LONGEST_SECONDS):  # noqa: S310
            pass

    def _dagster(self, query: str) -> Any:
        """Ask Dagster; None where it does not answer, as after a jump of its clock."""
        port = yaml.safe_load((self.lab / "state.yml").read_text())["ports"]["dagster"]
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/graphql",
            method="POST",
            data=json.dumps({"query": query}).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310
                return json.load(answer)["data"]
        except (OSError, ValueError):
            return None

    def _await_pipeline(self) -> None:
        """Wait for the runs that Dagster makes up for; one that failed is started again.

        On a busy machine it gives up what did not start within three minutes. A run that was
        starting when a swap stopped Dagster says so for ever: what is older than a day does not
        count.
        """
        until = time.monotonic() + PIPELINE_SECONDS
        newest = ""
        while time.monotonic() < until and newest != "SUCCESS":
            time.sleep(3)
            found = self._dagster(
                "{ runsOrError(limit: 5) { ... on Runs { results { status updateTime } } } }"
            )
            since = (self.clock.now() - timedelta(days=1)).timestamp()
            runs = [
                each["status"]
                for each in (found["runsOrError"]["results"] if found else [])
                if (each["updateTime"] or 0) > since
            ]
            if not runs or any(each not in ENDED for each in runs):
                continue
            newest = runs[0]
            if newest != "SUCCESS":
                self._dagster(LAUNCH)
        assert newest == "SUCCESS", newest

    def _was_busy(self) -> bool:
        """Tell whether the newest run has no blocker but those that the machine had no time for."""
        line = self.last_line("gate")["record"]
        path = self.lab / "evidence" / line["run"] / "record.json"
        results = {each["id"]: each for each in json.loads(path.read_text())["results"]}
        return bool(line["blocking"]) and all(
            "the host is busy" in str(results[each]["finding"]) for each in line["blocking"]
        )

    def docker(self, *words: str) -> None:
        """Do something to the lab's containers."""
        subprocess.run(["docker", *words], check=True, capture_output=True, timeout=120)

    def at(self, text: str) -> None:
        """Go to a moment of the year, in São Paulo's time; the lab's data come along.

        A clock never goes back: on a slow machine what came before may end after that moment.
        """
        moment = datetime.fromisoformat(f"{text}-03:00")
        if moment > self.clock.now():
            self.clock.set(moment)
        self._top_up(moment.date())
        self._attest(moment.date(), self.waivers)

    def _top_up(self, today: date) -> None:
        """Add the market data of the days since: the business of another system than pms-ops."""
        code = (
            "from ansible.module_utils.pmsops.common import exchange_calendar as c\n"
            "import datetime\n"
            f"print(c.previous_business_day(datetime.date.fromisoformat('{today}')))"
        )
        done = subprocess.run(
            [sys.executable, "-c", f"import tests.conftest\n{code}"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        )
        as_of = done.stdout.strip()
        reach = self.psql("""SELECT max("timestamp" AT TIME ZONE 'UTC')::date FROM market_data""")
        if reach >= as_of:
            return
        given = ("--single-transaction", "-v", f"as_of={as_of}", "-v", f"reach={reach}")
        script = (PROJECT / "roles/lab/files/sql/topup.sql").read_text()
        self.psql(
            script, user="macro_user", more=(*given, "-v", f"scale={self.variables['lab_scale']}")
        )

    def _attest(self, today: date, waivers: list[dict[str, str]]) -> None:
        when = str(today - timedelta(days=2))
        attested = [
            {"check": check, "who": who, "role": role, "when": when, "why": why}
            for check, (who, role, why) in ATTESTED.items()
        ]
        document = {"attestations": attested, "waivers": waivers}
        (self.folder / "attestations.yml").write_text(yaml.safe_dump(document, sort_keys=False))

    def write_variables(self, **more: Any) -> None:
        """Write the inventory's variables of this year."""
        self.variables |= more
        (self.folder / "year.json").write_text(json.dumps(self.variables, indent=1))

    def last_line(self, kind: str) -> dict[str, Any]:
        """Return the newest line of a kind."""
        text = (self.lab / "evidence/ledger.jsonl").read_text()
        lines = [json.loads(each) for each in text.splitlines()]
        return [each for each in lines if each["kind"] == kind][-1]

    def newest_set(self) -> Path:
        """Return the folder of the newest set."""
        return sorted((self.lab / "backups").glob("20*_*[0-9]"))[-1]

    def approved(self, act: Callable[[int], str], key: str) -> str:
        """Order something, let a second person approve the plan, and order it again."""
        stopped = act(1)
        found = re.search(r"approve ([0-9a-f]{64})", re.sub(r"\s+", " ", stopped))
        assert found, stopped
        self.clock.set(self.clock.now() + timedelta(minutes=7))
        self.ops(
            "approve", found[1], "--key", str(self.folder / f"{key}.key"), "--confirm", DATABASE
        )
        self.clock.set(self.clock.now() + timedelta(minutes=2))
        return act(0)

    def deficiency(self, title: str, owner: str, due: str, finding: str) -> str:
        """Open a deficiency; return its name."""
        said = self.ops(
            *("deficiency", "open", "--title", title, "--owner", owner, "--due", due),
            *("--finding", finding, "--by", "Maria Silva"),
        )
        assert "D-" in said
        return str(self.last_line("deficiency")["record"]["id"])

    # ------------------------------------------------------------------------------ the year

    def start(self) -> None:
        """Start the lab, before the year begins."""
        program = restic(self.folder)
        wrapper = self.folder / "restic.sh"
        wrapper.write_text(RESTIC.format(program=program, clock=self.clock.folder))
        wrapper.chmod(0o755)
        common = {"days": "month_start", "at": ["07:30"], "timeout_minutes": 120}
        self.write_variables(
            lab_clock_dir=str(self.clock.folder),
            lab_scale=0.05,
            backup_other_databases=[],
            backup_keep_last=3,
            backup_keep_daily=1,
            backup_keep_weekly=1,
            backup_keep_monthly=4,
            pms_keys_dir=str(self.folder / "keys"),
            restore_second_person=True,
            restore_operator="Carla Souza",
            golive_attestations=str(self.folder / "attestations.yml"),
            golive_offsite_sites=1,
            evidence_anchors=[
                {
                    "name": "tsa",
                    "type": "rfc3161",
                    "url": self.authority.url,
                    "ca_file": str(self.authority.ca_file),
                },
                {"name": "vault", "type": "file", "path": str(self.folder / "vault/heads.jsonl")},
            ],
            evidence_anchor_window=24 * 40,
            offsite_restic=str(wrapper),
            schedule_without_timers=True,
            schedule_unit_dir=str(self.folder / "units"),
            schedule_config_dir=str(self.folder / "schedule"),
            schedule_state_dir=str(self.folder / "schedule/state"),
            schedule_jobs=[common | each for each in JOBS[self.runs != WHOLE :]],
        )
        for name in ("vault", "units"):
            (self.folder / name).mkdir(exist_ok=True)
        self.play("lab")
        self.psql(TRIM)
        approvers = [
            {"name": person, "public_key": self._new_key(name)}
            for name, person in (("ana", "Ana Lima"), ("bruno", "Bruno Reis"))
        ]
        self.write_variables(restore_approvers=approvers)
        self._attest(BEGINS.date(), [])
        self.play("schedule")
        # The gate expects that a head has left the machine: the end of this run sees to that.
        self.ops("backup")

    def _new_key(self, name: str) -> str:
        key = self.folder / f"{name}.key"
        said = self.ops("approve", "--new-key", "--key", str(key))
        found = re.search(r"public_key: ([\w+/=]{44})", said)
        assert found, said
        return found[1]

    def go_live(
        self,
        text: str,
        *more: str,
        status: int | None = 0,
        special: bool = False,
        signed: bool = False,
    ) -> None:
        """Do what is due on the first business day of a month; a go-live does all of it.

        *special*: the year tells something of this go-live; *signed*: by a person, or with a
        waiver.
        """
        self.at(f"{text}T07:31:00")
        if signed or self.runs == WHOLE or (special and self.runs == SHORT):
            # The PMS's own work of the days since, without which today's book would change when the
            # gate's test trade is marked.
            for path in ("pipeline/trigger", "morning-pack/generate"):
                self._ask_pms(path)
            if self.runs == EVENTS:
                self.ops("golive", *more, status=None)
                return
            self._await_pipeline()
            said = self.ops("golive", *more, status=None if status == 0 else status)
            if status == 0 and "NO-GO" in said.upper():
                assert self._was_busy(), said[-4000:]
                self.ops("golive", *more)  # as a person would, once the machine has time
        elif self.runs == SHORT:
            self.ops("backup")
            self.ops("drill")

    def sign(self, *persons: tuple[str, str]) -> None:
        """Sign the newest run."""
        for role, name in persons:
            self.ops("signoff", "--role", role, "--by", name)

    def run_year(self) -> None:
        """Do what happened in the year, in its order."""
        for part in (
            self.start,
            self.november,
            self.december,
            self.january,
            self.february,
            self.march,
            self.april,
            self.may,
            self.july,
            self.august,
            self.september,
            self.october,
        ):
            done = self.folder / f"{part.__name__}.done"
            if not done.exists():
                part()
                done.write_text(json.dumps(self.known))
            self.known = json.loads(done.read_text())

    def november(self) -> None:
        """A go-live that is signed; a deficiency that stays for long."""
        self.go_live("2025-11-03", signed=True)
        self.sign(("portfolio manager", "Pedro Alves"), ("risk officer", "Maria Silva"))
        self.at("2025-11-14T15:00:00")
        self.known["far"] = self.deficiency(
            "No copy of the sets is on another site",
            "Carla Souza",
            "2026-03-31",
            "All sets are on the disk of the machine that they protect.",
        )

    def december(self) -> None:
        """A hold."""
        self.go_live("2025-12-01")
        self.at("2025-12-15T10:00:00")
        self.known["held"] = self.newest_set().name
        self.ops("hold", self.known["held"], "--reason", "annual audit of 2025")

    def january(self) -> None:
        """A new key."""
        self.go_live("2026-01-02")
        self.at("2026-01-20T14:00:00")
        self.ops("ledger", "rotate-key")

    def february(self) -> None:
        """A waiver; Redis stops."""
        grafana = f"macro_grafana_{self.instance}"
        pause(grafana)
        self.at("2026-02-02T07:20:00")
        waiver = {
            "who": "Maria Silva",
            "role": "risk officer",
            "when": "2026-01-30",
            "until": "2026-02-13",
            "why": "Grafana moves to another machine; the desk reads the PMS itself.",
        }
        self.waivers = [{"check": check, **waiver} for check in WAIVED]
        self.go_live("2026-02-02", signed=True)
        self.waivers = []
        self.docker("unpause", grafana)
        self.at("2026-02-18T11:20:00")
        self.docker("stop", f"macro_redis_{self.instance}")
        self.ops("dr", "redis")

    def march(self) -> None:
        """A restore that a second person approves, and its rollback."""
        self.go_live("2026-03-02")
        self.at("2026-03-16T19:00:00")
        name = self.newest_set().name

        def restore(status: int) -> str:
            return self.ops(
                *("restore", name, "--confirm", DATABASE, "-e", "restore_always=true"),
                *("-e", "ticket=CHG-1042"),
                status=status,
            )

        self.approved(restore, "ana")
        self.at("2026-03-17T18:00:00")
        self.approved(
            lambda status: self.ops(
                "rollback", "--confirm", DATABASE, "-e", "ticket=CHG-1043", status=status
            ),
            "bruno",
        )

    def april(self) -> None:
        """A no-go; a drill that fails."""
        # No drill at all: the gate does not know, and that is no go.
        self.go_live("2026-04-01", "-e", '{"golive_drill": false}', status=1, special=True)
        self.at("2026-04-02T15:00:00")
        damaged = sorted(next(self.newest_set().glob("*.pgdump")).glob("*.dat*"))[-1]
        damaged.write_bytes(damaged.read_bytes()[:-7])
        self.ops("drill", status=1)
        self.known["bad"] = self.deficiency(
            "The newest set could not be restored",
            "Carla Souza",
            "2026-05-15",
            "The drill of 2 April found a file that is shorter than its manifest says.",
        )

    def may(self) -> None:
        """The damaged set is replaced."""
        self.at("2026-05-04T07:29:30")  # May's drill, and none that makes up for April's
        self.ops("dr", "bad_backup")
        line = self.last_line("drill")["seq"]  # of the set that takes its place
        self.ops(
            "deficiency", "close", self.known["bad"], "--record", str(line), "--by", "Carla Souza"
        )
        self.go_live("2026-05-04")

    def july(self) -> None:
        """June was missed; the database loses a table, and its restore is approved."""
        # June: the machine that runs the schedule was off; nobody noticed. No head of the ledger
        # has left the machine since then, which would be no go.
        self.at("2026-07-01T07:20:00")
        self.ops("ledger", "anchor")
        self.go_live("2026-07-01")
        self.at("2026-07-15T16:40:00")
        self.psql("DROP TABLE daily_briefings CASCADE")

        def recover(status: int) -> str:
            return self.ops("dr", "database", "--confirm", DATABASE, status=status)

        self.approved(recover, "ana")

    def august(self) -> None:
        """A deficiency that is overdue at the end."""
        self.go_live("2026-08-03")
        self.at("2026-08-20T10:00:00")
        self.deficiency(
            "Nobody has tried to log in to the PMS after a restore on another machine",
            "Pedro Alves",
            "2026-09-30",
            "The drills restore beside the live database, on the same machine.",
        )

    def september(self) -> None:
        """A site for copies, which remedies the deficiency of November."""
        self.at("2026-09-01T06:00:00")
        password = self.folder / "site.password"
        password.touch(mode=0o600)
        password.write_text("a password of the invented year\n")
        self.write_variables(
            offsite_repositories=[
                {"name": "second", "url": str(self.folder / "site"), "password_file": str(password)}
            ],
            # Those of a site are run by hand: the schedule of this year has three jobs.
            schedule_offsite_jobs=[],
        )
        self.ops("offsite", "init")
        self.ops("offsite", "upload")
        self.waivers = [DELETABLE]
        self.go_live_with_site("2026-09-01", special=True)
        shown = ("--record", str(self.proof), "--by", "Carla Souza")
        self.ops("deficiency", "close", self.known["far"], *shown)

    def october(self) -> None:
        """The hold is lifted."""
        if self.runs != EVENTS:
            self.waivers = [DELETABLE]
            self.go_live_with_site("2026-10-01")
        self.waivers = []
        self.at("2026-10-20T10:00:00")
        self.ops("hold", self.known["held"], "--lift")

    def go_live_with_site(self, day: str, *, special: bool = False) -> None:
        """Do what the schedule of a site would have done, and what is due besides."""
        self.at(f"{day}T07:20:00")
        # No site that is a folder says its time: a clock that jumped stops each act until somebody
        # says that it is right.
        self.ops("offsite", "accept", "--reason", "the clock of this year is invented")
        for act in ("check", "try", "prove"):
            self.ops("offsite", act)
        self.proof = self.last_line("offsite")["seq"]
        self.go_live(day, special=special)

    def export(self) -> list[Path]:
        """Write the exports, some days after the year."""
        self.at("2026-11-03T09:00:00")
        self.ops("ledger", "verify", "--anchors")
        for lang in ("en", "pt"):
            self.ops("evidence", "export", "--since", SINCE, "--until", UNTIL, "--lang", lang)
        return sorted((self.lab / "evidence/exports").glob("*.zip"))

    @property
    def key(self) -> str:
        """Return the id of the key that signs the ledger."""
        return str(self.last_signature()["key"])

    @property
    def approvers(self) -> list[str]:
        """Return the ids of the keys of those who may approve, as they would tell an auditor."""
        given = [each["public_key"] for each in self.variables["restore_approvers"]]
        return [hashlib.sha256(base64.b64decode(each)).hexdigest() for each in given]

    def last_signature(self) -> dict[str, Any]:
        """Return the signature of the last line."""
        lines = (self.lab / "evidence/ledger.jsonl").read_text().splitlines()
        return dict(json.loads(lines[-1])["signature"])

    def end(self) -> None:
        """Remove the lab."""
        self.authority.stop()
        if (self.folder / "year.json").exists():
            self.play("lab_down")
        shutil.rmtree(self.lab, ignore_errors=True)


def main() -> None:
    """Make a year, and put its exports into a folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="the exports, and what the year needs (work/)")
    help_of_runs = "; ".join(f"{name}: {text}" for name, text in RUNS.items())
    parser.add_argument("--runs", choices=RUNS, default=WHOLE, help=help_of_runs)
    parser.add_argument("--keep", action="store_true", help="leave the lab")
    arguments = parser.parse_args()
    year = Year(arguments.folder.resolve() / "work", runs=arguments.runs)
    try:
        year.run_year()
        for path in year.export():
            shutil.copy2(path, arguments.folder)
        print(f"key of the ledger: {year.key}")
        print(f"keys of those who may approve: {' '.join(year.approvers)}")
    finally:
        if not arguments.keep:
            year.end()


if __name__ == "__main__":
    main()
