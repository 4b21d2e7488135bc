# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a command, and end it with all its children when its time is over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, Overdue, Unanswerable
from ansible.module_utils.pmsops.checks.probes.context import Context, one_line
from ansible.module_utils.pmsops.common.children import end_with_parent
from ansible.module_utils.pmsops.services import docker_engine

MAX_CHARACTERS = 100_000


def ask(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return ``{rc, stdout, stderr, json}``."""
    argv = params["argv"]
    if not isinstance(argv, list):
        raise Unanswerable("argv is no list")
    if address := docker_engine.elsewhere():
        raise Unanswerable(f"{argv[0]} belongs to {address}, and would run on this machine")
    environment = os.environ | {
        name: str(value) for name, value in (params.get("env") or {}).items()
    }
    try:
        process = subprocess.Popen(
            [str(word) for word in argv],
            cwd=params.get("cwd"),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
    except OSError as exc:
        raise Failed(f"{argv[0]} cannot be started: {one_line(exc)}") from exc
    try:
        out, err = process.communicate(timeout=deadline.left())
    except subprocess.TimeoutExpired as exc:
        os.killpg(process.pid, signal.SIGKILL)
        raise Overdue(f"{argv[0]} did not end in time and was killed") from exc
    answer = {"rc": process.returncode, "stdout": _text(out), "stderr": _text(err)}
    if params.get("parse", "none") == "json":
        try:
            answer["json"] = json.loads(out)
        except ValueError as exc:
            raise Failed(f"{argv[0]} (exit status {process.returncode}) prints no JSON") from exc
    return answer


def _text(output: bytes) -> str:
    return output.decode("utf-8", errors="replace")[-MAX_CHARACTERS:]
