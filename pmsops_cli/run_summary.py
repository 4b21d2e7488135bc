# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The summary of a run, gathered from the events of ansible-runner."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.control.end_table import BROKEN_PROOF, Outcomes, Row, worst

from pmsops_cli.exit_status import BROKEN, FAILED, from_hosts, from_playbook

# The results that the end of a run repeats, by module and key.
FACTS = {
    "pms_backup": {"set": "set"},
    "pms_restore": {"id": "set_id", "verified": "verified"},
    "pms_swap": {"former": "former_database", "down_seconds": "down_seconds"},
    "pms_verify": {"identical": "identical", "count": "differences"},
    "pms_gate": {"verdict": "verdict", "blocking": "blocking", "counts": "counts"},
    "pms_evidence_export": {"path": "export", "key": "key", "problems": "problems"},
    "pms_evidence": {"report": "report", "run": "run"},
}
# Those that are kept by host. The others are of one system, and of several none of them is.
BY_HOST = ("status", "sets", "pages")
# In Ansible's words about a vault that no password opens, and about one without any.
NO_PASSWORD = "no vault secrets "  # noqa: S105  (no password)
# In the name of a task whose message is shown while the run goes on, too.
SAID_AT_ONCE = "Say at once"


@dataclass
class RunSummary:
    """The events of a run, summed up; a rescued failure is not a failure of the run."""

    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    task: str = ""
    host: str = ""
    progress: str = ""
    # Of what is said, what cannot wait for the end.
    at_once: list[str] = field(default_factory=list)
    # True once the task is known not to be skipped.
    at_work: bool = False
    skipped: bool = False
    changed: list[dict[str, str]] = field(default_factory=list)
    # By host, since those of several run side by side.
    said: dict[str, list[str]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    stats: dict[str, dict[str, int]] = field(default_factory=dict)
    rc: int | None = None
    signalled: bool = False
    # The playbook was ended by a signal that nobody sent through us.
    killed: bool = False
    # Names the run in the environment of all its processes.
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    outcomes: Outcomes = field(default_factory=Outcomes)
    _failures: list[dict[str, str]] = field(default_factory=list)
    _errors: list[str] = field(default_factory=list)

    def take(self, event: dict[str, Any]) -> None:
        """Add one event."""
        kind, data = event.get("event", ""), event.get("event_data") or {}
        if kind == "playbook_on_task_start":
            self.task, self.progress = data.get("name", ""), ""
            self.at_work = self.skipped = False
        elif kind == "runner_on_start":
            self.host = data.get("host", "")
        elif kind in ("verbose", "error"):
            self._say(event.get("stdout", ""))
        elif kind == "runner_on_skipped":
            self.skipped = True
        elif kind == "runner_on_ok":
            self.at_work = True
            self._ok(data)
        elif kind in ("runner_on_failed", "runner_on_unreachable"):
            self.at_work = True
            self._warned(data)
            if not data.get("ignore_errors"):
                self._failed(failures(data), unreachable=kind == "runner_on_unreachable")
        elif kind == "playbook_on_stats":
            self.stats = _stats(data)

    def _failed(self, found: list[dict[str, str]], *, unreachable: bool) -> None:
        self._failures += found
        for each in found:
            if unreachable:
                self.outcomes.unreachable(each["host"], each["what"])
            else:
                self.outcomes.failed(each["host"], each["what"], each["code"], each["remedy"])

    @property
    def messages(self) -> list[str]:
        """Return what the run said; that of several hosts below their names."""
        if len(self.said) < 2:
            return [line for said in self.said.values() for line in said]
        return [
            line
            for host in sorted(self.said)
            for line in (f"{host}:", *(f"  {each}" for each in self.said[host]))
        ]

    @property
    def status(self) -> int:
        """Return the exit status: of several systems that of the worst."""
        rows = self.rows
        found = worst(rows) if len(rows) > 1 else from_hosts(self.stats)
        status = from_playbook(self.rc, hosts=len(self.stats), found=found)
        return BROKEN if status == FAILED and len(rows) < 2 and self.broken else status

    @property
    def rows(self) -> list[Row]:
        """Return what the run came to for each system, worst first."""
        return self.outcomes.rows(self.stats)

    @property
    def failed(self) -> list[dict[str, str]]:
        """Return the failures that were not rescued."""
        bad = {
            host
            for host, counts in self.stats.items()
            if counts["failures"] or counts["unreachable"]
        }
        found = [failure for failure in self._failures if failure["host"] in bad]
        rescued = sum(self.stats[host].get("rescued", 0) for host in bad)
        return found[rescued:] or found

    @property
    def broken(self) -> bool:
        """Tell whether the gate, or the proof of a run without one, missed its negative control."""
        if "verdict" in self.facts:
            return bool(self.facts["verdict"] == "broken")
        return any(each["code"] == BROKEN_PROOF for each in self._failures)

    @property
    def locked_vault(self) -> bool:
        """Tell whether the run ended at a vault to which it had no password, or a wrong one."""
        said = [*self._errors, *(each["what"] for each in self._failures)]
        return any(NO_PASSWORD in text.lower() for text in said)

    @property
    def errors(self) -> list[str]:
        """Return the errors of Ansible itself."""
        return self._errors

    def _say(self, text: str) -> None:
        line = text.strip()
        if line.startswith(("[ERROR]", "ERROR!")):
            said = line.partition("\n")[0].removeprefix("[ERROR]:").removeprefix("ERROR!").strip()
            if not said.startswith("Task failed"):  # its event says more
                self._errors.append(said)
        elif line and text.startswith("  "):
            self.at_work, self.progress = True, line

    def _warned(self, data: dict[str, Any]) -> None:
        """Keep the warnings of our modules: Ansible's own lines of them are in the log only."""
        if not data.get("task_action", "").rpartition(".")[2].startswith("pms_"):
            return
        for warning in (data.get("res") or {}).get("warnings") or []:
            said = self.said.setdefault(data.get("host", ""), [])
            if (line := f"WARNING: {' '.join(str(warning).split())}") not in said:
                said.append(line)

    def _ok(self, data: dict[str, Any]) -> None:
        result, action = data.get("res") or {}, data.get("task_action", "")
        action = action.rpartition(".")[2]
        self.progress = ""
        self.outcomes.ok(data.get("host", ""), action, result)
        if result.get("changed"):
            self.changed.append({"host": data.get("host", ""), "task": data.get("task", "")})
        self._warned(data)
        if action == "debug" and "msg" in result:
            lines = [each for each in _lines(result["msg"]) if each not in self.at_once]
            self.said.setdefault(data.get("host", ""), []).extend(lines)
            if SAID_AT_ONCE in data.get("task", ""):
                self.at_once += lines
        if action == "pms_status" and "status" in result:
            self.facts.setdefault("status", {})[data.get("host", "")] = result["status"]
        if action == "pms_status" and "sets" in result:
            self.facts.setdefault("sets", {})[data.get("host", "")] = result["sets"]
        if action == "pms_site":
            self.facts.setdefault("pages", {})[data.get("host", "")] = {
                "path": result["path"],
                "problems": result["problems"],
            }
        if action == "pms_host" and "finished" in (result.get("done") or ()):
            self.facts["taken_over"] = result.get("moment_at") or f"set {result.get('set')}"
        for key, name in FACTS.get(action, {}).items():
            value = result.get(key)
            # Other databases of the server have lines of their own.
            of_other = action == "pms_backup" and _of_other(str(value))
            if value is not None and not (of_other and name in self.facts):
                self.facts[name] = value


def _of_other(folder: str) -> bool:
    """Tell whether a set is of another database of the server than the PMS's."""
    from ansible.module_utils.pmsops.repository import sets

    return bool(sets.other_database(Path(folder).parent))


def failures(data: dict[str, Any]) -> list[dict[str, str]]:
    """Return the failures in one task's event: the task, or the failed items of its loop."""
    result = data.get("res") or {}
    several = [each for each in result.get("results") or [] if each.get("failed")]
    return [
        {
            "host": data.get("host", ""),
            "task": data.get("task", ""),
            "what": _text(each),
            "remedy": str(each.get("remedy") or ""),
            "code": str(each.get("code") or ""),
        }
        for each in several or [result]
    ]


def _text(result: dict[str, Any]) -> str:
    hidden = "its output is hidden: it may hold a secret" if "censored" in result else ""
    text = str(result.get("msg") or hidden or "it gave no message")
    stderr = str(result.get("stderr") or "").strip()
    return f"{text} {stderr}" if stderr and stderr not in text else text


def _lines(message: Any) -> list[str]:
    whole = message if isinstance(message, list) else [message]
    # Lines of a list are a page: its empty ones part the sections.
    return [line for each in whole for line in str(each).splitlines() or [""] * (each != message)]


def _stats(data: dict[str, Any]) -> dict[str, dict[str, int]]:
    names = {
        "ok": "ok",
        "changed": "changed",
        "failures": "failures",
        "dark": "unreachable",
        "rescued": "rescued",
        "skipped": "skipped",
    }
    hosts = {host for name in names for host in data.get(name) or {}}
    return {
        host: {shown: (data.get(name) or {}).get(host, 0) for name, shown in names.items()}
        for host in sorted(hosts)
    }
