# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lines and files of any form: the report names what it can, and never fails for them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.export import facts as report_facts
from ansible.module_utils.pmsops.export import plan, report, segment
from ansible.module_utils.pmsops.export.language import Language
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import exported
from tests.support.exported import NOW, YEAR

# Names that the report reads, in records of any kind.
NAMES = (
    *("run", "verdict", "partial", "counts", "blocking", "negative_control", "audit", "set"),
    *("proved", "rto_seconds", "rpo_seconds", "rto_target_seconds", "drill_host", "site", "why"),
    *("removed", "reason", "other_database", "size_bytes", "rows", "down_seconds", "tables"),
    *("until", "when", "who", "check", "event", "key", "lines", "machine", "act", "id", "due"),
    *("title", "owner", "record", "closed_by", "name", "role", "task", "failed", "moment", "of"),
    *("targets", "results", "checklist_sha256", "facts", "closed_at", "began_at", "broken"),
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.sampled_from(["opened", "closed", "rotated", "accepted", "2026-05-05", "go", "proof"]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=6,
)
RECORDS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=9)
ANY = settings(
    suppress_health_check=list(HealthCheck),
    max_examples=60 if settings.default.max_examples <= 100 else 400,
    deadline=None,
)


@pytest.fixture(scope="module")
def schedule(tmp_path_factory):
    return plan.read(exported.schedule(exported.Fund(tmp_path_factory.mktemp("odd"))))


def manifest():
    return {
        "period": YEAR.document(),
        "made_at": "2027-01-10T12:00:00Z",
        "system": "fund",
        "host": "h",
        "tool": {"name": "pms-ops", "version": "1"},
        "ledger": {"key": "ab" * 32, "in_period": 1, "notes": []},
        "problems": [],
    }


@ANY
@given(
    records=st.lists(st.tuples(st.sampled_from((*ledger.KINDS, "signing")), RECORDS), max_size=6),
    files=st.dictionaries(
        st.sampled_from(
            [
                "records/2026-05-05_100000/record.json",
                "incidents/2026-05-05_100000_x/incident.json",
                "anchors/state.json",
            ]
        ),
        VALUES,
    ),
    language=st.sampled_from(["en", "pt"]),
)
def test_a_record_of_any_form_makes_a_page(schedule, records, files, language):
    lines = [
        json.dumps(
            {
                "seq": number,
                "at": datetime(2026, 5, 5, 10, number, tzinfo=UTC).isoformat(),
                "kind": kind,
                "previous": "0" * 64,
                "record": record,
            }
        )
        for number, (kind, record) in enumerate(records, 1)
    ]
    found = segment.cut("".join(f"{line}\n" for line in lines).encode(), YEAR)
    written = {name: json.dumps(value).encode() for name, value in files.items()}
    facts = report_facts.collect(found, written, [])
    planned = plan.compare(schedule, found.inside, YEAR, NOW)
    page = report.page(manifest(), facts, planned, written, Language(language))
    assert page.startswith("<!doctype html>") and page.rstrip().endswith("</html>")
    json.dumps(facts.checklists)
