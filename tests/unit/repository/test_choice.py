# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The set after a disaster: the newest that can be proved, unless it holds the damage."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.repository import choice, manifest, sets

ROWS = {"public.portfolio_positions": 40, "public.market_data": 5000}


@pytest.fixture
def keys(tmp_path):
    return tmp_path / "keys"


def made(tmp_path, keys, name: str, rows: dict[str, int], *, verified: bool):
    """Write a signed set with so many rows of each table."""
    folder = tmp_path / "sets" / name
    folder.mkdir(parents=True)
    (folder / "toc.dat").write_text(name)
    document: dict[str, Any] = {field: {} for field in manifest.REQUIRED} | {
        "schema_version": manifest.SCHEMA_VERSION,
        "id": name,
        "database_name": "fund",
        "snapshot_at": f"{name[:10]}T06:00:00Z",
        "facts": {"tables": {table: {} for table in rows}},
        "contents": {table: {"rows": count} for table, count in rows.items()},
        "files": {
            "toc.dat": {
                "size_bytes": len(name),
                "sha256": files.sha256(folder / "toc.dat"),
            }
        },
    }
    manifest.write(folder, document, keys)
    if verified:
        sets.mark_verified(folder, {})
    return folder


def chosen(tmp_path, keys, **given):
    return choice.newest_complete(tmp_path / "sets", keys, database="fund", **given)


def test_a_newer_sound_set_that_was_not_verified_is_chosen_and_the_verified_one_named(
    tmp_path, keys
):
    old = made(tmp_path, keys, "2026-11-20_0600", ROWS, verified=True)
    new = made(tmp_path, keys, "2026-11-21_0600", ROWS, verified=False)
    found, verified = chosen(tmp_path, keys)
    assert (found.folder, found.verified) == (new, False)
    assert (verified.folder, verified.verified) == (old, True)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (
            {"public.market_data": 5000},
            "lacks table public.portfolio_positions, which 2026-11-20_0600 has",
        ),
        (
            ROWS | {"public.market_data": 1},
            "has 1 rows of public.market_data, 2026-11-20_0600 has 5000",
        ),
    ],
    ids=["a dropped table", "an emptied table"],
)
def test_a_backup_that_was_made_after_the_damage_is_passed_over(tmp_path, keys, rows, why):
    old = made(tmp_path, keys, "2026-11-20_0600", ROWS, verified=True)
    between = made(tmp_path, keys, "2026-11-21_0600", ROWS, verified=False)
    made(tmp_path, keys, "2026-11-22_0600", rows, verified=False)
    found, verified = chosen(tmp_path, keys)
    assert found.folder == between
    assert found.passed_over == [f"2026-11-22_0600: {why}"]
    assert verified.folder == old


def test_a_damaged_set_and_one_whose_drill_failed_are_passed_over(tmp_path, keys):
    old = made(tmp_path, keys, "2026-11-20_0600", ROWS, verified=True)
    made(tmp_path, keys, "2026-11-21_0600", ROWS, verified=False)
    rotten = made(tmp_path, keys, "2026-11-22_0600", ROWS, verified=False)
    (rotten / "toc.dat").chmod(0o600)
    (rotten / "toc.dat").write_text("2026-11-22_0601")
    failed = {"set": "2026-11-21_0600", "proved": False, "code": "restore.different", "why": "x"}
    entry = {"at": "2026-11-23T06:00:00Z", "record": failed}
    found, _verified = chosen(tmp_path, keys, drills=[entry])
    assert found.folder == old
    assert "another content" in found.passed_over[0]
    assert "did not restore" in found.passed_over[1]


def test_without_a_verified_set_the_newest_sound_one_is_chosen(tmp_path, keys):
    new = made(tmp_path, keys, "2026-11-21_0600", ROWS, verified=False)
    found, verified = chosen(tmp_path, keys)
    assert found.folder == new and verified.folder is None


def test_a_set_is_passed_over_for_the_loss_that_the_next_backup_would_report():
    older = {
        "id": "o",
        "facts": {"tables": {"public.a": {}}},
        "contents": {"public.a": {"rows": 12}},
    }
    newer = older | {"id": "n", "contents": {"public.a": {"rows": 0}}}
    assert choice.lacks(newer, older) == ["has 0 rows of public.a, o has 12"]


def test_a_small_table_may_lose_most_rows_and_a_partition_may_go():
    facts = {"tables": {"public.a": {}, "public.a_2025": {"parents": ["public.a"]}}}
    older = {"id": "o", "facts": facts, "contents": {"public.a": {"rows": 5}}}
    newer = {
        "id": "n",
        "facts": {"tables": {"public.a": {}}},
        "contents": {"public.a": {"rows": 0}},
    }
    assert choice.lacks(newer, older) == []
