# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The evidence of a gate: one record, and the files that are rendered from it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files, process_lock, textfile_metrics
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.textfile_metrics import Gauge
from ansible.module_utils.pmsops.common.timestamps import UTC, from_iso, utc_stamp
from ansible.module_utils.pmsops.common.version import TOOL
from ansible.module_utils.pmsops.evidence import audit, deficiencies, history, ledger
from ansible.module_utils.pmsops.reports import html, junit

SCHEMA_VERSION = audit.SCHEMA_VERSION
LATEST = "latest"
PROMETHEUS = "golive.prom"
PARTIAL = ".partial-"
LOCK = ".evidence.lock"
LOCK_SECONDS = 60
# The keys of a gate's result that its record takes; Ansible registers others beside them.
GATE = (
    *("title", "verdict", "exit_code", "partial", "started_at", "duration_seconds"),
    *("checklist_sha256", "counts", "blocking", "sections", "results"),
)
SIGNERS = ("Portfolio manager", "Administrator", "Risk officer")
BOXES = {"pass": "x", "attested": "x", "waived": " ", "fail": " ", "unknown": " "}


@dataclass(frozen=True)
class Options:
    """The system that the evidence is about, and the folder for it."""

    evidence_root: Path
    backup_root: Path | None = None
    system: dict[str, Any] = field(default_factory=dict)
    targets: dict[str, float] = field(default_factory=dict)
    keys: Path | None = None  # the folder of the ledger's key
    audit: dict[str, Any] = field(default_factory=dict)  # what the control node knows of the run


def write(gate: dict[str, Any], options: Options, *, now: datetime) -> dict[str, Any]:
    """Write the evidence of a run and its line in the ledger; return the paths.

    Two runs that end at the same time are written one after the other.

    :raises OpsError: evidence.gate, evidence.unwritable, lock.held, or those of ledger.append.
    """
    if missing := [name for name in GATE if name not in gate]:
        raise OpsError(
            f"This is not a result of pms_gate: it lacks {', '.join(missing)}.",
            "Pass the whole registered result of the task that ran pms_gate.",
            code="evidence.gate",
        )
    root = options.evidence_root
    try:
        files.make_private_folder(root)
        with process_lock.awaited(root / LOCK, "writing of evidence", seconds=LOCK_SECONDS):
            return _write(gate, options, now)
    except OSError as exc:
        raise OpsError(
            f"The evidence cannot be written to {root}: {exc.strerror or exc}.",
            "Give the user of the playbook write access and free space there, then run it again.",
            code="evidence.unwritable",
        ) from exc


def _write(gate: dict[str, Any], options: Options, now: datetime) -> dict[str, Any]:
    root = options.evidence_root
    record = _record(gate, options, now)
    _remove_leftovers(root)
    record["run"] = _free_name(root, now)
    folder = root / record["run"]
    digest = _write_folder(folder, record)
    _point(root / LATEST, record["run"])
    files.replace(root / PROMETHEUS, prometheus(record).encode(), mode=0o644)
    line = _remember(options, record, digest, now)
    return {
        "run": record["run"],
        "verdict": record["verdict"],
        "folder": str(folder),
        "record": str(folder / history.RECORD),
        "report": str(folder / "report.html"),
        "junit": str(folder / "junit.xml"),
        "checklist": str(folder / "checklist.md"),
        "prometheus": str(root / PROMETHEUS),
        "record_sha256": digest,
        "ledger_line": line["seq"],
        "ledger_sha256": line["sha256"],
        "previous": record["previous"],
    }


def _record(gate: dict[str, Any], options: Options, now: datetime) -> dict[str, Any]:
    root = options.evidence_root
    chain = ledger.inspect(root)
    entries = list(chain.entries)
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": TOOL,
        "run": "",
        "host": socket.gethostname(),
        "system": options.system,
        "written_at": utc_stamp(now),
        audit.FIELD: audit.block("gate", gate, options.audit, now=now),
        **{name: gate[name] for name in GATE},
        "negative_control": gate.get("negative_control"),
        "previous": history.compare(gate, history.previous(root, whole=not gate["partial"])),
        "history": {
            "runs": history.runs(entries),
            "backups": history.backups(options.backup_root),
            "drills": history.drills(entries),
        },
        "targets": options.targets,
        "deficiencies": deficiencies.open_ones(deficiencies.collect(entries, now)),
        "ledger": {
            "lines": chain.lines,
            "sha256": chain.sha256,
            "problems": list(chain.problems),
        },
    }


def _write_folder(folder: Path, record: dict[str, Any]) -> str:
    """Write all files of a run, visible only when complete; return the record's SHA-256."""
    partial = folder.with_name(f"{PARTIAL}{folder.name}")
    files.make_public_folder(partial)
    content = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False, default=str) + "\n"
    digest = hashlib.sha256(content.encode()).hexdigest()
    try:
        files.replace(partial / history.RECORD, content.encode(), mode=0o644)
        files.replace(partial / "junit.xml", junit.render(record), mode=0o644)
        files.replace(partial / "checklist.md", checklist(record, digest).encode(), mode=0o644)
        files.replace(partial / PROMETHEUS, prometheus(record).encode(), mode=0o644)
        files.replace(partial / "report.html", html.page(record, digest).encode(), mode=0o644)
        partial.rename(folder)
        files.sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return digest


def _remember(
    options: Options, record: dict[str, Any], digest: str, now: datetime
) -> dict[str, Any]:
    """Add the run to the ledger, and each waiver that no earlier run used."""
    root = options.evidence_root
    known = {entry["record"].get("waiver_sha256") for entry in ledger.records(root, "waiver")}
    for result in record["results"]:
        if result["status"] == "waived":
            text = json.dumps(result["waiver"], sort_keys=True)
            name = hashlib.sha256(text.encode()).hexdigest()
            if name not in known:
                waiver = {"run": record["run"], "waiver_sha256": name, **result["waiver"]}
                ledger.append(root, "waiver", waiver, now=now, keys=options.keys)
    return ledger.append(
        root,
        "gate",
        {
            "run": record["run"],
            "verdict": record["verdict"],
            "record_sha256": digest,
            "checklist_sha256": record["checklist_sha256"],
            "counts": record["counts"],
            "blocking": record["blocking"],
            "partial": record["partial"],
            "negative_control": record["negative_control"],
            audit.FIELD: record[audit.FIELD],
        },
        now=now,
        keys=options.keys,
    )


def _free_name(root: Path, now: datetime) -> str:
    stem = now.astimezone(UTC).strftime("%Y-%m-%d_%H%M%S")
    names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, 1000))
    return next(name for name in names if not (root / name).exists())


def _remove_leftovers(root: Path) -> None:
    for path in root.glob(f"{PARTIAL}*"):
        shutil.rmtree(path, ignore_errors=True)


def _point(link: Path, target: str) -> None:
    """Point *link* at the run; it exists at every moment."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)


def checklist(record: dict[str, Any], digest: str) -> str:
    """Return the checklist with a box ticked for each check that passed, and a table to sign."""
    counts = record["counts"]
    passed = counts["pass"] + counts["attested"]
    lines = [
        f"# {record['title']}: {record['verdict'].upper()}",
        "",
        f"Run `{record['run']}` of {record['started_at']} on {record['host']}:"
        f" {passed} of {len(record['results'])} checks passed.",
        "",
    ]
    for section in record["sections"]:
        lines += [f"## {section['title']}", ""]
        for result in record["results"]:
            if result["section"] == section["id"]:
                lines += _box(result)
        lines.append("")
    lines += [
        "## Sign-off",
        "",
        f"Record: `{digest}`",
        "",
        "| role | name | date | signature |",
        "| --- | --- | --- | --- |",
        *(f"| {role} | | | |" for role in SIGNERS),
        "",
        "`ansible-playbook playbooks/signoff.yml -e role=... -e name=...` adds a signature to the"
        " ledger, which refers to this record.",
        "",
    ]
    return "\n".join(lines)


def _box(result: dict[str, Any]) -> list[str]:
    status = result["status"]
    severity = "" if status in ("pass", "attested") else f", {result['severity']}"
    finding = f": {_markdown(result['finding'])}" if result["finding"] else ""
    lines = [f"- [{BOXES[status]}] {result['title']} ({status}{severity}){finding}"]
    if status == "waived":
        waiver = result["waiver"]
        lines.append(
            f"  - Waived by {waiver['who']} until {waiver['until']}: {_markdown(waiver['why'])}"
        )
    elif status in ("fail", "unknown") and not result["needs"]:
        lines.append(f"  - To do: {_markdown(result['remedy'])}")
    return lines


def _markdown(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;").replace("|", "\\|")


def prometheus(record: dict[str, Any]) -> str:
    """Return the gauges for node_exporter's textfile collector."""
    started = from_iso(record["started_at"]).timestamp()
    results = record["results"]
    gauges = [
        Gauge("pms_golive_verdict", "1 for go, 0 for no-go and broken.",
              [({}, float(record["verdict"] == "go"))]),
        Gauge("pms_golive_last_run_timestamp_seconds", "When the newest gate began.",
              [({}, started)]),
        Gauge("pms_golive_duration_seconds", "How long the probes took.",
              [({}, record["duration_seconds"])]),
        Gauge("pms_golive_checks", "Checks by status.",
              [({"status": status}, count) for status, count in record["counts"].items()]),
        Gauge("pms_golive_check_ok", "1 where a check passes or is attested.",
              [(_labels(r), float(r["status"] in ("pass", "attested"))) for r in results]),
        Gauge("pms_golive_check_seconds", "How long a check took.",
              [({"check": r["id"]}, r["seconds"]) for r in results]),
    ]  # fmt: skip
    system = record["system"].get("label") or record["system"].get("name") or ""
    return textfile_metrics.render(gauges, system)


def _labels(result: dict[str, Any]) -> dict[str, str]:
    return {
        "check": result["id"],
        "section": result["section"],
        "severity": result["severity"],
        "status": result["status"],
    }
