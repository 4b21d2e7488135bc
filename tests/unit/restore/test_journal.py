# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The journal: on disk before each step, and in the marks of the databases."""

from __future__ import annotations

import json

from ansible.module_utils.pmsops.restore import registry
from ansible.module_utils.pmsops.restore.journal import Journal


def test_the_journal_is_on_disk_before_a_step_begins(tmp_path):
    journal = Journal.open(tmp_path / "restore.json")
    assert journal.state == {}
    journal.record("aside", side="x")
    journal.record("proved")
    again = Journal.open(tmp_path / "restore.json")
    assert again.proved and not again.swapping
    assert again.state["side"] == "x"
    assert [step for step, _ in again.state["steps"]] == ["aside", "proved"]
    again.close()
    assert list(tmp_path.iterdir()) == []


def test_a_journal_that_is_lost_is_read_from_the_databases(tmp_path):
    journal = Journal(tmp_path / "restore.json")
    mark = {"of": "pms", "is": "former", "state": {"step": "rename", "incoming": "x"}}
    found = {
        "a": registry.ManagedDatabase("a", 1, True, None, mark | {"of": "other"}),
        "b": registry.ManagedDatabase("b", 2, True, None, json.loads(json.dumps(mark))),
    }
    journal.load_from_marks(found, "pms")
    assert journal.swapping
    assert journal.state["incoming"] == "x"
