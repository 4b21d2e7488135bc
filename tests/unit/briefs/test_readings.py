# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The readings of the automatic parts: each on good data, and each point of attention."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.pmsops.briefs import book, operations
from ansible.module_utils.pmsops.briefs.reading import Reading, Source, percent, price, short
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.incidents import record
from ansible.module_utils.pmsops.pms.client import Answer

NOW = datetime(2026, 11, 25, 15, 0, tzinfo=UTC)  # a Wednesday
TODAY = date(2026, 11, 25)


def source(*answers: list[tuple[Any, ...]], body: Any = None, **folders: str) -> Source:
    """Return a source whose queries give *answers* in turn, and whose PMS gives *body*."""
    api = SimpleNamespace(
        call=lambda _operation: Answer(404 if body is None else 200, body),
        ask=lambda _operation, **_options: body,
    )
    made = Source(None, api, NOW, **folders)
    left = list(answers)
    made.rows = lambda _sql, _params=None: left.pop(0)
    return made


@pytest.mark.parametrize(
    ("runs", "attention"),
    [
        ([(date(2026, 11, 24), "SUCCESS", 61.5, "06:40")], []),
        ([], ["pipeline_runs has no run"]),
        (
            [(date(2026, 11, 24), "FAILED", None, "06:40")],
            ["the last run, of 2026-11-24, ended FAILED"],
        ),
        (
            [(date(2026, 11, 20), "SUCCESS", 61.5, "06:40")],
            ["the last run is of 2026-11-20, before 2026-11-24"],
        ),
    ],
)
def test_the_newest_pipeline_run_is_judged(runs, attention):
    assert operations.pipeline(source(runs)).attention == attention


def test_a_morning_pack_of_today_needs_no_attention():
    found = operations.pack(
        source(
            body={
                "briefing_date": "2026-11-25",
                "macro_narrative": "Rates are stable.",
                "action_items": [{"priority": 1, "category": "risk", "description": "Look."}],
            }
        )
    )
    assert found.attention == []
    assert found.rows == [(1, "risk", "Look.")]
    assert "Rates are stable." in found.lines


def test_a_missing_or_old_morning_pack_needs_attention():
    assert "no morning pack" in operations.pack(source()).attention[0]
    old = operations.pack(source(body={"briefing_date": "2026-11-24"}))
    assert old.attention == ["the newest morning pack is of 2026-11-24, today is 2026-11-25"]
    assert operations.pack(Source(None, None, NOW)).attention


def test_the_watched_markets_come_first_and_the_largest_other_moves_after_them():
    markets = [
        ("IBOV", TODAY, 130_000.0, -1.0),
        ("AAA", TODAY, 1.0, 0.1),
        ("BBB", TODAY, 1.0, -9.0),
        ("CCC", TODAY, 1.0, None),
        ("DDD", TODAY, 1.0, 3.0),
    ]
    curve = [(252, TODAY, 14.2, -3.25), (1260, TODAY, 13.9, None)]
    found = operations.snapshot(source(markets, curve))
    assert [row[0] for row in found.rows] == ["IBOV", "BBB", "DDD", "AAA", "DI 252 d", "DI 1260 d"]
    assert found.rows[4][2:] == ("14.20 %", "-3.2 bp")
    assert found.rows[5][3] == "-"
    assert operations.snapshot(source([], [])).attention


def test_backups_without_a_proof_and_without_a_drill_need_attention(tmp_path):
    found = operations.backups(
        source(backup_root=str(tmp_path / "b"), evidence_root=str(tmp_path / "e"))
    )
    assert found.attention == [
        f"{tmp_path / 'b'} holds no backup set",
        "there was no drill yet: run playbooks/drill.yml",
    ]


@pytest.mark.parametrize("proved", [True, False])
def test_the_last_drill_is_told(tmp_path, proved):
    root = tmp_path / "e"
    ledger.append(root, "drill", {"proved": proved, "rto_seconds": 12.5}, now=NOW)
    found = operations.backups(source(backup_root=str(tmp_path / "b"), evidence_root=str(root)))
    assert ("the last drill failed" in found.attention) is not proved
    assert "RTO 12.5 s" in found.lines[0]


def test_a_set_that_cannot_be_read_needs_attention(tmp_path):
    folder = tmp_path / "2026-11-25_0600"
    folder.mkdir()
    (folder / "manifest.json").write_text("{")
    found = operations.backups(source(backup_root=str(tmp_path), evidence_root=str(tmp_path / "e")))
    assert any("manifest.json" in line for line in found.attention)


def test_the_disks_are_told_and_a_missing_folder_is_skipped(tmp_path, monkeypatch):
    folders = {"backup_root": str(tmp_path), "evidence_root": str(tmp_path / "missing")}
    room = SimpleNamespace(f_blocks=100, f_bfree=10, f_bavail=10, f_frsize=10**9)
    monkeypatch.setattr(operations.os, "statvfs", lambda _path: room)
    found = operations.disk(source([(2_500_000_000,)], **folders))
    assert found.rows == [(str(tmp_path), "10.0", "10 %")]
    assert "dr_disk.yml" in found.attention[0]
    assert found.lines == ["The database takes 2,500 MB."]


def test_an_open_incident_and_a_damaged_ledger_need_attention(tmp_path):
    ledger.append(tmp_path, "drill", {"proved": True}, now=NOW)
    incident, _resumed = record.begin(tmp_path, "redis", title="R", symptoms=[], began_at=NOW)
    found = operations.chain(source(evidence_root=str(tmp_path)))
    assert found.attention == [f"incident {incident.id} is open since 2026-11-25T15:00:00.000Z"]
    assert found.lines[0].startswith("1 lines")
    path = tmp_path / ledger.NAME
    path.write_text(path.read_text().replace("true", "false"))
    damaged = operations.chain(source(evidence_root=str(tmp_path)))
    assert any("the ledger is damaged" in line for line in damaged.attention)


def test_the_superusers_are_named():
    roles = [
        ("postgres", True, True, True, None, None),
        ("viewer", False, True, False, "2027", "readers"),
    ]
    found = operations.access(source(roles))
    assert found.rows[1] == ("viewer", "", "yes", "", "2027", "readers")
    assert found.lines == ["Superusers that can log in: postgres."]


def test_the_attribution_has_to_add_up():
    body = {"total_pnl_brl": 100.0, "by_asset_class": [{"asset_class": "FX", "pnl_brl": 90.0}]}
    found = book.attribution(source(body=body))
    assert found.attention[0] == "MTD by_asset_class adds up to 90, the total is 100"
    assert ("MTD", "all", "100") in found.rows


def test_a_brief_without_a_pms_says_what_to_set():
    with pytest.raises(OpsError) as caught:
        Source(None, None, NOW).ask("risk")
    assert caught.value.code == "pms.no_url"


def test_values_are_written_as_people_read_them():
    assert (price(5.41), price(None), price(1000)) == ("5.41", "-", "1,000")
    assert percent(-0.5) == "-0.50 %"
    assert short("a\n b", 2) == "a…"
    assert Reading("t", rows=[(1, None)]).plain()["rows"] == [["1", "None"]]
