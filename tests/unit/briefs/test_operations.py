# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The manager's day as data, and the briefs that come of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from ansible.module_utils.pmsops.briefs import book, brief
from ansible.module_utils.pmsops.briefs.reading import Reading, Source
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger

from tests.conftest import PROJECT
from tests.support.yaml_files import read_yaml

BLOCKS = read_yaml(PROJECT / "roles/ops/files/blocks.yml")["blocks"]
CHECKS = read_yaml(PROJECT / "roles/golive/files/checklist.yml")["checks"]
NOW = datetime(2026, 11, 25, 15, 0, tzinfo=UTC)
CHECK = {"id": "a.b", "title": "Redis answers", "status": "pass", "finding": "PONG"}
BLOCK = {"id": "close", "title": "Close", "time": "17:30"}


class Api:
    """A stand-in for the PMS: one answer for each operation."""

    def __init__(self, **answers):
        self.answers = answers

    def ask(self, operation, **_options):
        if operation not in self.answers:
            raise OpsError(f"no {operation}", "Look.", code="pms.answer")
        return self.answers[operation]


def source(rows=(), **answers):
    made = Source(None, Api(**answers), NOW)
    made.rows = lambda _sql, _params=None: list(rows)
    return made


def position(number=7, **more):
    return {
        "id": number,
        "instrument": "USDBRL",
        "direction": "LONG",
        "notional_brl": 1e6,
        "current_price": 5.0,
        "unrealized_pnl_brl": 1.0,
        "entry_date": "2026-11-20",
        "notes": "carry, and a weaker dollar",
    } | more


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block["id"])
def test_a_block_names_what_there_is(block):
    assert set(block["readings"]) <= set(brief.READINGS)
    assert set(block["checks"]) <= {check["id"] for check in CHECKS}
    # A check that waits for a step of the go-live would never be judged here.
    by_id = {check["id"]: check for check in CHECKS}
    queue, seen = list(block["checks"]), set()
    while queue:
        check = by_id[queue.pop()]
        seen.add(check["probe"])
        queue += check.get("needs", [])
    assert not seen & {"smoke", "attest"}
    for task in block["tasks"]:
        assert task["id"].startswith(f"{block['id']}.") and task["title"] and task["how"]
        assert task.get("every", "day") in brief.PERIODS
    playbook = (PROJECT / f"playbooks/ops_{block['id']}.yml").read_text()
    assert f"ops_block: {block['id']}" in playbook


def test_a_reading_that_fails_keeps_no_other_from_being_made():
    found = brief.read(["alerts", "proposals"], source(proposals=[]))
    assert found[0].failed == "no risk"
    assert found[1].title == "Pending proposals" and not found[1].failed


def test_an_answer_of_another_shape_is_told_and_no_crash():
    (found,) = brief.read(["proposals"], source(proposals=[{"conviction": 1}]))
    assert "unexpected answer" in found.failed


def test_an_unknown_reading_is_refused():
    with pytest.raises(OpsError) as caught:
        brief.read(["prices"], source())
    assert caught.value.code == "ops.reading"


def test_proposals_come_by_conviction():
    waiting = [
        {"id": n, "instrument": "X", "direction": "LONG", "conviction": c}
        for n, c in ((1, 0.6), (2, 0.9))
    ]
    found = book.proposals(source(proposals=waiting))
    assert [row[0] for row in found.rows] == [2, 1]


@pytest.mark.parametrize(
    ("close", "told"), [(5.0, False), (5.09, False), (5.2, True), (4.8, True), (None, False)]
)
def test_a_market_that_left_a_mark_is_told(close, told):
    rows = [("USDBRL", close, "2026-11-24")] if close else []
    found = book.marks(source(rows, positions=[position()]))
    assert bool(found.attention) == told


def test_a_position_without_a_mark_is_told():
    found = book.marks(source(positions=[position(current_price=None)]))
    assert "has no mark" in found.attention[0]


@pytest.mark.parametrize(
    ("told", "count", "total", "words"),
    [(10.0, 1, 10.4, None), (10.0, 1, 50.0, "in the PMS"), (0.0, 0, 0, "no mark of 2026-11-25")],
)
def test_the_result_is_held_against_the_marks_of_the_database(told, count, total, words):
    found = book.result(source([(count, total)], pnl_summary={"data": {"pnl_today_brl": told}}))
    assert (words in found.attention[0]) if words else found.attention == []


def test_attribution_that_does_not_add_up_is_told():
    whole = {
        "total_pnl_brl": 100.0,
        "by_asset_class": [{"asset_class": "FX", "pnl_brl": 60.0}],
        "by_strategy": [{"strategy_id": "A", "pnl_brl": 100.0}],
    }
    found = book.attribution(source(attribution=whole))
    assert len(found.attention) == 2 and "by_asset_class adds up to 60" in found.attention[0]


def test_a_breach_and_a_limit_that_is_not_ok_are_told():
    risk = {
        "alerts": [{"type": "VAR", "severity": "BREACH", "message": "too much", "value": 3}],
        "limits_summary": {"overall_status": "BREACHED"},
    }
    found = book.alerts(source(risk=risk))
    assert found.attention == ["risk limits are BREACHED", "VAR: too much"]


def test_a_position_without_a_thesis_is_told():
    found = book.theses(source(positions=[position(), position(8, notes=" ")]))
    assert found.attention == ["no thesis for position 8"]


@pytest.mark.parametrize(
    ("every", "ago", "done"),
    [
        ("day", timedelta(hours=1), True),
        ("day", timedelta(hours=13), False),
        ("week", timedelta(days=2), True),
        ("week", timedelta(days=7), False),
        ("month", timedelta(days=20), True),
        ("month", timedelta(days=30), False),
    ],
)
def test_an_attestation_holds_for_its_period(tmp_path, every, ago, done):
    ledger.append(tmp_path, "attestation", {"task": "t", "name": "Maria"}, now=NOW - ago)
    (found,) = brief.open_tasks([{"id": "t", "every": every}], tmp_path, NOW)
    assert (found["done_by"] == "Maria") == done


def test_what_failed_and_what_was_seen_is_attention():
    readings = [Reading("Marks", attention=["look"]), Reading("Risk", failed="no answer")]
    checks = [CHECK, CHECK | {"status": "unknown", "finding": "no URL"}]
    made = brief.compose(BLOCK, readings, checks, [], NOW)
    assert made["verdict"] == "attention"
    assert made["attention"] == [
        "Redis answers: no URL",
        "look",
        "Risk could not be read: no answer",
    ]
    assert brief.compose(BLOCK, [Reading("Marks")], [CHECK], [], NOW)["verdict"] == "well"


def test_a_part_that_the_system_lacks_needs_no_attention():
    lacked = {"id": "a", "title": "Dagster answers", "status": "unknown", "finding": "no Dagster"}
    found = brief.compose(BLOCK, [], [lacked | {"absent": True}], [], NOW)
    assert found["attention"] == []


def test_the_pages_hold_everything_and_escape_it(tmp_path):
    reading = Reading("Marks", ["two <b>lines"], ("a", "b"), [("1|2", "<i>")], ["look here"])
    task = {"id": "close.mark", "title": "Mark", "how": "by hand", "done_by": None}
    done = task | {"id": "close.x", "title": "Read", "done_by": "Maria"}
    made = brief.compose(BLOCK, [reading], [CHECK], [task, done], NOW)
    pages = brief.keep(made, tmp_path / "evidence", NOW)
    text = brief.markdown(made)
    assert "1\\|2" in text and "- [ ] Mark: by hand" in text and "- [x] Read (Maria)" in text
    page = brief.html(made)
    assert "<i>" not in page and "&lt;i&gt;" in page and "two &lt;b&gt;lines" in page
    assert "2026-11-25_close" in pages["html"]
    lines = brief.terminal(made)
    assert lines[-1] == "  look here" and "  [x] Read (Maria)  [close.x]" in lines


def test_a_superuser_that_cannot_log_in_and_its_members_are_in_the_access_table():
    rows = [
        ("pms_restore", True, False, False, None, None),
        ("app", False, True, False, None, None),
        ("pms_ops", False, True, False, None, "pg_read_all_data, pms_restore"),
    ]
    found = brief.read(["access"], source(rows))[0]
    assert found.rows[0][:3] == ("pms_restore", "yes", "")
    assert found.lines == [
        "Superusers that can log in: none.",
        "pms_ops can become pms_restore, which cannot log in.",
    ]


def test_no_role_is_cut_off_a_wide_table():
    groups = ", ".join(f"pg_group_of_rights_{number}" for number in range(9)) + ", pms_restore"
    lines = brief._columns(["role", "member of"], [["pms_ops", groups], ["app", ""]])
    assert max(map(len, lines)) <= brief.TABLE_WIDTH
    assert " ".join(" ".join(lines[1:-1]).split()) == f"pms_ops {groups}"


def test_one_file_system_has_one_figure_of_free_space(tmp_path, monkeypatch):
    from ansible.module_utils.pmsops.briefs import operations
    from ansible.module_utils.pmsops.checks.probes import disk

    # 252 GB, 150 of them reserved for root, 77 free.
    room = type("Room", (), {
        "f_blocks": 252, "f_bfree": 227, "f_bavail": 77, "f_frsize": 10**9,
        "f_files": 0, "f_favail": 0,
    })()  # fmt: skip
    monkeypatch.setattr("os.statvfs", lambda _path: room)
    made = source([(1e6,)])
    made.backup_root = made.evidence_root = str(tmp_path)
    rows = operations.disk(made).rows
    asked = disk.ask({"path": str(tmp_path)}, SimpleNamespace(settings=made), None)
    assert {row[2] for row in rows} == {"75 %"} and asked["free_percent"] == 75.5


def test_a_drill_without_a_time_has_no_rto_of_none(tmp_path):
    made = source()
    made.backup_root = made.evidence_root = str(tmp_path)
    ledger.append(tmp_path, "drill", {"proved": True, "rto_seconds": None}, now=NOW)
    lines = brief.read(["backups"], made)[0].lines
    assert "proved" in lines[-1] and "None" not in lines[-1]
