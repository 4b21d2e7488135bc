# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Texts of the tool in records: each in Portuguese, and what is not known marked as English."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.pmsops.evidence import not_covered, run_record
from ansible.module_utils.pmsops.export import report, said
from ansible.module_utils.pmsops.parts import secret_search

SCENARIOS = Path(__file__).parents[3] / "roles" / "incident" / "files" / "scenarios.yml"


def uncovered():
    records = [
        ("backup", {"set": "a", "parts": []}),
        ("restore", {"tables": ["a"]}),
        ("drill", {"parts": []}),
        ("gate", {"partial": True, "results": [{"id": "a", "status": "unknown"}] * 12}),
        ("gate", {"results": [{"id": "a", "status": "unknown"}]}),
    ]
    return sorted(
        {text for kind, record in records for text in not_covered.lines(kind, record, [])}
    )


def left_out():
    reasons = [secret_search.reason(b"\0"), secret_search.reason(b"password: hunter2")]
    return [f"compose: /a/b.yml: {why}, and the set is not encrypted" for why in reasons]


def scenario_titles():
    lines = SCENARIOS.read_text().splitlines()
    return [line[len("    title: ") :] for line in lines if line.startswith("    title: ")]


@pytest.mark.parametrize(
    "text",
    [*uncovered(), *left_out(), *scenario_titles(), *run_record.SIGNERS, "go", "no-go"],
)
def test_each_text_of_the_tool_has_a_translation(text):
    found = said.translated(text)
    assert found
    for english in ("not ", "the ", " is ", "secret,", "without"):
        assert english not in found


def test_what_the_tool_did_not_write_is_marked_as_english_and_escaped():
    assert report._said("pt", "<b>by hand") == '<span lang="en">&lt;b&gt;by hand</span>'
    assert report._said("en", "Redis: not restored") == "Redis: not restored"
    assert report._said("pt", "Redis: not restored") == "Redis: não restaurado"
