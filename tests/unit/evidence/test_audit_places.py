"""Each task that records a run gives what the control node knows of it."""

from __future__ import annotations

from ansible.module_utils.pmsops.evidence import audit

from tests.unit.anchors.test_places import TASKS, WRITERS, adding

# Acts on the ledger itself, and what persons say of a record.
NO_RUNS = ("pms_ledger_key", "pms_evidence_merge")


def test_a_run_was_recorded_without_its_code_ticket_and_start():
    seen, wrong = 0, []
    for path in TASKS:
        for task in adding(path):
            module = next(name for name in WRITERS if name in task)
            given = task[module]
            if module in NO_RUNS or (module == "pms_ledger" and given["kind"] not in audit.KINDS):
                continue
            seen += 1
            # Options that several tasks share are a variable, which names it.
            if isinstance(given, dict) and given.get("audit") != "{{ pms_audit }}":
                wrong.append(f"{path.name}: {task['name']}")
            if isinstance(given, str) and "audit" not in given and "parts_options" not in given:
                wrong.append(f"{path.name}: {task['name']}")
    assert wrong == []
    assert seen > 20
