# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The proof: what it compares, what it refuses, and what it says that it covers."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.pmsops.client_tools import archive_contents
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.postgresql import canary, timescaledb_held_jobs
from ansible.module_utils.pmsops.postgresql import timescaledb_workers as workers
from ansible.module_utils.pmsops.restore import proof
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.verify import database as comparison
from ansible.module_utils.pmsops.verify import differences, queries

from tests.support.recorded_database import RecordedDatabase

DOCUMENT = {
    "schema_version": 3,
    "contents": {"public.book": {"rows": 5}, "public.md": {"rows": 7}},
    "canary": "token",
}
CONTENTS = archive_contents.Contents(rows={("public", "book"): 5})
DIFFERENCE = differences.Difference("contents", "public.book", "has 4 rows, not 5")
STAGING = RecordedDatabase({})


@pytest.fixture
def found(monkeypatch):
    """What the comparisons, the canary row and the queries answer."""
    answers = {"differences": [], "canary": True, "invalid": ["public.by_name is not valid"]}
    asked = {}

    def compare(_staging, _what, **options):
        asked.update(options)
        return answers["differences"]

    monkeypatch.setattr(comparison, "differences", compare)
    monkeypatch.setattr(comparison, "naive_differences", compare)
    monkeypatch.setattr(comparison, "invalid_objects", lambda staging: answers["invalid"])
    monkeypatch.setattr(canary, "seen", lambda cursor, token: answers["canary"])
    monkeypatch.setattr(timescaledb_held_jobs, "held", lambda cursor: [1000])
    monkeypatch.setattr(queries, "ask", lambda staging, several: [{"title": "positions"}])
    return answers | {"set": answers.update, "asked": asked}


def of_set(document=None):
    request = Request(root=Path("r"), keys=Path("k"), shown=3)
    return proof.of_set(STAGING, document or DOCUMENT, request, Progress(), ["pg_trgm"])


def of_archive():
    request = Request(root=Path("r"), keys=Path("k"))
    return proof.of_archive(STAGING, CONTENTS, request, Progress())


def test_a_proof_of_a_set_counts_what_it_compared(found):
    made = of_set()
    assert (made.tables, made.rows, made.canary) == (2, 12, True)
    assert made.verified == "signature, every file, every object and every row"
    assert (made.queries, made.jobs) == ([{"title": "positions"}], [1000])
    assert found["asked"]["other_versions"] == ["pg_trgm"]


def test_a_set_without_a_canary_row_says_so(found):
    found["set"]({"canary": False})
    assert of_set(DOCUMENT | {"canary": None}).canary is None


def test_a_database_without_the_canary_row_is_refused(found):
    found["set"]({"canary": False})
    with pytest.raises(OpsError, match="token") as caught:
        of_set()
    assert caught.value.code == "restore.canary"


def test_a_database_that_differs_is_refused_with_each_difference(found):
    found["set"]({"differences": [DIFFERENCE]})
    with pytest.raises(OpsError, match=r"1 points: .*public\.book has 4 rows, not 5") as caught:
        of_set()
    assert caught.value.code == "restore.different"
    with pytest.raises(OpsError, match=r"public\.book has 4 rows"):
        of_archive()


def test_a_proof_of_a_bare_dump_says_what_it_does_not_cover(found):
    made = of_archive()
    assert (made.tables, made.rows, made.canary) == (1, 5, None)
    assert "without a manifest" in made.verified
    assert made.warnings == ["public.by_name is not valid"]


def test_the_scheduler_has_to_run_and_hypertables_have_to_take_rows(monkeypatch):
    done, refused = [], []
    monkeypatch.setattr(workers, "start_workers", lambda database: done.append("start"))
    monkeypatch.setattr(workers, "workers", lambda database, verb: done.append(verb))
    monkeypatch.setattr(workers, "insert_test", lambda database: refused)
    proof.require_liveness(STAGING)
    assert done == ["start", "stop"]
    refused.append("public.md: no chunk")
    with pytest.raises(OpsError, match=r"public\.md: no chunk") as caught:
        proof.require_liveness(STAGING)
    assert caught.value.code == "restore.not-writable"


LOSS = {
    "table": "public.book",
    "column": "q",
    "rows": 1,
    "chunks": [],
    "what": "public.book: column q of 1 rows is lost.",
    "remedy": "UPDATE book;",
}


def test_a_loss_that_the_backup_recorded_is_named_as_the_cause(found):
    found["set"]({"differences": [DIFFERENCE]})
    with pytest.raises(OpsError) as caught:
        of_set(DOCUMENT | {"losses": [LOSS]})
    assert caught.value.code == "restore.different"
    assert "known since the backup: public.book: column q of 1 rows is lost." in str(caught.value)
    assert "UPDATE book;" in caught.value.remedy


def test_a_difference_elsewhere_is_not_blamed_on_a_recorded_loss(found):
    found["set"]({"differences": [DIFFERENCE]})
    with pytest.raises(OpsError) as caught:
        of_set(DOCUMENT | {"losses": [LOSS | {"table": "public.md"}]})
    assert "known since the backup" not in str(caught.value)
    assert "Take another set" in caught.value.remedy


@pytest.mark.parametrize("schema", [1, 2])
def test_the_proof_of_an_old_set_says_how_far_it_reaches(found, schema):
    old = DOCUMENT | {"schema_version": schema}
    made = of_set(old | ({"fingerprint_formula": 2} if schema == 2 else {}))
    assert made.formula == schema
    assert "every row as it is stored" in made.verified
    assert "the next backup" in made.verified
    assert of_archive().formula is None
