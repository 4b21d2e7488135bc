# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""An invented year of a fund, made by running; its export is whole, and says what happened."""

from __future__ import annotations

import json
import zipfile

import pytest

from tests.molecule.conftest import lab_name
from tests.support.exported import outside, unpack
from tests.support.lab_year import DELETABLE, SINCE, UNTIL, WAIVED, Year


@pytest.mark.nightly
def test_the_export_of_a_year_is_whole_and_says_what_happened(tmp_path_factory):
    folder = tmp_path_factory.mktemp("year")
    year = Year(folder / "work", lab_name("year"))
    try:
        year.run_year()
        english, portuguese = year.export()
        key, approvers = year.key, year.approvers
    finally:
        year.end()
    for path in (english, portuguese):
        whole = unpack(path, folder / path.stem)
        ca = ("--tsa-ca", str(year.authority.ca_file))
        known = [word for each in approvers for word in ("--approver", each)]
        status, said = outside(whole, "--key", key, *known, *ca)
        assert status == 0, said
        # The restore, its rollback, and the recovery in July: each signed by a second person.
        assert said.count(": the signature fits this plan\n") == 3, said
        assert "by the root that was given" in said
        status, said = outside(whole, "--key", key, "--approver", key)
        assert status == 1 and said.count("is none of those given with --approver") >= 3, said
    with zipfile.ZipFile(english) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        # The job of the anchor writes no lines, so nothing of it is counted.
        jobs = [each for each in json.loads(archive.read("plan.json")) if each["of"] != "anchor"]
        plan = {each["name"]: each["counts"] for each in jobs}
        lines = [json.loads(each) for each in archive.read("ledger/lines.jsonl").splitlines()]
    assert (manifest["period"]["since"], manifest["period"]["until"]) == (SINCE, UNTIL)
    # June was missed. In April the go-live was no go, and the drill failed.
    missed = {name: counts["missed"] for name, counts in plan.items()}
    assert missed == {"golive": 1, "backup": 1, "drill": 1}, plan
    failed = {name: counts["failed"] for name, counts in plan.items()}
    assert failed == {"golive": 1, "backup": 0, "drill": 1}, plan
    kinds = [each["kind"] for each in lines]
    assert kinds.count("approval") == 3 and kinds.count("rollback") == 1
    # In July the recovery stopped once, for the second person's consent.
    assert kinds.count("incident") == 4
    assert kinds.count("waiver") == len((*WAIVED, DELETABLE))
    assert kinds.count("offsite") and kinds.count("signoff") == 2
    # One clock: no line is older than the one before it.
    moments = [each["at"] for each in lines]
    assert moments == sorted(moments)
