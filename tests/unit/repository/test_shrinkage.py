# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A set that lost rows or tables is found at once, and the set before is held: issue 18, A17."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.evidence import status
from ansible.module_utils.pmsops.repository import manifest, retention, sets, shrinkage

DUMP = {"path": "app.pgdump", "format": "directory", "compression": "zstd:1", "encrypted": False}
BYTES = 5_000_000


def document(tables, *, name="2026-11-23_0600", formula=3, hypertables=None, children=None):
    """Return a manifest of *tables*, with their rows; *children* gives chunks of a table."""
    contents = {f"public.{table}": {"rows": rows} for table, rows in tables.items()}
    for table, chunks in (children or {}).items():
        contents |= {
            f"public.{table} [{number}]": {"rows": rows, "of": f"public.{table}"}
            for number, rows in enumerate(chunks)
        }
    return {field: {} for field in manifest.REQUIRED} | {
        "schema_version": 3 if formula == 3 else 2,
        "fingerprint_formula": formula,
        "id": name,
        "database_name": "macro",
        "snapshot_at": f"{name[:10]}T06:00:00Z",
        "dump": DUMP,
        "totals": {"bytes": BYTES, "rows": 1},
        "facts": {
            "tables": {f"public.{table}": {} for table in (*tables, *(children or {}))},
            "hypertables": hypertables or {},
        },
        "contents": contents,
    }


def losses(before, after, bytes_after=BYTES):
    return shrinkage.losses(before, after, bytes_after=bytes_after)


def test_an_emptied_database_is_named_by_its_rows():
    found = losses(document({"trades": 5001, "funds": 3}), document({"trades": 1, "funds": 3}))
    assert found == [
        "the set has 4 rows of 5004",
        "table public.trades has 1 rows of 5001",
    ]


@pytest.mark.parametrize(
    ("was", "now", "named"),
    [
        (5001, 5000, False),
        (5001, 2501, False),
        (5001, 2500, True),
        (60, 30, False),
        (60, 29, True),
        (19, 9, False),
        (10, 0, True),
        (9, 0, False),
    ],
)
def test_a_table_that_lost_most_of_its_rows_is_named(was, now, named):
    more = {"marks": 100_000}
    found = losses(document({"trades": was} | more), document({"trades": now} | more))
    assert found == ([f"table public.trades has {now} rows of {was}"] if named else [])


def test_a_table_that_is_gone_and_a_schema_that_lost_tables_are_named():
    some = {f"t{number}": 10 for number in range(4)}
    found = losses(document(some | {"marks": 1000}), document({"marks": 1000, "t0": 10}))
    assert found == [
        "schema public has 2 tables of 5",
        *(f"table public.t{number} with 10 rows is gone" for number in (1, 2, 3)),
    ]


def test_chunks_that_were_compressed_have_lost_nothing():
    chunked = {"hypertables": {"public.md": {"compression": True}}}
    before = document({}, formula=2, children={"md": [600_000, 74_300]}, **chunked)
    after = document({}, formula=3, children={"md": [10_000, 5_834]}, **chunked)
    assert losses(before, after) == []
    assert manifest.rows_of(before, "public.md") is None
    assert manifest.logical_rows(before) is None
    assert manifest.rows_of(after, "public.md") == manifest.logical_rows(after) == 15_834


def test_chunks_that_retention_of_the_application_dropped_count_with_their_table():
    before = document({}, children={"md": [100] * 12})
    assert losses(before, document({}, children={"md": [100] * 11})) == []
    assert losses(before, document({}, children={"md": [100] * 5})) == [
        "the set has 500 rows of 1200",
        "table public.md has 500 rows of 1200",
    ]


def test_a_set_of_fewer_bytes_is_named_unless_it_is_compressed_otherwise():
    before, after = document({"trades": 10}), document({"trades": 10})
    assert losses(before, after, 3_000_000) == ["the set has 3.0 MB of 5.0 MB"]
    assert losses(before, after | {"dump": DUMP | {"compression": "gzip:9"}}, 3_000_000) == []
    after["facts"]["hypertables"] = {"public.md": {"compression": True}}
    assert losses(before, after, 3_000_000) == []


def written(root, content):
    folder = root / content["id"]
    folder.mkdir(parents=True)
    content[shrinkage.FLAG] = shrinkage.record(root, content, bytes_after=BYTES)
    (folder / manifest.NAME).write_text(json.dumps(content))
    return folder


def test_the_set_before_is_held_and_the_finding_stays_until_somebody_accepts_it(tmp_path):
    full = written(tmp_path, document({"trades": 5001}, name="2026-11-20_0600"))
    written(tmp_path, document({"trades": 1}, name="2026-11-21_0600"))
    written(tmp_path, document({"trades": 1}, name="2026-11-22_0600"))
    newest = manifest.read(sets.newest(tmp_path))
    assert shrinkage.standing(tmp_path, newest) == [
        "the set has 1 rows of 5001 (set 2026-11-20_0600 has it)",
        "table public.trades has 1 rows of 5001 (set 2026-11-20_0600 has it)",
    ]
    kept = retention.plan(retention.candidates(tmp_path), retention.Policy(1, 0, 0, 0))
    assert kept[full.name] == ["held"]
    (full / sets.HOLD).unlink()
    assert shrinkage.standing(tmp_path, newest) == []
    written(tmp_path, document({"trades": 1}, name="2026-11-23_0600"))
    assert shrinkage.standing(tmp_path, manifest.read(sets.newest(tmp_path))) == []


def test_a_finding_stands_if_the_set_before_is_gone(tmp_path):
    full = written(tmp_path, document({"trades": 5001}, name="2026-11-20_0600"))
    written(tmp_path, document({"trades": 1}, name="2026-11-21_0600"))
    retention.remove(full)
    assert len(shrinkage.standing(tmp_path, manifest.read(sets.newest(tmp_path)))) == 2


def test_status_names_a_shrunk_set_and_what_to_do(tmp_path):
    written(tmp_path / "b", document({"trades": 5001}, name="2026-11-20_0600"))
    written(tmp_path / "b", document({"trades": 1}, name="2026-11-21_0600"))
    found = status.collect(tmp_path / "b", tmp_path / "e", now=datetime.now(UTC))
    entry = next(each for each in found["due"] if "table public.trades" in each["what"])
    assert "2026-11-21_0600 has lost data: table public.trades has 1 rows of 5001" in entry["what"]
    assert f"hold_state=absent -e file={tmp_path / 'b' / '2026-11-20_0600'}" in entry["next"]
