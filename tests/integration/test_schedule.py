# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The units that the role installs, judged by systemd's own tools; nothing is started here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.pmsops.schedule.calendar import DAYS, ScheduledJob, calendars

from tests.conftest import PROJECT
from tests.integration.test_alerts import promtool, run  # noqa: F401 -- a fixture

STANDARD = yaml.safe_load((PROJECT / "roles/schedule/vars/main.yml").read_text("utf-8"))
# A system that is protected continuously has jobs of its own besides, and a watch.
JOBS = STANDARD["schedule_standard_jobs"] + STANDARD["schedule_pitr_jobs"]
SECRET = "T0PSECRETADDRESS"
CACHE = PROJECT / ".cache" / "systemd"
FEW = [
    {"name": "backup", "playbook": "playbooks/backup.yml", "days": "daily", "at": ["22:15"]},
    {
        "name": "odd",
        "title": 'A 100 % "odd" $job',
        "command": ["/bin/echo", "%n $HOME"],
        "days": "month_start",
        "at": ["07:00", "08:00"],
    },
]


@pytest.fixture(scope="module")
def analyze():
    """Debian's systemd-analyze, unpacked into the project's cache where it is not installed."""
    found = shutil.which("systemd-analyze")
    if found:
        return [found]
    if not shutil.which("apt-get"):
        pytest.skip("systemd-analyze is neither installed nor to be had from Debian here")
    program = CACHE / "usr" / "bin" / "systemd-analyze"
    if not program.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        packages = ["systemd", "libsystemd-shared"]
        subprocess.run(["apt-get", "download", *packages], cwd=CACHE, check=True, timeout=300)
        for package in CACHE.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, CACHE], check=True, timeout=120)
            package.unlink()
    (shared,) = {path.parent for path in CACHE.rglob("libsystemd-shared-*.so")}
    return ["env", f"LD_LIBRARY_PATH={shared}", str(program)]


def unit_path(folder: Path) -> str:
    """Return where units are looked for: ours, systemd's own out of the cache, the system's."""
    cached = [CACHE / "lib/systemd/system", CACHE / "usr/lib/systemd/system"]
    return ":".join(map(str, [folder, *cached])) + ":"


class Machine:
    """A control node in a folder: a project with stub playbooks, and where the role installs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.units, self.etc, self.state = root / "units", root / "etc", root / "state"
        self.units.mkdir(parents=True)
        self.project = root / "project"
        (self.project / "playbooks").mkdir(parents=True)
        for name in (".venv", "scripts"):
            (self.project / name).symlink_to(PROJECT / name)
        for name in [job["playbook"] for job in JOBS if "playbook" in job]:
            (self.project / name).touch()

    def play(
        self,
        *arguments: str,
        of: str = "inventory.yml",
        hosts: dict[str, dict] | None = None,
        **variables,
    ) -> str:
        """Run the playbook; *hosts* are several systems with variables of their own."""
        known = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "evidence_root": str(self.root / "evidence"),
            "backup_root": str(self.root / "backups"),
            "schedule_project": str(self.project),
            "schedule_unit_dir": str(self.units),
            "schedule_config_dir": str(self.etc),
            "schedule_state_dir": str(self.state),
            "schedule_without_timers": True,
            "notify_channels": [
                {"name": "hook", "type": "webhook", "url": f"https://hooks.example/{SECRET}"}
            ],
        }
        inventory = self.root / of
        systems = {name: known | variables | own for name, own in (hosts or {"prod": {}}).items()}
        inventory.write_text(yaml.safe_dump({"pms": {"hosts": systems}}))
        done = subprocess.run(
            [
                Path(sys.executable).with_name("ansible-playbook"),
                *("-i", inventory, PROJECT / "playbooks" / "schedule.yml", *arguments),
            ],
            cwd=PROJECT,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PIPELINING": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        self.code = done.returncode
        return done.stdout + done.stderr

    def files(self) -> dict[str, str]:
        return {
            str(path.relative_to(self.root)): path.read_text()
            for folder in (self.units, self.etc, self.state)
            for path in folder.rglob("*")
            if path.is_file()
        }


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The standard schedule, installed; tests only look at it."""
    # A folder's name may hold what a unit reads as something else.
    machine = Machine(tmp_path_factory.mktemp("standard") / "100 % of the fund's $5")
    output = machine.play("--diff", pitr_enabled=True)
    assert machine.code == 0, output
    assert SECRET not in output
    return machine


def changed(output: str) -> int:
    return int(re.search(r"changed=(\d+)", output)[1])


def test_the_units_of_the_standard_schedule_are_valid(analyze, installed):
    units = sorted(path for path in installed.units.iterdir())
    assert len(units) == 2 * len(JOBS) + 2 + 1
    done = subprocess.run(
        [*analyze, "verify", "--man=no", "--recursive-errors=no", *units],
        env={**os.environ, "SYSTEMD_UNIT_PATH": unit_path(installed.units)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = [line for line in done.stderr.splitlines() if "pms-ops" in line]
    assert (done.returncode, said) == (0, []), done.stderr


def test_secrets_are_in_one_file_that_its_user_alone_can_read(installed):
    found = [name for name, text in installed.files().items() if SECRET in text]
    assert found == ["etc/notify.json"]
    assert (installed.etc / "notify.json").stat().st_mode & 0o777 == 0o600
    assert json.loads((installed.etc / "notify.json").read_text())["state_dir"] == str(
        installed.state
    )


def test_the_standard_jobs_are_the_day_of_the_runbook():
    named = {job["playbook"] for job in JOBS if "playbook" in job}
    briefs = {str(path.relative_to(PROJECT)) for path in PROJECT.glob("playbooks/ops_*.yml")}
    assert len(briefs) == 6 and named >= briefs
    assert [path for path in sorted(named) if not (PROJECT / path).exists()] == []
    commands = [job["command"] for job in JOBS if "command" in job]
    assert all((PROJECT / command[1]).exists() for command in commands)


def fired(analyze, calendar: str, after: datetime, count: int) -> list[datetime]:
    """Return the next *count* moments of a calendar event, in UTC, as systemd computes them."""
    done = subprocess.run(
        [
            *analyze,
            "calendar",
            f"--iterations={count}",
            f"--base-time={after:%F %T} UTC",
            calendar,
        ],
        env={**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found = re.findall(r"(?:elapse|#\d+): \w{3} (\S+ \S+) UTC", done.stdout)
    return [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in found]


@pytest.mark.parametrize("days", DAYS)
def test_a_timer_fires_at_every_moment_that_a_job_is_due(analyze, days):
    options = {"name": "job", "command": ["true"], "at": ["06:00", "22:15"], "window_minutes": 1}
    job = ScheduledJob.from_options(options | {"days": days})
    start = datetime(2026, 1, 31, 12, tzinfo=UTC)
    wanted, moment = [], start
    while (moment := job.next_due(moment)) < start + timedelta(days=100):
        wanted.append(moment)
    found = {at for calendar in calendars(job) for at in fired(analyze, calendar, start, 150)}
    assert len(wanted) > 5
    assert [moment for moment in wanted if moment not in found] == []


def test_the_alert_rules_fire_when_they_should_and_only_then(promtool, installed, tmp_path):  # noqa: F811
    done = run(promtool, "check", "rules", installed.etc / "alerts.yml", cwd=tmp_path)
    assert done.returncode == 0 and f"{len(JOBS) + 5} rules found" in done.stdout, done.stderr
    shutil.copy(installed.etc / "alerts.yml", tmp_path)
    names = [job["name"] for job in JOBS]
    (tmp_path / "test.yml").write_text(yaml.safe_dump(alert_tests(names, installed)))
    done = run(promtool, "test", "rules", "test.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def alert_tests(names, installed):
    rules = yaml.safe_load((installed.etc / "alerts.yml").read_text())["groups"][0]["rules"]

    def series(name, values, **labels):
        shown = ",".join(f'{label}="{value}"' for label, value in labels.items())
        return {"series": f"{name}{{{shown}}}", "values": values}

    def raised(alert, **labels):
        known = {"severity": "critical", **labels}
        timer = labels.get("timer")
        rule = next(
            rule
            for rule in rules
            if rule["alert"] == alert and rule["labels"].get("timer", timer) == timer
        )
        said = json.dumps(rule["annotations"])
        for label, value in labels.items():
            said = said.replace("{{ $labels." + label + " }}", value)
        raised = {"exp_labels": known, "exp_annotations": json.loads(said)}
        return {"eval_time": "3h", "alertname": alert, "exp_alerts": [raised]}

    def silent(alert):
        return {"eval_time": "3h", "alertname": alert}

    deadline = "pms_schedule_deadline_timestamp_seconds"
    good = [series(deadline, f"{4 * 3600}x200", timer=name) for name in names]
    late = [series(deadline, f"{2 * 3600}x200", timer=names[0]), *good[1:]]
    late += [series("pms_schedule_last_run_success", "0x200", timer=names[1])]
    late += [series("pms_notify_undelivered", "2x200", channel="mail")]
    looked = "pms_pitr_watch_timestamp_seconds"
    good += [series(looked, "0+60x200", timer="pitr_watch")]
    good += [series("pms_pitr_watch_up", "1x200", timer="pitr_watch")]
    late += [series(looked, f"{2 * 3600}x200", timer="pitr_watch")]
    late += [series("pms_pitr_watch_up", "0x200", timer="pitr_watch")]
    return {
        "rule_files": ["alerts.yml"],
        "evaluation_interval": "10m",
        "tests": [
            {
                "interval": "1m",
                "name": "all well",
                "input_series": good,
                "alert_rule_test": [
                    silent(f"Pms{what}")
                    for what in (
                        *("ScheduleLate", "ScheduleFailed", "ScheduleMissing"),
                        *("PitrStreamBroken", "PitrWatchSilent"),
                    )
                ],
            },
            {
                "interval": "1m",
                "name": "one late, one failed, a channel that is dead",
                "input_series": late,
                "alert_rule_test": [
                    raised("PmsScheduleLate", timer=names[0]),
                    raised("PmsScheduleFailed", timer=names[1]),
                    raised("PmsNotifyUndelivered", severity="warning", channel="mail"),
                    silent("PmsScheduleMissing"),
                    *(
                        raised(alert, timer="pitr_watch")
                        for alert in ("PmsPitrStreamBroken", "PmsPitrWatchSilent")
                    ),
                ],
            },
            {
                "interval": "1m",
                "name": "one job of which nothing is reported",
                "input_series": good[1:],
                "alert_rule_test": [raised("PmsScheduleMissing", timer=names[0])],
            },
        ],
    }


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A machine of others' units on which a short schedule was planned and installed."""
    machine = Machine(tmp_path_factory.mktemp("few"))
    (machine.units / "docker.service").write_text("[Service]\n")
    (machine.units / "pms-ops-theirs.timer").write_text("[Timer]\n")
    output = machine.play("--check", "--diff", schedule_jobs=FEW)
    assert machine.code == 0 and "+OnCalendar=*-*-* 22:15:00" in output, output
    assert sorted(machine.files()) == ["units/docker.service", "units/pms-ops-theirs.timer"]
    assert changed(machine.play(schedule_jobs=FEW, pitr_enabled=True)) > 0
    return machine


def test_a_second_system_on_the_same_folders_does_not_replace_the_first_one_s_jobs(few):
    machine = few
    first = machine.files()
    output = machine.play("-e", "schedule_state=absent", of="beta.yml", schedule_jobs=FEW[:1])
    assert machine.code != 0
    assert "have the schedule of another system" in " ".join(output.split()), output
    assert machine.files() == first
    own = {
        "schedule_config_dir": str(machine.etc / "beta"),
        "schedule_state_dir": str(machine.state / "beta"),
    }
    # Folders of its own are not enough: the units would still have the first one's names.
    output = machine.play(of="beta.yml", schedule_jobs=FEW[:1], **own)
    assert machine.code != 0 and machine.files() == first
    output = machine.play(of="beta.yml", schedule_instance="beta", schedule_jobs=FEW[:1], **own)
    assert machine.code == 0, output
    both = machine.files()
    assert {name: both[name] for name in first} == first
    assert (
        "OnFailure=pms-ops-beta-notify@backup.service" in both["units/pms-ops-beta-backup.service"]
    )
    # The next test removes the first one's jobs, and looks for all that stays.
    for path in machine.units.glob("pms-ops-beta-*"):
        path.unlink()
    for folder in own.values():
        shutil.rmtree(folder)
    assert machine.files() == first


@pytest.mark.deep(
    by="tests/integration/test_schedule.py"
    "::test_a_second_system_on_the_same_folders_does_not_replace_the_first_one_s_jobs"
)
def test_each_system_of_a_fleet_has_timers_channels_and_a_record_of_its_own(tmp_path):
    machine = Machine(tmp_path)
    machine.play(schedule_jobs=FEW)
    first = machine.files()
    assert machine.code == 0 and "units/pms-ops-backup.timer" in first

    def of_system(name: str, **more) -> dict:
        return {
            "schedule_config_dir": f"{machine.etc}/{{{{ schedule_instance }}}}",
            "schedule_state_dir": f"{machine.state}/{name}",
            "pms_db_name": name,
            "backup_root": str(tmp_path / name / "backups"),
            "evidence_root": str(tmp_path / name / "evidence"),
            "notify_channels": [
                {"name": "hook", "type": "webhook", "url": f"https://hooks.example/{name}"}
            ],
        } | more

    fleet = {"prod": of_system("prod"), "fund-2": of_system("fund2", schedule_drill_host="far")}
    # Systems that are left out would lose their jobs.
    output = machine.play("--limit", "fund-2", hosts=fleet, schedule_jobs=FEW)
    assert machine.code != 0
    assert "in common. Nothing was changed" in " ".join(output.split()), output
    assert machine.files() == first
    # Nor may one write over the record of the other one.
    shared = {name: own | {"schedule_state_dir": str(machine.state)} for name, own in fleet.items()}
    output = machine.play(hosts=shared, schedule_jobs=FEW)
    assert machine.code != 0 and "for several systems" in " ".join(output.split())

    output = machine.play(hosts=fleet, schedule_jobs=FEW)
    assert machine.code == 0, output
    names = sorted(path.stem for path in machine.units.glob("*.timer"))
    assert names == [
        *("pms-ops-fund_2-backup", "pms-ops-fund_2-drill_elsewhere", "pms-ops-fund_2-odd"),
        *("pms-ops-prod-backup", "pms-ops-prod-odd"),
    ]
    assert not (machine.etc / "schedule.json").exists()
    for host, folder, other in (("prod", "prod", "fund2"), ("fund-2", "fund_2", "prod")):
        place = machine.etc / folder
        jobs = json.loads((place / "schedule.json").read_text())["jobs"]
        assert jobs[0]["command"][-3:] == ["--limit", host, "playbooks/backup.yml"]
        assert f"hooks.example/{other}" not in (place / "notify.json").read_text()
    assert changed(machine.play(hosts=fleet, schedule_jobs=FEW)) == 0
    machine.play("--limit", "fund-2", "-e", "schedule_state=absent", hosts=fleet, schedule_jobs=FEW)
    assert machine.code == 0
    assert [path.stem for path in sorted(machine.units.glob("*.timer"))] == names[3:]


def test_a_schedule_is_installed_changed_and_removed_and_nothing_else_is(analyze, few):
    machine = few
    units = sorted(machine.units.glob("pms-ops-[bnop]*"))
    assert len(units) == 2 * (len(FEW) + len(STANDARD["schedule_pitr_jobs"]) + 1) + 1
    reach = {"connection": [], "become": []}
    assert json.loads((machine.etc / "schedule.json").read_text())["watch"] == reach | {
        "container": "pms_pitr",
        "slot": "pms_pitr",
        "on_host": False,
        "archive": "",
    }
    (machine.state / "pitr_watch.json").write_text("{}")
    done = subprocess.run(
        [*analyze, "verify", "--man=no", "--recursive-errors=no", *units],
        env={**os.environ, "SYSTEMD_UNIT_PATH": unit_path(machine.units)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "pms-ops" not in done.stderr and done.returncode == 0, done.stderr
    assert changed(machine.play(schedule_jobs=FEW, pitr_enabled=True)) == 0

    # Without continuous protection there is no watch, and no alarm of an old one.
    machine.play(schedule_jobs=FEW[:1], schedule_drill_host="far")
    monthly = json.loads((machine.etc / "schedule.json").read_text())["jobs"][-1]
    assert (monthly["name"], monthly["days"]) == ("drill_elsewhere", "month_start")
    assert monthly["command"][-3:] == ["playbooks/drill.yml", "-e", "drill_host=far"]
    assert "01..10" in (machine.units / "pms-ops-drill_elsewhere.timer").read_text()
    assert not list(machine.units.glob("pms-ops-odd*"))
    assert not list(machine.units.glob("pms-ops-pitr*"))
    assert not (machine.state / "pitr_watch.json").exists()
    assert "odd" not in (machine.state / "status.json").read_text()

    (machine.etc / "theirs").touch()
    machine.play("-e", "schedule_state=absent")
    assert sorted(machine.files()) == [
        "etc/theirs",
        "units/docker.service",
        "units/pms-ops-theirs.timer",
    ]
    assert not machine.state.exists()


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        (
            {"schedule_jobs": [FEW[0] | {"playbook": "playbooks/nowhere.yml"}]},
            "has no playbooks/no",
        ),
        ({"schedule_user": "no-such-user"}, "has no user no-such-user"),
        ({"schedule_without_timers": False}, "Nothing would start the jobs"),
    ],
)
def test_a_schedule_that_could_not_run_is_refused_before_anything_is_written(
    tmp_path, variables, says
):
    machine = Machine(tmp_path)
    output = machine.play(**{"schedule_jobs": FEW} | variables)
    assert machine.code != 0 and says in " ".join(output.split()), output
    assert machine.files() == {}
