"""The ledger's chain: whatever was done to the file shows, and names the first bad line."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.conftest import PROJECT

SCRIPT = PROJECT / "scripts" / "verify_ledger.py"
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
ANY = settings(suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_ledger", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole")
    fill(root, 7)
    return root


def fill(root: Path, count: int) -> None:
    for number in range(count):
        ledger.append(root, "gate", {"run": f"run-{number}", "text": "é\n\t" * number}, now=NOW)


def copied(whole: Path, to: Path, lines: list[bytes]) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(whole, to)
    (to / ledger.NAME).write_bytes(b"".join(line + b"\n" for line in lines))
    return to


def lines_of(root: Path) -> list[bytes]:
    return (root / ledger.NAME).read_bytes().split(b"\n")[:-1]


def both_say(script: ModuleType, root: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the first problem that both implementations must find."""
    problems = ledger.verify(root)
    assert problems
    assert script.main([str(root)]) == 1
    printed = capsys.readouterr().out
    assert "BROKEN: " in printed
    return problems[0]


def test_a_chain_that_nobody_touched_is_whole(whole, script, capsys):
    assert ledger.verify(whole) == []
    assert script.main([str(whole)]) == 0
    assert "whole: 7 lines" in capsys.readouterr().out


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(OpsError) as caught:
        ledger.append(tmp_path, "party", {}, now=NOW)
    assert caught.value.code == "ledger.kind"


def test_a_folder_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OpsError) as caught:
        ledger.append(tmp_path / "file" / "evidence", "gate", {}, now=NOW)
    assert caught.value.code == "ledger.unwritable"


@ANY
@given(data=st.data())
def test_any_changed_byte_is_found(whole, script, tmp_path_factory, capsys, data):
    lines = lines_of(whole)
    number = data.draw(st.integers(0, len(lines) - 1))
    position = data.draw(st.integers(0, len(lines[number]) - 1))
    byte = data.draw(st.integers(0, 255))
    assume(byte not in (lines[number][position], ord("\n")))
    changed = bytearray(lines[number])
    changed[position] = byte
    lines[number] = bytes(changed)
    root = copied(whole, tmp_path_factory.getbasetemp() / "changed", lines)
    first = both_say(script, root, capsys)
    assert f"line {number + 1} " in first or f"line {number + 1}:" in first


@ANY
@given(data=st.data())
def test_any_rewritten_record_is_found(whole, script, tmp_path_factory, capsys, data):
    lines = lines_of(whole)
    number = data.draw(st.integers(0, len(lines) - 1))
    entry = json.loads(lines[number])
    entry["record"] = data.draw(st.dictionaries(st.text(max_size=5), st.integers(), max_size=3))
    lines[number] = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
    root = copied(whole, tmp_path_factory.getbasetemp() / "rewritten", lines)
    assert f"line {number + 1} " in both_say(script, root, capsys)


@ANY
@given(data=st.data())
def test_any_removed_lines_are_found(whole, script, tmp_path_factory, capsys, data):
    lines = lines_of(whole)
    gone = data.draw(st.sets(st.integers(0, len(lines) - 1), min_size=1, max_size=len(lines)))
    kept = [line for number, line in enumerate(lines) if number not in gone]
    root = copied(whole, tmp_path_factory.getbasetemp() / "removed", kept)
    assert f"line {min(gone) + 1} " in both_say(script, root, capsys)


@ANY
@given(data=st.data())
def test_any_other_order_is_found(whole, script, tmp_path_factory, capsys, data):
    lines = lines_of(whole)
    mixed = data.draw(st.permutations(lines))
    assume(mixed != lines)
    root = copied(whole, tmp_path_factory.getbasetemp() / "mixed", mixed)
    first = next(number for number in range(len(lines)) if lines[number] != mixed[number])
    assert f"line {first + 1} " in both_say(script, root, capsys)


@ANY
@given(data=st.data())
def test_any_inserted_line_is_found(whole, script, tmp_path_factory, capsys, data):
    lines = lines_of(whole)
    position = data.draw(st.integers(0, len(lines) - 1))
    lines.insert(position, data.draw(st.sampled_from(lines)))
    root = copied(whole, tmp_path_factory.getbasetemp() / "inserted", lines)
    both_say(script, root, capsys)


@ANY
@given(cut=st.integers(1, 10_000))
def test_any_truncation_is_found(whole, script, tmp_path_factory, capsys, cut):
    content = (whole / ledger.NAME).read_bytes()
    assume(cut <= len(content))
    root = copied(whole, tmp_path_factory.getbasetemp() / "cut", [])
    (root / ledger.NAME).write_bytes(content[:-cut])
    assert " is missing" in both_say(script, root, capsys)


def test_a_chain_rebuilt_from_its_beginning_is_found_by_a_head_kept_elsewhere(
    whole, script, tmp_path, capsys
):
    pinned = ledger.inspect(whole).sha256
    ledger.append(tmp_path, "incident", {"run": "never happened"}, now=NOW)
    fill(tmp_path, 9)
    assert ledger.verify(tmp_path) == []
    assert ledger.verify(tmp_path, head=pinned[:12])
    assert script.main([str(tmp_path), "--head", pinned[:12]]) == 1
    assert script.main([str(tmp_path), "--count", "7", "--last", pinned]) == 1
    assert script.main([str(whole), "--count", "7", "--last", pinned]) == 0


def test_a_missing_head_is_a_problem(whole, script, tmp_path, capsys):
    root = copied(whole, tmp_path / "headless", lines_of(whole))
    (root / ledger.HEAD).unlink()
    both_say(script, root, capsys)


def test_truncation_followed_by_an_honest_append_still_shows(whole, script, tmp_path, capsys):
    root = copied(whole, tmp_path / "shortened", lines_of(whole)[:5])
    ledger.append(root, "gate", {}, now=NOW)
    ledger.append(root, "gate", {}, now=NOW)
    assert "line 6 found the ledger damaged" in both_say(script, root, capsys)


def test_a_line_half_written_by_a_killed_writer_is_set_aside_and_said(whole, script, tmp_path):
    root = copied(whole, tmp_path / "torn", lines_of(whole))
    with (root / ledger.NAME).open("ab") as stream:
        stream.write(b'{"seq":8,"at":"2026')
    found = ledger.inspect(root)
    assert found.problems == ()
    assert "killed" in found.notes[0]
    ledger.append(root, "gate", {"run": "after"}, now=NOW)
    found = ledger.inspect(root)
    assert (found.problems, found.lines) == ((), 8)
    recovered = found.entries[-1]["recovered"]
    assert (root / recovered["file"]).read_bytes() == b'{"seq":8,"at":"2026'
    assert script.main([str(root)]) == 0


def test_a_writer_killed_before_it_moved_the_head_leaves_a_whole_chain(whole, script, tmp_path):
    root = copied(whole, tmp_path / "unpinned", lines_of(whole))
    head = (root / ledger.HEAD).read_bytes()
    ledger.append(root, "gate", {"run": "a"}, now=NOW)
    (root / ledger.HEAD).write_bytes(head)
    found = ledger.inspect(root)
    assert found.problems == ()
    assert "not pinned yet" in found.notes[0]
    assert script.main([str(root)]) == 0
    ledger.append(root, "gate", {"run": "b"}, now=NOW)
    assert ledger.verify(root) == []


def test_many_writers_at_once_make_one_chain(tmp_path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=fill, args=(tmp_path, 10)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    found = ledger.inspect(tmp_path)
    assert (found.problems, found.lines) == ((), 40)


def test_the_script_runs_with_nothing_but_python(whole):
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), str(whole)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout) == (0, "whole: 7 lines\n")


def test_the_script_cannot_call_nothing_whole(script, tmp_path, capsys):
    assert script.main([str(tmp_path)]) == 2
    (tmp_path / ledger.NAME).write_bytes(b"")
    assert script.main([str(tmp_path)]) == 2
