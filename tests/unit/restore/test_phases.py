# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How pg_restore is connected and tuned."""

from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.restore import phases


def test_a_database_of_any_name_can_be_connected_to():
    assert phases.conninfo("a'b\\c=d") == "dbname='a\\'b\\\\c=d'"


@pytest.mark.parametrize(
    ("cores", "jobs", "alone"), [(2, 2, True), (2, 1, False), (16, 2, False), (1, 1, False)]
)
def test_indexes_are_built_alone_where_the_processes_fill_the_processors(
    monkeypatch, cores, jobs, alone
):
    monkeypatch.setattr(phases.os, "cpu_count", lambda: cores)
    assert ("max_parallel_maintenance_workers" in phases.session_settings(jobs)) == alone
