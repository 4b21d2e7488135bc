# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A fleet of systems that only SSH reaches: an sshd in a container for each, one database server.

Their Python environment is made on one of them, as `prepare` does it, in a folder that all share.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support import delaying_proxy, ssh_host
from tests.support.server import Server, free_port

PROJECT = Path(__file__).resolve().parents[2]
SECONDS = 1200
ROOT = "/var/lib/pms"  # of each host's evidence and sets
SMALL = ("--tmpfs", f"{ROOT}:size=2m")
# Reads alone: the checklist without its backup, drill and trade.
READ_ONLY = (
    *("-e", "golive_smoke_test=false", "-e", "golive_backup=false"),
    *("-e", "golive_drill=false"),
)


@dataclass
class Remote:
    """The fleet, and the front door to it."""

    home: Path
    short: Path  # a folder whose path leaves room for the name of a socket
    hosts: dict[str, ssh_host.SshHost]
    values: dict[str, dict[str, Any]]
    more: dict[str, str] = field(default_factory=dict)  # of the environment

    @property
    def inventory(self) -> Path:
        """Return the folder of the inventory."""
        return self.home / "funds"

    def write(self) -> None:
        """Write the inventory: hosts with their connections, and the variables of each."""
        lines = ["pms:", "  hosts:"]
        for name, host in self.hosts.items():
            lines += [f"    {name}:", host.inventory_lines().rstrip()]
        self.inventory.mkdir(exist_ok=True)
        (self.inventory / "hosts.yml").write_text("\n".join(lines) + "\n")
        for name, values in self.values.items():
            place = self.inventory / "host_vars" / name
            place.mkdir(parents=True, exist_ok=True)
            (place / "pms.yml").write_text(yaml.safe_dump(values))

    def environment(self) -> dict[str, str]:
        """Return the environment of an operator with a home of its own."""
        return {
            **os.environ,
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.short / "cp"),
            "PYTHONPATH": str(PROJECT),
            **self.more,
        }

    def command(self, *words: str) -> list[str]:
        """Return a command of the front door."""
        return [sys.executable, "-P", "-m", "pmsops_cli", "-i", str(self.inventory), *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the front door to its end."""
        return subprocess.run(
            self.command(*words),
            cwd=self.home,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    def hang_up(self) -> None:
        """End the kept connections, so that the next run makes its own."""
        for path in (self.short / "cp").glob("*"):
            subprocess.run(
                ["ssh", "-o", f"ControlPath={path}", "-O", "exit", "x"], capture_output=True
            )

    @contextmanager
    def frozen_after(self, name: str, words: str) -> Iterator[None]:
        """Stop all processes of a host once the log of a run has *words*; go on at the end."""
        ended = threading.Event()
        watch = threading.Thread(target=self._freeze, args=(name, words, ended, time.time()))
        watch.start()
        try:
            yield
        finally:
            ended.set()
            watch.join()
            self._signal(name, "CONT")

    def _freeze(self, name: str, words: str, ended: threading.Event, since: float) -> None:
        runs = self.home / "state" / "pms-ops" / "runs"
        while not ended.wait(0.05):
            for log in runs.glob("*.log"):
                if log.stat().st_mtime >= since and words in log.read_text(errors="replace"):
                    self._signal(name, "STOP")
                    return

    def _signal(self, name: str, signal: str) -> None:
        """Send a signal to all processes of a host; not every engine can pause one."""
        found = subprocess.run(
            ["docker", "top", self.hosts[name].container, "-eo", "pid"],
            capture_output=True,
            text=True,
            check=True,
        )
        subprocess.run(["kill", f"-{signal}", *found.stdout.split()[1:]], check=True)

    def give_vault(self, name: str, *, wrong: bool) -> None:
        """Give a system a vault; with a wrong password it does not open."""
        place = self.inventory / "host_vars" / name / "vault.yml"
        file = self.home / "config" / "pms-ops" / "vault" / f"{self.inventory.name}.{name}.pass"
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.write_text("right\n")
        place.write_text("vault_pms_db_password: x\n")
        subprocess.run(
            [
                *(Path(sys.executable).with_name("ansible-vault"), "encrypt", "--vault-id"),
                *(f"{self.inventory.name}.{name}@{file}", place),
            ],
            check=True,
            capture_output=True,
        )
        if wrong:
            file.write_text("wrong\n")

    def ended_at(self, name: str) -> float:
        """Return when a host's newest go-live was recorded, as a time of the clock."""
        return float(
            self.hosts[name].run("stat", "-Lc", "%Y", f"{ROOT}/evidence/latest/record.json")
        )


@contextmanager
def running(
    server: Server,
    count: int,
    *,
    small: frozenset[str] = frozenset(),
    tools: Path | None = None,
) -> Iterator[Remote]:
    """Run *count* hosts, each with a database of its own; *small* have a small disk.

    *tools* is a folder bin of PostgreSQL's client tools (support.client_tools): with it they can
    make and restore sets.
    """
    mounts = ("--volume", f"{tools.parent}:{tools.parent}:ro") if tools else ()
    names = [f"fund{number:02}" for number in range(count)]
    with ExitStack() as stack:
        short = Path(tempfile.mkdtemp(prefix="pmsf-"))
        stack.callback(shutil.rmtree, short, ignore_errors=True)
        shared = short / "opt"
        shared.mkdir(exist_ok=True)
        hosts, values = {}, {}
        for name in names:
            (short / name).mkdir()
            hosts[name] = stack.enter_context(
                ssh_host.running(
                    short / name, shared, options=(*mounts, *(SMALL if name in small else ()))
                )
            )
            database = f"{name}_{short.name[-8:].lower()}"
            server.create(database, timescaledb=False)
            stack.callback(server.drop, database)
            server.psql("SET ROLE macro_user; CREATE TABLE holdings AS SELECT 1 AS id;", database)
            values[name] = {
                "ansible_python_interpreter": f"{shared}/pms-ops/venv/bin/python",
                "remote_dir": f"{shared}/pms-ops",
                "pms_db_access": "host",
                "pms_db_host": "127.0.0.1",
                "pms_db_bin_dir": str(tools or ""),
                "pms_db_port": server.port,
                "pms_db_name": database,
                "pms_db_user": "pms_ops",
                "pms_db_password": server.password,
                "pms_db_tables": ["holdings"],
                "pms_api_url": "",
                "pms_services_manager": "none",
                "pms_keys_dir": "/etc/pms-ops/keys",
                "backup_root": f"{ROOT}/backups",
                "evidence_root": f"{ROOT}/evidence",
            }
        fleet = Remote(short, short, hosts, values)
        (short / "cp").mkdir(exist_ok=True)
        fleet.write()
        stack.callback(fleet.hang_up)
        done = fleet.run("-l", names[0], "prepare")
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        yield fleet


def seconds_of_each(fleet: Remote, began: float, names: list[str]) -> dict[str, float]:
    """Return after how many seconds the go-live of each was recorded."""
    return {name: fleet.ended_at(name) - began for name in names}


@contextmanager
def delayed(fleet: Remote, names: list[str], seconds: float) -> Iterator[None]:
    """Reach some hosts through a proxy that holds back each piece for *seconds* in each direction.

    It stands in for `tc netem`, which many kernels lack. What is sent while a piece is held back
    does not wait longer: the proxy adds latency and takes no bandwidth.
    """
    before = dict(fleet.hosts)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        for name in names:
            host = before[name]
            port = free_port()
            started = asyncio.run_coroutine_threadsafe(
                asyncio.start_server(delaying_proxy.through(host.port, seconds), "127.0.0.1", port),
                loop,
            )
            started.result(10)
            known = host.keys / "known_hosts"
            public = (host.keys / "host.pub").read_text()
            known.write_text(f"{known.read_text()}[127.0.0.1]:{port} {public}")
            fleet.hosts[name] = ssh_host.SshHost(host.container, port, host.keys)
        fleet.write()
        yield
    finally:
        fleet.hang_up()
        asyncio.run_coroutine_threadsafe(delaying_proxy.end_others(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        fleet.hosts.update(before)
        fleet.write()


def proportional_memory(pid: int) -> float:
    """Return the memory of a process and all that it started, in MB: what they share counts once.

    Source: proc_pid_smaps(5), Pss in /proc/pid/smaps_rollup.
    """
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended meanwhile
        parents.setdefault(parent, []).append(int(path.parent.name))
    total, wanted = 0, [pid]
    while wanted:
        each = wanted.pop()
        wanted += parents.get(each, [])
        try:
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
        except OSError:
            continue
        if match := re.search(r"^Pss: +(\d+) kB", text, re.M):
            total += int(match[1])
    return total / 1000


def table_of(done: subprocess.CompletedProcess[str]) -> dict[str, Mapping[str, Any]]:
    """Return the end of a run with --json, by system."""
    return {each["system"]: each for each in json.loads(done.stdout)["systems"]}
