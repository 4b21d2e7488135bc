# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The state of backups, drills, gates and incidents, read from their folders alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import process_lock, progress_text
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import age
from ansible.module_utils.pmsops.evidence import (
    checkpoints,
    controls,
    deficiencies,
    history,
    last_drills,
    ledger,
    missing_sets,
    offsite,
    open_incidents,
    protected,
    restores,
    set_list,
)
from ansible.module_utils.pmsops.evidence.missing_sets import ACCEPT
from ansible.module_utils.pmsops.pms import smoke_test_intents
from ansible.module_utils.pmsops.repository import manifest, set_parts, sets, shrinkage

SHOWN_FINDINGS = 3
# What may run: its progress file, and the lock that it holds meanwhile.
RUNS = {
    "a backup": ("backup.progress", sets.BACKUP_LOCK),
    "a restore": ("restore.progress", sets.RESTORE_LOCK),
}


@dataclass(frozen=True)
class Limits:
    """The age, in hours, at which each is due again."""

    backup_hours: float = 26
    drill_hours: float = 35 * 24
    gate_hours: float = 8 * 24


def collect(
    backup_root: Path,
    evidence_root: Path,
    *,
    now: datetime,
    limits: Limits | None = None,
    head: str | None = None,
    protects: bool = False,
    sites: Sequence[str] = (),
    keys: Path | None = None,
    drill_host: str = "",
) -> dict[str, Any]:
    """Return the newest set, drill and gate, open incidents, the ledger, and what is due.

    *head* is a pin of the ledger that was kept elsewhere. With *protects* the system is to be
    protected continuously; *sites* are to have copies; *drill_host* is that of the monthly drill.
    With *keys*, the folder of the keys, the signatures of the ledger are checked. A missing folder
    counts as empty, so its backup, drill and gate are due. Nothing is changed.
    """
    chain = ledger.inspect(evidence_root, head=head, keys=keys, signed=keys is not None)
    found = {
        "backup_root": str(backup_root),
        "evidence_root": str(evidence_root),
        "newest_set": _newest_set(backup_root, now),
        "other_databases": {
            name: _newest_set(folder, now) for name, folder in sets.of_others(backup_root).items()
        },
        "sets": len(sets.listed(backup_root)),
        "warm_copy": set_list.warm_copy(backup_root, now),
        "checkpoints": checkpoints.collect(backup_root, now),
        "missing_sets": [
            {"set": each.name, "recorded_at": each.recorded_at, "what": each.text()}
            for root in (backup_root, *sets.of_others(backup_root).values())
            for each in missing_sets.find(root, chain.entries)
        ],
        "running": _running(backup_root),
        "drill": last_drills.here(chain.entries, now),
        "drill_elsewhere": last_drills.elsewhere(chain.entries, now, drill_host),
        "replaced": restores.replaced(chain.entries, now),
        "refused": restores.refused(chain.entries, now),
        "former_tables": restores.former_tables(chain.entries, now),
        "protection": protected.collect(backup_root, chain.entries, now) if protects else None,
        "offsite": offsite.collect(backup_root, chain.entries, sites, now),
        "gate": _gate(evidence_root, now),
        "incidents": open_incidents.find(evidence_root),
        "deficiencies": deficiencies.collect(chain.entries, now),
        "ledger": {
            "lines": chain.lines,
            "signed_lines": chain.signed_lines,
            "key": chain.key,
            "sha256": chain.sha256,
            "problems": list(chain.problems),
            "notes": list(chain.notes),
        },
    }
    found["due"] = [*_smoke_test(evidence_root), *_due(found, limits or Limits())]
    return found


def _smoke_test(evidence_root: Path) -> list[dict[str, str]]:
    """Return that a smoke test was killed and may have left a position, where one was."""
    killed = smoke_test_intents.unfinished(evidence_root)
    if killed is None or killed.running:
        return []
    return [_entry(killed.describe(), smoke_test_intents.CLOSE)]


def _newest_set(backup_root: Path, now: datetime) -> dict[str, Any] | None:
    folders = sets.listed(backup_root)
    if not folders:
        return None
    folder = folders[-1]
    proof = sets.verification(folder)
    found: dict[str, Any] = {
        "id": folder.name,
        "folder": str(folder),
        "snapshot_at": None,
        "age_seconds": None,
        "size_bytes": None,
        "verified_at": (proof or {}).get("verified_at"),
        "trial": None,
        "parts": {},
        "shrunk": [],
        "shrunk_remedy": None,
        "problem": None,
    }
    try:
        document = manifest.read(folder)
    except OpsError as exc:
        return found | {"problem": str(exc)}
    return found | {
        "snapshot_at": document["snapshot_at"],
        "age_seconds": restores.age_seconds(document["snapshot_at"], now),
        "size_bytes": document.get("totals", {}).get("bytes"),
        "trial": document.get("trial"),
        "parts": set_parts.short_texts(document),
        "shrunk": shrinkage.standing(backup_root, document),
        "shrunk_remedy": shrinkage.remedy(backup_root, document),
    }


def _running(backup_root: Path) -> str | None:
    """Return the backup or restore that runs now; None without one.

    It holds its lock; a progress file without that is of a run that was killed.
    """
    for name, (file, lock) in RUNS.items():
        state = backup_root / sets.STATE
        if not process_lock.held(state / lock):
            continue
        try:
            told = json.loads((state / file).read_bytes())
            return f"{name}: {progress_text.describe(told)}"
        except (OSError, ValueError, KeyError, TypeError):
            return f"{name}, which does not say how far it is"
    return None


def _gate(evidence_root: Path, now: datetime) -> dict[str, Any] | None:
    record = history.previous(evidence_root, whole=True)
    if record is None:
        return None
    names = ("run", "verdict", "started_at", "blocking", "negative_control")
    return {name: record.get(name) for name in names} | {
        "age_seconds": restores.age_seconds(record.get("started_at"), now),
        "report": str(evidence_root / record["run"] / "report.html"),
    }


def _due(found: dict[str, Any], limits: Limits) -> list[dict[str, str]]:
    """Return the overdue work, most urgent first."""
    problems = found["ledger"]["problems"]
    due = [
        *(
            _entry(f"the ledger is damaged: {text}", "scripts/verify_ledger.py")
            for text in problems
        ),
        *(_entry(f"incident {each['id']} is open", each["folder"]) for each in found["incidents"]),
        *(_entry(*each) for each in deficiencies.due(found["deficiencies"])),
        *(
            _entry(each["what"], f"pms-ops dr bad_backup; or {ACCEPT.format(name=each['set'])}")
            for each in found["missing_sets"][:SHOWN_FINDINGS]
        ),
        *(_entry(*each) for each in restores.due(found["refused"])),
        *_due_backup(found["newest_set"], limits),
        *_due_others(found["other_databases"], limits),
        *(_entry(*each) for each in protected.due(found["protection"])),
        *(_entry(*each) for each in offsite.due(found["offsite"])),
        *(_entry(*each) for each in last_drills.due(found["drill_elsewhere"])),
    ]
    drill, gate = found["drill"], found["gate"]
    if drill is None or not drill["proved"]:
        what = f"the last drill {controls.failed(drill)}" if drill else "no drill was run yet"
        due.append(_entry(what, "pms-ops drill"))
    elif _older(drill["age_seconds"], limits.drill_hours):
        due.append(_entry(f"the last drill is {age(drill['age_seconds'])} old", "pms-ops drill"))
    if gate is None:
        due.append(_entry("no go-live checklist was run yet", "pms-ops golive"))
    elif gate["verdict"] != "go":
        what = f"the last gate, {gate['run']}, was {controls.missed(gate)}: {gate['report']}"
        due.append(_entry(what, "pms-ops golive"))
    elif _older(gate["age_seconds"], limits.gate_hours):
        due.append(_entry(f"the last gate is {age(gate['age_seconds'])} old", "pms-ops golive"))
    return due


def _due_backup(newest: dict[str, Any] | None, limits: Limits) -> list[dict[str, str]]:
    if newest is None:
        return [_entry("there is no backup set", "pms-ops backup")]
    due = []
    if newest["problem"]:
        due.append(
            _entry(f"set {newest['id']} cannot be read: {newest['problem']}", "pms-ops backup")
        )
    elif _older(newest["age_seconds"], limits.backup_hours):
        due.append(_entry(f"the newest set is {age(newest['age_seconds'])} old", "pms-ops backup"))
    due += [
        _entry(f"set {newest['id']} has lost data: {line}", newest["shrunk_remedy"])
        for line in newest["shrunk"][:SHOWN_FINDINGS]
    ]
    due += _due_trial(newest)
    if not newest["verified_at"]:
        due.append(_entry(f"set {newest['id']} is not verified by a drill", "pms-ops drill"))
    return due


def _due_others(newest: dict[str, dict[str, Any] | None], limits: Limits) -> list[dict[str, str]]:
    """Return what is due for the other databases of the server; a drill of each is its own."""
    return [
        _entry(
            f"database {name}: {each['what']}",
            f"pms-ops drill --database {name}" if each["next"] == "pms-ops drill" else each["next"],
        )
        for name, found in newest.items()
        for each in _due_backup(found, limits)
    ]


def _due_trial(newest: dict[str, Any]) -> list[dict[str, str]]:
    """Return what the trial of the newest set found, or why there was none."""
    trial = newest["trial"] or {}
    due = []
    for each in trial.get("findings", [])[:SHOWN_FINDINGS]:
        what = f"set {newest['id']} would not restore: {each['object']} {each['what']}"
        due.append(_entry(what, each["remedy"]))
    if trial.get("reason"):
        what = f"set {newest['id']} was not tried in full: {trial['reason']}"
        due.append(_entry(what, "pms-ops backup"))
    return due


def _entry(what: str, step: str) -> dict[str, str]:
    return {"what": what, "next": step}


def _older(seconds: float | None, hours: float) -> bool:
    return seconds is None or seconds > timedelta(hours=hours).total_seconds()


def describe(found: dict[str, Any], say: Callable[[str, str], None]) -> None:
    """Report the state to people, each line as a name and a text."""
    newest, drill, gate = found["newest_set"], found["drill"], found["gate"]
    set_list.describe_newest(newest, say)
    for name, other in found["other_databases"].items():
        say(name, f"{other['id']}, {age(other['age_seconds'])} old" if other else "no set")
    say("sets", f"{found['sets']} in {found['backup_root']}")
    set_list.describe_warm(found["warm_copy"], say)
    checkpoints.describe(found["checkpoints"], say)
    if found["running"]:
        say("running", found["running"])
    if drill:
        say("last drill", f"{age(drill['age_seconds'])} ago, {controls.drill(drill)}")
    last_drills.describe(found["drill_elsewhere"], say)
    protected.describe(found["protection"], say)
    offsite.describe(found["offsite"], say)
    if replaced := found["replaced"]:
        say(f"last {replaced['kind']}", restores.describe(replaced, age(replaced["age_seconds"])))
    if refused := found["refused"]:
        say("last try", restores.describe_refused(refused, age(refused["age_seconds"])))
    restores.describe_former_tables(found["former_tables"], say)
    if gate:
        blocking = f": {', '.join(gate['blocking'][:5])}" if gate["blocking"] else ""
        verdict = gate["verdict"].upper()
        control = controls.gate(gate.get("negative_control"))
        say("last gate", f"{verdict}{blocking}, {age(gate['age_seconds'])} ago{control}")
    lines = found["ledger"]["lines"]
    say("ledger", f"{lines} lines, {'DAMAGED' if found['ledger']['problems'] else 'chain intact'}")
    deficiencies.describe(found["deficiencies"], say)
    say("incidents", ", ".join(each["id"] for each in found["incidents"]) or "none open")
