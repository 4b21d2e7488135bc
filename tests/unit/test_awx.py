# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The job templates of awx/ name playbooks and variables that exist, in the form that AWX accepts.

No AWX is asked: the rules are those that it publishes, and each of them refuses a broken template
below.
"""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
import pytest
import yaml

from tests.conftest import PROJECT
from tests.support.yaml_files import read_yaml

# Expressions hold regular expressions, whose escapes jinja2 looks at.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")
FILE = PROJECT / "awx" / "job_templates.yml"
TEMPLATES: list[dict[str, Any]] = read_yaml(FILE)["job_templates"]
# Source: awx_collection/plugins/modules/job_template.py of github.com/ansible/awx, argument_spec.
FIELDS: dict[str, type] = {
    "name": str,
    "description": str,
    "job_type": str,
    "playbook": str,
    "limit": str,
    "extra_vars": dict,
    "timeout": int,
    "become_enabled": bool,
    "diff_mode": bool,
    "allow_simultaneous": bool,
    "ask_diff_mode_on_launch": bool,
    "ask_job_type_on_launch": bool,
    "ask_limit_on_launch": bool,
    "ask_variables_on_launch": bool,
    "ask_verbosity_on_launch": bool,
    "survey_enabled": bool,
    "survey_spec": dict,
}
# Source: awx/api/views/__init__.py of github.com/ansible/awx, JobTemplateSurveySpec.
TYPES: dict[str, type] = {
    "text": str,
    "textarea": str,
    "password": str,
    "multiplechoice": str,
    "multiselect": str,
    "integer": int,
    "float": float,
}
QUESTION = {"type": str, "question_name": str, "variable": str, "required": bool}
MORE = {"question_description": str, "min": int, "max": int, "choices": list, "default": object}
CONDITIONS = ("when", "that", "until", "failed_when", "changed_when")
VARIABLES = ("defaults", "vars")
ENVIRONMENT = jinja2.Environment()  # noqa: S701  it renders nothing
BOOLEANS = {"true", "false"}


def refused(template: dict[str, Any]) -> Iterator[str]:
    """Yield why AWX would refuse a job template."""
    for name, value in template.items():
        if not isinstance(value, FIELDS.get(name, type(None))):
            yield f"field {name}: {value!r}"
    if template.get("job_type") not in ("run", "check"):
        yield f"job_type {template.get('job_type')}"
    if template.get("survey_enabled", False) is not ("survey_spec" in template):
        yield "survey_enabled does not fit survey_spec"
    survey = template.get("survey_spec")
    if survey is None:
        return
    if set(survey) != {"name", "description", "spec"} or not survey["spec"]:
        yield f"survey of {sorted(survey)}"
    seen: set[str] = set()
    for question in survey.get("spec", []):
        yield from _refused_question(question)
        if question.get("variable") in seen:
            yield f"variable {question['variable']} twice"
        seen.add(str(question.get("variable")))


def _refused_question(question: dict[str, Any]) -> Iterator[str]:
    for name, kind in QUESTION.items():
        if not isinstance(question.get(name), kind):
            yield f"{name} of {question}"
    for name, value in question.items():
        if not isinstance(value, (QUESTION | MORE).get(name, type(None))):
            yield f"{name} of {question}"
    if question.get("type") not in TYPES:
        yield f"type {question.get('type')}"
        return
    default = question.get("default", "")
    if default != "" and not isinstance(default, TYPES[question["type"]]):
        yield f"default {default!r}"
    if question["type"] in ("multiplechoice", "multiselect"):
        if not question.get("choices"):
            yield "no choices"
        elif default and default not in question["choices"]:
            yield f"default {default!r} is no choice"


# --- what the playbooks know ----------------------------------------------------------------------


def _plays(playbook: str) -> Iterator[dict[str, Any]]:
    path = PROJECT / playbook
    for play in read_yaml(path):
        if imported := play.get("ansible.builtin.import_playbook"):
            yield from _plays(str((path.parent / imported).relative_to(PROJECT)))
        else:
            yield play


def _included(found: Any) -> Iterator[tuple[str, str, str]]:
    """Yield role, entry and scenario of each role that a play takes."""
    if isinstance(found, dict):
        if "role" in found:
            yield found["role"], "main", (found.get("vars") or {}).get("incident_scenario", "")
        for name in ("ansible.builtin.include_role", "ansible.builtin.import_role"):
            if name in found:
                yield found[name]["name"], found[name].get("tasks_from", "main"), ""
        found = list(found.values())
    if isinstance(found, list):
        for each in found:
            yield from _included(each)


def _tasks(role: str, entry: str, scenario: str, seen: set[Path]) -> None:
    """Collect the task files of an entry, and those that it includes, of its own scenario."""
    top = PROJECT / "roles" / role / "tasks"
    start = top / f"{entry}.yml"
    if start in seen or not start.exists():
        return
    seen.add(start)
    for name in re.findall(r"_tasks: *\"?([^\"\n]+\.yml)\"?$", _text(start), re.MULTILINE):
        name = re.sub(r"\{\{ *incident_scenario *\}\}", scenario or "*", name)
        name = re.sub(r"\{\{.*?\}\}", "*", name)
        for file in {*start.parent.glob(name), *top.glob(name)}:
            _tasks(role, str(file.relative_to(top).with_suffix("")), scenario, seen)
    for other, other_entry, _ in _included(_yaml(start)):
        if "{{" not in other + other_entry:
            _tasks(other, other_entry, scenario, seen)


@functools.cache
def _text(path: Path) -> str:
    return path.read_text()


@functools.cache
def _yaml(path: Path) -> Any:
    return yaml.load(_text(path), Loader=yaml.CSafeLoader)


@functools.cache
def known(playbook: str) -> tuple[frozenset[str], dict[str, Any], bool]:
    """Return the variables that a playbook reads, the options of its roles, and if it confirms."""
    files: set[Path] = set()
    read: set[str] = set()
    options: dict[str, Any] = {}
    for play in _plays(playbook):
        read |= _names(play)
        for role, entry, scenario in _included(play):
            _tasks(role, entry, scenario, files)
    confirms = any("pms_confirms" in _text(path) for path in files)
    for role in {path.relative_to(PROJECT / "roles").parts[0] for path in files} | {"pms"}:
        folder = PROJECT / "roles" / role
        for entry in _yaml(folder / "meta/argument_specs.yml")["argument_specs"].values():
            options |= entry.get("options") or {}
        files |= {path for path in folder.glob("[dv]*/main.yml") if path.parent.name in VARIABLES}
    return frozenset(read.union(*map(_read, files))), options, confirms


@functools.cache
def _read(path: Path) -> frozenset[str]:
    return _names(_yaml(path))


def _names(found: Any) -> frozenset[str]:
    """Return the names that the expressions of a document read."""
    names: set[str] = set()
    for value in _strings(found, ""):
        try:
            names |= jinja2.meta.find_undeclared_variables(ENVIRONMENT.parse(value))
        except jinja2.TemplateError:  # text, where a condition was supposed
            continue
    return frozenset(names)


def _strings(found: Any, key: str) -> Iterator[str]:
    if isinstance(found, dict):
        for name, value in found.items():
            yield from _strings(value, str(name))
    elif isinstance(found, list):
        for value in found:
            yield from _strings(value, key)
    elif isinstance(found, str) and "{" in found:
        yield found
    elif isinstance(found, str) and key in CONDITIONS:
        yield f"{{{{ {found} }}}}"


def questions(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["variable"]: each for each in template.get("survey_spec", {}).get("spec", [])}


each_template = pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each["name"])


@each_template
def test_awx_accepts_the_form(template):
    assert list(refused(template)) == []


def test_each_name_is_there_once():
    names = [each["name"] for each in TEMPLATES]
    assert len(set(names)) == len(names)


@each_template
def test_the_playbook_knows_each_variable_and_each_choice(template):
    variables, options, _ = known(template["playbook"])
    for name, question in questions(template).items():
        assert name in variables | set(options), name
        option = options.get(name, {})
        choices = set(question.get("choices", []))
        if option.get("type") == "bool":
            assert choices == BOOLEANS, name
        elif allowed := option.get("choices"):
            assert choices and choices <= set(allowed), name
    for name in template.get("extra_vars", {}):
        assert name in variables | set(options), name


@each_template
def test_what_destroys_asks_for_the_name_of_the_database(template):
    *_, confirms = known(template["playbook"])
    assert ("confirm" in questions(template)) is confirms


def test_each_playbook_that_destroys_is_offered():
    destroying = {
        f"playbooks/{path.name}"
        for path in (PROJECT / "playbooks").glob("*.yml")
        if known(f"playbooks/{path.name}")[2]
    }
    assert "playbooks/dr_restore.yml" in destroying and "playbooks/dr_host.yml" in destroying
    offered = {f"playbooks/{Path(each['playbook']).name}" for each in TEMPLATES}
    assert destroying <= offered


BROKEN: dict[str, Any] = {
    "no such field": lambda each: each.update(ask_nothing=True),
    "field of another type": lambda each: each.update(ask_limit_on_launch="yes"),
    "no such kind of job": lambda each: each.update(job_type="scan"),
    "survey not enabled": lambda each: each.update(survey_enabled=False),
    "no question": lambda each: each["survey_spec"].update(spec=[]),
    "no such type": lambda each: each["survey_spec"]["spec"][0].update(type="bool"),
    "no choices": lambda each: each["survey_spec"]["spec"][0].pop("choices"),
    "default of no choice": lambda each: each["survey_spec"]["spec"][1].update(default="yes"),
    "default of another type": lambda each: each["survey_spec"]["spec"][1].update(default=True),
    "required as text": lambda each: each["survey_spec"]["spec"][0].update(required="no"),
    "no variable": lambda each: each["survey_spec"]["spec"][0].pop("variable"),
    "a variable twice": lambda each: each["survey_spec"]["spec"].append(
        each["survey_spec"]["spec"][0]
    ),
}


@pytest.mark.parametrize("breaks", BROKEN)
def test_each_rule_refuses_something(breaks):
    template = copy.deepcopy(next(each for each in TEMPLATES if "checklist" in each["name"]))
    BROKEN[breaks](template)
    assert list(refused(template)) != []
