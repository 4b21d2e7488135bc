# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run asks each site once for its copies, and never believes an answer that is not its own."""

from __future__ import annotations

import shutil

import pms_offsite_info
import pytest
from ansible.module_utils.pmsops.offsite import boot

from tests.support.backup_sets import make_set

RECENT = {"known_seconds": 600}


def commands(fund, since):
    return [each["argv"][1] for each in fund.calls()[since:]]


@pytest.fixture
def asked(stocked):
    """A fund whose site was asked a moment ago, with a set that it lacks."""
    stocked.call("", module=pms_offsite_info, ask=True)
    stocked.make_set("2026-11-23_0600")
    return stocked


def of_another_database(fund):
    """Return the options of a set of another database of the same server."""
    root = fund.root / "other_databases" / "dagster"
    make_set(root, fund.folder / "keys", "2026-11-23_0601")
    return {"root": str(root), "other_database": "dagster"}


def test_a_run_asks_a_site_once_for_all_its_sets_and_reads_each_manifest_back(asked):
    since = len(asked.calls())
    assert asked.site("uploaded", **RECENT)["changed"]
    assert asked.site("uploaded", **RECENT, **of_another_database(asked))["changed"]
    assert not asked.site("uploaded", **RECENT)["changed"]
    assert commands(asked, since) == ["backup", "dump", "backup", "dump", "dump"]


def test_who_did_not_ask_in_this_run_asks(asked):
    since = len(asked.calls())
    asked.site("uploaded")
    assert commands(asked, since) == ["snapshots", "backup", "dump"]


@pytest.mark.parametrize("name", ["uptime", "identity"])
def test_an_answer_that_is_old_or_of_another_start_is_not_believed(asked, monkeypatch, name):
    since, real = len(asked.calls()), boot.uptime
    later = {"uptime": lambda: real() + 601, "identity": lambda: "another start"}
    monkeypatch.setattr(boot, name, later[name])
    asked.call("uploaded", **RECENT)
    assert commands(asked, since)[0] == "snapshots"


def test_an_upload_makes_the_answer_no_younger(asked, monkeypatch):
    since, real = len(asked.calls()), boot.uptime
    for seconds in (0, 350, 700):
        monkeypatch.setattr(boot, "uptime", lambda passed=seconds: real() + passed)
        asked.site("uploaded", **RECENT)
    assert commands(asked, since) == ["backup", "dump", "dump", "snapshots", "dump"]


def test_a_repository_that_was_made_anew_meanwhile_gets_its_copy(asked):
    shutil.rmtree(asked.repository)
    assert asked.call("uploaded", **RECENT)["code"] == "offsite.no-repository"
    asked.call("present")
    assert asked.site("uploaded", **RECENT)["changed"]


def test_another_system_or_password_is_named_as_ever(asked):
    found = asked.call("uploaded", system="another", **RECENT)
    assert found["code"] == "offsite.other-system"
    (asked.folder / "password").write_text("of another fund")
    assert asked.call("uploaded", **RECENT)["code"] == "offsite.wrong-password"


def test_a_damaged_answer_is_none(asked):
    for path in (asked.root / ".pms-ops" / "offsite-cache").glob("said-*.json"):
        path.write_text('{"copies": 1')
    assert asked.site("uploaded", **RECENT)["changed"]
