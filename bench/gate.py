# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time of the gate: the real checklist on the lab, ten times as many checks, one that hangs."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import yaml

from bench.common import INSTANCE, PROJECT, Figure, playbook, start_lab, stop_lab, timed

ROUNDS = 3
CHECKLIST = PROJECT / "roles/golive/files/checklist.yml"
FEW, MANY = 60, 600
HUNG_SECONDS = 2.0
# No trade, no pipeline, no backup, no drill: only the checklist is run.
WITHOUT_STEPS = ("golive_smoke_test=false", "golive_backup=false", "golive_drill=false")


def figures() -> list[Figure]:
    """Measure on a lab of its own, each the best of three."""
    start_lab(1)
    try:
        return [*_whole(), *_many()]
    finally:
        stop_lab()


def _whole() -> list[Figure]:
    """Measure the playbook without its steps, and the module in it by its record."""
    arguments = [word for each in WITHOUT_STEPS for word in ("-e", each)]
    inside, outside, probes = [], [], 0
    for _ in range(ROUNDS):
        # The checks of the steps that did not run are unknown, so this is a no-go.
        seconds, _done = timed(playbook, "golive.yml", *arguments, expect=2)
        record = json.loads((_lab() / "evidence/latest/record.json").read_text())
        outside.append(seconds)
        inside.append(record["duration_seconds"])
        probes = sum(each["attempts"] > 0 for each in record["results"])
    if probes < FEW:
        raise SystemExit(f"only {probes} probes were asked; so the figure means nothing")
    return [
        Figure(f"gate: {probes} probes of the lab inside the module", min(inside), 3, "s"),
        Figure("gate: the whole playbook, without its steps", min(outside), 6, "s"),
    ]


def _many() -> list[Figure]:
    """Measure 60 checks of the lab, 600, and 60 beside one that hangs for ever."""
    few = min(timed(_run, _copies(1))[0] for _ in range(ROUNDS))
    many = min(timed(_run, _copies(MANY // FEW))[0] for _ in range(ROUNDS))
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections, never answers
        hung = _hung(silent.getsockname()[1])
        beside = min(timed(_run, [hung, *_copies(1)])[0] for _ in range(ROUNDS))
    return [
        Figure(f"gate: {FEW} checks of the lab", few, 3, "s"),
        Figure(f"gate: {MANY} checks against {FEW}", many / few, 6, "x"),
        # Its own time-out, or the time of the others; half a second is for the end of its process.
        Figure(
            "gate: time that a hung probe adds to its time-out",
            max(beside - max(HUNG_SECONDS, few), 0.0),
            0.5,
            "s",
        ),
    ]


def _lab() -> Path:
    return PROJECT / f".lab-{INSTANCE}"


def _copies(times: int) -> list[dict[str, Any]]:
    """Return copies of 60 checks of the checklist, each copy with its own ids."""
    document = yaml.safe_load(CHECKLIST.read_text())
    asked = [each for each in document["checks"] if each["probe"] not in ("smoke", "attest")]
    chosen = [each for each in asked if "app_dir" not in str(each.get("params"))][:FEW]
    if len(chosen) < FEW:
        raise SystemExit(f"the checklist has only {len(chosen)} checks that ask something")
    known = {each["id"] for each in chosen}

    def copy(check: dict[str, Any], number: int) -> dict[str, Any]:
        needs = [f"{need}.n{number}" for need in check.get("needs", []) if need in known]
        return check | {"id": f"{check['id']}.n{number}", "needs": needs}

    return [copy(each, number) for number in range(times) for each in chosen]


def _hung(port: int) -> dict[str, Any]:
    return {
        "id": "hung",
        "section": "infrastructure",
        "title": "A service that accepts connections and never answers",
        "severity": "info",
        "owner": "nobody",
        "remedy": "It hangs on purpose; end it.",
        "probe": "http",
        "params": {"url": f"http://127.0.0.1:{port}/"},
        "timeout": HUNG_SECONDS,
        "expect": [{"path": "status", "eq": 200, "label": "status"}],
    }


def _run(checks: list[dict[str, Any]]) -> None:
    """Run these checks on the lab; all but the hung one must pass."""
    from datetime import UTC, datetime

    from ansible.module_utils.pmsops.checks import gate
    from ansible.module_utils.pmsops.checks.probes.context import Settings

    state = yaml.safe_load((_lab() / "state.yml").read_text())
    ports, secrets = state["ports"], state["secrets"]
    here = "http://127.0.0.1"
    settings = Settings(
        now=datetime.now(UTC),
        database={
            "host": "127.0.0.1",
            "port": ports["timescaledb"],
            "name": "macro_trading",
            "user": "pms_ops",
            "password": secrets["pms_ops"],
        },
        redis={"host": "127.0.0.1", "port": ports["redis"], "password": secrets["redis"]},
        api={
            "url": f"{here}:{ports['api']}",
            "username": "manager",
            "password": secrets["pms_manager"],
        },
        grafana={
            "url": f"{here}:{ports['grafana']}",
            "username": "admin",
            "password": secrets["grafana_admin"],
        },
        dagster_url=f"{here}:{ports['dagster']}",
        compose_project=f"pms-lab-{INSTANCE}",
        backup_root=str(_lab() / "backups"),
        evidence_root=str(_lab() / "evidence"),
    )
    document = yaml.safe_load(CHECKLIST.read_text()) | {"checks": checks}
    found = gate.run(document, settings, gate.Options(variables=_variables()))
    wrong = [
        f"{each['id']}: {each['finding']}"
        for each in found["results"]
        if each["status"] != "pass" and each["id"] != "hung"
    ]
    if wrong:
        raise SystemExit("not every check passes on the lab:\n" + "\n".join(wrong))


def _variables() -> dict[str, Any]:
    """Return the variables that the role passes, from its own defaults."""
    defaults = yaml.safe_load((PROJECT / "roles/golive/defaults/main.yml").read_text())
    task = yaml.safe_load((PROJECT / "roles/golive/tasks/gate.yml").read_text())[0]["pms_gate"]
    found = {}
    for name, template in task["variables"].items():
        value = defaults
        for step in re.sub(r"[{} ]", "", template).split("."):
            value = value[step]
        found[name] = value
    return found
