# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How checks were before an incident, by the runs of the checklist that are in the evidence."""

from __future__ import annotations

import json

from ansible.module_utils.pmsops.evidence import history

ANCHOR = "infra.database.reachable"
JOURNAL = "infra.api.journal"


def ran(root, day: str, **results: str) -> None:
    """Write the record of a run; names of checks have their dots as two underscores."""
    folder = root / f"{day}_060000"
    folder.mkdir()
    listed = [
        {"id": name.replace("__", "."), "status": status, "finding": f"is {status}"}
        for name, status in results.items()
    ]
    record = {"run": folder.name, "started_at": f"{day}T06:00:00Z", "results": listed}
    (folder / history.RECORD).write_text(json.dumps(record))


def before(root, *checks: str, **given):
    return history.red_before(root, list(checks or [JOURNAL]), anchor=ANCHOR, **given)


def test_a_page_that_was_always_empty_is_known_to_have_been_red_before(tmp_path):
    ran(tmp_path, "2026-11-20", infra__database__reachable="pass", infra__api__journal="fail")
    assert before(tmp_path) == {JOURNAL: "is fail (run 2026-11-20_060000)"}


def test_a_run_in_the_middle_of_the_disaster_excuses_nothing(tmp_path):
    ran(tmp_path, "2026-11-20", infra__database__reachable="pass", infra__api__journal="pass")
    ran(tmp_path, "2026-11-21", infra__database__reachable="fail", infra__api__journal="fail")
    assert before(tmp_path) == {JOURNAL: ""}


def test_the_newest_run_counts_and_one_after_the_incident_does_not(tmp_path):
    ran(tmp_path, "2026-11-20", infra__database__reachable="pass", infra__api__journal="fail")
    ran(tmp_path, "2026-11-21", infra__database__reachable="pass", infra__api__journal="attested")
    ran(tmp_path, "2026-11-22", infra__database__reachable="pass", infra__api__journal="fail")
    assert before(tmp_path, before="2026-11-22T05:00:00.000Z") == {JOURNAL: ""}
    assert before(tmp_path) == {JOURNAL: "is fail (run 2026-11-22_060000)"}


def test_a_check_that_no_run_speaks_of_is_left_out(tmp_path):
    ran(tmp_path, "2026-11-20", infra__database__reachable="pass", infra__api__journal="unknown")
    (tmp_path / "2026-11-21_060000").mkdir()
    (tmp_path / "2026-11-21_060000" / history.RECORD).write_text("{ torn")
    found = before(tmp_path, JOURNAL, "data.book")
    assert found == {JOURNAL: "is unknown (run 2026-11-20_060000)"}
    assert before(tmp_path / "none") == {}
