# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The scenarios as data: complete, consistent with playbooks, checks and signs."""

from __future__ import annotations

import importlib.util
import json
import re

import jinja2
import jsonschema
import pytest
from ansible.module_utils.pmsops.checks import checklist

from tests.conftest import PROJECT
from tests.support.yaml_files import read_yaml

FILES = PROJECT / "roles/incident/files"
WHOLE = read_yaml(FILES / "scenarios.yml")
SCENARIOS = WHOLE["scenarios"]
DETECTIONS = read_yaml(FILES / "detections.yml")
CHECKS = read_yaml(PROJECT / "roles/golive/files/checklist.yml")["checks"]
SCHEMA = json.loads((PROJECT / "docs/schemas/checklist.schema.json").read_text())
NEEDED = ("number", "title", "playbook", "target_seconds", "symptoms", "causes", "loses", "manual")


def triage(results, inventory="", order=(), moments=()):
    path = PROJECT / "plugins/filter/triage.py"
    spec = importlib.util.spec_from_file_location("triage", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.triage({"results": results}, SCENARIOS, inventory, order, moments)


def sign(name, status="pass", needs=()):
    return {
        "id": name,
        "section": name.partition(".")[0],
        "status": status,
        "finding": f"finding of {name}",
        "needs": list(needs),
    }


def test_the_signs_are_a_checklist_that_the_gate_takes():
    assert checklist.load(DETECTIONS).checks
    found = jsonschema.Draft202012Validator(SCHEMA).iter_errors(DETECTIONS)
    assert [error.message for error in found] == []


def test_every_scenario_has_signs_and_every_sign_a_scenario():
    sections = {section["id"] for section in DETECTIONS["sections"]}
    assert sections == set(SCENARIOS)
    assert {check["section"] for check in DETECTIONS["checks"]} == sections


def test_a_sign_is_named_after_its_scenario():
    for check in DETECTIONS["checks"]:
        assert check["id"].partition(".")[0] == check["section"]


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_complete(name):
    scenario = SCENARIOS[name]
    assert [field for field in NEEDED if not scenario.get(field)] == []
    assert not set(scenario["verify"]) & set(scenario["as_before"])
    assert {*scenario["verify"], *scenario["as_before"]} <= {check["id"] for check in CHECKS}
    assert scenario["verify"], "nothing would be verified"
    path = PROJECT / scenario["playbook"]
    text = path.read_text()
    assert f"incident_scenario: {name}" in text
    for word in ("# When:", "# Destroys:", "# Takes:", "# Undo:"):
        assert word in text
    for movement in ("contain", "recover"):
        assert (PROJECT / "roles/incident/tasks" / name / f"{movement}.yml").is_file()
    assert any(
        check["section"] == name and check["severity"] == "blocker"
        for check in DETECTIONS["checks"]
    )


def test_numbers_are_used_once():
    numbers = [scenario["number"] for scenario in SCENARIOS.values()]
    assert len(numbers) == len(set(numbers))


def test_triage_names_scenario_evidence_and_command():
    lines = triage([sign("redis.answers", "fail"), sign("redis.password", "unknown", ["x"])])
    assert any("Redis is unavailable" in line for line in lines)
    assert any("finding of redis.answers" in line for line in lines)
    assert any("ansible-playbook playbooks/dr_redis.yml" in line for line in lines)
    lines = triage([sign("redis.answers", "fail")], " -i inventory/prod")
    assert any("ansible-playbook -i inventory/prod playbooks/dr_redis.yml" in s for s in lines)
    assert "ansible-playbook -i inventory/prod golive.yml" in lines[-1]


def test_triage_names_the_moment_before_a_drop_where_the_wal_tells_it():
    lines = triage(
        [sign("database.tables", "fail")], moments=["table t was dropped", "  restore --at 0/1"]
    )
    assert lines[-3:-1] == ["table t was dropped", "  restore --at 0/1"]


def test_triage_of_two_disasters_at_once_names_their_order():
    order = WHOLE["order"]
    found = [
        sign("redis.answers", "fail"),
        sign("api.answers", "fail"),
        sign("disk.backups", "fail"),
    ]
    lines = triage(found, order=order)
    assert "3 disasters at once. Recover in this order: disk, api, redis." in lines[0]
    typed = [line for line in lines if line.startswith("  type")]
    assert [line.rpartition("/")[2] for line in typed] == [
        "dr_disk.yml",
        "dr_api.yml",
        "dr_redis.yml",
    ]
    assert typed[2].startswith("  type, after the api: ")


def test_a_part_that_the_system_does_not_have_is_named_and_no_open_question():
    lines = triage([sign("redis.answers"), sign("pipeline.answers", "unknown") | {"absent": True}])
    assert "Not in the inventory, so not checked: pipeline.answers" in lines


def test_a_single_disaster_needs_no_order():
    assert "disasters at once" not in "".join(
        triage([sign("api.answers", "fail")], order=WHOLE["order"])
    )


def test_what_a_scenario_requires_is_recovered_before_it():
    order = WHOLE["order"]
    assert sorted(order) == sorted(SCENARIOS)
    for name, scenario in SCENARIOS.items():
        for check in scenario.get("requires", ()):
            assert check in {each["id"] for each in DETECTIONS["checks"]}
            assert order.index(check.partition(".")[0]) < order.index(name)


def test_triage_of_a_healthy_system_names_none():
    first, more = triage([sign("redis.answers"), sign("redis.password")])
    assert "No scenario fits: 2 of 2" in first
    assert "golive.yml" in more


def task_names(items):
    """Return the names of all tasks of a parsed file, those in blocks too."""
    for each in items or []:
        yield each.get("name", "")
        for inner in ("tasks", "block", "rescue", "always"):
            yield from task_names(each.get(inner))


def facts(path):
    """Return the facts that each task of a file sets, task by task."""
    tasks = [*read_yaml(path)]
    for each in tasks:
        tasks += [inner for block in ("block", "rescue", "always") for inner in each.get(block, [])]
    return [
        set(each["ansible.builtin.set_fact"])
        for each in tasks
        if "ansible.builtin.set_fact" in each
    ]


def test_a_scenario_forgets_the_facts_of_the_one_before_it_in_the_same_run():
    tasks = PROJECT / "roles/incident/tasks"
    kept = {fact for path in tasks.glob("*/*.yml") for each in facts(path) for fact in each}
    first = facts(tasks / "detect.yml")[0]
    assert len(kept) > 5
    assert kept - first == set()


def test_every_task_at_which_a_rehearsal_kills_a_playbook_exists():
    names = {
        name
        for folder in ("roles", "playbooks")
        for path in (PROJECT / folder).rglob("*.yml")
        if folder == "playbooks" or "tasks" in path.parts
        for name in task_names(read_yaml(path))
    }
    killed_at = {
        (quoted or plain).strip()
        for path in (PROJECT / "molecule").rglob("*.yml")
        for quoted, plain in re.findall(
            r"""\btask: (?:"([^"\n]+)"|([A-Z][^,}\n]*))""", path.read_text()
        )
    }
    assert len(killed_at) > 15
    assert [at for at in sorted(killed_at) if not any(at in name for name in names)] == []


@pytest.mark.parametrize(
    ("left", "observed", "named"),
    [
        (["database.tables"], {"missing_tables": "public.a, public.b"}, "[public.a,public.b]"),
        (["database.tables"], {"missing_tables": "public.a"}, "[public.a]"),
        (["database.tables", "database.pages"], {"missing_tables": "public.a"}, ""),
        (["database.tables"], {"missing_tables": "public.a", "plain_tables": "public.b"}, ""),
        (["database.tables"], {"missing_tables": "public.a, public.b and 3 more"}, ""),
        (["database.tables"], None, ""),
    ],
)
def test_a_dropped_table_does_not_cost_a_full_restore(left, observed, named):
    texts = read_yaml(PROJECT / "roles/incident/vars/main.yml")
    none = {"missing_tables": None, "plain_tables": None, "fewer_chunks": None}
    found = observed if observed is None else none | observed
    given = {
        "__incident_left": left,
        "__incident_again": {"results": [{"id": "database.tables", "observed": found}]},
        "__incident_set": {"set": "/b/2026-11-22_0600"},
        "pms_inventory_words": " -i prod",
        "pms_db_name": "fund",
    }
    for name in ("__incident_missing", "__incident_single_tables"):
        given[name] = jinja2.Template(texts[name]).render(given)
    command = (
        "ansible-playbook -i prod dr_restore.yml -e file=/b/2026-11-22_0600"
        f" -e tables={named} -e in_place=true -e confirm=fund."
    )
    assert given["__incident_single_tables"].endswith(command if named else "")
    assert bool(given["__incident_single_tables"].strip()) == bool(named)
    asked = (PROJECT / "roles/incident/tasks/database/restore.yml").read_text()
    assert asked.count("__incident_single_tables") == 2
