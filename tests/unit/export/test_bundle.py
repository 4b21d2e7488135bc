# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""An export is whole for an outsider, and whatever was altered in it is named."""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import anchor_notes, key_changes, ledger, ledger_keys
from ansible.module_utils.pmsops.export import bundle, contents, verify_script
from ansible.module_utils.pmsops.export.period import Period
from ansible.module_utils.pmsops.incidents import record as incidents
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support import exported
from tests.support.exported import NOW, YEAR, outside, unpack

ANY = settings(
    suppress_health_check=list(HealthCheck),
    max_examples=50 if settings.default.max_examples <= 100 else 1000,
    deadline=None,
)
STRANGER = Ed25519PrivateKey.from_private_bytes(b"7" * 32)
HARMLESS = ("note:", "this export claims")


@pytest.fixture(scope="module")
def fund(tmp_path_factory):
    return exported.year(tmp_path_factory.mktemp("fund"))


class Files(dict):
    """The files of an export; a failed example does not print them all."""

    def __repr__(self):
        return f"Files({len(self)})"


@pytest.fixture(scope="module")
def files(fund):
    with zipfile.ZipFile(fund.export()) as archive:
        return Files({name: archive.read(name) for name in archive.namelist()})


@pytest.fixture
def folder(fund, tmp_path):
    return unpack(fund.export(), tmp_path / "bundle")


@pytest.fixture
def own(fund, tmp_path):
    """A copy of the fund that a test may damage."""
    leave = shutil.ignore_patterns("exports")
    shutil.copytree(fund.root, tmp_path / "fund", ignore=leave)
    return exported.Fund(tmp_path / "fund")


def verified(files, capsys, *keys):
    """Return the exit status of the verifier, and what it said beside harmless lines."""
    capsys.readouterr()
    try:
        code = verify_script.check(files, [], list(keys))
    except verify_script.Unreadable as exc:  # main says it, and ends with the same status
        code = verify_script.BROKEN
        print(exc)
    said = capsys.readouterr().out
    return code, "\n".join(
        line for line in said.splitlines() if not line.strip().startswith(HARMLESS)
    )


def test_an_outsider_with_the_key_finds_it_whole(fund, folder):
    code, said = outside(folder, "--key", fund.key[:32])
    assert code == 0, said
    assert "whole: " in said and "NOT COMPARED" not in said
    assert f"the key that was given, {fund.key[:32]}, matches" in said
    # The line before the year, then nine of the year, then one of the next.
    assert "lines 6 to 16 of the ledger, 9 of them from 2026-01-01 to 2026-12-31" in said


def test_a_key_of_so_few_digits_that_another_could_have_them_too_is_refused(fund, folder, capsys):
    for word in ("--key", "--approver"):
        with pytest.raises(SystemExit):
            verify_script.main([str(folder), word, fund.key[:31]])
        assert "is not 32 to 64 digits in hex" in capsys.readouterr().err


def test_a_key_that_was_replaced_since_is_said_to_be_an_earlier_one(fund, folder):
    """An auditor read "matches", which told nothing of the key that signs now."""
    (old,) = {each.stem for each in (folder / "keys").glob("*.pub")} - {fund.key}
    code, said = outside(folder, "--key", old)
    assert code == 0, said
    assert f"the key that was given, {old}, is an earlier one: line 10, which it signed" in said
    assert "matches" not in said


def test_without_a_known_key_it_prints_the_id_and_says_that_nobody_compared_it(fund, folder):
    code, said = outside(folder)
    assert code == verify_script.NOT_COMPARED == 4
    assert f"signed by key {fund.key}" in said and "whole in itself: " in said
    assert said.splitlines()[-1].startswith("THE KEY WAS NOT COMPARED")


def test_a_given_key_that_is_none_of_the_export_is_broken_beside_one_that_is(fund, folder):
    code, said = outside(folder, "--key", fund.key, "--key", "ab" * 32)
    assert code == verify_script.BROKEN
    assert f"the key that was given, {'ab' * 32}, is none of this export" in said
    assert "matches" not in said


@pytest.mark.parametrize("given", [True, False])
def test_bare_python_checks_hashes_and_does_not_speak_of_whole_or_of_keys(fund, folder, given):
    code, said = outside(folder, *(["--key", fund.key] if given else []), bare=True)
    assert code == verify_script.NO_SIGNATURES == 3
    last = "The hashes agree. NOT AUTHENTICATED: signatures were not checked"
    assert said.splitlines()[-1] == last
    assert "signatures not checked" in said
    assert [word for word in ("whole", "compared", "matches") if word in said.lower()] == []


INTRUDERS = ("__future__", "argparse", "cryptography", "json", "os", "subprocess", "zipfile")


@pytest.mark.parametrize("options", [[], ["-S"], ["-I"]], ids=["plain", "bare", "isolated"])
@pytest.mark.parametrize("by_path", [False, True], ids=["of its folder", "by PYTHONPATH"])
def test_a_module_that_was_added_to_the_folder_does_not_run(fund, folder, options, by_path):
    for name in INTRUDERS:
        (folder / f"{name}.py").write_text("print('INTRUDER')")
    variables = dict(os.environ) | ({"PYTHONPATH": "."} if by_path else {})
    done = subprocess.run(
        [sys.executable, *options, "verify.py", "--key", fund.key],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = done.stdout + done.stderr
    assert "INTRUDER" not in said and done.returncode == verify_script.BROKEN, said
    assert [name for name in INTRUDERS if f"{name}.py was added" not in said] == []


def test_a_program_that_was_added_to_the_folder_is_not_taken_for_openssl(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "openssl").write_text("#!/bin/sh\necho INTRUDER\n")
    (tmp_path / "openssl").chmod(0o755)
    monkeypatch.setenv("PATH", ".")
    assert shutil.which("openssl") and verify_script.openssl() is None


@pytest.mark.parametrize("language", ["en", "pt"])
def test_the_command_to_check_is_isolated_and_has_no_key_of_the_export(fund, tmp_path, language):
    folder = unpack(fund.export(language=language), tmp_path / "b")
    word = {"en": "KEY", "pt": "CHAVE"}[language]
    page, readme = (folder / "report.html").read_text(), (folder / "README.txt").read_text()
    assert f"<pre>python3 -I verify.py --key {word}</pre>" in page
    assert f"    python3 -I verify.py --key {word}\n" in readme
    assert f"--key {fund.key[:12]}" not in page + readme
    assert "status 4" in readme or "é 4" in readme
    claim = {"en": "as this export claims", "pt": "segundo a própria exportação"}[language]
    assert f"{claim}: <code>{fund.key}</code>" in page
    told = page + readme + verify_script.__doc__
    assert re.findall(r"python3? (?!-I )\S*verify\.py", told) == []


def test_the_verifier_needs_no_new_python_and_nothing_of_the_project():
    """An auditor has the Python of their system: 3.9 is what old ones still have."""
    path = Path(verify_script.__file__)
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    names = {
        name.name if isinstance(node, ast.Import) else f"{node.module}.{name.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert "datetime.UTC" not in names  # of Python 3.11
    assert "__future__.annotations" not in names  # a file __future__.py in the folder would run
    given = [each.annotation for each in ast.walk(tree) if isinstance(each, ast.arg)]
    given += [each.returns for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)]
    # `X | Y` that is evaluated is of Python 3.10.
    assert [each for each in given if isinstance(each, ast.BinOp)] == []
    roots = {name.split(".")[0] for name in names}
    assert roots - set(sys.stdlib_module_names) == {"cryptography"}


def test_the_zip_itself_is_checked_too(fund, capsys):
    assert verify_script.main([str(fund.export()), "--key", fund.key]) == 0
    assert "whole: " in capsys.readouterr().out


def other_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "Dear auditor")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: None,
        lambda path: path.mkdir(),
        lambda path: path.write_bytes(bytes(range(256))),
        lambda path: path.write_bytes(b""),
        other_zip,
    ],
    ids=["nothing", "empty folder", "garbage", "empty file", "other zip"],
)
def test_what_is_no_export_cannot_be_checked_and_is_not_broken(tmp_path, capsys, make):
    make(tmp_path / "x.zip")
    assert verify_script.main([str(tmp_path / "x.zip")]) == verify_script.CANNOT == 2
    said = capsys.readouterr().out
    assert said.startswith("CANNOT BE CHECKED: ") and "BROKEN" not in said


def test_an_export_of_a_later_format_cannot_be_checked(fund, files, tmp_path):
    own = ledger_keys.load(fund.key, [fund.keys])[0]
    listed = {k: v for k, v in files.items() if k not in ("manifest.json", "signature.json")}
    manifest = json.loads(files["manifest.json"]) | {"format": "pms-ops evidence export 2"}
    (tmp_path / "x.zip").write_bytes(bundle.sealed(listed, manifest, own))
    assert verify_script.main([str(tmp_path / "x.zip")]) == verify_script.CANNOT


@pytest.mark.parametrize("names", [["manifest.json"], ["manifest.json", "signature.json"]])
def test_an_export_without_its_manifest_is_broken(folder, names):
    for name in names:
        (folder / name).unlink()
    code, said = outside(folder)
    assert code == verify_script.BROKEN and "manifest.json is missing" in said


def test_lines_cut_off_at_the_end_are_missing_and_not_changed(folder):
    path = folder / verify_script.LINES
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    code, said = outside(folder)
    assert code == verify_script.BROKEN
    assert "lines are missing after line 15: the head counts 16 lines" in said
    assert "was changed" not in said


def test_an_empty_folder_that_was_added_is_named(folder, tmp_path):
    (folder / "records" / "2026-01-01_000000").mkdir()
    code, said = outside(folder)
    assert code == verify_script.BROKEN
    assert "records/2026-01-01_000000/ was added" in said


def test_a_link_that_was_added_is_named_and_not_followed(folder, tmp_path):
    (folder / "more").symlink_to(tmp_path)
    (folder / "gone").symlink_to(tmp_path / "nowhere")
    code, said = outside(folder)
    assert code == verify_script.BROKEN
    assert "more is no plain file" in said and "gone is no plain file" in said


def test_folders_of_a_zip_that_was_packed_anew_are_no_fault(fund, folder, tmp_path, capsys):
    path = Path(shutil.make_archive(str(tmp_path / "again"), "zip", folder))
    assert verify_script.main([str(path), "--key", fund.key]) == 0, capsys.readouterr().out


def test_only_waivers_that_had_not_ended_come_along_from_before_the_period(files):
    earlier = [json.loads(line) for line in files["ledger/earlier.jsonl"].splitlines()]
    assert [(each["seq"], each["kind"]) for each in earlier] == [(1, "signing"), (5, "waiver")]
    first = json.loads(files["ledger/lines.jsonl"].splitlines()[0])
    assert first["seq"] == 6


# --- alterations


def altered(files, way, data):
    """Return the files with one alteration, and the names that it is about."""
    files = Files(files)
    name = data.draw(st.sampled_from(sorted(files)))
    content = files[name]
    if way == "byte":
        assume(content)
        at = data.draw(st.integers(0, len(content) - 1))
        other = data.draw(st.integers(1, 255))
        files[name] = content[:at] + bytes([content[at] ^ other]) + content[at + 1 :]
    elif way == "cut":
        assume(content)
        files[name] = content[: data.draw(st.integers(0, len(content) - 1))]
    elif way == "removed":
        del files[name]
    elif way == "added":
        name = f"{name}{data.draw(st.sampled_from(['2', '.bak', '~']))}"
        files[name] = data.draw(st.binary(max_size=9))
    elif way == "swapped":
        other = data.draw(st.sampled_from(sorted(files)))
        assume(files[other] != content)
        files[name], files[other] = files[other], content
        if other == "manifest.json":  # without it, nothing else can be compared
            name = other
    elif way == "lines swapped":
        name = verify_script.LINES
        lines = files[name].splitlines(keepends=True)
        at = data.draw(st.integers(0, len(lines) - 2))
        lines[at], lines[at + 1] = lines[at + 1], lines[at]
        files[name] = b"".join(lines)
    return files, name


@ANY
@given(
    data=st.data(),
    way=st.sampled_from(["byte", "byte", "cut", "removed", "added", "swapped", "lines swapped"]),
)
def test_whatever_is_altered_is_named(fund, files, data, way, capsys):
    changed, name = altered(files, way, data)
    code, said = verified(changed, capsys, fund.key)
    assert code == verify_script.BROKEN, (way, name, said)
    assert name in said, (way, name, said)


def resealed(files, signer=STRANGER, **ledger_facts):
    """Return the files with a manifest that fits them again, signed by a stranger or the owner."""
    listed = {k: v for k, v in files.items() if k not in ("manifest.json", "signature.json")}
    manifest = json.loads(files["manifest.json"])
    manifest["ledger"] |= ledger_facts
    content = bundle.sealed(listed, manifest, signer)
    archive = zipfile.ZipFile(io.BytesIO(content))
    return {name: archive.read(name) for name in archive.namelist()}


@ANY
@given(data=st.data(), way=st.sampled_from(["byte", "removed", "added", "swapped"]))
def test_a_manifest_that_fits_again_is_named_by_its_key(files, data, way, capsys):
    changed, _name = altered(files, way, data)
    assume({"manifest.json", "signature.json"} <= set(changed))
    assume(changed["manifest.json"] == files["manifest.json"])
    code, said = verified(resealed(changed), capsys)
    stranger = ledger_keys.identity(STRANGER)["key"]
    assert code == verify_script.BROKEN
    assert f"manifest.json is signed by key {stranger}" in said


def test_lines_that_the_owner_left_out_at_the_start_of_the_period_are_named(fund, files, capsys):
    """The owner has the key, and the rest of the chain fits: only the line before shows it."""
    lines = files[verify_script.LINES].splitlines(keepends=True)
    fewer = Files(files) | {verify_script.LINES: b"".join(lines[2:])}
    own = ledger_keys.load(fund.key, [fund.keys])[0]
    changed = resealed(fewer, own, start=8, in_period=8)
    code, said = verified(changed, capsys, fund.key)
    assert code == verify_script.BROKEN
    assert "line 8 is not older than the period: lines may be left out" in said


def test_a_manifest_that_counts_other_lines_of_the_period_is_named(fund, files, capsys):
    own = ledger_keys.load(fund.key, [fund.keys])[0]
    code, said = verified(resealed(files, own, in_period=8), capsys, fund.key)
    assert code == verify_script.BROKEN
    assert "the manifest counts 8 lines of the period, here are 9" in said


def test_a_bundle_that_a_stranger_made_of_his_own_ledger_is_refused_by_the_known_key(
    fund, tmp_path, capsys
):
    mine = exported.year(tmp_path / "mine")
    path = mine.export()
    assert verify_script.main([str(path)]) == verify_script.NOT_COMPARED
    assert f"signed by key {mine.key}" in capsys.readouterr().out
    assert verify_script.main([str(path), "--key", fund.key]) == verify_script.BROKEN
    assert "none of those given" in capsys.readouterr().out


def test_the_key_of_a_machine_that_took_over_is_asked_for_and_not_only_refused(tmp_path, capsys):
    fund = exported.year(tmp_path / "fund")
    old = fund.key
    for path in fund.keys.glob("ledger-*.key"):
        path.unlink()
    at = datetime(2027, 1, 5, 12, 0, tzinfo=UTC)
    key_changes.replace(fund.evidence, fund.keys, "the machine is lost", now=at)
    path, new = fund.export(), fund.key
    assert verify_script.main([str(path), "--key", old]) == verify_script.BROKEN
    said = capsys.readouterr().out
    assert f"begins with key {new}, none of those given: a new machine took over there" in said
    assert verify_script.main([str(path), "--key", old, "--key", new]) == verify_script.WHOLE


def test_a_signature_in_another_form_of_base64_is_no_signature(files, capsys):
    signature = json.loads(files["signature.json"])
    value = signature["value"]
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = digits[digits.index(value[85]) ^ 1]
    signature["value"] = value[:85] + other + value[86:]
    assert base64.b64decode(signature["value"]) == base64.b64decode(value)
    changed = files | {"signature.json": contents.written(signature)}
    code, said = verified(changed, capsys)
    assert code == verify_script.BROKEN and "signature.json was changed after" in said


def test_a_damaged_zip_is_broken_and_not_a_crash(fund, tmp_path, capsys):
    content = fund.export().read_bytes()
    path = tmp_path / "x.zip"
    for at in range(0, len(content), len(content) // 40):
        path.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
        assert verify_script.main([str(path), "--key", fund.key]) in (0, verify_script.BROKEN)
        said = capsys.readouterr().out
        # A byte of a date or a mode in the zip is no byte of a file.
        assert "BROKEN" in said or "whole: " in said
    # The offset of the directory of the zip: now before its beginning.
    path.write_bytes(content[:-6] + b"\xff\xff\xff\x7f" + content[-2:])
    assert verify_script.main([str(path)]) == verify_script.BROKEN
    path.write_bytes(content[: len(content) // 2])
    assert verify_script.main([str(path)]) == verify_script.BROKEN


# --- evidence that is damaged already


def test_a_ledger_cut_off_says_so_in_the_export_and_to_the_outsider(own, tmp_path):
    path = own.evidence / ledger.NAME
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-3]))
    found = bundle.write(own.request(), now=NOW)
    assert found["problems"] == [
        "the ledger is damaged: line 14 is missing: ledger.head counts 16 lines, there are 13"
    ]
    code, said = outside(unpack(own.root / found["path"], tmp_path / "b"))
    assert code == verify_script.BROKEN
    assert "lines are missing after line 13: the head counts 16 lines" in said
    assert "line 15 is missing: anchor vault has it" in said


def test_a_head_computed_anew_after_the_anchor_is_named_by_the_anchor(own, tmp_path):
    pin = anchor_notes.Pin(12, "ab" * 32, NOW)
    anchor_notes.note_done(own.evidence, "vault", pin, {})
    code, said = outside(unpack(own.export(), tmp_path / "b"))
    assert code == verify_script.BROKEN and "line 12 was changed after anchor vault" in said


def test_an_altered_record_is_named_with_its_line(own, tmp_path):
    path = next(own.evidence.glob("2026-03-03_*/record.json"))
    path.write_bytes(path.read_bytes().replace(b"no-go", b"go"))
    code, said = outside(unpack(own.export(), tmp_path / "b"))
    assert code == verify_script.BROKEN
    assert f"records/{path.parent.name}/record.json was altered: line " in said


def test_a_run_whose_folder_is_gone_is_named(own, tmp_path):
    folder = next(own.evidence.glob("2026-03-03_*"))
    shutil.rmtree(folder)
    assert (
        f"records/{folder.name}/record.json is missing"
        in bundle.write(own.request(), now=NOW)["problems"]
    )
    code, said = outside(unpack(own.export(), tmp_path / "b"))
    assert code == verify_script.BROKEN and f"records/{folder.name}/record.json is missing" in said


def test_a_run_that_the_ledger_does_not_know_is_named(own, tmp_path):
    exported.write_run(
        own.evidence, "2026-05-05_100000", at=datetime(2026, 5, 5, 10, tzinfo=UTC), recorded=False
    )
    code, said = outside(unpack(own.export(), tmp_path / "b"))
    assert code == verify_script.BROKEN
    assert "records/2026-05-05_100000/record.json is in no line of the ledger" in said


def test_an_incident_altered_after_its_line_is_named(own, tmp_path):
    at = datetime(2026, 4, 1, 12, tzinfo=UTC)
    begun, _known = incidents.begin(
        own.evidence, "redis", title="Redis is down", symptoms=[], began_at=at
    )
    # Its line is of the moment at which it was closed, here the last of this ledger.
    options = {"facts": {}, "checks": [], "verified_at": at + timedelta(minutes=5)}
    incidents.end(begun.folder, "recovered", now=NOW, **options)
    path = begun.folder / incidents.NAME
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    own.append("incident", {"incident": begun.id, "incident_sha256": digest}, NOW)
    assert outside(unpack(own.export(), tmp_path / "b"), "--key", own.key)[0] == 0
    path.write_bytes(path.read_bytes().replace(b"recovered", b"RECOVERED"))
    code, said = outside(unpack(own.export(), tmp_path / "c"))
    assert code == verify_script.BROKEN and f"{begun.id}/incident.json was altered: line 17" in said


def test_an_empty_period_says_that_it_is_empty(fund, tmp_path):
    path = fund.export(Period.parse("2026-08-01", "2026-08-31"))
    assert exported.manifest_of(path)["ledger"]["in_period"] == 0
    code, said = outside(unpack(path, tmp_path / "b"), "--key", fund.key)
    assert code == 0, said
    assert "the period is empty: the ledger has no line of it" in said
    # The line before it and the one after it: nothing can have been between them.
    assert "lines 15 to 16 of the ledger" in said


def test_a_period_after_the_end_of_the_ledger_has_its_last_line(fund, tmp_path):
    path = fund.export(Period.parse("2028-01-01", "2028-12-31"))
    code, said = outside(unpack(path, tmp_path / "b"), "--key", fund.key)
    assert code == 0 and "lines 16 to 16 of the ledger, 0 of them" in said


def test_a_ledger_without_signatures_is_not_exported(tmp_path):
    fund = exported.Fund(tmp_path)
    ledger.append(fund.evidence, "gate", {"run": "x"}, now=NOW)
    with pytest.raises(OpsError) as caught:
        fund.export()
    assert caught.value.code == "ledger.not-signed"


@pytest.mark.parametrize(
    ("since", "until"), [("2026-12-31", "2026-01-01"), ("2026", "2026-01-01"), ("x", "y")]
)
def test_what_is_no_period_is_refused(since, until):
    with pytest.raises(OpsError) as caught:
        Period.parse(since, until)
    assert caught.value.code == "export.period"


def test_a_period_is_of_days_in_sao_paulo():
    assert YEAR.document()["from"] == "2026-01-01T03:00:00Z"
    assert YEAR.document()["before"] == "2027-01-01T03:00:00Z"


def test_check_mode_writes_nothing(own):
    found = bundle.write(own.request(), now=NOW, check=True)
    assert found["changed"] and not (own.evidence / "exports").exists()


def test_the_same_evidence_at_the_same_time_gives_the_same_zip(fund):
    assert fund.export().read_bytes() == fund.export().read_bytes()
    assert fund.export().stat().st_mode & 0o777 == 0o600


# --- secrets


def test_no_secret_of_the_inventory_is_in_an_export(own):
    """What lies beside the evidence stays there: keys, passwords, notes of operators."""
    secrets = {name: f"S3cret-of-{name}-{number}" for number, name in enumerate("abcdef")}
    private = next(own.keys.glob("ledger-*.key"))
    secrets["key"] = private.read_text().splitlines()[1]
    run = next(own.evidence.glob("2026-03-03_*"))
    (own.evidence / "vault.yml").write_text(secrets["a"])
    (own.evidence / "ledger.keys").write_text(json.dumps({"keys": secrets["b"]}))
    (run / "notes.txt").write_text(secrets["c"])
    (own.evidence / "anchors" / "git").mkdir(parents=True)
    (own.evidence / "anchors" / "git" / "config").write_text(secrets["d"])
    shutil.copy(private, own.evidence / "anchors" / private.name)
    (own.evidence / "incidents" / "requests").mkdir(parents=True)
    (own.evidence / "incidents" / "requests" / "log").write_text(secrets["e"])
    (run / "junit.xml").symlink_to(own.evidence / "vault.yml")
    with zipfile.ZipFile(own.export()) as archive:
        whole = b"".join(archive.read(name) for name in archive.namelist())
    assert [name for name, secret in secrets.items() if secret.encode() in whole] == []


def test_a_secret_in_a_record_is_refused_by_the_name_of_the_file(own):
    path = next(own.evidence.glob("2026-03-03_*/report.html"))
    path.write_text('the password is hunter"22222')
    with pytest.raises(OpsError) as caught:
        own.export(secrets=frozenset({'hunter"22222'}))
    assert caught.value.code == "export.secret"
    assert f"records/{path.parent.name}/report.html" in str(caught.value)
    assert "hunter" not in str(caught.value) + caught.value.remedy
