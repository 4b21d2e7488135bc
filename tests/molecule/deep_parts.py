# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Disasters of scenarios that `make test` leaves out, and the quicker tests that prove the same.

`quick.yml` of a scenario has those that stay, `deep.yml` the others. A person who runs the scenario
by molecule has both.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.tiers import DEEP

DEEP_PARTS = {
    # The same playbook, by another of its steps: the unit tests have them all.
    "dr_api": (
        "tests/unit/recovery/test_pms.py::test_a_stopped_pms_is_started",
        "tests/unit/recovery/test_pms.py"
        "::test_a_process_that_a_signal_stopped_is_resumed_and_keeps_its_memory",
        "tests/molecule/test_documents.py::test_a_disaster_is_recovered_from[dr_api]",
    ),
    "dr_pipeline": (
        "tests/unit/recovery/test_pipeline.py::test_a_web_server_that_does_not_answer_is_restarted",
        "tests/unit/recovery/test_pipeline.py::test_a_daemon_without_a_heartbeat_is_restarted",
        "tests/unit/recovery/test_pipeline.py"
        "::test_while_dagster_stays_down_the_pms_does_the_work_and_it_is_still_an_error",
        "tests/molecule/test_documents.py::test_a_disaster_is_recovered_from[dr_pipeline]",
    ),
    # Stopped together with Redis before the go-live; paused, full and read-only on a real server.
    "dr_database": (
        "tests/molecule/test_disasters.py"
        "::test_a_lab_goes_live_once_recovered_and_does_not_while_stopped_or_broken",
        "tests/unit/recovery/test_services.py::test_the_least_that_helps",
        "tests/integration/test_database_care.py::test_idle_sessions_make_room_and_those_at_work_stay",
        "tests/integration/test_database_care.py::test_a_read_only_default_is_set_back",
        "tests/molecule/test_disasters.py::test_a_disaster_is_recovered_from[dr_database]",
    ),
    "dr_triage": (
        "tests/molecule/test_documents.py::test_triage_names_each_disaster_and_no_other",
        "tests/unit/recovery/test_database_server.py"
        "::test_a_refusal_is_judged_by_the_servers_words",
        "tests/unit/incidents/test_scenarios.py"
        "::test_triage_of_two_disasters_at_once_names_their_order",
    ),
}
# All disasters of these. Triage tells them from the others, and a page's block runs their playbook.
DEEP_SCENARIOS = {
    "dr_redis": (
        "tests/molecule/test_disasters.py"
        "::test_a_lab_goes_live_once_recovered_and_does_not_while_stopped_or_broken",
        "tests/unit/recovery/test_services.py::test_the_least_that_helps",
        "tests/integration/test_incident_parts.py"
        "::test_packs_are_saved_and_only_the_lost_ones_put_back",
        "tests/unit/modules/test_recovery.py::test_packs_are_saved_restored_and_the_cache_is_warmed",
    ),
    "dr_bad_backup": (
        "tests/integration/test_restore.py::test_one_flipped_byte_in_any_file_is_refused",
        "tests/molecule/test_documents.py::test_triage_names_each_disaster_and_no_other",
        "tests/molecule/test_disasters.py"
        "::test_a_lab_goes_live_once_recovered_and_does_not_while_stopped_or_broken",
    ),
    "dr_mtm": (
        "tests/integration/test_corrections.py::test_a_mark_is_corrected_and_the_others_are_kept",
        "tests/integration/test_corrections.py"
        "::test_the_market_marks_every_open_ticker_at_its_newest_close",
        "tests/molecule/test_documents.py::test_a_disaster_is_recovered_from[dr_position]",
    ),
}
# Of `default`: a run beside another one, and a lab with several faults.
DEFAULT = (
    "tests/integration/test_run_lock.py"
    "::test_the_second_is_refused_and_the_next_one_after_a_kill_is_not",
    "tests/integration/test_golive_faults.py::test_a_fault_turns_its_check_red_and_no_other",
)
BLOCK = "tests/molecule/test_documents.py::test_a_block_does_what_its_page_says"
# By the beginning of a block's commands.
DEEP_BLOCKS = {
    "pms-ops checkpoint": (
        "tests/integration/test_checkpoint.py::test_back_to_the_checkpoint_proved_and_back_again",
    ),
    "pms-ops rollback --checkpoint": (
        "tests/integration/test_checkpoint.py::test_back_to_the_checkpoint_proved_and_back_again",
    ),
    **dict.fromkeys(
        [f"pms-ops ops {each}" for each in ("premarket", "intraday", "close", "weekly", "monthly")],
        (
            f"{BLOCK}[docs/OPERATIONAL_RUNBOOK.md: pms-ops ops open]",
            "tests/unit/briefs/test_operations.py::test_a_block_names_what_there_is",
        ),
    ),
}


def scenarios(names: list[str]) -> list[Any]:
    """Return scenarios as parameters."""
    return [
        pytest.param(each, marks=DEEP(by=DEEP_SCENARIOS[each])) if each in DEEP_SCENARIOS else each
        for each in names
    ]


def other_parts(names: list[str]) -> list[Any]:
    """Return the scenarios whose other disasters are deep, as parameters."""
    return [
        pytest.param(each, marks=DEEP(by=DEEP_PARTS[each])) for each in names if each in DEEP_PARTS
    ]


def block(said: tuple[str, list[str], str]) -> Any:
    """Return a block of a page as a parameter."""
    for beginning, by in DEEP_BLOCKS.items():
        if said[2].startswith(beginning):
            return pytest.param(*said, marks=DEEP(by=by))
    return said
