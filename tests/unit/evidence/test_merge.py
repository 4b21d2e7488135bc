# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A lost machine comes back: its evidence is merged, and neither chain of hashes breaks."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger, merge

from tests.conftest import PROJECT

NOW = datetime(2026, 11, 29, 21, tzinfo=UTC)


def add(root, name):
    ledger.append(root, "backup", {"set": name}, now=NOW)
    (root / name).write_text(name)


@pytest.fixture
def forked(tmp_path):
    """A new machine and the lost one: two lines in common, then each has lines of its own."""
    lost, new = tmp_path / "lost", tmp_path / "new"
    for name in ("a", "b"):
        add(lost, name)
    shutil.copytree(lost, new)
    add(lost, "only-lost")
    add(new, "only-new")
    (lost / "b").write_text("written again after the copy")
    return new, lost


def verified(root):
    """Tell whether the checker that shares no code with the toolkit finds the chain whole."""
    command = [sys.executable, PROJECT / "scripts" / "verify_ledger.py", root]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_both_chains_stay_whole_and_ours_pins_the_other(forked):
    new, lost = forked
    before = merge.digests(new)
    facts = merge.merge(new, lost, now=NOW, check=False)
    folder = new / "merged" / merge.digests(lost)[-1][:12]
    assert facts["common_lines"] == 2
    assert verified(new)
    assert verified(folder)
    assert merge.digests(new)[:-1] == before
    line = ledger.records(new, "merge")[-1]["record"]
    assert line["head"] == merge.digests(lost)[-1]
    assert (folder / "only-lost").read_text() == "only-lost"
    assert (folder / "b").read_text() == "written again after the copy"
    assert (new / "b").read_text() == "b"
    assert not (folder / "a").exists()


def test_a_second_merge_changes_nothing_and_a_killed_one_goes_on(forked, monkeypatch):
    new, lost = forked
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "append", lambda *_a, **_k: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            merge.merge(new, lost, now=NOW, check=False)
    assert merge.merge(new, lost, now=NOW, check=False)["changed"]
    lines = merge.digests(new)
    assert not merge.merge(new, lost, now=NOW, check=False)["changed"]
    assert merge.digests(new) == lines


def test_check_mode_copies_nothing(forked):
    new, lost = forked
    assert merge.merge(new, lost, now=NOW, check=True)["changed"]
    assert not (new / "merged").exists()


def test_the_ledger_of_another_system_is_refused(forked, tmp_path):
    add(tmp_path / "other", "z")
    with pytest.raises(OpsError) as caught:
        merge.merge(forked[0], tmp_path / "other", now=NOW, check=False)
    assert caught.value.code == "merge.other-system"
