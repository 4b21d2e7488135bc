"""Deficiencies: lines of the ledger with an owner and a due date, closed by what shows a remedy."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import deficiencies, ledger

from tests.conftest import PROJECT
from tests.support.gates import NOW

SCHEMA = json.loads((PROJECT / "docs" / "schemas" / "record.schema.json").read_bytes())
DEFICIENCY = jsonschema.Draft202012Validator(
    {"$ref": "#/$defs/deficiency", "$defs": SCHEMA["$defs"]}
)
WANTED = deficiencies.Request(
    title="Redis is in no set", owner="Maria Silva", due="2026-12-15", finding="drill of line 3"
)


def opened(root: Path, request: deficiencies.Request = WANTED, **more: Any) -> dict[str, Any]:
    return deficiencies.open_new(root, request, now=NOW, **more)[0]


def drill(root: Path, *, proved: bool = True, minutes: int = 1) -> int:
    record = {"set": "2026-11-23_0600", "proved": proved}
    added = ledger.append(root, "drill", record, now=NOW + timedelta(minutes=minutes))
    return int(added["seq"])


def close(root: Path, name: str, shown_by: str, **more: Any) -> tuple[dict[str, Any], bool]:
    return deficiencies.close(
        root, name, shown_by, by="Ana", now=NOW + timedelta(minutes=5), **more
    )


def listed(root: Path, days: int = 0) -> list[dict[str, Any]]:
    return deficiencies.collect(ledger.inspect(root).entries, NOW + timedelta(days=days))


def test_its_name_is_the_line_that_opened_it(tmp_path):
    drill(tmp_path)
    found = opened(tmp_path)
    assert (found["id"], found["line"], found["overdue"]) == ("D-2", 2, False)
    assert [each.message for each in DEFICIENCY.iter_errors(found)] == []


def test_with_a_new_key_the_line_that_begins_to_sign_comes_before_it(tmp_path):
    found = opened(tmp_path / "evidence", keys=tmp_path / "keys")
    assert (found["id"], found["line"]) == ("D-2", 2)
    assert ledger.inspect(tmp_path / "evidence", keys=tmp_path / "keys", signed=True).problems == ()


def test_the_same_one_is_opened_once(tmp_path):
    assert deficiencies.open_new(tmp_path, WANTED, now=NOW)[1]
    again, new = deficiencies.open_new(tmp_path, WANTED, now=NOW)
    assert (again["id"], new, len(listed(tmp_path))) == ("D-1", False, 1)


def test_check_mode_adds_no_line(tmp_path):
    assert deficiencies.open_new(tmp_path, WANTED, now=NOW, check=True)[1]
    assert listed(tmp_path) == []
    opened(tmp_path)
    line = drill(tmp_path)
    assert close(tmp_path, "D-1", str(line), check=True)[1]
    assert [each["id"] for each in deficiencies.open_ones(listed(tmp_path))] == ["D-1"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"title": " "}, "deficiency.incomplete"),
        ({"owner": ""}, "deficiency.incomplete"),
        ({"due": "15/12/2026"}, "deficiency.due"),
        ({"due": ""}, "deficiency.due"),
        ({"due": "2026-11-22"}, "deficiency.due"),
    ],
)
def test_one_without_title_owner_or_a_day_to_come_is_refused(tmp_path, change, code):
    fields = vars(WANTED) | change
    with pytest.raises(OpsError) as caught:
        deficiencies.open_new(tmp_path, deficiencies.Request(**fields), now=NOW)
    assert caught.value.code == code
    assert not (tmp_path / ledger.NAME).exists()


@pytest.mark.parametrize("named", ["line", "set"])
def test_a_drill_that_passed_later_closes_it(tmp_path, named):
    opened(tmp_path)
    line = drill(tmp_path)
    found, new = close(tmp_path, "D-1", str(line) if named == "line" else "2026-11-23_0600")
    assert new
    assert found["closed"]["record"]["line"] == line
    assert found["closed"]["record"]["sha256"] == ledger.inspect(tmp_path).line_hashes[line - 1]
    assert [each.message for each in DEFICIENCY.iter_errors(found)] == []
    assert deficiencies.open_ones(listed(tmp_path)) == []
    assert close(tmp_path, "D-1", str(line)) == (listed(tmp_path)[0], False)
    assert ledger.verify(tmp_path) == []


@pytest.mark.parametrize("case", ["older", "failed", "none", "itself"])
def test_what_shows_no_remedy_does_not_close_it(tmp_path, case):
    older = drill(tmp_path)
    opened(tmp_path)
    failed = drill(tmp_path, proved=False)
    shown_by = {"older": str(older), "failed": str(failed), "none": "99", "itself": "2"}[case]
    with pytest.raises(OpsError) as caught:
        close(tmp_path, "D-2", shown_by)
    assert caught.value.code == "deficiency.record"
    assert [each["id"] for each in deficiencies.open_ones(listed(tmp_path))] == ["D-2"]


def test_a_person_may_attest_the_remedy(tmp_path):
    opened(tmp_path)
    line = ledger.append(tmp_path, "attestation", {"task": "t", "name": "Carla"}, now=NOW)["seq"]
    assert close(tmp_path, "D-1", str(line))[1]


def test_one_that_is_closed_stays_closed_by_its_record(tmp_path):
    opened(tmp_path)
    close(tmp_path, "D-1", str(drill(tmp_path)))
    with pytest.raises(OpsError) as caught:
        close(tmp_path, "D-1", str(drill(tmp_path, minutes=2)))
    assert caught.value.code == "deficiency.unknown"


def test_one_that_nobody_opened_is_refused(tmp_path):
    drill(tmp_path)
    with pytest.raises(OpsError) as caught:
        close(tmp_path, "D-7", "1")
    assert caught.value.code == "deficiency.unknown"


def test_it_is_overdue_on_the_day_after_its_due_date_in_the_fund_s_zone(tmp_path):
    opened(tmp_path)
    found = ledger.inspect(tmp_path).entries
    last = NOW.replace(month=12, day=16, hour=2, minute=59)  # 23:59 of the 15th in São Paulo
    assert deficiencies.due(deficiencies.collect(found, last)) == []
    ((what, step),) = deficiencies.due(deficiencies.collect(found, last + timedelta(minutes=1)))
    assert what == "deficiency D-1 (Redis is in no set) of Maria Silva, due 2026-12-15, is overdue"
    assert step == "pms-ops deficiency close D-1 --record LINE"


def test_a_due_date_that_cannot_be_read_hides_no_deficiency(tmp_path):
    record = {"act": "opened", "id": "D-1", "title": "t", "owner": "o", "due": None}
    ledger.append(tmp_path, "deficiency", record, now=NOW)
    ledger.append(tmp_path, "deficiency", {"act": "closed", "id": 5}, now=NOW)
    assert len(deficiencies.overdue(listed(tmp_path))) == 1
