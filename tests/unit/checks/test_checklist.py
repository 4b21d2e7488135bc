# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The checklist itself: its schema, that it covers what was asked for, and that it can say no."""

from __future__ import annotations

import copy
import functools
import importlib.util
import json
import re
from types import ModuleType

import jsonschema
import pytest
from ansible.module_utils.pmsops.checks import checklist, expectations, probes, validation
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.exchange_calendar import Clock
from ansible.module_utils.pmsops.pms.smoke_test_steps import STEPS

from tests.conftest import PROJECT
from tests.support.yaml_files import read_yaml

PATH = PROJECT / "roles/golive/files/checklist.yml"
DOCUMENT = read_yaml(PATH)
CHECKS = DOCUMENT["checks"]
SCHEMA = json.loads((PROJECT / "docs/schemas/checklist.schema.json").read_text(encoding="utf-8"))
# The steps of a go-live that are no steps of the smoke test.
OTHER_STEPS = {"pipeline", "backup", "drill"}
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_the_checklist_is_what_its_schema_says():
    assert [error.message for error in VALIDATOR.iter_errors(DOCUMENT)] == []


def test_the_gate_accepts_the_checklist():
    assert len(checklist.load(DOCUMENT).checks) == len(CHECKS)


@functools.cache
def filter_plugin() -> ModuleType:
    spec = importlib.util.spec_from_file_location("asks", PROJECT / "plugins/filter/asks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def asks(check: dict) -> str:
    return filter_plugin().asks(check)


# Checks are no parameters: 157 of each test would take longer to be counted than to be run.
def test_every_check_can_be_asked_by_hand():
    for check in CHECKS:
        said = asks(check)
        assert said.startswith("Asks ") and "\n" not in said, check["id"]
        # Markdown reads what is not code.
        assert "${" not in re.sub(r"`[^`]*`", "", said), check["id"]


def test_what_a_check_asks_is_what_its_probe_is_run_with():
    check = {
        "probe": "sql",
        "params": {"query": "SELECT 1\n  WHERE %(a)s", "args": {"a": 2}},
        "expect": [{"path": "x", "matches": "^a|b", "label": "word"}, {"path": "y.z", "gt": 1}],
    }
    assert asks(check) == (
        "Asks the database `SELECT 1 WHERE %(a)s` with `a` = `2`; expects `word` matching `^a|b`,"
        " `y z` > 1."
    )


def test_there_are_sixty_checks_and_more_in_all_six_sections():
    sections = [check["section"] for check in CHECKS]
    assert len(CHECKS) >= 60
    assert {section["id"] for section in DOCUMENT["sections"]} == set(sections)
    assert min(sections.count(section) for section in set(sections)) >= 10


def test_every_check_can_fail():
    """An empty answer, an answer of nulls and a wrong answer satisfy no check."""
    clock = Clock(_now())
    for check in CHECKS:
        if check["probe"] in ("attest", "smoke"):
            # No statement or step: unknown.
            assert probes.KINDS[check["probe"]].judges_itself, check["id"]
            continue
        broken = copy.deepcopy(check) | {"expect": []}
        with pytest.raises(OpsError, match="cannot fail"):
            checklist.load(DOCUMENT | {"checks": [broken | {"needs": []}]})
        for expectation in check["expect"]:
            assert validation.expectation_problem(expectation) is None, check["id"]
        for answer in ({}, {"rows": [], "count": 0}, {"rows": [{}], "json": {}}, None, []):
            outcomes = [_judged(each, answer, clock) for each in _filled(check["expect"])]
            assert not all(outcomes), f"{check['id']} holds for {answer}"


def test_every_remedy_is_a_sentence_to_follow():
    remedies = {check["id"]: check["remedy"].strip() for check in CHECKS}
    assert {
        name: remedy
        for name, remedy in remedies.items()
        if not remedy.endswith(".") or len(remedy.split()) < 4
    } == {}


def test_every_step_of_the_smoke_test_is_a_check_and_no_check_asks_for_another():
    asked = {check["params"]["step"] for check in CHECKS if check["probe"] == "smoke"}
    assert asked == {step.id for step in STEPS} | OTHER_STEPS


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"severity": "fatal"}, "severity"),
        ({"probe": "telepathy"}, "telepathy"),
        ({"colour": "red"}, "colour"),
        ({"remedy": ""}, "remedy"),
        ({"expect": [{"path": "value"}]}, "comparison"),
        ({"expect": [{"path": "value", "matches": ".*", "label": "x"}]}, "always holds"),
        ({"needs": ["nowhere"]}, "nowhere"),
        ({"params": {"queery": "SELECT 1"}}, "queery"),
    ],
)
def test_a_misspelt_item_is_refused_by_name(change, says):
    changed = copy.deepcopy(DOCUMENT)
    changed["checks"][0] |= change
    with pytest.raises(OpsError, match=says):
        checklist.load(changed)


def _now():
    from datetime import UTC, datetime

    return datetime(2026, 11, 23, 12, tzinfo=UTC)


def _filled(expect: list[dict]) -> list[dict]:
    """Replace variables by a number; what matters is that nothing satisfies nothing."""
    return [
        {
            name: 1 if isinstance(value, str) and "${" in value else value
            for name, value in e.items()
        }
        for e in expect
    ]


def _judged(expectation: dict, answer: object, clock: Clock) -> bool:
    return expectations.judge(answer, expectation, clock).met


def about_what(check: dict) -> str:
    """Return the part without which the question has no meaning, by what is asked."""
    params = check.get("params") or {}
    if check["probe"] in ("dagster", "grafana"):
        return check["probe"]
    if params.get("base") in ("dagster", "grafana"):
        return params["base"]
    if params.get("part") in ("dagster", "daemon"):
        return "dagster"
    if params.get("part") == "grafana":
        return "grafana"
    if params.get("step") == "pipeline":
        return "dagster"
    # The jobs and the catalogue are those of TimescaleDB.
    named = "timescaledb" in params.get("query", "").lower()
    return "timescaledb" if named or params.get("about") in ("jobs", "catalogue") else ""


def test_a_check_says_of_which_part_it_is():
    said = {check["id"]: check.get("about", "") for check in CHECKS}
    assert said == {check["id"]: about_what(check) for check in CHECKS}
