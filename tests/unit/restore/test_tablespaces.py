# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tablespaces that a set needs, from every kind of fact that names one."""

from __future__ import annotations

from ansible.module_utils.pmsops.restore import tablespaces


def test_tables_indexes_chunks_and_hypertables_name_theirs():
    facts = {
        "tables": {"public.a": {"tablespace": None}, "public.b": {"tablespace": "slow"}},
        "indexes": {"public.b_key": {"tablespace": "fast"}},
        "chunks": {"public.md [1 .. 2)": {"tablespace": "old"}},
        "hypertables": {"public.md": {"tablespaces": ["old", "older"]}, "public.x": {}},
    }
    assert tablespaces.of_facts(facts) == {"slow", "fast", "old", "older"}


def test_a_set_of_an_older_schema_names_none():
    assert tablespaces.of_facts({"tables": {"public.a": {"owner": "x"}}, "jobs": {}}) == set()
