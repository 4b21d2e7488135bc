# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Send a message when a playbook fails, and when it succeeds again."""

from __future__ import annotations

import contextlib
import json
import os
import re
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import ansible.context
import ansible.module_utils
from ansible.errors import AnsibleError
from ansible.plugins.callback import CallbackBase
from ansible.template import Templar

_PROJECT = Path(__file__).resolve().parents[2]
_OURS = str(_PROJECT / "module_utils")
if _OURS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_OURS)

DOCUMENTATION = r"""
name: pms_notify
type: notification
short_description: Send messages about failed playbooks
description:
  - Sends a message at the end of a playbook, as the variables of role C(notify) say. Without
    C(notify_channels) in the inventory nothing is sent.
  - An unreachable host counts as a failure; a rescued failure does not.
  - Within a scheduled job (E(PMS_OPS_JOB)) it sends nothing and only records where the run failed.
    The message comes from the job's unit, which also reports a killed Ansible.
author: Operations team (@ops)
requirements:
  - enabled in ansible.cfg
"""

NAMES = (
    "channels",
    "system",
    "details",
    "repeat_minutes",
    "timeout_seconds",
    "attempts",
    "deadline_seconds",
    "state_dir",
)
# The playbooks whose result people wait for; somebody watches the others.
PLAYBOOKS = ("backup", "drill", "golive", "verify", "dr_*", "ops_*")


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible has no types
    """Records the failures of a playbook, and sends a message when it has ended."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "pms_notify"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._playbook = ""
        self._play: Any = None
        self._failures: dict[str, dict[str, Any]] = {}

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Record the playbook's name."""
        self._playbook = Path(playbook._file_name).stem

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Record the newest play: its variables name the channels."""
        self._play = play

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Record the failure of a host."""
        if not ignore_errors:
            self._record(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Record an unreachable host."""
        self._record(result, code="ansible.unreachable")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Send the message, or record the failure for the job's unit."""
        if ansible.context.CLIARGS.get("check") or self._play is None:
            return
        hosts = sorted(stats.processed)
        failed = [host for host in hosts if stats.failures.get(host) or stats.dark.get(host)]
        try:
            self._end(hosts, failed)
        except Exception as exc:  # noqa: BLE001
            # The playbook's own result is what counts. The text of the error may hold a secret.
            self._display.warning(f"pms_notify: no message was sent ({type(exc).__name__}).")

    def _record(self, result: Any, code: str = "") -> None:
        # A later failure of the host replaces one that was rescued.
        said = result.result
        path = result.task.get_path() or ""
        with contextlib.suppress(ValueError):
            path = str(Path(path).relative_to(_PROJECT))
        details = [] if said.get("censored") else [str(said.get("msg", "")), said.get("remedy", "")]
        self._failures[result.host.get_name()] = {
            "code": str(said.get("code") or code or "ansible.task"),
            "task": path,
            "details": [text for text in details if text and isinstance(text, str)],
        }

    def _end(self, hosts: list[str], failed: list[str]) -> None:
        job = os.environ.get("PMS_OPS_JOB")
        if job and not failed:
            return
        if job:
            self._note(job, failed)
            return
        for options, secrets, names in self._systems(hosts):
            self._tell(options, secrets, [host for host in names if host in failed])

    def _systems(self, hosts: list[str]) -> list[tuple[dict[str, Any], list[str], list[str]]]:
        """Return options, secrets and hosts of each system: hosts with the same options are one.

        Another system's failure is nobody's business, and is told through that system's channels.
        """
        found: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {}
        for host in hosts:
            values = self._variables(host)
            patterns = values.get("playbooks", PLAYBOOKS)
            asked = any(fnmatch(self._playbook, pattern) for pattern in patterns)
            if asked and values["options"].get("channels"):
                key = json.dumps(values["options"], sort_keys=True, default=str)
                found.setdefault(key, (values["options"], values["secrets"], []))[2].append(host)
        return list(found.values())

    def _tell(self, options: dict[str, Any], secrets: list[str], failed: list[str]) -> None:
        # Not before: reading them adds a tenth to a playbook that does nothing.
        from ansible.module_utils.pmsops.notify.message import Event
        from ansible.module_utils.pmsops.notify.notifier import Notifier
        from ansible.module_utils.pmsops.schedule import messages

        notifier = Notifier.from_options(options, secrets=secrets)
        now = datetime.now(UTC)
        if not failed:
            event = Event("recovery", self._playbook, "The playbook succeeded.", now)
        else:
            failure = self._failure(failed, notifier)
            facts = {key: failure[key] for key in ("code", "host", "task") if failure[key]}
            facts["error"] = facts.pop("code")
            event = Event(
                kind="failure",
                source=self._playbook,
                summary=f"The playbook failed on {len(failed)} host(s).",
                at=now,
                code=failure["code"],
                facts=facts,
                details=tuple(failure["details"]),
            )
        delivery = notifier.send(event)
        for line in messages.lines(event.kind, event.source, delivery):
            self._display.display(f"pms_notify: {line}")

    def _failure(self, failed: list[str], notifier: Any) -> dict[str, Any]:
        found = self._failures.get(failed[0], {"code": "ansible.task", "task": "", "details": []})
        details = found["details"] if notifier.details else []
        return found | {
            "playbook": self._playbook,
            "host": ", ".join(failed[:5]),
            "details": [notifier.redacted(text) for text in details],
        }

    def _note(self, job: str, failed: list[str]) -> None:
        from ansible.module_utils.pmsops.notify.notifier import Notifier
        from ansible.module_utils.pmsops.schedule.state import Schedule

        values = self._variables(failed[0])
        notifier = Notifier.from_options(values["options"], secrets=values["secrets"])
        failure = self._failure(failed, notifier)
        schedule = Schedule.read(Path(os.environ["PMS_OPS_SCHEDULE"]))
        schedule.explain(job, failure, datetime.now(UTC))

    def _variables(self, host: str) -> dict[str, Any]:
        """Return the variables of a host: the options, and every secret there."""
        manager = self._play.get_variable_manager()
        known = manager._inventory.get_host(host)
        found = manager.get_vars(play=self._play, host=known) if known else {}
        templar = Templar(loader=self._play._loader, variables=found)
        options = {
            name: templar.template(found[f"notify_{name}"])
            for name in NAMES
            if f"notify_{name}" in found
        }
        # As the defaults of role notify, which a play without the role does not have.
        named = templar.template(found.get("pms_compose_project", "")) or host
        system = options.setdefault("system", named)
        folder = re.sub(r"[^A-Za-z0-9_.-]+", "_", str(system))
        options.setdefault("state_dir", f"~/.local/state/pms-ops/{folder}")
        values = {"options": options, "secrets": self._secrets(templar, found)}
        if "notify_playbooks" in found:
            values["playbooks"] = templar.template(found["notify_playbooks"])
        return values

    @staticmethod
    def _secrets(templar: Templar, found: dict[str, Any]) -> list[str]:
        secrets = []
        for name in found:
            if name.startswith(("pms_", "vault_")) and name.endswith(("_password", "_token")):
                with contextlib.suppress(AnsibleError):
                    secrets.append(str(templar.template(found[name]) or ""))
        return secrets
