"""Anchors by RFC 3161, at an authority that openssl is."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.anchors import run
from ansible.module_utils.pmsops.anchors.time_stamp import TimeStamp
from ansible.module_utils.pmsops.evidence import anchor_notes, ledger

from tests.support.time_stamping import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    found = Authority(tmp_path_factory.mktemp("authority"))
    yield found
    found.stop()


@pytest.fixture
def evidence(tmp_path):
    for number in range(3):
        ledger.append(tmp_path / "e", "gate", {"run": number}, now=datetime.now(UTC))
    return tmp_path / "e"


def ways(evidence, authority, **other):
    given = {"url": authority.url, "ca_file": authority.ca_file} | other
    return {"tsa": TimeStamp("tsa", folder=evidence / "anchors" / "tsa", **given)}


def make(evidence, given, *, force=False):
    return run.make(evidence, given, "prod", hours=24, force=force, check=False)


def test_the_authority_signs_the_head_and_its_time(evidence, authority):
    given = ways(evidence, authority)
    made = make(evidence, given)
    assert made["anchors"] == [
        {"name": "tsa", "lines": 3, "sha256": ledger.inspect(evidence).sha256}
    ]
    ledger.append(evidence, "gate", {"run": "later"}, now=datetime.now(UTC))
    found = run.verify(evidence, given, None)["anchors"][0]
    assert (found["lines"], found["problems"]) == (3, [])
    assert "sure up to line 3, since 20" in found["text"]


def test_openssl_alone_checks_a_token_by_the_head(evidence, authority):
    make(evidence, ways(evidence, authority))
    token = next((evidence / "anchors" / "tsa").glob("3-*.tsr"))
    head = ledger.inspect(evidence).sha256
    wanted = ["openssl", "ts", "-verify", "-digest", head, "-in", token]
    done = subprocess.run(
        [*wanted, "-CAfile", authority.ca_file], capture_output=True, text=True, check=False
    )
    assert "Verification: OK" in done.stdout + done.stderr


def test_a_ledger_that_was_computed_anew_is_named_by_the_line_that_was_stamped(
    evidence, authority, tmp_path
):
    given = ways(evidence, authority)
    make(evidence, given)
    (evidence / ledger.NAME).unlink()
    (evidence / ledger.HEAD).unlink()
    for number in range(5):
        ledger.append(evidence, "gate", {"other": number}, now=datetime.now(UTC))
    assert ledger.verify(evidence) == []
    found = run.verify(evidence, given, None)["anchors"][0]
    assert found["lines"] == 0
    assert "line 3, or one before it, was changed after it was anchored" in found["problems"][0]


def test_a_token_of_another_authority_is_refused_when_it_comes_and_later(
    evidence, authority, tmp_path
):
    other = Authority(tmp_path / "other")
    try:
        wrong = ways(evidence, other, ca_file=authority.ca_file)
        made = make(evidence, wrong)["anchors"][0]
        assert made["code"] == "anchor.failed"
        assert "not one that its authority signed" in made["why"]
        make(evidence, ways(evidence, other))
        found = run.verify(evidence, ways(evidence, authority), None)["anchors"][0]
        assert "anchor.unreadable" in found["problems"][0]
    finally:
        other.stop()


def test_an_authority_that_does_not_answer_is_said_and_noted(evidence, authority):
    authority.answers = False
    try:
        made = make(evidence, ways(evidence, authority))["anchors"][0]
    finally:
        authority.answers = True
    assert made["code"] == "anchor.failed"
    assert "answered 503" in anchor_notes.read(evidence)["tsa"]["failed"]["why"]
    gone = ways(evidence, authority, url="http://127.0.0.1:1/")
    assert "did not answer" in make(evidence, gone)["anchors"][0]["why"]
