# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time stamps in an export: by a real authority, checked by openssl, altered and exchanged ones."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.anchors import run as anchoring
from ansible.module_utils.pmsops.anchors.time_stamp import TimeStamp
from ansible.module_utils.pmsops.evidence import anchor_notes, ledger_keys
from ansible.module_utils.pmsops.export import bundle, verify_script

from tests.support import exported
from tests.support.exported import NOW, outside, unpack
from tests.support.time_stamping import Authority


@pytest.fixture(scope="module")
def stamped(tmp_path_factory):
    """A fund whose head an authority stamped, and the authority."""
    pytest.importorskip("rfc3161_client")
    root = tmp_path_factory.mktemp("stamped")
    authority = Authority(root / "authority")
    fund = exported.year(root)
    way = TimeStamp("tsa", authority.url, authority.ca_file, fund.evidence / "anchors" / "tsa")
    made = anchoring.make(fund.evidence, {"tsa": way}, "fund", hours=1, force=True, check=False)
    assert made["anchors"][0]["lines"] == 16, made
    yield fund, authority
    authority.stop()


@pytest.fixture
def folder(stamped, tmp_path):
    fund, authority = stamped
    return unpack(fund.export(authorities={"tsa": authority.ca_file}), tmp_path / "bundle")


def token_of(folder):
    return next((folder / "anchors" / "tsa").glob("*.tsr"))


def resealed(folder, fund):
    """Sign the folder anew with the fund's own key, as its owner could."""
    names = [each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()]
    files = {name: (folder / name).read_bytes() for name in names}
    manifest = json.loads(files.pop("manifest.json"))
    del files["signature.json"]
    key = ledger_keys.load(fund.key, [fund.keys])[0]
    path = folder.with_suffix(".zip")
    path.write_bytes(bundle.sealed(files, manifest, key))
    return path


def test_openssl_finds_the_stamp_whole_and_says_by_which_root(folder, stamped):
    fund, authority = stamped
    key = ("--key", fund.key)
    token = token_of(folder).relative_to(folder).as_posix()
    code, said = outside(folder, *key)
    assert code == 0, said
    assert re.search(rf"{token}: line 16 was there at 20\S+, by anchors/tsa/ca.pem", said)
    assert "which was not compared" in said
    # Of the place that gave its stamp nothing is left to ask; of the file there is.
    assert "anchor tsa: " not in said and "anchor vault: line" in said
    code, said = outside(folder, *key, "--tsa-ca", str(authority.ca_file))
    assert code == 0 and "by the root that was given" in said


def test_a_root_that_is_known_otherwise_refuses_a_stamp_of_another_authority(folder, tmp_path):
    other = Authority(tmp_path / "other")
    try:
        code, said = outside(folder, "--tsa-ca", str(other.ca_file))
    finally:
        other.stop()
    assert code == verify_script.BROKEN and "is not signed by the authority" in said


def test_a_stamp_that_its_owner_altered_and_signed_anew_is_named(folder, stamped, capsys):
    fund, _authority = stamped
    path = token_of(folder)
    content = path.read_bytes()
    path.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    assert verify_script.main([str(resealed(folder, fund))]) == verify_script.BROKEN
    assert f"{path.name} is not signed by the authority" in capsys.readouterr().out


def test_stamps_that_their_owner_left_out_are_missed_by_who_gives_the_root(folder, stamped, capsys):
    """The owner of the key can write all of it anew, and leave out what shows that."""
    fund, authority = stamped
    shutil.rmtree(folder / "anchors")
    path = str(resealed(folder, fund))
    assert verify_script.main([path, "--key", fund.key]) == verify_script.WHOLE
    assert "note: nothing of this export left the machine" in capsys.readouterr().out
    root = ("--tsa-ca", str(authority.ca_file))
    assert verify_script.main([path, "--key", fund.key, *root]) == verify_script.BROKEN
    assert "no time stamp is by the root that was given" in capsys.readouterr().out


def test_the_lines_that_no_stamp_has_are_told(stamped, tmp_path, capsys):
    fund, authority = stamped
    copy = exported.Fund(tmp_path / "copy")
    shutil.copytree(fund.root, copy.root)
    copy.append("backup", {"set": "later"}, NOW)
    path = str(copy.export(authorities={"tsa": authority.ca_file}))
    assert verify_script.main([path, "--key", copy.key]) == verify_script.WHOLE
    assert "note: no time stamp has the lines after 16" in capsys.readouterr().out


def test_a_stamp_of_another_line_is_named(folder, stamped, capsys):
    fund, _authority = stamped
    path = token_of(folder)
    path.rename(path.with_name(f"15-{path.stem.split('-')[1]}.tsr"))
    assert verify_script.main([str(resealed(folder, fund))]) == verify_script.BROKEN
    assert "is a time stamp of something else than the line" in capsys.readouterr().out


def test_a_stamp_is_checked_at_its_own_time_and_not_at_that_of_the_reader(folder, stamped):
    """The certificate of an authority ends before the law lets the evidence go."""
    options = []
    asked = verify_script.subprocess.run

    def run(command, **more):
        options.append(command)
        return asked(command, **more)

    found = verify_script.Check(verify_script.read(folder)[0], [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify_script.subprocess, "run", run)
        found.run(None)
    assert found.problems == []
    at = int(options[-1][options[-1].index("-attime") + 1])
    assert abs(at - datetime.now(UTC).timestamp()) < 600


def test_a_line_dated_before_a_stamp_that_does_not_have_it_is_named(stamped, tmp_path):
    """The fund's clock says 2027 in these tests, the authority's the time of today."""
    fund, authority = stamped
    root = tmp_path / "fund"
    shutil.copytree(fund.root, root)
    own = exported.Fund(root)
    anchoring_note = own.evidence / "anchors" / "state.json"
    notes = json.loads(anchoring_note.read_bytes())
    notes["vault"]["done"] |= {"at": "2027-06-01T00:00:00Z"}
    anchoring_note.write_text(json.dumps(notes))
    code, said = outside(unpack(own.export(), tmp_path / "b"))
    assert code == verify_script.BROKEN
    assert (
        "line 16 is dated 2027-01-04T12:00:00.000000Z, and was not there when anchor vault" in said
    )
    assert authority.ca_file.is_file()


def test_without_openssl_it_says_that_the_stamp_was_not_checked(
    folder, stamped, monkeypatch, capsys
):
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert verify_script.main([str(folder), "--key", stamped[0].key]) == 0
    assert (
        "the authority's signature was not checked, no program openssl" in capsys.readouterr().out
    )


def report_of(folder):
    return " ".join((folder / "report.html").read_text().split())


def test_the_report_counts_the_stamps_with_their_authority_and_root(folder, stamped, tmp_path):
    fund, _authority = stamped
    text = report_of(folder)
    assert "Time stamps and other anchors of the ledger</a>: 1 time stamp, " in text
    assert "(line 16), authority, as the stamp names it: CN=" in text
    assert "root certificate in the export, by this machine&#39;s word" in text
    assert "The newest time stamp covers the last line of the ledger." in text
    assert "left the machine" not in text
    bare = unpack(fund.export(), tmp_path / "bare")
    assert "root not compared: the export has no root certificate" in report_of(bare)


def test_what_no_stamp_covers_is_named_by_its_first_line(stamped, tmp_path):
    fund, _authority = stamped
    other = exported.Fund(tmp_path / "other")
    shutil.copytree(fund.root / "evidence", other.evidence)
    shutil.copytree(fund.keys, other.keys)
    other.append("backup", {"set": "late"}, datetime(2027, 1, 6, 12, 0, tzinfo=UTC))
    shown = report_of(unpack(other.export(), tmp_path / "shown"))
    assert "From line 17 (2027-01-06) on, no time stamp of this export covers" in shown


def test_a_file_anchor_is_a_path_of_which_nobody_knows_the_machine(tmp_path):
    fund = exported.Fund(tmp_path)
    at = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    fund.append("backup", {"set": "a"}, at)
    pin = anchor_notes.Pin(2, "ab" * 32, at)
    anchor_notes.note_done(fund.evidence, "vault", pin, {"path": "/srv/heads.jsonl"})
    shown = report_of(unpack(fund.export(), tmp_path / "shown"))
    assert "a path. Whether it is on the same machine cannot be known" in shown
    assert "NOT MEASURED: the export has no time stamp of the ledger" in shown


def test_a_stamp_of_a_line_before_the_export_does_not_come_along(stamped):
    fund, authority = stamped
    late = exported.Period.parse("2028-01-01", "2028-12-31")
    manifest = exported.manifest_of(fund.export(late, authorities={"tsa": authority.ca_file}))
    assert [name for name in manifest["files"] if name.endswith(".tsr")]  # of its last line, 16
    fund.append("gate", {"run": "later still"}, exported.NOW)
    fund.append("gate", {"run": "and later"}, exported.NOW)
    manifest = exported.manifest_of(fund.export(late, authorities={"tsa": authority.ca_file}))
    assert not [name for name in manifest["files"] if name.endswith(".tsr")]
