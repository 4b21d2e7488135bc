"""Signed lines: what was altered, removed, swapped, forged or back-dated is named by its line.

Whoever owns the machine can compute chain and head anew, so each alteration is tried both ways:
as it stands, and with a chain and a head that fit again.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import multiprocessing
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.checks.probes import Deadline
from ansible.module_utils.pmsops.checks.probes import evidence as probe
from ansible.module_utils.pmsops.checks.probes.context import Context, Settings
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import key_changes, ledger, ledger_keys, merge
from ansible.module_utils.pmsops.repository import signing
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.conftest import PROJECT
from tests.support import outside_verifier

SCRIPT = PROJECT / "scripts" / "verify_ledger.py"
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
# The outside verifier takes 20 ms a line.
ANY = settings(
    suppress_health_check=list(HealthCheck),
    max_examples=30 if settings.default.max_examples <= 100 else 1000,
)
UNSIGNED, SIGNED = 2, 7  # lines before signing began, and lines in all
FIRST = UNSIGNED + 1
WAYS = ("altered", "removed", "swapped", "forged", "inserted", "back-dated")


def load_script():
    spec = importlib.util.spec_from_file_location("verify_ledger", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT_MODULE = load_script()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A ledger of two old lines, and five that are signed: begin, two, a rotation, one."""
    root = tmp_path_factory.mktemp("signed")
    keys = root / "keys"
    evidence = root / "evidence"
    for number in range(UNSIGNED):
        ledger.append(evidence, "gate", {"run": f"old-{number}"}, now=NOW)
    for number in range(2):
        ledger.append(evidence, "drill", {"set": f"é-{number}"}, now=later(number), keys=keys)
    key_changes.rotate(evidence, keys, now=later(3))
    ledger.append(evidence, "gate", {"signature": {"value": "of a person"}}, now=later(4))
    assert len(lines_of(evidence)) == SIGNED
    return evidence


def later(hours):
    return NOW + timedelta(hours=hours)


def lines_of(evidence):
    return (evidence / ledger.NAME).read_bytes().split(b"\n")[:-1]


def keys_of(evidence):
    return evidence.parent / "keys"


def first_key(evidence):
    return json.loads(lines_of(evidence)[UNSIGNED])["record"]["key"]


def write(evidence, lines, to, *, recomputed):
    """Write *lines* as a ledger of its own; with *recomputed* as an owner of the machine would."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(evidence, to)
    if recomputed:
        previous, fitting = "0" * 64, []
        for number, line in enumerate(lines, 1):
            entry = json.loads(line)
            entry |= {"seq": number, "previous": previous}
            fitting.append(json.dumps(entry, sort_keys=True, separators=(",", ":")).encode())
            previous = hashlib.sha256(fitting[-1]).hexdigest()
        lines = fitting
        (to / ledger.HEAD).write_text(json.dumps({"lines": len(lines), "sha256": previous}))
    (to / ledger.NAME).write_bytes(b"".join(line + b"\n" for line in lines))
    return to


def named_by_all(evidence, keys, key, capsys):
    """Return the first bad line: what product, script and the outside verifier each name."""
    problems = ledger.verify(evidence, keys=keys)
    numbers = [int(found[1]) for each in problems if (found := re.search(r"line (\d+)", each))]
    code = SCRIPT_MODULE.main([str(evidence), "--key", key])
    printed = capsys.readouterr().out
    by_script = [int(each) for each in re.findall(r"(?:BROKEN:|;) line (\d+)", printed)]
    assert code == 1, printed
    return {
        "product": min(numbers),
        "script": min(by_script),
        "outsider": outside_verifier.first_bad_line(evidence, key),
    }


def altered(lines, way, data):
    """Return changed lines."""
    lines = list(lines)
    at = data.draw(st.integers(UNSIGNED, SIGNED - 1))
    if way == "altered":
        entry = json.loads(lines[at])
        entry["record"] = entry["record"] | {"set": data.draw(st.text(max_size=8))}
        lines[at] = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
    elif way == "removed":
        assume(at < SIGNED - 1)  # the end is for a head, or an anchor, that is kept elsewhere
        del lines[at]
    elif way == "swapped":
        other = data.draw(st.integers(UNSIGNED, SIGNED - 1))
        assume(other != at)
        lines[at], lines[other] = lines[other], lines[at]
    elif way == "forged":
        stranger = Ed25519PrivateKey.from_private_bytes(
            data.draw(st.binary(min_size=32, max_size=32))
        )
        entry = json.loads(lines[at])
        signature = entry.pop("signature")
        body = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
        message = b"pms-ops ledger line 1\n" + hashlib.sha256(body).hexdigest().encode()
        value = base64.b64encode(stranger.sign(message)).decode()
        entry["signature"] = signature | {"value": value}
        lines[at] = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
    elif way == "inserted":
        lines.insert(at, lines[data.draw(st.integers(UNSIGNED, SIGNED - 1))])
    elif way == "back-dated":
        entry = json.loads(lines[at])
        days = data.draw(st.integers(1, 400))
        entry["at"] = (NOW - timedelta(days=days)).isoformat()
        lines[at] = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
    return lines


@ANY
@given(data=st.data(), way=st.sampled_from(WAYS), recomputed=st.booleans())
def test_every_alteration_is_named_by_its_line_although_the_chain_fits_again(
    whole, tmp_path_factory, capsys, data, way, recomputed
):
    lines = altered(lines_of(whole), way, data)
    root = tmp_path_factory.getbasetemp() / "altered"
    evidence = write(whole, lines, root / "evidence", recomputed=recomputed)
    pairs = list(zip_longest(lines_of(whole), lines_of(evidence)))
    assume(any(before != after for before, after in pairs))
    first = next(number for number, (before, after) in enumerate(pairs, 1) if before != after)
    named = named_by_all(evidence, keys_of(whole), first_key(whole), capsys)
    assert set(named.values()) == {first}, (way, recomputed)


@pytest.mark.parametrize("recomputed", [False, True])
def test_an_old_line_is_fixed_by_the_line_at_which_signing_began(
    whole, tmp_path, capsys, recomputed
):
    lines = lines_of(whole)
    lines[0] = lines[0].replace(b"old-0", b"new-0")
    evidence = write(whole, lines, tmp_path / "e", recomputed=recomputed)
    named = named_by_all(evidence, keys_of(whole), first_key(whole), capsys)
    assert set(named.values()) == {FIRST if recomputed else 1}


def test_a_ledger_that_nobody_touched_is_whole(whole, capsys):
    assert ledger.verify(whole, keys=keys_of(whole)) == []
    assert outside_verifier.first_bad_line(whole, first_key(whole)) is None
    assert SCRIPT_MODULE.main([str(whole), "--key", first_key(whole)[:32]]) == 0
    new = json.loads(lines_of(whole)[-1])["signature"]["key"]
    said = f"note: from line 3 to line 6 signed by key {first_key(whole)}, from line 7 on signed by"
    assert f"{said} key {new}\n" in capsys.readouterr().out


def test_a_key_of_so_few_digits_that_another_could_have_them_too_is_refused(whole, capsys):
    with pytest.raises(SystemExit):
        SCRIPT_MODULE.main([str(whole), "--key", first_key(whole)[:31]])
    assert "is not 32 to 64 digits in hex" in capsys.readouterr().err


def test_without_cryptography_the_script_says_that_no_signature_was_checked(whole):
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), str(whole)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "signatures not checked" in done.stdout
    assert f"whole: {SIGNED} lines" in done.stdout


def test_a_line_without_a_signature_after_signing_began_is_named(whole, tmp_path, capsys):
    entry = json.loads(lines_of(whole)[-1])
    del entry["signature"]
    line = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
    evidence = write(whole, [*lines_of(whole)[:-1], line], tmp_path / "e", recomputed=True)
    named = named_by_all(evidence, keys_of(whole), first_key(whole), capsys)
    assert set(named.values()) == {SIGNED}


def test_a_chain_that_a_stranger_signed_anew_is_refused_by_its_key(whole, tmp_path, capsys):
    mine = tmp_path / "evidence"
    for number in range(3):
        ledger.append(mine, "gate", {"run": number}, now=NOW, keys=tmp_path / "keys")
    assert ledger.verify(mine, keys=tmp_path / "keys") == []
    # His evidence names his folder of keys; the one that is given counts alone.
    assert (mine / ledger_keys.POINTER).is_file()
    assert "not pinned" in ledger.verify(mine, keys=keys_of(whole))[0]
    assert SCRIPT_MODULE.main([str(mine), "--key", first_key(whole)]) == 1
    assert "none of those given" in capsys.readouterr().out


def test_the_gate_names_a_ledger_that_a_stranger_signed(whole, tmp_path):
    ledger.append(tmp_path / "evidence", "gate", {}, now=NOW, keys=tmp_path / "keys")
    context = Context(Settings(now=NOW, evidence_root=str(tmp_path / "evidence")))
    deadline = Deadline.after(10)
    good = probe.chain({"keys": str(tmp_path / "keys")}, context, deadline)
    assert (good["problems"], good["signed_lines"]) == ([], 2)
    bad = probe.chain({"keys": str(keys_of(whole))}, context, deadline)
    assert "line 1 begins with key" in bad["problems"][0]


def test_a_key_of_sets_signs_no_line_and_a_key_of_ledgers_no_set(tmp_path):
    ledger.append(tmp_path / "e", "gate", {}, now=NOW, keys=tmp_path / "keys")
    ledger_key = next((tmp_path / "keys").glob("ledger-*.key"))
    document = signing.sign({"id": "a set"}, signing.load_private(ledger_key))
    with pytest.raises(OpsError) as caught:
        signing.check(document, tmp_path / "keys")
    assert caught.value.code == "signing.unknown-key"
    # The key of sets, in the place of the ledger's, would sign other bytes than a manifest's.
    line = lines_of(tmp_path / "e")[0]
    body = line[: line.rindex(b',"signature":')] + b"}"
    assert not signing.signed_bytes({"id": "x"}).startswith(b"pms-ops ledger")
    assert hashlib.sha256(body).hexdigest() not in body.decode()


def test_the_private_key_is_for_its_user_alone_and_never_in_the_evidence(tmp_path):
    ledger.append(tmp_path / "e", "gate", {}, now=NOW, keys=tmp_path / "keys")
    key = next((tmp_path / "keys").glob("ledger-*.key"))
    assert key.stat().st_mode & 0o777 == 0o600
    secret = key.read_text().splitlines()[1]
    written = [each.read_text() for each in (tmp_path / "e").iterdir()]
    assert not any(secret in each for each in written)


def broken_key(path, how):
    if how == "missing":
        path.unlink()
    elif how == "readable by others":
        path.chmod(0o644)
    else:
        path.write_text("no key")


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("missing", "ledger.key-missing"),
        ("readable by others", "ledger.key-unreadable"),
        ("damaged", "ledger.key-unreadable"),
    ],
)
def test_a_run_goes_on_without_its_key_and_the_line_says_why(tmp_path, capsys, how, code):
    evidence, keys = tmp_path / "e", tmp_path / "keys"
    ledger.append(evidence, "gate", {}, now=NOW, keys=keys)
    key = next(keys.glob("ledger-*.key"))
    content = key.read_bytes()
    broken_key(key, how)
    line = ledger.append(evidence, "restore", {}, now=NOW, keys=keys)
    assert line["unsigned"]
    entry = json.loads(lines_of(evidence)[-1])
    assert entry["unsigned"]["code"] == code
    assert any("line 3 is not signed: " in each for each in ledger.verify(evidence, keys=keys))
    assert SCRIPT_MODULE.main([str(evidence)]) == 1
    assert "line 3 is not signed: " in capsys.readouterr().out
    # The key is back: new lines are signed; a person accepts the one that is not.
    key.write_bytes(content)
    key.chmod(0o600)
    assert ledger.append(evidence, "gate", {}, now=NOW)["unsigned"] is None
    assert ledger.verify(evidence, keys=keys)
    with pytest.raises(OpsError) as caught:
        key_changes.accept(evidence, keys, [2], "Maria", "why", now=NOW)
    assert caught.value.code == "ledger.not-acceptable"
    key_changes.accept(evidence, keys, [3], "Maria", "keys not mounted", now=NOW)
    assert ledger.verify(evidence, keys=keys) == []
    assert SCRIPT_MODULE.main([str(evidence)]) == 0


def test_a_line_dated_back_by_who_holds_the_key_is_named(tmp_path, capsys):
    evidence, keys = tmp_path / "e", tmp_path / "keys"
    ledger.append(evidence, "gate", {}, now=NOW, keys=keys)
    ledger.append(evidence, "drill", {}, now=NOW - timedelta(days=3), keys=keys)
    named = named_by_all(evidence, keys, json.loads(lines_of(evidence)[0])["record"]["key"], capsys)
    assert set(named.values()) == {3}


def test_a_clock_that_is_set_back_by_minutes_is_none(tmp_path):
    ledger.append(tmp_path / "e", "gate", {}, now=NOW, keys=tmp_path / "k")
    ledger.append(tmp_path / "e", "gate", {}, now=NOW - timedelta(minutes=4), keys=tmp_path / "k")
    assert ledger.verify(tmp_path / "e", keys=tmp_path / "k") == []


def test_both_keys_sign_a_rotation_and_the_new_one_goes_on(whole):
    rotated = json.loads(lines_of(whole)[5])
    assert rotated["record"]["event"] == "rotated"
    assert rotated["signature"]["key"] == first_key(whole)
    assert rotated["signature"]["successor"]["key"] == rotated["record"]["key"]
    assert json.loads(lines_of(whole)[6])["signature"]["key"] == rotated["record"]["key"]


def test_a_rotation_that_the_new_key_did_not_sign_is_named(whole, tmp_path, capsys):
    entry = json.loads(lines_of(whole)[5])
    del entry["signature"]["successor"]
    line = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
    evidence = write(whole, [*lines_of(whole)[:5], line], tmp_path / "e", recomputed=True)
    named = named_by_all(evidence, keys_of(whole), first_key(whole), capsys)
    assert set(named.values()) == {6}


def test_a_lost_key_is_replaced_and_everybody_sees_that_it_did_not_sign(tmp_path, capsys):
    evidence, keys = tmp_path / "e", tmp_path / "keys"
    ledger.append(evidence, "gate", {}, now=NOW, keys=keys)
    with pytest.raises(OpsError) as caught:
        key_changes.replace(evidence, keys, "why", now=NOW)
    assert caught.value.code == "ledger.key-present"
    before = json.loads(lines_of(evidence)[0])["record"]["key"]
    next(keys.glob("ledger-*.key")).unlink()
    assert key_changes.replace_if_lost(evidence, keys, "the machine is lost", now=NOW)
    assert not key_changes.replace_if_lost(evidence, keys, "the machine is lost", now=NOW)
    assert ledger.append(evidence, "host", {}, now=NOW)["unsigned"] is None
    assert ledger.verify(evidence, keys=keys) == []
    assert "without the signature of the one before" in ledger.inspect(evidence).notes[0]
    # An outsider who knows the first key alone is told what to do, and not that lines are forged.
    after = json.loads(lines_of(evidence)[2])["record"]["key"]
    assert SCRIPT_MODULE.main([str(evidence), "--key", before]) == 1
    said = capsys.readouterr().out
    assert (
        f"from line 1 to line 2 signed by key {before}, from line 3 on signed by key {after}"
        in said
    )
    assert (
        f"\nUNKNOWN KEY: line 3 begins with key {after}, none of those given: a new machine" in said
    )
    assert f"give its id too: --key {after} (" in said and "BROKEN" not in said
    assert SCRIPT_MODULE.main([str(evidence), "--key", before, "--key", after]) == 0
    # One who knows neither, or where a line was altered as well, reads that it is broken.
    assert SCRIPT_MODULE.main([str(evidence), "--key", "0" * 64]) == 1
    assert "took over" not in (said := capsys.readouterr().out) and "BROKEN: line 1" in said
    content = (evidence / ledger.NAME).read_bytes()
    (evidence / ledger.NAME).write_bytes(content.replace(b'"kind":"host"', b'"kind":"gate"'))
    assert SCRIPT_MODULE.main([str(evidence), "--key", before]) == 1
    assert "BROKEN: " in capsys.readouterr().out


def test_writers_that_are_not_told_the_folder_sign_too(tmp_path):
    evidence, keys = tmp_path / "e", tmp_path / "keys"
    ledger.append(evidence, "gate", {}, now=NOW, keys=keys)
    assert ledger.append(evidence, "swap", {}, now=NOW)["unsigned"] is None
    assert ledger.inspect(evidence).signed_lines == 3
    keys.rename(tmp_path / "moved")
    assert ledger.append(evidence, "gate", {}, now=NOW, keys=tmp_path / "moved")["unsigned"] is None
    assert ledger.append(evidence, "swap", {}, now=NOW)["unsigned"] is None
    assert ledger.verify(evidence, keys=tmp_path / "moved") == []


def fill(evidence, keys, count):
    for number in range(count):
        ledger.append(evidence, "gate", {"run": number}, now=datetime.now(UTC), keys=keys)


def test_many_writers_at_once_begin_to_sign_once(tmp_path):
    evidence, keys = tmp_path / "e", tmp_path / "keys"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=fill, args=(evidence, keys, 5)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert ledger.verify(evidence, keys=keys) == []
    assert (len(lines_of(evidence)), len(list(keys.glob("ledger-*.key")))) == (21, 1)


def killed_in_the_middle(evidence, keys, cut):
    """Write a line and end as a writer that is killed while it writes: no head, half a line."""
    head = (evidence / ledger.HEAD).read_bytes()
    ledger.append(evidence, "gate", {"run": "killed"}, now=NOW, keys=keys)
    content = (evidence / ledger.NAME).read_bytes()
    end = content[:-1].rfind(b"\n") + 1
    (evidence / ledger.NAME).write_bytes(content[: end + cut])
    (evidence / ledger.HEAD).write_bytes(head)


@pytest.mark.parametrize("cut", [1, 40, 200, 330])
def test_a_writer_killed_in_a_signed_line_leaves_a_whole_ledger(tmp_path, cut):
    evidence, keys = tmp_path / "e", tmp_path / "keys"
    ledger.append(evidence, "gate", {}, now=NOW, keys=keys)
    killed_in_the_middle(evidence, keys, cut)
    assert ledger.verify(evidence, keys=keys) == []
    ledger.append(evidence, "gate", {}, now=NOW)
    assert ledger.verify(evidence, keys=keys) == []
    assert len(lines_of(evidence)) == 3


def test_a_writer_killed_after_the_line_that_begins_leaves_a_signed_ledger(tmp_path, monkeypatch):
    evidence, keys = tmp_path / "e", tmp_path / "keys"
    with monkeypatch.context() as patch:
        patch.setattr(ledger_keys, "note", lambda *_a: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ledger.append(evidence, "gate", {}, now=NOW, keys=keys)
    ledger.append(evidence, "gate", {}, now=NOW, keys=keys)
    assert ledger.verify(evidence, keys=keys) == []
    assert len(lines_of(evidence)) == 2


def test_signed_ledgers_merge_and_both_stay_whole(tmp_path):
    lost, new, keys = tmp_path / "lost", tmp_path / "new", tmp_path / "keys"
    ledger.append(lost, "gate", {}, now=NOW, keys=keys)
    shutil.copytree(lost, new)
    ledger.append(lost, "drill", {"set": "only there"}, now=NOW, keys=keys)
    next(keys.glob("ledger-*.key")).unlink()
    key_changes.replace(new, keys, "a new machine", now=NOW)
    facts = merge.merge(new, lost, now=NOW, check=False)
    assert facts["problems"] == []
    assert ledger.verify(new, keys=keys) == []
    assert ledger.verify(Path(facts["folder"]), keys=keys) == []


def test_a_record_with_a_field_named_signature_is_no_signature(tmp_path):
    ledger.append(tmp_path, "gate", {"signature": {"key": "k", "value": "v"}}, now=NOW)
    assert ledger.verify(tmp_path) == []
    assert ledger.inspect(tmp_path).signed_lines == 0


def test_an_interpreter_without_cryptography_writes_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ansible.module_utils.pmsops.repository.signing", None)
    monkeypatch.delattr("ansible.module_utils.pmsops.repository.signing", raising=False)
    line = ledger.append(tmp_path / "e", "gate", {}, now=NOW, keys=tmp_path / "keys")
    assert "no package cryptography" in line["unsigned"]
    assert json.loads(lines_of(tmp_path / "e")[0])["unsigned"]["code"] == "ledger.no-cryptography"
